//! Training kernels for graphics cards: convolution, batch normalisation, max pooling, dense layers and dropout,
//! forward and backward, augmentation, the loss, and the optimizers. They are written once in CubeCL, which compiles
//! them to WebGPU's shaders in a browser and to those of Vulkan, Metal or DirectX elsewhere. Knows neither burn nor
//! networks, and reads no results back, except for the one number that [`tiles_are_faster`] waits for.
//!
//! Arrays are laid out as `[channels, rows, columns, images]`: neighbouring invocations handle neighbouring images, so
//! they read neighbouring numbers and the same weights, whatever the size of the images.

// Kernels take their arrays and sizes as separate arguments, and CubeCL supports few of Rust's methods.
#![allow(clippy::assign_op_pattern, clippy::manual_div_ceil, clippy::manual_is_multiple_of, clippy::too_many_arguments)]

mod augment;
#[cfg_attr(not(target_family = "wasm"), path = "no_constructors.rs")]
mod constructors;
mod conv;
mod dense;
mod dropout;
mod elementwise;
mod gpu;
mod loss;
mod norm;
mod optimize;
mod partial_sums;
mod pool;
mod tiles;

pub use augment::Images;
pub use constructors::run_constructors;
pub use conv::Conv2d;
/// A graphics card or software adapter; burn's tensors name the one that they are on.
pub use cubecl::Device;
/// A guard: while it exists, launched kernels are compiled but not run.
pub use cubecl::dry_run::DryRun;
pub use dense::Dense;
pub use dropout::dropout;
pub use elementwise::{axpby, copy, lerp_towards, rectify_backward, transpose};
pub use gpu::{Array, Gpu, PART_ALIGNMENT, Recording};
pub use loss::cross_entropy;
pub use norm::BatchNorm;
pub use optimize::{AdadeltaStep, AdamStep, MomentumStep, RmsPropStep, StepRates, adadelta, adam, momentum, rms_prop};
pub use partial_sums::channels as sum_channels;
pub use pool::{max_pool, max_pool_backward};
pub use tiles::tiles_are_faster;
