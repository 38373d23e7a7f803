//! The engine: trains networks and classifies digits. Input is commands and images; output is events and metrics.
//!
//! In reading order: [`batch`] gathers the images of a step, [`network`] computes the forward and backward passes on a
//! [`device`], [`train`] adds loss and optimizer, and [`session`] executes commands and emits events. The crate depends
//! on neither a browser's page nor a terminal.

pub mod batch;
pub mod device;
pub mod network;
pub mod session;
pub mod train;
