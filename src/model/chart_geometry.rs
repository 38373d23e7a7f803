//! The geometry of one chart of a run: its paths, its labels, and the values at a position. Pure: it never draws.

use inkling_core::protocol::{EpochReport, StepReport};
use inkling_core::run::Run;

use crate::model::plot::{self, Axis, Measure, Point};

/// Largest time constant of the smoothed training line, in steps.
const REACH: f64 = 12.0;

/// The SVG paths and labels of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChartGeometry {
    /// Horizontal grid lines at the labelled values, as SVG path data.
    pub grid: String,
    /// Every training step, as SVG path data.
    pub raw: String,
    /// The training steps, smoothed, as SVG path data.
    pub training: String,
    /// The validation of each epoch as a line, as SVG path data.
    pub validation: String,
    /// The validation of each epoch as a dot, as SVG path data.
    pub dots: String,
    /// Labels of the horizontal axis: position as a fraction of the width from the left, and text.
    pub across: Vec<(f64, String)>,
    /// Labels of the vertical axis: position as a fraction of the height from the bottom, and text.
    pub up: Vec<(f64, String)>,
    /// Length of the horizontal axis, in epochs.
    span: f64,
    measure: Option<Measure>,
}

/// The values at one position of a chart, as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The step and its epoch. Empty before the first step.
    pub place: String,
    /// The value of the step's training batch.
    pub training: String,
    /// The value of the last validation at or before the step; `–` before the first.
    pub validation: String,
}

impl Reading {
    /// The values as a phrase for screen readers, to follow the title of the chart.
    pub fn told(&self) -> String {
        let Self { place, training, validation } = self;
        if place.is_empty() {
            "has no values yet".into()
        } else {
            format!("at {place}: training {training}, validation {validation}")
        }
    }
}

impl ChartGeometry {
    /// Computes the chart of one measure of a run.
    pub fn of(run: &Run, measure: Measure) -> Self {
        let (per_epoch, epochs) =
            run.plan.as_ref().map_or((1, 1), |plan| (plan.steps_per_epoch, plan.spec.recipe.epochs));
        let at = |step: usize| step as f64 / per_epoch.max(1) as f64;
        let steps: Vec<_> =
            run.steps.entries().iter().map(|it| Point { x: at(it.step), y: measure.of(&it.batch) }).collect();
        let validations: Vec<_> =
            run.epochs.iter().map(|it| Point { x: at(it.step), y: measure.of(&it.validation) }).collect();
        let raw = plot::decimate(&steps, plot::MAX_POINTS);
        // A short run is smoothed less, or the line would lag behind it.
        let reach = REACH.min(steps.len() as f64 / 10.0);
        let training = plot::decimate(&plot::smooth(&steps, reach), plot::MAX_POINTS);

        let done = steps.last().map_or(0.0, |point| point.x);
        let x = Axis::growing(done, at(40).min(1.0), epochs as f64);
        // Many single batches have an accuracy of 100 %. An axis that includes them has little room for anything else.
        let single: &[Point] = if measure == Measure::Loss { &raw } else { &[] };
        let y = measure.axis(training.iter().chain(&validations).chain(single).map(|point| point.y));
        let ticks = y.ticks();
        Self {
            grid: ticks.iter().map(|tick| plot::rule(*tick, &y)).collect(),
            raw: plot::line(&raw, &x, &y),
            training: plot::line(&training, &x, &y),
            validation: plot::line(&validations, &x, &y),
            dots: plot::dots(&validations, &x, &y),
            across: x.ticks().into_iter().map(|tick| (x.fraction(tick), tick_text(tick))).collect(),
            up: ticks.into_iter().map(|tick| (y.fraction(tick), measure.label(tick))).collect(),
            span: x.value(1.0),
            measure: Some(measure),
        }
    }

    /// Whether the run has no steps yet.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Returns the values at a fraction of the width, or the newest ones without a fraction.
    pub fn read(&self, run: &Run, fraction: Option<f64>) -> Reading {
        let (Some(measure), Some(last), Some(plan)) = (self.measure, run.steps.last(), &run.plan) else {
            return Reading::default();
        };
        let place = fraction.map_or(f64::INFINITY, |fraction| fraction * self.span * plan.steps_per_epoch as f64);
        let steps = run.steps.entries();
        let next = steps.partition_point(|step| (step.step as f64) < place);
        let step = steps.get(next).unwrap_or(last);
        let validation = run.epochs.iter().rev().find(|epoch| epoch.step <= step.step);
        Reading {
            place: place_text(step),
            training: measure.value(measure.of(&step.batch)),
            validation: validation
                .map_or("–".into(), |epoch: &EpochReport| measure.value(measure.of(&epoch.validation))),
        }
    }
}

fn place_text(step: &StepReport) -> String {
    format!("step {}, epoch {}", step.step, step.epoch)
}

/// Rounds to thousandths: the axis shows fractions of an epoch at the beginning of a run.
fn tick_text(tick: f64) -> String {
    let rounded = (tick * 1000.0).round() / 1000.0;
    format!("{rounded}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_core::protocol::{Event, RunPlan};
    use inkling_core::spec::{Metrics, TrainSpec};

    /// A run with ten steps per epoch.
    fn run(n_steps: usize) -> Run {
        let mut run = Run::default();
        let plan = RunPlan { spec: TrainSpec::default(), parameters: 1, steps_per_epoch: 10 };
        run.apply(&Event::Started(plan).into());
        for step in 1..=n_steps {
            let batch = Metrics { loss: 1.0 / step as f64, accuracy: 0.5 };
            let epoch = (step - 1) / 10 + 1;
            let report = StepReport { epoch, step, batch, running: batch, images_per_second: 1.0 };
            run.apply(&Event::Stepped(vec![report]).into());
            if step % 10 == 0 {
                run.apply(&Event::EpochEnded(ended(epoch, step)).into());
            }
        }
        run
    }

    fn ended(epoch: usize, step: usize) -> EpochReport {
        let validation = Metrics { loss: 0.5 / epoch as f64, accuracy: 0.9 };
        EpochReport {
            epoch,
            epochs: 12,
            step,
            training: validation,
            validation,
            learning_rate: 0.003,
            images_per_second: 1.0,
            elapsed_secs: 1.0,
        }
    }

    #[test]
    fn without_a_run_the_chart_is_empty() {
        let geometry = ChartGeometry::of(&Run::default(), Measure::Loss);
        assert!(geometry.is_empty() && geometry.dots.is_empty());
        assert_eq!(geometry.read(&Run::default(), Some(0.5)), Reading::default());
    }

    #[test]
    fn a_long_run_is_drawn_with_few_points() {
        let geometry = ChartGeometry::of(&run(5_000), Measure::Loss);
        let n_points = |path: &str| path.matches(['M', 'L']).count();
        assert!(n_points(&geometry.raw) <= plot::MAX_POINTS && n_points(&geometry.raw) > 100);
        assert_eq!(n_points(&geometry.dots), 500);
    }

    #[test]
    fn the_values_under_the_pointer_are_described() {
        let run = run(25);
        let geometry = ChartGeometry::of(&run, Measure::Loss);
        let newest = geometry.read(&run, None);
        assert_eq!(
            (newest.place.as_str(), newest.training.as_str(), newest.validation.as_str()),
            ("step 25, epoch 3", "0.0400", "0.2500")
        );
        let first = geometry.read(&run, Some(0.0));
        assert_eq!(
            (first.place.as_str(), first.training.as_str(), first.validation.as_str()),
            ("step 1, epoch 1", "1.0000", "–")
        );
        let at_ten = geometry.read(&run, Some(10.0 / (geometry.span * 10.0)));
        assert_eq!((at_ten.place.as_str(), at_ten.validation.as_str()), ("step 10, epoch 1", "0.5000"));
    }
}
