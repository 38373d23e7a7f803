//! [`Simd`] for x86-64: AVX-512 and AVX2. Contains no kernels.

use std::arch::x86_64::*;

use super::{Kernel, Simd};

/// Runs a kernel with AVX-512.
///
/// # Safety
/// The machine has AVX-512F, AVX2 and FMA, and the kernel's accesses are sound as [`Kernel::run`] requires.
#[target_feature(enable = "avx512f,avx2,fma")]
pub unsafe fn on_avx512<K: Kernel>(kernel: K) {
    // SAFETY: the caller guarantees both.
    unsafe { kernel.run::<Avx512>() }
}

/// Runs a kernel with AVX2.
///
/// # Safety
/// The machine has AVX2 and FMA, and the kernel's accesses are sound as [`Kernel::run`] requires.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn on_avx2<K: Kernel>(kernel: K) {
    // SAFETY: the caller guarantees both.
    unsafe { kernel.run::<Avx2>() }
}

/// Defines a type whose operations are the intrinsics of one register width.
macro_rules! simd {
    (
        $(#[$doc:meta])* $name:ident: $register:ty, $lanes:literal lanes,
        load $load:ident, store $store:ident, splat $splat:ident,
        add $add:ident, sub $sub:ident, mul $mul:ident, max $max:ident, mul_add $mul_add:ident,
        if_positive |$x:ident, $yes:ident, $no:ident| $if_positive:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name;

        impl Simd for $name {
            type V = $register;
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn load(from: *const f32) -> $register {
                // SAFETY: as the trait requires, the machine has the instruction and `LANES` floats can be read.
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(to: *mut f32, v: $register) {
                // SAFETY: as the trait requires, the machine has the instruction and `LANES` floats can be written.
                unsafe { $store(to, v) }
            }
            #[inline(always)]
            unsafe fn splat(x: f32) -> $register {
                // SAFETY: as the trait requires, the machine has the instruction; the same holds for all below.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn add(a: $register, b: $register) -> $register {
                // SAFETY: as for `splat`.
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            unsafe fn sub(a: $register, b: $register) -> $register {
                // SAFETY: as for `splat`.
                unsafe { $sub(a, b) }
            }
            #[inline(always)]
            unsafe fn mul(a: $register, b: $register) -> $register {
                // SAFETY: as for `splat`.
                unsafe { $mul(a, b) }
            }
            #[inline(always)]
            unsafe fn max(a: $register, b: $register) -> $register {
                // SAFETY: as for `splat`.
                unsafe { $max(a, b) }
            }
            #[inline(always)]
            unsafe fn mul_add(a: $register, b: $register, c: $register) -> $register {
                // SAFETY: as for `splat`.
                unsafe { $mul_add(a, b, c) }
            }
            #[inline(always)]
            unsafe fn if_positive($x: $register, $yes: $register, $no: $register) -> $register {
                // SAFETY: as for `splat`.
                unsafe { $if_positive }
            }
        }
    };
}

simd! {
    /// 512-bit registers.
    Avx512: __m512, 16 lanes,
    load _mm512_loadu_ps, store _mm512_storeu_ps, splat _mm512_set1_ps,
    add _mm512_add_ps, sub _mm512_sub_ps, mul _mm512_mul_ps, max _mm512_max_ps, mul_add _mm512_fmadd_ps,
    if_positive |x, yes, no| _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, _mm512_setzero_ps()), no, yes)
}

simd! {
    /// 256-bit registers.
    Avx2: __m256, 8 lanes,
    load _mm256_loadu_ps, store _mm256_storeu_ps, splat _mm256_set1_ps,
    add _mm256_add_ps, sub _mm256_sub_ps, mul _mm256_mul_ps, max _mm256_max_ps, mul_add _mm256_fmadd_ps,
    if_positive |x, yes, no| _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_setzero_ps()))
}
