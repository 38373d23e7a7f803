//! One chart of a run: its lines, its labels, and the values at a place. Pure.

use inkling_core::protocol::{EpochReport, StepReport};
use inkling_core::run::Run;

use crate::model::plot::{self, Axis, Measure, Point};

/// Steps that the smoothed line looks back over, at most.
const REACH: f64 = 12.0;

/// A chart, ready to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// Lines across at the labelled values.
    pub grid: String,
    /// Every training step.
    pub raw: String,
    /// The training steps, smoothed.
    pub training: String,
    /// The epochs' validations, joined.
    pub validation: String,
    /// The epochs' validations, each.
    pub dots: String,
    /// Labels along the bottom: a fraction of the width, and a text.
    pub across: Vec<(f64, String)>,
    /// Labels along the side: a fraction of the height from below, and a text.
    pub up: Vec<(f64, String)>,
    /// Epochs from the left end to the right.
    span: f64,
    measure: Option<Measure>,
}

/// The values at one place of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Which step, in which epoch.
    pub place: String,
    pub training: String,
    pub validation: String,
}

impl Reading {
    /// The values as a sentence.
    pub fn told(&self) -> String {
        let Self { place, training, validation } = self;
        if place.is_empty() {
            "has no values yet".into()
        } else {
            format!("at {place}: training {training}, validation {validation}")
        }
    }
}

impl Figure {
    /// The chart of one measure of a run.
    pub fn of(run: &Run, measure: Measure) -> Self {
        let (per_epoch, epochs) =
            run.plan.as_ref().map_or((1, 1), |plan| (plan.steps_per_epoch, plan.spec.recipe.epochs));
        let at = |step: usize| step as f64 / per_epoch.max(1) as f64;
        let steps: Vec<_> = run.steps.iter().map(|it| Point { x: at(it.step), y: measure.of(&it.batch) }).collect();
        let validations: Vec<_> =
            run.epochs.iter().map(|it| Point { x: at(it.step), y: measure.of(&it.validation) }).collect();
        let raw = plot::decimate(&steps, plot::MAX_POINTS);
        // A short run is smoothed less: the line would trail behind it.
        let reach = REACH.min(steps.len() as f64 / 10.0);
        let training = plot::decimate(&plot::smooth(&steps, reach), plot::MAX_POINTS);

        let done = steps.last().map_or(0.0, |point| point.x);
        let x = Axis::growing(done, at(40).min(1.0), epochs as f64);
        // Single batches are often wholly right: an axis with room for 100 % would have room for little else.
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

    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The values at a fraction of the width; the newest ones without.
    pub fn read(&self, run: &Run, fraction: Option<f64>) -> Reading {
        let (Some(measure), Some(last), Some(plan)) = (self.measure, run.steps.last(), &run.plan) else {
            return Reading::default();
        };
        let place = fraction.map_or(f64::INFINITY, |fraction| fraction * self.span * plan.steps_per_epoch as f64);
        let next = run.steps.partition_point(|step| (step.step as f64) < place);
        let step = run.steps.get(next).unwrap_or(last);
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

/// Fractions of an epoch are shown while the first ones run.
fn tick_text(tick: f64) -> String {
    let rounded = (tick * 1000.0).round() / 1000.0;
    format!("{rounded}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_core::protocol::{Event, RunPlan};
    use inkling_core::spec::{Metrics, TrainSpec};

    /// A run of ten steps an epoch.
    fn run(n_steps: usize) -> Run {
        let mut run = Run::default();
        run.apply(&Event::Started(RunPlan { spec: TrainSpec::default(), parameters: 1, steps_per_epoch: 10 }));
        for step in 1..=n_steps {
            let batch = Metrics { loss: 1.0 / step as f64, accuracy: 0.5 };
            let epoch = (step - 1) / 10 + 1;
            run.apply(&Event::Stepped(vec![StepReport { epoch, step, batch, running: batch, images_per_second: 1.0 }]));
            if step % 10 == 0 {
                run.apply(&Event::EpochEnded(ended(epoch, step)));
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
    fn no_run_is_an_empty_chart() {
        let figure = Figure::of(&Run::default(), Measure::Loss);
        assert!(figure.is_empty() && figure.dots.is_empty());
        assert_eq!(figure.read(&Run::default(), Some(0.5)), Reading::default());
    }

    #[test]
    fn a_long_run_is_drawn_with_few_points() {
        let figure = Figure::of(&run(5_000), Measure::Loss);
        let n_points = |path: &str| path.matches(['M', 'L']).count();
        assert!(n_points(&figure.raw) <= plot::MAX_POINTS && n_points(&figure.raw) > 100);
        assert_eq!(n_points(&figure.dots), 500);
    }

    #[test]
    fn the_values_under_the_pointer_are_told() {
        let run = run(25);
        let figure = Figure::of(&run, Measure::Loss);
        let newest = figure.read(&run, None);
        assert_eq!(
            (newest.place.as_str(), newest.training.as_str(), newest.validation.as_str()),
            ("step 25, epoch 3", "0.0400", "0.2500")
        );
        let first = figure.read(&run, Some(0.0));
        assert_eq!(
            (first.place.as_str(), first.training.as_str(), first.validation.as_str()),
            ("step 1, epoch 1", "1.0000", "–")
        );
        let at_ten = figure.read(&run, Some(10.0 / (figure.span * 10.0)));
        assert_eq!((at_ten.place.as_str(), at_ten.validation.as_str()), ("step 10, epoch 1", "0.5000"));
    }
}
