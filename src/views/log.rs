//! The log of epochs, in the format of Keras.

use inkling_core::protocol::EpochReport;
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::{labels, numbers};

/// The card with one row for each epoch of the run, and the data set in use.
#[component]
pub fn Log(page: Page) -> impl IntoView {
    let epochs = Memo::new(move |_| page.run.with(|run| run.epochs.clone()));
    let images = Memo::new(move |_| page.run.with(|run| run.dataset.clone()));
    let id = move || images.with(|report| report.as_ref().map(|report| report.id.to_string()));
    let images_text = move || images.with(|report| report.as_ref().map(labels::images));
    let empty = move || epochs.with(Vec::is_empty);
    view! {
        <section class="card log">
            <div class="log-head">
                <h2 class="card-title" id="log-title">"Epochs"</h2>
                <p class="log-images" data-testid="dataset-report" data-dataset=id>{images_text}</p>
            </div>
            <p class="log-empty" hidden=move || !empty()>
                "One line for each epoch, as soon as it is done."
            </p>
            // Only an element that can have the focus can be scrolled with the keyboard.
            <div class="log-scroll" role="region" aria-labelledby="log-title" tabindex="0" hidden=empty>
                <ol class="log-rows" data-testid="epoch-log">
                    <For each=move || epochs.get() key=row_key children=|epoch| view! { <Row epoch /> } />
                </ol>
            </div>
        </section>
    }
    .into_any()
}

/// A key that differs between the rows of two runs, even where their epochs have the same number.
fn row_key(epoch: &EpochReport) -> (usize, u64, u64) {
    (epoch.epoch, epoch.training.loss.to_bits(), epoch.elapsed_secs.to_bits())
}

#[component]
fn Row(epoch: EpochReport) -> impl IntoView {
    let EpochReport { training, validation, .. } = epoch;
    let figure = |name: &'static str, value: f64| {
        view! { <span class="log-figure"><span class="log-name">{name}": "</span>{format!("{value:.4}")}</span> }
    };
    let head = format!("Epoch {}/{}", epoch.epoch, epoch.epochs);
    let pace = format!("{:.0} s, {}", epoch.elapsed_secs, numbers::pace(epoch.images_per_second));
    view! {
        <li class="log-row" data-testid="epoch-row" data-epoch=epoch.epoch data-loss=training.loss
            data-accuracy=training.accuracy data-val-loss=validation.loss data-val-accuracy=validation.accuracy>
            <span class="log-epoch">{head}</span>
            <span class="log-pace">{pace}</span>
            <span class="log-figures">
                {figure("loss", training.loss)} " - " {figure("accuracy", training.accuracy)} " - "
                {figure("val_loss", validation.loss)} " - " {figure("val_accuracy", validation.accuracy)}
            </span>
        </li>
    }
    .into_any()
}
