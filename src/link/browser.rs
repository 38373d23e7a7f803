//! Browser services besides the document: address, reload, storage, fetch, focus and media queries.

use gloo::utils::{document, window};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::model::user_agent;

/// Session storage key. Its value is the build id of the worker that the page was last reloaded for.
const RELOADED_FOR: &str = "inkling-reloaded-for";

/// Decoded query parameters of the address, as name and value.
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

/// Number of logical cores that the browser reports, at least 1.
pub fn n_cores() -> usize {
    (window().navigator().hardware_concurrency() as usize).max(1)
}

/// Name of the browser and of the operating system, such as `Chrome 156 on Linux`.
pub fn name() -> String {
    user_agent::name(&window().navigator().user_agent().unwrap_or_default())
}

/// Today's date in UTC, such as `2026-01-31`.
pub fn today() -> String {
    let now: String = js_sys::Date::new_0().to_iso_string().into();
    now.split('T').next().unwrap_or_default().into()
}

/// Replaces the query of the address bar without a new history entry.
pub fn replace_address(query: &str) {
    // Browsers refuse this only after hundreds of calls within a few seconds. The address then lags behind.
    let _ = window().history().and_then(|history| history.replace_state_with_url(&JsValue::NULL, "", Some(query)));
}

/// Reloads the page, at most once for each build id of the worker. Returns whether the page reloads.
pub fn reload_once(build: &str) -> bool {
    let Ok(Some(storage)) = window().session_storage() else { return false };
    if storage.get_item(RELOADED_FOR).ok().flatten().as_deref() == Some(build) {
        return false;
    }
    // Without the stored build id the page would reload forever.
    storage.set_item(RELOADED_FOR, build).is_ok() && window().location().reload().is_ok()
}

/// The text stored under `name` by [`keep`] on an earlier visit. `None` where there is none or storage is unavailable.
pub fn load(name: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(name).ok()?
}

/// Stores `text` under `name` for the next visit. Does nothing where storage is unavailable.
pub fn store(name: &str, text: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        // Storage may be full. The next visit then repeats the measurement.
        let _ = storage.set_item(name, text);
    }
}

/// Fetches the bytes of the file `name`, relative to the page.
///
/// # Errors
/// The reason as text, when the request fails or the host answers with an error status.
pub async fn fetch(name: &str) -> Result<Vec<u8>, String> {
    let failed = |_| format!("{name} could not be fetched");
    let response = JsFuture::from(window().fetch_with_str(name)).await.map_err(failed)?;
    let response: web_sys::Response = response.dyn_into().map_err(failed)?;
    if !response.ok() {
        return Err(format!("the host answered {} for {name}", response.status()));
    }
    let bytes = JsFuture::from(response.array_buffer().map_err(failed)?).await.map_err(failed)?;
    Ok(js_sys::Uint8Array::new(&bytes).to_vec())
}

/// Moves the keyboard focus to the element with this `data-testid` and scrolls it into view.
pub fn focus(testid: &str) {
    let found = document().query_selector(&format!("[data-testid='{testid}']")).ok().flatten();
    if let Some(element) = found.and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok()) {
        // Focusing an element of this page does not fail in any browser.
        let _ = element.focus();
    }
}

/// Whether a media query matches now.
pub fn matches(query: &str) -> bool {
    window().match_media(query).ok().flatten().is_some_and(|list| list.matches())
}
