//! The leaderboard: for each network, the recorded runs that can be compared. It never mixes runs of different recipes.

use super::Receipt;
use crate::spec::{DatasetId, ModelId, TrainSpec};

/// A network with its comparable runs.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaderboardEntry<'a> {
    /// The network.
    pub model: ModelId,
    /// Runs of the same recipe, in order of increasing test accuracy.
    pub runs: Vec<&'a Receipt>,
}

impl<'a> LeaderboardEntry<'a> {
    /// The median run by test accuracy; of an even number, the worse of the two in the middle. `None` without runs.
    pub fn median(&self) -> Option<&'a Receipt> {
        self.runs.get(self.runs.len().saturating_sub(1) / 2).copied()
    }

    /// The best run by test accuracy; `None` unless there are several runs.
    pub fn best(&self) -> Option<&'a Receipt> {
        self.runs.last().copied().filter(|_| self.runs.len() > 1)
    }
}

/// One entry for every network of the zoo, in its order. Only runs on all of MNIST in the network's published split
/// count; of several recipes, only the runs of the recipe with the most runs.
pub fn leaderboard(receipts: &[Receipt]) -> Vec<LeaderboardEntry<'_>> {
    ModelId::ALL.iter().map(|&model| LeaderboardEntry { model, runs: comparable(model, receipts) }).collect()
}

/// The comparable runs of a network, in order of increasing test accuracy.
fn comparable(model: ModelId, receipts: &[Receipt]) -> Vec<&Receipt> {
    let candidates: Vec<_> = receipts.iter().filter(|run| run.model == model && uses_published_data(run)).collect();
    let same_recipe = |run: &&Receipt| -> Vec<&Receipt> {
        candidates.iter().copied().filter(|other| other.spec.recipe == run.spec.recipe).collect()
    };
    // Of recipes with equally many runs, the one used last.
    let rank = |runs: &Vec<&Receipt>| (runs.len(), runs.iter().map(|run| run.date.clone()).max());
    let mut runs = candidates.iter().map(same_recipe).max_by_key(rank).unwrap_or_default();
    runs.sort_by(|a, b| a.test_accuracy.total_cmp(&b.test_accuracy).then(b.seed.cmp(&a.seed)));
    runs
}

/// Whether a run used the same images for training and test as the published run.
fn uses_published_data(run: &Receipt) -> bool {
    let TrainSpec { dataset, split, train_limit, test_limit, .. } = &run.spec;
    let unlimited = train_limit.is_none() && test_limit.is_none();
    unlimited && *dataset == DatasetId::Mnist && *split == TrainSpec::of(run.model).split
}
