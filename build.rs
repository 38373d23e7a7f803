//! Names the build after its sources, so that a page and a worker of different builds can tell.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;

fn main() {
    let mut hasher = DefaultHasher::new();
    for source in ["src", "kernels/src", "shaders/src", "Cargo.toml", "Cargo.lock"] {
        hash_tree(Path::new(source), &mut hasher);
        println!("cargo:rerun-if-changed={source}");
    }
    println!("cargo:rustc-env=INKLING_BUILD={:016x}", hasher.finish());
}

/// Hashes a file, or every file below a folder in the order of their names.
fn hash_tree(path: &Path, hasher: &mut DefaultHasher) {
    if let Ok(bytes) = fs::read(path) {
        bytes.hash(hasher);
    } else if let Ok(entries) = fs::read_dir(path) {
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| hash_tree(path, hasher));
    }
}
