//! The tables of ARCHITECTURE.md, kept true: which crate uses which, and inside a crate which room uses which. Cargo keeps the
//! walls between crates; between the modules of one crate only a reader of sources can.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A table's rows: the name in the first column, and the names in the last. Names stand in backticks.
fn table(heading: &str) -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = text.split_once(heading).unwrap_or_else(|| panic!("ARCHITECTURE.md has no table {heading}"));
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let name = names(cells[0]).pop_first().unwrap_or_else(|| panic!("a row without a name: {row}"));
        (name, names(cells[cells.len() - 1]))
    })
    .collect()
}

fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Packages of the workspace by the name that the table gives them, with those that they use.
fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO")).args(["metadata", "--format-version=1", "--no-deps"]).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let used = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let used = dependencies.filter(|it| it["kind"] != "dev" && names.contains(it["name"].as_str().unwrap()));
        used.map(|it| short(it["name"].as_str().unwrap())).collect()
    };
    packages.iter().map(|package| (short(package["name"].as_str().unwrap()), used(package))).collect()
}

/// The folder of a package; that at the top is the page.
fn short(package: &str) -> String {
    if package == "inkling" { "page".into() } else { package.trim_start_matches("inkling-").into() }
}

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

/// Names of modules that follow `crate::`, also inside braces.
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

#[test]
fn crates_use_what_the_table_says() {
    assert_eq!(packages(), table("| crate | what it is | uses |"));
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let rooms = table("| room | what it is | may use |");
    let mut broken = vec![];
    for package in rooms.keys().map(|room| room.split_once('/').unwrap().0).collect::<BTreeSet<_>>() {
        let src = if package == "page" { root().join("src") } else { root().join("crates").join(package).join("src") };
        let prefix = format!("{package}/");
        let siblings: BTreeSet<_> = rooms.keys().filter_map(|room| room.strip_prefix(&prefix)).collect();
        for path in sources(&src) {
            let file = path.strip_prefix(&src).unwrap().with_extension("").to_string_lossy().replace('\\', "/");
            let room = file.split('/').next().unwrap();
            if ["lib", "main"].contains(&room) {
                continue;
            }
            let Some(allowed) = rooms.get(&format!("{prefix}{room}")) else {
                broken.push(format!("{} belongs to no room of the table", path.display()));
                continue;
            };
            let used = rooms_used(&fs::read_to_string(&path).unwrap());
            let strangers =
                used.iter().filter(|it| *it != room && siblings.contains(it.as_str()) && !allowed.contains(*it));
            broken.extend(strangers.map(|it| format!("{} uses {it}", path.display())));
        }
    }
    assert!(broken.is_empty(), "against the table of ARCHITECTURE.md:\n{}", broken.join("\n"));
}

#[test]
fn the_reader_of_sources_sees_imports() {
    let source = "use crate::{spec::ModelId, models};\nuse crate::data::Split;\nlet x = burn::tensor::f();";
    assert_eq!(rooms_used(source), BTreeSet::from(["spec", "models", "data"].map(String::from)));
}
