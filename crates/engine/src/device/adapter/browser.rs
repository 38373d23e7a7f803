//! A device on a browser's adapter, for wgpu.

use burn::tensor::Device;
use burn::tensor::wgpu::{WgpuSetup, wgpu};
use inkling_adapter::{Found, ask, get, gpu};
use js_sys::{Object, Promise, Reflect, Set};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::future_to_promise;

use super::TASKS_MAX;

/// Opens an adapter.
///
/// wgpu asks for adapter and device itself, and would wait for ever or take the worker along when a browser throws. So
/// it is given the adapter that was found and a device that [`ask`] asked for, by properties that hide those objects'
/// own until the device is open; nothing else is patched. The device gets no optional features, which our shaders do not
/// use: `timestamp-query` among them, which not every browser has. CubeCL panics on an adapter without it, although
/// it only uses it to measure kernels, which we never have it do; so meanwhile every adapter says that it has it.
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
            ask(&adapter, method.as_ref(), &descriptor, "device").await.map_err(|why| js_sys::Error::new(&why).into())
        })
    });
    let features = Set::new(&get(&found.adapter, "features"));
    features.add(&"timestamp-query".into());
    let _given = Hidden::behind(&gpu, "requestAdapter", given.as_ref())?;
    let _asked = Hidden::behind(&found.adapter, "requestDevice", asked.as_ref())?;
    let _features = Hidden::behind(&found.adapter, "features", &features)?;
    setup().await
}

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

/// A property of one object that another one stands in for, for as long as this lives.
struct Hidden<'a> {
    object: &'a JsValue,
    property: &'static str,
}

impl<'a> Hidden<'a> {
    /// The object gets a property of its own; what it inherits stays as it is.
    fn behind(object: &'a JsValue, property: &'static str, stand_in: &JsValue) -> Result<Self, String> {
        let descriptor = Object::new();
        let is = |key: &str, value: &JsValue| Reflect::set(&descriptor, &key.into(), value).unwrap_or(false);
        let described = is("value", stand_in) && is("configurable", &true.into());
        match Reflect::define_property(object.unchecked_ref::<Object>(), &property.into(), &descriptor) {
            Ok(true) if described => Ok(Self { object, property }),
            _ => Err(format!("this browser lets nobody stand in for {property}")),
        }
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // It was made so that it can be deleted.
        let _ = Reflect::delete_property(self.object.unchecked_ref::<Object>(), &self.property.into());
    }
}

/// What the adapter says; WebGPU's guaranteed 128 MiB when it says nothing.
pub fn largest_buffer(found: &Found) -> u64 {
    const GUARANTEED: f64 = 134_217_728.0;
    let limits = get(&found.adapter, "limits");
    let limit = |name: &str| get(&limits, name).as_f64().unwrap_or(GUARANTEED);
    limit("maxBufferSize").min(limit("maxStorageBufferBindingSize")) as u64
}
