//! Which network predicts, its measured accuracy as text, and what the page is busy with. Pure: it never changes a run.

use inkling_core::models;
use inkling_core::protocol::{Activity, EvaluationReport, EvaluationSpec, NetworkReport, RunState};
use inkling_core::run::Run;
use inkling_core::spec::{DatasetId, ModelId, TrainSpec};

use crate::model::numbers::{count, percent};

/// Whether the test images are being evaluated on request, not at the end of a run.
pub fn is_evaluating(run: &Run) -> bool {
    run.activity == Some(Activity::Evaluating)
}

/// Whether the training speed of the engine is being measured.
pub fn is_measuring(run: &Run) -> bool {
    run.activity == Some(Activity::Measuring)
}

/// Whether a run is in progress or about to start, or the engine is loading.
pub fn is_running(run: &Run) -> bool {
    matches!(run.state, RunState::Loading | RunState::Training | RunState::Paused)
}

/// Whether an engine is open, no run is in progress and nothing is being evaluated or measured.
pub fn is_idle(run: &Run) -> bool {
    can_load_model(run) && run.activity.is_none()
}

/// Whether another model can be loaded: an engine is open and no run is in progress.
pub fn can_load_model(run: &Run) -> bool {
    run.engine.is_some() && matches!(run.state, RunState::Ready | RunState::Finished)
}

/// Whether something goes on that can be stopped: a run, also one whose images are loading, an evaluation or a
/// measurement.
pub fn can_stop(run: &Run) -> bool {
    let loads = run.state == RunState::Loading && run.engine.is_some();
    loads || run.activity.is_some() || matches!(run.state, RunState::Training | RunState::Paused)
}

/// The networks that predict, and the measured accuracy of the current one. Empty while that network is untrained and
/// alone.
pub fn predicting_networks(run: &Run) -> String {
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
        (_, Some(model)) if matches!(run.state, RunState::Training | RunState::Paused) => {
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

/// The test images for evaluating the current network. They are those of the split that the network was trained with,
/// not of the chosen one, so that it learned none of them.
pub fn evaluated_on(run: &Run, chosen: &TrainSpec) -> EvaluationSpec {
    let chosen_images = EvaluationSpec::of(chosen);
    match (&run.network, &run.plan) {
        (Some(network), _) => {
            let own = network.provenance.as_ref().filter(|provenance| provenance.dataset == chosen.dataset);
            let (split, split_seed) = own
                .map_or((TrainSpec::of(network.model).split, chosen.split_seed), |provenance| {
                    (provenance.split, provenance.split_seed)
                });
            EvaluationSpec { split, split_seed, ..chosen_images }
        }
        (None, Some(plan)) => EvaluationSpec { test_limit: chosen.test_limit, ..EvaluationSpec::of(&plan.spec) },
        (None, None) => chosen_images,
    }
}

/// Compares an evaluation with the published accuracy of its network. `None` if none was published, of an ensemble, or
/// if the images are not MNIST's.
pub fn compared(evaluation: &EvaluationReport) -> Option<String> {
    let [model] = evaluation.models[..] else { return None };
    let published = models::published(Some(model).filter(|_| evaluation.dataset == DatasetId::Mnist)?);
    let accuracy = published.accuracy?;
    let interval = evaluation.result.interval;
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
    use inkling_core::evaluation::{Evaluation, Evaluator};
    use inkling_core::protocol::{
        BestEpoch, EngineKind, EngineReport, Event, RunPlan, RunSummary, SessionState, StepReport,
    };
    use inkling_core::spec::{Metrics, N_CLASSES, Prediction, Pretrained, Provenance, SplitId};

    fn report(model: ModelId, pretrained: Option<Pretrained>) -> NetworkReport {
        NetworkReport { model, parameters: 1, pretrained, provenance: None }
    }

    fn using(model: ModelId, pretrained: Option<Pretrained>) -> Event {
        Event::ModelLoaded(report(model, pretrained))
    }

    fn engine() -> Event {
        let (kind, adapter) = (EngineKind::Cpu, "SIMD".into());
        let (fallback_reason, work_per_sec, kernels) = (None, None, None);
        Event::Engine(EngineReport { kind, adapter, software: false, fallback_reason, work_per_sec, kernels })
    }

    fn pretrained() -> Event {
        using(ModelId::Compact, Some(Pretrained { test_accuracy: 0.9954, test_images: 10_000, epochs: 20 }))
    }

    fn started(model: ModelId) -> Event {
        Event::Started(RunPlan { spec: TrainSpec::of(model), parameters: 1, steps_per_epoch: 10 })
    }

    fn state(run: RunState, activity: Option<Activity>) -> Event {
        Event::State(SessionState { run, activity })
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
        let text = |events: &[Event]| predicting_networks(&Run::of(events));
        assert_eq!(text(&[]), "");
        assert_eq!(
            text(&[pretrained()]),
            "Read by the pretrained compact network: 99.54 % of 10,000 test images correct"
        );
        assert_eq!(text(&[pretrained(), using(ModelId::Wide, None)]), "");
        assert_eq!(
            text(&[pretrained(), started(ModelId::Leaky), state(RunState::Training, None)]),
            "Read by the leaky network in training"
        );
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
        let text = |events: &[Event]| predicting_networks(&Run::of(events));
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
        assert_eq!((shipped.split, shipped.test_limit), (SplitId::Published, Some(500)));
        let provenance = Provenance::of(&TrainSpec { split_seed: 4, ..kaggle.clone() }, &DatasetId::Mnist, "b");
        let loaded = NetworkReport { provenance: Some(provenance), ..report(ModelId::Compact, None) };
        let own = evaluated_on(&Run::of(&[Event::ModelLoaded(loaded)]), &TrainSpec::default());
        assert_eq!((own.split, own.split_seed), (SplitId::Kaggle, 4));
        let trained =
            evaluated_on(&Run::of(&[started(ModelId::Wide), stepped(), Event::Stopped]), &TrainSpec::default());
        assert_eq!((trained.split, trained.split_seed), (SplitId::Kaggle, 1));
        assert_eq!(evaluated_on(&Run::default(), &kaggle), EvaluationSpec::of(&kaggle));
    }

    #[test]
    fn what_goes_on_can_be_stopped() {
        let open = [pretrained(), engine()];
        let can = |run, activity| can_stop(&Run::of(open.iter().chain(&[state(run, activity)])));
        assert!(can(RunState::Training, None) && can(RunState::Paused, None) && can(RunState::Loading, None));
        assert!(can(RunState::Ready, Some(Activity::Evaluating)) && can(RunState::Finished, Some(Activity::Measuring)));
        assert!(!can(RunState::Ready, None) && !can(RunState::Failed, None));
        assert!(!can_stop(&Run::default()), "no engine is open");
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
        let on = |dataset, models: &[ModelId], n_correct| {
            let (models, result) = (models.to_vec(), evaluation(n_correct));
            compared(&EvaluationReport { result, models, dataset, fallback: None })
        };
        let comparison = |n_correct| on(DatasetId::Mnist, &[ModelId::Classic], n_correct).unwrap();
        assert!(comparison(9800).starts_with("Below the published 99.14 %"), "{}", comparison(9800));
        assert_eq!(
            comparison(9914),
            "No clear difference from the published 99.14 % (best validation accuracy of 12 epochs; the last had \
             98.99 %)."
        );
        assert!(comparison(9960).starts_with("Above the published"), "{}", comparison(9960));
        assert_eq!(on(DatasetId::Mnist, &[ModelId::Wide], 9960), None);
        assert_eq!(on(DatasetId::Synthetic, &[ModelId::Classic], 9960), None);
    }

    #[test]
    fn published_figures_name_how_they_were_measured() {
        assert_eq!(published(ModelId::Strided), "Published: 99.38 % in 23 epochs (test accuracy).");
        assert!(published(ModelId::Wide).contains("no accuracy"));
    }
}
