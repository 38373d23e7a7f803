//! Weights files: the weights of a model in the safetensors format, which other tools read too. Converts from and to
//! bytes; never opens a file.

use std::collections::HashMap;

use inkling_core::receipts;
use inkling_core::spec::{ModelId, Pretrained, Provenance};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::network::{Array, WeightsError};

/// The suffix that names the tensor of an 8-bit tensor's scales.
const SCALE: &str = ".scale";
/// The metadata keys of [`Pretrained`]. Metadata values are strings.
const PRETRAINED: [&str; 3] = ["test_accuracy", "test_images", "epochs"];

/// The metadata keys of [`Provenance`].
const PROVENANCE: [&str; 5] = ["dataset", "split", "split_seed", "seed", "build"];

/// Why a weights file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WeightsFileError {
    /// The bytes are not a complete safetensors file.
    #[error("this is not a safetensors file, or its header is damaged ({0}); save the weights again")]
    Header(safetensors::SafeTensorError),
    /// The metadata does not name the model.
    #[error("the file does not say which model it belongs to; it must hold `model` in its metadata")]
    NoModel,
    /// The metadata names an unknown model.
    #[error(transparent)]
    Model(#[from] inkling_core::spec::UnknownId),
    /// A tensor is of a type other than F32 and I8.
    #[error("tensor {name:?} holds {found:?} numbers, but only 32-bit floats and scaled 8-bit numbers are read")]
    Type {
        /// Name of the tensor.
        name: String,
        /// Its type.
        found: Dtype,
    },
    /// An 8-bit tensor has no matching tensor of scales.
    #[error("tensor {name:?} has no {name}{SCALE} of one float a row beside it; the file is damaged")]
    Scale {
        /// Name of the 8-bit tensor.
        name: String,
    },
    /// The arrays do not fit the model.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// The contents of a weights file.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightsFile {
    /// The model that the weights belong to.
    pub model: ModelId,
    /// All arrays in the file, in no particular order.
    pub arrays: Vec<Array>,
    /// The measured accuracy of the weights, if they ship with the program.
    pub pretrained: Option<Pretrained>,
    /// The images that the network has learned; `None` if the file does not say.
    pub provenance: Option<Provenance>,
}

/// A tensor in the file.
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

/// Writes the arrays of a model without loss, as 32-bit floats.
///
/// # Panics
/// When an array does not have as many values as its shape says.
pub fn save(model: ModelId, arrays: &[Array], provenance: Option<&Provenance>) -> Vec<u8> {
    write(model, arrays.iter().map(Stored::of).collect(), provenance_metadata(provenance))
}

/// The SHA-256 of a network, in lowercase hexadecimal: that of its file without [`Provenance`]. Equal weights have equal
/// sums, whichever program trained them.
pub fn sha256(model: ModelId, arrays: &[Array]) -> String {
    receipts::sha256(&save(model, arrays, None))
}

/// Writes the arrays of a model in a quarter of the space: kernels as 8-bit numbers with a scale for each filter or
/// unit, all other arrays as 32-bit floats. `pretrained` states the accuracy of the quantized weights, as [`load`]
/// returns them, once it is measured.
///
/// # Panics
/// When an array does not have as many values as its shape says, or a kernel is empty.
pub fn pack(
    model: ModelId,
    arrays: &[Array],
    pretrained: Option<&Pretrained>,
    provenance: Option<&Provenance>,
) -> Vec<u8> {
    let stored = arrays.iter().flat_map(|array| match array.shape.as_slice() {
        [rows, _, ..] => quantized(array, *rows),
        _ => vec![Stored::of(array)],
    });
    let mut metadata = provenance_metadata(provenance);
    if let Some(Pretrained { test_accuracy, test_images, epochs }) = pretrained {
        let values = [test_accuracy.to_string(), test_images.to_string(), epochs.to_string()];
        metadata.extend(PRETRAINED.map(String::from).into_iter().zip(values));
    }
    write(model, stored.collect(), metadata)
}

/// Quantizes each row symmetrically to -127..=127; returns the 8-bit tensor and its scales, one per row.
fn quantized(array: &Array, rows: usize) -> Vec<Stored> {
    let (mut bytes, mut scales) = (vec![], vec![]);
    for row in array.values.chunks_exact(array.values.len() / rows) {
        let max_abs = row.iter().fold(0.0f32, |max_abs, value| max_abs.max(value.abs()));
        // A row of zeros must not divide by zero.
        let scale = max_abs.max(f32::MIN_POSITIVE) / 127.0;
        scales.push(scale);
        bytes.extend(row.iter().map(|value| (value / scale).round() as i8 as u8));
    }
    let quantized = Stored { name: array.name.clone(), dtype: Dtype::I8, shape: array.shape.clone(), bytes };
    vec![quantized, Stored::floats(format!("{}{SCALE}", array.name), vec![rows], &scales)]
}

/// Writes a safetensors file, with the model among its metadata.
pub(super) fn write(model: ModelId, stored: Vec<Stored>, mut metadata: HashMap<String, String>) -> Vec<u8> {
    metadata.insert("model".into(), model.id().into());
    let mut views = Vec::with_capacity(stored.len());
    for stored in &stored {
        let view = TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes);
        views.push((stored.name.as_str(), view.expect("an array is as long as its shape")));
    }
    safetensors::serialize(views, Some(metadata)).expect("views of our own are valid")
}

/// Reads a weights file from [`save`] or [`pack`]. Does not check that the arrays fit the model:
/// [`crate::network::Network::from_arrays`] does.
///
/// # Errors
/// When the file is damaged, its model missing or unknown, a tensor of an unsupported type, or an 8-bit tensor without
/// scales.
pub fn load(bytes: &[u8]) -> Result<WeightsFile, WeightsFileError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(WeightsFileError::Header)?;
    let file = SafeTensors::deserialize(bytes).map_err(WeightsFileError::Header)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let model = metadata.get("model").ok_or(WeightsFileError::NoModel)?.parse()?;
    let names = file.names().into_iter().filter(|name| !name.ends_with(SCALE));
    let arrays = names.map(|name| array(&file, name)).collect::<Result<_, _>>()?;
    Ok(WeightsFile { model, arrays, pretrained: pretrained(&metadata), provenance: provenance(&metadata) })
}

fn pretrained(metadata: &HashMap<String, String>) -> Option<Pretrained> {
    let [test_accuracy, test_images, epochs] = PRETRAINED.map(|key| metadata.get(key));
    Some(Pretrained {
        test_accuracy: test_accuracy?.parse().ok()?,
        test_images: test_images?.parse().ok()?,
        epochs: epochs?.parse().ok()?,
    })
}

fn provenance_metadata(provenance: Option<&Provenance>) -> HashMap<String, String> {
    let Some(Provenance { dataset, split, split_seed, seed, build }) = provenance else { return HashMap::new() };
    let values = [dataset.to_string(), split.to_string(), split_seed.to_string(), seed.to_string(), build.clone()];
    PROVENANCE.map(String::from).into_iter().zip(values).collect()
}

fn provenance(metadata: &HashMap<String, String>) -> Option<Provenance> {
    let [dataset, split, split_seed, seed, build] = PROVENANCE.map(|key| metadata.get(key));
    Some(Provenance {
        dataset: dataset?.parse().ok()?,
        split: split?.parse().ok()?,
        split_seed: split_seed?.parse().ok()?,
        seed: seed?.parse().ok()?,
        build: build?.clone(),
    })
}

fn array(file: &SafeTensors, name: &str) -> Result<Array, WeightsFileError> {
    let view = file.tensor(name).map_err(WeightsFileError::Header)?;
    let shape = view.shape().to_vec();
    let values = match view.dtype() {
        Dtype::F32 => floats(view.data()),
        Dtype::I8 => dequantized(&view, file.tensor(&format!("{name}{SCALE}")).ok(), name)?,
        found => return Err(WeightsFileError::Type { name: name.into(), found }),
    };
    Ok(Array { name: name.into(), shape, values })
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect()
}

/// Dequantizes an 8-bit tensor with the scales of its rows.
fn dequantized(view: &TensorView, scales: Option<TensorView>, name: &str) -> Result<Vec<f32>, WeightsFileError> {
    let rows = view.shape().first().copied().unwrap_or(0);
    let fits = |scales: &TensorView| scales.dtype() == Dtype::F32 && scales.shape() == [rows] && rows > 0;
    let scales = scales.filter(fits).ok_or_else(|| WeightsFileError::Scale { name: name.into() })?;
    let row_len = (view.data().len() / rows).max(1);
    let rows = view.data().chunks_exact(row_len).zip(floats(scales.data()));
    Ok(rows.flat_map(|(row, scale)| row.iter().map(move |byte| f32::from(*byte as i8) * scale)).collect())
}
