//! Compares the tab with other JavaScript libraries on the same work, in turns. The user provides their harness as a
//! folder: it is copied, npm installs its packages, and its `run.mjs` prints one line per case. The harness is never
//! part of this project.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use inkling_core::spec::ModelId;
use serde_json::Value;
use tempfile::TempDir;

use super::figure::{Case, Measurement, ratio, repeat};
use super::tab::Run;
use super::visit::Site;
use crate::{data, report, run, target_dir};

/// The default cases: those backends of each library that can train.
pub const CASES: &str = "jaxjs:webgpu:classic,jaxjs:wasm:classic,tfjs:webgl:classic,tfjs:webgpu:classic";

/// A copy of the harness with its packages installed.
struct Harness {
    folder: TempDir,
    /// The folder of MNIST's files.
    mnist: PathBuf,
    /// Batch size.
    batch: usize,
}

/// Measures the libraries and our tab in turns, and the ratio for each case. `cases` are separated by commas. Without a
/// harness, the table says so.
///
/// # Errors
/// When a case is invalid, or the harness cannot be prepared.
pub fn measure(
    site: &Site,
    folder: Option<&Path>,
    (cases, batch): (&str, usize),
    n_rounds: usize,
) -> Result<Vec<Measurement>> {
    let Some(folder) = folder else {
        return Ok(vec![Measurement::not_run(
            "peers",
            "give --peers DIR, a folder with package.json and run.mjs, and have Node",
        )]);
    };
    let harness = Harness::prepare(folder, batch)?;
    let peers: Vec<Peer> = cases.split(',').map(Peer::named).collect::<Result<_>>()?;
    let mut ours: Vec<Run> = vec![];
    for run in peers.iter().map(|peer| peer.ours(batch)) {
        if !ours.iter().any(|known| (known.engine, known.model) == (run.engine, run.model)) {
            ours.push(run);
        }
    }
    let our_cases = ours.iter().map(|run| speed_only(run.case(site)));
    let all = our_cases.chain(peers.iter().map(|peer| harness.case(peer)));
    let mut measurements = repeat(n_rounds, all.collect());
    for (index, peer) in peers.iter().enumerate() {
        let run = peer.ours(batch);
        let same = ours.iter().position(|ours| (ours.engine, ours.model) == (run.engine, run.model)).unwrap_or(0);
        measurements.push(ratio(&measurements[same], &measurements[ours.len() + index]));
    }
    Ok(measurements)
}

/// Drops all measurements of a case but the first, the images per second.
fn speed_only(mut case: Case<'_>) -> Case<'_> {
    case.measurements.truncate(1);
    case
}

/// One case of the harness: a library, its backend and a network.
struct Peer {
    /// `LIBRARY:BACKEND:MODEL`.
    case: String,
    backend: String,
    model: ModelId,
}

impl Peer {
    /// Parses `LIBRARY:BACKEND:MODEL`.
    fn named(case: &str) -> Result<Self> {
        let [library, backend, model] = case.split(':').collect::<Vec<_>>()[..] else {
            bail!("{case} is no case; write LIBRARY:BACKEND:MODEL, such as jaxjs:webgpu:classic");
        };
        Ok(Self { case: format!("{library}:{backend}:{model}"), backend: backend.into(), model: model.parse()? })
    }

    /// Our run to compare with, on the same device.
    fn ours(&self, batch: usize) -> Run {
        let on_webgpu = Run { batch, n_images: 3 * batch, ..Run::on_webgpu(self.model) };
        // More images than on WebGPU, because the CPU engine is much faster.
        if self.backend == "wasm" { Run { engine: "cpu", n_images: 30 * batch, ..on_webgpu } } else { on_webgpu }
    }
}

impl Harness {
    /// Copies the harness and installs its packages.
    fn prepare(folder: &Path, batch: usize) -> Result<Self> {
        // In the target folder, because the system's temporary folder may be too small for npm's packages.
        fs::create_dir_all(target_dir()?)?;
        let copy = tempfile::Builder::new().prefix("peers-").tempdir_in(target_dir()?)?;
        for entry in fs::read_dir(folder).with_context(|| format!("{} is no folder", folder.display()))? {
            let path = entry?.path();
            if let (true, Some(name)) = (path.is_file(), path.file_name()) {
                fs::write(copy.path().join(name), fs::read(&path)?)?;
            }
        }
        report("Installing the peers' packages");
        let install = &["install", "--no-audit", "--no-fund", "--loglevel=error"];
        run(Command::new("npm").args(install).current_dir(copy.path()))?;
        Ok(Self { folder: copy, mnist: data::ensure_mnist()?, batch })
    }

    fn case<'a>(&'a self, peer: &'a Peer) -> Case<'a> {
        Case {
            measurements: vec![Measurement::new(
                &peer.case,
                format!("batch {}, three steps after a first", self.batch),
                "images/s",
            )],
            measure: Box::new(move || Ok(vec![self.images_per_second(&peer.case)?])),
        }
    }

    fn images_per_second(&self, case: &str) -> Result<f64> {
        let mut node = Command::new("node");
        node.args(["run.mjs", "--warm", "1", "--steps", "3", "--timeout", "900", "--only", case]);
        node.args(["--batch", &self.batch.to_string()]);
        node.arg("--mnist").arg(&self.mnist).env("CHROME", browser_driver::find()?).current_dir(self.folder.path());
        let mut node = node.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("cannot run node")?;
        let lines = BufReader::new(node.stdout.take().context("node has no output")?).lines();
        // The harness prints its result, and then runs on until its own timeout.
        let result = lines.map_while(Result::ok).find(|line| line.starts_with(case));
        node.kill().and_then(|()| node.wait()).context("cannot end node")?;
        speed(&result.unwrap_or_default(), case)
    }
}

/// The images per second of a case in the harness's output. Its line is the case followed by JSON, or by an error.
fn speed(output: &str, case: &str) -> Result<f64> {
    let result =
        output.lines().find_map(|line| line.strip_prefix(case)).with_context(|| format!("nothing about {case}"))?;
    let result: Value = serde_json::from_str(result.trim()).map_err(|_| anyhow::anyhow!("{}", result.trim()))?;
    result["images_per_s"].as_f64().with_context(|| result["error"].as_str().unwrap_or("no images a second").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_s_output_is_parsed() {
        let output = "noise\njaxjs:webgpu:classic {\"backend\":\"webgpu\",\"images_per_s\":7.0,\"first\":2.3}\ntfjs:webgpu:classic ERROR Error: timeout\ntfjs:wasm:classic {\"error\":\"no kernel\"}\n";
        assert_eq!(speed(output, "jaxjs:webgpu:classic").unwrap(), 7.0);
        assert!(speed(output, "tfjs:webgpu:classic").unwrap_err().to_string().contains("timeout"));
        assert!(speed(output, "tfjs:wasm:classic").unwrap_err().to_string().contains("no kernel"));
        assert!(speed(output, "tfjs:webgl:classic").unwrap_err().to_string().contains("nothing about"));
    }

    #[test]
    fn a_case_names_library_backend_and_model() {
        let peer = Peer::named("jaxjs:wasm:classic").unwrap();
        assert_eq!((peer.ours(32).engine, peer.ours(32).model), ("cpu", ModelId::Classic));
        assert_eq!(Peer::named("tfjs:webgl:compact").unwrap().ours(32).engine, "webgpu");
        assert!(Peer::named("tfjs:webgl").is_err() && Peer::named("tfjs:webgl:lenet").is_err());
        assert!(CASES.split(',').all(|case| Peer::named(case).is_ok()));
    }
}
