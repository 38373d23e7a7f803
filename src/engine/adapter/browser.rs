//! A browser's graphics adapter and a device on it, asked for with patience: a request that throws, gives nothing or never
//! settles is a reason to compute on the CPU, and not the end of the worker.
//!
//! Plain JavaScript properties are used: web-sys's WebGPU bindings are unstable, and wgpu's adapter has neither vendor nor
//! architecture.

use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::{Found, is_software};

/// Browsers answer in a few hundredths of a second. Some never do: a driver hangs, or a dialogue waits in another window.
const PATIENCE_MILLIS: u32 = 3_000;

/// The adapter that the browser offers in this worker.
///
/// # Errors
/// What is missing.
pub async fn find() -> Result<Found, String> {
    let gpu = gpu().ok_or("this browser offers no WebGPU here")?;
    let options = js_sys::Object::new();
    let preference = ("powerPreference".into(), "high-performance".into());
    Reflect::set(&options, &preference.0, &preference.1).map_err(|error| words(&error))?;
    let adapter = ask(&gpu, &get(&gpu, "requestAdapter"), &options, "adapter").await?;
    let info = get(&adapter, "info");
    let name = name(&info);
    let fallback = get(&info, "isFallbackAdapter").is_truthy();
    Ok(Found {
        software: fallback || is_software(&name),
        name,
        #[cfg(feature = "gpu")]
        largest_buffer: largest_buffer(&adapter),
        #[cfg(feature = "gpu")]
        adapter,
    })
}

/// Calls a method that promises something.
///
/// # Errors
/// When it throws, refuses, gives nothing, or does not answer in time.
async fn ask(object: &JsValue, method: &JsValue, argument: &JsValue, what: &str) -> Result<JsValue, String> {
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
        // Every worker has it. Without it the race is only never won by the clock.
        let _ = wait.call2(&JsValue::UNDEFINED, &resolve, &millis.into());
    })
}

fn gpu() -> Option<JsValue> {
    let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
    gpu.is_object().then_some(gpu)
}

/// Vendor, architecture and description, as far as the browser tells.
fn name(info: &JsValue) -> String {
    let parts = ["vendor", "architecture", "description"].map(|key| get(info, key).as_string().unwrap_or_default());
    let told: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if told.is_empty() { "unnamed".into() } else { told.join(" ") }
}

fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

/// What an error says.
fn words(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}

#[cfg(feature = "gpu")]
use device::largest_buffer;
#[cfg(feature = "gpu")]
pub use device::open;

#[cfg(feature = "gpu")]
mod device {
    use burn::tensor::Device;
    use burn::tensor::wgpu::{WgpuSetup, wgpu};
    use js_sys::{Promise, Reflect};
    use wasm_bindgen::prelude::Closure;
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::future_to_promise;

    use super::super::{Found, TASKS_MAX};
    use super::{ask, get, gpu};

    /// Opens an adapter.
    ///
    /// wgpu asks for adapter and device itself, and would wait for ever or take the worker along when a browser throws. So
    /// it is given the adapter that was found and a device that [`ask`] asked for, by properties that hide those objects'
    /// own methods until the device is open; nothing else is patched. The device gets no optional features, which our
    /// shaders do not use: `timestamp-query` among them, which not every browser has.
    ///
    /// # Errors
    /// Why it would not open.
    pub async fn open(found: &Found) -> Result<Device, String> {
        inkling_shaders::construct();
        let gpu = gpu().ok_or("this browser offers no WebGPU here")?;
        let adapter = found.adapter.clone();
        let given = Closure::<dyn FnMut() -> Promise>::new(move || Promise::resolve(&adapter));
        let (adapter, method) = (found.adapter.clone(), get(&found.adapter, "requestDevice"));
        let asked = Closure::<dyn FnMut(JsValue) -> Promise>::new(move |descriptor: JsValue| {
            let (adapter, method) = (adapter.clone(), method.clone());
            future_to_promise(async move {
                ask(&adapter, method.as_ref(), &descriptor, "device")
                    .await
                    .map_err(|why| js_sys::Error::new(&why).into())
            })
        });
        let _given = Hidden::behind(&gpu, "requestAdapter", given.as_ref())?;
        let _asked = Hidden::behind(&found.adapter, "requestDevice", asked.as_ref())?;
        setup().await
    }

    async fn setup() -> Result<Device, String> {
        let instance = wgpu::Instance::default();
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance.request_adapter(&options).await.map_err(|error| error.to_string())?;
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| error.to_string())?;
        let setup = WgpuSetup { instance, adapter, device, queue, backend: wgpu::Backend::BrowserWebGpu };
        let opened = Device::wgpu_options().setup(setup).tasks_max(TASKS_MAX).init();
        opened.map_err(|error| format!("the graphics card would not open ({error})"))
    }

    /// A method of one object that another one stands in for, for as long as this lives.
    struct Hidden<'a> {
        object: &'a JsValue,
        method: &'static str,
    }

    impl<'a> Hidden<'a> {
        fn behind(object: &'a JsValue, method: &'static str, stand_in: &JsValue) -> Result<Self, String> {
            match Reflect::set(object, &method.into(), stand_in) {
                Ok(true) => Ok(Self { object, method }),
                _ => Err(format!("this browser lets nobody stand in for {method}")),
            }
        }
    }

    impl Drop for Hidden<'_> {
        fn drop(&mut self) {
            // It could be set, so it can be deleted.
            let _ = Reflect::delete_property(self.object.unchecked_ref::<js_sys::Object>(), &self.method.into());
        }
    }

    /// What the adapter says; WebGPU's guaranteed 128 MiB when it says nothing.
    pub fn largest_buffer(adapter: &JsValue) -> u64 {
        const GUARANTEED: f64 = 134_217_728.0;
        let limits = get(adapter, "limits");
        let limit = |name: &str| get(&limits, name).as_f64().unwrap_or(GUARANTEED);
        limit("maxBufferSize").min(limit("maxStorageBufferBindingSize")) as u64
    }
}
