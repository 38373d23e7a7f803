//! Requests a WebGPU adapter from the browser, with a timeout. A request that throws, returns nothing or never settles
//! is an error, and the caller computes on the CPU instead; it never stops the page or its worker.
//!
//! It accesses plain JavaScript properties, because web-sys's WebGPU bindings are unstable and wgpu's adapter has
//! neither vendor nor architecture.

/// Whether a name is that of a known software adapter: Chrome's SwiftShader, Mesa's llvmpipe and lavapipe, or Windows's
/// Basic Render Driver.
pub fn is_software(name: &str) -> bool {
    let name = name.to_lowercase();
    ["swiftshader", "llvmpipe", "lavapipe", "basic render"].iter().any(|known| name.contains(known))
}

/// A readable name for an adapter, from what the browser reports: `nvidia` and `ampere` become NVIDIA Ampere. A
/// description that names the vendor, such as NVIDIA H200, is used as it is.
#[cfg(any(target_family = "wasm", test))]
fn adapter_name(vendor: &str, architecture: &str, description: &str) -> String {
    let capitalised = |name: &str| -> String {
        match name {
            "nvidia" | "amd" | "arm" | "rdna" | "gcn" | "cdna" => name.to_uppercase(),
            name => name.chars().take(1).flat_map(char::to_uppercase).chain(name.chars().skip(1)).collect(),
        }
    };
    let words = |text: &str| text.split(['-', ' ']).map(capitalised).collect::<Vec<_>>().join(" ");
    let names_vendor = description.to_lowercase().contains(&vendor.to_lowercase());
    let name = if !description.is_empty() && names_vendor {
        description.to_owned()
    } else {
        format!("{} {} {description}", words(vendor), words(architecture))
    };
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() { "unnamed".into() } else { name }
}

#[cfg(target_family = "wasm")]
pub use browser::{Found, ask, find, get, gpu};

#[cfg(target_family = "wasm")]
mod browser {
    use js_sys::{Array, Function, Object, Promise, Reflect};
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;

    use super::{adapter_name, is_software};

    /// Timeout of a request. Browsers usually answer in a few hundredths of a second. Some never do: a driver hangs, or
    /// a dialogue waits in another window.
    const TIMEOUT_MILLIS: u32 = 3_000;

    /// An adapter of the browser.
    pub struct Found {
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
    pub async fn find(allow_software: bool) -> Result<Found, String> {
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
        Ok(Found { name, software, adapter })
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
}

#[cfg(test)]
mod tests {
    use super::{adapter_name, is_software};

    #[test]
    fn adapter_names_are_readable() {
        assert_eq!(adapter_name("nvidia", "ampere", ""), "NVIDIA Ampere");
        assert_eq!(adapter_name("amd", "rdna-3", ""), "AMD RDNA 3");
        assert_eq!(adapter_name("intel", "gen-12lp", ""), "Intel Gen 12lp");
        assert_eq!(adapter_name("apple", "", ""), "Apple");
        assert_eq!(adapter_name("nvidia", "", "NVIDIA H200"), "NVIDIA H200");
        assert_eq!(adapter_name("", "", "Some card"), "Some card");
        assert_eq!(adapter_name("", "", ""), "unnamed");
    }

    #[test]
    fn software_adapters_are_recognised() {
        assert!(is_software("google swiftshader"));
        assert!(is_software("llvmpipe (LLVM 15.0.6, 256 bits)"));
        assert!(!is_software("nvidia ampere"));
    }
}
