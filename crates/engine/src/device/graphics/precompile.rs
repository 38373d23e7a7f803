//! Compiles all shaders of a network in parallel, before the first training step. It never computes anything.
//!
//! A browser compiles pipelines in parallel when they are requested by `createComputePipelineAsync`, but wgpu only
//! calls `createComputePipeline`, which compiles them one after another. Therefore a training step is run without
//! launches: CubeCL expands and compiles every kernel of it. For every pipeline that wgpu creates meanwhile, the
//! browser is asked for that pipeline asynchronously, and wgpu gets a placeholder that does nothing. From then on, the
//! real pipeline is used wherever the placeholder is set.
//!
//! This replaces two methods of WebGPU's classes: `createComputePipeline` during the precompilation, and `setPipeline`
//! for good. `patches=0` in the page's address disables it. It becomes unnecessary once wgpu has
//! `create_compute_pipeline_async`: <https://github.com/gfx-rs/wgpu/issues/3794>.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use burn::tensor::Device;
use inkling_core::data::synthetic;
use inkling_core::spec::{ModelId, Recipe};
use inkling_shaders::DryRun;
use js_sys::{Array, Function, Object, Promise, Proxy, Reflect};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::batch::{self, BatchPlan};
use crate::network::DropoutKey;
use crate::train::{BatchSource, ImageCache, Trainer};

/// Batch sizes to compile for. 8 is the smallest batch for which dense layers use the kernels of training; 9 does not
/// fill whole vectors, so the kernels of such batches are compiled too.
const N_IMAGES: [usize; 2] = [8, 9];
/// The property of a placeholder that holds its real pipeline.
const REAL: &str = "inklingReal";
/// The shader of a placeholder.
const NOTHING: &str = "@compute @workgroup_size(1) fn nothing() {}";

/// Is called instead of a method, with the method, the object and the arguments.
type Hook = Closure<dyn FnMut(Function, JsValue, Array) -> Result<JsValue, JsValue>>;

/// Compiles the shaders of training and prediction. `on_progress` receives the number of compiled shaders and of all.
///
/// # Errors
/// The browser's message about the first shader that it rejects. Whatever needs that shader then fails as it does
/// without precompilation.
pub async fn precompile(
    device: &Device,
    workloads: &[(ModelId, Recipe)],
    on_progress: impl Fn(u64, u64),
) -> Result<(), String> {
    let Some(interception) = Interception::start() else { return Ok(()) };
    let dry_run = DryRun::new();
    workloads.iter().for_each(|(model, recipe)| launch_all(*model, recipe, device));
    drop(dry_run);
    let pending = interception.stop();
    let mut rejected = None;
    for (done, PendingPipeline { placeholder, promise, create_blocking }) in pending.iter().enumerate() {
        on_progress(done as u64, pending.len() as u64);
        // A placeholder without a real pipeline would silently compute nothing, so the blocking call is tried too.
        let real = match JsFuture::from(promise.clone()).await {
            Ok(real) => Ok(real),
            Err(error) => {
                rejected = rejected.or_else(|| Some(message(&error)));
                create_blocking()
            }
        };
        let placed = real.and_then(|real| Reflect::set(placeholder, &REAL.into(), &real));
        rejected = rejected.or_else(|| placed.err().map(|error| message(&error)));
    }
    rejected.map_or(Ok(()), Err)
}

/// Launches all kernels of a training step and of an evaluation.
fn launch_all(model: ModelId, recipe: &Recipe, device: &Device) {
    let mut trainer = Trainer::new(model, 1, device).with_recipe(recipe);
    for n in N_IMAGES {
        let split = synthetic::split(synthetic::SEED, 0, n);
        let all: Vec<usize> = (0..n).collect();
        let mut random = batch::step_generator(1, 1, 1);
        let cache = ImageCache::new();
        let images = BatchSource::of(&cache, &split, n, device)
            .batch(&BatchPlan::for_training(&all, recipe, &mut random), device);
        trainer.step(&images, recipe.learning_rate, DropoutKey::of(1, 1));
        trainer.evaluate(&images);
    }
}

/// A pipeline that the browser is compiling.
struct PendingPipeline {
    /// What wgpu got instead.
    placeholder: JsValue,
    /// Resolves to the real pipeline.
    promise: Promise,
    /// Creates the pipeline by the blocking call, as wgpu does.
    create_blocking: Box<dyn Fn() -> Result<JsValue, JsValue>>,
}

/// While this exists, `createComputePipeline` returns a placeholder, and the real pipeline is compiled in parallel.
struct Interception {
    pending: Rc<RefCell<Vec<PendingPipeline>>>,
    create: Method,
    /// The replaced method calls this closure, so it must exist as long.
    _hook: Hook,
}

impl Interception {
    /// Replaces the method. `None` if the browser lacks a class or method: pipelines are then compiled as wgpu creates
    /// them.
    fn start() -> Option<Self> {
        let create = Method::of("GPUDevice", "createComputePipeline")?;
        Method::of("GPUDevice", "createComputePipelineAsync")?;
        replace_placeholders_once()?;
        let pending: Rc<RefCell<Vec<PendingPipeline>>> = Rc::default();
        let list = pending.clone();
        let hook = Hook::new(move |create: Function, device: JsValue, arguments: Array| {
            let descriptor = arguments.get(0);
            match create_async(&create, &device, &descriptor) {
                Ok(pipeline) => {
                    let placeholder = pipeline.placeholder.clone();
                    list.borrow_mut().push(pipeline);
                    Ok(placeholder)
                }
                Err(_) => create.call1(&device, &descriptor),
            }
        });
        create.hook(&hook)?;
        Some(Self { pending, create, _hook: hook })
    }

    /// Restores the method, and returns the pipelines that were requested meanwhile.
    fn stop(self) -> Vec<PendingPipeline> {
        self.create.restore();
        self.pending.take()
    }
}

/// Asks the browser to compile a pipeline in parallel, and creates its placeholder.
fn create_async(create: &Function, device: &JsValue, descriptor: &JsValue) -> Result<PendingPipeline, JsValue> {
    let placeholder = placeholder(create, device, descriptor)?;
    let promise = call(device, "createComputePipelineAsync", descriptor)?.dyn_into()?;
    let (create, device, descriptor) = (create.clone(), device.clone(), descriptor.clone());
    let create_blocking = Box::new(move || create.call1(&device, &descriptor));
    Ok(PendingPipeline { placeholder, promise, create_blocking })
}

// In JavaScript, because every dispatch of every step calls it, and a closure of WebAssembly would cost several calls.
#[wasm_bindgen(inline_js = "
export function replace_placeholders(real) {
    const passes = GPUComputePassEncoder.prototype;
    const set = passes.setPipeline;
    passes.setPipeline = function (pipeline) { set.call(this, pipeline[real] ?? pipeline); };
}")]
extern "C" {
    /// Changes `setPipeline` for good: given a placeholder, it sets the pipeline in the placeholder's property `real`.
    #[wasm_bindgen(catch)]
    fn replace_placeholders(real: &str) -> Result<(), JsValue>;
}

/// Calls [`replace_placeholders`] unless this worker has called it before; `None` if it fails.
fn replace_placeholders_once() -> Option<()> {
    thread_local! {
        static DONE: Cell<bool> = const { Cell::new(false) };
    }
    if !DONE.get() {
        replace_placeholders(REAL).ok()?;
        DONE.set(true);
    }
    Some(())
}

/// Creates a pipeline with the layout of the described one that does nothing.
fn placeholder(create: &Function, device: &JsValue, descriptor: &JsValue) -> Result<JsValue, JsValue> {
    let object = |pairs: &[(&str, &JsValue)]| {
        let object = Object::new();
        pairs.iter().try_for_each(|(key, value)| Reflect::set(&object, &(*key).into(), value).map(|_| ()))?;
        Ok::<JsValue, JsValue>(object.into())
    };
    let module = call(device, "createShaderModule", &object(&[("code", &NOTHING.into())])?)?;
    let compute = object(&[("module", &module), ("entryPoint", &"nothing".into())])?;
    let layout = Reflect::get(descriptor, &"layout".into())?;
    create.call1(device, &object(&[("layout", &layout), ("compute", &compute)])?)
}

/// Calls a method of an object with one argument.
fn call(object: &JsValue, method: &str, argument: &JsValue) -> Result<JsValue, JsValue> {
    Reflect::get(object, &method.into())?.dyn_into::<Function>()?.call1(object, argument)
}

/// A method of a JavaScript class.
struct Method {
    /// The class's prototype.
    class: Object,
    name: &'static str,
    original: Function,
}

impl Method {
    /// `None` if there is no such class or method.
    fn of(class: &str, name: &'static str) -> Option<Self> {
        let class = Reflect::get(&js_sys::global(), &class.into()).ok()?;
        let class: Object = Reflect::get(&class, &"prototype".into()).ok()?.dyn_into().ok()?;
        let original = Reflect::get(&class, &name.into()).ok()?.dyn_into().ok()?;
        Some(Self { class, name, original })
    }

    /// Makes the class call a hook instead of the method; `None` if it cannot be replaced.
    fn hook(&self, hook: &Hook) -> Option<()> {
        let handler = Object::new();
        Reflect::set(&handler, &"apply".into(), hook.as_ref()).ok()?;
        let proxy = Proxy::new(&self.original, &handler.unchecked_into());
        Reflect::set(&self.class, &self.name.into(), &proxy).ok().filter(|done| *done).map(|_| ())
    }

    /// Restores the original method.
    fn restore(&self) {
        // Cannot fail, because setting the hook succeeded.
        let _ = Reflect::set(&self.class, &self.name.into(), &self.original);
    }
}

/// The message of a JavaScript exception.
fn message(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}
