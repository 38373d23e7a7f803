//! What computes a network on one kind of device, as the network and the trainer call it. Which kind a device is, is asked here
//! alone.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use burn::tensor::{Device, ExecutionError, Tensor};
use inkling_core::spec::OptimizerId;

use super::plan::Op;
use super::single_op::{Given, Outcome, Single};
use super::{Dropouts, Pass, cpu};

/// Computes networks and trains them. Tensors in and out are stored on the backend's own device.
pub trait Backend {
    /// Logits `[batch, 10]` of images `[batch, 1, 28, 28]` in evaluation mode.
    fn evaluate(&self, ops: &[Op], parameters: &[Tensor<1>], statistics: &[Tensor<1>], images: Tensor<4>) -> Tensor<2>;

    /// A pass over images `[batch, 1, 28, 28]` in training mode.
    fn train(&self, ops: &Rc<[Op]>, parameters: &[Tensor<1>], images: Tensor<4>, dropouts: &mut Dropouts) -> Pass;

    /// Compares logits `[batch, 10]` with targets `[batch, 10]`.
    fn cross_entropy(&self, logits: Tensor<2>, targets: Tensor<2>) -> CrossEntropy;

    /// One step of an optimizer. The updated parameters and states come back in the same order; a backend may have
    /// changed them in place.
    fn optimize(&self, rule: UpdateRule, step: OptimizerStep, updates: Vec<Update>) -> Vec<Updated>;

    /// Moves running statistics towards those of a batch, both in the network's order: each is then
    /// `kept * running + (1 - kept) * batch`.
    fn move_statistics(&self, running: Vec<Tensor<1>>, batch: Vec<Tensor<1>>, kept: f64) -> Vec<Tensor<1>>;

    /// Whether a device of this backend multiplies matrices in tiles. Then the self-test tries the other kernels too.
    fn computes_in_tiles(&self, _: &Device) -> bool {
        false
    }

    /// Runs one op in training mode on a device of this backend, forward and backward.
    fn run_single<'a>(&'a self, single: &'a Single, given: &'a Given, device: &Device) -> SingleRun<'a>;
}

/// The outcome of one op, once the device has answered.
pub type SingleRun<'a> = Pin<Box<dyn Future<Output = Result<Outcome, ExecutionError>> + 'a>>;

/// What a batch's logits are worth.
pub struct CrossEntropy {
    /// Sum of the images' cross-entropies in nats, and count of the images classified correctly: `[2]`.
    pub sums: Tensor<1>,
    /// Of the mean cross-entropy with respect to the logits, `[batch, 10]`.
    pub gradient: Tensor<2>,
}

/// Keras's default betas of Adam, in double precision for the bias corrections.
pub const ADAM_BETAS: [f64; 2] = [0.9, 0.999];

/// How an optimizer turns a gradient into a change, with Keras's constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UpdateRule {
    /// Adam, and AdamW, which differs by its [`OptimizerStep`]. State: mean of gradients, mean of their squares.
    Adam {
        /// Share of the mean gradient that a step keeps.
        beta_1: f32,
        /// Share of the mean squared gradient that a step keeps.
        beta_2: f32,
        /// Added to the root.
        epsilon: f32,
    },
    /// Nesterov's momentum. State: velocity.
    Momentum {
        /// Share of the velocity that a step keeps.
        momentum: f32,
    },
    /// RMSprop. State: mean of squared gradients.
    RmsProp {
        /// Share of the mean that a step keeps.
        rho: f32,
        /// Added before the root.
        epsilon: f32,
    },
    /// Adadelta. State: mean of squared gradients, mean of squared changes.
    Adadelta {
        /// Share of the means that a step keeps.
        rho: f32,
        /// Added before the roots.
        epsilon: f32,
    },
}

impl UpdateRule {
    /// The rule of an optimizer.
    pub fn of(id: OptimizerId) -> Self {
        /// Keras's default for all of them.
        const EPSILON: f32 = 1e-7;
        match id {
            OptimizerId::Adam | OptimizerId::AdamW => {
                let [beta_1, beta_2] = ADAM_BETAS.map(|beta| beta as f32);
                Self::Adam { beta_1, beta_2, epsilon: EPSILON }
            }
            OptimizerId::Sgd => Self::Momentum { momentum: 0.9 },
            OptimizerId::RmsProp => Self::RmsProp { rho: 0.9, epsilon: EPSILON },
            OptimizerId::Adadelta => Self::Adadelta { rho: 0.95, epsilon: EPSILON },
        }
    }

    /// Count of the state's arrays beside each parameter.
    pub fn n_state(self) -> usize {
        match self {
            Self::Adam { .. } | Self::Adadelta { .. } => 2,
            Self::Momentum { .. } | Self::RmsProp { .. } => 1,
        }
    }
}

/// The numbers of one step, for an array that decays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerStep {
    /// The learning rate, with Adam's bias corrections.
    pub learning_rate: f64,
    /// The share of each number that is subtracted from it (decoupled weight decay, AdamW's).
    pub weight_decay: f64,
    /// This times each number is added to its gradient (plain weight decay).
    pub l2_penalty: f64,
}

impl OptimizerStep {
    /// The same without weight decay, unless the array decays.
    pub fn for_array(self, decays: bool) -> Self {
        if decays { self } else { Self { weight_decay: 0.0, l2_penalty: 0.0, ..self } }
    }
}

/// An array to be updated.
pub struct Update {
    /// Whether weight decay applies to it.
    pub decays: bool,
    /// Its numbers.
    pub parameter: Tensor<1>,
    /// Their gradient.
    pub gradient: Tensor<1>,
    /// [`UpdateRule::n_state`] arrays.
    pub state: Vec<Tensor<1>>,
}

/// An updated array with its state.
pub type Updated = (Tensor<1>, Vec<Tensor<1>>);

/// The backend of a device.
///
/// # Panics
/// In a program without the feature `gpu`, when the device is a graphics card.
pub fn backend(device: &Device) -> Rc<dyn Backend> {
    #[cfg(feature = "gpu")]
    if is_gpu(device) {
        return Rc::new(super::gpu::Gpu);
    }
    assert!(!is_gpu(device), "this program was built for the CPU alone");
    Rc::new(cpu::Cpu::new())
}

/// Whether a device is a graphics card.
pub fn is_gpu(device: &Device) -> bool {
    *device != Device::flex()
}
