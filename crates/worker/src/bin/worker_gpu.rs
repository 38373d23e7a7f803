//! The program of the worker that also has graphics cards: the same as the other one, built with the feature `gpu`.

fn main() {
    inkling_worker::start();
}
