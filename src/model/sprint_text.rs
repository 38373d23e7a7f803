//! The text of the sprint to 99 % test accuracy: its button and its result. Pure: it never starts a run.

use inkling_core::models;
use inkling_core::run::Run;
use inkling_core::spec::{DatasetId, ModelId, TrainSpec};

use crate::model::numbers::percent;

/// The goal of a sprint: accuracy on MNIST's test images.
const GOAL: f64 = 0.99;

/// The label of the sprint button, where `workers` workers share each step. It names the expected seconds once the
/// engine's speed is known.
pub fn label(run: &Run, workers: usize) -> String {
    let work_per_sec = run.engine.as_ref().and_then(|engine| engine.work_per_sec);
    let sprint = TrainSpec { workers, ..TrainSpec::of(ModelId::Sprint) };
    let secs = work_per_sec.and_then(|per_sec| models::run_secs(&sprint, per_sec));
    match secs {
        Some(secs) => format!("99 % in about {:.0} s", secs.max(1.0)),
        None => "Sprint to 99 %".into(),
    }
}

/// The result of the current run if it is a finished sprint on MNIST, else `None`.
pub fn result(run: &Run) -> Option<String> {
    let spec = &run.plan.as_ref()?.spec;
    let on_mnist = run.dataset.as_ref().is_some_and(|dataset| dataset.id == DatasetId::Mnist);
    let summary = run.summary.as_ref().filter(|_| on_mnist && is_sprint(spec))?;
    let reached = percent(summary.test.accuracy);
    let missed = if summary.test.accuracy < GOAL { ", below the goal: another seed may reach it" } else { "" };
    Some(format!("{reached} in {:.0} s on this device{missed}.", summary.elapsed_secs.max(1.0)))
}

/// Whether these are the settings of a sprint, with any seed, engine and number of workers.
fn is_sprint(spec: &TrainSpec) -> bool {
    let TrainSpec { engine, seed, workers, .. } = *spec;
    *spec == TrainSpec { engine, seed, workers, ..TrainSpec::of(ModelId::Sprint) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_core::protocol::{BestEpoch, DatasetReport, EngineKind, EngineReport, Event, RunPlan, RunSummary};
    use inkling_core::spec::Metrics;

    fn engine(work_per_sec: Option<f64>) -> Event {
        let (kind, adapter) = (EngineKind::Cpu, "SIMD".into());
        Event::Engine(EngineReport {
            kind,
            adapter,
            software: false,
            fallback_reason: None,
            work_per_sec,
            kernels: None,
        })
    }

    fn ended(spec: TrainSpec, accuracy: f64) -> Run {
        let dataset =
            DatasetReport { id: spec.dataset.clone(), n_train: 1, n_validation: None, n_test: 1, fallback: None };
        let test = Metrics { loss: 0.03, accuracy };
        let best = BestEpoch { epoch: 1, validation: test };
        Run::of(&[
            Event::Dataset(dataset),
            Event::Started(RunPlan { spec, parameters: 1, steps_per_epoch: 1 }),
            Event::Finished(RunSummary { test_images: 10_000, test_errors: 88, test, best, elapsed_secs: 20.6 }),
        ])
    }

    #[test]
    fn the_button_names_the_seconds_once_the_engine_is_known() {
        assert_eq!(label(&Run::default(), 2), "Sprint to 99 %");
        assert_eq!(label(&Run::of(&[engine(None)]), 2), "Sprint to 99 %");
        let alone = TrainSpec { workers: 1, ..TrainSpec::of(ModelId::Sprint) };
        let tried = Run::of(&[engine(Some(models::run_secs(&alone, 1.0).unwrap() / 19.8))]);
        assert_eq!((label(&tried, 1), label(&tried, 2)), ("99 % in about 20 s".into(), "99 % in about 12 s".into()));
    }

    #[test]
    fn the_result_states_the_accuracy_reached() {
        let sprint = TrainSpec { seed: 7, ..TrainSpec::of(ModelId::Sprint) };
        assert_eq!(result(&ended(sprint.clone(), 0.9912)).unwrap(), "99.12 % in 21 s on this device.");
        assert!(
            result(&ended(sprint.clone(), 0.9897))
                .unwrap()
                .starts_with("98.97 % in 21 s on this device, below the goal")
        );
        let synthetic = TrainSpec { dataset: DatasetId::Synthetic, ..sprint.clone() };
        assert_eq!(result(&ended(synthetic, 0.9912)), None);
        assert_eq!(result(&ended(TrainSpec { train_limit: Some(9), ..sprint }, 0.9912)), None);
        assert_eq!(result(&Run::default()), None);
    }
}
