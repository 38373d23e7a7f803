//! The settings of the next run: network, images, engine, length, learning rate and seed.

use inkling_core::models;
use inkling_core::protocol::RunState;
use inkling_core::spec::{EngineChoice, ModelId};
use leptos::prelude::*;

use crate::link::browser;
use crate::link::state::Page;
use crate::model::address::{ENGINES, Parameter};
use crate::model::numbers;
use crate::views::form_field::{Choice, Number};
use crate::views::recipe::{Recipe, Reset};
use crate::views::user_files::UserFilesField;

/// The id of the user data set.
const OWN: &str = "dropped";

/// The disclosure with the form. It is disabled during a run.
#[component]
pub fn Settings(
    page: Page,
    /// The parts of the chosen network that cannot be changed.
    children: Children,
) -> impl IntoView {
    let busy = Memo::new(move |_| page.run.with(|run| matches!(run.state, RunState::Training | RunState::Paused)));
    // On a phone the settings are closed, so that the pad comes first. Where there is room, they are open.
    let open = browser::matches("(min-width: 700px)");
    let summary = move || {
        page.spec.with(|spec| format!("{} · {} · {}", spec.model, spec.dataset, numbers::epochs(spec.recipe.epochs)))
    };
    let engines = ENGINES.map(|engine| (engine.id(), engine_label(engine).into())).to_vec();
    let models = ModelId::ALL.iter().map(|model| (model.id(), model_label(*model))).collect();
    let datasets = vec![("mnist", "MNIST".into()), ("synthetic", "Synthetic".into()), (OWN, "Your own images".into())];
    let withheld = |page: Page, id: &str| id == OWN && !page.has_user_data.get();
    view! {
        <details class="settings" open=open>
            <summary class="settings-summary">"Settings "<span class="settings-digest">{summary}</span></summary>
            <fieldset class="settings-fields" disabled=move || busy.get()>
                <legend class="visually-hidden">"Settings of the next run"</legend>
                <Choice page parameter=Parameter::Model testid="model" label="Network" options=models wide=true />
                <Choice page parameter=Parameter::Dataset testid="dataset" label="Images" options=datasets withheld />
                <Choice page parameter=Parameter::Engine testid="engine-choice" label="Engine" options=engines />
                <UserFilesField page />
                <Number page parameter=Parameter::Epochs testid="epochs" label="Epochs" />
                <Number page parameter=Parameter::Batch testid="batch" label="Batch size" />
                <Number page parameter=Parameter::LearningRate testid="learning-rate" label="Learning rate" />
                <Number page parameter=Parameter::Seed testid="seed" label="Seed" />
                <Number page parameter=Parameter::Limit testid="limit" label="Train on first" placeholder="all images" />
                <Number page parameter=Parameter::TestLimit testid="test-limit" label="Test on first" placeholder="all images" />
                <Number page parameter=Parameter::Workers testid="workers" label="Workers (CPU engine)" />
                <div class="field-wide"><Recipe page /></div>
                <Reset page />
            </fieldset>
            <p class="settings-hint" hidden=move || !busy.get()>"Stop the run to change its settings."</p>
            {children()}
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

fn model_label(model: ModelId) -> String {
    format!("{model} · {} parameters", numbers::count(models::published(model).parameters as u64))
}
