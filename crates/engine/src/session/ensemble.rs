//! The other members of the ensemble: the pretrained networks of all models but the current one. Never trains them.

use inkling_core::spec::ModelId;

use super::Host;
use crate::device::Engine;
use crate::train::{Trainer, checkpoint};

/// The pretrained networks of all models, loaded when first needed.
#[derive(Default)]
pub struct Ensemble {
    /// Predictions include these networks.
    active: bool,
    /// `None` until first needed.
    loaded: Option<Vec<Trainer>>,
}

impl Ensemble {
    /// Activates or deactivates the ensemble. The first activation loads the networks onto the engine's device. A
    /// network whose weights are missing or unusable is left out, also from [`Ensemble::models`].
    pub async fn set_active(&mut self, active: bool, host: &impl Host, engine: &Engine) {
        if active && self.loaded.is_none() {
            self.loaded = Some(load(host, engine).await);
        }
        self.active = active;
    }

    /// Whether predictions include these networks.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Unloads all networks and deactivates the ensemble, when another engine opens: the networks are stored on the
    /// device of the old one.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The networks that predict besides a current network of this model; none while the ensemble is inactive.
    pub fn others(&self, current: ModelId) -> impl Iterator<Item = &Trainer> {
        let members = self.loaded.iter().flatten().filter(|_| self.active);
        members.filter(move |member| member.network().model() != current)
    }

    /// The models of all networks that predict, the current one first.
    pub fn models(&self, current: ModelId) -> Vec<ModelId> {
        [current].into_iter().chain(self.others(current).map(|member| member.network().model())).collect()
    }
}

/// Loads every pretrained network that can be loaded.
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
