//! The header of the page: its name, its purpose, and the engine in use.

use inkling_core::models;
use inkling_core::protocol::EngineReport;
use inkling_core::protocol::RunState;
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::{labels, numbers};

/// The header. A software adapter or a fallback to the CPU is noted beside the engine.
#[component]
pub fn Masthead(page: Page) -> impl IntoView {
    let engine = Memo::new(move |_| page.run.with(|run| run.engine.clone()));
    // During a run the workers in use, otherwise those that the next run requests.
    let workers = Memo::new(move |_| match page.run.with(|run| run.state) {
        RunState::Training | RunState::Paused => page.run.with(|run| run.pool.workers),
        _ => page.spec.with(|spec| models::workers(spec.model, spec.workers)),
    });
    let named = move |report: &EngineReport| labels::engine(report, workers.get());
    let name = move || engine.with(|engine| engine.as_ref().map_or("looking for an engine…".into(), named));
    let pace = Memo::new(move |_| page.run.with(|run| run.images_per_second.map(numbers::pace)));
    let id = move || engine.with(|engine| engine.as_ref().map_or("", |engine| engine.kind.id()));
    let note = Memo::new(move |_| engine.with(|engine| engine.as_ref().and_then(labels::engine_note)));
    let software = move || engine.with(|engine| engine.as_ref().is_some_and(|engine| engine.software));
    view! {
        <header class="masthead">
            <h1 class="wordmark">
                <svg class="wordmark-drop" viewBox="0 0 24 24" aria-hidden="true">
                    <path d="M12 1.5c4.6 5.6 7.5 9.4 7.5 13.1a7.5 7.5 0 0 1-15 0C4.5 10.9 7.4 7.1 12 1.5z" />
                    <path class="wordmark-glint" d="M8.2 14.8c.2 2.3 1.6 3.8 3.7 4.2" />
                </svg>
                "Inkling"
            </h1>
            <p class="tagline">"A neural network learns to read handwriting, right here in this tab."</p>
            <div class="engine">
                <p class="engine-name" data-testid="engine" data-engine=id>
                    <span class="engine-light" class:engine-light-warning=software aria-hidden="true"></span>
                    <span class="visually-hidden">"Engine: "</span>
                    {name}
                    <Show when=move || pace.with(Option::is_some)>
                        <span class="engine-pace" data-testid="engine-pace">{pace}</span>
                    </Show>
                </p>
                <Show when=move || note.with(Option::is_some)>
                    <p class="engine-note" data-testid="engine-note">{note}</p>
                </Show>
            </div>
        </header>
    }
    .into_any()
}
