//! A network that computes: its layers, its arrays, and the walk from images to logits.
//!
//! Arrays are flat tensors without gradients; a training pass tracks copies of them. So the optimizer, snapshots and
//! running statistics all work on one plain list, and nothing changes behind anybody's back.

use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm, batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData, Transaction};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{Layer, Shape, layers, summary::names};
use crate::spec::{ModelId, N_CLASSES};

/// Keras's BatchNormalization: added to the variance.
const BATCH_NORM_EPSILON: f64 = 1e-3;
/// Keras's BatchNormalization: how much of the running statistics a step keeps.
const BATCH_NORM_KEPT: f64 = 0.99;
/// A share of the initial statistics below this is not worth removing: less than a float's own rounding in effect.
const NEGLIGIBLE: f64 = 1e-6;

/// A named array of numbers on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Layer and role, such as `conv2d_1.kernel`.
    pub name: String,
    /// `[filters, channels, height, width]` for kernels, `[channels]` for the rest.
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Weights that do not fit a network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    #[error("the weights hold no tensor {name:?}; they are of another network")]
    Missing { name: String },
    #[error(
        "tensor {name:?} has shape {found:?}, but the network wants {expected:?}; the weights are of another network"
    )]
    Shape { name: String, expected: Vec<usize>, found: Vec<usize> },
    #[error("the weights hold a tensor {name:?} that the network has no place for; they are of another network")]
    Surplus { name: String },
    #[error("tensor {name:?} holds a value that is not a finite number; the weights are damaged")]
    NotFinite { name: String },
}

/// What dropout draws from: the same seed drops the same units on every engine.
pub type Dropouts = Pcg64Mcg;

/// The result of a pass in training mode.
pub struct ForwardPass {
    /// `[batch, 10]`, tracked.
    pub logits: Tensor<2>,
    /// The tracked parameters the logits came from, in the network's order.
    pub parameters: Vec<Tensor<1>>,
    /// The running statistics after this batch, untracked, in the network's order.
    pub statistics: Vec<Tensor<1>>,
}

/// Name and shape of an array of the network.
#[derive(Clone, Debug)]
struct Slot {
    name: String,
    shape: Vec<usize>,
}

/// Layers with their arrays on a device.
#[derive(Clone)]
pub struct Network {
    model: ModelId,
    layers: Vec<Layer>,
    slots: Vec<Slot>,
    /// One flat tensor a trained array, in the order of the layers.
    parameters: Vec<Tensor<1>>,
    /// One flat tensor a running statistic, in the order of the layers.
    statistics: Vec<Tensor<1>>,
    /// How much of the running statistics is still their initial values (mean 0, variance 1): 1 at first.
    untrained_share: f64,
}

impl Network {
    /// A network with Keras's initial values: Glorot-uniform kernels, gamma and variance 1, beta and mean 0.
    pub fn new(model: ModelId, seed: u64, device: &Device) -> Self {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let initial = |slot: &Slot| Array {
            name: slot.name.clone(),
            shape: slot.shape.clone(),
            values: initial_values(slot, &mut random),
        };
        let arrays: Vec<_> = slots(&layers(model)).iter().map(initial).collect();
        let network = Self::from_arrays(model, &arrays, device);
        let network = network.expect("initial arrays have the network's own names and shapes");
        Self { untrained_share: 1.0, ..network }
    }

    /// A network with the given arrays, in any order.
    ///
    /// # Errors
    /// Names the first array that is missing, surplus, of the wrong shape or not finite.
    pub fn from_arrays(model: ModelId, arrays: &[Array], device: &Device) -> Result<Self, WeightsError> {
        let layers = layers(model);
        let slots = slots(&layers);
        if let Some(surplus) = arrays.iter().find(|array| slots.iter().all(|slot| slot.name != array.name)) {
            return Err(WeightsError::Surplus { name: surplus.name.clone() });
        }
        let n_parameters = layers_arrays(&layers).filter(|(_, _, trained)| *trained).count();
        let mut tensors = slots.iter().map(|slot| upload(slot, arrays, device)).collect::<Result<Vec<_>, _>>()?;
        let statistics = tensors.split_off(n_parameters);
        Ok(Self { model, layers, slots, parameters: tensors, statistics, untrained_share: 0.0 })
    }

    pub fn model(&self) -> ModelId {
        self.model
    }

    /// The trained arrays, flat, in the network's order.
    pub fn parameters(&self) -> &[Tensor<1>] {
        &self.parameters
    }

    /// Puts new values in the place of all trained arrays and running statistics, in the network's order.
    pub fn replace(&mut self, parameters: Vec<Tensor<1>>, statistics: Vec<Tensor<1>>) {
        debug_assert_eq!((parameters.len(), statistics.len()), (self.parameters.len(), self.statistics.len()));
        self.parameters = parameters;
        self.statistics = statistics;
        self.untrained_share *= BATCH_NORM_KEPT;
    }

    /// The running statistics without what is left of their initial values, which Keras's slow momentum keeps for
    /// hundreds of steps: with them a network that has learned for seconds already reads. Later it is the same.
    fn settled_statistics(&self) -> Vec<Tensor<1>> {
        let share = self.untrained_share;
        // Before the first step there is nothing else.
        if !(NEGLIGIBLE..1.0).contains(&share) {
            return self.statistics.clone();
        }
        let names = self.slots[self.parameters.len()..].iter().map(|slot| &slot.name);
        let settled = |(statistic, name): (&Tensor<1>, &String)| {
            let initial = if name.ends_with("moving_variance") { 1.0 } else { 0.0 };
            statistic.clone().sub_scalar(initial * share).div_scalar(1.0 - share)
        };
        self.statistics.iter().zip(names).map(settled).collect()
    }

    /// Numbers the network holds, running statistics included.
    pub fn n_numbers(&self) -> usize {
        self.slots.iter().map(|slot| slot.shape.iter().product::<usize>()).sum()
    }

    /// Reads every array back, in one transfer; the statistics as an evaluation uses them.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn arrays(&self) -> Result<Vec<Array>, burn::tensor::ExecutionError> {
        let read = |t: Transaction, tensor: &Tensor<1>| t.register(tensor.clone());
        let statistics = self.settled_statistics();
        let transaction = self.parameters.iter().chain(&statistics).fold(Transaction::default(), read);
        let datas = transaction.execute_async().await?;
        let array = |(slot, data): (&Slot, TensorData)| Array {
            name: slot.name.clone(),
            shape: slot.shape.clone(),
            values: data.iter::<f32>().collect(),
        };
        Ok(self.slots.iter().zip(datas).map(array).collect())
    }

    /// Logits in evaluation mode: running statistics, no dropout.
    ///
    /// # Shapes
    /// - `images`: `[batch, 1, 28, 28]`, 0 to 1
    /// - output: `[batch, 10]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let statistics = self.settled_statistics();
        let mut walk = Walk { parameters: &self.parameters, statistics: &statistics, training: None };
        walk.through(&self.layers, images)
    }

    /// Logits in training mode: the batch's own statistics, and dropout.
    ///
    /// # Shapes
    /// - `images`: `[batch, 1, 28, 28]`, 0 to 1, without gradients
    pub fn forward_train(&self, images: Tensor<4>, dropouts: &mut Dropouts) -> ForwardPass {
        let parameters: Vec<_> = self.parameters.iter().map(|p| p.clone().autodiff().require_grad()).collect();
        let training = Training { dropouts, statistics: vec![] };
        let mut walk = Walk { parameters: &parameters, statistics: &self.statistics, training: Some(training) };
        let logits = walk.through(&self.layers, images.autodiff());
        let statistics = walk.training.map(|training| training.statistics).unwrap_or_default();
        ForwardPass { logits, parameters, statistics }
    }
}

/// What only a pass in training mode has.
struct Training<'a> {
    dropouts: &'a mut Dropouts,
    /// The running statistics after this batch, as far as the walk has come.
    statistics: Vec<Tensor<1>>,
}

/// A walk through the layers, consuming arrays as it passes their layers.
struct Walk<'a> {
    parameters: &'a [Tensor<1>],
    statistics: &'a [Tensor<1>],
    training: Option<Training<'a>>,
}

impl Walk<'_> {
    fn through(&mut self, layers: &[Layer], images: Tensor<4>) -> Tensor<2> {
        let n = images.dims()[0];
        let logits = layers.iter().fold(images, |x, layer| self.pass(*layer, x));
        logits.reshape([n, N_CLASSES])
    }

    /// `[batch, channels, height, width]` in, the same kind of shape out.
    fn pass(&mut self, layer: Layer, x: Tensor<4>) -> Tensor<4> {
        let [n, channels, height, width] = x.dims();
        let input = Shape { channels, height, width };
        match layer {
            Layer::Conv { filters, kernel } => {
                let weight = self.parameter().reshape([filters, channels, kernel, kernel]);
                conv2d(x, weight, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1))
            }
            Layer::Relu => relu(x),
            Layer::BatchNorm => self.batch_norm(x),
            Layer::MaxPool => max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2])),
            Layer::Dropout(rate) => self.dropout(x, rate),
            Layer::Flatten => x.reshape([n, input.size(), 1, 1]),
        }
    }

    fn parameter(&mut self) -> Tensor<1> {
        let (first, rest) = self.parameters.split_first().expect("the network has an array for each of its layers");
        self.parameters = rest;
        first.clone()
    }

    fn statistic(&mut self) -> Tensor<1> {
        let (first, rest) = self.statistics.split_first().expect("the network has statistics for each BatchNorm");
        self.statistics = rest;
        first.clone()
    }

    fn batch_norm(&mut self, x: Tensor<4>) -> Tensor<4> {
        let (gamma, beta) = (self.parameter(), self.parameter());
        let (mean, variance) = (self.statistic(), self.statistic());
        let Some(training) = &mut self.training else {
            return batch_norm(x, gamma, beta, mean, variance, BATCH_NORM_EPSILON);
        };
        let of_batch = batch_norm_train(x, gamma, beta, BATCH_NORM_EPSILON);
        training.statistics.push(moved(mean, of_batch.mean));
        training.statistics.push(moved(variance, of_batch.variance));
        of_batch.output
    }

    /// The mask is drawn on the host and uploaded: engines then agree to the bit on what is dropped.
    fn dropout(&mut self, x: Tensor<4>, rate: f64) -> Tensor<4> {
        let Some(training) = self.training.as_mut().filter(|_| rate > 0.0) else { return x };
        let scale = (1.0 / (1.0 - rate)) as f32;
        let mut unit = || if training.dropouts.random::<f64>() < rate { 0.0 } else { scale };
        let mask: Vec<f32> = (0..x.shape().num_elements()).map(|_| unit()).collect();
        let mask = Tensor::<4>::from_data(TensorData::new(mask, x.shape()), &x.device());
        x.mul(mask)
    }
}

/// A running statistic after one more batch.
fn moved(running: Tensor<1>, batch: Tensor<1>) -> Tensor<1> {
    running.mul_scalar(BATCH_NORM_KEPT).add(batch.inner().mul_scalar(1.0 - BATCH_NORM_KEPT))
}

/// Every array of the layers with whether it is trained: first layer to last, each layer's trained arrays first.
fn layers_arrays(layers: &[Layer]) -> impl Iterator<Item = (String, Vec<usize>, bool)> {
    let mut input = Shape::IMAGE;
    let arrays = names(layers).into_iter().zip(layers).flat_map(move |(layer_name, layer)| {
        let trained = layer.parameters(input).into_iter().map(|(role, shape)| (role, shape, true));
        let moved = layer.statistics(input).into_iter().map(|(role, shape)| (role, shape, false));
        let named = trained.chain(moved).map(|(role, shape, trained)| (format!("{layer_name}.{role}"), shape, trained));
        let named: Vec<_> = named.collect();
        input = layer.output(input);
        named
    });
    arrays.collect::<Vec<_>>().into_iter()
}

/// Names and shapes: the trained arrays first, then the running statistics.
fn slots(layers: &[Layer]) -> Vec<Slot> {
    let (trained, moved): (Vec<_>, Vec<_>) = layers_arrays(layers).partition(|(_, _, trained)| *trained);
    trained.into_iter().chain(moved).map(|(name, shape, _)| Slot { name, shape }).collect()
}

fn upload(slot: &Slot, arrays: &[Array], device: &Device) -> Result<Tensor<1>, WeightsError> {
    let name = slot.name.clone();
    let Some(array) = arrays.iter().find(|array| array.name == name) else {
        return Err(WeightsError::Missing { name });
    };
    if array.shape != slot.shape || array.values.len() != slot.shape.iter().product::<usize>() {
        return Err(WeightsError::Shape { name, expected: slot.shape.clone(), found: array.shape.clone() });
    }
    if array.values.iter().any(|value| !value.is_finite()) {
        return Err(WeightsError::NotFinite { name });
    }
    let data = TensorData::new(array.values.clone(), [array.values.len()]);
    Ok(Tensor::from_data(data, device))
}

fn initial_values(slot: &Slot, random: &mut Pcg64Mcg) -> Vec<f32> {
    let n = slot.shape.iter().product();
    match (slot.name.rsplit('.').next(), slot.shape.as_slice()) {
        (Some("kernel"), [filters, channels, height, width]) => {
            let (fan_in, fan_out) = (channels * height * width, filters * height * width);
            let limit = (6.0 / (fan_in + fan_out) as f64).sqrt();
            (0..n).map(|_| random.random_range(-limit..limit) as f32).collect()
        }
        (Some("gamma" | "moving_variance"), _) => vec![1.0; n],
        _ => vec![0.0; n],
    }
}
