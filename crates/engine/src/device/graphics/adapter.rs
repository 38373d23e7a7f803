//! Finds the graphics adapter, tells whether it is real hardware, and opens a device on it. It never computes.

#[cfg_attr(target_family = "wasm", path = "adapter/browser.rs")]
#[cfg_attr(not(target_family = "wasm"), path = "adapter/native.rs")]
mod platform;

use inkling_core::protocol::EngineKind;
pub use platform::{FoundAdapter, find, largest_buffer, open};

use crate::device::IN_BROWSER;

/// The kind of engine that a graphics adapter is on this platform, for reports.
pub const KIND: EngineKind = if IN_BROWSER { EngineKind::WebGpu } else { EngineKind::Gpu };

/// Number of GPU commands that are submitted together. Measured: larger values gain nothing, smaller ones cost more
/// submissions.
const TASKS_MAX: usize = 64;
