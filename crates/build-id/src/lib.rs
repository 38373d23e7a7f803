//! Computes the build id: a hash of the sources that decide whether page and worker understand each other's messages
//! and whether two runs compute the same. These are the adapter, core, engine, kernels, shaders and worker crates with
//! their manifests, and the manifest and lock file of the workspace.
//!
//! The build scripts of the programs call it, so that only the programs are rebuilt when the id changes. It never
//! hashes the sources of the page: changing a label does not change the id.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::{env, fs};

/// Crates and files that are hashed, relative to the workspace.
const SOURCES: [&str; 8] = [
    "crates/gpu-adapter",
    "crates/core",
    "crates/engine",
    "crates/kernels",
    "crates/shaders",
    "crates/worker",
    "Cargo.toml",
    "Cargo.lock",
];

/// The parts of a crate that affect a program.
const PARTS: [&str; 2] = ["src", "Cargo.toml"];

/// Sets the environment variable `INKLING_BUILD` to the build id, 16 hexadecimal digits, while Cargo compiles the
/// program whose build script calls this.
///
/// # Panics
/// When it is not called from a build script.
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

/// The nearest ancestor folder with a lock file; `package` itself if there is none.
fn workspace(package: &Path) -> &Path {
    package.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(package)
}

/// Hashes the contents of a file, or of every file below a folder in the order of their paths. Unreadable files are
/// skipped.
fn hash_tree(path: &Path, hasher: &mut DefaultHasher) {
    if let Ok(bytes) = fs::read(path) {
        bytes.hash(hasher);
    } else if let Ok(entries) = fs::read_dir(path) {
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| hash_tree(path, hasher));
    }
}
