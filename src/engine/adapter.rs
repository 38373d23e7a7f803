//! The graphics adapter: which one there is, whether it is real hardware, and a device on it.

#[cfg(feature = "gpu")]
use burn::tensor::Device;

#[cfg(feature = "gpu")]
use crate::protocol::EngineKind;

#[cfg(target_family = "wasm")]
pub use browser::find;
#[cfg(not(target_family = "wasm"))]
pub use native::find;

/// What it is called in reports.
#[cfg(all(feature = "gpu", target_family = "wasm"))]
pub const KIND: EngineKind = EngineKind::WebGpu;
#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
pub const KIND: EngineKind = EngineKind::Gpu;

/// GPU commands that are submitted together. Measured: larger values gain nothing, smaller ones cost submissions.
#[cfg(feature = "gpu")]
const TASKS_MAX: usize = 64;

/// An adapter that can compute.
pub struct Found {
    pub name: String,
    /// It is a program that imitates a graphics card.
    pub software: bool,
    /// The largest array it can bind, in bytes.
    #[cfg(feature = "gpu")]
    pub largest_buffer: u64,
}

/// Opens the adapter that [`find`] found.
///
/// # Errors
/// Why it would not open.
#[cfg(feature = "gpu")]
pub async fn open() -> Result<Device, String> {
    #[cfg(target_family = "wasm")]
    inkling_shaders::construct();
    let opened = Device::wgpu_options().tasks_max(TASKS_MAX).init_async().await;
    opened.map_err(|error| format!("the graphics card would not open ({error})"))
}

/// Names under which software adapters are known: Chrome's, Mesa's two, Windows's.
fn is_software(name: &str) -> bool {
    let name = name.to_lowercase();
    ["swiftshader", "llvmpipe", "lavapipe", "basic render"].iter().any(|known| name.contains(known))
}

#[cfg(not(target_family = "wasm"))]
mod native {
    use burn::tensor::wgpu::wgpu;

    use super::{Found, is_software};

    /// The adapter that the graphics API prefers.
    ///
    /// # Errors
    /// When there is none.
    pub async fn find() -> Result<Found, String> {
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let instance = wgpu::Instance::default();
        let adapter = instance.request_adapter(&options).await.map_err(|_| "this machine has no graphics card")?;
        let info = adapter.get_info();
        let software = info.device_type == wgpu::DeviceType::Cpu || is_software(&info.name);
        let limits = adapter.limits();
        let largest_buffer = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        Ok(Found { name: format!("{} ({:?})", info.name, info.backend), software, largest_buffer })
    }
}

#[cfg(target_family = "wasm")]
mod browser {
    //! Asked through plain JavaScript properties: web-sys's WebGPU bindings are unstable, and wgpu's adapter has
    //! neither vendor nor architecture.

    use js_sys::{Function, Promise, Reflect};
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;

    use super::{Found, is_software};

    /// The adapter that the browser offers in this worker.
    ///
    /// # Errors
    /// What is missing.
    pub async fn find() -> Result<Found, String> {
        let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
        if gpu.is_undefined() || gpu.is_null() {
            return Err("this browser offers no WebGPU here".into());
        }
        let adapter = request(&gpu).await.ok_or("this browser refused a WebGPU adapter")?;
        let info = get(&adapter, "info");
        let name = name(&info);
        // Without timestamps the GPU runtime panics when it makes its first stream.
        if !has_feature(&adapter, "timestamp-query") {
            return Err(format!("the adapter {name} has no timestamps (feature \"timestamp-query\")"));
        }
        let fallback = get(&info, "isFallbackAdapter").is_truthy();
        Ok(Found {
            software: fallback || is_software(&name),
            name,
            #[cfg(feature = "gpu")]
            largest_buffer: largest_buffer(&adapter),
        })
    }

    /// What the adapter says; WebGPU's guaranteed 128 MiB when it says nothing.
    #[cfg(feature = "gpu")]
    fn largest_buffer(adapter: &JsValue) -> u64 {
        const GUARANTEED: f64 = 134_217_728.0;
        let limits = get(adapter, "limits");
        let limit = |name: &str| get(&limits, name).as_f64().unwrap_or(GUARANTEED);
        limit("maxBufferSize").min(limit("maxStorageBufferBindingSize")) as u64
    }

    async fn request(gpu: &JsValue) -> Option<JsValue> {
        let request: Function = get(gpu, "requestAdapter").dyn_into().ok()?;
        let options = js_sys::Object::new();
        Reflect::set(&options, &"powerPreference".into(), &"high-performance".into()).ok()?;
        let promise: Promise = request.call1(gpu, &options).ok()?.dyn_into().ok()?;
        JsFuture::from(promise).await.ok().filter(|adapter| !adapter.is_null())
    }

    /// Vendor, architecture and description, as far as the browser tells.
    fn name(info: &JsValue) -> String {
        let parts = ["vendor", "architecture", "description"].map(|key| get(info, key).as_string().unwrap_or_default());
        let told: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        if told.is_empty() { "unnamed".into() } else { told.join(" ") }
    }

    fn has_feature(adapter: &JsValue, feature: &str) -> bool {
        let features = get(adapter, "features");
        let has = get(&features, "has").dyn_into::<Function>().ok();
        has.and_then(|has| has.call1(&features, &feature.into()).ok()).is_some_and(|answer| answer.is_truthy())
    }

    fn get(object: &JsValue, key: &str) -> JsValue {
        Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
    }
}

#[cfg(test)]
mod tests {
    use super::is_software;

    #[test]
    fn programs_that_imitate_a_card_are_known() {
        assert!(is_software("google swiftshader"));
        assert!(is_software("llvmpipe (LLVM 15.0.6, 256 bits)"));
        assert!(!is_software("nvidia ampere"));
    }
}
