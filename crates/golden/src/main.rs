//! The program of the page that the browser tests build. It does nothing outside a browser.

#[cfg_attr(not(target_family = "wasm"), path = "no_page.rs")]
mod page;

fn main() {
    page::start();
}
