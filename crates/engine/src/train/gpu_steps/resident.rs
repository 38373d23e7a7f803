//! The images of a split on a graphics card, which augments them itself. Never reads them back.

use std::rc::Rc;

use burn::tensor::{Device, Tensor};
use inkling_core::data::Split;
use inkling_core::data::augment::Augmentation;
use inkling_core::spec::{IMAGE_PIXELS, IMAGE_SIDE};
use inkling_shaders::{Array, Images};

use crate::batch::BatchPlan;
use crate::network::{GpuContext, is_gpu};

/// The bytes that every card can bind at once: the smallest `maxStorageBufferBindingSize` that WebGPU permits. That is
/// 171,196 images; the batches of a larger split are uploaded one by one.
const MAX_BYTES: usize = 128 << 20;

/// The images of a split on a graphics card, one byte per pixel.
pub struct Resident {
    context: GpuContext,
    images: Rc<Images>,
}

impl Resident {
    /// Uploads the first `n` images of a split. `None` if the device is the CPU or the images are more than
    /// [`MAX_BYTES`].
    pub fn of(split: &Split, n: usize, device: &Device) -> Option<Self> {
        let bytes = &split.images[..n.min(split.len()) * IMAGE_PIXELS];
        if !is_gpu(device) || bytes.len() > MAX_BYTES {
            return None;
        }
        let context = GpuContext::on(device);
        let images = Images::upload(&context.gpu, bytes, IMAGE_SIDE).into();
        Some(Self { context, images })
    }

    /// The augmented images of a plan, `[n, 1, 28, 28]`.
    ///
    /// # Panics
    /// When an index of the plan is not below the number of images on the card.
    pub fn augmented(&self, plan: &BatchPlan) -> Tensor<4> {
        self.augmented_by(&self.context.gpu.upload(&self.rows(plan)), plan.indices.len())
    }

    /// The plan as the rows of [`Resident::augmented_by`]: for each image of the batch its index and the numbers of its
    /// augmentation.
    ///
    /// # Panics
    /// When an index of the plan is not below the number of images on the card.
    pub fn rows(&self, plan: &BatchPlan) -> Vec<f32> {
        assert!(plan.indices.iter().all(|index| *index < self.images.len()), "the card holds these images");
        let augmentations = plan.augmentations.iter().chain(std::iter::repeat(const { &Augmentation::none() }));
        // A float represents every integer below 2²⁴ exactly, and there are fewer images.
        let images = plan.indices.iter().map(|index| *index as f32).zip(augmentations);
        images.flat_map(|(index, augmentation)| std::iter::once(index).chain(augmentation.numbers())).collect()
    }

    /// The augmented images `[n, 1, 28, 28]` of a plan whose [`Resident::rows`] are stored on the card.
    pub fn augmented_by(&self, rows: &Array, n: usize) -> Tensor<4> {
        let augmented = self.images.augmented(&self.context.gpu, rows, n);
        self.context.tensor(augmented).reshape([n, 1, IMAGE_SIDE, IMAGE_SIDE])
    }

    /// The GPU context, and the images.
    pub fn context_and_images(&self) -> (&GpuContext, &Rc<Images>) {
        (&self.context, &self.images)
    }
}
