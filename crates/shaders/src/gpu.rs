//! The queue of a graphics card, and arrays in its memory. Computes nothing.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use cubecl::MemoryAllocationMode;
use cubecl::bytes::Bytes;
use cubecl::client::{Client, Graph};
use cubecl::prelude::*;
use cubecl::server::Handle;

/// Invocations in a workgroup: two warps on the largest cards.
const WORKGROUP: u32 = 64;

/// Parts of an array begin at multiples of this many numbers: the largest `minStorageBufferOffsetAlignment` that WebGPU
/// allows, 256 bytes.
pub const PART_ALIGNMENT: usize = 256 / size_of::<f32>();

/// Numbers that one invocation computes in element-wise kernels: on a software adapter, an invocation costs more than
/// the numbers do.
pub(crate) const PER_INVOCATION: usize = 4;

/// Whether new [`Gpu`]s compute large products in tiles.
static TILES: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// While [`Gpu::record`] runs `launch` for the first time: every array that it allocates. `None` otherwise.
    static FIRST_RUN_ARRAYS: RefCell<Option<Vec<Array>>> = const { RefCell::new(None) };
}

/// The queue of a card: allocates arrays and launches kernels. Clones share the queue.
#[derive(Clone)]
pub struct Gpu {
    client: Client,
    tiles: bool,
}

impl Gpu {
    /// The queue of `client`. Large products are computed in tiles if [`Gpu::set_default_tiling`] said so.
    pub fn new(client: Client) -> Self {
        Self { client, tiles: TILES.load(Ordering::Relaxed) }
    }

    /// The same queue with tiles for large products or without them, whatever [`Gpu::set_default_tiling`] said.
    pub fn with_tiles(self, tiles: bool) -> Self {
        Self { tiles, ..self }
    }

    /// Whether large products are computed in tiles.
    pub fn has_tiles(&self) -> bool {
        self.tiles
    }

    /// Sets whether large products are computed in tiles by each [`Gpu`] that is created from now on.
    pub fn set_default_tiling(tiles: bool) {
        TILES.store(tiles, Ordering::Relaxed);
    }

    /// CubeCL's client for the queue.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// An array of `len` numbers with undefined content.
    pub fn empty(&self, len: usize) -> Array {
        let array = Array { handle: self.client.empty(len * size_of::<f32>()), len };
        FIRST_RUN_ARRAYS.with_borrow_mut(|arrays| arrays.iter_mut().for_each(|arrays| arrays.push(array.clone())));
        array
    }

    /// An array that holds `values`.
    pub fn upload(&self, values: &[f32]) -> Array {
        Array { handle: self.client.create_from_slice(f32::as_bytes(values)), len: values.len() }
    }

    /// An array that holds `words`, for kernels that read words.
    pub fn upload_words(&self, words: &[u32]) -> Array {
        Array { handle: self.client.create_from_slice(u32::as_bytes(words)), len: words.len() }
    }

    /// Replaces the whole content of `array` by `words`, after all earlier launches.
    ///
    /// # Panics
    /// If `array` has another length than `words`.
    pub fn write_words(&self, array: &Array, words: &[u32]) {
        assert_eq!(array.len, words.len(), "an array is written as a whole");
        self.client.write(&array.handle, Bytes::from_elems(words.to_vec()));
    }

    /// Runs `launch` twice: first normally, then to record its kernel launches, which [`Recording::replay`] replays.
    /// Returns the result of the first run, and the recording with the array to which each replay writes its result.
    /// There is no recording if the driver does not support it.
    ///
    /// `launch` may only launch kernels and allocate arrays. It must not upload or read anything.
    pub fn record(&self, launch: impl Fn() -> Array) -> (Array, Option<(Recording, Array)>) {
        if self.client.graph_prepare().is_err() {
            return (launch(), None);
        }
        // During recording no memory is allocated from the card, so the first run must leave all the memory that the
        // second one needs. In persistent mode, memory is kept as pieces of the sizes that were asked for, and is not
        // cut out of larger free pieces. How soon a piece can be reused by a later array depends on how far the queue
        // lags behind, so the first run keeps all its arrays, each in a piece of its own.
        self.keep_memory_pieces(true);
        FIRST_RUN_ARRAYS.set(Some(vec![]));
        let launched = launch();
        let first_run_arrays = FIRST_RUN_ARRAYS.take();
        self.keep_memory_pieces(false);
        // Copied outside of persistent mode, to memory of another kind, so that the second run finds all pieces free.
        let result = crate::copy(self, &launched);
        self.keep_memory_pieces(true);
        // This waits until the queue has made all allocations of the first run. Only then may its pieces become free.
        let started = self.client.start_capture().is_ok();
        drop((launched, first_run_arrays));
        let recorded = started.then(&launch);
        let graph = self.client.stop_capture();
        self.keep_memory_pieces(false);
        // Frees the pieces that the second run did not need.
        self.release_unused_memory();
        (result, graph.ok().zip(recorded).map(|(graph, recorded)| (Recording { graph }, recorded)))
    }

    /// Switches persistent mode on or off: freed memory is kept for arrays of the same size.
    fn keep_memory_pieces(&self, keep: bool) {
        let mode = if keep { MemoryAllocationMode::Persistent } else { MemoryAllocationMode::Auto };
        // SAFETY: each thread has a client of its own; memory that this mode keeps is freed by `release_unused_memory`.
        unsafe { self.client.allocation_mode(mode) };
    }

    /// Returns memory that no array uses to the card.
    pub fn release_unused_memory(&self) {
        // If this fails, the memory is only held for longer.
        let _ = self.client.memory_cleanup();
    }
}

/// Recorded kernel launches. A replay costs the host a fraction of the original launches, because their bindings were
/// looked up once.
pub struct Recording {
    graph: Graph,
}

impl Recording {
    /// Replays all launches on the same arrays. Returns whether the card accepted them.
    ///
    /// # Safety
    /// Every array that existed before the recording and that a recorded launch reads or writes must still be alive.
    pub unsafe fn replay(&self) -> bool {
        // SAFETY: the caller keeps the arrays from before the recording alive, and the recording keeps the memory that
        // was allocated during it. Each thread has a client, and launches, of its own.
        unsafe { self.graph.replay() }.is_ok()
    }
}

/// An array of 32-bit floats (or words, for kernels that read words) in the card's memory. Clones share the memory.
#[derive(Clone, Debug)]
pub struct Array {
    handle: Handle,
    len: usize,
}

impl Array {
    /// An array of `len` numbers at the beginning of a handle's memory.
    ///
    /// # Panics
    /// If the handle's memory is shorter.
    pub fn new(handle: Handle, len: usize) -> Self {
        assert!(handle.size() as usize >= len * size_of::<f32>(), "an array of {len} numbers needs memory for them");
        Self { handle, len }
    }

    /// Number of floats (or words).
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the array has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The `len` numbers from `start` on, in the same memory. `start` must be a multiple of [`PART_ALIGNMENT`].
    ///
    /// # Panics
    /// If the part exceeds the array, or `start` is not a multiple of [`PART_ALIGNMENT`].
    pub fn part(&self, start: usize, len: usize) -> Self {
        assert!(
            start + len <= self.len && start.is_multiple_of(PART_ALIGNMENT),
            "no part of {len} numbers begins at {start}"
        );
        let bytes = |numbers: usize| (numbers * size_of::<f32>()) as u64;
        let rest = self.len - start - len;
        Self { handle: self.handle.clone().offset_start(bytes(start)).offset_end(bytes(rest)), len }
    }

    /// CubeCL's handle of the memory.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The array as a kernel argument: a slice of numbers.
    pub(crate) fn arg(&self) -> BufferArg {
        // SAFETY: `new` and the methods of `Gpu` ensure that the memory is at least this long.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.len) }
    }

    /// The array as a kernel argument: a slice of vectors of `lanes` numbers.
    pub(crate) fn vectors(&self, lanes: usize) -> BufferArg {
        // SAFETY: as above.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.len / lanes) }
    }
}

/// Number and size of workgroups for at least `n` invocations. Kernels end surplus invocations themselves.
pub(crate) fn launch_size(gpu: &Gpu, n: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(WORKGROUP);
    (cubecl::calculate_cube_count_elemwise(&gpu.client, n, dim), dim)
}

/// Index of the `i`-th of the [`PER_INVOCATION`] numbers that this invocation computes. Neighbouring invocations
/// compute neighbouring numbers.
#[cube]
pub(crate) fn element_index(#[comptime] i: usize) -> usize {
    let workgroup = WORKGROUP as usize;
    (ABSOLUTE_POS / workgroup * PER_INVOCATION + i) * workgroup + ABSOLUTE_POS % workgroup
}

/// Launches a kernel with at least `n` invocations. The kernel ends surplus invocations itself.
macro_rules! launch {
    ($kernel:ident, $gpu:expr, $n:expr, $($argument:expr),+ $(,)?) => {{
        let (count, dim) = $crate::gpu::launch_size($gpu, $n);
        // SAFETY: every kernel checks its position against its size arguments, and the arrays are as long as those say.
        unsafe { $kernel::launch_unchecked($gpu.client(), count, dim, $($argument),+) }
    }};
}
pub(crate) use launch;
