//! Weights as safetensors, which any other tool reads too. Bytes in, bytes out; files are the caller's business.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::spec::ModelId;
use crate::zoo::{Array, WeightsError};

/// Weights that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("this is not a safetensors file, or its header is damaged ({0}); save the weights again")]
    Header(safetensors::SafeTensorError),
    #[error("the file does not say which model it belongs to; it must hold `model` in its metadata")]
    NoModel,
    #[error(transparent)]
    Model(#[from] crate::spec::UnknownId),
    #[error("tensor {name:?} holds {found:?} numbers, but only 32-bit floats are read")]
    Type { name: String, found: Dtype },
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Writes a model's arrays.
pub fn save(model: ModelId, arrays: &[Array]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = arrays.iter().map(|a| a.values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let view = |(array, bytes)| {
        let (array, bytes): (&Array, &Vec<u8>) = (array, bytes);
        let view = TensorView::new(Dtype::F32, array.shape.clone(), bytes).expect("an array is as long as its shape");
        (array.name.as_str(), view)
    };
    let metadata = HashMap::from([("model".to_owned(), model.id().to_owned())]);
    safetensors::serialize(arrays.iter().zip(&bytes).map(view), Some(metadata)).expect("views of our own are valid")
}

/// Reads a model's arrays. Whether they fit the model, [`crate::zoo::Network::from_arrays`] tells.
///
/// # Errors
/// When the header is damaged, the model unknown, or a tensor not of 32-bit floats.
pub fn load(bytes: &[u8]) -> Result<(ModelId, Vec<Array>), CheckpointError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(CheckpointError::Header)?;
    let file = SafeTensors::deserialize(bytes).map_err(CheckpointError::Header)?;
    let model = header.metadata().as_ref().and_then(|m| m.get("model")).ok_or(CheckpointError::NoModel)?.parse()?;
    let arrays = file.tensors().into_iter().map(|(name, view)| array(name, &view)).collect::<Result<_, _>>()?;
    Ok((model, arrays))
}

fn array(name: String, view: &TensorView) -> Result<Array, CheckpointError> {
    if view.dtype() != Dtype::F32 {
        return Err(CheckpointError::Type { name, found: view.dtype() });
    }
    let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    Ok(Array { name, shape: view.shape().to_vec(), values: view.data().chunks_exact(4).map(number).collect() })
}
