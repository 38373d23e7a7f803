//! One op of a network by itself: its output for given numbers, and its gradients for a given gradient.
//!
//! So engines are compared kernel by kernel, where nothing but rounding can tell them apart. Over a whole network a
//! rectifier within rounding of 0 can turn the other way, and everything behind it differs visibly on engines that are
//! both right.

use burn::tensor::{Device, ExecutionError, Tensor, Transaction};
#[cfg(test)]
use inkling_core::models::Conv;
use inkling_core::models::{self, Layer, Shape};
use inkling_kernels::Dropout;

use super::arrays::{Slot, slots};
use super::backend::backend;
use super::dropout::Dropouts;
use super::pass::{Context, Forward, Kernels};
use super::plan::{self, Cursor, LINEAR, Op};

/// A dense layer with more weights is run with fewer units: its kernels are the same, and a gigabyte is saved.
const MOST_WEIGHTS: usize = 1 << 21;
/// Units in that case: not a multiple of what one invocation computes.
const FEWER_UNITS: usize = 44;

/// An op, and what decides how it is computed.
#[derive(Clone, Debug)]
pub struct Single {
    /// The layer's name, as its arrays have it.
    pub name: String,
    /// The op's own trained arrays, in the network's order.
    pub slots: Vec<Slot>,
    /// Images in the batch.
    pub n: usize,
    /// The mask of a dropout layer.
    pub dropout: Option<Dropout>,
    op: Op,
    /// Shape of an image before the op.
    input: Shape,
    /// A flattening precedes the op: an image is one row.
    flat: bool,
    /// No array is trained before the op: its input needs no gradient.
    pub first: bool,
}

/// Inputs of an op and the gradient of its output. Rows are `[n, numbers of an image]`.
#[derive(Clone, Debug)]
pub struct Given {
    /// Rows before the op.
    pub input: Vec<f32>,
    /// The op's own arrays.
    pub arrays: Vec<Vec<f32>>,
    /// Gradient of the output.
    pub gradient: Vec<f32>,
    /// The output whose signs decide about rectifiers in the backward pass: they must not differ between engines that are
    /// compared. `None` takes the op's own.
    pub output: Option<Vec<f32>>,
}

/// Results of an op.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Rows after the op.
    pub output: Vec<f32>,
    /// Mean and variance of the batch, from a normalisation.
    pub statistics: Vec<Vec<f32>>,
    /// Gradients of the op's arrays.
    pub gradients: Vec<Vec<f32>>,
    /// Gradient of the input.
    pub input_gradient: Option<Vec<f32>>,
}

impl Single {
    /// Every op of these layers, for `n` images.
    pub fn all(layers: &[Layer], n: usize, dropouts: &mut Dropouts) -> Vec<Self> {
        let ops = plan::ops(layers);
        let slots = slots(layers);
        // Rectifiers belong to the op before them.
        let is_op = |(layer, _): &(&Layer, String)| !matches!(layer, Layer::Relu | Layer::LeakyRelu(_));
        let names = layers.iter().zip(models::names(layers)).filter(is_op).map(|(_, name)| name);
        let (mut input, mut cursor) = (Shape::IMAGE, Cursor::default());
        let mut single = |(at, name): (usize, String)| {
            let single = Self {
                name,
                slots: slots[cursor.parameter..cursor.parameter + ops[at].n_arrays().0].to_vec(),
                n,
                dropout: if let Op::Dropout(rate) = ops[at] { dropouts.next(rate) } else { None },
                op: ops[at],
                input,
                flat: ops[..at].iter().any(|op| matches!(op, Op::Flatten | Op::Dense { .. })),
                first: cursor.parameter == 0,
            };
            input = ops[at].output(input);
            cursor.pass(&ops[at]);
            single.with_fewer_units()
        };
        names.enumerate().map(&mut single).collect()
    }

    fn with_fewer_units(mut self) -> Self {
        if let Op::Dense { inputs, units, .. } = &mut self.op
            && *inputs * *units > MOST_WEIGHTS
        {
            *units = FEWER_UNITS;
            self.slots.iter_mut().for_each(|slot| slot.shape[0] = FEWER_UNITS);
        }
        self
    }

    /// Whether it multiplies numbers with weights: a convolution or a dense layer.
    pub fn is_product(&self) -> bool {
        matches!(self.op, Op::Conv { .. } | Op::Dense { .. })
    }

    /// The same without rectifiers.
    pub fn linear(mut self) -> Self {
        match &mut self.op {
            Op::Conv { rectifier, .. } | Op::Dense { rectifier, .. } => rectifier.slope = LINEAR,
            Op::Pool { slope, .. } => *slope = LINEAR,
            _ => {}
        }
        self
    }

    /// Shape of an image before the op.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Shape of an image after the op.
    pub fn output(&self) -> Shape {
        self.op.output(self.input)
    }

    /// How the op computes.
    pub fn kind(&self) -> Kind {
        let (input, output) = (self.input, self.output());
        match &self.op {
            Op::Conv { conv, .. } => Kind::Sums {
                forward: input.channels * conv.kernel * conv.kernel,
                weights: self.n * output.height * output.width,
                back: output.channels * conv.kernel * conv.kernel,
            },
            Op::Dense { inputs, units, .. } => Kind::Sums { forward: *inputs, weights: self.n, back: *units },
            Op::BatchNorm { rectified } => Kind::BatchNorm { slope_before: rectified.slope_before() },
            _ => Kind::Moves,
        }
    }

    /// The equivalent convolution of a convolution or dense layer, for plain kernels to compare with.
    #[cfg(test)]
    pub fn sums(&self) -> Option<Sums> {
        let (conv, rectifier) = match &self.op {
            Op::Conv { conv, rectifier, .. } => (*conv, rectifier),
            Op::Dense { units, rectifier, .. } => (Conv::valid(*units, 1), rectifier),
            _ => return None,
        };
        Some(Sums { conv, slope: rectifier.slope, slope_back: rectifier.own_backward_slope() })
    }

    /// Runs the op in training mode on a device, forward and back.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn run(&self, given: &Given, device: &Device) -> Result<Outcome, ExecutionError> {
        backend(device).run_single(self, given, device).await
    }
}

/// Kernels whose ops can be run one by one, from numbers on the host.
pub trait SingleKernels: Kernels {
    /// Rows, one an image of this shape, in the kernels' layout; `flat` as it is behind a flattening.
    fn upload(&self, rows: &[f32], n: usize, shape: Shape, flat: bool) -> Self::Value;
    /// An array of these numbers.
    fn upload_array(&self, values: &[f32]) -> Self::Array;
    /// A value as a tensor to be read back.
    fn as_tensor(&self, value: &Self::Value) -> Tensor<1>;
    /// The numbers of such a tensor of `n` images as rows.
    fn rows(&self, values: Vec<f32>, n: usize) -> Vec<f32>;
}

/// Runs an op in training mode, forward and backward, and reads all of it in one transfer.
///
/// # Errors
/// When the device has failed.
pub(super) async fn run<K: SingleKernels>(
    kernels: &K,
    single: &Single,
    given: &Given,
) -> Result<Outcome, ExecutionError> {
    let Single { op, n, input: shape, flat, first, .. } = *single;
    let output_is_flat = flat || matches!(op, Op::Flatten | Op::Dense { .. });
    let upload = |rows: &[f32]| kernels.upload(rows, n, single.output(), output_is_flat);
    let arrays: Vec<K::Array> = given.arrays.iter().map(|values| kernels.upload_array(values)).collect();
    let mask = single.dropout.map(|dropout| {
        let [first, second] = dropout.key;
        kernels.mask(dropout, kernels.mask_key([first, second, dropout.first_image]))
    });
    let x = kernels.upload(&given.input, n, shape, flat);
    let Forward { output, input, saved } = kernels.forward(&op, shape, x, &arrays, mask);
    let mut results = vec![kernels.as_tensor(&output)];
    let statistics = kernels.statistics(&saved).into_iter().flatten().map(|array| kernels.tensor(array));
    results.extend(statistics);
    let n_statistics = results.len() - 1;
    let decisive = given.output.as_ref().map_or(output, |output| upload(output));
    let context = Context {
        input: input.as_ref(),
        output: &decisive,
        saved: &saved,
        arrays: &arrays,
        shape,
        needs_input_gradient: !first,
    };
    let (gradients, of_input) = kernels.backward(&op, &context, upload(&given.gradient));
    let n_gradients = gradients.len();
    results.extend(gradients.into_iter().map(|array| kernels.tensor(array)));
    results.extend(of_input.filter(|_| !first).map(|of_input| kernels.as_tensor(&of_input)));
    let register = |transaction: Transaction, tensor: Tensor<1>| transaction.register(tensor);
    let read = results.into_iter().fold(Transaction::default(), register).execute_async().await?;
    let mut read = read.iter().map(|data| data.iter::<f32>().collect::<Vec<f32>>());
    Ok(Outcome {
        output: read.next().map(|output| kernels.rows(output, n)).unwrap_or_default(),
        statistics: read.by_ref().take(n_statistics).collect(),
        gradients: read.by_ref().take(n_gradients).collect(),
        input_gradient: read.next().map(|of_input| kernels.rows(of_input, n)),
    })
}

/// A convolution; a dense layer is one of a single pixel.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    /// The convolution.
    pub conv: Conv,
    /// Slope of the rectifier in the forward pass.
    pub slope: f32,
    /// Slope that the op's own backward pass applies.
    pub slope_back: f32,
}

/// How an op computes; it decides how large rounding errors can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Sums of products.
    Sums {
        /// Products in each number of the output.
        forward: usize,
        /// Products in each number of the kernel's gradient.
        weights: usize,
        /// Products in each number of the input's gradient.
        back: usize,
    },
    /// A normalisation.
    BatchNorm {
        /// Slope of the rectifier before it; 1 if there is none.
        slope_before: f32,
    },
    /// Every number is computed from one other.
    Moves,
}
