//! Receipts as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Ensemble, Receipt, ReceiptError, Records};

impl Receipt {
    /// The receipt as indented JSON, after a check.
    ///
    /// # Errors
    /// When its parts contradict one another, or a figure is not a number.
    pub fn to_json(&self) -> Result<String, ReceiptError> {
        self.check()?;
        write(self)
    }

    /// A receipt from its JSON, checked.
    ///
    /// # Errors
    /// What is missing or wrong, with line and column; or which parts contradict one another.
    pub fn from_json(text: &str) -> Result<Self, ReceiptError> {
        let receipt: Self = read(text)?;
        receipt.check()?;
        Ok(receipt)
    }
}

impl Ensemble {
    /// The receipt of an ensemble as indented JSON, after a check.
    ///
    /// # Errors
    /// As [`Receipt::to_json`].
    pub fn to_json(&self) -> Result<String, ReceiptError> {
        self.check()?;
        write(self)
    }

    /// The receipt of an ensemble from its JSON, checked.
    ///
    /// # Errors
    /// As [`Receipt::from_json`].
    pub fn from_json(text: &str) -> Result<Self, ReceiptError> {
        let ensemble: Self = read(text)?;
        ensemble.check()?;
        Ok(ensemble)
    }
}

impl Records {
    /// Takes in the JSON of a receipt, of a run or of an ensemble.
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
