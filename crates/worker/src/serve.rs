//! Connects a session to `postMessage`: requests in, messages out. Runs in a dedicated worker, never on the page.

mod fetch;
mod peers;

use std::panic::{self, PanicHookInfo};

use futures_channel::mpsc::{self, UnboundedReceiver};
use std::pin::pin;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use inkling_core::data::Dataset;
use inkling_core::protocol::{self, Command, EngineKind, Event, Fault, Message, Request, RequestId};
use inkling_core::spec::{DatasetId, ModelId};
use inkling_engine::session::{Host, PeerWorker, Session};
use js_sys::{Array, Object, Promise, Uint8Array};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{DedicatedWorkerGlobalScope, MessageChannel, MessageEvent};

/// Names the sources that this program was built from.
const BUILD: &str = env!("INKLING_BUILD");

/// Seconds between checkpoints on a graphics card: at most this much training is lost with the card.
const CHECKPOINT_SECS: f64 = 10.0;

/// Reports that the worker is ready, then handles requests until the page terminates it. A peer worker serves the
/// session's worker instead.
pub fn start() {
    if peers::is_peer() {
        return peers::serve();
    }
    panic::set_hook(Box::new(report_panic));
    let requests = listen();
    post(&Event::Ready { build: BUILD.into() }.into());
    spawn_local(serve(Session::new(Worker), requests));
}

/// The main loop: handles all requests, advances the session by one piece of work, then yields to the event loop so
/// that new requests can arrive. Where the work is to wait, a request interrupts it.
async fn serve(mut session: Session<Worker>, mut requests: UnboundedReceiver<Request>) {
    loop {
        while let Ok(request) = requests.try_recv() {
            session.handle(request).await;
        }
        if session.is_interruptible() {
            let interrupt = match select(pin!(session.advance()), requests.next()).await {
                Either::Left(_) => None,
                Either::Right((request, _)) => request,
            };
            if let Some(request) = interrupt {
                session.handle(request).await;
            }
        } else if session.is_busy() {
            session.advance().await;
            yield_now().await;
        } else if let Some(request) = requests.next().await {
            session.handle(request).await;
        }
    }
}

/// The session's host in a web worker: events go to the page, images and weights come from beside it.
struct Worker;

impl Host for Worker {
    fn emit(&self, message: Message) {
        post(&message);
    }

    fn build(&self) -> &str {
        BUILD
    }

    fn now_secs(&self) -> f64 {
        // `performance.now()` is monotonic; `Date` jumps when the clock is set.
        scope().performance().map_or(0.0, |clock| clock.now() / 1000.0)
    }

    fn checkpoint_secs(&self, kind: EngineKind) -> Option<f64> {
        (kind != EngineKind::Cpu).then_some(CHECKPOINT_SECS)
    }

    async fn pretrained(&self, model: ModelId) -> Option<Vec<u8>> {
        fetch::pretrained(model).await
    }

    fn start_peers(&self, at_most: usize) -> Vec<Box<dyn PeerWorker>> {
        peers::start_peers(at_most)
    }

    async fn dataset(&self, id: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
        fetch::dataset(id, |progress| post(&Event::Progress(progress).into())).await
    }
}

/// The global scope of this worker.
fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Starts to listen for messages; returns the page's requests in the order in which they were sent.
fn listen() -> UnboundedReceiver<Request> {
    let (sender, receiver) = mpsc::unbounded();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        match request(&message.data()) {
            // The receiver lives as long as the worker.
            Ok(request) => sender.unbounded_send(request).unwrap_or_default(),
            Err(error) => post(&Event::Crashed(Fault::new(error.to_string(), "Reload the page.")).into()),
        }
    });
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    receiver
}

/// Decodes a message. A byte array is an encoded request. An array of four values restores a checkpoint: the request's
/// id, the checkpoint's bytes, which the page stores as an array of the browser's, whether to go on training, and the
/// number of workers.
fn request(message: &JsValue) -> Result<Request, protocol::DecodeError> {
    let Some(restore) = message.dyn_ref::<Array>() else {
        return protocol::decode(&Uint8Array::new(message).to_vec());
    };
    let number = |index, default| restore.get(index).as_f64().unwrap_or(default);
    let (checkpoint, workers) = (Uint8Array::new(&restore.get(1)).to_vec(), number(3, 1.0) as usize);
    let command = Command::Restore { checkpoint, go_on: restore.get(2).is_truthy(), workers };
    Ok(Request { id: RequestId(number(0, 0.0) as u64), command })
}

/// Sends a message to the page. The bytes are transferred, not copied. A checkpoint is sent unencoded in an array, after
/// the id of its request, so that the page can store it outside its WebAssembly memory: that memory never shrinks, and a
/// checkpoint may have half a gigabyte.
fn post(message: &Message) {
    let (bytes, checkpoint_of) = match &message.event {
        Event::Checkpoint(checkpoint) => (Uint8Array::from(checkpoint.as_slice()), Some(message.request.0 as f64)),
        _ => (Uint8Array::from(protocol::encode(message).as_slice()), None),
    };
    let message: Object = match checkpoint_of {
        Some(request) => Array::of2(&request.into(), &bytes).into(),
        None => bytes.clone().into(),
    };
    // Fails only for values that cannot be cloned; an array of bytes can.
    let _ = scope().post_message_with_transfer(&message, &Array::of1(&bytes.buffer()));
}

/// Reports a panic to the page, which otherwise would appear in the console only.
fn report_panic(info: &PanicHookInfo) {
    let fault = Fault::new(
        format!("The worker that trains broke down: {info}"),
        "Start again: that takes a fresh worker. If it happens again, choose the engine \"cpu\" or a smaller batch.",
    );
    post(&Event::Crashed(fault).into());
}

thread_local! {
    /// A channel from this worker to itself.
    static CHANNEL: MessageChannel = MessageChannel::new().expect("every worker can make a message channel");
}

/// Yields to the event loop, so that it delivers pending messages. A timer would wait 4 ms each time; a message to this
/// worker itself does not. One task at a time may wait here.
async fn yield_now() {
    let promise = CHANNEL.with(|channel| {
        Promise::new(&mut |resolve, _| {
            channel.port1().set_onmessage(Some(&resolve));
            let _ = channel.port2().post_message(&JsValue::NULL);
        })
    });
    let _ = JsFuture::from(promise).await;
}
