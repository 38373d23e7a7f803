//! A bar that shows an accuracy, its interval, and a mark for the published accuracy.

use inkling_core::evaluation::Interval;
use leptos::prelude::*;

use crate::model::plot::{Axis, Measure};

/// The bar. It is hidden from screen readers, because the text beside it states the same values.
#[component]
pub fn IntervalBar(
    axis: Axis,
    accuracy: f64,
    interval: Interval,
    published: Option<f64>,
    /// Whether to label values below the bar.
    labelled: bool,
) -> impl IntoView {
    let at = |value: f64| format!("{:.2}%", 100.0 * axis.fraction(value));
    let rest = format!("{:.2}%", 100.0 - 100.0 * axis.fraction(interval.high));
    let tick = |value: f64| view! { <span class="tick-x" style:left=at(value)>{Measure::Accuracy.label(value)}</span> };
    let ticks = axis.ticks().into_iter().filter(|_| labelled).map(tick).collect_view();
    let mark = published.map(|value| view! { <span class="strip-published" style:left=at(value)></span> });
    view! {
        <div class="strip" class:strip-bare=!labelled aria-hidden="true">
            <span class="strip-range" style:left=at(interval.low) style:right=rest></span>
            {mark}
            <span class="strip-value" style:left=at(accuracy)></span>
            <div class="ticks">{ticks}</div>
        </div>
    }
    .into_any()
}
