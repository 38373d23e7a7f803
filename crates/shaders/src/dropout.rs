//! Dropout from a counter-based random number generator, with the same masks as `inkling-kernels` computes on the CPU,
//! to the bit; the generator is described there. No mask is sent or stored: the card receives the key, and the backward
//! pass computes the mask again.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};

/// Units per call of the generator: each takes 16 of its 64 random bits.
const UNITS: usize = 4;

/// Dropout: `x`, `[units, n]`, with each unit multiplied by 0 or by `scale`; in the backward pass, `x` is the gradient.
///
/// - `key`: three words on the card, where they change from step to step: the two words of the step's key, and the
///   index of the first image in the whole batch
/// - `layer`, `limit`, `scale`: as in the `Dropout` of `inkling-kernels`
pub fn dropout(gpu: &Gpu, x: &Array, n: usize, key: &Array, layer: u32, limit: u32, scale: f32) -> Array {
    let y = gpu.empty(x.len());
    let units = x.len() / n;
    let n_calls = units.div_ceil(UNITS) * n;
    launch!(drop_units, gpu, n_calls, x.arg(), key.arg(), y.arg(), units, n, layer << 24, limit, scale);
    y
}

/// An invocation computes four units of one image. `layer` is the layer's number, shifted left by 24 bits.
#[cube(launch_unchecked)]
fn drop_units(x: &[f32], keys: &[u32], y: &mut [f32], units: usize, n: usize, layer: u32, limit: u32, scale: f32) {
    let image = ABSOLUTE_POS % n;
    let first = ABSOLUTE_POS / n * UNITS;
    if first >= units {
        terminate!();
    }
    let key = keys[0];
    let other_key = keys[1];
    let first_image = keys[2];
    let block = layer + u32::cast_from(ABSOLUTE_POS / n);
    let third_key = key ^ other_key ^ 0x1BD1_1BDAu32;
    let a = first_image + u32::cast_from(image) + key;
    let b = block + other_key;
    let (a, b) = four_rounds(a, b, 0usize);
    let (a, b) = four_rounds(a + other_key, b + third_key + 1, 1usize);
    let (a, b) = four_rounds(a + third_key, b + key + 2, 0usize);
    let (a, b) = four_rounds(a + key, b + other_key + 3, 1usize);
    let (a, b) = four_rounds(a + other_key, b + third_key + 4, 0usize);
    let (a, b) = (a + third_key, b + key + 5);
    #[unroll]
    for unit in 0..UNITS {
        if first + unit < units {
            let mut bits = a;
            if comptime![unit >= 2] {
                bits = b;
            }
            bits = (bits >> comptime![unit as u32 % 2 * 16]) & 0xFFFF;
            let at = (first + unit) * n + image;
            y[at] = x[at] * select(bits < limit, 0.0, scale);
        }
    }
}

/// Rotations in bits of four rounds: those that follow an even key injection, and those that follow an odd one (counted
/// from 0).
const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];

/// The four rounds of Threefry between two key injections.
#[cube]
fn four_rounds(a: u32, b: u32, #[comptime] parity: usize) -> (u32, u32) {
    let a = a + b;
    let b = rotated(b, comptime![ROTATIONS[parity][0]]) ^ a;
    let a = a + b;
    let b = rotated(b, comptime![ROTATIONS[parity][1]]) ^ a;
    let a = a + b;
    let b = rotated(b, comptime![ROTATIONS[parity][2]]) ^ a;
    let a = a + b;
    let b = rotated(b, comptime![ROTATIONS[parity][3]]) ^ a;
    (a, b)
}

/// `x`, rotated left by `left` bits.
#[cube]
fn rotated(x: u32, #[comptime] left: u32) -> u32 {
    x << left | x >> comptime![32 - left]
}
