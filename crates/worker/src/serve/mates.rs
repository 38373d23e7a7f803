//! Mates in a browser: workers of the same program that the session's worker starts beside it. Both ends of that line, on
//! which numbers travel as transferred buffers: no memory is shared, so the host needs to set no headers.
//!
//! A task goes out as a pair, its brief as bytes and its numbers; an answer comes back as numbers. A mate first says that
//! it listens, with anything that is no numbers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::{self, Either};
use inkling_core::protocol;
use inkling_engine::session::{Answer, Mate};
use inkling_engine::train::{Brief, Replica, Task};
use js_sys::{Array, Float32Array, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageEvent, Navigator, Worker, WorkerOptions, WorkerType};

use super::scope;

/// How a worker knows that it is a mate.
const NAME: &str = "mate";
/// How long to wait for an answer after this worker's own part is done. A mate had as much to do and as long for it, so it
/// is nearly done or gone; taking a slow one for lost costs time, and nothing else.
const PATIENCE_MILLIS: i32 = 10_000;

/// Whether this worker is a mate of another one.
pub fn is_mate() -> bool {
    scope().name() == NAME
}

/// Answers tasks until the other worker ends this one.
pub fn serve() {
    let mut replica = Replica::default();
    let hear = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        let pair: Array = message.data().unchecked_into();
        let brief: Brief = protocol::decode(&Uint8Array::new(&pair.get(0)).to_vec())
            .expect("both workers are of one program, so a brief can be read");
        let numbers = Float32Array::new(&pair.get(1)).to_vec();
        let answer = Float32Array::from(replica.answer(&brief, &numbers).as_slice());
        // Fails only for values that cannot be cloned; numbers can.
        let _ = scope().post_message_with_transfer(&answer, &Array::of1(&answer.buffer()));
    });
    scope().set_onmessage(Some(hear.as_ref().unchecked_ref()));
    hear.forget();
    let _ = scope().post_message(&JsValue::NULL);
}

/// Starts mates, at most so many and no more than there are other cores. Fewer where the browser starts none.
pub fn call(at_most: usize) -> Vec<Box<dyn Mate>> {
    let started = (0..at_most.min(n_cores() - 1)).map_while(|_| WebMate::start().ok());
    started.map(|mate| Box::new(mate) as Box<dyn Mate>).collect()
}

fn n_cores() -> usize {
    let navigator = Reflect::get(&scope(), &"navigator".into()).unwrap_or_default();
    // A worker's navigator has this property too.
    (navigator.unchecked_into::<Navigator>().hardware_concurrency() as usize).max(1)
}

/// A mate, seen from the session's worker.
struct WebMate {
    worker: Worker,
    line: Rc<Line>,
    /// Called as long as the worker lives.
    _listeners: [Closure<dyn FnMut(web_sys::Event)>; 2],
}

/// What was heard of a mate, and what it owes.
#[derive(Default)]
struct Line {
    listens: Cell<bool>,
    /// Answers that are due, in the order of their tasks.
    due: RefCell<VecDeque<oneshot::Sender<Vec<f32>>>>,
}

impl WebMate {
    fn start() -> Result<Self, JsValue> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name(NAME);
        // The loader of this very worker.
        let location = Reflect::get(&scope(), &"location".into())?;
        let address = Reflect::get(&location, &"href".into())?.as_string().unwrap_or_default();
        let worker = Worker::new_with_options(&address, &options)?;
        let line = Rc::new(Line::default());
        let hear = Closure::<dyn FnMut(web_sys::Event)>::new({
            let line = line.clone();
            move |event: web_sys::Event| line.hear(&event.unchecked_into::<MessageEvent>().data())
        });
        let fail = Closure::<dyn FnMut(web_sys::Event)>::new({
            let line = line.clone();
            move |event: web_sys::Event| {
                // Else the browser takes it for an error of this worker.
                event.prevent_default();
                line.break_off();
            }
        });
        worker.set_onmessage(Some(hear.as_ref().unchecked_ref()));
        worker.set_onerror(Some(fail.as_ref().unchecked_ref()));
        Ok(Self { worker, line, _listeners: [hear, fail] })
    }
}

impl Line {
    fn hear(&self, data: &JsValue) {
        match data.dyn_ref::<Float32Array>() {
            // Nobody waits any more for what comes too late.
            Some(numbers) => {
                let due = self.due.borrow_mut().pop_front();
                due.map(|due| due.send(numbers.to_vec()));
            }
            None => self.listens.set(true),
        }
    }

    /// Nothing more comes from this mate.
    fn break_off(&self) {
        self.listens.set(false);
        self.due.borrow_mut().clear();
    }
}

impl Mate for WebMate {
    fn is_ready(&self) -> bool {
        self.line.listens.get() && self.line.due.borrow().is_empty()
    }

    fn give(&self, task: &Task) -> Answer {
        let brief = Uint8Array::from(protocol::encode(&task.brief).as_slice());
        let (n_weights, n_pixels) = (task.weights.len() as u32, task.pixels.len() as u32);
        let numbers = Float32Array::new_with_length(n_weights + n_pixels);
        numbers.subarray(0, n_weights).copy_from(&task.weights);
        numbers.subarray(n_weights, n_weights + n_pixels).copy_from(&task.pixels);
        let (sender, receiver) = oneshot::channel();
        let transfer = Array::of2(&brief.buffer(), &numbers.buffer());
        // Fails only for values that cannot be cloned; numbers can. Without an answer the mate counts as lost.
        let _ = self.worker.post_message_with_transfer(&Array::of2(&brief, &numbers), &transfer);
        self.line.due.borrow_mut().push_back(sender);
        Box::pin(async move {
            match future::select(receiver, Patience::begin()).await {
                Either::Left((answer, _)) => answer.ok(),
                Either::Right(_) => None,
            }
        })
    }
}

impl Drop for WebMate {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// Ends after [`PATIENCE_MILLIS`]; its timer ends when it is dropped.
struct Patience {
    over: JsFuture,
    timer: i32,
}

impl Patience {
    fn begin() -> Self {
        let mut timer = 0;
        let promise = Promise::new(&mut |resolve, _| {
            let begun = scope().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, PATIENCE_MILLIS);
            timer = begun.expect("every worker has timers");
        });
        Self { over: JsFuture::from(promise), timer }
    }
}

impl Future for Patience {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.over).poll(context).map(|_| ())
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        scope().clear_timeout_with_handle(self.timer);
    }
}
