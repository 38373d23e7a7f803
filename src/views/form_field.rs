//! Form fields of the settings: choice, number and text. Each follows the settings, whatever changed them.

use leptos::html;
use leptos::prelude::*;

use crate::link::state::Page;
use crate::model::address::Parameter;

/// A choice from a list of values.
#[component]
pub fn Choice(
    page: Page,
    parameter: Parameter,
    testid: &'static str,
    label: &'static str,
    /// Ids and their labels.
    options: Vec<(&'static str, String)>,
    #[prop(optional)] wide: bool,
    /// Whether an option is currently not available.
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
        // Every option is a valid value.
        if let Ok(spec) = page.spec.with_untracked(|spec| parameter.with(spec, &value)) {
            page.set_spec(spec);
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

/// A number, validated as the user types.
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
                aria-describedby=message_id(testid) on:input=move |event| entry.on_input(&event_target_value(&event)) />
            <Message entry testid />
        </div>
    }
    .into_any()
}

/// A short text in a syntax that the hint explains.
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
                on:input=move |event| entry.on_input(&event_target_value(&event)) />
            <Message entry testid />
            <p class="field-hint" id=format!("{testid}-hint")>{hint}</p>
        </div>
    }
    .into_any()
}

/// The error message of a field.
#[component]
fn Message(entry: Entry, testid: &'static str) -> impl IntoView {
    let message = move || entry.message.get();
    view! { <p class="field-message" id=message_id(testid) role="alert" hidden=move || message().is_empty()>{message}</p> }
        .into_any()
}

fn message_id(testid: &str) -> String {
    format!("{testid}-message")
}

/// The state of an input field. The settings keep its last valid value.
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

    /// The value in the settings.
    fn text(self) -> String {
        self.page.spec.with_untracked(|spec| self.parameter.text(spec))
    }

    /// The value of `aria-invalid`.
    fn invalid(self) -> Option<&'static str> {
        self.message.with(|message| (!message.is_empty()).then_some("true"))
    }

    /// Handles what the user typed: changes the settings, or shows an error.
    fn on_input(self, typed: &str) {
        let Self { page, parameter, .. } = self;
        page.invalid.update(|fields| fields.retain(|field| *field != parameter));
        match page.spec.with_untracked(|spec| parameter.with(spec, typed)) {
            Ok(spec) => {
                self.message.set(String::new());
                page.set_spec(spec);
            }
            Err(message) => {
                self.message.set(sentence(&message));
                page.invalid.update(|fields| fields.push(parameter));
            }
        }
    }

    /// Shows changes made elsewhere. Leaves a text alone that has the same meaning, such as `0.010` while it is being
    /// typed.
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

/// The message with a capital letter and a full stop.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).chain(['.']).collect()).unwrap_or_default()
}
