//! Converts receipts to and from JSON. It never writes or accepts a receipt that fails its check.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Ensemble, Receipt, ReceiptError, Records};

impl Receipt {
    /// Checks the receipt and formats it as indented JSON.
    ///
    /// # Errors
    /// When [`Receipt::check`] fails.
    pub fn to_json(&self) -> Result<String, ReceiptError> {
        self.check()?;
        write(self)
    }

    /// Parses the JSON of a receipt and checks it.
    ///
    /// # Errors
    /// [`ReceiptError::Json`] with line and column when the text does not parse; otherwise as [`Receipt::check`].
    pub fn from_json(text: &str) -> Result<Self, ReceiptError> {
        let mut receipt: Self = read(text)?;
        let value: serde_json::Value = read(text)?;
        if value["spec"].get("split_seed").is_none() {
            // Before the split had a seed of its own, the run's seed was its.
            receipt.spec.split_seed = receipt.seed;
        }
        receipt.check()?;
        Ok(receipt)
    }
}

impl Ensemble {
    /// Checks the receipt and formats it as indented JSON.
    ///
    /// # Errors
    /// When [`Ensemble::check`] fails.
    pub fn to_json(&self) -> Result<String, ReceiptError> {
        self.check()?;
        write(self)
    }

    /// Parses the JSON of the receipt of an ensemble and checks it.
    ///
    /// # Errors
    /// [`ReceiptError::Json`] with line and column when the text does not parse; otherwise as [`Ensemble::check`].
    pub fn from_json(text: &str) -> Result<Self, ReceiptError> {
        let ensemble: Self = read(text)?;
        ensemble.check()?;
        Ok(ensemble)
    }
}

impl Records {
    /// Parses and adds the JSON of a receipt, of a run or of an ensemble.
    ///
    /// # Errors
    /// As [`Receipt::from_json`].
    pub fn add(&mut self, text: &str) -> Result<(), ReceiptError> {
        let value: serde_json::Value = read(text)?;
        if value.get("members").is_some() {
            self.ensembles.push(Ensemble::from_json(text)?);
        } else {
            self.runs.push(Receipt::from_json(text)?);
        }
        Ok(())
    }
}

fn write(receipt: &impl Serialize) -> Result<String, ReceiptError> {
    serde_json::to_string_pretty(receipt).map(|text| text + "\n").map_err(|error| ReceiptError::Json(error.to_string()))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, ReceiptError> {
    serde_json::from_str(text).map_err(|error| ReceiptError::Json(error.to_string()))
}
