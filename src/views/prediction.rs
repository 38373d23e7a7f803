//! The prediction for the drawing: the network's input, the predicted digit, and the probability of each digit.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use inkling_core::run::Run;
use inkling_core::spec::{IMAGE_PIXELS, IMAGE_SIDE, N_CLASSES, Prediction};
use leptos::html;
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::model_status;
use crate::views::digit_image::paint;

/// The predicted digit and its confidence.
#[component]
pub fn Verdict(page: Page) -> impl IntoView {
    let version = move || page.answer.with(|(version, _)| *version);
    let digit = move || current(page, |prediction| prediction.digit().to_string()).unwrap_or_default();
    let shown = move || current(page, |prediction| prediction.digit().to_string()).unwrap_or("?".into());
    let confidence = move || current(page, |prediction| prediction.confidence());
    let learned = Memo::new(move |_| page.run.with(|run: &Run| run.learned));
    let text = move || match (confidence(), learned.get()) {
        (None, true) => "Draw a digit to see it read.".to_owned(),
        (_, false) => "The network is untrained: it can only guess.".into(),
        (Some(confidence), true) => format!("{:.0} % sure", confidence * 100.0),
    };
    view! {
        <div class="verdict">
            <output class="verdict-digit" class:verdict-empty=move || digit().is_empty() class:verdict-guess=move || !learned.get()
                data-testid="prediction" data-digit=digit data-version=version aria-label="The network reads" >
                {shown}
            </output>
            <p class="verdict-text">{text}</p>
        </div>
    }
    .into_any()
}

/// The switch for the ensemble of pretrained networks.
#[component]
pub fn Ensemble(page: Page) -> impl IntoView {
    view! {
        <label class="switch">
            <input class="switch-input" type="checkbox" role="switch" data-testid="ensemble"
                prop:checked=move || page.ensemble.get()
                on:change=move |event| page.set_ensemble(event_target_checked(&event)) />
            "Read together with the other networks"
        </label>
    }
    .into_any()
}

/// The networks that predict, and the measured accuracy of the current one.
#[component]
pub fn PredictingNetworks(page: Page) -> impl IntoView {
    let text = Memo::new(move |_| page.run.with(model_status::predicting_networks));
    view! { <p class="reader" data-testid="reader" hidden=move || text.with(String::is_empty)>{text}</p> }.into_any()
}

/// A value of the newest prediction. `None` while there is none.
fn current<T>(page: Page, value: impl Fn(&Prediction) -> T) -> Option<T> {
    page.answer.with(|(_, prediction)| prediction.as_ref().map(&value))
}

/// A bar for the probability of each digit.
#[component]
pub fn Probabilities(page: Page) -> impl IntoView {
    let best = Memo::new(move |_| current(page, Prediction::digit));
    let bar = move |digit: usize| {
        let value = Memo::new(move |_| current(page, |prediction| prediction.probabilities[digit]).unwrap_or(0.0));
        let height = move || format!("scaleY({:.4})", value.get());
        let spoken = move || format!("{digit}: {:.0} %", value.get() * 100.0);
        view! {
            <li class="bar" class:bar-best=move || best.get() == Some(digit)
                data-testid=format!("probability-{digit}") data-value=move || value.get().to_string() aria-label=spoken>
                <span class="bar-track"><span class="bar-fill" style:transform=height></span></span>
                <span class="bar-digit" aria-hidden="true">{digit}</span>
            </li>
        }
    };
    view! { <ol class="bars" aria-label="Probability of each digit">{(0..N_CLASSES).map(bar).collect_view()}</ol> }
        .into_any()
}

/// The network's input, magnified: white on black, as in MNIST.
#[component]
pub fn NetworkInput(page: Page) -> impl IntoView {
    let canvas = NodeRef::<html::Canvas>::new();
    let encoded =
        Memo::new(move |_| page.pixels.with(|pixels| BASE64_STANDARD.encode(pixels.unwrap_or([0; IMAGE_PIXELS]))));
    Effect::new(move |_| {
        let pixels = page.pixels.get().unwrap_or([0; IMAGE_PIXELS]);
        if let Some(canvas) = canvas.get() {
            paint(&canvas, &pixels);
        }
    });
    view! {
        <figure class="input">
            <canvas node_ref=canvas class="input-image" width=IMAGE_SIDE height=IMAGE_SIDE data-testid="network-input"
                data-pixels=encoded role="img" aria-label="The 28 by 28 pixels that the network sees"></canvas>
            <figcaption class="input-caption">"What it sees"</figcaption>
        </figure>
    }
    .into_any()
}
