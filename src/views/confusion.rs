//! Two tables of an evaluation: the confusion matrix, and precision, recall and F1 of each digit.

use inkling_core::evaluation::{self, DigitScore, Evaluation};
use inkling_core::spec::N_CLASSES;
use leptos::prelude::*;

use crate::model::numbers;

/// The confusion matrix: rows are true digits, columns are predicted digits. The more errors, the warmer the cell.
#[component]
pub fn Confusion(confusion: evaluation::Confusion) -> impl IntoView {
    let heading = |digit: usize| view! { <th scope="col">{digit}</th> };
    let worst = errors(&confusion).max().unwrap_or(0);
    let row = move |truth: usize| {
        let cells =
            (0..N_CLASSES).map(|predicted| cell(truth, predicted, confusion[truth][predicted], worst)).collect_view();
        view! { <tr><th scope="row">{truth}</th>{cells}</tr> }
    };
    view! {
        <h3 class="report-title" id="confusion-title">"Which digits it confuses"</h3>
        <p class="report-note">"Each row is a digit as written, each column a digit as read."</p>
        <table class="confusion" data-testid="confusion" aria-labelledby="confusion-title">
            <thead>
                <tr>
                    <td class="confusion-corner"><span class="visually-hidden">"digit written, digit read"</span></td>
                    {(0..N_CLASSES).map(heading).collect_view()}
                </tr>
            </thead>
            <tbody>{(0..N_CLASSES).map(row).collect_view()}</tbody>
        </table>
    }
    .into_any()
}

/// The counts off the diagonal: images classified as another digit.
fn errors(confusion: &evaluation::Confusion) -> impl Iterator<Item = u32> {
    let off_diagonal = |truth: usize| (0..N_CLASSES).filter(move |predicted| *predicted != truth);
    (0..N_CLASSES).flat_map(move |truth| off_diagonal(truth).map(move |predicted| confusion[truth][predicted]))
}

fn cell(truth: usize, predicted: usize, n: u32, worst: u32) -> impl IntoView {
    let kind = match (truth == predicted, n) {
        (_, 0) => "confusion-none",
        (true, _) => "confusion-right",
        (false, _) => "confusion-wrong",
    };
    // A square root, so that a single error stays visible beside twenty.
    let heat = format!("--heat: {:.2}", (f64::from(n) / f64::from(worst.max(1))).sqrt().min(1.0));
    view! { <td class=kind style=heat data-testid=format!("confusion-{truth}-{predicted}") data-count=n>{n}</td> }
}

/// Precision, recall and F1 of each digit, and their means.
#[component]
pub fn ByDigit(evaluation: Evaluation) -> impl IntoView {
    let Evaluation { confusion, digits, mean, n_images, .. } = evaluation;
    let shown = move |digit: usize| confusion[digit].iter().sum::<u32>() as usize;
    let row = move |digit: usize| score(digit.to_string(), shown(digit), digits[digit]);
    view! {
        <h3 class="report-title" id="digits-title">"Digit by digit"</h3>
        <p class="report-note">
            "Precision: of the images read as this digit, how many show it. Recall: of the images that show it, how many were read as it. F1: the harmonic mean of both. All in percent."
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
            <th scope="row">{name}</th><td>{numbers::count(n_images as u64)}</td>
            {part(score.precision)}{part(score.recall)}{part(score.f1)}
        </tr>
    }
}
