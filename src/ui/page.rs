//! The page as a whole: takes the place of the first paint, and puts the parts in their order.

#![cfg(all(feature = "page", target_family = "wasm"))]

use gloo::utils::document;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::charts::Charts;
use super::controls::Controls;
use super::log::Log;
use super::masthead::Masthead;
use super::pad::Pad;
use super::prediction::{NetworkInput, Probabilities, Verdict};
use super::settings::Settings;
use super::state::Page;
use super::trouble::Trouble;

/// Where `index.html` has the first paint.
const ROOT: &str = "inkling";

/// Puts the page into the document, for as long as the tab lives.
pub fn mount() {
    let root = document().get_element_by_id(ROOT).and_then(|root| root.dyn_into::<web_sys::HtmlElement>().ok());
    let root = root.expect("index.html has an element with this id");
    root.set_inner_html("");
    mount_to(root, Whole).forget();
}

#[component]
fn Whole() -> impl IntoView {
    let page = Page::open();
    view! {
        <Masthead page />
        <main class="page">
            <Trouble page />
            <section class="card training" aria-label="Training">
                <Controls page />
                <Settings page />
            </section>
            <section class="card desk" aria-label="Drawing">
                <Pad page />
                <div class="reading">
                    <Verdict page />
                    <NetworkInput page />
                </div>
                <Probabilities page />
            </section>
            <section class="record" aria-label="Record of the run">
                <Charts page />
                <Log page />
            </section>
        </main>
    }
    .into_any()
}
