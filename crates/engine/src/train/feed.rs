//! Where the images of a run lie, and how a step gets its batch: a graphics card keeps them all and bends them itself, so
//! that a step sends it a few numbers an image; on the CPU they are gathered from their split.

use std::cell::OnceCell;

use burn::tensor::{Device, Tensor};
use inkling_core::data::Split;

use crate::batch::{Batch, Gathered, Picks};

/// Bytes that every card can bind at once: WebGPU's least `maxStorageBufferBindingSize`. That is 171,196 images; of more,
/// each batch is sent.
#[cfg(feature = "gpu")]
const MOST_BYTES: usize = 128 << 20;

/// The images of a split on a graphics card.
pub struct Resident {
    #[cfg(feature = "gpu")]
    card: crate::network::Card,
    #[cfg(feature = "gpu")]
    images: std::rc::Rc<inkling_shaders::Images>,
}

/// Keeps what is on the card, from the first time on that it is asked for.
pub type Shelf = OnceCell<Option<Resident>>;

/// A split, and its images on the device where they are needed there.
#[derive(Clone, Copy)]
pub struct Feed<'a> {
    pub split: &'a Split,
    resident: Option<&'a Resident>,
}

impl Resident {
    /// Puts the first `n` images of a split on a card, a byte a pixel; nothing where the device is the CPU, or where they
    /// are too many.
    fn of(split: &Split, n: usize, device: &Device) -> Option<Self> {
        #[cfg(feature = "gpu")]
        if *device != Device::flex() {
            use inkling_core::spec::{IMAGE_PIXELS, IMAGE_SIDE};
            let bytes = &split.images[..n.min(split.len()) * IMAGE_PIXELS];
            if bytes.len() > MOST_BYTES {
                return None;
            }
            let card = crate::network::Card::on(device);
            let images = inkling_shaders::Images::upload(&card.gpu, bytes, IMAGE_SIDE);
            return Some(Self { card, images: images.into() });
        }
        let _ = (split, n, device);
        None
    }

    /// Bent images `[n, 1, 28, 28]`; nothing in a program that knows no cards.
    ///
    /// # Panics
    /// When an index is not below the number of images there.
    #[cfg(feature = "gpu")]
    fn bent(&self, picks: &Picks) -> Option<Tensor<4>> {
        Some(self.bent_by(&self.card.gpu.upload(&self.rows(picks)), picks.indices.len()))
    }

    /// Which image each of the picks is, and how it is bent: the numbers of [`Resident::bent_by`].
    ///
    /// # Panics
    /// When an index is not below the number of images there.
    #[cfg(feature = "gpu")]
    pub fn rows(&self, picks: &Picks) -> Vec<f32> {
        use inkling_core::data::augment::Bend;
        assert!(picks.indices.iter().all(|index| *index < self.images.len()), "the card holds these images");
        let bends = picks.bends.iter().chain(std::iter::repeat(const { &Bend::none() }));
        // Below 2²⁴ a float names its image as exactly as an integer.
        let images = picks.indices.iter().map(|index| *index as f32).zip(bends);
        images.flat_map(|(index, bend)| std::iter::once(index).chain(bend.numbers())).collect()
    }

    /// Bent images `[n, 1, 28, 28]`, by rows that are on the card.
    #[cfg(feature = "gpu")]
    pub fn bent_by(&self, rows: &inkling_shaders::Array, n: usize) -> Tensor<4> {
        use inkling_core::spec::IMAGE_SIDE;
        self.card.tensor(self.images.bent(&self.card.gpu, rows, n)).reshape([n, 1, IMAGE_SIDE, IMAGE_SIDE])
    }

    /// The card, and the images on it.
    #[cfg(feature = "gpu")]
    pub fn place(&self) -> (&crate::network::Card, &std::rc::Rc<inkling_shaders::Images>) {
        (&self.card, &self.images)
    }

    #[cfg(not(feature = "gpu"))]
    fn bent(&self, _: &Picks) -> Option<Tensor<4>> {
        None
    }
}

impl<'a> Feed<'a> {
    /// The first `n` images of a split for this device; a shelf belongs to one split and one device.
    pub fn of(shelf: &'a Shelf, split: &'a Split, n: usize, device: &Device) -> Self {
        Self { split, resident: shelf.get_or_init(|| Resident::of(split, n, device)).as_ref() }
    }

    /// The images on the card, where they are.
    #[cfg(feature = "gpu")]
    pub fn resident(&self) -> Option<&'a Resident> {
        self.resident
    }

    /// The images of a step, on the device.
    ///
    /// # Panics
    /// When an index is not below the number of images.
    pub fn batch(&self, picks: &Picks, device: &Device) -> Batch {
        match self.resident.and_then(|resident| resident.bent(picks)) {
            Some(images) => Batch { images, targets: picks.targets(self.split, device) },
            None => self.gather(picks).upload(device),
        }
    }

    /// The images of a step, on the host.
    ///
    /// # Panics
    /// When an index is not below the number of images.
    pub fn gather(&self, picks: &Picks) -> Gathered {
        Gathered::of(self.split, picks)
    }
}
