//! A graphics card's queue and its arrays of numbers. Computes nothing.

use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

/// Invocations in a workgroup: two warps of the largest cards.
const WORKGROUP: u32 = 64;

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

/// The queue of a card.
#[derive(Clone)]
pub struct Gpu {
    client: Client,
}

impl Gpu {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// An array of so many numbers, which holds anything.
    pub fn empty(&self, len: usize) -> Array {
        Array { handle: self.client.empty(len * size_of::<f32>()), len }
    }

    /// An array of these numbers.
    pub fn upload(&self, values: &[f32]) -> Array {
        Array { handle: self.client.create_from_slice(f32::as_bytes(values)), len: values.len() }
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
