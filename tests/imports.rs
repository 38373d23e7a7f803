//! Checks the tables of ARCHITECTURE.md against the sources: which crate uses which, and within a crate which top-level
//! module uses which. Cargo enforces the borders between crates; between the modules of one crate only a scan of the
//! sources can.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of a table: the name in the first column, and the names in the last. Names are in backticks.
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

/// The packages of the workspace by their name in the table, with the packages that they depend on.
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

/// The name of a package in the table: its folder. The package at the root is called `page`.
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

/// The names of the modules that follow `crate::`, also inside braces.
fn modules_used(source: &str) -> BTreeSet<String> {
    // Links in comments are no use of a module.
    let code: Vec<_> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let after_crate = code.split("crate::").skip(1);
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
fn modules_use_only_what_the_table_allows() {
    let modules = table("| room | what it is | may use |");
    let mut violations = vec![];
    for package in modules.keys().map(|module| module.split_once('/').unwrap().0).collect::<BTreeSet<_>>() {
        let src = if package == "page" { root().join("src") } else { root().join("crates").join(package).join("src") };
        let prefix = format!("{package}/");
        let siblings: BTreeSet<_> = modules.keys().filter_map(|module| module.strip_prefix(&prefix)).collect();
        for path in sources(&src) {
            let file = path.strip_prefix(&src).unwrap().with_extension("").to_string_lossy().replace('\\', "/");
            let module = file.split('/').next().unwrap();
            if ["lib", "main"].contains(&module) {
                continue;
            }
            let Some(allowed) = modules.get(&format!("{prefix}{module}")) else {
                violations.push(format!("{} is in no row of the table", path.display()));
                continue;
            };
            let used = modules_used(&fs::read_to_string(&path).unwrap());
            let forbidden =
                used.iter().filter(|it| *it != module && siblings.contains(it.as_str()) && !allowed.contains(*it));
            violations.extend(forbidden.map(|it| format!("{} uses {it}", path.display())));
        }
    }
    assert!(violations.is_empty(), "not allowed by the table of ARCHITECTURE.md:\n{}", violations.join("\n"));
}

#[test]
fn imports_are_found_in_sources() {
    let source = "use crate::{spec::ModelId, models};\nuse crate::data::Split;\nlet x = burn::tensor::f();";
    assert_eq!(modules_used(source), BTreeSet::from(["spec", "models", "data"].map(String::from)));
}
