//! The self-test: checks that a graphics card computes a network correctly before the network is used. It never trains
//! the user's network.
//!
//! Every kernel of the network runs on random numbers. Its results are compared, number by number, with those of the
//! CPU engine; the allowed difference is what [`rounding`] can cause in such a sum. Then one whole training step is
//! compared with a larger tolerance: in a whole network, the input of a rectifier may be so close to 0 that rounding
//! changes its sign. The first comparison finds kernels that compute incorrectly, the second finds kernels that disturb
//! each other.

mod rounding;
mod step;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use burn::tensor::Device;
use futures_util::future::join_all;
use inkling_core::models::{self, Role};
use inkling_core::spec::{ModelId, Recipe};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::network::single_op::{Given, Outcome, Single};
use crate::network::{DropoutKey, Dropouts, Slot, backend};

/// Batch size: one more than dense layers compute at once, so that they use the kernels of training, and the last image
/// does not fill a tile.
const N_IMAGES: usize = 9;
/// Batch size where a card computes in tiles: it fills whole vectors, but not whole tiles.
const N_IN_TILES: usize = 12;
/// Seed of the random numbers; any seed finds the same faults.
const SEED: u64 = 1;

/// An engine under test.
trait Subject {
    /// Runs an op, forward and backward.
    async fn run(&self, single: &Single, given: &Given) -> Result<Outcome, String>;
}

impl Subject for Device {
    async fn run(&self, single: &Single, given: &Given) -> Result<Outcome, String> {
        single.run(given, self).await.map_err(|error| error.to_string())
    }
}

/// A test case: an op, its input, and its expected outcome, which the CPU engine computes.
pub struct TestCase {
    single: Single,
    given: Given,
    expected: Outcome,
    /// The allowed difference from `expected`, for each number.
    allowed: Outcome,
}

/// All test cases of a network on `device`. They are computed on the CPU; the device is only asked whether it computes
/// in tiles.
///
/// # Errors
/// When the CPU engine fails, which is a fault of this program.
pub async fn test_cases(model: ModelId, device: &Device) -> Result<Vec<TestCase>, String> {
    let tiles = backend(device).computes_in_tiles(device);
    let mut singles = singles(model, if tiles { N_IN_TILES } else { N_IMAGES });
    if tiles {
        // Batches that do not fill whole vectors use other kernels.
        singles.extend(self::singles(model, N_IMAGES).into_iter().filter(Single::is_product));
    }
    let mut test_cases = Vec::with_capacity(singles.len());
    for single in singles {
        test_cases.push(TestCase::of(single).await?);
    }
    Ok(test_cases)
}

/// Checks that `device` computes a network as the CPU engine does. `on_progress` receives the number of checked parts
/// and the number of all parts.
///
/// # Errors
/// When a result differs; the message says which layer and array, and by how much.
pub async fn check(
    model: ModelId,
    recipe: &Recipe,
    test_cases: Vec<TestCase>,
    device: &Device,
    on_progress: impl Fn(u64, u64),
) -> Result<(), String> {
    // The whole step is one more part.
    let (n_parts, n_checked) = (test_cases.len() as u64 + 1, Cell::new(0));
    let check_one = async |test_case: &TestCase| {
        let result = test_case.check(device).await;
        n_checked.set(n_checked.get() + 1);
        on_progress(n_checked.get(), n_parts);
        result
    };
    on_progress(0, n_parts);
    let failed = |what: String| format!("it failed its self-test of {model}: {what}");
    // All ops are launched before the first result is awaited: reading a result back takes a card longer than computing
    // it.
    let results = join_all(test_cases.iter().map(check_one)).await;
    results.into_iter().collect::<Result<(), _>>().map_err(failed)?;
    drop(test_cases);
    step::compare(model, recipe, device).await.map_err(failed)
}

/// All ops of a network, for a batch of `n_images`.
fn singles(model: ModelId, n_images: usize) -> Vec<Single> {
    Single::all(&models::layers(model), n_images, &mut Dropouts::new(1.0, DropoutKey::of(SEED, 1), 0))
}

impl TestCase {
    /// Draws random inputs for an op, and computes the expected outcome.
    async fn of(single: Single) -> Result<Self, String> {
        let mut given = random_numbers(&single);
        let expected = Device::flex().run(&single, &given).await?;
        given.output = Some(expected.output.clone());
        let allowed = rounding::allowed(&single, &given, &expected).await?;
        Ok(Self { single, given, expected, allowed })
    }

    /// Runs the op on an engine, and compares the outcome with the expected one.
    async fn check(&self, subject: &impl Subject) -> Result<(), String> {
        let Self { single, given, expected, allowed } = self;
        let found = subject.run(single, given).await?;
        difference(single, &found, expected, allowed).map_or(Ok(()), Err)
    }
}

/// Random inputs, for which no kernel is right by chance: unlike images of digits, they are not zero at the borders.
fn random_numbers(single: &Single) -> Given {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut numbers = |n: usize, centre: f32, radius: f32| -> Vec<f32> {
        (0..n).map(|_| centre + random.random_range(-radius..radius)).collect()
    };
    let n = single.n;
    Given {
        input: numbers(n * single.input().size(), 0.0, 1.0),
        gradient: numbers(n * single.output().size(), 0.0, 1.0),
        arrays: single.slots.iter().map(|slot| numbers(slot.size(), centre(slot), radius(slot))).collect(),
        output: None,
    }
}

/// The middle of an array's random numbers: 1 for the factors of a normalisation, 0 otherwise.
fn centre(slot: &Slot) -> f32 {
    if slot.role == Role::Gamma { 1.0 } else { 0.0 }
}

/// The largest distance of an array's random numbers from [`centre`]: kernels are scaled so that sums are about as
/// large as the input.
fn radius(slot: &Slot) -> f32 {
    let n_inputs: usize = slot.shape[1..].iter().product();
    if slot.role == Role::Kernel { (n_inputs as f32).sqrt().recip() } else { 0.5 }
}

/// Describes the first array of an outcome that differs from the expected one by more than is allowed, if any.
fn difference(single: &Single, found: &Outcome, expected: &Outcome, allowed: &Outcome) -> Option<String> {
    let of_arrays = single.slots.iter().map(|slot| format!("the gradient of {}", slot.name));
    let of_layer = |what: &str| format!("the {what} of {}", single.name);
    let names = [of_layer("output"), of_layer("mean"), of_layer("variance")].into_iter();
    let names: Vec<_> = match expected.statistics.len() {
        0 => names.take(1).chain(of_arrays).collect(),
        _ => names.chain(of_arrays).collect(),
    };
    let names = names.into_iter().chain([format!("the gradient of what goes into {}", single.name)]);
    let triples = parts(found).zip(parts(expected)).zip(parts(allowed));
    names.zip(triples).find_map(|(name, ((found, expected), allowed))| worst(&name, found, expected, allowed))
}

/// All arrays of an outcome, in a fixed order: output, statistics, gradients of the op's arrays, gradient of the input.
fn parts(outcome: &Outcome) -> impl Iterator<Item = &[f32]> {
    let Outcome { output, statistics, gradients, input_gradient } = outcome;
    std::iter::once(output).chain(statistics).chain(gradients).chain(input_gradient).map(Vec::as_slice)
}

/// Describes the number of an array that exceeds the allowed difference most; `None` if none exceeds it.
fn worst(name: &str, found: &[f32], expected: &[f32], allowed: &[f32]) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{name} has {} numbers where {} were expected", found.len(), expected.len()));
    }
    let excess = |at: usize| (found[at] - expected[at]).abs() / allowed[at].max(f32::MIN_POSITIVE);
    // NaN is worse than any number.
    let rank = |at: &usize| if excess(*at).is_nan() { f32::INFINITY } else { excess(*at) };
    let n_wrong = (0..found.len()).filter(|at| rank(at) > 1.0).count();
    let worst = (0..found.len()).max_by(|a, b| rank(a).total_cmp(&rank(b))).filter(|at| rank(at) > 1.0)?;
    Some(format!(
        "{name} is wrong in {n_wrong} of {} numbers, such as number {worst}: {} where {} ± {:.1e} was expected",
        found.len(),
        found[worst],
        expected[worst],
        allowed[worst]
    ))
}
