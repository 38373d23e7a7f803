//! The program of the page that the browser tests build.

#[cfg(target_family = "wasm")]
mod page;

fn main() {
    #[cfg(target_family = "wasm")]
    page::start();
}
