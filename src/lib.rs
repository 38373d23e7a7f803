//! The page: shows what [`inkling_core::run::Run`] knows, and turns presses and strokes into commands.
//!
//! [`model`] is what the page knows, without a view: pure, compiled and tested everywhere. `link` talks to the worker and the
//! browser; `views` are the components. No burn: what computes lives in a worker, behind [`inkling_core::protocol`].

pub mod model;

#[cfg(target_family = "wasm")]
pub mod link;
#[cfg(target_family = "wasm")]
pub mod views;
