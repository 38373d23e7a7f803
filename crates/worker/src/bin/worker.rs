//! The worker's program: hands over to [`inkling_worker`].

fn main() {
    inkling_worker::start();
}
