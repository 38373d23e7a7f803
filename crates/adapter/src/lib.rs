//! A browser's graphics adapter, asked for with patience: a request that throws, gives nothing or never settles is a reason
//! to compute on the CPU, and not the end of the page or its worker.
//!
//! Plain JavaScript properties are used: web-sys's WebGPU bindings are unstable, and wgpu's adapter has neither vendor nor
//! architecture.

/// Names under which software adapters are known: Chrome's, Mesa's two, Windows's.
pub fn is_software(name: &str) -> bool {
    let name = name.to_lowercase();
    ["swiftshader", "llvmpipe", "lavapipe", "basic render"].iter().any(|known| name.contains(known))
}

/// What to call a card, from what a browser tells of it: `nvidia` and `ampere` are NVIDIA Ampere. The description says more
/// where a browser gives it, such as NVIDIA H200.
#[cfg(any(target_family = "wasm", test))]
fn card_name(vendor: &str, architecture: &str, description: &str) -> String {
    let whole = |name: &str| -> String {
        match name {
            "nvidia" | "amd" | "arm" | "rdna" | "gcn" | "cdna" => name.to_uppercase(),
            name => name.chars().take(1).flat_map(char::to_uppercase).chain(name.chars().skip(1)).collect(),
        }
    };
    let words = |told: &str| told.split(['-', ' ']).map(whole).collect::<Vec<_>>().join(" ");
    let named = description.to_lowercase().contains(&vendor.to_lowercase());
    let told = if !description.is_empty() && named {
        description.to_owned()
    } else {
        format!("{} {} {description}", words(vendor), words(architecture))
    };
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    if told.is_empty() { "unnamed".into() } else { told }
}

#[cfg(target_family = "wasm")]
pub use browser::{Found, ask, find, get, gpu};

#[cfg(target_family = "wasm")]
mod browser {
    use js_sys::{Array, Function, Object, Promise, Reflect};
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;

    use super::{card_name, is_software};

    /// Browsers answer in a few hundredths of a second. Some never do: a driver hangs, or a dialogue waits in another
    /// window.
    const PATIENCE_MILLIS: u32 = 3_000;

    /// An adapter that can compute.
    pub struct Found {
        /// Vendor, architecture and description, as far as the browser tells.
        pub name: String,
        /// It is a program that imitates a graphics card.
        pub software: bool,
        /// The browser's own object.
        pub adapter: JsValue,
    }

    /// The adapter that the browser offers here. One that is a program counts as none unless it is allowed.
    ///
    /// # Errors
    /// What is missing.
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
            return Err(format!("the only adapter, {name}, is a program and not a graphics card"));
        }
        Ok(Found { name, software, adapter })
    }

    /// Calls a method that promises something.
    ///
    /// # Errors
    /// When it throws, refuses, gives nothing, or does not answer in time.
    pub async fn ask(object: &JsValue, method: &JsValue, argument: &JsValue, what: &str) -> Result<JsValue, String> {
        let refused = |error: JsValue| format!("this browser refused a WebGPU {what} ({})", words(&error));
        let method: &Function = method.dyn_ref().ok_or_else(|| format!("this browser gives no WebGPU {what}"))?;
        let promise = method.call1(object, argument).map_err(refused)?;
        let either = Promise::race(&Array::of2(&promise, &after(PATIENCE_MILLIS)));
        let answer = JsFuture::from(either).await.map_err(refused)?;
        if answer.is_null() {
            return Err(format!("this browser has no WebGPU {what} to give"));
        }
        if answer.is_undefined() {
            return Err(format!(
                "this browser did not answer within {} s when asked for a WebGPU {what}",
                PATIENCE_MILLIS / 1000
            ));
        }
        Ok(answer)
    }

    /// A promise that is settled, with nothing, after so long.
    fn after(millis: u32) -> Promise {
        Promise::new(&mut |resolve, _| {
            let wait: Function = get(&js_sys::global(), "setTimeout").unchecked_into();
            // Every page and worker has it. Without it the race is only never won by the clock.
            let _ = wait.call2(&JsValue::UNDEFINED, &resolve, &millis.into());
        })
    }

    /// The browser's WebGPU, where it has it.
    pub fn gpu() -> Option<JsValue> {
        let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
        gpu.is_object().then_some(gpu)
    }

    fn name(info: &JsValue) -> String {
        let [vendor, architecture, description] =
            ["vendor", "architecture", "description"].map(|key| get(info, key).as_string().unwrap_or_default());
        card_name(&vendor, &architecture, &description)
    }

    /// A property, which may be undefined.
    pub fn get(object: &JsValue, key: &str) -> JsValue {
        Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
    }

    /// What an error says.
    fn words(error: &JsValue) -> String {
        error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::{card_name, is_software};

    #[test]
    fn a_card_is_called_by_its_name() {
        assert_eq!(card_name("nvidia", "ampere", ""), "NVIDIA Ampere");
        assert_eq!(card_name("amd", "rdna-3", ""), "AMD RDNA 3");
        assert_eq!(card_name("intel", "gen-12lp", ""), "Intel Gen 12lp");
        assert_eq!(card_name("apple", "", ""), "Apple");
        assert_eq!(card_name("nvidia", "", "NVIDIA H200"), "NVIDIA H200");
        assert_eq!(card_name("", "", "Some card"), "Some card");
        assert_eq!(card_name("", "", ""), "unnamed");
    }

    #[test]
    fn programs_that_imitate_a_card_are_known() {
        assert!(is_software("google swiftshader"));
        assert!(is_software("llvmpipe (LLVM 15.0.6, 256 bits)"));
        assert!(!is_software("nvidia ampere"));
    }
}
