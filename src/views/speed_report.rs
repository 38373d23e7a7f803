//! The speed report: measures the training speed of the open engine, and shows a report to copy or save.

use inkling_core::run::Run;
use inkling_core::speed_report::{self, Row, SpeedReport};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::link::state::Page;
use crate::link::{browser, share};
use crate::model::model_status;

/// Name of the file that the picture is saved to.
const FILE: &str = "inkling-speed.png";

/// The card with the button that starts a measurement, and its report.
#[component]
pub fn Speed(page: Page) -> impl IntoView {
    let report = Memo::new(move |_| page.run.with(report_of));
    let digest = move || report.get().and_then(|report| report.rows().first().map(row_digest));
    let can_measure =
        Memo::new(move |_| page.run.with(|run| model_status::is_idle(run) && !model_status::is_measuring(run)));
    view! {
        <section class="card speed" aria-label="Speed of this device">
            <details class="settings">
                <summary class="settings-summary" data-testid="speed-card">
                    "Speed of this device "<span class="settings-digest">{digest}</span>
                </summary>
                <div class="speed-body">
                    <p class="report-note">
                        "Runs some training steps with three networks on the current engine, about ten seconds on a CPU. \
                         Your trained network and your drawing are kept."
                    </p>
                    <button class="button speed-measure" type="button" data-testid="measure" disabled=move || !can_measure.get()
                        on:click=move |_| page.measure()>
                        "Measure this device"
                    </button>
                    {move || report.get().map(|report| view! { <Measured page report /> })}
                </div>
            </details>
        </section>
    }
    .into_any()
}

/// The report of the measurement so far. `None` until the first network was measured.
fn report_of(run: &Run) -> Option<SpeedReport> {
    let speed = run.speed.as_ref().filter(|speed| !speed.speeds.is_empty())?;
    let (speeds, workers) = (speed.speeds.clone(), speed.workers);
    Some(SpeedReport { engine: run.engine.clone()?, speeds, workers, program: browser::name(), date: browser::today() })
}

fn row_digest(row: &Row) -> String {
    format!("{} {} images/s", row.model, row.images())
}

/// The report as a table, with its origin and method.
#[component]
fn Measured(page: Page, report: SpeedReport) -> impl IntoView {
    let over = Memo::new(move |_| page.run.with(|run| run.speed.as_ref().is_some_and(|speed| speed.over)));
    let rows = report.rows().into_iter().map(row).collect_view();
    view! {
        <div class="speed-result" data-testid="speed-result" data-over=move || over.get().to_string()>
            <table class="table speed-table">
                <caption class="visually-hidden">"Training speed in images per second"</caption>
                <thead><tr>
                    <th scope="col">"Network"</th><th scope="col">"Images/s"</th><th scope="col">"GFLOP/s"</th>
                    <th scope="col">"First step"</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
            {report.warning().map(|warning| view! { <p class="notice" role="note">{warning}</p> })}
            <p class="speed-origin">{format!("{} · {} · {}", report.device(), report.program, report.date)}</p>
            <p class="speed-origin">{report.method()}</p>
            <Share report />
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

/// The buttons that copy the report and save its picture.
#[component]
fn Share(report: SpeedReport) -> impl IntoView {
    let message = RwSignal::new(None::<&'static str>);
    let uncopied = RwSignal::new(None::<String>);
    let copied_report = report.clone();
    let copy = move |_| {
        let text = copied_report.text();
        spawn_local(async move {
            let is_copied = share::copy(&text).await;
            message.try_set(Some(if is_copied { "Copied." } else { "The clipboard is not available: copy it here." }));
            // Shown as text, to be copied by hand.
            uncopied.try_set((!is_copied).then_some(text));
        });
    };
    let save = move |_| {
        let svg = report.svg();
        spawn_local(async move {
            let saved = share::download(&svg, (speed_report::WIDTH, speed_report::HEIGHT), FILE).await;
            message.try_set(Some(if saved { "Saved." } else { "This browser could not draw the picture." }));
        });
    };
    view! {
        <div class="speed-share">
            <button class="button" type="button" data-testid="copy-speed" on:click=copy>"Copy as text"</button>
            <button class="button" type="button" data-testid="save-speed" on:click=save>"Save as picture"</button>
            <p class="speed-told" role="status" data-testid="speed-told">{message}</p>
        </div>
        {move || uncopied.get().map(|text| view! { <pre class="speed-text" tabindex="0">{text}</pre> })}
    }
    .into_any()
}
