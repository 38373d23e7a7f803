//! Loaded networks, and the ensemble that predicts together with the current one. Never trains.

use inkling_core::spec::{ModelId, Pretrained, Provenance};

use super::{Host, bad_weights};
use crate::device::Engine;
use crate::train::{Trainer, WeightsFile, weights_file};
use inkling_core::protocol::Fault;

/// A network, and the images that it has learned.
pub struct LoadedModel {
    /// The network.
    pub trainer: Trainer,
    /// `None` for an untrained network, and when its file does not say.
    pub provenance: Option<Provenance>,
}

impl LoadedModel {
    /// The network of a weights file on the engine's device, with its measured accuracy if it ships with the program.
    ///
    /// # Errors
    /// When the bytes are no weights file, or its arrays do not fit its model.
    pub fn from_file(bytes: &[u8], engine: &Engine) -> Result<(Self, Option<Pretrained>), Fault> {
        let WeightsFile { model, arrays, pretrained, provenance } = weights_file::load(bytes).map_err(bad_weights)?;
        let trainer = Trainer::from_arrays(model, &arrays, &engine.device).map_err(bad_weights)?;
        Ok((Self { trainer, provenance }, pretrained))
    }

    /// The model of the network.
    pub fn id(&self) -> ModelId {
        self.trainer.network().model()
    }
}

/// The networks that predict together with the current one.
#[derive(Default)]
pub struct Ensemble {
    /// Predictions include these networks.
    active: bool,
    members: Members,
}

/// Which networks they are.
#[derive(Default)]
enum Members {
    /// Not loaded yet.
    #[default]
    Unknown,
    /// The pretrained networks of all models. The one of the current network's model is left out.
    Pretrained(Vec<LoadedModel>),
    /// Networks that were given as files, besides the current one.
    Given(Vec<LoadedModel>),
}

impl Ensemble {
    /// Activates or deactivates the ensemble. The first activation loads the pretrained networks onto the engine's
    /// device. A network whose weights are missing or unusable is left out, also from [`Ensemble::models`].
    pub async fn set_active(&mut self, active: bool, host: &impl Host, engine: &Engine) {
        if active && matches!(self.members, Members::Unknown) {
            self.members = Members::Pretrained(load(host, engine).await);
        }
        self.active = active;
    }

    /// Activates an ensemble of given networks, besides the current one.
    pub fn set_given(&mut self, others: Vec<LoadedModel>) {
        *self = Self { active: true, members: Members::Given(others) };
    }

    /// The current network is replaced by one of another origin: given networks do not belong to that.
    pub fn on_model_replaced(&mut self) {
        if matches!(self.members, Members::Given(_)) {
            self.clear();
        }
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

    /// The networks that predict besides the current one; none while the ensemble is inactive.
    pub fn others(&self, current: &LoadedModel) -> impl Iterator<Item = &LoadedModel> {
        let (members, skipped): (&[_], _) = match &self.members {
            Members::Unknown => (&[], None),
            Members::Pretrained(members) => (members, Some(current.id())),
            Members::Given(members) => (members, None),
        };
        members.iter().filter(|_| self.active).filter(move |member| Some(member.id()) != skipped)
    }

    /// The models of all networks that predict, the current one first.
    pub fn models(&self, current: &LoadedModel) -> Vec<ModelId> {
        [current].into_iter().chain(self.others(current)).map(LoadedModel::id).collect()
    }
}

/// Loads every pretrained network that can be loaded.
async fn load(host: &impl Host, engine: &Engine) -> Vec<LoadedModel> {
    let mut networks = Vec::new();
    for &model in ModelId::ALL {
        if let Some(bytes) = host.pretrained(model).await {
            networks.extend(LoadedModel::from_file(&bytes, engine).ok().map(|(network, _)| network));
        }
    }
    networks
}
