//! The arrays of a network: names and shapes, initial values, and transfers to and from a device.

use burn::tensor::{Device, ExecutionError, Tensor, TensorData, Transaction};
use inkling_core::models::{self, Layer, Role, Shape};
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

/// A named array of numbers on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Layer and role, such as `conv2d_1.kernel`.
    pub name: String,
    /// `[filters, channels, height, width]` for a convolution's kernel, `[units, inputs]` for a dense layer's, the inputs
    /// in the order channel, row, column; `[channels]` for the rest.
    pub shape: Vec<usize>,
    /// The numbers, row by row.
    pub values: Vec<f32>,
}

/// Weights that do not fit a network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// An array of the network is not there.
    #[error("the weights hold no tensor {name:?}; they are of another network")]
    Missing {
        /// The array's name.
        name: String,
    },
    /// An array has another shape.
    #[error(
        "tensor {name:?} has shape {found:?}, but the network wants {expected:?}; the weights are of another network"
    )]
    Shape {
        /// The array's name.
        name: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// The shape of the weights.
        found: Vec<usize>,
    },
    /// An array that the network does not have.
    #[error("the weights hold a tensor {name:?} that the network has no place for; they are of another network")]
    Surplus {
        /// The array's name.
        name: String,
    },
    /// An array holds infinities or what is not a number.
    #[error("tensor {name:?} holds a value that is not a finite number; the weights are damaged")]
    NotFinite {
        /// The array's name.
        name: String,
    },
}

/// Name, role and shape of an array of the network.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Layer and role, such as `conv2d_1.kernel`.
    pub name: String,
    /// What the array is to its layer.
    pub role: Role,
    /// As [`Array::shape`].
    pub shape: Vec<usize>,
    /// Whether the optimizer trains it; the others are running statistics.
    pub trained: bool,
}

impl Slot {
    /// Count of the array's numbers.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The arrays of these layers: the trained ones first, then the running statistics, each in the order of the layers.
pub fn slots(layers: &[Layer]) -> Vec<Slot> {
    let names = models::names(layers);
    let of_layer = |((layer, input), name): ((Layer, Shape), &String)| {
        let slot = |(role, shape): (Role, Vec<usize>), trained| Slot {
            name: format!("{name}.{}", role.name()),
            role,
            shape,
            trained,
        };
        let trained = layer.parameters(input).into_iter().map(|array| slot(array, true));
        let statistics = layer.statistics(input).into_iter().map(|array| slot(array, false));
        trained.chain(statistics).collect::<Vec<_>>()
    };
    let all = models::with_inputs(layers).zip(&names).flat_map(of_layer);
    let (trained, statistics): (Vec<_>, Vec<_>) = all.partition(|slot| slot.trained);
    trained.into_iter().chain(statistics).collect()
}

/// Keras's initial values: Glorot-uniform kernels, gamma and variance 1, everything else 0.
pub fn initial(slot: &Slot, random: &mut Pcg64Mcg) -> Array {
    let n = slot.size();
    let values = match (slot.role, slot.shape.as_slice()) {
        (Role::Kernel, [outputs, inputs, window @ ..]) => {
            let area: usize = window.iter().product();
            let limit = (6.0 / ((inputs + outputs) * area) as f64).sqrt();
            (0..n).map(|_| random.random_range(-limit..limit) as f32).collect()
        }
        (Role::Gamma | Role::MovingVariance, _) => vec![1.0; n],
        (Role::Kernel | Role::Bias | Role::Beta | Role::MovingMean, _) => vec![0.0; n],
    };
    Array { name: slot.name.clone(), shape: slot.shape.clone(), values }
}

/// Reads arrays back from the device, in one transfer; each with its slot.
///
/// # Errors
/// When the device has failed.
pub async fn download<'a>(
    slots: &[Slot],
    tensors: impl Iterator<Item = &'a Tensor<1>>,
) -> Result<Vec<Array>, ExecutionError> {
    let register = |t: Transaction, tensor: &Tensor<1>| t.register(tensor.clone());
    let datas = tensors.fold(Transaction::default(), register).execute_async().await?;
    let array = |(slot, data): (&Slot, TensorData)| Array {
        name: slot.name.clone(),
        shape: slot.shape.clone(),
        values: data.iter::<f32>().collect(),
    };
    Ok(slots.iter().zip(datas).map(array).collect())
}

/// Checks the array of a slot and uploads it to a device.
///
/// # Errors
/// When it is missing, of the wrong shape, or not finite.
pub fn upload(slot: &Slot, arrays: &[Array], device: &Device) -> Result<Tensor<1>, WeightsError> {
    let name = slot.name.clone();
    let Some(array) = arrays.iter().find(|array| array.name == name) else {
        return Err(WeightsError::Missing { name });
    };
    if array.shape != slot.shape || array.values.len() != slot.size() {
        return Err(WeightsError::Shape { name, expected: slot.shape.clone(), found: array.shape.clone() });
    }
    if array.values.iter().any(|value| !value.is_finite()) {
        return Err(WeightsError::NotFinite { name });
    }
    let data = TensorData::new(array.values.clone(), [array.values.len()]);
    Ok(Tensor::from_data(data, device))
}
