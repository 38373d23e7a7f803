//! The finer part of the settings: what a network's recipe decides beyond epochs, batch and learning rate.

use inkling_core::spec::{OptimizerId, SplitId};
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::address::{self, Parameter};
use crate::views::field::{Choice, Number, Text};

/// The settings in this part.
const FIELDS: [Parameter; 7] = [
    Parameter::Split,
    Parameter::Optimizer,
    Parameter::Schedule,
    Parameter::WeightDecay,
    Parameter::Dropout,
    Parameter::LabelSmoothing,
    Parameter::Augment,
];

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
                    hint="constant, cosine, one-cycle:0.2 (part of warming up), step:5:0.5 (every 5 epochs, times a half), inverse:0.319 (decay by epoch)" />
                <Text page parameter=Parameter::Augment testid="augment" label="Augmentation"
                    hint="none, or some of shift=2 (pixels), rotate=10 (degrees), scale=0.1, shear=0.1, elastic=1, with commas between" />
            </div>
        </details>
    }
    .into_any()
}

/// What the closed part says of itself.
#[component]
fn Digest(page: Page) -> impl IntoView {
    let wrong = Memo::new(move |_| page.invalid.with(|fields| fields.iter().any(|field| FIELDS.contains(field))));
    let told = move || match wrong.get() {
        true => "a value needs mending".into(),
        false => {
            page.spec.with(|spec| format!("{} · {}", optimizer_label(spec.recipe.optimizer), spec.recipe.schedule))
        }
    };
    view! { <span class="settings-digest" class:settings-wrong=wrong>{told}</span> }.into_any()
}

/// There as soon as a value is not the network's own.
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
