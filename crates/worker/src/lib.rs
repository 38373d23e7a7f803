//! The web worker: a session on one side, `postMessage` on the other, and nothing else. Its three programs are the same, built
//! with other features: for the CPU, for the CPU with relaxed SIMD, and for graphics cards.

#[cfg(target_family = "wasm")]
mod serve;

/// Runs in a dedicated worker: listens, says so, and serves until the page ends the worker. Nothing where there is no browser.
pub fn start() {
    #[cfg(target_family = "wasm")]
    serve::start();
}
