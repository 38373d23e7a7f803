//! The page's end of the line to the worker: spawns it, sends commands, hears events. Decides nothing.

use gloo::events::EventListener;
use inkling_core::protocol::{self, Command, Event, Fault};
use js_sys::{Array, Uint8Array, WebAssembly};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

/// A whole WebAssembly program that multiplies and adds in one instruction. A browser that finds it valid has relaxed
/// SIMD.
const FUSED: [u8; 40] = [
    0x00, b'a', b's', b'm', 0x01, 0x00, 0x00, 0x00, // a program, version 1
    0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b, // one type: nothing to a vector
    0x03, 0x02, 0x01, 0x00, // one function, of that type
    0x0a, 0x13, 0x01, 0x11, 0x00, // its code: 17 bytes without variables
    0x41, 0x00, 0xfd, 0x0f, // i32.const 0, i8x16.splat
    0x41, 0x00, 0xfd, 0x0f, // the same
    0x41, 0x00, 0xfd, 0x0f, // the same
    0xfd, 0x85, 0x02, // f32x4.relaxed_madd
    0x0b, // end
];

/// Which of the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A small one, for the CPU.
    Cpu,
    /// The same with fused multiply-add, which not every browser has.
    CpuFused,
    /// The large one, which has graphics cards too.
    Graphics,
}

impl Kind {
    /// The faster one for the CPU that this browser takes.
    pub fn for_cpu() -> Self {
        let has_fused = WebAssembly::validate(&Uint8Array::from(&FUSED[..])).unwrap_or(false);
        if has_fused { Self::CpuFused } else { Self::Cpu }
    }

    /// Where Trunk puts its loader, relative to the page.
    fn loader(self) -> &'static str {
        match self {
            Self::Cpu => "./worker_loader.js",
            Self::CpuFused => "./worker_relaxed_loader.js",
            Self::Graphics => "./worker_gpu_loader.js",
        }
    }
}

/// What comes from the worker.
pub enum Heard {
    Event(Event),
    /// All that a run can go on from.
    Snapshot(Snapshot),
    /// The worker does not work any more: spawn another.
    Dead(Fault),
}

/// What a run can go on from, as the browser's own bytes.
#[derive(Clone)]
pub struct Snapshot(Uint8Array);

/// A worker and the line to it. Dropping it ends the worker.
pub struct Client {
    pub kind: Kind,
    /// Tells it from those before and beside it.
    pub serial: u32,
    worker: Worker,
    /// The worker said that it listens.
    ready: bool,
    /// Commands from before that.
    queue: Vec<Command>,
    /// Removed when dropped: an ended worker is not heard any more.
    _listeners: [EventListener; 3],
}

impl Client {
    /// Starts a worker; everything it says goes to `hear`.
    ///
    /// # Errors
    /// When the browser starts no module workers.
    pub fn spawn(kind: Kind, serial: u32, hear: impl Fn(Heard) + Clone + 'static) -> Result<Self, Fault> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(kind.loader(), &options).map_err(|error| {
            Fault::new(format!("The browser did not start the worker: {error:?}"), "Use a current browser.")
        })?;
        let listeners = [
            EventListener::new(&worker, "message", {
                let hear = hear.clone();
                move |event| hear(read(event))
            }),
            EventListener::new(&worker, "error", {
                let hear = hear.clone();
                move |event| hear(Heard::Dead(crash(event)))
            }),
            EventListener::new(&worker, "messageerror", move |_| {
                hear(Heard::Dead(garbled("it was damaged on its way")))
            }),
        ];
        Ok(Self { kind, serial, worker, ready: false, queue: Vec::new(), _listeners: listeners })
    }

    /// Sends a command, or keeps it until the worker listens.
    pub fn send(&mut self, command: Command) {
        if self.ready {
            self.post(&command);
        } else {
            self.queue.push(command);
        }
    }

    /// Has a worker whose engine is open go on from a snapshot, or only read with its network.
    pub fn restore(&self, snapshot: &Snapshot, go_on: bool, workers: usize) {
        // The bytes are copied: they may be needed again.
        let _ = self.worker.post_message(&Array::of3(&snapshot.0, &go_on.into(), &(workers as u32).into()));
    }

    /// The worker listens from now on.
    pub fn listens(&mut self) {
        self.ready = true;
        for command in std::mem::take(&mut self.queue) {
            self.post(&command);
        }
    }

    /// What to try instead of a worker that did not even load.
    pub fn substitute(&self) -> Option<Kind> {
        (self.kind == Kind::CpuFused && !self.ready).then_some(Kind::Cpu)
    }

    fn post(&self, command: &Command) {
        let bytes = Uint8Array::from(protocol::encode(command).as_slice());
        let transfer = Array::of1(&bytes.buffer());
        // Fails only for values that cannot be cloned; an array of bytes can.
        let _ = self.worker.post_message_with_transfer(&bytes, &transfer);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

fn read(event: &web_sys::Event) -> Heard {
    let data = event.dyn_ref::<MessageEvent>().map_or(JsValue::UNDEFINED, MessageEvent::data);
    if let Some(snapshot) = data.dyn_ref::<Array>() {
        return Heard::Snapshot(Snapshot(Uint8Array::new(&snapshot.get(0))));
    }
    let Some(bytes) = data.dyn_ref::<Uint8Array>() else {
        return Heard::Dead(garbled("it held no bytes"));
    };
    match protocol::decode(&bytes.to_vec()) {
        Ok(event) => Heard::Event(event),
        Err(error) => Heard::Dead(garbled(&error.to_string())),
    }
}

/// The details are for the one who mends it: they go to the console.
fn garbled(why: &str) -> Fault {
    leptos::logging::error!("a message from the worker: {why}");
    Fault::new("A message from the worker could not be read", "Reload the page.")
}

/// Says what the browser tells of a worker's end; a worker that did not even load tells nothing.
fn crash(event: &web_sys::Event) -> Fault {
    let message = event.dyn_ref::<ErrorEvent>().map(ErrorEvent::message).filter(|message| !message.is_empty());
    match message {
        Some(message) => Fault::new(
            format!("The worker that trains broke down: {message}"),
            "Try again; if it happens again, choose the CPU engine or a smaller batch.",
        ),
        None => Fault::new(
            "The worker that trains could not be loaded",
            "Check the connection and reload the page; it needs a browser with module workers and WebAssembly SIMD.",
        ),
    }
}
