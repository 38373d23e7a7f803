//! Start, pause, resume, single step, stop; what is going on, and how far it has come.

use gloo::utils::document;
use inkling_core::models::{self, Memory};
use inkling_core::run::{Run, State};
use leptos::html;
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::labels;
use crate::views::sprint::Sprint;

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

/// One of the first three is shown at a time, always in the same place.
#[component]
fn Buttons(page: Page) -> impl IntoView {
    let state = Memo::new(move |_| page.run.with(|run| run.state));
    let is = move |wanted: State| state.get() == wanted;
    let active = move || is(State::Training) || is(State::Paused);
    let blocked = move || is(State::Loading) || page.invalid.with(|fields| !fields.is_empty());
    let label = move || if is(State::Finished) { "Train again" } else { "Start training" };
    let primary = [NodeRef::<html::Button>::new(), NodeRef::new(), NodeRef::new()];
    let pressed = StoredValue::new(false);
    keep_focus(state, pressed, primary);
    let press = move |act: fn(Page)| {
        pressed.set_value(true);
        act(page);
    };
    view! {
        <div class="controls-buttons">
            <button node_ref=primary[0] class="button button-primary" type="button" data-testid="start" hidden=active
                disabled=move || active() || blocked() on:click=move |_| press(Page::start)>
                <Icon path="M7 4.5v15l12.5-7.5z" />{label}
            </button>
            <button node_ref=primary[1] class="button button-primary" type="button" data-testid="pause"
                hidden=move || !is(State::Training) disabled=move || !is(State::Training)
                on:click=move |_| press(Page::pause)>
                <Icon path="M7 5h3.5v14H7zM13.5 5H17v14h-3.5z" />"Pause"
            </button>
            <button node_ref=primary[2] class="button button-primary" type="button" data-testid="resume"
                hidden=move || !is(State::Paused) disabled=move || !is(State::Paused)
                on:click=move |_| press(Page::resume)>
                <Icon path="M7 4.5v15l12.5-7.5z" />"Resume"
            </button>
            <button class="button" type="button" data-testid="step" title="Take one step, then hold (while paused)"
                disabled=move || !is(State::Paused) on:click=move |_| page.step()>
                <Icon path="M6 5v14l9-7zM16.5 5H19v14h-2.5z" /><span class="button-word">"Step"</span>
            </button>
            <button class="button" type="button" data-testid="stop" title="End the run; the network keeps what it learned"
                disabled=move || !active() on:click=move |_| page.stop()>
                <Icon path="M6 6h12v12H6z" /><span class="button-word">"Stop"</span>
            </button>
        </div>
    }
    .into_any()
}

/// A pressed button that hides loses the focus: hand it to the one that takes its place.
fn keep_focus(state: Memo<State>, pressed: StoredValue<bool>, primary: [NodeRef<html::Button>; 3]) {
    Effect::new(move |_| {
        let shown = match state.get() {
            State::Training => 1,
            State::Paused => 2,
            State::Ready | State::Finished | State::Failed => 0,
            State::Loading => return,
        };
        if !pressed.try_update_value(std::mem::take).unwrap_or(false) {
            return;
        }
        // After the views changed; and only when nobody went elsewhere in the meantime.
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

/// Read aloud when it changes, which it seldom does: the figures are elsewhere.
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

#[component]
fn Meter(page: Page) -> impl IntoView {
    let fraction = Memo::new(move |_| page.run.with(labels::fraction));
    let told = Memo::new(move |_| page.run.with(labels::progress));
    let left = Memo::new(move |_| page.run.with(time_left));
    // There is no pace before the second step.
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
                <span>{told}</span>
                <span>{left}</span>
                <span class="meter-pace" data-testid="throughput"
                    data-images-per-second=move || pace.get().map(|pace| pace.to_string())>
                    {move || pace.get().map(labels::pace)}
                </span>
            </p>
        </div>
    }
    .into_any()
}

fn time_left(run: &Run) -> String {
    let active = matches!(run.state, State::Training | State::Paused);
    run.remaining_secs().filter(|_| active).map(labels::time_left).unwrap_or_default()
}

/// What memory a run with the present settings takes, told before it starts.
#[component]
fn Needs(page: Page) -> impl IntoView {
    let memory = Memo::new(move |_| {
        page.spec.with(|spec| models::memory(&models::layers(spec.model), spec.recipe.batch, spec.recipe.optimizer))
    });
    // Of one worker, as only the CPU engine has them.
    let work_per_sec =
        Memo::new(move |_| page.run.with(|run| run.engine.as_ref().and_then(|engine| engine.work_per_sec)));
    let secs = move || work_per_sec.get().and_then(|per_sec| page.spec.with(|spec| models::run_secs(spec, per_sec)));
    let told = move || memory.with(|memory| labels::needs(memory, secs()));
    let much = Memo::new(move |_| memory.with(labels::much_memory));
    view! {
        <p class="needs" data-testid="memory" data-bytes=move || memory.with(Memory::total)>{told}</p>
        <Show when=move || much.with(Option::is_some)>
            <p class="notice" role="note" data-testid="much-memory">{much}</p>
        </Show>
    }
    .into_any()
}

/// Said plainly when the images are not those that were asked for.
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

/// Said when workers were lost: a run needs none of them.
#[component]
fn LostWorkers(page: Page) -> impl IntoView {
    let told = Memo::new(move |_| page.run.with(|run| labels::lost_workers(&run.crew)));
    view! {
        <Show when=move || told.with(Option::is_some)>
            <p class="notice" role="note" data-testid="lost-workers">{told}</p>
        </Show>
    }
    .into_any()
}
