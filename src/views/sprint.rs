//! The sprint: one button that trains the network with the fastest recipe for 99 % test accuracy, and its result.

use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::{model_status, sprint_text};

/// The button and the result of the last sprint.
#[component]
pub fn Sprint(page: Page) -> impl IntoView {
    let workers = Memo::new(move |_| page.spec.with(|spec| spec.workers));
    let label = Memo::new(move |_| page.run.with(|run| sprint_text::label(run, workers.get())));
    let result = Memo::new(move |_| page.run.with(sprint_text::result));
    let blocked = Memo::new(move |_| page.run.with(model_status::is_running));
    view! {
        <button class="button sprint" type="button" data-testid="sprint" disabled=move || blocked.get()
            title="Trains with the fastest recipe for 99 % test accuracy that we found" on:click=move |_| page.sprint()>
            {label}
        </button>
        <p class="sprint-told" role="status" data-testid="sprint-result" hidden=move || result.with(Option::is_none)>{result}</p>
    }
    .into_any()
}
