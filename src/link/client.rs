//! The page's handle to one worker: spawns it, sends requests, receives messages. It never decides anything.

use gloo::events::EventListener;
use inkling_core::protocol::{self, Fault, Message, Request, RequestId};
use js_sys::{Array, Uint8Array, WebAssembly};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

/// A complete WebAssembly module that uses a fused multiply-add. A browser that validates it supports relaxed SIMD.
const FUSED: [u8; 40] = [
    0x00, b'a', b's', b'm', 0x01, 0x00, 0x00, 0x00, // magic number, version 1
    0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b, // one type: no parameters, returns v128
    0x03, 0x02, 0x01, 0x00, // one function of that type
    0x0a, 0x13, 0x01, 0x11, 0x00, // its body: 17 bytes, no locals
    0x41, 0x00, 0xfd, 0x0f, // i32.const 0, i8x16.splat
    0x41, 0x00, 0xfd, 0x0f, // i32.const 0, i8x16.splat
    0x41, 0x00, 0xfd, 0x0f, // i32.const 0, i8x16.splat
    0xfd, 0x85, 0x02, // f32x4.relaxed_madd
    0x0b, // end
];

/// Which worker program to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The small program for the CPU.
    Cpu,
    /// The CPU program with fused multiply-add (relaxed SIMD), which not every browser supports.
    CpuFused,
    /// The large program, which also drives graphics cards.
    Graphics,
}

impl Kind {
    /// The fastest CPU program that this browser supports.
    pub fn for_cpu() -> Self {
        let has_fused = WebAssembly::validate(&Uint8Array::from(&FUSED[..])).unwrap_or(false);
        if has_fused { Self::CpuFused } else { Self::Cpu }
    }

    /// Path of the loader script that Trunk generates, relative to the page.
    fn loader(self) -> &'static str {
        match self {
            Self::Cpu => "./worker_loader.js",
            Self::CpuFused => "./worker_relaxed_loader.js",
            Self::Graphics => "./worker_gpu_loader.js",
        }
    }
}

/// A message from the worker.
pub enum WorkerMessage {
    /// A message of the session.
    Message(Message),
    /// A checkpoint that the run of this request can resume from.
    Checkpoint(RequestId, Checkpoint),
    /// The worker failed and must be replaced.
    Dead(Fault),
    /// A message that cannot be decoded. The first message of another build may be one.
    Unreadable(Fault),
}

/// A checkpoint of a run, as a byte array owned by the browser.
#[derive(Clone)]
pub struct Checkpoint(Uint8Array);

/// A worker and the connection to it. Dropping the client terminates the worker.
pub struct Client {
    /// The program that the worker runs.
    pub kind: Kind,
    /// Distinguishes this worker from earlier and concurrent workers.
    pub serial: u32,
    worker: Worker,
    /// The worker has reported that it receives messages.
    ready: bool,
    /// Requests sent before `ready`.
    queue: Vec<Request>,
    /// Dropping a listener removes it, so messages of a terminated worker are never delivered.
    _listeners: [EventListener; 3],
}

impl Kind {
    /// The fault for a worker whose program could not be loaded.
    pub fn load_fault(self) -> Fault {
        match self {
            Self::Graphics => Fault::new(
                "The program for graphics cards could not be loaded",
                "Check the connection and try again, or choose the engine \"cpu\".",
            ),
            Self::Cpu | Self::CpuFused => Fault::new(
                "The training worker could not be loaded",
                "Check the connection and reload the page; it needs a browser with module workers and WebAssembly SIMD.",
            ),
        }
    }
}

impl Client {
    /// Starts a worker. Each of its messages is passed to `on_message`.
    ///
    /// # Errors
    /// When the browser refuses to start a module worker.
    pub fn spawn(kind: Kind, serial: u32, on_message: impl Fn(WorkerMessage) + Clone + 'static) -> Result<Self, Fault> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(kind.loader(), &options).map_err(|error| {
            Fault::new(format!("The browser did not start the worker: {error:?}"), "Use a current browser.")
        })?;
        let listeners = [
            EventListener::new(&worker, "message", {
                let on_message = on_message.clone();
                move |event| on_message(decode_message(event))
            }),
            EventListener::new(&worker, "error", {
                let on_message = on_message.clone();
                move |event| on_message(WorkerMessage::Dead(crash_fault(kind, event)))
            }),
            EventListener::new(&worker, "messageerror", move |_| {
                on_message(WorkerMessage::Unreadable(unreadable("it could not be deserialized")))
            }),
        ];
        Ok(Self { kind, serial, worker, ready: false, queue: Vec::new(), _listeners: listeners })
    }

    /// Sends a request, or queues it until [`Client::on_ready`] is called.
    pub fn send(&mut self, request: Request) {
        if self.ready {
            self.post(&request);
        } else {
            self.queue.push(request);
        }
    }

    /// Restores a checkpoint in a worker whose engine is open. With `go_on` the worker resumes the run and shares each
    /// step among `workers` workers. Without it the worker only predicts with the checkpoint's network.
    pub fn restore(&self, request: RequestId, checkpoint: &Checkpoint, go_on: bool, workers: usize) {
        let (request, workers) = (request.0 as f64, workers as f64);
        // The bytes are copied, not transferred: another worker may need them later.
        let _ = self.worker.post_message(&Array::of4(&request.into(), &checkpoint.0, &go_on.into(), &workers.into()));
    }

    /// Marks the worker as ready and sends the queued requests.
    pub fn on_ready(&mut self) {
        self.ready = true;
        for request in std::mem::take(&mut self.queue) {
            self.post(&request);
        }
    }

    /// Whether the worker has reported that it receives messages: its program is loaded.
    pub fn is_loaded(&self) -> bool {
        self.ready
    }

    /// The program to use instead of a worker that failed to load. `None` when there is no alternative.
    pub fn substitute(&self) -> Option<Kind> {
        (self.kind == Kind::CpuFused && !self.ready).then_some(Kind::Cpu)
    }

    fn post(&self, request: &Request) {
        let bytes = Uint8Array::from(protocol::encode(request).as_slice());
        let transfer = Array::of1(&bytes.buffer());
        // Fails only for values that cannot be cloned. A byte array can be cloned.
        let _ = self.worker.post_message_with_transfer(&bytes, &transfer);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// Decodes a `message` event: an array holds a request's id and a checkpoint, bytes hold an encoded
/// [`Message`].
fn decode_message(event: &web_sys::Event) -> WorkerMessage {
    let data = event.dyn_ref::<MessageEvent>().map_or(JsValue::UNDEFINED, MessageEvent::data);
    if let Some(checkpoint) = data.dyn_ref::<Array>() {
        let request = RequestId(checkpoint.get(0).as_f64().unwrap_or_default() as u64);
        return WorkerMessage::Checkpoint(request, Checkpoint(Uint8Array::new(&checkpoint.get(1))));
    }
    let Some(bytes) = data.dyn_ref::<Uint8Array>() else {
        return WorkerMessage::Unreadable(unreadable("it held no bytes"));
    };
    match protocol::decode(&bytes.to_vec()) {
        Ok(message) => WorkerMessage::Message(message),
        Err(error) => WorkerMessage::Unreadable(unreadable(&error.to_string())),
    }
}

/// The fault for a message that cannot be decoded. The details go to the console, for developers.
fn unreadable(why: &str) -> Fault {
    leptos::logging::error!("a message from the worker: {why}");
    Fault::new("A message from the worker could not be read", "Reload the page.")
}

/// The fault for an `error` event of a worker. Its message is empty when the worker failed to load, and is about
/// WebAssembly when its program was missing or damaged.
fn crash_fault(kind: Kind, event: &web_sys::Event) -> Fault {
    let message = event.dyn_ref::<ErrorEvent>().map(ErrorEvent::message).unwrap_or_default();
    if message.is_empty() || message.contains("WebAssembly") || message.contains("Wasm") {
        leptos::logging::error!("the worker was not loaded: {message}");
        return kind.load_fault();
    }
    let remedy = "Try again; if it happens again, choose the CPU engine or a smaller batch.";
    Fault::new(format!("The training worker crashed: {}", shortened(&message)), remedy)
}

/// The first line of a message, without an end: browsers append stack traces.
fn shortened(message: &str) -> String {
    const N_CHARS: usize = 160;
    let line = message.lines().next().unwrap_or_default();
    if line.chars().count() <= N_CHARS { line.into() } else { line.chars().take(N_CHARS).chain(['…']).collect() }
}
