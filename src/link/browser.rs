//! What the page asks of the browser besides its document: address, reload, preferences.

use gloo::utils::{document, window};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::model::user_agent;

/// Remembers, for as long as the tab lives, for which worker the page was reloaded.
const RELOADED_FOR: &str = "inkling-reloaded-for";

/// The decoded parameters of the address.
pub fn parameters() -> Vec<(String, String)> {
    let search = window().location().search().unwrap_or_default();
    let Ok(parameters) = web_sys::UrlSearchParams::new_with_str(&search) else { return Vec::new() };
    let pairs = js_sys::Array::from(&parameters);
    let text = |pair: &js_sys::Array, index| pair.get(index).as_string().unwrap_or_default();
    pairs
        .iter()
        .filter_map(|pair| pair.dyn_into::<js_sys::Array>().ok())
        .map(|pair| (text(&pair, 0), text(&pair, 1)))
        .collect()
}

/// Cores that the browser tells of, at least one.
pub fn n_cores() -> usize {
    (window().navigator().hardware_concurrency() as usize).max(1)
}

/// Which browser this is, and on what system.
pub fn name() -> String {
    user_agent::name(&window().navigator().user_agent().unwrap_or_default())
}

/// The day, in UTC, as `2026-01-31`.
pub fn today() -> String {
    let now: String = js_sys::Date::new_0().to_iso_string().into();
    now.split('T').next().unwrap_or_default().into()
}

/// Puts settings into the address bar without a new entry in the history.
pub fn replace_address(query: &str) {
    // Refused by browsers only when called hundreds of times in a few seconds: then the address lags behind.
    let _ = window().history().and_then(|history| history.replace_state_with_url(&JsValue::NULL, "", Some(query)));
}

/// Reloads the page, once for each build of the worker; says whether it does.
pub fn reload_once(build: &str) -> bool {
    let Ok(Some(storage)) = window().session_storage() else { return false };
    if storage.get_item(RELOADED_FOR).ok().flatten().as_deref() == Some(build) {
        return false;
    }
    // Without the note the page would reload for ever.
    storage.set_item(RELOADED_FOR, build).is_ok() && window().location().reload().is_ok()
}

/// What was kept under this name at an earlier visit; nothing where the browser keeps nothing.
pub fn kept(name: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(name).ok()?
}

/// Keeps a text for the next visit, where the browser keeps any.
pub fn keep(name: &str, text: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        // A full storage costs a measurement the next time.
        let _ = storage.set_item(name, text);
    }
}

/// A file beside the page.
///
/// # Errors
/// Why it did not come, in words.
pub async fn fetch(name: &str) -> Result<Vec<u8>, String> {
    let lost = |_| format!("{name} did not come");
    let response = JsFuture::from(window().fetch_with_str(name)).await.map_err(lost)?;
    let response: web_sys::Response = response.dyn_into().map_err(lost)?;
    if !response.ok() {
        return Err(format!("the host answers {} for {name}", response.status()));
    }
    let bytes = JsFuture::from(response.array_buffer().map_err(lost)?).await.map_err(lost)?;
    Ok(js_sys::Uint8Array::new(&bytes).to_vec())
}

/// Puts the keyboard's focus on a part of the page, and brings it into sight.
pub fn focus(testid: &str) {
    let found = document().query_selector(&format!("[data-testid='{testid}']")).ok().flatten();
    if let Some(element) = found.and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok()) {
        // Refused by no browser for an element of the page.
        let _ = element.focus();
    }
}

/// Whether a media query holds now.
pub fn matches(query: &str) -> bool {
    window().match_media(query).ok().flatten().is_some_and(|list| list.matches())
}
