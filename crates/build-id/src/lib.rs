//! Names a build after the sources that decide whether a page and a worker understand one another, and whether two runs
//! compute the same: the core, the engine, its kernels and shaders, the worker, and all manifests. Called by the build scripts
//! of the programs, so that nothing but a program is built again when the name changes. A label on the page changes no name.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::{env, fs};

/// Relative to the workspace.
const SOURCES: [&str; 8] = [
    "crates/adapter",
    "crates/core",
    "crates/engine",
    "crates/kernels",
    "crates/shaders",
    "crates/worker",
    "Cargo.toml",
    "Cargo.lock",
];

/// What of a crate is compiled into a program.
const PARTS: [&str; 2] = ["src", "Cargo.toml"];

/// Sets `INKLING_BUILD`, 16 hexadecimal digits, for the program whose build script calls this.
pub fn emit() {
    let package = env::var("CARGO_MANIFEST_DIR").expect("Cargo tells every build script its package");
    let workspace = workspace(Path::new(&package));
    let mut hasher = DefaultHasher::new();
    for source in SOURCES {
        let path = workspace.join(source);
        let parts = if path.is_dir() { PARTS.map(|part| path.join(part)).to_vec() } else { vec![path] };
        for part in parts {
            hash_tree(&part, &mut hasher);
            println!("cargo:rerun-if-changed={}", part.display());
        }
    }
    println!("cargo:rustc-env=INKLING_BUILD={:016x}", hasher.finish());
}

/// The nearest folder above that holds the workspace's lock file.
fn workspace(package: &Path) -> &Path {
    package.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(package)
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
