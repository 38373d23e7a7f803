//! Peak arithmetic performance of the machine: fused multiply-adds on registers alone, natively and in WebAssembly. The
//! networks' measurements are compared with these. They never access memory.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use browser_driver::Browser;
use inkling_core::models;
use inkling_core::spec::ModelId;

use super::figure::number;

/// Passes over the accumulators in one trial: about a tenth of a second.
const N_PASSES: usize = 20_000_000;
/// Number of trials. The best one counts, because everything else that the machine does only slows a trial down.
const N_TRIALS: usize = 7;

/// A remark with the GFLOP/s of training at this speed, and their percentage of `peak` (in GFLOP/s).
pub fn remark(model: ModelId, images_per_second: f64, peak: Option<f64>) -> String {
    let achieved = models::training_gflops(model, images_per_second);
    let of_peak = peak.map(|peak| format!(", {:.0} % of the peak", 100.0 * achieved / peak)).unwrap_or_default();
    format!("{} GFLOP/s{of_peak}", number(achieved))
}

/// Measures the peak GFLOP/s of all cores together, with the widest vectors that this program supports.
pub fn native() -> f64 {
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    let trial = || {
        let began = Instant::now();
        thread::scope(|scope| {
            (0..n_threads).for_each(|_| drop(scope.spawn(|| black_box(multiply_add(black_box(N_PASSES))))))
        });
        let operations = 2.0 * (n_threads * N_PASSES * operations_in_a_pass()) as f64;
        operations / began.elapsed().as_secs_f64() / 1e9
    };
    (0..N_TRIALS).map(|_| trial()).fold(0.0, f64::max)
}

/// Defines a function that only computes multiply-adds; each accumulator depends only on itself.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! multiply_adds {
    ($name:ident, $feature:literal, $n:literal, $splat:path, $fused:expr) => {
        #[target_feature(enable = $feature)]
        fn $name(n_passes: usize) -> f32 {
            let (a, b) = ($splat(0.999), $splat(0.001));
            let mut sums = [$splat(0.0); $n];
            for _ in 0..n_passes {
                for sum in &mut sums {
                    *sum = $fused(*sum, a, b);
                }
            }
            black_box(sums);
            0.0
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod widest {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    // As many accumulators as there are registers, minus two for the constants and some spare ones.
    multiply_adds!(avx512, "avx512f", 24, _mm512_set1_ps, _mm512_fmadd_ps);
    multiply_adds!(avx2, "avx2,fma", 12, _mm256_set1_ps, _mm256_fmadd_ps);

    /// Runs `n_passes` over all accumulators, with the widest vectors of this machine.
    pub fn multiply_add(n_passes: usize) -> f32 {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: this machine has it.
            unsafe { avx512(n_passes) }
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: this machine has them.
            unsafe { avx2(n_passes) }
        } else {
            super::scalar(n_passes)
        }
    }

    /// Multiply-adds per pass.
    pub fn operations_in_a_pass() -> usize {
        if is_x86_feature_detected!("avx512f") {
            24 * 16
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            12 * 8
        } else {
            super::N_SCALARS
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod widest {
    use std::arch::aarch64::*;
    use std::hint::black_box;

    multiply_adds!(neon, "neon", 24, vdupq_n_f32, vfmaq_f32);

    /// Runs `n_passes` over all accumulators.
    pub fn multiply_add(n_passes: usize) -> f32 {
        // SAFETY: every such machine has it.
        unsafe { neon(n_passes) }
    }

    /// Multiply-adds per pass.
    pub fn operations_in_a_pass() -> usize {
        24 * 4
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod widest {
    pub use super::scalar as multiply_add;

    /// Multiply-adds per pass.
    pub fn operations_in_a_pass() -> usize {
        super::N_SCALARS
    }
}

use widest::{multiply_add, operations_in_a_pass};

/// Accumulators of [`scalar`].
#[cfg(not(target_arch = "aarch64"))]
const N_SCALARS: usize = 8;

/// Multiply-adds without vectors, for machines without supported ones.
#[cfg(not(target_arch = "aarch64"))]
fn scalar(n_passes: usize) -> f32 {
    let mut sums = [0.0f32; N_SCALARS];
    for _ in 0..n_passes {
        sums.iter_mut().for_each(|sum| *sum = *sum * 0.999 + 0.001);
    }
    sums.iter().sum()
}

/// Measures the peak GFLOP/s of WebAssembly in one worker per core, all at once: with plain 128-bit SIMD, which
/// multiplies and adds in two instructions, and with relaxed SIMD, which fuses them; `None` if the browser has no
/// relaxed SIMD.
///
/// # Errors
/// When there is no Chromium, or it has no SIMD in WebAssembly.
pub fn in_browser() -> Result<(f64, Option<f64>)> {
    let mut browser = Browser::launch(&browser_driver::find()?, &[])?;
    let mut page = browser.page()?;
    let mut speed = |fused| {
        let module = BASE64_STANDARD.encode(module(fused));
        let operations = usize::from(N_SUMS) * 4 * if fused { 2 } else { 1 };
        page.evaluate(&TIME.replace("MODULE", &module).replace("N_OPERATIONS", &operations.to_string()))
    };
    let plain = speed(false)?.as_f64().context("the browser has no SIMD in WebAssembly")?;
    Ok((plain, speed(true)?.as_f64()))
}

/// The script that measures a WebAssembly module. Every worker warms up first, so that the browser uses its optimising
/// compiler. Then all workers run the same passes at once, and the best of 7 trials counts.
const TIME: &str = "(async () => {
        const bytes = Uint8Array.from(atob('MODULE'), (letter) => letter.charCodeAt(0));
        if (!WebAssembly.validate(bytes)) return null;
        const n = 8_000_000;
        const work = async (bytes, n) => {
            const { f } = (await WebAssembly.instantiate(Uint8Array.from(bytes))).instance.exports;
            for (let i = 0; i < 10; i++) f(n);
            onmessage = () => { for (let i = 0; i < 5; i++) f(n); postMessage('done'); };
            postMessage('warm');
        };
        const source = URL.createObjectURL(new Blob([`(${work})([${bytes}], ${n})`]));
        const workers = Array.from({ length: navigator.hardwareConcurrency }, () => new Worker(source));
        const all = () => Promise.all(workers.map((worker) => new Promise((heard) => { worker.onmessage = heard; })));
        await all();
        let best = Infinity;
        for (let trial = 0; trial < 7; trial++) {
            const began = performance.now();
            workers.forEach((worker) => worker.postMessage('go'));
            await all();
            best = Math.min(best, performance.now() - began);
        }
        return N_OPERATIONS * n * 5 * workers.length / best / 1e6;
    })()";

/// Accumulators in WebAssembly: machines with 128-bit vectors may have only 16 registers, and two of them hold
/// constants.
const N_SUMS: u8 = 12;

/// Assembles a WebAssembly module with one function `f`, which takes a number of passes and only computes
/// multiply-adds. If they are not `fused`, half of the accumulators multiply and the other half add, so that none
/// depends on two instructions. Opcodes from the specification, 5.4 (instructions) and 5.5 (modules).
fn module(fused: bool) -> Vec<u8> {
    let mut body = vec![1, N_SUMS + 2, V128];
    for (local, constant) in [(1, -1.0f32), (2, 0.001)] {
        body.extend([0xfd, 0x0c]);
        (0..4).for_each(|_| body.extend(constant.to_le_bytes()));
        body.extend([SET, local]);
    }
    body.extend([0x03, 0x40]); // loop
    for sum in 3..3 + N_SUMS {
        match (fused, sum % 2) {
            (true, _) => body.extend([GET, sum, GET, 1, GET, 2, 0xfd, 0x85, 0x02]), // f32x4.relaxed_madd
            (false, 0) => body.extend([GET, sum, GET, 1, 0xfd, 0xe6, 0x01]),        // f32x4.mul
            (false, _) => body.extend([GET, sum, GET, 2, 0xfd, 0xe4, 0x01]),        // f32x4.add
        }
        body.extend([SET, sum]);
    }
    body.extend([GET, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b]); // decrement the passes; repeat unless 0
    body.extend([GET, 3]);
    (4..3 + N_SUMS).for_each(|sum| body.extend([GET, sum, 0xfd, 0xe4, 0x01]));
    body.extend([0xfd, 0x1f, 0, 0x0b]); // f32x4.extract_lane 0
    let sections = [
        (1, vec![1, 0x60, 1, 0x7f, 1, 0x7d]), // one type: i32 to f32
        (3, vec![1, 0]),
        (7, vec![1, 1, b'f', 0, 0]),
        (10, [vec![1], sized(body)].concat()),
    ];
    sections.into_iter().fold(b"\0asm\x01\0\0\0".to_vec(), |mut module, (id, section)| {
        module.push(id);
        module.extend(sized(section));
        module
    })
}

/// The type `v128`.
const V128: u8 = 0x7b;
/// The instruction `local.get`.
const GET: u8 = 0x20;
/// The instruction `local.set`.
const SET: u8 = 0x21;

/// Prefixes bytes with their length in LEB128.
fn sized(bytes: Vec<u8>) -> Vec<u8> {
    let (mut remaining, mut out) = (bytes.len(), vec![]);
    while remaining >= 0x80 {
        out.push((remaining & 0x7f) as u8 | 0x80);
        remaining >>= 7;
    }
    out.push(remaining as u8);
    out.extend(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_leb128() {
        assert_eq!(sized(vec![7, 7]), [2, 7, 7]);
        assert_eq!(sized(vec![0; 300])[..2], [0xac, 0x02]);
    }

    #[test]
    fn a_share_of_the_peak_is_named() {
        assert!(remark(ModelId::Classic, 0.0, Some(1.0)).ends_with("GFLOP/s, 0 % of the peak"));
    }
}
