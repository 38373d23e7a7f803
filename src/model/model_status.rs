//! Which network predicts, its measured accuracy as text, and what the page is busy with. Pure: it never changes a run.

use inkling_core::evaluation::Evaluation;
use inkling_core::models;
use inkling_core::protocol::{NetworkReport, Phase};
use inkling_core::run::{Run, State};
use inkling_core::spec::{DatasetId, ModelId, TrainSpec};

use crate::model::labels::{count, percent};

/// Whether the test images are being evaluated on request, not at the end of a run.
pub fn is_evaluating(run: &Run) -> bool {
    run.state != State::Training && run.progress.is_some_and(|progress| progress.phase == Phase::Test)
}

/// Whether the training speed of the engine is being measured.
pub fn is_measuring(run: &Run) -> bool {
    run.progress.is_some_and(|progress| progress.phase == Phase::Measure)
}

/// Whether a run is in progress or about to start, or the engine is loading.
pub fn is_running(run: &Run) -> bool {
    matches!(run.state, State::Loading | State::Training | State::Paused)
}

/// Whether an engine is open, no run is in progress and nothing is being evaluated.
pub fn is_idle(run: &Run) -> bool {
    run.engine.is_some() && matches!(run.state, State::Ready | State::Finished) && !is_evaluating(run)
}

/// The networks that predict, and the measured accuracy of the current one. Empty while that network is untrained and
/// alone.
pub fn reader(run: &Run) -> String {
    let (current, others) = (current_network(run), run.ensemble.get(1..).unwrap_or_default());
    match (&run.ensemble[..], current.is_empty()) {
        ([] | [_], _) => current,
        ([model, ..], true) => format!("Read by the untrained {model} network, together with {}", list(others)),
        (_, false) => format!("{current}; together with {}", list(others)),
    }
}

fn list(models: &[ModelId]) -> String {
    let names: Vec<_> = models.iter().map(|model| model.id()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// The current network and its measured accuracy. Empty while it is untrained.
fn current_network(run: &Run) -> String {
    match (&run.network, model(run)) {
        (Some(NetworkReport { model, pretrained: Some(known), .. }), _) => {
            let accuracy = accuracy_text(known.test_accuracy, known.test_images);
            format!("Read by the pretrained {model} network: {accuracy}")
        }
        (_, Some(model)) if matches!(run.state, State::Training | State::Paused) => {
            format!("Read by the {model} network in training")
        }
        (None, Some(model)) if run.learned => match &run.summary {
            Some(summary) => {
                let accuracy = accuracy_text(summary.test.accuracy, summary.test_images);
                format!("Read by the {model} network trained here: {accuracy}")
            }
            None => format!("Read by the {model} network trained here, stopped in epoch {}", run.epoch()),
        },
        _ => String::new(),
    }
}

/// The network that an evaluation is about, and whether it is pretrained, untrained or trained here.
pub fn subject(run: &Run) -> String {
    let origin = match &run.network {
        Some(NetworkReport { pretrained: Some(_), .. }) => ", pretrained",
        Some(_) => ", untrained",
        None => ", trained here",
    };
    model(run).map(|model| format!("{model}{origin}")).unwrap_or_default()
}

/// The model of the current network. `None` before a network is loaded.
pub fn model(run: &Run) -> Option<ModelId> {
    let loaded = run.network.as_ref().map(|network| network.model);
    loaded.or(run.plan.as_ref().map(|plan| plan.spec.model))
}

/// The settings for evaluating the current network. They use the split of the network's own training run, not the
/// chosen one, so that no test image was used for training.
pub fn evaluated_on(run: &Run, chosen: &TrainSpec) -> TrainSpec {
    match (&run.network, &run.plan) {
        (Some(network), _) => {
            let TrainSpec { model, split, .. } = TrainSpec::of(network.model);
            TrainSpec { model, split, ..chosen.clone() }
        }
        (None, Some(plan)) => TrainSpec { test_limit: chosen.test_limit, ..plan.spec.clone() },
        (None, None) => chosen.clone(),
    }
}

/// Compares an evaluation with the published accuracy of the network. `None` if none was published, or if the images
/// are not MNIST's.
pub fn compared(run: &Run, evaluation: &Evaluation) -> Option<String> {
    let on_mnist = run.dataset.as_ref().is_some_and(|dataset| dataset.id == DatasetId::Mnist);
    let published = models::published(model(run).filter(|_| on_mnist)?);
    let accuracy = published.accuracy?;
    let interval = evaluation.interval;
    let relation = if interval.low > accuracy {
        "Above"
    } else if interval.high < accuracy {
        "Below"
    } else {
        "No clear difference from"
    };
    Some(format!("{relation} the published {} ({}).", percent(accuracy), published.measured_on))
}

/// The published accuracy of a network, with its number of epochs and how it was measured.
pub fn published(model: ModelId) -> String {
    let published = models::published(model);
    let epochs = published.epochs.map(|epochs| format!(" in {epochs} epochs")).unwrap_or_default();
    match published.accuracy {
        _ if model == ModelId::Sprint => "Our own network: made to reach 99 % as fast as possible.".into(),
        Some(accuracy) => format!("Published: {}{epochs} ({}).", percent(accuracy), published.measured_on),
        None => "Published: the layers, but no accuracy.".into(),
    }
}

fn accuracy_text(accuracy: f64, n_images: usize) -> String {
    format!("{} of {} test images correct", percent(accuracy), count(n_images as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_core::evaluation::Evaluator;
    use inkling_core::protocol::{BestEpoch, DatasetReport, Event, Progress, RunPlan, RunSummary, StepReport};
    use inkling_core::spec::{Metrics, N_CLASSES, Prediction, Pretrained, SplitId};

    fn using(model: ModelId, pretrained: Option<Pretrained>) -> Event {
        Event::ModelLoaded(NetworkReport { model, parameters: 1, pretrained })
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
    fn the_network_is_named_with_its_measured_accuracy() {
        let text = |events: &[Event]| reader(&Run::of(events));
        assert_eq!(text(&[]), "");
        assert_eq!(
            text(&[pretrained()]),
            "Read by the pretrained compact network: 99.54 % of 10,000 test images correct"
        );
        assert_eq!(text(&[pretrained(), using(ModelId::Wide, None)]), "");
        assert_eq!(text(&[pretrained(), started(ModelId::Leaky)]), "Read by the leaky network in training");
        assert_eq!(
            text(&[started(ModelId::Leaky), stepped(), finished()]),
            "Read by the leaky network trained here: 99.12 % of 10,000 test images correct"
        );
        assert_eq!(
            text(&[started(ModelId::Leaky), stepped(), Event::Stopped]),
            "Read by the leaky network trained here, stopped in epoch 2"
        );
        assert!(text(&[started(ModelId::Leaky), stepped(), finished(), pretrained()]).contains("compact"));
    }

    #[test]
    fn the_networks_of_an_ensemble_are_named() {
        let text = |events: &[Event]| reader(&Run::of(events));
        let ensemble = |models: &[ModelId]| Event::EnsembleChanged(models.to_vec());
        let three = ensemble(&[ModelId::Compact, ModelId::Strided, ModelId::Leaky]);
        assert_eq!(
            text(&[pretrained(), three.clone()]),
            "Read by the pretrained compact network: 99.54 % of 10,000 test images correct; \
             together with strided and leaky"
        );
        assert_eq!(text(&[pretrained(), three, ensemble(&[ModelId::Compact])]), text(&[pretrained()]));
        assert_eq!(
            text(&[using(ModelId::Wide, None), ensemble(&[ModelId::Wide, ModelId::Compact])]),
            "Read by the untrained wide network, together with compact"
        );
    }

    #[test]
    fn the_subject_of_an_evaluation_is_named() {
        assert_eq!(subject(&Run::of(&[pretrained()])), "compact, pretrained");
        assert_eq!(subject(&Run::of(&[pretrained(), started(ModelId::Wide), stepped()])), "wide, trained here");
        assert_eq!(subject(&Run::default()), "");
    }

    #[test]
    fn no_network_is_evaluated_on_its_training_images() {
        let kaggle = TrainSpec { split: SplitId::Kaggle, test_limit: Some(500), seed: 9, ..TrainSpec::default() };
        let shipped = evaluated_on(&Run::of(&[pretrained()]), &kaggle);
        assert_eq!(
            (shipped.model, shipped.split, shipped.test_limit),
            (ModelId::Compact, SplitId::Published, Some(500))
        );
        let trained =
            evaluated_on(&Run::of(&[started(ModelId::Wide), stepped(), Event::Stopped]), &TrainSpec::default());
        assert_eq!((trained.model, trained.split, trained.seed), (ModelId::Wide, SplitId::Kaggle, 1));
        assert_eq!(evaluated_on(&Run::default(), &kaggle), kaggle);
    }

    #[test]
    fn an_evaluation_is_not_the_end_of_a_run() {
        let test = Event::Progress(Progress { phase: Phase::Test, done: 1, total: 2 });
        assert!(is_evaluating(&Run::of(&[pretrained(), test.clone()])));
        assert!(!is_evaluating(&Run::of(&[started(ModelId::Leaky), test])));
        assert!(!is_evaluating(&Run::default()));
    }

    /// An evaluation of 10,000 images, `n_correct` of them classified correctly.
    fn evaluation(n_correct: usize) -> Evaluation {
        let mut evaluator = Evaluator::default();
        for index in 0..10_000 {
            let mut probabilities = [0.0; N_CLASSES];
            probabilities[usize::from(index >= n_correct)] = 1.0;
            evaluator.add(index, 0, &Prediction { probabilities });
        }
        evaluator.finish()
    }

    #[test]
    fn accuracies_are_compared_within_their_interval() {
        let report = |id| DatasetReport { id, n_train: 1, n_validation: None, n_test: 10_000, fallback: None };
        let on = |id, model| Run::of(&[Event::Dataset(report(id)), using(model, None)]);
        let comparison = |n_correct| compared(&on(DatasetId::Mnist, ModelId::Classic), &evaluation(n_correct)).unwrap();
        assert!(comparison(9800).starts_with("Below the published 99.14 %"), "{}", comparison(9800));
        assert_eq!(
            comparison(9914),
            "No clear difference from the published 99.14 % (best validation accuracy of 12 epochs; the last had \
             98.99 %)."
        );
        assert!(comparison(9960).starts_with("Above the published"), "{}", comparison(9960));
        assert_eq!(compared(&on(DatasetId::Mnist, ModelId::Wide), &evaluation(9960)), None);
        assert_eq!(compared(&on(DatasetId::Synthetic, ModelId::Classic), &evaluation(9960)), None);
    }

    #[test]
    fn published_figures_name_how_they_were_measured() {
        assert_eq!(published(ModelId::Strided), "Published: 99.38 % in 23 epochs (test accuracy).");
        assert!(published(ModelId::Wide).contains("no accuracy"));
    }
}
