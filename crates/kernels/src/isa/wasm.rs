//! [`Simd`] for WebAssembly, with and without relaxed SIMD. Contains no kernels.

use std::arch::wasm32::*;

use super::Simd;

/// Defines a type of four lanes. The two types differ only in their multiply-add.
macro_rules! simd {
    ($name:ident, $mul_add:expr) => {
        /// A 128-bit register of four lanes.
        #[derive(Clone, Copy)]
        pub struct $name;

        impl Simd for $name {
            type V = v128;
            const LANES: usize = 4;

            #[inline(always)]
            unsafe fn load(from: *const f32) -> v128 {
                // SAFETY: as the trait requires, four floats can be read.
                unsafe { v128_load(from.cast()) }
            }
            #[inline(always)]
            unsafe fn store(to: *mut f32, v: v128) {
                // SAFETY: as the trait requires, four floats can be written.
                unsafe { v128_store(to.cast(), v) }
            }
            #[inline(always)]
            unsafe fn splat(x: f32) -> v128 {
                f32x4_splat(x)
            }
            #[inline(always)]
            unsafe fn add(a: v128, b: v128) -> v128 {
                f32x4_add(a, b)
            }
            #[inline(always)]
            unsafe fn sub(a: v128, b: v128) -> v128 {
                f32x4_sub(a, b)
            }
            #[inline(always)]
            unsafe fn mul(a: v128, b: v128) -> v128 {
                f32x4_mul(a, b)
            }
            #[inline(always)]
            unsafe fn max(a: v128, b: v128) -> v128 {
                f32x4_pmax(b, a)
            }
            #[inline(always)]
            unsafe fn mul_add(a: v128, b: v128, c: v128) -> v128 {
                $mul_add(a, b, c)
            }
            #[inline(always)]
            unsafe fn if_positive(x: v128, yes: v128, no: v128) -> v128 {
                v128_bitselect(yes, no, f32x4_gt(x, f32x4_splat(0.0)))
            }
        }
    };
}

// Multiply-add takes two instructions, with two roundings.
simd!(Wasm, |a, b, c| f32x4_add(f32x4_mul(a, b), c));

// Multiply-add takes one instruction.
#[cfg(feature = "relaxed")]
simd!(Relaxed, |a, b, c| f32x4_relaxed_madd(a, b, c));

/// Runs a kernel with relaxed SIMD.
///
/// # Safety
/// The machine has relaxed SIMD, and the kernel's accesses are sound as `Kernel::run` requires.
#[cfg(feature = "relaxed")]
#[target_feature(enable = "relaxed-simd")]
pub unsafe fn on_relaxed<K: super::Kernel>(kernel: K) {
    // SAFETY: the caller guarantees both.
    unsafe { kernel.run::<Relaxed>() }
}
