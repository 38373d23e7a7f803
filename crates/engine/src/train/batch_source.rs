//! The source of a run's batches. A graphics card stores all images of a split and augments them itself, so that a step
//! uploads only a few numbers per image. On the CPU, a batch is gathered from the split. Never decides which images
//! form a batch: the batch plan does.

use std::cell::OnceCell;

use burn::tensor::Device;
use inkling_core::data::Split;

use super::gpu_steps::Resident;
use crate::batch::{Batch, BatchPlan, HostBatch};

/// The images of a split on a graphics card, uploaded when first needed. `None` inside when the card does not store
/// them.
pub type ImageCache = OnceCell<Option<Resident>>;

/// A split, with its images on the graphics card if one trains.
#[derive(Clone, Copy)]
pub struct BatchSource<'a> {
    /// The images on the host.
    pub split: &'a Split,
    resident: Option<&'a Resident>,
}

impl<'a> BatchSource<'a> {
    /// The first `n` images of a split on this device. A cache must be used with one split, one `n` and one device
    /// only.
    pub fn of(cache: &'a ImageCache, split: &'a Split, n: usize, device: &Device) -> Self {
        Self { split, resident: cache.get_or_init(|| Resident::of(split, n, device)).as_ref() }
    }

    /// The images on the graphics card; `None` when they are on the host only.
    pub fn resident(&self) -> Option<&'a Resident> {
        self.resident
    }

    /// The augmented images and the targets of a step, on the device.
    ///
    /// # Panics
    /// When an index of the plan is not below the number of images.
    pub fn batch(&self, plan: &BatchPlan, device: &Device) -> Batch {
        match self.resident.map(|resident| resident.augmented(plan)) {
            Some(images) => Batch { images, targets: plan.targets(self.split, device) },
            None => self.gather(plan).upload(device),
        }
    }

    /// The augmented images of a step, on the host.
    ///
    /// # Panics
    /// When an index of the plan is not below the number of images.
    pub fn gather(&self, plan: &BatchPlan) -> HostBatch {
        HostBatch::of(self.split, plan)
    }
}
