//! What training on a CPU is made of: convolution, normalisation, pooling, dense layers and optimizer steps, forward and
//! backward, on plain slices.
//!
//! # Layout
//! Images travel in blocks of as many as a vector register has lanes: `[block][channel][row][column][lane]`. Every pixel
//! of every channel is then one vector, whatever the number of channels and the width of the image: no kernel has a
//! remainder in its inner loop, and pooling, activation and statistics are straight lines over memory. [`Grid`]
//! describes such an arrangement, and the one of dense layers, `[feature][image]`, with the same few numbers.
//!
//! The lanes of images that are not there (the last block of a batch may have room to spare) hold finite numbers
//! on the way forward and zeros on the way back.
//!
//! A crate of its own, so that every profile can optimise it fully while the rest is built for size or for speed of building.

// Tiles are walked by index: iterators over arrays of registers hide which element is which.
#![allow(clippy::needless_range_loop)]

mod activation;
mod conv;
mod dense;
mod dropout;
mod grid;
mod isa;
mod norm;
mod optimize;
mod pool;
mod threads;

pub use activation::{add_bias, rectify_backward, sum_channels};
pub use conv::Window;
pub use dense::Dense;
pub use dropout::Dropout;
pub use grid::Grid;
pub use isa::Isa;
pub use norm::{Norm, Rectified};
pub use optimize::{adadelta, adam, momentum, rms_prop};
pub use pool::{pool, pool_backward};
pub use threads::count as n_threads;
