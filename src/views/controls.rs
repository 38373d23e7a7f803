//! The controls of a run: start, pause, resume, single step and stop, with its status, progress and warnings.

use gloo::utils::document;
use inkling_core::models::{self, Memory};
use inkling_core::protocol::RunState;
use inkling_core::run::Run;
use leptos::html;
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::{labels, model_status, numbers};
use crate::views::sprint::Sprint;

/// Buttons, status, progress and notices of the run.
#[component]
pub fn Controls(page: Page) -> impl IntoView {
    view! {
        <div class="controls">
            <Buttons page />
            <Sprint page />
            <Needs page />
            <Status page />
            <Meter page />
            <Fallback page />
            <LostWorkers page />
        </div>
    }
    .into_any()
}

/// The buttons. Start, pause and resume share one place, and one of them is visible at a time.
#[component]
fn Buttons(page: Page) -> impl IntoView {
    let state = Memo::new(move |_| page.run.with(|run| run.state));
    let is = move |wanted: RunState| state.get() == wanted;
    // A run that waits for another engine can be paused and stopped as any other.
    let waiting = move || is(RunState::Loading) && page.recovering.get();
    let can_pause = move || is(RunState::Training) || waiting();
    let active = move || can_pause() || is(RunState::Paused);
    let can_stop = Memo::new(move |_| page.run.with(model_status::can_stop));
    let blocked = move || is(RunState::Loading) || page.invalid.with(|fields| !fields.is_empty());
    let label = move || if is(RunState::Finished) { "Train again" } else { "Start training" };
    let primary = [NodeRef::<html::Button>::new(), NodeRef::new(), NodeRef::new()];
    let was_pressed = StoredValue::new(false);
    keep_focus(state, was_pressed, primary);
    let press = move |act: fn(Page)| {
        was_pressed.set_value(true);
        act(page);
    };
    view! {
        <div class="controls-buttons">
            <button node_ref=primary[0] class="button button-primary" type="button" data-testid="start" hidden=active
                disabled=move || active() || blocked() on:click=move |_| press(Page::start)>
                <Icon path="M7 4.5v15l12.5-7.5z" />{label}
            </button>
            <button node_ref=primary[1] class="button button-primary" type="button" data-testid="pause"
                hidden=move || !can_pause() disabled=move || !can_pause()
                on:click=move |_| press(Page::pause)>
                <Icon path="M7 5h3.5v14H7zM13.5 5H17v14h-3.5z" />"Pause"
            </button>
            <button node_ref=primary[2] class="button button-primary" type="button" data-testid="resume"
                hidden=move || !is(RunState::Paused) disabled=move || !is(RunState::Paused)
                on:click=move |_| press(Page::resume)>
                <Icon path="M7 4.5v15l12.5-7.5z" />"Resume"
            </button>
            <button class="button" type="button" data-testid="step" title="Take one step, then pause again (while paused)"
                disabled=move || !is(RunState::Paused) on:click=move |_| page.step()>
                <Icon path="M6 5v14l9-7zM16.5 5H19v14h-2.5z" /><span class="button-word">"Step"</span>
            </button>
            <button class="button" type="button" data-testid="stop" title="End what goes on; the network keeps what it learned"
                disabled=move || !(can_stop.get() || waiting()) on:click=move |_| page.stop()>
                <Icon path="M6 6h12v12H6z" /><span class="button-word">"Stop"</span>
            </button>
        </div>
    }
    .into_any()
}

/// A pressed button loses the focus when it is hidden. This moves the focus to the button that replaces it.
fn keep_focus(state: Memo<RunState>, was_pressed: StoredValue<bool>, primary: [NodeRef<html::Button>; 3]) {
    Effect::new(move |_| {
        let shown = match state.get() {
            RunState::Training => 1,
            RunState::Paused => 2,
            RunState::Ready | RunState::Finished | RunState::Failed => 0,
            RunState::Loading => return,
        };
        if !was_pressed.try_update_value(std::mem::take).unwrap_or(false) {
            return;
        }
        // Waits until the views have changed. Leaves the focus alone if the user moved it in the meantime.
        request_animation_frame(move || {
            let active = document().active_element();
            let lost = active.is_none_or(|active| active.tag_name() == "BODY" || active.has_attribute("hidden"));
            if let (true, Some(button)) = (lost, primary[shown].get_untracked()) {
                let _ = button.focus();
            }
        });
    });
}

#[component]
fn Icon(path: &'static str) -> impl IntoView {
    view! { <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=path /></svg> }
}

/// The status, which screen readers read aloud when it changes. It changes seldom: the figures are in the meter.
#[component]
fn Status(page: Page) -> impl IntoView {
    let state = Memo::new(move |_| page.run.with(|run| run.state.id()));
    let text = Memo::new(move |_| page.run.with(labels::status));
    view! {
        <p class="status" role="status" data-testid="status" data-state=state>
            <span class="status-light" aria-hidden="true"></span>
            {text}
        </p>
    }
    .into_any()
}

/// The progress bar, with progress, remaining time and training speed as text.
#[component]
fn Meter(page: Page) -> impl IntoView {
    let fraction = Memo::new(move |_| page.run.with(labels::fraction));
    let figures = Memo::new(move |_| page.run.with(labels::progress));
    let left = Memo::new(move |_| page.run.with(time_left));
    // Empty before the second step.
    let pace = Memo::new(move |_| page.run.with(|run| run.images_per_second));
    let width = move || format!("{:.2}%", fraction.get().unwrap_or(0.0) * 100.0);
    let value = move || fraction.get().map(|fraction| format!("{:.0}", fraction * 100.0));
    let unknown = move || fraction.get().is_none();
    view! {
        <div class="meter" data-testid="progress">
            <div class="meter-track" class:meter-waiting=unknown role="progressbar" aria-label="Progress"
                aria-valuemin="0" aria-valuemax="100" aria-valuenow=value>
                <div class="meter-fill" style:width=width></div>
            </div>
            <p class="meter-figures">
                <span>{figures}</span>
                <span>{left}</span>
                <span class="meter-pace" data-testid="throughput"
                    data-images-per-second=move || pace.get().map(|pace| pace.to_string())>
                    {move || pace.get().map(numbers::pace)}
                </span>
            </p>
        </div>
    }
    .into_any()
}

fn time_left(run: &Run) -> String {
    let active = matches!(run.state, RunState::Training | RunState::Paused);
    run.remaining_secs().filter(|_| active).map(numbers::time_left).unwrap_or_default()
}

/// The memory and the time that a run with the current settings needs, shown before it starts.
#[component]
fn Needs(page: Page) -> impl IntoView {
    let memory = Memo::new(move |_| {
        page.spec.with(|spec| models::memory(&models::layers(spec.model), spec.recipe.batch, spec.recipe.optimizer))
    });
    // The speed of one worker: only the CPU engine measures it.
    let work_per_sec =
        Memo::new(move |_| page.run.with(|run| run.engine.as_ref().and_then(|engine| engine.work_per_sec)));
    let secs = move || work_per_sec.get().and_then(|per_sec| page.spec.with(|spec| models::run_secs(spec, per_sec)));
    let needs = move || memory.with(|memory| labels::needs(memory, secs()));
    let warning = Memo::new(move |_| memory.with(labels::much_memory));
    view! {
        <p class="needs" data-testid="memory" data-bytes=move || memory.with(Memory::total)>{needs}</p>
        <Show when=move || warning.with(Option::is_some)>
            <p class="notice" role="note" data-testid="much-memory">{warning}</p>
        </Show>
    }
    .into_any()
}

/// A notice that the requested images are not available, with the reason.
#[component]
fn Fallback(page: Page) -> impl IntoView {
    let why = Memo::new(move |_| page.run.with(|run| run.dataset.as_ref().and_then(|report| report.fallback.clone())));
    view! {
        <Show when=move || why.with(Option::is_some)>
            <p class="notice" role="note" data-testid="dataset-fallback">{why}</p>
        </Show>
    }
    .into_any()
}

/// A notice about lost workers. The run continues without them.
#[component]
fn LostWorkers(page: Page) -> impl IntoView {
    let notice = Memo::new(move |_| page.run.with(|run| labels::lost_workers(&run.pool)));
    view! {
        <Show when=move || notice.with(Option::is_some)>
            <p class="notice" role="note" data-testid="lost-workers">{notice}</p>
        </Show>
    }
    .into_any()
}
