//! What failed, and what to do about it. There only while there is something to tell.

use inkling_core::protocol::Offer;
use inkling_core::run::State;
use leptos::prelude::*;

use crate::link::state::Page;

#[component]
pub fn Trouble(page: Page) -> impl IntoView {
    let fault = Memo::new(move |_| page.run.with(|run| run.fault.clone()));
    let troubled = Memo::new(move |_| fault.with(Option::is_some) || page.mistakes.with(|list| !list.is_empty()));
    let failed = Memo::new(move |_| page.run.with(|run| run.state == State::Failed));
    let mistakes = move || page.mistakes.get().into_iter().map(|mistake| view! { <p>{mistake}</p> }).collect_view();
    let told = move || {
        let fault = fault.get()?;
        let what = format!("{}.", fault.what.trim_end_matches('.'));
        Some(view! { <p><strong>{what}</strong>" "{fault.remedy}</p> })
    };
    let offered =
        move || {
            let offer = fault.with(|fault| fault.as_ref().and_then(|fault| fault.offer))?;
            // To open an engine anew is what trying again does.
            (offer == Offer::UseUntested).then(|| view! {
            <button class="button" type="button" data-testid="use-untested" on:click=move |_| page.accept(offer)>
                "Use it all the same"
            </button>
        })
        };
    view! {
        <Show when=move || troubled.get()>
            <div class="trouble" role="alert" data-testid="error">
                <div class="trouble-text">{told}{mistakes}</div>
                <div class="trouble-actions">
                    {offered}
                    <Show when=move || failed.get()>
                        <button class="button" type="button" data-testid="retry" on:click=move |_| page.retry()>
                            "Try again"
                        </button>
                    </Show>
                    <button class="button" type="button" data-testid="dismiss" on:click=move |_| page.dismiss()>
                        "Dismiss"
                    </button>
                </div>
            </div>
        </Show>
    }
    .into_any()
}
