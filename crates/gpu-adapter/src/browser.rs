//! Requests to the browser, by plain JavaScript properties.

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::{adapter_name, is_software};

/// Timeout of a request. Browsers usually answer in a few hundredths of a second. Some never do: a driver hangs, or
/// a dialogue waits in another window.
const TIMEOUT_MILLIS: u32 = 3_000;

/// An adapter of the browser.
pub struct FoundAdapter {
    /// Vendor, architecture and description, as far as the browser reports them.
    pub name: String,
    /// Whether it is a software adapter, without graphics hardware.
    pub software: bool,
    /// The browser's `GPUAdapter` object.
    pub adapter: JsValue,
}

/// Requests the adapter of highest performance. A software adapter is accepted only with `allow_software`.
///
/// # Errors
/// A sentence that says why there is no adapter.
pub async fn find(allow_software: bool) -> Result<FoundAdapter, String> {
    let gpu = gpu().ok_or("this browser offers no WebGPU here")?;
    let options = Object::new();
    let preference = ("powerPreference".into(), "high-performance".into());
    Reflect::set(&options, &preference.0, &preference.1).map_err(|error| words(&error))?;
    let adapter = ask(&gpu, &get(&gpu, "requestAdapter"), &options, "adapter").await?;
    let info = get(&adapter, "info");
    let name = name(&info);
    let software = get(&info, "isFallbackAdapter").is_truthy() || is_software(&name);
    if software && !allow_software {
        return Err(format!("the only adapter, {name}, is software and not a graphics card"));
    }
    Ok(FoundAdapter { name, software, adapter })
}

/// Calls a method of `object` with one argument and awaits the promise that it returns. `what` names the expected
/// object in error messages, such as "adapter".
///
/// # Errors
/// When the method is missing or throws, or the promise is rejected, resolves to null, or does not settle in time.
pub async fn ask(object: &JsValue, method: &JsValue, argument: &JsValue, what: &str) -> Result<JsValue, String> {
    let refused = |error: JsValue| format!("this browser refused a WebGPU {what} ({})", words(&error));
    let method: &Function = method.dyn_ref().ok_or_else(|| format!("this browser offers no WebGPU {what}"))?;
    let promise = method.call1(object, argument).map_err(refused)?;
    let either = Promise::race(&Array::of2(&promise, &after(TIMEOUT_MILLIS)));
    let answer = JsFuture::from(either).await.map_err(refused)?;
    if answer.is_null() {
        return Err(format!("this browser has no WebGPU {what}"));
    }
    if answer.is_undefined() {
        return Err(format!(
            "this browser did not answer within {} s when asked for a WebGPU {what}",
            TIMEOUT_MILLIS / 1000
        ));
    }
    Ok(answer)
}

/// A promise that resolves to undefined after this time.
fn after(millis: u32) -> Promise {
    Promise::new(&mut |resolve, _| {
        let set_timeout: Function = get(&js_sys::global(), "setTimeout").unchecked_into();
        // Every page and worker has `setTimeout`. If the call failed, there would only be no timeout.
        let _ = set_timeout.call2(&JsValue::UNDEFINED, &resolve, &millis.into());
    })
}

/// The browser's `navigator.gpu`; `None` where it has no WebGPU.
pub fn gpu() -> Option<JsValue> {
    let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
    gpu.is_object().then_some(gpu)
}

fn name(info: &JsValue) -> String {
    let [vendor, architecture, description] =
        ["vendor", "architecture", "description"].map(|key| get(info, key).as_string().unwrap_or_default());
    adapter_name(&vendor, &architecture, &description)
}

/// A property of an object; undefined where it does not exist or cannot be read.
pub fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

/// The message of a JavaScript error, or a debug text for another value.
fn words(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}
