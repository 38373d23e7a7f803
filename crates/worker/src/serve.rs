//! Connects a session to `postMessage`: commands in, events out. Runs in a dedicated worker, never on the page.

mod fetch;
mod peers;

use std::panic::{self, PanicHookInfo};

use futures_channel::mpsc::{self, UnboundedReceiver};
use futures_util::StreamExt;
use inkling_core::data::Dataset;
use inkling_core::protocol::{self, Command, EngineKind, Event, Fault};
use inkling_core::spec::{DatasetId, ModelId};
use inkling_engine::session::{Host, PeerWorker, Session};
use js_sys::{Array, Object, Promise, Uint8Array};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{DedicatedWorkerGlobalScope, MessageChannel, MessageEvent};

/// Names the sources that this program was built from.
const BUILD: &str = env!("INKLING_BUILD");

/// Seconds between snapshots on a graphics card: at most this much training is lost with the card.
const SNAPSHOT_SECS: f64 = 10.0;

/// Reports that the worker is ready, then handles commands until the page terminates it. A peer worker serves the
/// session's worker instead.
pub fn start() {
    if peers::is_peer() {
        return peers::serve();
    }
    panic::set_hook(Box::new(report_panic));
    let commands = listen();
    post(&Event::Ready { build: BUILD.into() });
    spawn_local(serve(Session::new(Worker), commands));
}

/// The main loop: handles all commands, advances the session by one piece of work, then yields to the event loop so
/// that new commands can arrive.
async fn serve(mut session: Session<Worker>, mut commands: UnboundedReceiver<Command>) {
    let yield_now = YieldNow::new();
    loop {
        while let Ok(command) = commands.try_recv() {
            session.handle(command).await;
        }
        if session.is_busy() {
            session.advance().await;
            yield_now.take().await;
        } else if let Some(command) = commands.next().await {
            session.handle(command).await;
        }
    }
}

/// The session's host in a web worker: events go to the page, images and weights come from beside it.
struct Worker;

impl Host for Worker {
    fn emit(&self, event: Event) {
        post(&event);
    }

    fn now_secs(&self) -> f64 {
        // `performance.now()` is monotonic; `Date` jumps when the clock is set.
        scope().performance().map_or(0.0, |clock| clock.now() / 1000.0)
    }

    fn snapshot_secs(&self, kind: EngineKind) -> Option<f64> {
        (kind != EngineKind::Cpu).then_some(SNAPSHOT_SECS)
    }

    async fn pretrained(&self, model: ModelId) -> Option<Vec<u8>> {
        fetch::pretrained(model).await
    }

    fn peers(&self, at_most: usize) -> Vec<Box<dyn PeerWorker>> {
        peers::start_peers(at_most)
    }

    async fn dataset(&self, id: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
        fetch::dataset(id, |progress| post(&Event::Progress(progress))).await
    }
}

/// The global scope of this worker.
fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Starts to listen for messages; returns the page's commands in the order in which they were sent.
fn listen() -> UnboundedReceiver<Command> {
    let (sender, receiver) = mpsc::unbounded();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        match command(&message.data()) {
            // The receiver lives as long as the worker.
            Ok(command) => sender.unbounded_send(command).unwrap_or_default(),
            Err(error) => post(&Event::Failed(Fault::new(error.to_string(), "Reload the page."))),
        }
    });
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    receiver
}

/// Decodes a message. A byte array is an encoded command. An array of three values restores a snapshot: the snapshot's
/// bytes, which the page stores as an array of the browser's, whether to go on training, and the number of workers.
fn command(message: &JsValue) -> Result<Command, protocol::DecodeError> {
    let Some(restore) = message.dyn_ref::<Array>() else {
        return protocol::decode(&Uint8Array::new(message).to_vec());
    };
    let (snapshot, workers) = (Uint8Array::new(&restore.get(0)).to_vec(), restore.get(2).as_f64().unwrap_or(1.0));
    Ok(Command::Restore { snapshot, go_on: restore.get(1).is_truthy(), workers: workers as usize })
}

/// Sends an event to the page. The bytes are transferred, not copied. A snapshot is sent unencoded in an array of one
/// element, so that the page can store it outside its WebAssembly memory: that memory never shrinks, and a snapshot may
/// have half a gigabyte.
fn post(event: &Event) {
    let (bytes, is_snapshot) = match event {
        Event::Snapshot(snapshot) => (Uint8Array::from(snapshot.as_slice()), true),
        _ => (Uint8Array::from(protocol::encode(event).as_slice()), false),
    };
    let message: Object = if is_snapshot { Array::of1(&bytes).into() } else { bytes.clone().into() };
    // Fails only for values that cannot be cloned; an array of bytes can.
    let _ = scope().post_message_with_transfer(&message, &Array::of1(&bytes.buffer()));
}

/// Reports a panic to the page, which otherwise would appear in the console only.
fn report_panic(info: &PanicHookInfo) {
    post(&Event::Crashed(Fault::new(
        format!("The worker that trains broke down: {info}"),
        "Start again: that takes a fresh worker. If it happens again, choose the engine \"cpu\" or a smaller batch.",
    )));
}

/// Yields to the event loop, so that it delivers pending messages. A timer would wait 4 ms each time; a message to this
/// worker itself does not.
struct YieldNow {
    channel: MessageChannel,
}

impl YieldNow {
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
