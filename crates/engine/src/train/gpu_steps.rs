//! Training steps on a graphics card: the images are stored there, and steps are recorded and replayed.

mod recorded;
mod resident;

pub use recorded::{Recorder, step};
pub use resident::Resident;
