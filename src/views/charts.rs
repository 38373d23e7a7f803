//! Live charts of loss and accuracy: every training step, every validation, and the values under the pointer.

use inkling_core::protocol::StepReport;
use leptos::html;
use leptos::prelude::*;
use web_sys::{KeyboardEvent, PointerEvent};

use crate::link::state::Page;
use crate::model::figure::Figure;
use crate::model::plot::{self, Measure};

/// Scripts read this many of the first losses.
const LOSSES_TOLD: usize = 10;

#[component]
pub fn Charts(page: Page) -> impl IntoView {
    // A place on the common axis, as a fraction: both charts tell of the same step.
    let pointed = RwSignal::new(None);
    view! {
        <div class="charts">
            <Chart page pointed measure=Measure::Loss title="Loss" testid="chart-loss" />
            <Chart page pointed measure=Measure::Accuracy title="Accuracy" testid="chart-accuracy" />
        </div>
    }
    .into_any()
}

#[component]
fn Chart(
    page: Page,
    pointed: RwSignal<Option<f64>>,
    measure: Measure,
    title: &'static str,
    testid: &'static str,
) -> impl IntoView {
    let figure = Memo::new(move |_| page.run.with(|run| Figure::of(run, measure)));
    let losses = Memo::new(move |_| (measure == Measure::Loss).then(|| page.run.with(|run| first_losses(&run.steps))));
    let reading = Memo::new(move |_| page.run.with(|run| figure.with(|figure| figure.read(run, pointed.get()))));
    let summary = move || format!("{title} {}", reading.with(|reading| reading.told()));
    view! {
        <figure class="card chart" data-testid=testid data-losses=losses>
            <figcaption class="chart-head">
                <h2 class="card-title">{title}</h2>
                <p class="chart-place">{move || reading.with(|reading| reading.place.clone())}</p>
                <dl class="legend">
                    <div class="legend-entry legend-training">
                        <dt>"training"</dt><dd>{move || reading.with(|reading| reading.training.clone())}</dd>
                    </div>
                    <div class="legend-entry legend-validation">
                        <dt>"validation"</dt><dd>{move || reading.with(|reading| reading.validation.clone())}</dd>
                    </div>
                </dl>
            </figcaption>
            <div class="chart-body">
                <Ticks figure />
                <Drawing figure pointed label=Signal::derive(summary) />
            </div>
        </figure>
    }
    .into_any()
}

/// The lines. The pointer, or the arrow keys, choose the step that is told.
#[component]
fn Drawing(figure: Memo<Figure>, pointed: RwSignal<Option<f64>>, label: Signal<String>) -> impl IntoView {
    let svg = NodeRef::<html::Div>::new();
    let part = move |part: fn(&Figure) -> &str| move || figure.with(|figure| part(figure).to_owned());
    let cursor = move || pointed.get().map(|fraction| format!("{:.2}%", fraction * 100.0));
    let point = move |event: PointerEvent| {
        if let Some(area) = svg.get_untracked() {
            let bounds = area.get_bounding_client_rect();
            let across = (f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0);
            pointed.set(Some(across.clamp(0.0, 1.0)));
        }
    };
    view! {
        <div node_ref=svg class="chart-area" tabindex="0" role="img" aria-label=label
            on:pointermove=point on:pointerdown=point
            on:pointerleave=move |_| pointed.set(None) on:blur=move |_| pointed.set(None)
            on:keydown=move |event| walk(pointed, &event)>
            <svg class="chart-lines" viewBox=format!("0 0 {} {}", plot::WIDTH, plot::HEIGHT) preserveAspectRatio="none" aria-hidden="true">
                <path class="chart-grid" d=part(|figure| &figure.grid) />
                <path class="chart-raw" d=part(|figure| &figure.raw) />
                <path class="chart-training" d=part(|figure| &figure.training) />
                <path class="chart-validation" d=part(|figure| &figure.validation) />
                <path class="chart-dots" d=part(|figure| &figure.dots) />
            </svg>
            <span class="chart-cursor" hidden=move || pointed.get().is_none() style:left=cursor></span>
            <p class="chart-empty" hidden=move || figure.with(|figure| !figure.is_empty())>"Curves appear as soon as training starts."</p>
        </div>
    }
    .into_any()
}

/// The labels of both axes, as text of the page: it keeps its size when the chart does not.
#[component]
fn Ticks(figure: Memo<Figure>) -> impl IntoView {
    let across = Memo::new(move |_| figure.with(|figure| figure.across.clone()));
    let up = Memo::new(move |_| figure.with(|figure| figure.up.clone()));
    let place = |fraction: f64| format!("{:.2}%", fraction * 100.0);
    let below = move || {
        let tick = |(at, text): (f64, String)| view! { <span class="tick-x" style:left=place(at)>{text}</span> };
        across.get().into_iter().map(tick).collect_view()
    };
    let beside = move || {
        let tick = |(at, text): (f64, String)| view! { <span class="tick-y" style:bottom=place(at)>{text}</span> };
        up.get().into_iter().map(tick).collect_view()
    };
    view! { <div class="ticks" aria-hidden="true"><span class="tick-unit">"epoch"</span>{below}{beside}</div> }
        .into_any()
}

/// Arrow keys go along the curve.
fn walk(pointed: RwSignal<Option<f64>>, event: &KeyboardEvent) {
    const STRIDE: f64 = 0.02;
    let from = pointed.get_untracked().unwrap_or(1.0);
    let to = match event.key().as_str() {
        "ArrowLeft" => from - STRIDE,
        "ArrowRight" => from + STRIDE,
        "Home" => 0.0,
        "End" => 1.0,
        _ => return,
    };
    event.prevent_default();
    pointed.set(Some(to.clamp(0.0, 1.0)));
}

/// The first losses as a JSON array, each with all its digits; what JSON has no number for is null.
fn first_losses(steps: &[StepReport]) -> String {
    let text =
        |step: &StepReport| if step.batch.loss.is_finite() { step.batch.loss.to_string() } else { "null".into() };
    let losses: Vec<_> = steps.iter().take(LOSSES_TOLD).map(text).collect();
    format!("[{}]", losses.join(","))
}
