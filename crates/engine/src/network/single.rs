//! One op of a network by itself: what comes out of given numbers, and what goes back from a given gradient.
//!
//! So engines are compared kernel by kernel, where nothing but rounding can tell them apart. Over a whole network a
//! rectifier within rounding of 0 can turn the other way, and everything behind it differs visibly on engines that are
//! both right.

use burn::tensor::Device;
#[cfg(test)]
use inkling_core::models::Conv;
use inkling_core::models::{self, Layer, Shape};
use inkling_kernels::Dropout;

use super::arrays::{Slot, slots};
use super::cpu;
use super::dropout::Dropouts;
use super::plan::{self, Cursor, LINEAR, Op};

/// A dense layer of more weights is tried with fewer units: its kernels are the same, and a gigabyte is saved.
const MOST_WEIGHTS: usize = 1 << 21;
/// Units then: not a multiple of what one invocation computes.
const FEWER_UNITS: usize = 44;

/// An op, with what beside it decides how it is computed.
#[derive(Clone, Debug)]
pub struct Single {
    /// The layer's name, as its arrays have it.
    pub name: String,
    /// The op's own trained arrays, in the network's order.
    pub slots: Vec<Slot>,
    /// Images.
    pub n: usize,
    /// What a dropout layer drops.
    pub dropout: Option<Dropout>,
    /// The op among its neighbours: a pool does the way back through the rectifier before it.
    pub(super) ops: Vec<Op>,
    pub(super) at: usize,
    pub(super) input: Shape,
    /// Images have lost their rows and columns before it.
    pub(super) flat: bool,
    /// No array is trained before it: its input needs no gradient.
    pub first: bool,
}

/// What goes into an op and what comes back to it. Rows are `[n, numbers of an image]`.
#[derive(Clone, Debug)]
pub struct Given {
    pub input: Vec<f32>,
    pub arrays: Vec<Vec<f32>>,
    /// Of the output.
    pub gradient: Vec<f32>,
    /// The output, whose signs decide about rectifiers on the way back: on engines that are compared these must not
    /// differ. `None` takes the op's own.
    pub output: Option<Vec<f32>>,
}

/// What an op came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub output: Vec<f32>,
    /// Mean and variance of the images, of a normalisation.
    pub statistics: Vec<Vec<f32>>,
    /// Of each of the op's arrays.
    pub gradients: Vec<Vec<f32>>,
    /// Of the input.
    pub input_gradient: Option<Vec<f32>>,
}

impl Single {
    /// Every op of these layers, for so many images.
    pub fn all(layers: &[Layer], n: usize, dropouts: &mut Dropouts) -> Vec<Self> {
        let ops = plan::ops(layers);
        let slots = slots(layers);
        // Rectifiers belong to the op before them.
        let is_op = |(layer, _): &(&Layer, String)| !matches!(layer, Layer::Relu | Layer::LeakyRelu(_));
        let names = layers.iter().zip(models::names(layers)).filter(is_op).map(|(_, name)| name);
        let (mut input, mut cursor) = (Shape::IMAGE, Cursor { parameter: 0, statistic: 0 });
        let mut single = |(at, name): (usize, String)| {
            let (from, to) = (at.saturating_sub(1), ops.len().min(at + 2));
            let single = Self {
                name,
                slots: slots[cursor.parameter..cursor.parameter + ops[at].n_arrays().0].to_vec(),
                n,
                dropout: if let Op::Dropout(rate) = ops[at] { dropouts.next(rate) } else { None },
                ops: ops[from..to].to_vec(),
                at: at - from,
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
        if let Op::Dense { inputs, units, .. } = &mut self.ops[self.at]
            && *inputs * *units > MOST_WEIGHTS
        {
            *units = FEWER_UNITS;
            self.slots.iter_mut().for_each(|slot| slot.shape[0] = FEWER_UNITS);
        }
        self
    }

    /// Whether it multiplies numbers with weights: a convolution or a dense layer.
    pub fn is_product(&self) -> bool {
        matches!(self.ops[self.at], Op::Conv { .. } | Op::Dense { .. })
    }

    /// The same with rectifiers that let everything pass.
    pub fn linear(mut self) -> Self {
        for op in &mut self.ops {
            if let Op::Conv { rectifier, .. } | Op::Dense { rectifier, .. } = op {
                rectifier.slope = LINEAR;
            }
        }
        self
    }

    pub(super) fn op(&self) -> &Op {
        &self.ops[self.at]
    }

    pub fn input(&self) -> Shape {
        self.input
    }

    pub fn output(&self) -> Shape {
        self.op().output(self.input)
    }

    /// What of the op's work adds up many numbers.
    pub fn kind(&self) -> Kind {
        let (input, output) = (self.input, self.output());
        match self.op() {
            Op::Conv { conv, .. } => Kind::Sums {
                forward: input.channels * conv.kernel * conv.kernel,
                weights: self.n * output.height * output.width,
                back: output.channels * conv.kernel * conv.kernel,
            },
            Op::Dense { inputs, units, .. } => Kind::Sums { forward: *inputs, weights: self.n, back: *units },
            Op::Norm { rectified } => Kind::Norm { slope_before: rectified.slope_before() },
            _ => Kind::Moves,
        }
    }

    /// The convolution it is, if it is one or a dense layer: what plain kernels compute to be compared with.
    #[cfg(test)]
    pub fn sums(&self) -> Option<Sums> {
        let in_pool = matches!(self.ops.get(self.at + 1), Some(Op::Pool { .. }));
        let (conv, rectifier) = match self.op() {
            Op::Conv { conv, rectifier, .. } => (*conv, rectifier),
            Op::Dense { units, rectifier, .. } => (Conv::valid(*units, 1), rectifier),
            _ => return None,
        };
        let slope_back = if rectifier.back_in_norm || in_pool { LINEAR } else { rectifier.slope };
        Some(Sums { conv, slope: rectifier.slope, slope_back })
    }

    /// Runs the op in training mode on a device, forward and back.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn run(&self, given: &Given, device: &Device) -> Result<Outcome, burn::tensor::ExecutionError> {
        #[cfg(feature = "gpu")]
        if *device != Device::flex() {
            return super::gpu::run_single(self, given, device).await;
        }
        debug_assert_eq!(*device, Device::flex(), "this program was built for the CPU alone");
        Ok(cpu::run_single(self, given))
    }
}

/// A convolution; a dense layer is one of a single pixel.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    pub conv: Conv,
    /// Of the rectifier on the way forward.
    pub slope: f32,
    /// Of what of it the op does itself on the way back.
    pub slope_back: f32,
}

/// How an op computes, which says what rounding can do to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Sums of products: how many go into each number.
    Sums { forward: usize, weights: usize, back: usize },
    /// A normalisation, whose input came out of a rectifier with this slope (1 for none).
    Norm { slope_before: f32 },
    /// Every number comes from one other.
    Moves,
}
