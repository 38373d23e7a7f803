//! The vector instruction sets of this machine, behind the trait [`Simd`]. A kernel is written once, over that trait,
//! and compiled for each instruction set. Contains no kernel itself.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

/// A set of vector instructions that this machine has. Only [`Isa::best`] and [`Isa::all`] make values, after they have
/// detected the instructions, so a value is a proof of them: kernels rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Instructions);

/// All instruction sets that there are kernels for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
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
        *BEST.get_or_init(|| Self::all()[0])
    }

    /// All instruction sets of this machine, fastest first. The last one is always the portable one, so there is at
    /// least one.
    pub fn all() -> Vec<Self> {
        let mut all = Instructions::detected();
        all.push(Instructions::Portable);
        all.into_iter().map(Self).collect()
    }

    /// Number of `f32` lanes in a vector register, which is the number of images in a block: 4, 8 or 16.
    pub fn lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => 16,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => 8,
            _ => 4,
        }
    }

    /// The usual name of this instruction set, for display.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "AVX2",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128", feature = "relaxed"))]
            Instructions::WasmRelaxed => "WASM SIMD, relaxed",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Instructions::Wasm => "WASM SIMD",
            Instructions::Portable => "portable",
        }
    }

    /// Runs `kernel`, compiled for these instructions, on the calling thread.
    ///
    /// # Safety
    /// Every access of the kernel, with vectors of [`Isa::lanes`] lanes, is in bounds, and no other thread accesses
    /// what it writes meanwhile.
    pub(crate) unsafe fn run<K: Kernel>(self, kernel: K) {
        match self.0 {
            // SAFETY: `detected` makes this variant only where the machine has AVX-512F, AVX2 and FMA. The caller
            // vouches for the kernel's accesses, here and below.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { x86::on_avx512(kernel) },
            // SAFETY: `detected` makes this variant only where the machine has AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86::on_avx2(kernel) },
            // SAFETY: a browser without relaxed SIMD would have refused the whole program.
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128", feature = "relaxed"))]
            Instructions::WasmRelaxed => unsafe { wasm::on_relaxed(kernel) },
            // SAFETY: a browser without SIMD would have refused the whole program.
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Instructions::Wasm => unsafe { kernel.run::<wasm::Wasm>() },
            // SAFETY: `Portable` needs no special instructions.
            Instructions::Portable => unsafe { kernel.run::<Portable>() },
        }
    }
}

impl Instructions {
    /// The instruction sets of this machine besides [`Instructions::Portable`], fastest first.
    #[cfg(target_arch = "x86_64")]
    fn detected() -> Vec<Self> {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = avx2 && is_x86_feature_detected!("avx512f");
        [avx512.then_some(Self::Avx512), avx2.then_some(Self::Avx2)].into_iter().flatten().collect()
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
}

/// A unit of work that is compiled for each instruction set.
pub(crate) trait Kernel {
    /// Does the work with the vectors of `S`.
    ///
    /// # Safety
    /// The machine has the instructions of `S`, every access of the kernel with vectors of `S::LANES` lanes is in
    /// bounds, and no other thread accesses what it writes meanwhile.
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
