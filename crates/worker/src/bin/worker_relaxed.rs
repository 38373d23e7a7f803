//! The worker program for browsers with relaxed SIMD: [`inkling_worker::start`], built with the feature `relaxed`.

fn main() {
    inkling_worker::start();
}
