//! The sprint: one button that trains the quickest network that reads 99 % of the test images, and what came of it.

use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::{model_status, sprint_text};

#[component]
pub fn Sprint(page: Page) -> impl IntoView {
    let workers = Memo::new(move |_| page.spec.with(|spec| spec.workers));
    let label = Memo::new(move |_| page.run.with(|run| sprint_text::label(run, workers.get())));
    let told = Memo::new(move |_| page.run.with(sprint_text::told));
    let blocked = Memo::new(move |_| page.run.with(model_status::is_running));
    view! {
        <button class="button sprint" type="button" data-testid="sprint" disabled=move || blocked.get()
            title="Trains the quickest way to 99 % of the test images that we found" on:click=move |_| page.sprint()>
            {label}
        </button>
        <p class="sprint-told" role="status" data-testid="sprint-result" hidden=move || told.with(Option::is_none)>{told}</p>
    }
    .into_any()
}
