//! The vector instruction sets of this machine, behind the trait [`Simd`]. A kernel is written once, over that trait,
//! and compiled for each instruction set. Contains no kernel itself.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

/// A set of vector instructions. Take values from [`Isa::best`] or [`Isa::all`]: running a kernel with instructions
/// that the machine lacks is undefined behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512: 16 lanes, 32 registers, fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2: 8 lanes, 16 registers, fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// WebAssembly with relaxed SIMD: 4 lanes, fused multiply-add. Exists only in programs built for it: a browser
    /// without relaxed SIMD refuses the whole program, so it cannot be chosen at run time.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128", feature = "relaxed"))]
    WasmRelaxed,
    /// WebAssembly SIMD: 4 lanes.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Wasm,
    /// Arrays of 4 lanes, without explicit vector instructions: the compiler vectorises them as it can.
    Portable,
}

impl Isa {
    /// The fastest instruction set of this machine, detected once.
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| *Self::all().first().unwrap_or(&Self::Portable))
    }

    /// All instruction sets of this machine, fastest first. The last is always [`Isa::Portable`].
    pub fn all() -> Vec<Self> {
        [Self::detected(), vec![Self::Portable]].concat()
    }

    /// The instruction sets of this machine besides [`Isa::Portable`], fastest first.
    #[cfg(target_arch = "x86_64")]
    fn detected() -> Vec<Self> {
        let avx512 = is_x86_feature_detected!("avx512f").then_some(Self::Avx512);
        let avx2 = (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self::Avx2);
        avx512.into_iter().chain(avx2).collect()
    }

    /// The instruction sets that this program was built for: a browser accepts the program only if it has them.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    fn detected() -> Vec<Self> {
        vec![
            #[cfg(feature = "relaxed")]
            Self::WasmRelaxed,
            Self::Wasm,
        ]
    }

    /// None: there are only the portable arrays.
    #[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
    fn detected() -> Vec<Self> {
        vec![]
    }

    /// Number of `f32` lanes in a vector register, which is the number of images in a block: 4, 8 or 16.
    pub fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 8,
            _ => 4,
        }
    }

    /// The usual name of this instruction set, for display.
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

    /// Runs `kernel`, compiled for these instructions, on the calling thread. Whoever builds a kernel vouches for its
    /// pointers.
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self {
            // SAFETY: `all` and `best` return this variant only where they detected AVX-512F, which implies AVX2 and
            // FMA. The type does not enforce this, since variants are public: callers must take values from those
            // functions.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { x86::on_avx512(kernel) },
            // SAFETY: as above, for AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::on_avx2(kernel) },
            // SAFETY: a browser without relaxed SIMD would have refused the whole program.
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128", feature = "relaxed"))]
            Self::WasmRelaxed => unsafe { wasm::on_relaxed(kernel) },
            // SAFETY: a browser without SIMD would have refused the whole program.
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Wasm => unsafe { kernel.run::<wasm::Wasm>() },
            // SAFETY: `Portable` needs no special instructions.
            Self::Portable => unsafe { kernel.run::<Portable>() },
        }
    }
}

/// A unit of work that is compiled for each instruction set.
pub(crate) trait Kernel {
    /// Does the work with the vectors of `S`.
    ///
    /// # Safety
    /// The machine has the instructions of `S`, and every pointer in the kernel is valid for the accesses that the
    /// kernel makes.
    /// The machine has the instructions of `S`, and every pointer the kernel holds is good for what it does.
    unsafe fn run<S: Simd>(self);
}

/// Operations on one vector register of `f32` lanes.
///
/// # Safety
/// For all functions: the machine has the instructions, and pointers are valid for [`Simd::LANES`] floats and aligned
/// as floats (not as vectors).
#[allow(clippy::missing_safety_doc)]
pub(crate) trait Simd: Copy {
    /// A vector register.
    type V: Copy;
    /// Number of `f32` lanes in a register.
    const LANES: usize;

    /// Reads `LANES` floats from `from`.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes `LANES` floats to `to`.
    unsafe fn store(to: *mut f32, v: Self::V);
    /// `x` in every lane.
    unsafe fn splat(x: f32) -> Self::V;
    /// `a + b`, lane by lane.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a − b`, lane by lane.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b`, lane by lane.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a` where `a > b`, and `b` elsewhere, lane by lane.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, lane by lane, with a single rounding where the machine has fused multiply-add.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `yes` where `x > 0`, and `no` elsewhere, lane by lane.
    unsafe fn if_positive(x: Self::V, yes: Self::V, no: Self::V) -> Self::V;

    /// The sum of all lanes.
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        // SAFETY: the array is as long as the widest register.
        unsafe {
            let mut lanes = [0.0; 16];
            Self::store(lanes.as_mut_ptr(), v);
            lanes[..Self::LANES].iter().sum()
        }
    }

    /// Zero in every lane.
    #[inline(always)]
    unsafe fn zero() -> Self::V {
        // SAFETY: the caller guarantees that the machine has the instructions.
        unsafe { Self::splat(0.0) }
    }
}

/// Four floats in an array. Compilers turn operations on it into the vector instructions of the target.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Simd for Portable {
    type V = [f32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: the caller guarantees that the pointer is valid, as the trait requires.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: [f32; 4]) {
        // SAFETY: the caller guarantees that the pointer is valid, as the trait requires.
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
/// The brand string of the processor, if it has one.
#[cfg(target_arch = "x86_64")]
pub fn cpu_brand() -> Option<String> {
    use std::arch::x86_64::__cpuid;
    // Leaves 0x8000_0002 to 4 contain 48 letters, if the processor supports them (Intel's manual, volume 2, CPUID).
    const LETTERS: std::ops::RangeInclusive<u32> = 0x8000_0002..=0x8000_0004;
    if __cpuid(0x8000_0000).eax < *LETTERS.end() {
        return None;
    }
    let words = LETTERS.map(__cpuid).flat_map(|leaf| [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx]);
    let letters: Vec<u8> = words.flat_map(u32::to_le_bytes).take_while(|letter| *letter != 0).collect();
    Some(String::from_utf8_lossy(&letters).split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The brand string of the processor: not known here.
#[cfg(not(target_arch = "x86_64"))]
pub fn cpu_brand() -> Option<String> {
    None
}
