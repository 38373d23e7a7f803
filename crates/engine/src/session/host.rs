//! What a session asks of the program around it, and how the work of a request sees it. It contains no implementation
//! of a host.

use std::ops::Deref;
use std::rc::Rc;

use inkling_core::data::Dataset;
use inkling_core::protocol::{EngineKind, Event, Fault, Message, RequestId};
use inkling_core::spec::{DatasetId, ModelId};

use super::PeerWorker;

/// The environment of a session: a web worker, a terminal or a test.
pub trait Host: 'static {
    /// Receives every message of the session.
    fn emit(&self, message: Message);
    /// Hash of the sources that the program was built from, in hexadecimal; it is recorded with trained weights.
    fn build(&self) -> &str;
    /// Seconds since an arbitrary fixed time.
    fn now_secs(&self) -> f64;
    /// Loads a data set. If it is not the requested one, the string tells the user why.
    ///
    /// # Errors
    /// When the data set cannot be loaded.
    fn dataset(&self, id: &DatasetId) -> impl Future<Output = Result<(Dataset, Option<String>), Fault>>;
    /// Loads the pretrained weights of a model that ship with the program, in the format of
    /// [`crate::train::weights_file`]. `None` when there are none.
    fn pretrained(&self, model: ModelId) -> impl Future<Output = Option<Vec<u8>>>;
    /// How many seconds of a training run on this kind of engine may be lost: the longest time between two checkpoints,
    /// unless checkpoints themselves are slow. `None`, the default, when the host stores no checkpoints.
    fn checkpoint_secs(&self, _: EngineKind) -> Option<f64> {
        None
    }
    /// Starts at most `_max_peers` peer workers. They may become ready later. The default starts none.
    fn start_peers(&self, _max_peers: usize) -> Vec<Box<dyn PeerWorker>> {
        vec![]
    }
}

/// The host as the work of one request sees it: events are sent in the name of that request.
pub struct Reply<H> {
    host: Rc<H>,
    request: RequestId,
}

impl<H: Host> Reply<H> {
    /// The host for the work of `request`.
    pub fn new(host: Rc<H>, request: RequestId) -> Self {
        Self { host, request }
    }

    /// Sends an event in the name of the request.
    pub fn emit(&self, event: Event) {
        self.host.emit(Message { request: self.request, event });
    }
}

impl<H> Clone for Reply<H> {
    fn clone(&self) -> Self {
        Self { host: self.host.clone(), request: self.request }
    }
}

impl<H> Deref for Reply<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.host
    }
}
