//! Placeholders for `resident` and `recorded` in a program without graphics cards. They are never used.

use std::convert::Infallible;

use burn::tensor::{Device, Tensor};
use inkling_core::data::Split;

use super::{BatchMetrics, Trainer};
use crate::batch::BatchPlan;
use crate::network::DropoutKey;

/// The images on a graphics card; has no value.
pub struct Resident(Infallible);

/// The recorded steps: none.
#[derive(Default)]
pub struct Recorder {}

impl Resident {
    /// Always `None`.
    pub fn of(_: &Split, _: usize, _: &Device) -> Option<Self> {
        None
    }

    /// Never called.
    pub fn augmented(&self, _: &BatchPlan) -> Tensor<4> {
        match self.0 {}
    }
}

/// Never called.
pub fn step(
    trainer: &mut Trainer,
    resident: &Resident,
    _: (&Split, &BatchPlan<'_>),
    _: f64,
    _: DropoutKey,
) -> BatchMetrics {
    let Recorder {} = trainer.recorder;
    match resident.0 {}
}
