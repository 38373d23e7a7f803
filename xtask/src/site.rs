//! Builds and serves the page: provides the tools and the data, then runs Trunk. It never compiles anything itself.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::platform::replace_with;
use crate::tools::Tools;
use crate::{data, report, root, run, target_dir};

/// The page's sources: `serve` rebuilds when one of these changes. Paths that do not exist are not watched.
const SOURCES: [&str; 10] = [
    "src",
    "crates/gpu-adapter/src",
    "crates/core/src",
    "crates/engine/src",
    "crates/kernels/src",
    "crates/shaders/src",
    "crates/worker/src",
    "style",
    "public",
    "index.html",
];
/// The environment variable that names the folder of MNIST's gzipped files to [`stage`]; empty if there is none.
const SITE_DATA: &str = "INKLING_SITE_DATA";
/// The folder from which the page loads MNIST, relative to the site.
const DATA_IN_SITE: &str = "data/mnist";

/// The options of `cargo xtask serve`.
#[derive(Args)]
pub struct Serve {
    /// The port to serve on.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Open the page in a browser.
    #[arg(long)]
    open: bool,
    /// Has no effect: the page is always built with optimisations, because it would train too slowly without.
    #[arg(long)]
    release: bool,
}

/// The options of `cargo xtask build`.
#[derive(Args)]
pub struct Build {
    /// Where to put the site.
    #[arg(long, default_value = "dist")]
    dist: PathBuf,
}

/// `cargo xtask serve`: builds and serves the page, and rebuilds it whenever a source changes, until it is stopped.
///
/// # Errors
/// When the port is taken, a tool is not available, or the server ends.
pub fn serve(options: &Serve) -> Result<()> {
    check_port(options.port)?;
    let mut trunk = trunk()?;
    trunk.args(["serve", "--address", "127.0.0.1", "--port", &options.port.to_string()]);
    trunk.args(["--open", &options.open.to_string()]);
    if options.release {
        report("The page is always built with optimisations, with or without --release");
    }
    trunk.args(["--release", "true"]);
    // Not dist/, which is for sites to publish.
    trunk.arg("--dist").arg(target_dir()?.join("site/serve"));
    for source in SOURCES.iter().filter(|source| root().join(source).exists()) {
        trunk.args(["--watch", source]);
    }
    report("Building the page and its worker: about 15 minutes the first time on two cores, seconds from then on");
    report(format!("Then the page is at http://127.0.0.1:{} (Ctrl-C stops it)", options.port));
    replace_with(&mut trunk)
}

/// `cargo xtask build`: builds the static site.
///
/// # Errors
/// When a tool is not available or the sources do not compile.
pub fn build(options: &Build) -> Result<()> {
    let dist = env::current_dir()?.join(&options.dist);
    build_into(&dist)?;
    report(format!("The site is in {}: copy it to any host, under any path", dist.display()));
    Ok(())
}

/// Builds the site into the folder `dist`.
///
/// # Errors
/// When a tool is not available or the sources do not compile.
pub fn build_into(dist: &Path) -> Result<()> {
    let mut trunk = trunk()?;
    report("Building the site: about 15 minutes the first time on two cores");
    let began = Instant::now();
    run(trunk.args(["build", "--release", "true", "--dist"]).arg(dist))?;
    report(format!("Built in {} s", began.elapsed().as_secs()));
    Ok(())
}

/// Builds the page that compares networks with Keras into the folder `dist`.
///
/// # Errors
/// When a tool is not available or the sources do not compile.
pub fn build_golden_into(dist: &Path) -> Result<()> {
    let mut trunk = Tools::ready()?.trunk()?;
    run(trunk.args(["build", "--release", "true", "--dist"]).arg(dist).arg("crates/golden/index.html"))
}

/// Trunk's hook: copies MNIST beside the page that is being built, and has it preload nothing of the workers.
///
/// # Errors
/// When the caller is not Trunk, or a file cannot be read or written.
pub fn stage() -> Result<()> {
    let staging = env::var_os("TRUNK_STAGING_DIR").context("this is for Trunk; run `cargo xtask build`")?;
    let index = Path::new(&staging).join("index.html");
    let html = fs::read_to_string(&index).with_context(|| format!("cannot read {}", index.display()))?;
    fs::write(&index, without_snippets(&html)).with_context(|| format!("cannot write {}", index.display()))?;
    match env::var_os(SITE_DATA).filter(|folder| !folder.is_empty()) {
        Some(folder) => data::copy(Path::new(&folder), &Path::new(&staging).join(DATA_IN_SITE)),
        None => Ok(()),
    }
}

/// The page without links that preload JavaScript snippets. It has none of its own: when an earlier build left those of a
/// worker, Trunk takes them for the page's.
fn without_snippets(html: &str) -> String {
    const PRELOAD: &str = "<link rel=\"modulepreload\" href=\"./snippets/";
    let mut parts = html.split(PRELOAD);
    let before = parts.next().unwrap_or_default().to_owned();
    // Each further part begins within the link.
    parts.fold(before, |page, part| page + part.split_once('>').map_or("", |(_, rest)| rest))
}

/// A command that runs Trunk, with the tools on its `PATH` and the folder of the data in [`SITE_DATA`].
fn trunk() -> Result<Command> {
    let tools = Tools::ready()?;
    let data = data::for_site(&target_dir()?.join("site/mnist"))?;
    let mut trunk = tools.trunk()?;
    trunk.env(SITE_DATA, data.unwrap_or_default());
    Ok(trunk)
}

/// Checks that a port is free; the error suggests another one.
fn check_port(port: u16) -> Result<()> {
    if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        let other = port.checked_add(1).unwrap_or(8080);
        bail!("port {port} cannot be used ({error}); choose another: cargo xtask serve --port {other}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_workers_is_preloaded() {
        let link = |file: &str| format!("<link rel=\"modulepreload\" href=\"./{file}\" integrity=\"sha384-a+b\">");
        let page = |links: &[String]| format!("<head>{}</head><body></body>", links.concat());
        let (own, foreign) = (link("app.js"), link("snippets/inkling-engine-1/inline0.js"));
        assert_eq!(without_snippets(&page(&[foreign.clone(), own.clone(), foreign])), page(&[own]));
        assert_eq!(without_snippets("<head></head>"), "<head></head>");
    }

    #[test]
    fn a_taken_port_is_reported_with_a_remedy() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = check_port(port).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
        drop(taken);
        check_port(port).unwrap();
    }
}
