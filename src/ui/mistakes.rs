//! The mistakes that the network was surest of. One item each, with room for its picture.

#![cfg(all(feature = "page", target_family = "wasm"))]

use leptos::prelude::*;

use super::phrase;
use crate::judge::Mistake;

#[component]
pub fn Mistakes(mistakes: Vec<Mistake>) -> impl IntoView {
    view! {
        <h3 class="report-title" id="mistakes-title">"Its surest mistakes"</h3>
        <ol class="mistakes" data-testid="mistakes" aria-labelledby="mistakes-title">
            {mistakes.into_iter().map(item).collect_view()}
        </ol>
    }
    .into_any()
}

fn item(mistake: Mistake) -> impl IntoView {
    let Mistake { index, label, read, confidence, .. } = mistake;
    let sure = format!("{:.2} % sure", 100.0 * confidence);
    let which = format!("image {}", phrase::count(index as u64));
    view! {
        <li class="mistake" data-testid="mistake" data-index=index data-label=label data-read=read data-confidence=confidence>
            <span class="mistake-digits">
                <span class="mistake-label">{label}</span>" read as "<span class="mistake-read">{read}</span>
            </span>
            <span class="mistake-sure">{sure}</span>
            <span class="mistake-which">{which}</span>
        </li>
    }
}
