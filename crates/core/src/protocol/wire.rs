//! Encodes messages as bytes and decodes them. The format is postcard, which, unlike JSON, keeps a NaN loss a NaN.

use serde::{Deserialize, Serialize};

/// Bytes that are not one valid message. The text says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message between page and worker could not be read ({0}); reload the page")]
pub struct DecodeError(String);

/// Encodes one message.
///
/// # Panics
/// When the message holds a type that postcard cannot encode. [`super::Command`] and [`super::Event`] hold none.
pub fn encode<M: Serialize>(message: &M) -> Vec<u8> {
    postcard::to_stdvec(message).expect("our messages hold no type that postcard lacks")
}

/// Decodes one message.
///
/// # Errors
/// When the bytes are not exactly one message of this type.
pub fn decode<'a, M: Deserialize<'a>>(bytes: &'a [u8]) -> Result<M, DecodeError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(DecodeError(format!("{} extra bytes", rest.len()))),
        Err(error) => Err(DecodeError(error.to_string())),
    }
}
