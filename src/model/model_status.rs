//! Which network reads, and what it is worth, in words. Pure.

use inkling_core::evaluation::Judgement;
use inkling_core::models;
use inkling_core::protocol::{NetworkReport, Phase};
use inkling_core::run::{Run, State};
use inkling_core::spec::{DatasetId, ModelId, TrainSpec};

use crate::model::labels::{count, percent};

/// Whether the test images are being read on their own, not as the end of a run.
pub fn is_judging(run: &Run) -> bool {
    run.state != State::Training && run.progress.is_some_and(|progress| progress.phase == Phase::Test)
}

/// Whether the engine's speed is being measured.
pub fn is_measuring(run: &Run) -> bool {
    run.progress.is_some_and(|progress| progress.phase == Phase::Measure)
}

/// Whether a run goes on or is about to.
pub fn is_running(run: &Run) -> bool {
    matches!(run.state, State::Loading | State::Training | State::Paused)
}

/// Whether an engine is open and has nothing to do.
pub fn is_idle(run: &Run) -> bool {
    run.engine.is_some() && matches!(run.state, State::Ready | State::Finished) && !is_judging(run)
}

/// Which networks read the pad, and how well the one at hand was measured to read.
pub fn reader(run: &Run) -> String {
    let (hand, others) = (hand(run), run.readers.get(1..).unwrap_or_default());
    match (&run.readers[..], hand.is_empty()) {
        ([] | [_], _) => hand,
        ([model, ..], true) => format!("Read by the untrained {model} network, together with {}", list(others)),
        (_, false) => format!("{hand}; together with {}", list(others)),
    }
}

fn list(models: &[ModelId]) -> String {
    let names: Vec<_> = models.iter().map(|model| model.id()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// The network at hand, and how well it was measured to read.
fn hand(run: &Run) -> String {
    match (&run.network, model(run)) {
        (Some(NetworkReport { model, pretrained: Some(known), .. }), _) => {
            let worth = right(known.test_accuracy, known.test_images);
            format!("Read by the {model} network that came with the page: {worth}")
        }
        (_, Some(model)) if matches!(run.state, State::Training | State::Paused) => {
            format!("Read by the {model} network in training")
        }
        (None, Some(model)) if run.learned => match &run.summary {
            Some(summary) => {
                let worth = right(summary.test.accuracy, summary.test_images);
                format!("Read by the {model} network trained here: {worth}")
            }
            None => format!("Read by the {model} network trained here, stopped in epoch {}", run.epoch()),
        },
        _ => String::new(),
    }
}

/// Which network a judgement is about.
pub fn subject(run: &Run) -> String {
    let origin = match &run.network {
        Some(NetworkReport { pretrained: Some(_), .. }) => ", as it came with the page",
        Some(_) => ", untrained",
        None => ", trained here",
    };
    model(run).map(|model| format!("{model}{origin}")).unwrap_or_default()
}

/// The network at hand.
pub fn model(run: &Run) -> Option<ModelId> {
    let read = run.network.as_ref().map(|network| network.model);
    read.or(run.plan.as_ref().map(|plan| plan.spec.model))
}

/// The settings that the network at hand is judged by: on test images that it never learned from, so by the split of
/// its own run, whatever is chosen now.
pub fn judged_by(run: &Run, chosen: &TrainSpec) -> TrainSpec {
    match (&run.network, &run.plan) {
        (Some(network), _) => {
            let TrainSpec { model, split, .. } = TrainSpec::of(network.model);
            TrainSpec { model, split, ..chosen.clone() }
        }
        (None, Some(plan)) => TrainSpec { test_limit: chosen.test_limit, ..plan.spec.clone() },
        (None, None) => chosen.clone(),
    }
}

/// How a judgement compares with what was published of the network; nothing to say about other images than MNIST's.
pub fn compared(run: &Run, judgement: &Judgement) -> Option<String> {
    let on_mnist = run.dataset.as_ref().is_some_and(|dataset| dataset.id == DatasetId::Mnist);
    let published = models::published(model(run).filter(|_| on_mnist)?);
    let accuracy = published.accuracy?;
    let interval = judgement.interval;
    let told = if interval.low > accuracy {
        "Above"
    } else if interval.high < accuracy {
        "Below"
    } else {
        "As far as these images can tell, the same as"
    };
    Some(format!("{told} the published {} ({}).", percent(accuracy), published.measured_on))
}

/// What was published of a network.
pub fn published(model: ModelId) -> String {
    let published = models::published(model);
    let epochs = published.epochs.map(|epochs| format!(" in {epochs} epochs")).unwrap_or_default();
    match published.accuracy {
        _ if model == ModelId::Sprint => "Our own: made to reach 99 % as soon as can be.".into(),
        Some(accuracy) => format!("Published: {}{epochs} ({}).", percent(accuracy), published.measured_on),
        None => "Published: the layers, but no accuracy.".into(),
    }
}

fn right(accuracy: f64, n_images: usize) -> String {
    format!("{} of {} test images right", percent(accuracy), count(n_images as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_core::evaluation::Judge;
    use inkling_core::protocol::{BestEpoch, DatasetReport, Event, Progress, RunPlan, RunSummary, StepReport};
    use inkling_core::spec::{Metrics, N_CLASSES, Prediction, Pretrained, SplitId};

    fn using(model: ModelId, pretrained: Option<Pretrained>) -> Event {
        Event::Using(NetworkReport { model, parameters: 1, pretrained })
    }

    fn pretrained() -> Event {
        using(ModelId::Compact, Some(Pretrained { test_accuracy: 0.9954, test_images: 10_000, epochs: 20 }))
    }

    fn started(model: ModelId) -> Event {
        Event::Started(RunPlan { spec: TrainSpec::of(model), parameters: 1, steps_per_epoch: 10 })
    }

    fn stepped() -> Event {
        let metrics = Metrics::default();
        Event::Stepped(vec![StepReport {
            epoch: 2,
            step: 11,
            batch: metrics,
            running: metrics,
            images_per_second: 1.0,
        }])
    }

    fn finished() -> Event {
        let test = Metrics { loss: 0.1, accuracy: 0.9912 };
        let best = BestEpoch { epoch: 1, validation: test };
        Event::Finished(RunSummary { test_images: 10_000, test_errors: 88, test, best, elapsed_secs: 1.0 })
    }

    #[test]
    fn the_reader_is_named_with_its_measured_worth() {
        let told = |events: &[Event]| reader(&Run::of(events));
        assert_eq!(told(&[]), "");
        assert_eq!(
            told(&[pretrained()]),
            "Read by the compact network that came with the page: 99.54 % of 10,000 test images right"
        );
        assert_eq!(told(&[pretrained(), using(ModelId::Wide, None)]), "");
        assert_eq!(told(&[pretrained(), started(ModelId::Leaky)]), "Read by the leaky network in training");
        assert_eq!(
            told(&[started(ModelId::Leaky), stepped(), finished()]),
            "Read by the leaky network trained here: 99.12 % of 10,000 test images right"
        );
        assert_eq!(
            told(&[started(ModelId::Leaky), stepped(), Event::Stopped]),
            "Read by the leaky network trained here, stopped in epoch 2"
        );
        assert!(told(&[started(ModelId::Leaky), stepped(), finished(), pretrained()]).contains("compact"));
    }

    #[test]
    fn those_who_read_together_are_named() {
        let told = |events: &[Event]| reader(&Run::of(events));
        let together = |models: &[ModelId]| Event::Together(models.to_vec());
        let three = together(&[ModelId::Compact, ModelId::Strided, ModelId::Leaky]);
        assert_eq!(
            told(&[pretrained(), three.clone()]),
            "Read by the compact network that came with the page: 99.54 % of 10,000 test images right; \
             together with strided and leaky"
        );
        assert_eq!(told(&[pretrained(), three, together(&[ModelId::Compact])]), told(&[pretrained()]));
        assert_eq!(
            told(&[using(ModelId::Wide, None), together(&[ModelId::Wide, ModelId::Compact])]),
            "Read by the untrained wide network, together with compact"
        );
    }

    #[test]
    fn the_subject_of_a_judgement_is_told() {
        assert_eq!(subject(&Run::of(&[pretrained()])), "compact, as it came with the page");
        assert_eq!(subject(&Run::of(&[pretrained(), started(ModelId::Wide), stepped()])), "wide, trained here");
        assert_eq!(subject(&Run::default()), "");
    }

    #[test]
    fn nothing_is_judged_on_what_it_learned_from() {
        let kaggle = TrainSpec { split: SplitId::Kaggle, test_limit: Some(500), seed: 9, ..TrainSpec::default() };
        let shipped = judged_by(&Run::of(&[pretrained()]), &kaggle);
        assert_eq!(
            (shipped.model, shipped.split, shipped.test_limit),
            (ModelId::Compact, SplitId::Published, Some(500))
        );
        let trained = judged_by(&Run::of(&[started(ModelId::Wide), stepped(), Event::Stopped]), &TrainSpec::default());
        assert_eq!((trained.model, trained.split, trained.seed), (ModelId::Wide, SplitId::Kaggle, 1));
        assert_eq!(judged_by(&Run::default(), &kaggle), kaggle);
    }

    #[test]
    fn judging_is_not_the_end_of_a_run() {
        let test = Event::Progress(Progress { phase: Phase::Test, done: 1, total: 2 });
        assert!(is_judging(&Run::of(&[pretrained(), test.clone()])));
        assert!(!is_judging(&Run::of(&[started(ModelId::Leaky), test])));
        assert!(!is_judging(&Run::default()));
    }

    /// A judgement of so many right answers out of 10,000.
    fn judgement(n_right: usize) -> Judgement {
        let mut judge = Judge::default();
        for index in 0..10_000 {
            let mut probabilities = [0.0; N_CLASSES];
            probabilities[usize::from(index >= n_right)] = 1.0;
            judge.add(index, 0, &Prediction { probabilities });
        }
        judge.finish()
    }

    #[test]
    fn figures_are_compared_as_far_as_chance_allows() {
        let report = |id| DatasetReport { id, n_train: 1, n_validation: None, n_test: 10_000, fallback: None };
        let on = |id, model| Run::of(&[Event::Dataset(report(id)), using(model, None)]);
        let told = |n_right| compared(&on(DatasetId::Mnist, ModelId::Classic), &judgement(n_right)).unwrap();
        assert!(told(9800).starts_with("Below the published 99.14 %"), "{}", told(9800));
        assert!(
            told(9914).ends_with(
                "the same as the published 99.14 % (best validation accuracy of 12 epochs; the last had 98.99 %)."
            ),
            "{}",
            told(9914)
        );
        assert!(told(9960).starts_with("Above the published"), "{}", told(9960));
        assert_eq!(compared(&on(DatasetId::Mnist, ModelId::Wide), &judgement(9960)), None);
        assert_eq!(compared(&on(DatasetId::Synthetic, ModelId::Classic), &judgement(9960)), None);
    }

    #[test]
    fn published_figures_are_told_with_what_they_were_measured_on() {
        assert_eq!(published(ModelId::Strided), "Published: 99.38 % in 23 epochs (test accuracy).");
        assert!(published(ModelId::Wide).contains("no accuracy"));
    }
}
