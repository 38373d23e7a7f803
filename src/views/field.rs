//! Fields of the settings: a choice, a number, a text. Each follows the settings, whoever changes them.

use leptos::html;
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::address::Parameter;

/// One of a few values.
#[component]
pub fn Choice(
    page: Page,
    parameter: Parameter,
    testid: &'static str,
    label: &'static str,
    /// Ids and what to call them.
    options: Vec<(&'static str, String)>,
    #[prop(optional)] wide: bool,
    /// Which of them are not on offer at the moment.
    #[prop(default = |_, _| false)]
    withheld: fn(Page, &str) -> bool,
) -> impl IntoView {
    let chosen = Memo::new(move |_| page.spec.with(|spec| parameter.text(spec)));
    let option = |(id, name): (&'static str, String)| {
        let gone = move || withheld(page, id) && chosen.get() != id;
        view! { <option value=id selected=move || chosen.get() == id hidden=gone disabled=gone>{name}</option> }
    };
    let options = options.into_iter().map(option).collect_view();
    let choose = move |value: String| {
        // The options are all valid.
        if let Ok(spec) = page.spec.with_untracked(|spec| parameter.with(spec, &value)) {
            page.adopt(spec);
        }
    };
    view! {
        <label class="field" class:field-wide=wide>
            <span class="field-label">{label}</span>
            <select class="field-input" data-testid=testid prop:value=chosen
                on:change=move |event| choose(event_target_value(&event))>
                {options}
            </select>
        </label>
    }
    .into_any()
}

/// A number, checked as it is typed.
#[component]
pub fn Number(
    page: Page,
    parameter: Parameter,
    testid: &'static str,
    label: &'static str,
    #[prop(optional)] placeholder: &'static str,
) -> impl IntoView {
    let entry = Entry::new(page, parameter);
    view! {
        <div class="field">
            <label class="field-label" for=testid>{label}</label>
            <input node_ref=entry.input class="field-input" id=testid data-testid=testid type="number" step="any" min="0"
                placeholder=placeholder value=entry.text() aria-invalid=move || entry.invalid()
                aria-describedby=message_id(testid) on:input=move |event| entry.take(&event_target_value(&event)) />
            <Message entry testid />
        </div>
    }
    .into_any()
}

/// A short text in a form of its own, which the hint tells.
#[component]
pub fn Text(
    page: Page,
    parameter: Parameter,
    testid: &'static str,
    label: &'static str,
    hint: &'static str,
) -> impl IntoView {
    let entry = Entry::new(page, parameter);
    let described = format!("{testid}-hint {}", message_id(testid));
    view! {
        <div class="field field-wide">
            <label class="field-label" for=testid>{label}</label>
            <input node_ref=entry.input class="field-input field-text" id=testid data-testid=testid type="text"
                autocapitalize="off" autocomplete="off" spellcheck="false" value=entry.text()
                aria-invalid=move || entry.invalid() aria-describedby=described
                on:input=move |event| entry.take(&event_target_value(&event)) />
            <Message entry testid />
            <p class="field-hint" id=format!("{testid}-hint")>{hint}</p>
        </div>
    }
    .into_any()
}

/// What is wrong with an entry.
#[component]
fn Message(entry: Entry, testid: &'static str) -> impl IntoView {
    let message = move || entry.message.get();
    view! { <p class="field-message" id=message_id(testid) role="alert" hidden=move || message().is_empty()>{message}</p> }
        .into_any()
}

fn message_id(testid: &str) -> String {
    format!("{testid}-message")
}

/// What a person types into a field. The last valid value stands.
#[derive(Clone, Copy)]
struct Entry {
    page: Page,
    parameter: Parameter,
    input: NodeRef<html::Input>,
    message: RwSignal<String>,
}

impl Entry {
    fn new(page: Page, parameter: Parameter) -> Self {
        let entry = Self { page, parameter, input: NodeRef::new(), message: RwSignal::new(String::new()) };
        entry.follow();
        entry
    }

    /// The value that stands.
    fn text(self) -> String {
        self.page.spec.with_untracked(|spec| self.parameter.text(spec))
    }

    fn invalid(self) -> Option<&'static str> {
        self.message.with(|message| (!message.is_empty()).then_some("true"))
    }

    fn take(self, typed: &str) {
        let Self { page, parameter, .. } = self;
        page.invalid.update(|fields| fields.retain(|field| *field != parameter));
        match page.spec.with_untracked(|spec| parameter.with(spec, typed)) {
            Ok(spec) => {
                self.message.set(String::new());
                page.adopt(spec);
            }
            Err(wrong) => {
                self.message.set(sentence(&wrong));
                page.invalid.update(|fields| fields.push(parameter));
            }
        }
    }

    /// Shows what changed elsewhere; leaves alone what is being typed and means the same, such as `0.010`.
    fn follow(self) {
        let Self { page, parameter, .. } = self;
        let text = Memo::new(move |_| page.spec.with(|spec| parameter.text(spec)));
        let valid = Memo::new(move |_| page.invalid.with(|fields| !fields.contains(&parameter)));
        Effect::new(move |_| {
            let (text, valid, input) = (text.get(), valid.get(), self.input.get());
            if let Some(input) = input.filter(|input| valid && !self.means_the_same(&input.value())) {
                input.set_value(&text);
                self.message.set(String::new());
            }
        });
    }

    fn means_the_same(self, typed: &str) -> bool {
        self.page.spec.with_untracked(|spec| self.parameter.with(spec, typed).as_ref() == Ok(spec))
    }
}

/// A message as a sentence of its own.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).chain(['.']).collect()).unwrap_or_default()
}
