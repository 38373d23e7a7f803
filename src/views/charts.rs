//! Live charts of loss and accuracy: each training step, each validation, and the values under the pointer.

use inkling_core::protocol::StepReport;
use leptos::html;
use leptos::prelude::*;
use web_sys::{KeyboardEvent, PointerEvent};

use crate::link::state::Page;
use crate::model::chart_geometry::ChartGeometry;
use crate::model::plot::{self, Measure};

/// The charts of the current run, which share the selected step.
#[component]
pub fn Charts(page: Page) -> impl IntoView {
    // A fraction of the common horizontal axis, so that both charts show the values of the same step.
    let pointed = RwSignal::new(None);
    view! {
        <div class="charts">
            <Chart page pointed measure=Measure::Loss title="Loss" testid="chart-loss" />
            <Chart page pointed measure=Measure::Accuracy title="Accuracy" testid="chart-accuracy" />
        </div>
    }
    .into_any()
}

/// One chart, with a legend of the values at the selected step.
#[component]
fn Chart(
    page: Page,
    pointed: RwSignal<Option<f64>>,
    measure: Measure,
    title: &'static str,
    testid: &'static str,
) -> impl IntoView {
    let geometry = Memo::new(move |_| page.run.with(|run| ChartGeometry::of(run, measure)));
    let losses =
        Memo::new(move |_| (measure == Measure::Loss).then(|| page.run.with(|run| first_losses(run.steps.first()))));
    let reading = Memo::new(move |_| page.run.with(|run| geometry.with(|geometry| geometry.read(run, pointed.get()))));
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
                <Ticks geometry />
                <Drawing geometry pointed label=Signal::derive(summary) />
            </div>
        </figure>
    }
    .into_any()
}

/// The curves. The pointer or the arrow keys select the step whose values are shown.
#[component]
fn Drawing(geometry: Memo<ChartGeometry>, pointed: RwSignal<Option<f64>>, label: Signal<String>) -> impl IntoView {
    let area = NodeRef::<html::Div>::new();
    let part = move |part: fn(&ChartGeometry) -> &str| move || geometry.with(|geometry| part(geometry).to_owned());
    let cursor = move || pointed.get().map(|fraction| format!("{:.2}%", fraction * 100.0));
    let point = move |event: PointerEvent| {
        if let Some(area) = area.get_untracked() {
            let bounds = area.get_bounding_client_rect();
            let across = (f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0);
            pointed.set(Some(across.clamp(0.0, 1.0)));
        }
    };
    view! {
        <div node_ref=area class="chart-area" tabindex="0" role="img" aria-label=label
            on:pointermove=point on:pointerdown=point
            on:pointerleave=move |_| pointed.set(None) on:blur=move |_| pointed.set(None)
            on:keydown=move |event| move_with_keys(pointed, &event)>
            <svg class="chart-lines" viewBox=format!("0 0 {} {}", plot::WIDTH, plot::HEIGHT) preserveAspectRatio="none" aria-hidden="true">
                <path class="chart-grid" d=part(|geometry| &geometry.grid) />
                <path class="chart-raw" d=part(|geometry| &geometry.raw) />
                <path class="chart-training" d=part(|geometry| &geometry.training) />
                <path class="chart-validation" d=part(|geometry| &geometry.validation) />
                <path class="chart-dots" d=part(|geometry| &geometry.dots) />
            </svg>
            <span class="chart-cursor" hidden=move || pointed.get().is_none() style:left=cursor></span>
            <p class="chart-empty" hidden=move || geometry.with(|geometry| !geometry.is_empty())>"Curves appear as soon as training starts."</p>
        </div>
    }
    .into_any()
}

/// The labels of both axes, as HTML text: its size does not change when the chart is stretched.
#[component]
fn Ticks(geometry: Memo<ChartGeometry>) -> impl IntoView {
    let across = Memo::new(move |_| geometry.with(|geometry| geometry.across.clone()));
    let up = Memo::new(move |_| geometry.with(|geometry| geometry.up.clone()));
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

/// Moves the selected position with the arrow keys, Home and End.
fn move_with_keys(pointed: RwSignal<Option<f64>>, event: &KeyboardEvent) {
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

/// The first losses as a JSON array with all their digits. A loss that is not finite becomes null.
fn first_losses(steps: &[StepReport]) -> String {
    let text =
        |step: &StepReport| if step.batch.loss.is_finite() { step.batch.loss.to_string() } else { "null".into() };
    let losses: Vec<_> = steps.iter().map(text).collect();
    format!("[{}]", losses.join(","))
}
