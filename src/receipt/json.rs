//! Receipts as JSON.

use super::{Receipt, ReceiptError};

impl Receipt {
    /// The receipt as indented JSON, after a check.
    ///
    /// # Errors
    /// When its parts contradict one another, or a figure is not a number.
    pub fn to_json(&self) -> Result<String, ReceiptError> {
        self.check()?;
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|error| ReceiptError::Json(error.to_string()))
    }

    /// A receipt from its JSON, checked.
    ///
    /// # Errors
    /// What is missing or wrong, with line and column; or which parts contradict one another.
    pub fn from_json(text: &str) -> Result<Self, ReceiptError> {
        let receipt: Self = serde_json::from_str(text).map_err(|error| ReceiptError::Json(error.to_string()))?;
        receipt.check()?;
        Ok(receipt)
    }
}
