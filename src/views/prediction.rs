//! What the network makes of the pad: its input, the digit it reads, and how sure it is of each.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use inkling_core::run::Run;
use inkling_core::spec::{IMAGE_PIXELS, IMAGE_SIDE, N_CLASSES, Prediction};
use leptos::html;
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::model_status;
use crate::views::digit_image::paint;

/// The digit that was read, and what to think of it.
#[component]
pub fn Verdict(page: Page) -> impl IntoView {
    let version = move || page.answer.with(|(version, _)| *version);
    let digit = move || read(page, |prediction| prediction.digit().to_string()).unwrap_or_default();
    let shown = move || read(page, |prediction| prediction.digit().to_string()).unwrap_or("?".into());
    let confidence = move || read(page, |prediction| prediction.confidence());
    let learned = Memo::new(move |_| page.run.with(|run: &Run| run.learned));
    let text = move || match (confidence(), learned.get()) {
        (None, true) => "Draw a digit to see it read.".to_owned(),
        (_, false) => "The network has not learned yet: it can only guess.".into(),
        (Some(sure), true) => format!("{:.0} % sure", sure * 100.0),
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

/// Whether the other networks that came with the page read too.
#[component]
pub fn Ensemble(page: Page) -> impl IntoView {
    view! {
        <label class="switch">
            <input class="switch-input" type="checkbox" role="switch" data-testid="ensemble"
                prop:checked=move || page.together.get()
                on:change=move |event| page.read_together(event_target_checked(&event)) />
            "Read together with the other networks"
        </label>
    }
    .into_any()
}

/// Which network reads, and how well it was measured to read.
#[component]
pub fn Reader(page: Page) -> impl IntoView {
    let told = Memo::new(move |_| page.run.with(model_status::reader));
    view! { <p class="reader" data-testid="reader" hidden=move || told.with(String::is_empty)>{told}</p> }.into_any()
}

fn read<T>(page: Page, what: impl Fn(&Prediction) -> T) -> Option<T> {
    page.answer.with(|(_, prediction)| prediction.as_ref().map(&what))
}

/// One bar for each digit.
#[component]
pub fn Probabilities(page: Page) -> impl IntoView {
    let best = Memo::new(move |_| read(page, Prediction::digit));
    let bar = move |digit: usize| {
        let value = Memo::new(move |_| read(page, |prediction| prediction.probabilities[digit]).unwrap_or(0.0));
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

/// The image that goes into the network, magnified: white on black, as MNIST has it.
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
