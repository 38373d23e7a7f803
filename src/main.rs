//! The page's binary: mounts `inkling::views` in a browser. Anywhere else it only prints how to build the page.

#[cfg(target_family = "wasm")]
fn main() {
    inkling::link::panic_notice::install();
    inkling::views::page::mount();
}

#[cfg(not(target_family = "wasm"))]
fn main() {
    eprintln!("The page runs in a browser: build it with `cargo xtask build`, or see it with `cargo xtask serve`.");
}
