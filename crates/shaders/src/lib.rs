//! What a graphics card computes of a network: convolution, normalisation, pooling and dense layers, forward and back,
//! the loss, and the optimizers. Written once in CubeCL, which makes them WebGPU's shaders in a browser and Vulkan's,
//! Metal's or DirectX's elsewhere. Knows neither burn nor networks, and reads nothing back.
//!
//! Arrays lie as `[channels, rows, columns, images]`: neighbouring invocations have neighbouring images, so they read
//! neighbouring numbers and the same weights, whatever the size of the image.

// A kernel's arguments are what it reads and its sizes, one by one, and its language has few of Rust's own methods.
#![allow(clippy::assign_op_pattern, clippy::manual_div_ceil, clippy::manual_is_multiple_of, clippy::too_many_arguments)]

mod bend;
mod conv;
mod dense;
mod dropout;
mod fold;
mod gpu;
mod loss;
mod norm;
mod optimize;
mod point;
mod pool;
mod tiles;

pub use bend::Images;
pub use conv::Window;
/// Which card, as burn's tensors on it say.
pub use cubecl::Device;
/// While one lives, kernels are compiled and not run.
pub use cubecl::dry_run::DryRun;
pub use dense::Dense;
pub use dropout::dropout;
pub use fold::channels as sum_channels;
#[cfg(target_family = "wasm")]
pub use gpu::construct;
pub use gpu::{Array, Gpu, PART, Recording};
pub use loss::cross_entropy;
pub use norm::Norm;
pub use optimize::{Rates, adadelta, adam, momentum, rms_prop};
pub use point::{mix, move_towards, rectify_backward, transpose};
pub use pool::{pool, pool_backward};
pub use tiles::tiles_win;
