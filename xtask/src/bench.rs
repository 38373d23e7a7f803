//! `cargo xtask bench`: measures the page in a headless Chromium and the command line beside it, and prints one table.
//! It changes nothing but, when asked to, BENCHMARKS.md.

mod accuracy;
mod card;
mod figure;
mod keras;
mod latency;
mod machine;
mod memory;
mod native;
mod peak;
mod peers;
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
use figure::{Figure, failure};
use inkling_core::spec::ModelId;
use machine::Machine;
use visit::Site;

use crate::{root, say, site, target_dir};

/// What to measure, and how often.
#[derive(Args)]
pub struct Bench {
    /// Measure these parts only [default: all but soak, accuracy, strokes and card].
    parts: Vec<Part>,
    /// Rounds; the table shows their median.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Measure these networks only.
    #[arg(long, value_name = "ID")]
    model: Vec<ModelId>,
    /// Measure this engine only, in the tab and over long runs.
    #[arg(long, value_name = "E", value_parser = ["cpu", "webgpu"])]
    engine: Option<String>,
    /// A site that was built already.
    #[arg(long, value_name = "DIR")]
    site: Option<PathBuf>,
    /// A command line that was built already, with graphics cards.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// A folder with package.json and run.mjs that measures other libraries on the same work; it needs Node. Beside a card
    /// it needs none: their pages are opened as they are, and node_modules is there already.
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Which of them: LIBRARY:BACKEND:MODEL, separated by commas.
    #[arg(long, value_name = "CASES", default_value = peers::CASES)]
    peer_cases: String,
    /// Images in a step of theirs and of ours.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    peer_batch: u16,
    /// A Python that has TensorFlow and Keras.
    #[arg(long, value_name = "PYTHON")]
    keras: Option<PathBuf>,
    /// A Python that has PyTorch, for the same networks on the same card.
    #[arg(long, value_name = "PYTHON")]
    torch: Option<PathBuf>,
    /// A program that trains the same networks by burn's own operations: called with network, batch and number of steps, it
    /// prints its images a second.
    #[arg(long, value_name = "FILE")]
    burn: Option<PathBuf>,
    /// Training images of each run on a card; a slow card wants fewer.
    #[arg(long, value_name = "N", default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1_024..=60_000))]
    card_images: u32,
    /// Pen strokes of digits, as the UJI Pen Characters database has them (ujipenchars2.txt).
    #[arg(long, value_name = "FILE")]
    strokes: Option<PathBuf>,
    /// The run whose time to 97, 98 and 99 % is taken, as an address of the page.
    #[arg(long, value_name = "QUERY", default_value = accuracy::SPRINT)]
    sprint: String,
    /// Add the table to BENCHMARKS.md, under today's date.
    #[arg(long)]
    write: bool,
}

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Gzipped bytes of the page and of each worker.
    Size,
    /// From the address to a pad that can be drawn on, and to a drawing that is read.
    Start,
    /// From pen-up to the bars, idle and while training.
    Latency,
    /// Training in a tab: images a second and the first step, on both engines.
    Tab,
    /// Training on the command line: images a second.
    Native,
    /// The command line beside Keras.
    Keras,
    /// The tab beside TensorFlow.js and jax-js.
    Peers,
    /// What the page and its worker hold.
    Memory,
    /// Memory over many epochs and steps, and over many starts. Takes about half an hour.
    Soak,
    /// Time to 97, 98 and 99 % in a tab.
    Accuracy,
    /// How many digits that others drew with a pen are read rightly on the pad.
    Strokes,
    /// This machine's graphics card: the tab, the command line, and others on the same work.
    Card,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Done when no part was asked for.
    fn is_quick(self) -> bool {
        !matches!(self, Self::Soak | Self::Accuracy | Self::Strokes | Self::Card)
    }
}

/// Measures, prints, and writes if it is to.
///
/// # Errors
/// When a part could not be measured at all; the table of the others is printed first.
pub fn measure(bench: &Bench) -> Result<()> {
    let chrome = browser_driver::find()?;
    let mut machine = Machine::look(&chrome);
    let parts = bench.parts();
    let site = bench.site(&parts)?;
    machine.add("site", if bench.site.is_some() { "given, built before" } else { "built from these sources" });
    machine.add("load before", machine::load());
    let (mut figures, mut failed) = (vec![], vec![]);
    for part in Part::value_variants() {
        if !parts.contains(part) {
            figures.push(Figure::not_run(part.name(), "not asked for"));
            continue;
        }
        say(format!("{} …", part.name()));
        match bench.part(*part, &site) {
            Ok(found) => figures.extend(found),
            Err(error) => {
                say(format!("{}: {error:#}", part.name()));
                figures.push(Figure::not_run(part.name(), failure(1, &error)));
                failed.push(part.name());
            }
        }
    }
    machine.add("load after", machine::load());
    println!("\n{}\n{}", machine.markdown(), table::text(&figures));
    if bench.write {
        write(&root().join("BENCHMARKS.md"), &machine, &figures)?;
    }
    if !failed.is_empty() {
        bail!("could not be measured: {}", failed.join(", "));
    }
    Ok(())
}

impl Bench {
    fn parts(&self) -> Vec<Part> {
        let quick = || Part::value_variants().iter().copied().filter(|part| part.is_quick()).collect();
        if self.parts.is_empty() { quick() } else { self.parts.clone() }
    }

    fn wants(&self, engine: &str) -> bool {
        self.engine.as_ref().is_none_or(|wanted| wanted == engine)
    }

    /// The site to measure, built where none was given and a part needs it.
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

    fn part(&self, part: Part, folder: &Path) -> Result<Vec<Figure>> {
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
                peers::measure(site, self.peers.as_deref(), work, n_rounds)
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

/// Adds a section to the file.
fn write(path: &Path, machine: &Machine, figures: &[Figure]) -> Result<()> {
    let before = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let section = format!("\n## {}\n\n{}\n{}", machine.day, machine.markdown(), table::markdown(figures));
    fs::write(path, before + &section).with_context(|| format!("cannot write {}", path.display()))?;
    say(format!("{} has a new table", path.display()));
    Ok(())
}

/// The networks that were asked for, or else these.
fn chosen(asked: &[ModelId], else_these: &[ModelId]) -> Vec<ModelId> {
    if asked.is_empty() { else_these.to_vec() } else { asked.to_vec() }
}
