//! The worker program for the CPU. It only calls [`inkling_worker::start`].

fn main() {
    inkling_worker::start();
}
