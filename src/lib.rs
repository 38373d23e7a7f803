//! The page: shows the state in [`inkling_core::run::Run`] and turns user input into commands.
//!
//! [`model`] holds the page's state and text without views; it is pure, and compiled and tested on every platform.
//! `link` talks to the workers and to the browser, and `views` holds the components. The page never depends on burn:
//! all computation runs in workers, behind [`inkling_core::protocol`].

pub mod model;

#[cfg(target_family = "wasm")]
pub mod link;
#[cfg(target_family = "wasm")]
pub mod views;
