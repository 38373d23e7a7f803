//! Which digits are mixed up, and how well each is read: two tables.

use inkling_core::evaluation::{self, DigitScore, Judgement};
use inkling_core::spec::N_CLASSES;
use leptos::prelude::*;

use crate::model::labels;

/// Rows are what was written, columns what was read. The more errors, the warmer the cell.
#[component]
pub fn Confusion(confusion: evaluation::Confusion) -> impl IntoView {
    let heading = |digit: usize| view! { <th scope="col">{digit}</th> };
    let worst = errors(&confusion).max().unwrap_or(0);
    let row = move |truth: usize| {
        let cells = (0..N_CLASSES).map(|read| cell(truth, read, confusion[truth][read], worst)).collect_view();
        view! { <tr><th scope="row">{truth}</th>{cells}</tr> }
    };
    view! {
        <h3 class="report-title" id="confusion-title">"Which digits it mixes up"</h3>
        <p class="report-note">"Each row is a digit as it was written, each column what was read."</p>
        <table class="confusion" data-testid="confusion" aria-labelledby="confusion-title">
            <thead>
                <tr>
                    <td class="confusion-corner"><span class="visually-hidden">"written, then read as"</span></td>
                    {(0..N_CLASSES).map(heading).collect_view()}
                </tr>
            </thead>
            <tbody>{(0..N_CLASSES).map(row).collect_view()}</tbody>
        </table>
    }
    .into_any()
}

/// How often something else was read than was written.
fn errors(confusion: &evaluation::Confusion) -> impl Iterator<Item = u32> {
    let off_diagonal = |truth: usize| (0..N_CLASSES).filter(move |read| *read != truth);
    (0..N_CLASSES).flat_map(move |truth| off_diagonal(truth).map(move |read| confusion[truth][read]))
}

fn cell(truth: usize, read: usize, n: u32, worst: u32) -> impl IntoView {
    let kind = match (truth == read, n) {
        (_, 0) => "confusion-none",
        (true, _) => "confusion-right",
        (false, _) => "confusion-wrong",
    };
    // Roots, so that a single mistake is seen beside twenty.
    let heat = format!("--heat: {:.2}", (f64::from(n) / f64::from(worst.max(1))).sqrt().min(1.0));
    view! { <td class=kind style=heat data-testid=format!("confusion-{truth}-{read}") data-count=n>{n}</td> }
}

/// Precision, recall and F1 of each digit.
#[component]
pub fn ByDigit(judgement: Judgement) -> impl IntoView {
    let Judgement { confusion, digits, mean, n_images, .. } = judgement;
    let shown = move |digit: usize| confusion[digit].iter().sum::<u32>() as usize;
    let row = move |digit: usize| score(digit.to_string(), shown(digit), digits[digit]);
    view! {
        <h3 class="report-title" id="digits-title">"Digit by digit"</h3>
        <p class="report-note">
            "Precision: of those read as this digit, how many are. Recall: of those that are, how many were found. F1: both in one. In percent."
        </p>
        <table class="table digits" data-testid="by-digit" aria-labelledby="digits-title">
            <thead>
                <tr>
                    <th scope="col">"Digit"</th><th scope="col">"Images"</th><th scope="col">"Precision"</th>
                    <th scope="col">"Recall"</th><th scope="col">"F1"</th>
                </tr>
            </thead>
            <tbody>{(0..N_CLASSES).map(row).collect_view()}</tbody>
            <tfoot>{score("Mean".into(), n_images, mean)}</tfoot>
        </table>
    }
    .into_any()
}

fn score(name: String, n_images: usize, score: DigitScore) -> impl IntoView {
    let part = |fraction: f64| view! { <td>{format!("{:.2}", 100.0 * fraction)}</td> };
    view! {
        <tr>
            <th scope="row">{name}</th><td>{labels::count(n_images as u64)}</td>
            {part(score.precision)}{part(score.recall)}{part(score.f1)}
        </tr>
    }
}
