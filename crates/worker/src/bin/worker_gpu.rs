//! The worker program that also supports graphics cards: [`inkling_worker::start`], built with the feature `gpu`.

fn main() {
    inkling_worker::start();
}
