//! A graphics card's queue and its arrays of numbers. Computes nothing.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use cubecl::MemoryAllocationMode;
use cubecl::bytes::Bytes;
use cubecl::client::{Client, Graph};
use cubecl::prelude::*;
use cubecl::server::Handle;

/// Invocations in a workgroup: two warps of the largest cards.
const WORKGROUP: u32 = 64;

/// Parts of an array begin at multiples of so many numbers: WebGPU's largest `minStorageBufferOffsetAlignment`.
pub const PART: usize = 256 / size_of::<f32>();

/// Numbers of one invocation where each is computed by itself: on a software adapter an invocation costs more than they do.
pub(crate) const EACH: usize = 4;

/// Runs the constructors that CubeCL's registries need; before any card is opened.
///
/// Elsewhere the system has done so before `main`. In a browser nobody does, and where a program does not ask for it the
/// linker has every call from JavaScript run them all again: that took half of each training step.
#[cfg(target_family = "wasm")]
pub fn construct() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: the linker writes this function; it takes and returns nothing, and runs once.
    ONCE.call_once(|| unsafe { __wasm_call_ctors() });
}

/// Whether kernels compute in tiles, where nothing else is said.
static TILES: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Every array that is taken meanwhile.
    static HELD: RefCell<Option<Vec<Array>>> = const { RefCell::new(None) };
}

/// The queue of a card.
#[derive(Clone)]
pub struct Gpu {
    client: Client,
    tiles: bool,
}

impl Gpu {
    pub fn new(client: Client) -> Self {
        Self { client, tiles: TILES.load(Ordering::Relaxed) }
    }

    /// The same queue, for which large products are computed in tiles or are not, whatever was found out.
    pub fn with_tiles(self, tiles: bool) -> Self {
        Self { tiles, ..self }
    }

    /// Whether large products are computed in tiles.
    pub fn has_tiles(&self) -> bool {
        self.tiles
    }

    /// From now on large products are computed in tiles, or are not, wherever nothing else is said.
    pub fn choose_tiles(tiles: bool) {
        TILES.store(tiles, Ordering::Relaxed);
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// An array of so many numbers, which holds anything.
    pub fn empty(&self, len: usize) -> Array {
        let array = Array { handle: self.client.empty(len * size_of::<f32>()), len };
        HELD.with_borrow_mut(|held| held.iter_mut().for_each(|held| held.push(array.clone())));
        array
    }

    /// An array of these numbers.
    pub fn upload(&self, values: &[f32]) -> Array {
        Array { handle: self.client.create_from_slice(f32::as_bytes(values)), len: values.len() }
    }

    /// An array of these words, for kernels that read words.
    pub fn upload_words(&self, words: &[u32]) -> Array {
        Array { handle: self.client.create_from_slice(u32::as_bytes(words)), len: words.len() }
    }

    /// Puts these words in the place of all that an array holds, after what was launched before.
    ///
    /// # Panics
    /// When the array has another length.
    pub fn write_words(&self, array: &Array, words: &[u32]) {
        assert_eq!(array.len, words.len(), "an array is written as a whole");
        self.client.write(&array.handle, Bytes::from_elems(words.to_vec()));
    }

    /// Launches twice: once as ever, and once only to record what is launched, to be played again. Gives what the first
    /// left, and the recording with what [`Recording::play`] leaves anew each time. Without a recording where a driver does
    /// not take it.
    ///
    /// `launch` may launch kernels and take arrays, and nothing else: nothing is uploaded or read.
    pub fn record(&self, launch: impl Fn() -> Array) -> (Array, Option<(Recording, Array)>) {
        if self.client.graph_prepare().is_err() {
            return (launch(), None);
        }
        // While it is recorded no memory is taken from the card, so all that the second launch takes must be there from the
        // first: in the mode that keeps pieces of the same sizes, rather than cutting them out of what is free. How soon a
        // piece is free for the next array depends on how far the queue is behind, so the first gets one for each.
        self.keep_pieces(true);
        HELD.set(Some(vec![]));
        let launched = launch();
        let held = HELD.take();
        self.keep_pieces(false);
        // In memory of another kind, so that the second launch finds all pieces free.
        let result = crate::mix(self, [&launched, &launched], [1.0, 0.0, 0.0]);
        self.keep_pieces(true);
        // Waits until the queue has taken all memory for the first; only then may its pieces be free.
        let started = self.client.start_capture().is_ok();
        drop((launched, held));
        let recorded = started.then(&launch);
        let graph = self.client.stop_capture();
        self.keep_pieces(false);
        // Those that the second did without.
        self.tidy();
        (result, graph.ok().zip(recorded).map(|(graph, recorded)| (Recording { graph }, recorded)))
    }

    fn keep_pieces(&self, keep: bool) {
        let mode = if keep { MemoryAllocationMode::Persistent } else { MemoryAllocationMode::Auto };
        // SAFETY: a client is one to a thread; what this mode keeps is given back by `tidy`.
        unsafe { self.client.allocation_mode(mode) };
    }

    /// Gives memory that nothing holds back to the card.
    pub fn tidy(&self) {
        // Where that fails it is held for longer.
        let _ = self.client.memory_cleanup();
    }
}

/// Launches that were recorded: played again they cost the host a part of what they cost at first, since what they are
/// bound to was looked up once.
pub struct Recording {
    graph: Graph,
}

impl Recording {
    /// Launches all of it again, on the same arrays. Says whether the card takes it.
    ///
    /// # Safety
    /// Every array that was there before the recording and is read or written in it must still be alive.
    pub unsafe fn play(&self) -> bool {
        // SAFETY: the caller keeps the arrays from before, and the recording keeps the memory of those taken meanwhile. The client
        // is one to a thread, and so are its launches.
        unsafe { self.graph.replay() }.is_ok()
    }
}

/// 32-bit floats on the card.
#[derive(Clone, Debug)]
pub struct Array {
    handle: Handle,
    len: usize,
}

impl Array {
    /// # Panics
    /// When the handle's memory is shorter.
    pub fn new(handle: Handle, len: usize) -> Self {
        assert!(handle.size() as usize >= len * size_of::<f32>(), "an array of {len} numbers needs memory for them");
        Self { handle, len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of it, of so many numbers; `start` is a multiple of [`PART`].
    ///
    /// # Panics
    /// When it is not all in this array, or begins where none may.
    pub fn part(&self, start: usize, len: usize) -> Self {
        assert!(start + len <= self.len && start.is_multiple_of(PART), "no part of {len} numbers begins at {start}");
        let bytes = |numbers: usize| (numbers * size_of::<f32>()) as u64;
        let rest = self.len - start - len;
        Self { handle: self.handle.clone().offset_start(bytes(start)).offset_end(bytes(rest)), len }
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn arg(&self) -> BufferArg {
        // SAFETY: `new` and `Gpu` see to it that the memory is as long as that.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.len) }
    }

    /// The same as vectors of so many numbers.
    pub(crate) fn vectors(&self, lanes: usize) -> BufferArg {
        // SAFETY: as above.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.len / lanes) }
    }
}

/// Workgroups for at least so many invocations; kernels stop those that are too many.
pub(crate) fn launch_size(gpu: &Gpu, n: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(WORKGROUP);
    (cubecl::calculate_cube_count_elemwise(&gpu.client, n, dim), dim)
}

/// Which number an invocation computes as its `i`-th of [`EACH`]: neighbours compute neighbouring ones.
#[cube]
pub(crate) fn place(#[comptime] i: usize) -> usize {
    let workgroup = WORKGROUP as usize;
    (ABSOLUTE_POS / workgroup * EACH + i) * workgroup + ABSOLUTE_POS % workgroup
}

/// Launches a kernel for at least so many invocations; it stops those that are too many.
macro_rules! launch {
    ($kernel:ident, $gpu:expr, $n:expr, $($argument:expr),+ $(,)?) => {{
        let (count, dim) = $crate::gpu::launch_size($gpu, $n);
        // SAFETY: every kernel checks its position against the sizes it is given, and the arrays are as long as those say.
        unsafe { $kernel::launch_unchecked($gpu.client(), count, dim, $($argument),+) }
    }};
}
pub(crate) use launch;
