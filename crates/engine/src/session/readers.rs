//! The networks that read besides the one at hand: the pretrained ones of the other models. Never trains them.

use inkling_core::spec::ModelId;

use super::Host;
use crate::device::Engine;
use crate::train::{Trainer, checkpoint};

/// Pretrained networks of all models, once they were asked for.
#[derive(Default)]
pub struct Readers {
    /// They read too.
    together: bool,
    loaded: Option<Vec<Trainer>>,
}

impl Readers {
    /// Has them read too, or not. The first time they are brought and put on the engine's device; one whose weights cannot be
    /// had or used is left out, and so not among [`Readers::models`].
    pub async fn read_together(&mut self, together: bool, host: &impl Host, engine: &Engine) {
        if together && self.loaded.is_none() {
            self.loaded = Some(load(host, engine).await);
        }
        self.together = together;
    }

    /// Whether they read too.
    pub fn are_together(&self) -> bool {
        self.together
    }

    /// Another engine computes from now on: what was loaded lies on the device of the old one.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Those that read besides a network of the model at hand.
    pub fn others(&self, hand: ModelId) -> impl Iterator<Item = &Trainer> {
        let loaded = self.loaded.iter().flatten().filter(|_| self.together);
        loaded.filter(move |other| other.network().model() != hand)
    }

    /// The models of all that read, that of the network at hand first.
    pub fn models(&self, hand: ModelId) -> Vec<ModelId> {
        [hand].into_iter().chain(self.others(hand).map(|other| other.network().model())).collect()
    }
}

async fn load(host: &impl Host, engine: &Engine) -> Vec<Trainer> {
    let mut trainers = Vec::new();
    for &model in ModelId::ALL {
        if let Some(bytes) = host.pretrained(model).await {
            let arrays = checkpoint::load(&bytes).map(|checkpoint| checkpoint.arrays);
            let trainer = arrays.ok().and_then(|arrays| Trainer::from_arrays(model, &arrays, &engine.device).ok());
            trainers.extend(trainer);
        }
    }
    trainers
}
