//! The web worker: connects a session of the engine to `postMessage`. It never touches the page or computes anything
//! itself.
//!
//! Its three programs have the same source and differ in features: for the CPU, for the CPU with relaxed SIMD, and for
//! graphics cards.

#[cfg(target_family = "wasm")]
mod serve;

/// Runs a dedicated worker: reports that it is ready, then handles commands until the page terminates it. Does nothing
/// outside a browser.
pub fn start() {
    #[cfg(target_family = "wasm")]
    serve::start();
}
