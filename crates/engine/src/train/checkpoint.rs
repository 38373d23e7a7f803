//! Weights as safetensors, which any other tool reads too. Bytes in, bytes out; files are the caller's business.

use std::collections::HashMap;

use inkling_core::spec::{ModelId, Pretrained};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::network::{Array, WeightsError};

/// What the scales of an 8-bit tensor are called, behind its own name.
const SCALE: &str = ".scale";
/// Where the header says what the weights are worth: JSON is the header's own language.
const PRETRAINED: [&str; 3] = ["test_accuracy", "test_images", "epochs"];

/// Weights that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("this is not a safetensors file, or its header is damaged ({0}); save the weights again")]
    Header(safetensors::SafeTensorError),
    #[error("the file does not say which model it belongs to; it must hold `model` in its metadata")]
    NoModel,
    #[error(transparent)]
    Model(#[from] inkling_core::spec::UnknownId),
    #[error("tensor {name:?} holds {found:?} numbers, but only 32-bit floats and scaled 8-bit numbers are read")]
    Type { name: String, found: Dtype },
    #[error("tensor {name:?} has no {name}{SCALE} of one float a row beside it; the file is damaged")]
    Scale { name: String },
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// What a file of weights holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub model: ModelId,
    pub arrays: Vec<Array>,
    /// What the weights were measured to be worth, when they came with the program.
    pub pretrained: Option<Pretrained>,
}

/// A tensor as it is stored.
pub(super) struct Stored {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    pub(super) fn of(array: &Array) -> Self {
        Self::floats(array.name.clone(), array.shape.clone(), &array.values)
    }

    fn floats(name: String, shape: Vec<usize>, values: &[f32]) -> Self {
        Self { name, dtype: Dtype::F32, shape, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }
}

/// Writes a model's arrays, bit by bit as they are.
pub fn save(model: ModelId, arrays: &[Array]) -> Vec<u8> {
    write(model, arrays.iter().map(Stored::of).collect(), HashMap::new())
}

/// Writes a model's arrays in a quarter of the space: kernels as 8-bit numbers with a scale for each filter or unit.
/// With them what they were measured to be worth in this very form ([`load`] of what this gives).
pub fn pack(model: ModelId, arrays: &[Array], pretrained: &Pretrained) -> Vec<u8> {
    let stored = arrays.iter().flat_map(|array| match array.shape.as_slice() {
        [rows, _, ..] => quantized(array, *rows),
        _ => vec![Stored::of(array)],
    });
    let Pretrained { test_accuracy, test_images, epochs } = pretrained;
    let facts = [test_accuracy.to_string(), test_images.to_string(), epochs.to_string()];
    write(model, stored.collect(), PRETRAINED.map(String::from).into_iter().zip(facts).collect())
}

fn quantized(array: &Array, rows: usize) -> Vec<Stored> {
    let (mut bytes, mut scales) = (vec![], vec![]);
    for row in array.values.chunks_exact(array.values.len() / rows) {
        let greatest = row.iter().fold(0.0f32, |greatest, value| greatest.max(value.abs()));
        let scale = greatest.max(f32::MIN_POSITIVE) / 127.0;
        scales.push(scale);
        bytes.extend(row.iter().map(|value| (value / scale).round() as i8 as u8));
    }
    let weights = Stored { name: array.name.clone(), dtype: Dtype::I8, shape: array.shape.clone(), bytes };
    vec![weights, Stored::floats(format!("{}{SCALE}", array.name), vec![rows], &scales)]
}

pub(super) fn write(model: ModelId, stored: Vec<Stored>, mut metadata: HashMap<String, String>) -> Vec<u8> {
    metadata.insert("model".into(), model.id().into());
    let mut views = Vec::with_capacity(stored.len());
    for stored in &stored {
        let view = TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes);
        views.push((stored.name.as_str(), view.expect("an array is as long as its shape")));
    }
    safetensors::serialize(views, Some(metadata)).expect("views of our own are valid")
}

/// Reads a model's arrays. Whether they fit the model, [`crate::network::Network::from_arrays`] tells.
///
/// # Errors
/// When the header is damaged, the model unknown, or a tensor not of a type that is read.
pub fn load(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(CheckpointError::Header)?;
    let file = SafeTensors::deserialize(bytes).map_err(CheckpointError::Header)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let model = metadata.get("model").ok_or(CheckpointError::NoModel)?.parse()?;
    let names = file.names().into_iter().filter(|name| !name.ends_with(SCALE));
    let arrays = names.map(|name| array(&file, name)).collect::<Result<_, _>>()?;
    Ok(Checkpoint { model, arrays, pretrained: pretrained(&metadata) })
}

fn pretrained(metadata: &HashMap<String, String>) -> Option<Pretrained> {
    let [test_accuracy, test_images, epochs] = PRETRAINED.map(|key| metadata.get(key));
    Some(Pretrained {
        test_accuracy: test_accuracy?.parse().ok()?,
        test_images: test_images?.parse().ok()?,
        epochs: epochs?.parse().ok()?,
    })
}

fn array(file: &SafeTensors, name: &str) -> Result<Array, CheckpointError> {
    let view = file.tensor(name).map_err(CheckpointError::Header)?;
    let shape = view.shape().to_vec();
    let values = match view.dtype() {
        Dtype::F32 => floats(view.data()),
        Dtype::I8 => scaled(&view, file.tensor(&format!("{name}{SCALE}")).ok(), name)?,
        found => return Err(CheckpointError::Type { name: name.into(), found }),
    };
    Ok(Array { name: name.into(), shape, values })
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect()
}

fn scaled(view: &TensorView, scales: Option<TensorView>, name: &str) -> Result<Vec<f32>, CheckpointError> {
    let rows = view.shape().first().copied().unwrap_or(0);
    let fits = |scales: &TensorView| scales.dtype() == Dtype::F32 && scales.shape() == [rows] && rows > 0;
    let scales = scales.filter(fits).ok_or_else(|| CheckpointError::Scale { name: name.into() })?;
    let row_len = (view.data().len() / rows).max(1);
    let rows = view.data().chunks_exact(row_len).zip(floats(scales.data()));
    Ok(rows.flat_map(|(row, scale)| row.iter().map(move |byte| f32::from(*byte as i8) * scale)).collect())
}
