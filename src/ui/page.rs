//! The page as a whole: takes the place of the first paint, and puts the parts in their order.

#![cfg(all(feature = "page", target_family = "wasm"))]

use std::time::Duration;

use gloo::utils::document;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::charts::Charts;
use super::controls::Controls;
use super::files::DropZone;
use super::judgement::Judgement;
use super::log::Log;
use super::masthead::Masthead;
use super::network::Network;
use super::pad::Pad;
use super::prediction::{Ensemble, NetworkInput, Probabilities, Reader, Verdict};
use super::scoreboard::Scoreboard;
use super::settings::Settings;
use super::speed::Speed;
use super::state::Page;
use super::trouble::Trouble;

/// Where `index.html` has the first paint.
const ROOT: &str = "inkling";

/// Puts the page into the document, for as long as the tab lives.
pub fn mount() {
    let root = document().get_element_by_id(ROOT).and_then(|root| root.dyn_into::<web_sys::HtmlElement>().ok());
    let root = root.expect("index.html has an element with this id");
    // In a task of its own, apart from the one that set the program up.
    set_timeout(
        move || {
            root.set_inner_html("");
            mount_to(root, Whole).forget();
        },
        Duration::ZERO,
    );
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
                <Later turn=1>
                    <Settings page><Later turn=1><Network page /></Later></Settings>
                </Later>
            </section>
            <section class="card desk" aria-label="Drawing">
                <Pad page />
                <Later turn=2>
                    <div class="reading">
                        <Verdict page />
                        <NetworkInput page />
                    </div>
                    <Probabilities page />
                    <Ensemble page />
                    <Reader page />
                </Later>
            </section>
            <section class="record" aria-label="Record of the run">
                <Later turn=3><Charts page /></Later>
                <Later turn=4><Log page /></Later>
            </section>
            <Later turn=5><Judgement page /></Later>
            <Later turn=6><Scoreboard page /></Later>
            <Later turn=7><Speed page /></Later>
        </main>
        <DropZone page />
    }
    .into_any()
}

/// Puts its children into the page in a task of their own: the whole page at once would hold the browser up for
/// longer than a blink.
#[component]
fn Later(
    /// Which task after the first.
    turn: u32,
    children: ChildrenFn,
) -> impl IntoView {
    const TURN: Duration = Duration::from_millis(4);
    let due = RwSignal::new(false);
    set_timeout(move || _ = due.try_set(true), TURN * turn);
    view! { <Show when=move || due.get()>{children()}</Show> }.into_any()
}
