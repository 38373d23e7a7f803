//! `cargo xtask bench`: measures the page in a headless Chromium, and the command line, and prints one table. It never
//! changes a file, except BENCHMARKS.md if `--write` is given.

mod accuracy;
mod card;
mod figure;
mod keras;
mod latency;
mod libraries;
mod machine;
mod memory;
mod native;
mod peak;
mod process;
mod size;
mod soak;
mod start;
mod strokes;
mod tab;
mod table;
mod visit;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use figure::{Measurement, failure};
use inkling_core::spec::ModelId;
use machine::Machine;
use visit::Site;

use crate::{report, root, site, target_dir};

/// The options of `cargo xtask bench`.
#[derive(Args)]
pub struct Bench {
    /// Measure these parts only [default: all but soak, accuracy, strokes and card].
    parts: Vec<Part>,
    /// Number of rounds; the table shows the median.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Measure these networks only.
    #[arg(long, value_name = "ID")]
    model: Vec<ModelId>,
    /// Measure this engine only, in the tab and over long runs.
    #[arg(long, value_name = "E", value_parser = ["cpu", "webgpu"])]
    engine: Option<String>,
    /// Measure this built site instead of building one.
    #[arg(long, value_name = "DIR")]
    site: Option<PathBuf>,
    /// Measure this command line, built with graphics cards, instead of building one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// A folder with package.json and run.mjs that measures other libraries on the same work; it needs Node. The part
    /// card needs no Node: it opens the libraries' pages directly, and node_modules must be in the folder already.
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Which cases of the other libraries to measure: LIBRARY:BACKEND:MODEL, separated by commas.
    #[arg(long, value_name = "CASES", default_value = libraries::CASES)]
    peer_cases: String,
    /// Batch size of the other libraries and of ours beside them.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    peer_batch: u16,
    /// A Python that has TensorFlow and Keras.
    #[arg(long, value_name = "PYTHON")]
    keras: Option<PathBuf>,
    /// A Python that has PyTorch, for the same networks on the same card.
    #[arg(long, value_name = "PYTHON")]
    torch: Option<PathBuf>,
    /// A program that trains the same networks by burn's own operations: called with the network, the batch size and
    /// the number of steps, it prints its images per second.
    #[arg(long, value_name = "FILE")]
    burn: Option<PathBuf>,
    /// Training images of each run on a card; use fewer on a slow card.
    #[arg(long, value_name = "N", default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1_024..=60_000))]
    card_images: u32,
    /// Pen strokes of digits, in the format of the UJI Pen Characters database (ujipenchars2.txt).
    #[arg(long, value_name = "FILE")]
    strokes: Option<PathBuf>,
    /// The run whose time to 97, 98 and 99 % is measured, as a query of the page's address.
    #[arg(long, value_name = "QUERY", default_value = accuracy::SPRINT)]
    sprint: String,
    /// Append the table to BENCHMARKS.md, under today's date.
    #[arg(long)]
    write: bool,
}

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Gzipped bytes of the page and of each worker.
    Size,
    /// Time from opening the address to a usable drawing pad, and to the first prediction.
    Start,
    /// Time from pen-up to the bars of the prediction, idle and while training.
    Latency,
    /// Training in a tab: images per second and time to the first step, on both engines.
    Tab,
    /// Training on the command line: images per second.
    Native,
    /// The command line compared with Keras.
    Keras,
    /// The tab compared with TensorFlow.js and jax-js.
    Peers,
    /// Memory of the page and its worker.
    Memory,
    /// Memory over many epochs and steps, and over many starts. Takes about half an hour.
    Soak,
    /// Time to 97, 98 and 99 % accuracy in a tab.
    Accuracy,
    /// Fraction of digits drawn by others with a pen that are classified correctly on the pad.
    Strokes,
    /// This machine's graphics card: the tab, the command line, and other libraries on the same work.
    Card,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether the part is measured when none is named.
    fn is_quick(self) -> bool {
        !matches!(self, Self::Soak | Self::Accuracy | Self::Strokes | Self::Card)
    }
}

/// Measures all selected parts, prints the table, and writes it if asked to.
///
/// # Errors
/// When a part could not be measured at all (the table of the others is printed first), the site does not build, or
/// there is no Chromium.
pub fn measure(bench: &Bench) -> Result<()> {
    let chrome = browser_driver::find()?;
    let mut machine = Machine::look(&chrome);
    let parts = bench.parts();
    let site = bench.site(&parts)?;
    machine.add("site", if bench.site.is_some() { "given, built before" } else { "built from these sources" });
    machine.add("load before", machine::load());
    let (mut measurements, mut failed) = (vec![], vec![]);
    for part in Part::value_variants() {
        if !parts.contains(part) {
            measurements.push(Measurement::not_run(part.name(), "not asked for"));
            continue;
        }
        report(format!("{} …", part.name()));
        match bench.part(*part, &site) {
            Ok(measured) => measurements.extend(measured),
            Err(error) => {
                report(format!("{}: {error:#}", part.name()));
                measurements.push(Measurement::not_run(part.name(), failure(1, &error)));
                failed.push(part.name());
            }
        }
    }
    machine.add("load after", machine::load());
    println!("\n{}\n{}", machine.markdown(), table::text(&measurements));
    if bench.write {
        write(&root().join("BENCHMARKS.md"), &machine, &measurements)?;
    }
    if !failed.is_empty() {
        bail!("could not be measured: {}", failed.join(", "));
    }
    Ok(())
}

impl Bench {
    /// The parts to measure.
    fn parts(&self) -> Vec<Part> {
        let quick = || Part::value_variants().iter().copied().filter(|part| part.is_quick()).collect();
        if self.parts.is_empty() { quick() } else { self.parts.clone() }
    }

    /// Whether this engine is to be measured.
    fn wants(&self, engine: &str) -> bool {
        self.engine.as_ref().is_none_or(|wanted| wanted == engine)
    }

    /// The folder of the site to measure. Builds the site if none was given and a part needs it.
    fn site(&self, parts: &[Part]) -> Result<PathBuf> {
        if let Some(site) = &self.site {
            return fs::canonicalize(site).with_context(|| format!("{} is no site", site.display()));
        }
        let site = target_dir()?.join("site/bench");
        if parts.iter().any(|part| !matches!(part, Part::Native | Part::Keras)) {
            site::build_into(&site)?;
        }
        Ok(site)
    }

    /// Measures one part, on the site in `folder`.
    fn part(&self, part: Part, folder: &Path) -> Result<Vec<Measurement>> {
        let n_rounds = usize::from(self.rounds);
        let site = &Site { folder: folder.to_owned(), on_card: part == Part::Card };
        match part {
            Part::Size => size::measure(folder),
            Part::Start => start::measure(site, n_rounds),
            Part::Latency => latency::measure(site, &self.model),
            Part::Tab => tab::measure(site, &self.model, |engine| self.wants(engine), n_rounds),
            Part::Native => native::measure(&self.model, n_rounds),
            Part::Keras => keras::measure(self.keras.as_deref(), &self.model, n_rounds),
            Part::Peers => {
                let work = (self.peer_cases.as_str(), usize::from(self.peer_batch));
                libraries::measure(site, self.peers.as_deref(), work, n_rounds)
            }
            Part::Memory => memory::measure(site),
            Part::Soak => soak::measure(site, &self.model, |engine| self.wants(engine)),
            Part::Accuracy => accuracy::measure(site, &self.sprint, n_rounds),
            Part::Strokes => strokes::measure(site, self.strokes.as_deref()),
            Part::Card => {
                let beside = card::Beside {
                    torch: self.torch.as_deref(),
                    burn: self.burn.as_deref(),
                    peers: self.peers.as_deref(),
                };
                card::measure(site, self.program.as_deref(), &beside, self.card_images as usize, n_rounds)
            }
        }
    }
}

/// Appends a section with the table to the file.
fn write(path: &Path, machine: &Machine, measurements: &[Measurement]) -> Result<()> {
    let before = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let section = format!("\n## {}\n\n{}\n{}", machine.day, machine.markdown(), table::markdown(measurements));
    fs::write(path, before + &section).with_context(|| format!("cannot write {}", path.display()))?;
    report(format!("{} has a new table", path.display()));
    Ok(())
}

/// The requested networks, or the default ones if none was requested.
fn chosen(requested: &[ModelId], default: &[ModelId]) -> Vec<ModelId> {
    if requested.is_empty() { default.to_vec() } else { requested.to_vec() }
}
