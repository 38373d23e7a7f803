//! Messages as bytes, and back: postcard, which unlike JSON keeps a NaN loss a NaN.

use serde::{Deserialize, Serialize};

/// A message that is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message between page and worker could not be read ({0}); reload the page")]
pub struct DecodeError(String);

/// One message as bytes.
pub fn encode<M: Serialize>(message: &M) -> Vec<u8> {
    postcard::to_stdvec(message).expect("our messages hold no type that postcard lacks")
}

/// One message from bytes.
///
/// # Errors
/// When the bytes are not exactly one such message.
pub fn decode<'a, M: Deserialize<'a>>(bytes: &'a [u8]) -> Result<M, DecodeError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(DecodeError(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(DecodeError(error.to_string())),
    }
}
