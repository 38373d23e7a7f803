//! Inkling trains convolutional networks on MNIST inside a browser tab and reads the digits you draw.
//!
//! The pipeline, in reading order:
//! bytes → [`data`] → batches → [`network`] of the [`zoo`] → [`train`] → [`session`] events → [`run`] → views.
//! Commands ([`protocol`]) are the only way back. The page never links burn: the engine lives in a worker.

pub mod spec;

pub mod ink;

pub mod data;

pub mod zoo;

pub mod judge;
pub mod receipt;

#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "engine")]
pub mod network;
#[cfg(feature = "engine")]
pub mod train;

pub mod protocol;
pub mod run;

pub mod card;
#[cfg(feature = "engine")]
pub mod session;

#[cfg(feature = "native")]
pub mod cli;
#[cfg(feature = "files")]
pub mod files;

#[cfg(all(feature = "worker", target_family = "wasm"))]
pub mod worker;

pub mod plot;
pub mod ui;

pub mod webgpu;
