//! The evaluation of the current network: the button that requests it, and its results.

use inkling_core::evaluation::{self, Calibration};
use inkling_core::models;
use inkling_core::protocol::EvaluationReport;
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::plot::{self, Axis};
use crate::model::reliability::Reliability;
use crate::model::{model_status, numbers};
use crate::views::confusion::{ByDigit, Confusion};
use crate::views::interval_bar::IntervalBar;
use crate::views::misclassified::MisclassifiedList;

/// The evaluation card. Shown once there is a trained or pretrained network.
#[component]
pub fn Evaluation(page: Page) -> impl IntoView {
    let evaluation = Memo::new(move |_| page.run.with(|run| run.evaluation.clone()));
    let shown = Memo::new(move |_| page.run.with(|run| run.learned || run.evaluation.is_some()));
    let report = move || evaluation.get().map(|report| view! { <Report page report /> });
    view! {
        <Show when=move || shown.get()>
            <section class="card judgement" aria-labelledby="judgement-title" data-testid="judgement">
                <Head page evaluated=Signal::derive(move || evaluation.with(Option::is_some)) />
                {report}
            </section>
        </Show>
    }
    .into_any()
}

/// The title, the network that the evaluation is about, and the button.
#[component]
fn Head(page: Page, evaluated: Signal<bool>) -> impl IntoView {
    let subject = Memo::new(move |_| page.run.with(model_status::subject));
    let can_evaluate = Memo::new(move |_| page.run.with(|run| run.learned && model_status::is_idle(run)));
    let subject_text = move || match evaluated.get() {
        true => subject.get(),
        false => format!("{}: not evaluated in this tab yet", subject.get()),
    };
    view! {
        <div class="judgement-head">
            <h2 class="card-title" id="judgement-title">"How good is it?"</h2>
            <p class="judgement-subject">{subject_text}</p>
            <button class="button" type="button" data-testid="judge" disabled=move || !can_evaluate.get()
                on:click=move |_| page.evaluate()>
                "Evaluate on the test images"
            </button>
        </div>
    }
    .into_any()
}

/// The results of an evaluation.
#[component]
fn Report(page: Page, report: EvaluationReport) -> impl IntoView {
    let (compared, fallback) = (model_status::compared(&report), report.fallback);
    let evaluation = report.result;
    let nothing_wrong = evaluation.misclassified.is_empty();
    // The session sends the images before the evaluation.
    let misclassified_images = page.run.with_untracked(|run| run.misclassified_images.clone());
    view! {
        <div class="report">
            <div class="report-part">
                <Score page evaluation=evaluation.clone() compared fallback />
                <Figures page evaluation=evaluation.clone() />
            </div>
            <div class="report-part"><Confusion confusion=evaluation.confusion /></div>
            <div class="report-part"><ByDigit evaluation=evaluation.clone() /></div>
            <div class="report-part"><ReliabilityPlot calibration=evaluation.calibration /></div>
            <div class="report-part report-mistakes" hidden=nothing_wrong><MisclassifiedList misclassified=evaluation.misclassified misclassified_images /></div>
        </div>
    }
    .into_any()
}

/// The accuracy with its interval, and its comparison with the published one.
#[component]
fn Score(
    page: Page,
    evaluation: evaluation::Evaluation,
    compared: Option<String>,
    /// Why the images are not those asked for.
    fallback: Option<String>,
) -> impl IntoView {
    let (accuracy, interval) = (evaluation.accuracy, evaluation.interval);
    let published = page.run.with_untracked(model_status::model).and_then(|model| models::published(model).accuracy);
    let published = published.filter(|_| compared.is_some());
    let axis = Axis::close_accuracies([interval.low, interval.high].into_iter().chain(published));
    let n_images = numbers::count(evaluation.n_images as u64);
    let range =
        format!("of {n_images} test images read correctly. On similar images: {interval}, with 95 % confidence.");
    view! {
        <p class="score" data-testid="test-accuracy" data-value=accuracy data-low=interval.low data-high=interval.high>
            <strong class="score-value">{numbers::percent(accuracy)}</strong>
            <span class="score-range">{range}</span>
        </p>
        <IntervalBar axis accuracy interval published labelled=true />
        {compared.into_iter().chain(fallback).map(|text| view! { <p class="score-compared" data-testid="compared">{text}</p> }).collect_view()}
    }
    .into_any()
}

/// The figures besides the accuracy: errors, loss, calibration error and best validation.
#[component]
fn Figures(page: Page, evaluation: evaluation::Evaluation) -> impl IntoView {
    let count = |n: usize| numbers::count(n as u64);
    // The summary of a run arrives after its evaluation.
    let best = Memo::new(move |_| page.run.with(|run| run.summary.filter(|_| run.network.is_none())).map(|it| it.best));
    let best = move || {
        let best = best.get()?;
        Some(entry("Best validation", format!("{}, epoch {}", numbers::percent(best.validation.accuracy), best.epoch)))
    };
    view! {
        <dl class="figures">
            {entry("Errors", format!("{} of {}", count(evaluation.n_errors), count(evaluation.n_images)))}
            {entry("Loss", format!("{:.4}", evaluation.loss))}
            {entry("Calibration error", format!("{:.2} %", 100.0 * evaluation.calibration.error))}
            {best}
        </dl>
    }
    .into_any()
}

fn entry(name: &'static str, value: String) -> impl IntoView {
    view! { <div class="figure"><dt>{name}</dt><dd>{value}</dd></div> }
}

/// The reliability plot: confidence against accuracy.
#[component]
fn ReliabilityPlot(calibration: Calibration) -> impl IntoView {
    let Reliability { ideal, line, dots, faint, told } = Reliability::of(&calibration);
    let place = |fraction: f64| format!("{:.0}%", fraction * 100.0);
    let ends = [0.0, 0.5, 1.0];
    let below = ends.map(|at| view! { <span class="tick-x" style:left=place(at)>{place(at)}</span> }).collect_view();
    let beside = ends.map(|at| view! { <span class="tick-y" style:bottom=place(at)>{place(at)}</span> }).collect_view();
    view! {
        <figure class="believed">
            <figcaption>
                <h3 class="report-title">"Is its confidence reliable?"</h3>
                <p class="report-note">"Horizontal: how sure it was. Vertical: how often it was right. On the diagonal the two agree."</p>
            </figcaption>
            <div class="chart-body believed-body" role="img" aria-label=told>
                <div class="ticks" aria-hidden="true">{below}{beside}</div>
                <svg class="chart-lines" viewBox=format!("0 0 {} {}", plot::WIDTH, plot::HEIGHT) preserveAspectRatio="none" aria-hidden="true">
                    <path class="chart-grid believed-ideal" d=ideal />
                    <path class="chart-training" d=line />
                    <path class="believed-dots" d=dots />
                    <path class="believed-dots believed-faint" d=faint />
                </svg>
            </div>
        </figure>
    }
    .into_any()
}
