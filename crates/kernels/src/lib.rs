//! CPU kernels for training: convolution, batch normalisation, max pooling, dense layers, dropout and optimizer steps,
//! forward and backward, on plain `f32` slices. Knows neither tensors nor networks.
//!
//! # Layout
//! Images are stored in blocks. A block holds one image per lane of a vector register:
//! `[block][channel][row][column][lane]`. Each pixel of each channel is therefore one vector, whatever the number of
//! channels and the width of the image: no kernel has a remainder in its inner loop, and pooling, activation and
//! statistics read memory sequentially. [`BlockedLayout`] describes this layout, and with the same few numbers the
//! layout of dense layers, `[feature][image]`.
//!
//! The last block of a batch may have spare lanes, which hold no image. They contain finite numbers in the forward pass
//! and zeros in the backward pass.
//!
//! The kernels are a crate of their own so that every Cargo profile can optimise them fully while the rest is built for
//! size or for build speed.

// Tiles are indexed: iterators over arrays of registers would hide which element is which.
#![allow(clippy::needless_range_loop)]

mod activation;
mod conv;
mod dense;
mod dropout;
mod isa;
mod layout;
mod norm;
mod optimize;
mod pool;
mod threads;

pub use activation::{add_bias, rectify_backward, sum_channels};
pub use conv::{Conv2d, Conv2dSizes, SizeError};
pub use dense::Dense;
pub use dropout::Dropout;
pub use isa::{Isa, cpu_brand};
pub use layout::BlockedLayout;
pub use norm::{BatchNorm, FusedRectifier};
pub use optimize::{AdadeltaStep, AdamStep, MomentumStep, RmsPropStep, adadelta, adam, momentum, rms_prop};
pub use pool::{max_pool, max_pool_backward};
pub use threads::count as n_threads;
