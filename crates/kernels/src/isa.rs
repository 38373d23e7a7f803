//! The vector instructions of this machine, behind one small trait. A kernel is written once and compiled for each.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

/// A set of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// 16 lanes and 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 8 lanes, fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 4 lanes, fused multiply-add. Only in programs built for it: a browser without relaxed SIMD refuses the whole
    /// program, so that it cannot be chosen at run time.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128", feature = "relaxed"))]
    WasmRelaxed,
    /// 4 lanes.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Wasm,
    /// 4 lanes, as the compiler sees fit.
    Portable,
}

impl Isa {
    /// The best one that this machine has.
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| *Self::all().first().unwrap_or(&Self::Portable))
    }

    /// Every one that this machine has, the best first.
    pub fn all() -> Vec<Self> {
        [Self::particular(), vec![Self::Portable]].concat()
    }

    #[cfg(target_arch = "x86_64")]
    fn particular() -> Vec<Self> {
        let avx512 = is_x86_feature_detected!("avx512f").then_some(Self::Avx512);
        let avx2 = (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self::Avx2);
        avx512.into_iter().chain(avx2).collect()
    }

    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    fn particular() -> Vec<Self> {
        vec![
            #[cfg(feature = "relaxed")]
            Self::WasmRelaxed,
            Self::Wasm,
        ]
    }

    #[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
    fn particular() -> Vec<Self> {
        vec![]
    }

    /// Images in a block.
    pub fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 8,
            _ => 4,
        }
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128", feature = "relaxed"))]
            Self::WasmRelaxed => "WASM SIMD, relaxed",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Wasm => "WASM SIMD",
            Self::Portable => "portable",
        }
    }

    /// Runs a kernel compiled for these instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self {
            // SAFETY: `Isa` values of this kind come from `all` only, which found the instructions on this machine.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { x86::on_avx512(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::on_avx2(kernel) },
            // SAFETY: a browser would have refused the whole program without them.
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128", feature = "relaxed"))]
            Self::WasmRelaxed => unsafe { wasm::on_relaxed(kernel) },
            // SAFETY: as above.
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Wasm => unsafe { kernel.run::<wasm::Wasm>() },
            // SAFETY: plain arithmetic.
            Self::Portable => unsafe { kernel.run::<Portable>() },
        }
    }
}

/// A piece of work that is compiled for each set of instructions.
pub(crate) trait Kernel {
    /// # Safety
    /// The machine has the instructions of `S`, and every pointer the kernel holds is good for what it does.
    unsafe fn run<S: Simd>(self);
}

/// A vector register of floats.
///
/// # Safety of its functions
/// The machine has the instructions; pointers are good for [`Simd::LANES`] floats, aligned as floats.
#[allow(clippy::missing_safety_doc)]
pub(crate) trait Simd: Copy {
    type V: Copy;
    const LANES: usize;

    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, with one rounding where the machine can.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// In each lane `yes` where `x > 0`, `no` elsewhere.
    unsafe fn if_positive(x: Self::V, yes: Self::V, no: Self::V) -> Self::V;

    /// The sum of all lanes.
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        // SAFETY: the array has room for the widest register.
        unsafe {
            let mut lanes = [0.0; 16];
            Self::store(lanes.as_mut_ptr(), v);
            lanes[..Self::LANES].iter().sum()
        }
    }

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        // SAFETY: as the caller promises.
        unsafe { Self::splat(0.0) }
    }
}

/// Four floats in an array, which compilers turn into whatever the machine has.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Simd for Portable {
    type V = [f32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: as the trait says.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: [f32; 4]) {
        // SAFETY: as the trait says.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn mul_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn if_positive(x: [f32; 4], yes: [f32; 4], no: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if x[i] > 0.0 { yes[i] } else { no[i] })
    }
}
