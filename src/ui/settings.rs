//! The settings of the next run: which network, images and engine, how long, how fast, from which seed.

#![cfg(all(feature = "page", target_family = "wasm"))]

use leptos::prelude::*;

use super::address::{ENGINES, Parameter};
use super::browser;
use super::state::Page;
use crate::run::State;
use crate::spec::{EngineChoice, ModelId};

#[component]
pub fn Settings(page: Page) -> impl IntoView {
    let busy = Memo::new(move |_| page.run.with(|run| matches!(run.state, State::Training | State::Paused)));
    // On a phone the pad comes first; where there is room, nothing is hidden.
    let open = browser::matches("(min-width: 700px)");
    let summary = move || page.spec.with(|spec| format!("{} · {} · {} epochs", spec.model, spec.dataset, spec.epochs));
    let engines = ENGINES.map(|engine| (engine.id(), engine_label(engine))).to_vec();
    let models: Vec<_> = ModelId::ALL.iter().map(|model| (model.id(), model_label(*model))).collect();
    let datasets = vec![("mnist", "MNIST"), ("synthetic", "Synthetic")];
    view! {
        <details class="settings" open=open>
            <summary class="settings-summary">"Settings "<span class="settings-digest">{summary}</span></summary>
            <fieldset class="settings-fields" disabled=move || busy.get()>
                <legend class="visually-hidden">"Settings of the next run"</legend>
                <Choice page parameter=Parameter::Model testid="model" label="Network" options=models wide=true />
                <Choice page parameter=Parameter::Dataset testid="dataset" label="Images" options=datasets />
                <Choice page parameter=Parameter::Engine testid="engine-choice" label="Engine" options=engines />
                <Number page parameter=Parameter::Epochs testid="epochs" label="Epochs" />
                <Number page parameter=Parameter::Batch testid="batch" label="Batch size" />
                <Number page parameter=Parameter::LearningRate testid="learning-rate" label="Learning rate" />
                <Number page parameter=Parameter::Seed testid="seed" label="Seed" />
                <Number page parameter=Parameter::Limit testid="limit" label="Train on first" placeholder="all images" />
                <Number page parameter=Parameter::TestLimit testid="test-limit" label="Test on first" placeholder="all images" />
            </fieldset>
            <p class="settings-hint" hidden=move || !busy.get()>"Stop the run to change its settings."</p>
        </details>
    }
    .into_any()
}

fn engine_label(engine: EngineChoice) -> &'static str {
    match engine {
        EngineChoice::Auto => "Automatic",
        EngineChoice::WebGpu => "WebGPU",
        EngineChoice::Cpu => "CPU",
        EngineChoice::Gpu => "GPU",
    }
}

fn model_label(model: ModelId) -> &'static str {
    match model {
        ModelId::Compact => "compact · 13,904 parameters",
    }
}

/// One of a few values.
#[component]
fn Choice(
    page: Page,
    parameter: Parameter,
    testid: &'static str,
    label: &'static str,
    /// Ids and what to call them.
    options: Vec<(&'static str, &'static str)>,
    #[prop(optional)] wide: bool,
) -> impl IntoView {
    let chosen = move || page.spec.with(|spec| parameter.text(spec));
    let options = options
        .into_iter()
        .map(|(id, name)| view! { <option value=id selected=move || chosen() == id>{name}</option> })
        .collect_view();
    let choose = move |value: String| {
        // The options are all valid.
        if let Ok(spec) = page.spec.with_untracked(|spec| parameter.with(spec, &value)) {
            page.adopt(spec);
        }
    };
    view! {
        <label class="field" class:field-wide=wide>
            <span class="field-label">{label}</span>
            <select class="field-input" data-testid=testid prop:value=chosen
                on:change=move |event| choose(event_target_value(&event))>
                {options}
            </select>
        </label>
    }
    .into_any()
}

/// A number, checked as it is typed; the last valid one stands.
#[component]
fn Number(
    page: Page,
    parameter: Parameter,
    testid: &'static str,
    label: &'static str,
    #[prop(optional)] placeholder: &'static str,
) -> impl IntoView {
    let message = RwSignal::new(String::new());
    let valid = Memo::new(move |_| message.with(String::is_empty));
    let message_id = format!("{testid}-message");
    let initial = page.spec.with_untracked(|spec| parameter.text(spec));
    let take = move |value: String| {
        page.invalid.update(|fields| fields.retain(|field| *field != parameter));
        match page.spec.with_untracked(|spec| parameter.with(spec, &value)) {
            Ok(spec) => {
                message.set(String::new());
                page.adopt(spec);
            }
            Err(wrong) => {
                message.set(sentence(&wrong));
                page.invalid.update(|fields| fields.push(parameter));
            }
        }
    };
    view! {
        <div class="field">
            <label class="field-label" for=testid>{label}</label>
            <input class="field-input" id=testid data-testid=testid type="number" step="any" min="0" placeholder=placeholder
                value=initial aria-invalid=move || (!valid.get()).then_some("true") aria-describedby=message_id.clone()
                on:input=move |event| take(event_target_value(&event)) />
            <p class="field-message" id=message_id role="alert" hidden=move || valid.get()>{message}</p>
        </div>
    }
    .into_any()
}

/// A message as a sentence of its own.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).chain(['.']).collect()).unwrap_or_default()
}
