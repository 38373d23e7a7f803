//! The worker's program: hands over to [`inkling::worker`].

fn main() {
    #[cfg(target_family = "wasm")]
    inkling::worker::start();
}
