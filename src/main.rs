//! The page's program. The work is done in [`inkling::views`].

#[cfg(target_family = "wasm")]
fn main() {
    console_error_panic_hook::set_once();
    inkling::views::page::mount();
}

#[cfg(not(target_family = "wasm"))]
fn main() {
    eprintln!("The page runs in a browser: build it with `cargo xtask build`, or see it with `cargo xtask serve`.");
}
