//! Files of weights: what they hold, and where it comes from. It never predicts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use inkling_core::receipts::EnsembleMember;
use inkling_core::spec::{ModelId, Provenance};
use inkling_engine::train::{WeightsFile, weights_file};

/// A weights file that was read and checked.
pub struct WeightsInput {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// The model of its network.
    pub model: ModelId,
    /// SHA-256 of the weights, as receipts name them.
    pub sha256: String,
    /// The images that the network learned; `None` if the file does not say.
    pub provenance: Option<Provenance>,
}

impl WeightsInput {
    /// Reads a weights file.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self> {
        let named = || format!("cannot use the weights {}", path.display());
        let bytes = fs::read(path).with_context(|| format!("{}: give a file that `inkling train` saved", named()))?;
        let WeightsFile { model, arrays, provenance, .. } = weights_file::load(&bytes).with_context(named)?;
        Ok(Self { sha256: weights_file::sha256(model, &arrays), bytes, model, provenance })
    }

    /// Reads several weights files.
    ///
    /// # Errors
    /// When one cannot be read, or is none.
    pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// Its entry in the receipt of an ensemble.
    pub fn member(&self) -> EnsembleMember {
        EnsembleMember { model: self.model, sha256: self.sha256.clone() }
    }
}
