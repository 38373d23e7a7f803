//! Comparisons of a graphics card's kernels with the CPU's; on the CPU they compare it with itself.

pub mod augmentation;
pub mod dropout;
pub mod elementwise;
pub mod recorded_steps;
pub mod tiles;
