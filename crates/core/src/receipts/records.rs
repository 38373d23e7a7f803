//! All receipts in one file, which the page fetches. It never opens that file itself.

use serde::{Deserialize, Serialize};

use super::{Ensemble, Receipt, ReceiptError};

/// Receipts of runs and of ensembles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Records {
    /// Receipts of runs.
    pub runs: Vec<Receipt>,
    /// Receipts of ensembles.
    pub ensembles: Vec<Ensemble>,
}

impl Records {
    /// Encodes the records as the file that the page fetches: postcard, a tenth of the size of the JSON.
    ///
    /// # Errors
    /// [`ReceiptError::Records`] when postcard cannot encode a value. Records hold no such value.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ReceiptError> {
        postcard::to_stdvec(self).map_err(|error| ReceiptError::Records(error.to_string()))
    }

    /// Decodes the file of [`Records::to_bytes`].
    ///
    /// # Errors
    /// [`ReceiptError::Records`] when the bytes are not a file of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReceiptError> {
        postcard::from_bytes(bytes).map_err(|error| ReceiptError::Records(error.to_string()))
    }
}
