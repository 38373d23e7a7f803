//! The current network and the ensemble: how they are loaded, and how they predict. Never trains.

use inkling_core::data::shift;
use inkling_core::evaluation;
use inkling_core::protocol::{Event, Fault, NetworkReport, RunState};
use inkling_core::spec::{IMAGE_PIXELS, ModelId, Prediction, Pretrained, Recipe, TrainSpec};

use super::ensemble::LoadedModel;
use super::training_run::device_failed;
use super::{Host, Reply, Session, bad_weights, no_engine};
use crate::network::Array;
use crate::train::{Trainer, weights_file};

impl<H: Host> Session<H> {
    /// The arrays of the current network, with its model.
    ///
    /// # Errors
    /// When there is no network yet, or the device has failed.
    pub async fn weights(&self) -> Result<(ModelId, Vec<Array>), Fault> {
        let model = self.model.as_ref().ok_or_else(no_engine)?;
        let arrays = model.trainer.network().arrays().await.map_err(device_failed)?;
        Ok((model.id(), arrays))
    }

    /// The current network as the bytes of a weights file, which says what the network has learned.
    ///
    /// # Errors
    /// When there is no network yet, or the device has failed.
    pub async fn weights_file(&self) -> Result<Vec<u8>, Fault> {
        let (model, arrays) = self.weights().await?;
        let provenance = self.model.as_ref().and_then(|model| model.provenance.as_ref());
        Ok(weights_file::save(model, &arrays, provenance))
    }

    /// Replaces the current network by the pretrained one of a model, or by an untrained one when none ships.
    pub(super) async fn load_model(&mut self, model: ModelId, reply: &Reply<H>) -> Result<(), Fault> {
        self.end_run(reply).await;
        let before = self.run_state;
        self.enter(RunState::Loading, reply);
        self.compile_for(model, reply).await?;
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let (network, pretrained) = match self.host.pretrained(model).await {
            Some(bytes) => LoadedModel::from_file(&bytes, engine)?,
            None => {
                let trainer = Trainer::new(model, TrainSpec::of(model).seed, &engine.device);
                (LoadedModel { trainer, provenance: None }, None)
            }
        };
        if network.id() != model {
            return Err(bad_weights(format!("they are of {}, not of {model}", network.id())));
        }
        emit_loaded(&network, pretrained, reply);
        self.model = Some(network);
        self.ensemble.on_model_replaced();
        self.emit_ensemble(reply);
        self.enter(if before == RunState::Finished { before } else { RunState::Ready }, reply);
        Ok(())
    }

    /// Replaces the current network and the ensemble by those of weights files.
    pub(super) async fn load_weights(&mut self, files: &[Vec<u8>], reply: &Reply<H>) -> Result<(), Fault> {
        self.end_run(reply).await;
        self.enter(RunState::Loading, reply);
        let mut networks = Vec::new();
        for (number, bytes) in files.iter().enumerate() {
            let named = |fault: Fault| Fault {
                what: format!("File {}: {}", number + 1, fault.what),
                remedy: "Give a file that Inkling saved.".into(),
                ..fault
            };
            let engine = self.engine.as_ref().ok_or_else(no_engine)?;
            let (network, pretrained) = LoadedModel::from_file(bytes, engine).map_err(named)?;
            self.compile_for(network.id(), reply).await?;
            emit_loaded(&network, pretrained, reply);
            networks.push(network);
        }
        if networks.is_empty() {
            return Err(Fault::new("No weights were given", "Give a file that Inkling saved."));
        }
        self.model = Some(networks.remove(0));
        self.ensemble.set_given(networks);
        self.emit_ensemble(reply);
        self.enter(RunState::Ready, reply);
        Ok(())
    }

    /// Compiles and tests the shaders of a model, on a graphics card.
    async fn compile_for(&self, model: ModelId, reply: &Reply<H>) -> Result<(), Fault> {
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        engine.prepare(model, &Recipe::of(model), |progress| reply.emit(Event::Progress(progress))).await
    }

    /// Turns prediction with the other networks on or off.
    pub(super) async fn set_ensemble(&mut self, active: bool, reply: &Reply<H>) -> Result<(), Fault> {
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let model = self.model.as_ref().ok_or_else(no_engine)?;
        self.ensemble.set_active(active, &**reply, engine).await;
        reply.emit(Event::EnsembleChanged(self.ensemble.models(model)));
        Ok(())
    }

    /// Emits the models of an active ensemble, after the current network changed.
    pub(super) fn emit_ensemble(&self, reply: &Reply<H>) {
        if let Some(model) = self.model.as_ref().filter(|_| self.ensemble.is_active()) {
            reply.emit(Event::EnsembleChanged(self.ensemble.models(model)));
        }
    }

    /// Answers [`Command::Predict`](inkling_core::protocol::Command::Predict).
    pub(super) async fn predict(&self, pixels: &[u8], shifts: bool, reply: &Reply<H>) -> Result<(), Fault> {
        if pixels.is_empty() || !pixels.len().is_multiple_of(IMAGE_PIXELS) {
            let what = format!("Images of {} bytes came where {IMAGE_PIXELS} for each were expected", pixels.len());
            return Err(Fault::new(what, "Reload the page."));
        }
        reply.emit(Event::Predicted(self.predictions(pixels, shifts, true).await?));
        Ok(())
    }

    /// The mean prediction of the current network for each image: with `shifts`, also over the image shifted by one
    /// pixel to each of the four sides; with `ensemble`, also over the other networks of an active ensemble.
    pub(super) async fn predictions(
        &self,
        pixels: &[u8],
        shifts: bool,
        ensemble: bool,
    ) -> Result<Vec<Prediction>, Fault> {
        let model = self.model.as_ref().ok_or_else(no_engine)?;
        let networks: Vec<_> = [model].into_iter().chain(self.ensemble.others(model).filter(|_| ensemble)).collect();
        let mut predictions = vec![];
        for by in if shifts { &shift::AROUND[..] } else { &shift::AROUND[..1] } {
            let pixels = shift::shifted(pixels, *by);
            for network in &networks {
                predictions.push(network.trainer.predict(&pixels).await.map_err(device_failed)?);
            }
        }
        let of_image = |image: usize| predictions.iter().map(|batch| batch[image].clone()).collect::<Vec<_>>();
        Ok((0..pixels.len() / IMAGE_PIXELS).map(|image| evaluation::ensemble(&of_image(image))).collect())
    }
}

fn emit_loaded(network: &LoadedModel, pretrained: Option<Pretrained>, reply: &Reply<impl Host>) {
    let (model, parameters) = (network.id(), network.trainer.network().n_numbers());
    let provenance = network.provenance.clone();
    reply.emit(Event::ModelLoaded(NetworkReport { model, parameters, pretrained, provenance }));
}
