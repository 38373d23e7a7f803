//! This machine's graphics card: the tab beside the command line, and the command line beside PyTorch and burn's own
//! operations, on the same networks, in turns. Ratios of one sitting; a card that is a program says so in the table.

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
use super::figure::{Case, Figure, ratio, repeat};
use super::native::{Release, Work};
use super::tab::Run;
use super::visit::{PATIENTLY, Site, Visit};
use crate::{data, root};

/// Every published network at the batch of most recipes, and two small ones at a batch that fills a large card.
const LOADS: [(ModelId, usize); 7] = [
    (ModelId::Compact, 128),
    (ModelId::Classic, 128),
    (ModelId::Leaky, 128),
    (ModelId::Strided, 128),
    (ModelId::Wide, 128),
    (ModelId::Compact, 1_024),
    (ModelId::Classic, 1_024),
];

/// Other libraries in the tab: what of them trains which network.
const PEERS: [(&str, ModelId); 3] =
    [("jaxjs", ModelId::Classic), ("tfjs", ModelId::Classic), ("tfjs", ModelId::Compact)];

/// Steps of PyTorch, of burn and of the other libraries that are timed; the ones before them are not.
const N_STEPS: &str = "200";

/// What else is measured, where it is at hand.
pub struct Beside<'a> {
    /// A Python that has PyTorch.
    pub torch: Option<&'a Path>,
    /// A program that trains by burn's own operations.
    pub burn: Option<&'a Path>,
    /// A folder with pages of other libraries.
    pub peers: Option<&'a Path>,
}

/// One network at one batch, by everybody.
struct Load<'a> {
    model: ModelId,
    batch: usize,
    n_images: usize,
    site: &'a Site,
    release: &'a Release,
}

/// The whole table. The first row names the card.
///
/// # Errors
/// When the command line cannot be built, or the page does not open on a card.
pub fn measure(
    site: &Site,
    program: Option<&Path>,
    beside: &Beside<'_>,
    n_images: usize,
    n_rounds: usize,
) -> Result<Vec<Figure>> {
    let release = program.map_or_else(Release::build_for_cards, Release::copied)?;
    let card = Visit::ready(site, "engine=webgpu&model=compact")?.page.text("engine")?;
    let mut figures = vec![Figure::new("the card, as the page names it", "", "").beside(card)];
    for (model, batch) in LOADS {
        figures.extend(Load { model, batch, n_images, site, release: &release }.measure(beside, n_rounds));
    }
    let first = Case {
        figures: vec![Figure::new("compact: from the address to the first step", "WebGPU, new profile", "s")],
        measure: Box::new(|| Ok(vec![first_step(site)?])),
    };
    figures.extend(repeat(n_rounds, vec![first]));
    figures.extend(accuracy::measure(site, "engine=webgpu&sprint=1", n_rounds)?);
    match beside.peers {
        Some(folder) => figures.extend(Peers::of(folder)?.measure(&figures)),
        None => figures.push(Figure::not_run("other libraries in the tab", "give --peers DIR")),
    }
    Ok(figures)
}

/// Seconds from the address to the first step that the page shows.
fn first_step(site: &Site) -> Result<f64> {
    let mut visit = Visit::open(site, "engine=webgpu&dataset=mnist&model=compact&start=1")?;
    Ok(visit.noted("$.first.loss")? / 1000.0)
}

impl Load<'_> {
    fn measure(&self, beside: &Beside<'_>, n_rounds: usize) -> Vec<Figure> {
        let Self { model, batch, n_images, .. } = *self;
        let run = Run { engine: "webgpu", model, batch, n_images };
        let figure = |who: &str, how: String| vec![Figure::new(format!("{model}, {who}"), how, "images/s")];
        let how = || format!("batch {batch}, {n_images} images");
        let work = Work { engine: "gpu", model, batch, n_images };
        let mut cases = vec![
            Case { figures: figure("tab", how()), measure: Box::new(move || Ok(vec![run.measure(self.site)?[0]])) },
            Case {
                figures: figure("command line", how()),
                measure: Box::new(move || Ok(vec![self.release.images_per_second(work, &[])?])),
            },
        ];
        let steps = || format!("batch {batch}, {N_STEPS} steps, images as they are");
        if let Some(python) = beside.torch {
            let figures = ["PyTorch", "PyTorch, CUDA graph"].map(|who| figure(who, steps())).concat();
            let script = root().join("benches/torch_pace.py");
            let measure = move || numbers(Command::new(python).arg(&script), model, batch);
            cases.push(Case { figures, measure: Box::new(measure) });
        }
        if let Some(program) = beside.burn {
            let measure = move || numbers(&mut Command::new(program), model, batch);
            cases.push(Case { figures: figure("burn's own operations", steps()), measure: Box::new(measure) });
        }
        let mut figures = repeat(n_rounds, cases);
        let others: Vec<_> = figures[2..].iter().map(|other| ratio(&figures[1], other)).collect();
        figures.push(ratio(&figures[0], &figures[1]));
        figures.extend(others);
        figures
    }
}

/// The numbers that a program prints, one a line, when it is given a network, a batch and so many steps.
fn numbers(program: &mut Command, model: ModelId, batch: usize) -> Result<Vec<f64>> {
    let output = program.args([model.id(), &batch.to_string(), N_STEPS]).output().context("it cannot be run")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("it failed: {}", said.lines().last().unwrap_or_default());
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().map(|line| line.parse().with_context(|| format!("it tells no number: {line}"))).collect()
}

/// Pages of other libraries, each with a function `bench`, beside unpacked images.
struct Peers {
    folder: TempDir,
}

impl Peers {
    fn of(folder: &Path) -> Result<Self> {
        let copy = tempfile::tempdir()?;
        for entry in fs::read_dir(folder).with_context(|| format!("{} is no folder", folder.display()))? {
            let path = entry?.path();
            if let (true, Some(name)) = (path.is_file(), path.file_name()) {
                fs::write(copy.path().join(name), fs::read(&path)?)?;
            }
        }
        link(&fs::canonicalize(folder)?.join("node_modules"), &copy.path().join("node_modules"))?;
        let (mnist, to) = (data::bring()?, copy.path().join("mnist"));
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

    /// Each library once, and the tab beside it.
    fn measure(&self, ours: &[Figure]) -> Vec<Figure> {
        let measured = |(library, model): (&str, ModelId)| {
            let figure = Figure::new(format!("{model}, {library} on WebGPU in the tab"), "batch 128", "images/s");
            let theirs = match self.images_per_second(library, model) {
                Ok(pace) => figure.with(vec![pace]),
                Err(error) => figure.beside(super::failure(1, &error)),
            };
            let tab = ours.iter().find(|figure| figure.what == format!("{model}, tab"));
            let beside =
                tab.map(|tab| ratio(&Figure { values: tab.median().into_iter().collect(), ..tab.clone() }, &theirs));
            [Some(theirs), beside]
        };
        PEERS.into_iter().flat_map(measured).flatten().collect()
    }

    fn images_per_second(&self, library: &str, model: ModelId) -> Result<f64> {
        let server = StaticServer::start(self.folder.path(), "/")?;
        let mut browser = browser_driver::Browser::launch(&browser_driver::find()?, browser_driver::ON_CARD)?;
        let mut page = browser.page()?;
        page.navigate(&format!("{}{library}.html", server.url()))?;
        page.wait_for("window.ready === true", PATIENTLY)?;
        let work = json!({
            "backend": "webgpu", "kind": model.id(), "batch": 128, "warm": 10, "steps": 50,
            "images": format!("/mnist/{}", FILES[0].name), "labels": format!("/mnist/{}", FILES[1].name),
        });
        let told: Value = page.evaluate(&format!("window.bench({work})"))?;
        told["images_per_s"].as_f64().with_context(|| format!("it tells no images a second: {told}"))
    }
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

#[cfg(not(unix))]
fn link(to: &Path, at: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_dir(to, at)
}
