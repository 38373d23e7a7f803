//! Compiles shaders side by side, before anything is computed.
//!
//! A browser compiles pipelines in parallel when they are asked for by `createComputePipelineAsync`, but wgpu only knows
//! the call that has them compiled one after another. So a training step is rehearsed: CubeCL expands and compiles every
//! kernel of it and drops the launches, and whatever pipeline wgpu asks for meanwhile is asked of the browser by the other
//! call, while wgpu gets a stand-in that does nothing. From then on the real one takes its place wherever the stand-in is
//! set.
//!
//! This replaces two methods of WebGPU's classes, `createComputePipeline` for the time of a rehearsal and `setPipeline` for
//! good; `patches=0` in the page's address leaves them alone. It can go once wgpu has `create_compute_pipeline_async`:
//! <https://github.com/gfx-rs/wgpu/issues/3794>.

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

use crate::batch::{self, Picks};
use crate::network::DropoutKey;
use crate::train::{Feed, Shelf, Trainer};

/// As few images as dense layers compute at once, so that their kernels are those of training; and a few more that fill no
/// vector, so that the kernels of such batches are there too.
const N_IMAGES: [usize; 2] = [8, 9];
/// A property of a stand-in: the pipeline whose place it holds.
const REAL: &str = "inklingReal";
/// The shader of a stand-in.
const NOTHING: &str = "@compute @workgroup_size(1) fn nothing() {}";

/// What a trap does with the method, the object it is called on, and its arguments.
type Trap = Closure<dyn FnMut(Function, JsValue, Array) -> Result<JsValue, JsValue>>;

/// Compiles the shaders that training and reading need; `on` hears how many of how many are ready.
///
/// # Errors
/// What the browser says of the first shader that it refuses. Whatever needs that one then fails as it does without a
/// rehearsal.
pub async fn rehearse(device: &Device, plays: &[(ModelId, Recipe)], on: impl Fn(u64, u64)) -> Result<(), String> {
    let Some(stage) = Stage::set() else { return Ok(()) };
    let dry_run = DryRun::new();
    plays.iter().for_each(|(model, recipe)| play(*model, recipe, device));
    drop(dry_run);
    let asked = stage.clear();
    let mut refused = None;
    for (done, Asked { stand_in, promise, again }) in asked.iter().enumerate() {
        on(done as u64, asked.len() as u64);
        // No stand-in may be left without a real pipeline: nobody would notice what is not computed.
        let real = match JsFuture::from(promise.clone()).await {
            Ok(real) => Ok(real),
            Err(error) => {
                refused = refused.or_else(|| Some(words(&error)));
                again()
            }
        };
        let placed = real.and_then(|real| Reflect::set(stand_in, &REAL.into(), &real));
        refused = refused.or_else(|| placed.err().map(|error| words(&error)));
    }
    refused.map_or(Ok(()), Err)
}

/// Launches everything that a step of training and reading images launch.
fn play(model: ModelId, recipe: &Recipe, device: &Device) {
    let mut trainer = Trainer::new(model, 1, device).by(recipe);
    for n in N_IMAGES {
        let split = synthetic::split(synthetic::SEED, 0, n);
        let all: Vec<usize> = (0..n).collect();
        let mut random = batch::random(1, 1, 1);
        let shelf = Shelf::new();
        let images = Feed::of(&shelf, &split, n, device).batch(&Picks::drawn(&all, recipe, &mut random), device);
        trainer.step(&images, recipe.learning_rate, DropoutKey::of(1, 1));
        trainer.evaluate(&images);
    }
}

/// A pipeline that the browser is compiling.
struct Asked {
    /// What wgpu has in its place.
    stand_in: JsValue,
    promise: Promise,
    /// Asks for it as wgpu does.
    again: Box<dyn Fn() -> Result<JsValue, JsValue>>,
}

/// While it is set, pipelines are asked for by the call that compiles them in parallel.
struct Stage {
    asked: Rc<RefCell<Vec<Asked>>>,
    create: Method,
    /// Lives as long as the method calls it.
    _trap: Trap,
}

impl Stage {
    /// `None` where the browser lacks what it takes: pipelines are then compiled as wgpu asks for them.
    fn set() -> Option<Self> {
        let create = Method::of("GPUDevice", "createComputePipeline")?;
        Method::of("GPUDevice", "createComputePipelineAsync")?;
        set_real_ones()?;
        let asked: Rc<RefCell<Vec<Asked>>> = Rc::default();
        let list = asked.clone();
        let trap = Trap::new(move |create: Function, device: JsValue, arguments: Array| {
            let descriptor = arguments.get(0);
            match ask(&create, &device, &descriptor) {
                Ok(asked) => {
                    let stand_in = asked.stand_in.clone();
                    list.borrow_mut().push(asked);
                    Ok(stand_in)
                }
                Err(_) => create.call1(&device, &descriptor),
            }
        });
        create.trap(&trap)?;
        Some(Self { asked, create, _trap: trap })
    }

    /// Puts the method back.
    fn clear(self) -> Vec<Asked> {
        self.create.restore();
        self.asked.take()
    }
}

fn ask(create: &Function, device: &JsValue, descriptor: &JsValue) -> Result<Asked, JsValue> {
    let stand_in = stand_in(create, device, descriptor)?;
    let promise = call(device, "createComputePipelineAsync", descriptor)?.dyn_into()?;
    let (create, device, descriptor) = (create.clone(), device.clone(), descriptor.clone());
    Ok(Asked { stand_in, promise, again: Box::new(move || create.call1(&device, &descriptor)) })
}

// In JavaScript: every dispatch of every step goes through it, and a closure of WebAssembly would cost several calls.
#[wasm_bindgen(inline_js = "
export function replace_stand_ins(real) {
    const passes = GPUComputePassEncoder.prototype;
    const set = passes.setPipeline;
    passes.setPipeline = function (asked) { set.call(this, asked[real] ?? asked); };
}")]
extern "C" {
    /// From now on, whoever sets a stand-in sets the pipeline that this property of it holds.
    #[wasm_bindgen(catch)]
    fn replace_stand_ins(real: &str) -> Result<(), JsValue>;
}

/// Once for as long as the worker lives.
fn set_real_ones() -> Option<()> {
    thread_local! {
        static DONE: Cell<bool> = const { Cell::new(false) };
    }
    if !DONE.get() {
        replace_stand_ins(REAL).ok()?;
        DONE.set(true);
    }
    Some(())
}

/// A pipeline of the same layout that does nothing.
fn stand_in(create: &Function, device: &JsValue, descriptor: &JsValue) -> Result<JsValue, JsValue> {
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

fn call(object: &JsValue, method: &str, argument: &JsValue) -> Result<JsValue, JsValue> {
    Reflect::get(object, &method.into())?.dyn_into::<Function>()?.call1(object, argument)
}

/// A method of all objects of a class.
struct Method {
    class: Object,
    name: &'static str,
    original: Function,
}

impl Method {
    /// `None` where there is no such class or method.
    fn of(class: &str, name: &'static str) -> Option<Self> {
        let class = Reflect::get(&js_sys::global(), &class.into()).ok()?;
        let class: Object = Reflect::get(&class, &"prototype".into()).ok()?.dyn_into().ok()?;
        let original = Reflect::get(&class, &name.into()).ok()?.dyn_into().ok()?;
        Some(Self { class, name, original })
    }

    /// Has a trap called in its place.
    fn trap(&self, trap: &Trap) -> Option<()> {
        let handler = Object::new();
        Reflect::set(&handler, &"apply".into(), trap.as_ref()).ok()?;
        let proxy = Proxy::new(&self.original, &handler.unchecked_into());
        Reflect::set(&self.class, &self.name.into(), &proxy).ok().filter(|done| *done).map(|_| ())
    }

    fn restore(&self) {
        // It could be set before, so it can be now.
        let _ = Reflect::set(&self.class, &self.name.into(), &self.original);
    }
}

/// What an error says.
fn words(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}
