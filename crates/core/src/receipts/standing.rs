//! Where each network stands by its recorded runs.

use super::Receipt;
use crate::spec::{DatasetId, ModelId, TrainSpec};

/// A network with those of its runs that one figure may sum up.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing<'a> {
    pub model: ModelId,
    /// By the same recipe, the worst first.
    pub runs: Vec<&'a Receipt>,
}

impl<'a> Standing<'a> {
    /// The median run; of an even number, the worse of the two in the middle. `None` when there is no run.
    pub fn median(&self) -> Option<&'a Receipt> {
        self.runs.get(self.runs.len().saturating_sub(1) / 2).copied()
    }

    /// The best run, where there are several.
    pub fn best(&self) -> Option<&'a Receipt> {
        self.runs.last().copied().filter(|_| self.runs.len() > 1)
    }
}

/// Where every network of the zoo stands, by whole runs on MNIST in the network's published split only, and where they
/// differ in their recipe, by those of the recipe with the most runs.
pub fn standings(receipts: &[Receipt]) -> Vec<Standing<'_>> {
    ModelId::ALL.iter().map(|&model| Standing { model, runs: comparable(model, receipts) }).collect()
}

/// The runs of a network that one figure may sum up, the worst first.
fn comparable(model: ModelId, receipts: &[Receipt]) -> Vec<&Receipt> {
    let whole: Vec<_> = receipts.iter().filter(|run| run.model == model && as_published(run)).collect();
    let alike = |run: &&Receipt| -> Vec<&Receipt> {
        whole.iter().copied().filter(|other| other.spec.recipe == run.spec.recipe).collect()
    };
    // Of recipes with equally many runs, the one used last.
    let weight = |runs: &Vec<&Receipt>| (runs.len(), runs.iter().map(|run| run.date.clone()).max());
    let mut runs = whole.iter().map(alike).max_by_key(weight).unwrap_or_default();
    runs.sort_by(|a, b| a.test_accuracy.total_cmp(&b.test_accuracy).then(b.seed.cmp(&a.seed)));
    runs
}

/// Whether a run learned from and was tested on what the published one was.
fn as_published(run: &Receipt) -> bool {
    let TrainSpec { dataset, split, train_limit, test_limit, .. } = &run.spec;
    let whole = train_limit.is_none() && test_limit.is_none();
    whole && *dataset == DatasetId::Mnist && *split == TrainSpec::of(run.model).split
}
