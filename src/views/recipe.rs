//! The recipe: the settings that a network's recipe decides besides epochs, batch size and learning rate.

use inkling_core::spec::{OptimizerId, SplitId};
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::address::{self, Parameter};
use crate::views::form_field::{Choice, Number, Text};

/// The settings in this disclosure.
const FIELDS: [Parameter; 7] = [
    Parameter::Split,
    Parameter::Optimizer,
    Parameter::Schedule,
    Parameter::WeightDecay,
    Parameter::Dropout,
    Parameter::LabelSmoothing,
    Parameter::Augment,
];

/// The disclosure with the fields of the recipe.
#[component]
pub fn Recipe(page: Page) -> impl IntoView {
    let splits = SplitId::ALL.iter().map(|split| (split.id(), split_label(*split).into())).collect();
    let optimizers = OptimizerId::ALL.iter().map(|it| (it.id(), optimizer_label(*it).into())).collect();
    view! {
        <details class="settings settings-inner">
            <summary class="settings-summary" data-testid="recipe">"Recipe "<Digest page /></summary>
            <div class="settings-fields">
                <Choice page parameter=Parameter::Split testid="split" label="Split (train/validate/test)" options=splits wide=true />
                <Choice page parameter=Parameter::Optimizer testid="optimizer" label="Optimizer" options=optimizers />
                <Number page parameter=Parameter::WeightDecay testid="weight-decay" label="Weight decay" />
                <Number page parameter=Parameter::Dropout testid="dropout" label="Dropout factor" />
                <Number page parameter=Parameter::LabelSmoothing testid="label-smoothing" label="Label smoothing" />
                <Text page parameter=Parameter::Schedule testid="schedule" label="Learning rate schedule"
                    hint="constant, cosine, one-cycle:0.2 (warm-up fraction), step:5:0.5 (times 0.5 every 5 epochs), inverse:0.319 (decay per epoch)" />
                <Text page parameter=Parameter::Augment testid="augment" label="Augmentation"
                    hint="none, or one or more of shift=2 (pixels), rotate=10 (degrees), scale=0.1, shear=0.1, elastic=1, separated by commas" />
            </div>
        </details>
    }
    .into_any()
}

/// The summary shown while the disclosure is closed.
#[component]
fn Digest(page: Page) -> impl IntoView {
    let is_invalid = Memo::new(move |_| page.invalid.with(|fields| fields.iter().any(|field| FIELDS.contains(field))));
    let digest = move || match is_invalid.get() {
        true => "A setting is out of range".into(),
        false => {
            page.spec.with(|spec| format!("{} · {}", optimizer_label(spec.recipe.optimizer), spec.recipe.schedule))
        }
    };
    view! { <span class="settings-digest" class:settings-wrong=is_invalid>{digest}</span> }.into_any()
}

/// The button that resets the recipe. Visible as soon as a value differs from the network's recipe.
#[component]
pub fn Reset(page: Page) -> impl IntoView {
    let differs = Memo::new(move |_| {
        page.spec.with(|spec| *spec != address::by_own_recipe(spec)) || page.invalid.with(|fields| !fields.is_empty())
    });
    view! {
        <button class="button settings-reset" type="button" data-testid="reset-recipe" hidden=move || !differs.get()
            on:click=move |_| page.reset_recipe()>
            "Reset to the network’s recipe"
        </button>
    }
    .into_any()
}

fn split_label(split: SplitId) -> &'static str {
    match split {
        SplitId::Published => "Published: 60,000/10,000",
        SplitId::Kaggle => "Kaggle: 37,800/4,200/28,000",
    }
}

fn optimizer_label(optimizer: OptimizerId) -> &'static str {
    match optimizer {
        OptimizerId::Adam => "Adam",
        OptimizerId::AdamW => "AdamW",
        OptimizerId::Sgd => "SGD, momentum",
        OptimizerId::RmsProp => "RMSprop",
        OptimizerId::Adadelta => "Adadelta",
    }
}
