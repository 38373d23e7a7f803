//! The banner with errors and their remedies. It is never shown without a message.

use inkling_core::protocol::Offer;
use inkling_core::protocol::RunState;
use leptos::prelude::*;

use crate::link::state::Page;

/// The banner, with buttons to retry, to accept the fault's offer and to dismiss the messages.
#[component]
pub fn ErrorBanner(page: Page) -> impl IntoView {
    let fault = Memo::new(move |_| page.run.with(|run| run.fault.clone()));
    let has_messages = Memo::new(move |_| fault.with(Option::is_some) || page.messages.with(|list| !list.is_empty()));
    let failed = Memo::new(move |_| page.run.with(|run| run.state == RunState::Failed));
    let messages = move || page.messages.get().into_iter().map(|message| view! { <p>{message}</p> }).collect_view();
    let fault_text = move || {
        let fault = fault.get()?;
        let what = format!("{}.", fault.what.trim_end_matches('.'));
        Some(view! { <p><strong>{what}</strong>" "{fault.remedy}</p> })
    };
    let offered = move || {
        let offer = fault.with(|fault| fault.as_ref().and_then(|fault| fault.offer))?;
        // Opening the engine again is what "Try again" does.
        (offer == Offer::UseUntested).then(|| view! {
            <button class="button" type="button" data-testid="use-untested" on:click=move |_| page.accept_offer(offer)>
                "Use it anyway"
            </button>
        })
    };
    view! {
        <Show when=move || has_messages.get()>
            <div class="error-banner" role="alert" data-testid="error">
                <div class="error-banner-text">{fault_text}{messages}</div>
                <div class="error-banner-actions">
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
