//! What a session asks of the program around it. It contains no implementation.

use inkling_core::data::Dataset;
use inkling_core::protocol::{EngineKind, Event, Fault};
use inkling_core::spec::{DatasetId, ModelId};

use super::PeerWorker;

/// The environment of a session: a web worker, a terminal or a test.
pub trait Host {
    /// Receives every event of the session.
    fn emit(&self, event: Event);
    /// Seconds since an arbitrary fixed time.
    fn now_secs(&self) -> f64;
    /// Loads a data set. If it is not the requested one, the string tells the user why.
    ///
    /// # Errors
    /// When the data set cannot be loaded.
    fn dataset(&self, id: &DatasetId) -> impl Future<Output = Result<(Dataset, Option<String>), Fault>>;
    /// Loads the pretrained weights of a model that ship with the program, in the format of [`crate::train::checkpoint`]. `None` when
    /// there are none.
    fn pretrained(&self, model: ModelId) -> impl Future<Output = Option<Vec<u8>>>;
    /// How many seconds of a training run on this kind of engine may be lost: the longest time between two snapshots,
    /// unless snapshots themselves are slow. `None`, the default, when the host stores no snapshots.
    fn snapshot_secs(&self, _: EngineKind) -> Option<f64> {
        None
    }
    /// Starts at most `_max_peers` peer workers. They may become ready later. The default starts none.
    fn peers(&self, _max_peers: usize) -> Vec<Box<dyn PeerWorker>> {
        vec![]
    }
}
