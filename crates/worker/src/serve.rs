//! Session to postMessage: commands in, events out. Runs in a dedicated worker, never on the page.

mod fetch;
mod mates;

use std::panic::{self, PanicHookInfo};

use futures_channel::mpsc::{self, UnboundedReceiver};
use futures_util::StreamExt;
use inkling_core::data::Dataset;
use inkling_core::protocol::{self, Command, EngineKind, Event, Fault};
use inkling_core::spec::{DatasetId, ModelId};
use inkling_engine::session::{Host, Mate, Session};
use js_sys::{Array, Object, Promise, Uint8Array};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{DedicatedWorkerGlobalScope, MessageChannel, MessageEvent};

/// The sources that this program was built from.
const BUILD: &str = env!("INKLING_BUILD");

/// How many seconds of training a lost graphics card may cost.
const SNAPSHOT_SECS: f64 = 10.0;

/// Listens, says so, and serves until the page ends the worker; or another worker, when this is its mate.
pub fn start() {
    if mates::is_mate() {
        return mates::serve();
    }
    panic::set_hook(Box::new(say_crashed));
    let commands = listen();
    post(&Event::Ready { build: BUILD.into() });
    spawn_local(serve(Session::new(Worker), commands));
}

/// Commands first, then one piece of work, then a breath in which new commands arrive.
async fn serve(mut session: Session<Worker>, mut commands: UnboundedReceiver<Command>) {
    let breath = Breath::new();
    loop {
        while let Ok(command) = commands.try_recv() {
            session.handle(command).await;
        }
        if session.is_busy() {
            session.advance().await;
            breath.take().await;
        } else if let Some(command) = commands.next().await {
            session.handle(command).await;
        }
    }
}

/// The session's world inside a worker.
struct Worker;

impl Host for Worker {
    fn emit(&self, event: Event) {
        post(&event);
    }

    fn now_secs(&self) -> f64 {
        // Monotonic: `Date` jumps when somebody sets the clock.
        scope().performance().map_or(0.0, |clock| clock.now() / 1000.0)
    }

    fn snapshot_secs(&self, kind: EngineKind) -> Option<f64> {
        (kind != EngineKind::Cpu).then_some(SNAPSHOT_SECS)
    }

    async fn pretrained(&self, model: ModelId) -> Option<Vec<u8>> {
        fetch::pretrained(model).await
    }

    fn mates(&self, at_most: usize) -> Vec<Box<dyn Mate>> {
        mates::call(at_most)
    }

    async fn dataset(&self, id: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
        fetch::dataset(id, |progress| post(&Event::Progress(progress))).await
    }
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// The page's commands, in the order in which they were sent.
fn listen() -> UnboundedReceiver<Command> {
    let (sender, receiver) = mpsc::unbounded();
    let hear = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        match command(&message.data()) {
            // The receiver lives as long as the worker.
            Ok(command) => sender.unbounded_send(command).unwrap_or_default(),
            Err(error) => post(&Event::Failed(Fault::new(error.to_string(), "Reload the page."))),
        }
    });
    scope().set_onmessage(Some(hear.as_ref().unchecked_ref()));
    hear.forget();
    receiver
}

/// A message of bytes is a command; one of three values restores a snapshot, which the page keeps as the browser's own bytes.
fn command(message: &JsValue) -> Result<Command, protocol::DecodeError> {
    let Some(restore) = message.dyn_ref::<Array>() else {
        return protocol::decode(&Uint8Array::new(message).to_vec());
    };
    let (snapshot, workers) = (Uint8Array::new(&restore.get(0)).to_vec(), restore.get(2).as_f64().unwrap_or(1.0));
    Ok(Command::Restore { snapshot, go_on: restore.get(1).is_truthy(), workers: workers as usize })
}

/// Bytes are moved and not copied. Those of a snapshot go as they are, in an array of one, past the page's own memory: that
/// never shrinks, and they may be half a gigabyte.
fn post(event: &Event) {
    let (bytes, is_snapshot) = match event {
        Event::Snapshot(snapshot) => (Uint8Array::from(snapshot.as_slice()), true),
        _ => (Uint8Array::from(protocol::encode(event).as_slice()), false),
    };
    let message: Object = if is_snapshot { Array::of1(&bytes).into() } else { bytes.clone().into() };
    // Fails only for values that cannot be cloned; an array of bytes can.
    let _ = scope().post_message_with_transfer(&message, &Array::of1(&bytes.buffer()));
}

/// A panic is news on the page, not only a line in the console.
fn say_crashed(info: &PanicHookInfo) {
    post(&Event::Crashed(Fault::new(
        format!("The worker that trains broke down: {info}"),
        "Start again: that takes a fresh worker. If it happens again, choose the engine \"cpu\" or a smaller batch.",
    )));
}

/// Lets the event loop deliver what has arrived. A timer would wait 4 ms each time; a message to oneself does not.
struct Breath {
    channel: MessageChannel,
}

impl Breath {
    fn new() -> Self {
        Self { channel: MessageChannel::new().expect("every worker can make a message channel") }
    }

    async fn take(&self) {
        let promise = Promise::new(&mut |resolve, _| {
            self.channel.port1().set_onmessage(Some(&resolve));
            let _ = self.channel.port2().post_message(&JsValue::NULL);
        });
        let _ = JsFuture::from(promise).await;
    }
}
