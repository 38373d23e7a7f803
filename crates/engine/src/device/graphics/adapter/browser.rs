//! Opens a device on a browser's adapter, for wgpu. It never leaves the browser's objects changed.

use std::cell::RefCell;
use std::rc::Rc;

use burn::tensor::Device;
use burn::tensor::wgpu::{WgpuSetup, wgpu};
pub use inkling_gpu_adapter::{FoundAdapter, find};
use inkling_gpu_adapter::{ask, get, gpu};
use js_sys::{Object, Promise, Reflect, Set};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::future_to_promise;

use super::TASKS_MAX;

/// Opens a device on an adapter.
///
/// wgpu requests adapter and device itself. It would wait for ever, or panic, when a browser throws. Therefore it gets
/// the adapter that was found, and a device that [`ask`] requested, through properties that override those of the
/// browser's objects until the device is open. Nothing else is patched. The device gets no optional features, because
/// our shaders use none. One of them is `timestamp-query`, which not every browser supports. CubeCL panics on an
/// adapter without it, although it needs it only to profile kernels, which never happens here. Therefore the adapter
/// reports that feature until the device is open.
///
/// # Errors
/// When the device cannot be opened; the message says why.
pub async fn open(found: &FoundAdapter) -> Result<Device, String> {
    inkling_shaders::run_constructors();
    let gpu = gpu().ok_or("this browser offers no WebGPU here")?;
    let adapter = found.adapter.clone();
    let request_adapter = Closure::<dyn FnMut() -> Promise>::new(move || Promise::resolve(&adapter));
    let (adapter, method) = (found.adapter.clone(), get(&found.adapter, "requestDevice"));
    // wgpu reports a refusal with its stack trace; here it stays the sentence that it is.
    let refusal = Rc::new(RefCell::new(None));
    let refused = refusal.clone();
    let request_device = Closure::<dyn FnMut(JsValue) -> Promise>::new(move |descriptor: JsValue| {
        let (adapter, method, refused) = (adapter.clone(), method.clone(), refused.clone());
        future_to_promise(async move {
            ask(&adapter, method.as_ref(), &descriptor, "device").await.map_err(|why| {
                let error = js_sys::Error::new(&why).into();
                *refused.borrow_mut() = Some(why);
                error
            })
        })
    });
    let features = Set::new(&get(&found.adapter, "features"));
    features.add(&"timestamp-query".into());
    let _request_adapter = PropertyOverride::set(&gpu, "requestAdapter", request_adapter.as_ref())?;
    let _request_device = PropertyOverride::set(&found.adapter, "requestDevice", request_device.as_ref())?;
    let _features = PropertyOverride::set(&found.adapter, "features", &features)?;
    setup().await.map_err(|error| refusal.take().unwrap_or(error))
}

/// Opens burn's device through wgpu, with the adapter's own limits.
async fn setup() -> Result<Device, String> {
    let instance = wgpu::Instance::default();
    let options =
        wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
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

/// Overrides a property of an object for as long as this value exists.
struct PropertyOverride<'a> {
    object: &'a JsValue,
    property: &'static str,
}

impl<'a> PropertyOverride<'a> {
    /// Defines an own property of the object; the inherited one does not change.
    fn set(object: &'a JsValue, property: &'static str, value: &JsValue) -> Result<Self, String> {
        let descriptor = Object::new();
        let describe = |key: &str, value: &JsValue| Reflect::set(&descriptor, &key.into(), value).unwrap_or(false);
        let described = describe("value", value) && describe("configurable", &true.into());
        match Reflect::define_property(object.unchecked_ref::<Object>(), &property.into(), &descriptor) {
            Ok(true) if described => Ok(Self { object, property }),
            _ => Err(format!("this browser lets nobody stand in for {property}")),
        }
    }
}

impl Drop for PropertyOverride<'_> {
    fn drop(&mut self) {
        // Cannot fail: the property was defined as configurable.
        let _ = Reflect::delete_property(self.object.unchecked_ref::<Object>(), &self.property.into());
    }
}

/// The largest array that the adapter can bind, in bytes; WebGPU's guaranteed 128 MiB if it reports no limit.
pub fn largest_buffer(found: &FoundAdapter) -> u64 {
    const GUARANTEED: f64 = 134_217_728.0;
    let limits = get(&found.adapter, "limits");
    let limit = |name: &str| get(&limits, name).as_f64().unwrap_or(GUARANTEED);
    limit("maxBufferSize").min(limit("maxStorageBufferBindingSize")) as u64
}
