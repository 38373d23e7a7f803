//! Trains networks and reads digits: from images to metrics, and from commands to events.
//!
//! In reading order: [`batch`] gathers images, [`network`] computes forward and backward on a [`device`], [`train`] makes steps
//! of that, and [`session`] turns commands into all of it and into events. It knows neither a browser's page nor a terminal.

pub mod batch;
pub mod device;
pub mod network;
pub mod session;
pub mod train;
