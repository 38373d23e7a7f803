//! The import table of ARCHITECTURE.md, kept by reading the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room: its name, the rooms it may use, and the outside crates it may name among those watched.
struct Room {
    name: &'static str,
    rooms: &'static [&'static str],
    crates: &'static [&'static str],
}

/// Crates that decide what a room is: whoever names them computes, shows, or talks to the outside.
const WATCHED: &[&str] = &[
    "burn",
    "inkling_kernels",
    "inkling_shaders",
    "leptos",
    "web_sys",
    "gloo",
    "js_sys",
    "wasm_bindgen",
    "ureq",
    "clap",
    "indicatif",
];

const WEB: &[&str] = &["web_sys", "js_sys", "wasm_bindgen", "wasm_bindgen_futures"];

const ROOMS: &[Room] = &[
    Room { name: "spec", rooms: &[], crates: &[] },
    Room { name: "ink", rooms: &["spec"], crates: &[] },
    Room { name: "judge", rooms: &["spec"], crates: &[] },
    Room { name: "receipt", rooms: &["spec", "judge", "zoo"], crates: &[] },
    Room { name: "plot", rooms: &["spec", "protocol"], crates: &[] },
    Room { name: "data", rooms: &["spec", "ink"], crates: &[] },
    Room { name: "data/batch", rooms: &["spec"], crates: &["burn"] },
    Room { name: "zoo", rooms: &["spec"], crates: &[] },
    Room { name: "network", rooms: &["spec", "zoo"], crates: &["burn", "inkling_kernels", "inkling_shaders"] },
    Room { name: "train", rooms: &["spec", "data", "zoo", "network"], crates: &["burn", "inkling_shaders"] },
    Room { name: "train/loss", rooms: &["spec", "data", "network"], crates: &["burn", "inkling_shaders"] },
    Room { name: "train/feed", rooms: &["spec", "data", "network"], crates: &["burn", "inkling_shaders"] },
    Room {
        name: "train/optimizer",
        rooms: &["spec", "network"],
        crates: &["burn", "inkling_kernels", "inkling_shaders"],
    },
    Room {
        name: "engine",
        rooms: &["spec", "protocol", "data", "zoo", "network", "train"],
        crates: &["burn", "inkling_kernels", "inkling_shaders"],
    },
    Room {
        name: "engine/adapter",
        rooms: &["spec", "protocol", "webgpu"],
        crates: &["burn", "inkling_shaders", "js_sys", "wasm_bindgen"],
    },
    Room {
        name: "engine/rehearsal",
        rooms: &["spec", "data", "network", "train"],
        crates: &["burn", "inkling_shaders", "js_sys", "wasm_bindgen", "wasm_bindgen_futures"],
    },
    Room { name: "protocol", rooms: &["spec", "judge"], crates: &[] },
    Room { name: "card", rooms: &["spec", "protocol", "zoo"], crates: &[] },
    Room { name: "run", rooms: &["spec", "judge", "protocol"], crates: &[] },
    Room {
        name: "session",
        rooms: &["spec", "judge", "protocol", "data", "zoo", "network", "train", "engine"],
        crates: &[],
    },
    Room { name: "worker", rooms: &["spec", "protocol", "data", "train", "session"], crates: WEB },
    Room { name: "files", rooms: &["spec", "data"], crates: &["ureq"] },
    Room {
        name: "cli",
        rooms: &[
            "spec", "judge", "receipt", "protocol", "run", "card", "data", "zoo", "network", "train", "engine",
            "session", "files",
        ],
        crates: &["burn", "clap", "indicatif"],
    },
    Room {
        name: "ui",
        rooms: &["spec", "zoo", "judge", "receipt", "protocol", "run", "card", "plot", "ink", "webgpu"],
        crates: &["leptos", "web_sys", "gloo", "js_sys", "wasm_bindgen"],
    },
    Room { name: "webgpu", rooms: &[], crates: &["js_sys", "wasm_bindgen"] },
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The most particular room whose name begins the file's path.
fn room(file: &str) -> Option<&'static Room> {
    let belongs = |room: &&Room| file == room.name || file.starts_with(&format!("{}/", room.name));
    ROOMS.iter().filter(belongs).max_by_key(|room| room.name.len())
}

/// Names of rooms that follow `crate::`, also inside braces.
fn rooms_used(source: &str) -> BTreeSet<String> {
    let after_crate = source.split("crate::").skip(1);
    after_crate.flat_map(|rest| if rest.starts_with('{') { grouped(rest) } else { vec![name(rest)] }).collect()
}

fn grouped(rest: &str) -> Vec<String> {
    let group = rest.split('}').next().unwrap_or_default();
    group.trim_start_matches('{').split(',').map(|item| name(item.trim())).collect()
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn names_crate(source: &str, name: &str) -> bool {
    source.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = source[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn every_room_uses_only_what_it_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let known: BTreeSet<&str> = ROOMS.iter().map(|room| room.name).filter(|name| !name.contains('/')).collect();
    let mut broken = vec![];
    for path in sources(&src) {
        let file = path.strip_prefix(&src).unwrap().with_extension("").to_string_lossy().replace('\\', "/");
        if file == "lib" || file.starts_with("bin/") {
            continue;
        }
        let Some(room) = room(&file) else {
            broken.push(format!("src/{file}.rs belongs to no room of the table"));
            continue;
        };
        let source = fs::read_to_string(&path).unwrap();
        let own = room.name.split('/').next().unwrap();
        let rooms = rooms_used(&source);
        let strangers = rooms.iter().map(String::as_str).filter(|r| known.contains(r) && *r != own);
        broken.extend(strangers.filter(|r| !room.rooms.contains(r)).map(|r| format!("src/{file}.rs uses {r}")));
        let watched = WATCHED.iter().filter(|name| names_crate(&source, name) && !room.crates.contains(name));
        broken.extend(watched.map(|name| format!("src/{file}.rs names {name}")));
    }
    assert!(broken.is_empty(), "against the table of ARCHITECTURE.md:\n{}", broken.join("\n"));
}

#[test]
fn the_reader_of_sources_sees_imports() {
    let source =
        "use crate::{spec::ModelId, zoo};\nuse crate::data::Split;\nlet x = burn::tensor::f();\nuse my_burn::y;";
    assert_eq!(rooms_used(source), BTreeSet::from(["spec", "zoo", "data"].map(String::from)));
    assert!(names_crate(source, "burn") && !names_crate(source, "leptos") && !names_crate("use my_burn::y;", "burn"));
}
