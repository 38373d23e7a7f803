//! The speed card: measures the engine that is open, and shows what came of it, to be copied or saved.

use inkling_core::run::Run;
use inkling_core::speed_report::{self, Card, Row};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::link::state::Page;
use crate::link::{browser, share};
use crate::model::model_status;

/// Of the picture that is saved.
const FILE: &str = "inkling-speed.png";

#[component]
pub fn Speed(page: Page) -> impl IntoView {
    let card = Memo::new(move |_| page.run.with(card_of));
    let digest = move || card.get().and_then(|card| card.rows().first().map(row_digest));
    let can = Memo::new(move |_| page.run.with(|run| model_status::is_idle(run) && !model_status::is_measuring(run)));
    view! {
        <section class="card speed" aria-label="Speed of this device">
            <details class="settings">
                <summary class="settings-summary" data-testid="speed-card">
                    "Speed of this device "<span class="settings-digest">{digest}</span>
                </summary>
                <div class="speed-body">
                    <p class="report-note">
                        "Some training steps with three networks on the engine that is open, about ten seconds on a CPU. \
                         What you trained and drew stays."
                    </p>
                    <button class="button speed-measure" type="button" data-testid="measure" disabled=move || !can.get()
                        on:click=move |_| page.measure()>
                        "Measure this device"
                    </button>
                    {move || card.get().map(|card| view! { <Measured page card /> })}
                </div>
            </details>
        </section>
    }
    .into_any()
}

/// What there is to show once a network was measured.
fn card_of(run: &Run) -> Option<Card> {
    let speed = run.speed.as_ref().filter(|speed| !speed.paces.is_empty())?;
    let (paces, workers) = (speed.paces.clone(), speed.workers);
    Some(Card { engine: run.engine.clone()?, paces, workers, program: browser::name(), date: browser::today() })
}

fn row_digest(row: &Row) -> String {
    format!("{} {} images/s", row.model, row.images())
}

#[component]
fn Measured(page: Page, card: Card) -> impl IntoView {
    let over = Memo::new(move |_| page.run.with(|run| run.speed.as_ref().is_some_and(|speed| speed.over)));
    let rows = card.rows().into_iter().map(row).collect_view();
    view! {
        <div class="speed-result" data-testid="speed-result" data-over=move || over.get().to_string()>
            <table class="table speed-table">
                <caption class="visually-hidden">"Images a second in training"</caption>
                <thead><tr>
                    <th scope="col">"Network"</th><th scope="col">"Images/s"</th><th scope="col">"GFLOP/s"</th>
                    <th scope="col">"First step"</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
            {card.warning().map(|warning| view! { <p class="notice" role="note">{warning}</p> })}
            <p class="speed-origin">{format!("{} · {} · {}", card.device(), card.program, card.date)}</p>
            <p class="speed-origin">{card.method()}</p>
            <Share card />
        </div>
    }
    .into_any()
}

fn row(row: Row) -> impl IntoView {
    let Row { model, images_per_second, first_step_secs, .. } = row;
    view! {
        <tr data-testid="speed-row" data-model=model data-images-per-second=images_per_second>
            <th scope="row">{model}</th>
            <td>{row.images()}</td>
            <td>{row.flops()}</td>
            <td>{format!("{first_step_secs:.2} s")}</td>
        </tr>
    }
}

#[component]
fn Share(card: Card) -> impl IntoView {
    let told = RwSignal::new(None::<&'static str>);
    let by_hand = RwSignal::new(None::<String>);
    let copied = card.clone();
    let copy = move |_| {
        let text = copied.text();
        spawn_local(async move {
            let there = share::copy(&text).await;
            told.try_set(Some(if there { "Copied." } else { "The clipboard is closed to this page: copy it here." }));
            by_hand.try_set((!there).then_some(text));
        });
    };
    let save = move |_| {
        let svg = card.svg();
        spawn_local(async move {
            let saved = share::download(&svg, (speed_report::WIDTH, speed_report::HEIGHT), FILE).await;
            told.try_set(Some(if saved { "Saved." } else { "This browser could not draw the picture." }));
        });
    };
    view! {
        <div class="speed-share">
            <button class="button" type="button" data-testid="copy-speed" on:click=copy>"Copy as text"</button>
            <button class="button" type="button" data-testid="save-speed" on:click=save>"Save as picture"</button>
            <p class="speed-told" role="status" data-testid="speed-told">{told}</p>
        </div>
        {move || by_hand.get().map(|text| view! { <pre class="speed-text" tabindex="0">{text}</pre> })}
    }
    .into_any()
}
