//! The proof that an engine computes a network rightly, before anybody relies on it.
//!
//! Every kernel of the network is run on random numbers and compared, number by number, with what the CPU engine makes of
//! the same; the difference is held to what [`rounding`] can do to such a sum. Then one whole step of training is
//! compared, loosely: over a whole network a rectifier within rounding of 0 may turn the other way. The first finds
//! kernels that compute wrongly, the second kernels that disturb each other.

mod rounding;
mod step;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use burn::tensor::Device;
use futures_util::future::join_all;
use inkling_core::models;
use inkling_core::spec::{ModelId, Recipe};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::network::single::{Given, Outcome, Single};
use crate::network::{DropoutKey, Dropouts, Slot};

/// Images: one more than dense layers compute at once, so that their kernels are those of training and their last images
/// fill no tile.
const N_IMAGES: usize = 9;
/// Images where a card computes in tiles: they fill vectors, and no tile.
const N_IN_TILES: usize = 12;
/// Any seed shows the same faults.
const SEED: u64 = 1;

/// An engine under test.
trait Subject {
    /// Runs an op, forward and back.
    async fn run(&self, single: &Single, given: &Given) -> Result<Outcome, String>;
}

impl Subject for Device {
    async fn run(&self, single: &Single, given: &Given) -> Result<Outcome, String> {
        single.run(given, self).await.map_err(|error| error.to_string())
    }
}

/// An op, what goes into it, and what must come out: computed by the CPU engine.
pub struct Question {
    single: Single,
    given: Given,
    truth: Outcome,
    /// How far from the truth each number may be.
    allowed: Outcome,
}

/// All questions of a network for `device`. The CPU alone works on them.
///
/// # Errors
/// None but those of the CPU engine, which are faults of this program.
pub async fn questions(model: ModelId, device: &Device) -> Result<Vec<Question>, String> {
    let tiles = computes_in_tiles(device);
    let mut singles = singles(model, if tiles { N_IN_TILES } else { N_IMAGES });
    if tiles {
        // Batches that fill no vectors are computed otherwise.
        singles.extend(self::singles(model, N_IMAGES).into_iter().filter(Single::is_product));
    }
    let mut questions = Vec::with_capacity(singles.len());
    for single in singles {
        questions.push(Question::of(single).await?);
    }
    Ok(questions)
}

/// Checks that `device` computes a network as the CPU engine does; `on` hears how many of how many parts are checked.
///
/// # Errors
/// Which layer and array differ, and by how much, in words for a report.
pub async fn check(
    model: ModelId,
    recipe: &Recipe,
    questions: Vec<Question>,
    device: &Device,
    on: impl Fn(u64, u64),
) -> Result<(), String> {
    let (n_parts, n_answered) = (questions.len() as u64 + 1, Cell::new(0));
    let ask = async |question: &Question| {
        let asked = question.ask(device).await;
        n_answered.set(n_answered.get() + 1);
        on(n_answered.get(), n_parts);
        asked
    };
    on(0, n_parts);
    let failed = |what: String| format!("it failed its self-test of {model}: {what}");
    // All are launched before the first is waited for: a card takes longer to answer than to compute.
    let answers = join_all(questions.iter().map(ask)).await;
    answers.into_iter().collect::<Result<(), _>>().map_err(failed)?;
    drop(questions);
    step::compare(model, recipe, device).await.map_err(failed)
}

#[cfg(feature = "gpu")]
fn computes_in_tiles(device: &Device) -> bool {
    *device != Device::flex() && crate::network::Card::on(device).gpu.has_tiles()
}

#[cfg(not(feature = "gpu"))]
fn computes_in_tiles(_: &Device) -> bool {
    false
}

/// The ops of a network.
fn singles(model: ModelId, n_images: usize) -> Vec<Single> {
    Single::all(&models::layers(model), n_images, &mut Dropouts::new(1.0, DropoutKey::of(SEED, 1), 0))
}

impl Question {
    async fn of(single: Single) -> Result<Self, String> {
        let mut given = random_numbers(&single);
        let truth = Device::flex().run(&single, &given).await?;
        given.output = Some(truth.output.clone());
        let allowed = rounding::allowed(&single, &given, &truth).await?;
        Ok(Self { single, given, truth, allowed })
    }

    /// Compares what an engine makes of it.
    async fn ask(&self, subject: &impl Subject) -> Result<(), String> {
        let Self { single, given, truth, allowed } = self;
        let found = subject.run(single, given).await?;
        differs(single, &found, truth, allowed).map_or(Ok(()), Err)
    }
}

/// Numbers that no kernel can get right by chance: nothing is zero, least of all at borders, where digits are.
fn random_numbers(single: &Single) -> Given {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut numbers = |n: usize, middle: f32, reach: f32| -> Vec<f32> {
        (0..n).map(|_| middle + random.random_range(-reach..reach)).collect()
    };
    let n = single.n;
    Given {
        input: numbers(n * single.input().size(), 0.0, 1.0),
        gradient: numbers(n * single.output().size(), 0.0, 1.0),
        arrays: single.slots.iter().map(|slot| numbers(slot.size(), middle(slot), reach(slot))).collect(),
        output: None,
    }
}

fn middle(slot: &Slot) -> f32 {
    if slot.role() == "gamma" { 1.0 } else { 0.0 }
}

/// Kernels as large as leaves sums about as large as what goes in.
fn reach(slot: &Slot) -> f32 {
    let n_inputs: usize = slot.shape[1..].iter().product();
    if slot.role() == "kernel" { (n_inputs as f32).sqrt().recip() } else { 0.5 }
}

/// What of an outcome is farther from the truth than is allowed.
fn differs(single: &Single, found: &Outcome, truth: &Outcome, allowed: &Outcome) -> Option<String> {
    let of_arrays = single.slots.iter().map(|slot| format!("the gradient of {}", slot.name));
    let of_layer = |what: &str| format!("the {what} of {}", single.name);
    let names = [of_layer("output"), of_layer("mean"), of_layer("variance")].into_iter();
    let names: Vec<_> = match truth.statistics.len() {
        0 => names.take(1).chain(of_arrays).collect(),
        _ => names.chain(of_arrays).collect(),
    };
    let names = names.into_iter().chain([format!("the gradient of what goes into {}", single.name)]);
    let triples = parts(found).zip(parts(truth)).zip(parts(allowed));
    names.zip(triples).find_map(|(name, ((found, truth), allowed))| farthest(&name, found, truth, allowed))
}

/// All arrays of an outcome, in an order of their own.
fn parts(outcome: &Outcome) -> impl Iterator<Item = &[f32]> {
    let Outcome { output, statistics, gradients, input_gradient } = outcome;
    std::iter::once(output).chain(statistics).chain(gradients).chain(input_gradient).map(Vec::as_slice)
}

/// The number that is farthest beyond what is allowed, in words.
fn farthest(name: &str, found: &[f32], truth: &[f32], allowed: &[f32]) -> Option<String> {
    if found.len() != truth.len() {
        return Some(format!("{name} has {} numbers where {} were expected", found.len(), truth.len()));
    }
    let beyond = |at: usize| (found[at] - truth[at]).abs() / allowed[at].max(f32::MIN_POSITIVE);
    // What is no number is the farthest of all.
    let rank = |at: &usize| if beyond(*at).is_nan() { f32::INFINITY } else { beyond(*at) };
    let n_wrong = (0..found.len()).filter(|at| rank(at) > 1.0).count();
    let worst = (0..found.len()).max_by(|a, b| rank(a).total_cmp(&rank(b))).filter(|at| rank(at) > 1.0)?;
    Some(format!(
        "{name} is wrong in {n_wrong} of {} numbers, such as number {worst}: {} where {} ± {:.1e} was expected",
        found.len(),
        found[worst],
        truth[worst],
        allowed[worst]
    ))
}
