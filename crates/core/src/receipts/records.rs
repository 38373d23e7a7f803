//! All that was recorded, in one file for the page.

use serde::{Deserialize, Serialize};

use super::{Ensemble, Receipt, ReceiptError};

/// Receipts of runs and of ensembles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Records {
    pub runs: Vec<Receipt>,
    pub ensembles: Vec<Ensemble>,
}

impl Records {
    /// The file that the page fetches: postcard, a tenth of the JSON.
    ///
    /// # Errors
    /// None that is known of: the format can write all that records hold.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ReceiptError> {
        postcard::to_stdvec(self).map_err(|error| ReceiptError::Records(error.to_string()))
    }

    /// The records of such a file.
    ///
    /// # Errors
    /// When the bytes are not a file of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReceiptError> {
        postcard::from_bytes(bytes).map_err(|error| ReceiptError::Records(error.to_string()))
    }
}
