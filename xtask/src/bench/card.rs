//! This machine's graphics card: compares the tab with the command line, and the command line with PyTorch and burn's
//! own operations, on the same networks. The programs run in turns, so ratios are of the same session. It never changes
//! the card's settings. The table names the card, also if it is a software adapter.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail};
use browser_driver::server::StaticServer;
use flate2::read::GzDecoder;
use inkling_core::data::mnist::FILES;
use inkling_core::spec::ModelId;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::accuracy;
use super::figure::{Case, Measurement, ratio, repeat};
use super::native::{Release, Work};
use super::tab::Run;
use super::visit::{LONG_TIMEOUT, Site, Visit};
use crate::platform::link;
use crate::{data, root};

/// Networks and batch sizes: every published network at the batch size of most recipes, and two small networks at a
/// batch size that fills a large card.
const LOADS: [(ModelId, usize); 7] = [
    (ModelId::Compact, 128),
    (ModelId::Classic, 128),
    (ModelId::Leaky, 128),
    (ModelId::Strided, 128),
    (ModelId::Wide, 128),
    (ModelId::Compact, 1_024),
    (ModelId::Classic, 1_024),
];

/// Other libraries in the tab, and the networks that each of them can train.
const PEERS: [(&str, ModelId); 3] =
    [("jaxjs", ModelId::Classic), ("tfjs", ModelId::Classic), ("tfjs", ModelId::Compact)];

/// Timed steps of PyTorch and burn, after steps that are not timed.
const N_STEPS: &str = "200";

/// Other programs to compare with, if available.
pub struct Beside<'a> {
    /// A Python that has PyTorch.
    pub torch: Option<&'a Path>,
    /// A program that trains by burn's own operations.
    pub burn: Option<&'a Path>,
    /// A folder with pages of other libraries.
    pub peers: Option<&'a Path>,
}

/// One network at one batch size, to be measured with every program.
struct Load<'a> {
    model: ModelId,
    batch: usize,
    n_images: usize,
    site: &'a Site,
    release: &'a Release,
}

/// Measures everything; the first row names the card. `program` is the built command line, which is built if it is
/// `None`; `n_images` is the number of training images of each run.
///
/// # Errors
/// When the command line cannot be built, the page does not open on a card, or the pages of other libraries cannot be
/// prepared.
pub fn measure(
    site: &Site,
    program: Option<&Path>,
    beside: &Beside<'_>,
    n_images: usize,
    n_rounds: usize,
) -> Result<Vec<Measurement>> {
    let release = program.map_or_else(Release::build_for_cards, Release::copied)?;
    let card = Visit::ready(site, "engine=webgpu&model=compact")?.page.text("engine")?;
    let mut measurements = vec![Measurement::new("the card, as the page names it", "", "").beside(card)];
    for (model, batch) in LOADS {
        measurements.extend(Load { model, batch, n_images, site, release: &release }.measure(beside, n_rounds));
    }
    let first = Case {
        measurements: vec![Measurement::new("compact: from the address to the first step", "WebGPU, new profile", "s")],
        measure: Box::new(|| Ok(vec![first_step(site)?])),
    };
    measurements.extend(repeat(n_rounds, vec![first]));
    measurements.extend(accuracy::measure(site, "engine=webgpu&sprint=1", n_rounds)?);
    match beside.peers {
        Some(folder) => measurements.extend(Peers::of(folder)?.measure(&measurements)),
        None => measurements.push(Measurement::not_run("other libraries in the tab", "give --peers DIR")),
    }
    Ok(measurements)
}

/// Seconds from opening the address to the first training step that the page shows.
fn first_step(site: &Site) -> Result<f64> {
    let mut visit = Visit::open(site, "engine=webgpu&dataset=mnist&model=compact&start=1")?;
    Ok(visit.noted("$.first.loss")? / 1000.0)
}

impl Load<'_> {
    fn measure(&self, beside: &Beside<'_>, n_rounds: usize) -> Vec<Measurement> {
        let Self { model, batch, n_images, .. } = *self;
        let run = Run { engine: "webgpu", model, batch, n_images };
        let measurement = |who: &str, how: String| vec![Measurement::new(format!("{model}, {who}"), how, "images/s")];
        let how = || format!("batch {batch}, {n_images} images");
        let work = Work { engine: "gpu", model, batch, n_images };
        let mut cases = vec![
            Case {
                measurements: measurement("tab", how()),
                measure: Box::new(move || Ok(vec![run.measure(self.site)?[0]])),
            },
            Case {
                measurements: measurement("command line", how()),
                measure: Box::new(move || Ok(vec![self.release.images_per_second(work, &[])?])),
            },
        ];
        let steps = || format!("batch {batch}, {N_STEPS} steps, images as they are");
        if let Some(python) = beside.torch {
            let measurements = ["PyTorch", "PyTorch, CUDA graph"].map(|who| measurement(who, steps())).concat();
            let script = root().join("benches/torch_pace.py");
            let measure = move || numbers(Command::new(python).arg(&script), model, batch);
            cases.push(Case { measurements, measure: Box::new(measure) });
        }
        if let Some(program) = beside.burn {
            let measure = move || numbers(&mut Command::new(program), model, batch);
            cases
                .push(Case { measurements: measurement("burn's own operations", steps()), measure: Box::new(measure) });
        }
        let mut measurements = repeat(n_rounds, cases);
        let others: Vec<_> = measurements[2..].iter().map(|other| ratio(&measurements[1], other)).collect();
        measurements.push(ratio(&measurements[0], &measurements[1]));
        measurements.extend(others);
        measurements
    }
}

/// Runs a program with a network, a batch size and [`N_STEPS`] as arguments; returns the numbers that it prints, one
/// per line.
fn numbers(program: &mut Command, model: ModelId, batch: usize) -> Result<Vec<f64>> {
    let output = program.args([model.id(), &batch.to_string(), N_STEPS]).output().context("it cannot be run")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("it failed: {}", errors.lines().last().unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| line.parse().with_context(|| format!("it tells no number: {line}"))).collect()
}

/// A copy of the pages of other libraries, each with a function `bench`, together with MNIST's files, unpacked.
struct Peers {
    folder: TempDir,
}

impl Peers {
    /// Copies the pages of a folder, links its `node_modules`, and unpacks MNIST beside them.
    fn of(folder: &Path) -> Result<Self> {
        let copy = tempfile::tempdir()?;
        for entry in fs::read_dir(folder).with_context(|| format!("{} is no folder", folder.display()))? {
            let path = entry?.path();
            if let (true, Some(name)) = (path.is_file(), path.file_name()) {
                fs::write(copy.path().join(name), fs::read(&path)?)?;
            }
        }
        link(&fs::canonicalize(folder)?.join("node_modules"), &copy.path().join("node_modules"))?;
        let (mnist, to) = (data::ensure_mnist()?, copy.path().join("mnist"));
        fs::create_dir_all(&to)?;
        for file in &FILES {
            let plain = mnist.join(file.name);
            if plain.is_file() {
                fs::write(to.join(file.name), fs::read(plain)?)?;
            } else {
                let mut packed = GzDecoder::new(fs::File::open(mnist.join(file.packed_name))?);
                io::copy(&mut packed, &mut fs::File::create(to.join(file.name))?)?;
            }
        }
        Ok(Self { folder: copy })
    }

    /// Measures each library once, and adds the ratio of our tab to it, from `ours`.
    fn measure(&self, ours: &[Measurement]) -> Vec<Measurement> {
        let measure_one = |(library, model): (&str, ModelId)| {
            let measurement =
                Measurement::new(format!("{model}, {library} on WebGPU in the tab"), "batch 128", "images/s");
            let theirs = match self.images_per_second(library, model) {
                Ok(pace) => measurement.with(vec![pace]),
                Err(error) => measurement.beside(super::failure(1, &error)),
            };
            let tab = ours.iter().find(|measurement| measurement.what == format!("{model}, tab"));
            let beside = tab
                .map(|tab| ratio(&Measurement { values: tab.median().into_iter().collect(), ..tab.clone() }, &theirs));
            [Some(theirs), beside]
        };
        PEERS.into_iter().flat_map(measure_one).flatten().collect()
    }

    fn images_per_second(&self, library: &str, model: ModelId) -> Result<f64> {
        let server = StaticServer::start(self.folder.path(), "/")?;
        let mut browser =
            browser_driver::Browser::launch(&browser_driver::find()?, browser_driver::GRAPHICS_CARD_FLAGS)?;
        let mut page = browser.page()?;
        page.navigate(&format!("{}{library}.html", server.url()))?;
        page.wait_for("window.ready === true", LONG_TIMEOUT)?;
        let work = json!({
            "backend": "webgpu", "kind": model.id(), "batch": 128, "warm": 10, "steps": 50,
            "images": format!("/mnist/{}", FILES[0].name), "labels": format!("/mnist/{}", FILES[1].name),
        });
        let result: Value = page.evaluate(&format!("window.bench({work})"))?;
        result["images_per_s"].as_f64().with_context(|| format!("it tells no images a second: {result}"))
    }
}
