//! The scoreboard: each network's published accuracy beside our recorded runs, with their settings for repeating them
//! here. The records are fetched when the scoreboard is opened.

use inkling_core::receipts::{Receipt, Records};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::link::browser;
use crate::link::state::Page;
use crate::model::leaderboard::{self, Row, Score};
use crate::model::plot::Axis;
use crate::model::{model_status, numbers};
use crate::views::interval_bar::IntervalBar;

/// File with every receipt of `results/`, relative to the page.
const FILE: &str = "records.postcard";

/// The card with the scoreboard, closed until the user opens it.
#[component]
pub fn Scoreboard(page: Page) -> impl IntoView {
    let rows = RwSignal::new(None::<Result<Vec<Row>, String>>);
    let load = move |_| {
        if !matches!(rows.get_untracked(), Some(Ok(_))) {
            spawn_local(async move { _ = rows.try_set(Some(fetch().await)) });
        }
    };
    view! {
        <section class="card scoreboard" aria-label="Scoreboard">
            <details class="settings" on:toggle=load>
                <summary class="settings-summary" data-testid="scoreboard">
                    "Scoreboard "<span class="settings-digest">"published and reproduced"</span>
                </summary>
                {move || match rows.get() {
                    None => view! { <p class="report-note">"Fetching the records…"</p> }.into_any(),
                    Some(Ok(rows)) => view! { <Board page rows /> }.into_any(),
                    Some(Err(message)) => view! { <p class="notice" role="alert">{message}</p> }.into_any(),
                }}
            </details>
        </section>
    }
    .into_any()
}

/// Fetches the records. An error is a message with its remedy.
async fn fetch() -> Result<Vec<Row>, String> {
    let records = match browser::fetch(FILE).await {
        Ok(bytes) => Records::from_bytes(&bytes).map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    let remedy = |why| format!("The records of our runs could not be shown: {why}. Reload the page to try again.");
    records.map(|records| leaderboard::rows(&records)).map_err(remedy)
}

/// All rows, on a common axis.
#[component]
fn Board(page: Page, rows: Vec<Row>) -> impl IntoView {
    let values = |row: &Row| {
        row.ours
            .iter()
            .flat_map(|ours| [ours.interval.low, ours.interval.high])
            .chain(row.published)
            .collect::<Vec<_>>()
    };
    let axis = Axis::close_accuracies(rows.iter().flat_map(values));
    let n = rows.len();
    let entry = |(at, row)| view! { <Entry page row axis last=at + 1 == n /> };
    let entries = rows.into_iter().enumerate().map(entry).collect_view();
    view! {
        <p class="report-note">
            "Published figures are the authors’ own. Ours are measured on the test images, with the weights after the last \
             epoch. The bar shows the 95 % confidence interval, and the line across it the published figure."
        </p>
        <ol class="board">{entries}</ol>
    }
    .into_any()
}

/// One row: a network or an ensemble.
#[component]
fn Entry(page: Page, row: Row, axis: Axis, last: bool) -> impl IntoView {
    let published = leaderboard::published(&row);
    let Row { name, what, measured_on, ours, published: published_accuracy } = row;
    let (model, value) = (name.clone(), ours.as_ref().map(|ours| ours.accuracy));
    view! {
        <li class="board-row" data-testid="board-row" data-model=model data-published=published_accuracy data-value=value>
            <p class="board-name"><strong>{name}</strong><span>{what}</span></p>
            <p class="board-figure"><span>"published"</span><strong>{published}</strong><span>{measured_on}</span></p>
            {match ours {
                None => view! { <p class="board-figure"><span>"ours"</span><strong>"not run"</strong></p> }.into_any(),
                Some(ours) => view! { <Ours page ours published_accuracy axis labelled=last /> }.into_any(),
            }}
        </li>
    }
    .into_any()
}

/// Our measurement in a row, with its origin.
#[component]
fn Ours(page: Page, ours: Score, published_accuracy: Option<f64>, axis: Axis, labelled: bool) -> impl IntoView {
    let Score { accuracy, interval, errors, runs, best_epoch, origin, run } = ours;
    view! {
        <p class="board-figure board-ours"><span>"ours"</span><strong>{numbers::percent(accuracy)}</strong><span>{errors}</span></p>
        <div class="board-strip"><IntervalBar axis accuracy interval published=published_accuracy labelled /></div>
        <div class="board-origin">
            <p>{format!("{interval} with 95 % confidence")}</p>
            <p>{runs}</p>
            <p>{best_epoch}</p>
            <p>{origin}</p>
            {run.map(|run| view! { <Repeat page run /> })}
        </div>
    }
    .into_any()
}

/// The command that repeats a run, and a button that copies the run's settings.
#[component]
fn Repeat(page: Page, run: Receipt) -> impl IntoView {
    let blocked = Memo::new(move |_| page.run.with(model_status::is_running));
    let label = format!("Use the settings of the recorded {} run", run.model);
    let use_settings = move |_| {
        page.repeat(&run.spec);
        browser::focus("start");
    };
    view! {
        <pre class="board-command" tabindex="0">{run.command.clone()}</pre>
        <button class="button" type="button" data-testid="repeat" aria-label=label disabled=move || blocked.get() on:click=use_settings>
            "Use these settings"
        </button>
    }
    .into_any()
}
