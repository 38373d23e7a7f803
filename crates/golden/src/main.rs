//! The program of the page that the browser tests build. It does nothing outside a browser.

#[cfg(target_family = "wasm")]
mod page;

fn main() {
    #[cfg(target_family = "wasm")]
    page::start();
}
