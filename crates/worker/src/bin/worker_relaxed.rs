//! The program of the worker for browsers with relaxed SIMD: the same as the plain one, built with the feature `relaxed`.

fn main() {
    inkling_worker::start();
}
