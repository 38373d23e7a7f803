//! Peer workers in a browser: workers of the same program that the session's worker starts, and that compute shards of
//! its batches. This file is both ends of the connection. Numbers are sent as transferred buffers. Memory is never
//! shared, so the site needs no cross-origin isolation headers.
//!
//! A peer worker's first message is the id of its build, by which the session's worker recognises one that would compute
//! something else: a site can be updated between the loads of two workers. A task is a pair: its header as bytes, and
//! its numbers. An answer is an array of numbers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::{self, Either};
use gloo_timers::future::TimeoutFuture;
use inkling_core::protocol;
use inkling_engine::session::{Answer, PeerWorker};
use inkling_engine::train::{Replica, Task, TaskHeader};
use js_sys::{Array, Float32Array, Reflect, Uint8Array};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{MessageEvent, Navigator, Worker, WorkerOptions, WorkerType};

use super::{BUILD, scope};

/// The name of every peer worker, by which it recognises itself.
const NAME: &str = "peer";
/// How long to wait for an answer after this worker has computed its own shard. A peer worker had the same amount of
/// work and the same time, so it is almost done or gone. Giving up on a slow one costs time, and nothing else.
const TIMEOUT_MILLIS: u32 = 10_000;

/// Whether this worker is a peer of a session's worker.
pub fn is_peer() -> bool {
    scope().name() == NAME
}

/// Serves as a peer: answers tasks until the session's worker terminates this one.
///
/// # Panics
/// Later, in the message handler, when a task's header cannot be decoded.
pub fn serve() {
    let mut replica = Replica::default();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        let pair: Array = message.data().unchecked_into();
        let header: TaskHeader = protocol::decode(&Uint8Array::new(&pair.get(0)).to_vec())
            .expect("both workers are of one program, so a task header can be decoded");
        let numbers = Float32Array::new(&pair.get(1)).to_vec();
        let answer = Float32Array::from(replica.answer(&header, &numbers).as_slice());
        // Fails only for values that cannot be cloned; numbers can.
        let _ = scope().post_message_with_transfer(&answer, &Array::of1(&answer.buffer()));
    });
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    let _ = scope().post_message(&BUILD.into());
}

/// Starts peer workers: at most `at_most`, at most one for each other core, and fewer if the browser refuses to start
/// more.
pub fn start_peers(at_most: usize) -> Vec<Box<dyn PeerWorker>> {
    let started = (0..at_most.min(n_cores() - 1)).map_while(|_| WebPeer::start().ok());
    started.map(|peer| Box::new(peer) as Box<dyn PeerWorker>).collect()
}

fn n_cores() -> usize {
    let navigator = Reflect::get(&scope(), &"navigator".into()).unwrap_or_default();
    // `hardwareConcurrency` is a property of a worker's `WorkerNavigator` too.
    (navigator.unchecked_into::<Navigator>().hardware_concurrency() as usize).max(1)
}

/// A peer worker, seen from the session's worker.
struct WebPeer {
    worker: Worker,
    connection: Rc<Connection>,
    /// The browser calls these closures as long as the worker runs.
    _listeners: [Closure<dyn FnMut(web_sys::Event)>; 2],
}

/// The state of a peer worker: whether it listens, and its pending answers.
#[derive(Default)]
struct Connection {
    listens: Cell<bool>,
    /// Receivers of pending answers, in the order of their tasks.
    pending: RefCell<VecDeque<oneshot::Sender<Vec<f32>>>>,
}

impl WebPeer {
    fn start() -> Result<Self, JsValue> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name(NAME);
        // This worker's own script: the loader of the same program.
        let location = Reflect::get(&scope(), &"location".into())?;
        let address = Reflect::get(&location, &"href".into())?.as_string().unwrap_or_default();
        let worker = Worker::new_with_options(&address, &options)?;
        let connection = Rc::new(Connection::default());
        let on_message = Closure::<dyn FnMut(web_sys::Event)>::new({
            let connection = connection.clone();
            move |event: web_sys::Event| connection.on_message(&event.unchecked_into::<MessageEvent>().data())
        });
        let on_error = Closure::<dyn FnMut(web_sys::Event)>::new({
            let connection = connection.clone();
            move |event: web_sys::Event| {
                // Otherwise the browser reports it as an error of this worker.
                event.prevent_default();
                connection.disconnect();
            }
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { worker, connection, _listeners: [on_message, on_error] })
    }
}

impl Connection {
    fn on_message(&self, data: &JsValue) {
        match data.dyn_ref::<Float32Array>() {
            // Sending fails, without consequences, if the answer is no longer awaited.
            Some(numbers) => {
                let sender = self.pending.borrow_mut().pop_front();
                sender.map(|sender| sender.send(numbers.to_vec()));
            }
            None => self.listens.set(data.as_string().as_deref() == Some(BUILD)),
        }
    }

    /// Marks the peer worker as lost: it gets no more tasks, and its pending answers fail.
    fn disconnect(&self) {
        self.listens.set(false);
        self.pending.borrow_mut().clear();
    }
}

impl PeerWorker for WebPeer {
    fn is_ready(&self) -> bool {
        self.connection.listens.get() && self.connection.pending.borrow().is_empty()
    }

    fn send(&self, task: &Task) -> Answer {
        let header = Uint8Array::from(protocol::encode(&task.header).as_slice());
        let (n_weights, n_pixels) = (task.weights.len() as u32, task.pixels.len() as u32);
        let numbers = Float32Array::new_with_length(n_weights + n_pixels);
        numbers.subarray(0, n_weights).copy_from(&task.weights);
        numbers.subarray(n_weights, n_weights + n_pixels).copy_from(&task.pixels);
        let (sender, receiver) = oneshot::channel();
        let transfer = Array::of2(&header.buffer(), &numbers.buffer());
        // Fails only for values that cannot be cloned; numbers can. Without an answer the peer worker counts as lost.
        let _ = self.worker.post_message_with_transfer(&Array::of2(&header, &numbers), &transfer);
        self.connection.pending.borrow_mut().push_back(sender);
        Box::pin(async move {
            match future::select(receiver, TimeoutFuture::new(TIMEOUT_MILLIS)).await {
                Either::Left((answer, _)) => answer.ok(),
                Either::Right(_) => None,
            }
        })
    }
}

impl Drop for WebPeer {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}
