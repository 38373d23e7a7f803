//! Builds and serves the page: gets the tools and the data, then lets Trunk do the work.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::tools::Tools;
use crate::{data, root, run, say, target_dir};

/// What the page is made of: a change in one of these builds it again. Those that do not exist are left out.
const SOURCES: [&str; 10] = [
    "src",
    "crates/adapter/src",
    "crates/core/src",
    "crates/engine/src",
    "crates/kernels/src",
    "crates/shaders/src",
    "crates/worker/src",
    "style",
    "public",
    "index.html",
];
/// Tells the hook where the gzipped files of MNIST are; empty when there are none.
const SITE_DATA: &str = "INKLING_SITE_DATA";
/// Where the page looks for MNIST, relative to itself.
const DATA_IN_SITE: &str = "data/mnist";

/// How to serve.
#[derive(Args)]
pub struct Serve {
    /// The port to serve on.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Open the page in a browser.
    #[arg(long)]
    open: bool,
    /// Accepted as a habit of other tools: the page is always built with optimisations, or it would train too slowly.
    #[arg(long)]
    release: bool,
}

/// How to build.
#[derive(Args)]
pub struct Build {
    /// Where to put the site.
    #[arg(long, default_value = "dist")]
    dist: PathBuf,
}

/// `cargo xtask serve`: builds, serves, and builds again whenever a source changes, until it is stopped.
///
/// # Errors
/// When the port is taken, a tool cannot be had, or the server ends.
pub fn serve(options: &Serve) -> Result<()> {
    check_port(options.port)?;
    let mut trunk = trunk()?;
    trunk.args(["serve", "--address", "127.0.0.1", "--port", &options.port.to_string()]);
    trunk.args(["--open", &options.open.to_string()]);
    if options.release {
        say("The page is always built with optimisations, with or without --release");
    }
    trunk.args(["--release", "true"]);
    // Not dist/: that is for sites to publish.
    trunk.arg("--dist").arg(target_dir()?.join("site/serve"));
    for source in SOURCES.iter().filter(|source| root().join(source).exists()) {
        trunk.args(["--watch", source]);
    }
    say("Building the page and its worker: about 15 minutes the first time on two cores, seconds from then on");
    say(format!("Then the page is at http://127.0.0.1:{} (Ctrl-C stops it)", options.port));
    replace_with(&mut trunk)
}

/// `cargo xtask build`: the static site.
///
/// # Errors
/// When a tool cannot be had or the sources do not compile.
pub fn build(options: &Build) -> Result<()> {
    let dist = env::current_dir()?.join(&options.dist);
    build_into(&dist)?;
    say(format!("The site is in {}: copy it to any host, under any path", dist.display()));
    Ok(())
}

/// Builds the site into a folder.
///
/// # Errors
/// When a tool cannot be had or the sources do not compile.
pub fn build_into(dist: &Path) -> Result<()> {
    let mut trunk = trunk()?;
    say("Building the site: about 15 minutes the first time on two cores");
    let began = Instant::now();
    run(trunk.args(["build", "--release", "true", "--dist"]).arg(dist))?;
    say(format!("Built in {} s", began.elapsed().as_secs()));
    Ok(())
}

/// Builds the page that compares networks with Keras into a folder.
///
/// # Errors
/// When a tool cannot be had or the sources do not compile.
pub fn build_golden_into(dist: &Path) -> Result<()> {
    let mut trunk = Tools::ready()?.trunk()?;
    run(trunk.args(["build", "--release", "true", "--dist"]).arg(dist).arg("crates/golden/index.html"))
}

/// Trunk's hook: puts MNIST beside the page that is being built.
///
/// # Errors
/// When Trunk did not call this, or a file cannot be copied.
pub fn stage_data() -> Result<()> {
    let staging = env::var_os("TRUNK_STAGING_DIR").context("this is for Trunk; run `cargo xtask build`")?;
    match env::var_os(SITE_DATA).filter(|folder| !folder.is_empty()) {
        Some(folder) => data::copy(Path::new(&folder), &Path::new(&staging).join(DATA_IN_SITE)),
        None => Ok(()),
    }
}

/// Trunk, with its tools and the data at hand.
fn trunk() -> Result<Command> {
    let tools = Tools::ready()?;
    let data = data::for_site(&target_dir()?.join("site/mnist"))?;
    let mut trunk = tools.trunk()?;
    trunk.env(SITE_DATA, data.unwrap_or_default());
    Ok(trunk)
}

fn check_port(port: u16) -> Result<()> {
    if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        let other = port.checked_add(1).unwrap_or(8080);
        bail!("port {port} cannot be used ({error}); choose another: cargo xtask serve --port {other}");
    }
    Ok(())
}

/// Becomes the command, so that whoever stops this program stops the server.
#[cfg(unix)]
fn replace_with(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    Err(command.exec()).context("cannot run Trunk")
}

#[cfg(not(unix))]
fn replace_with(command: &mut Command) -> Result<()> {
    run(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_with_a_remedy() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let told = check_port(port).unwrap_err().to_string();
        assert!(told.contains(&port.to_string()) && told.contains("--port"), "{told}");
        drop(taken);
        check_port(port).unwrap();
    }
}
