//! The whole page: replaces the first paint of `index.html` and mounts the components in order.

use std::time::Duration;

use gloo::utils::document;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::link::state::Page;
use crate::views::charts::Charts;
use crate::views::controls::Controls;
use crate::views::error_banner::ErrorBanner;
use crate::views::evaluation::Evaluation;
use crate::views::log::Log;
use crate::views::masthead::Masthead;
use crate::views::network::Network;
use crate::views::pad::Pad;
use crate::views::prediction::{Ensemble, NetworkInput, PredictingNetworks, Probabilities, Verdict};
use crate::views::scoreboard::Scoreboard;
use crate::views::settings::Settings;
use crate::views::speed_report::Speed;
use crate::views::user_files::DropZone;

/// Id of the element in `index.html` that holds the first paint.
const ROOT: &str = "inkling";

/// Mounts the page into the document, for the lifetime of the tab.
///
/// # Panics
/// When `index.html` has no element with the page's id.
pub fn mount() {
    let root = document().get_element_by_id(ROOT).and_then(|root| root.dyn_into::<web_sys::HtmlElement>().ok());
    let root = root.expect("index.html has an element with this id");
    // Runs in a task of its own, separate from the one that initialised the program.
    set_timeout(
        move || {
            root.set_inner_html("");
            mount_to(root, Whole).forget();
        },
        Duration::ZERO,
    );
}

/// All components of the page, and the state that they share.
#[component]
fn Whole() -> impl IntoView {
    let page = Page::open();
    view! {
        <Masthead page />
        <main class="page">
            <ErrorBanner page />
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
                    <PredictingNetworks page />
                </Later>
            </section>
            <section class="record" aria-label="Record of the run">
                <Later turn=3><Charts page /></Later>
                <Later turn=4><Log page /></Later>
            </section>
            <Later turn=5><Evaluation page /></Later>
            <Later turn=6><Scoreboard page /></Later>
            <Later turn=7><Speed page /></Later>
        </main>
        <DropZone page />
    }
    .into_any()
}

/// Renders its children in a task of their own. Rendering the whole page at once would block the browser for noticeably
/// long.
#[component]
fn Later(
    /// The position of that task after the first.
    turn: u32,
    children: ChildrenFn,
) -> impl IntoView {
    const TURN: Duration = Duration::from_millis(4);
    let due = RwSignal::new(false);
    set_timeout(move || _ = due.try_set(true), TURN * turn);
    view! { <Show when=move || due.get()>{children()}</Show> }.into_any()
}
