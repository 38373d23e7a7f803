//! How good the network at hand is: asks for a judgement, and shows its figures.

use inkling_core::evaluation::{self, Calibration};
use inkling_core::models;
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::plot::{self, Axis};
use crate::model::reliability::Reliability;
use crate::model::{labels, model_status};
use crate::views::confusion::{ByDigit, Confusion};
use crate::views::interval_bar::Strip;
use crate::views::misclassified::Mistakes;

/// There once a network has learned something.
#[component]
pub fn Judgement(page: Page) -> impl IntoView {
    let judgement = Memo::new(move |_| page.run.with(|run| run.judgement.clone()));
    let shown = Memo::new(move |_| page.run.with(|run| run.learned || run.judgement.is_some()));
    let report = move || judgement.get().map(|judgement| view! { <Report page judgement /> });
    view! {
        <Show when=move || shown.get()>
            <section class="card judgement" aria-labelledby="judgement-title" data-testid="judgement">
                <Head page judged=Signal::derive(move || judgement.with(Option::is_some)) />
                {report}
            </section>
        </Show>
    }
    .into_any()
}

#[component]
fn Head(page: Page, judged: Signal<bool>) -> impl IntoView {
    let subject = Memo::new(move |_| page.run.with(model_status::subject));
    let can = Memo::new(move |_| page.run.with(|run| run.learned && model_status::is_idle(run)));
    let invitation = move || match judged.get() {
        true => subject.get(),
        false => format!("{}: not judged in this tab yet", subject.get()),
    };
    view! {
        <div class="judgement-head">
            <h2 class="card-title" id="judgement-title">"How good is it"</h2>
            <p class="judgement-subject">{invitation}</p>
            <button class="button" type="button" data-testid="judge" disabled=move || !can.get()
                on:click=move |_| page.judge()>
                "Judge on the test images"
            </button>
        </div>
    }
    .into_any()
}

#[component]
fn Report(page: Page, judgement: evaluation::Judgement) -> impl IntoView {
    let nothing_wrong = judgement.mistakes.is_empty();
    // They came ahead of the judgement.
    let pictures = page.run.with_untracked(|run| run.pictures.clone());
    view! {
        <div class="report">
            <div class="report-part">
                <Score page judgement=judgement.clone() />
                <Figures page judgement=judgement.clone() />
            </div>
            <div class="report-part"><Confusion confusion=judgement.confusion /></div>
            <div class="report-part"><ByDigit judgement=judgement.clone() /></div>
            <div class="report-part"><Believed calibration=judgement.calibration /></div>
            <div class="report-part report-mistakes" hidden=nothing_wrong><Mistakes mistakes=judgement.mistakes pictures /></div>
        </div>
    }
    .into_any()
}

/// The accuracy, how far it can be trusted, and how it stands beside the published one.
#[component]
fn Score(page: Page, judgement: evaluation::Judgement) -> impl IntoView {
    let (accuracy, interval) = (judgement.accuracy, judgement.interval);
    let compared = page.run.with_untracked(|run| model_status::compared(run, &judgement));
    let published = page.run.with_untracked(model_status::model).and_then(|model| models::published(model).accuracy);
    let published = published.filter(|_| compared.is_some());
    let axis = Axis::close_accuracies([interval.low, interval.high].into_iter().chain(published));
    let n_images = labels::count(judgement.n_images as u64);
    let range =
        format!("of {n_images} test images read rightly. On others like them: {interval}, with 95 % confidence.");
    view! {
        <p class="score" data-testid="test-accuracy" data-value=accuracy data-low=interval.low data-high=interval.high>
            <strong class="score-value">{labels::percent(accuracy)}</strong>
            <span class="score-range">{range}</span>
        </p>
        <Strip axis accuracy interval published labelled=true />
        {compared.map(|told| view! { <p class="score-compared" data-testid="compared">{told}</p> })}
    }
    .into_any()
}

#[component]
fn Figures(page: Page, judgement: evaluation::Judgement) -> impl IntoView {
    let count = |n: usize| labels::count(n as u64);
    // The summary of a run comes after its judgement.
    let best = Memo::new(move |_| page.run.with(|run| run.summary.filter(|_| run.network.is_none())).map(|it| it.best));
    let best = move || {
        let best = best.get()?;
        Some(entry("Best validation", format!("{}, epoch {}", labels::percent(best.validation.accuracy), best.epoch)))
    };
    view! {
        <dl class="figures">
            {entry("Errors", format!("{} of {}", count(judgement.n_errors), count(judgement.n_images)))}
            {entry("Loss", format!("{:.4}", judgement.loss))}
            {entry("Calibration error", format!("{:.2} %", 100.0 * judgement.calibration.error))}
            {best}
        </dl>
    }
    .into_any()
}

fn entry(name: &'static str, value: String) -> impl IntoView {
    view! { <div class="figure"><dt>{name}</dt><dd>{value}</dd></div> }
}

/// The reliability plot.
#[component]
fn Believed(calibration: Calibration) -> impl IntoView {
    let Reliability { ideal, line, dots, faint, told } = Reliability::of(&calibration);
    let place = |fraction: f64| format!("{:.0}%", fraction * 100.0);
    let ends = [0.0, 0.5, 1.0];
    let below = ends.map(|at| view! { <span class="tick-x" style:left=place(at)>{place(at)}</span> }).collect_view();
    let beside = ends.map(|at| view! { <span class="tick-y" style:bottom=place(at)>{place(at)}</span> }).collect_view();
    view! {
        <figure class="believed">
            <figcaption>
                <h3 class="report-title">"Can it be believed?"</h3>
                <p class="report-note">"How sure it was, across; how often it was right, upwards. On the diagonal it keeps its word."</p>
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
