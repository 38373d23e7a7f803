//! How a batch is arranged in memory, and conversions between arrangements. Computes nothing but sums over channels.

use crate::Isa;
use crate::isa::{Kernel, Simd};
use crate::threads::{self, Shared};

/// The memory layout of a batch of images. Its unit is a vector of `lanes` images, one vector per pixel of each
/// channel.
///
/// The sizes are checked once, when a layout is made, and never change: in a slice that is as long as the layout, every
/// vector of every channel is in bounds, and vectors of different blocks or channels do not overlap. Kernels rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockedLayout {
    /// The instruction set whose number of lanes is the number of images in a block.
    pub(crate) isa: Isa,
    /// Number of images in the batch.
    n: usize,
    /// Number of channels; of features in a flat layout.
    channels: usize,
    /// Pixels in a channel (rows × columns); 1 in a flat layout.
    pixels: usize,
    /// Distance between consecutive blocks, in floats.
    pub(crate) block_stride: usize,
    /// Distance between consecutive channels, in floats.
    pub(crate) channel_stride: usize,
}

impl BlockedLayout {
    /// The layout `[block][channel][pixel][lane]`, for everything that has rows and columns.
    ///
    /// # Panics
    /// If `pixels` is 0, or the layout has more floats than a `usize` counts.
    pub fn blocked(isa: Isa, n: usize, channels: usize, pixels: usize) -> Self {
        Self::checked(isa, n, channels, pixels).expect("a layout has pixels, and fits in memory")
    }

    /// [`BlockedLayout::blocked`]; `None` where that panics.
    pub(crate) fn checked(isa: Isa, n: usize, channels: usize, pixels: usize) -> Option<Self> {
        let channel_stride = pixels.checked_mul(isa.lanes()).filter(|stride| *stride > 0)?;
        let block_stride = channels.checked_mul(channel_stride)?;
        n.div_ceil(isa.lanes()).checked_mul(block_stride)?;
        Some(Self { isa, n, channels, pixels, block_stride, channel_stride })
    }

    /// The layout `[feature][image]`, for dense layers. The number of images is padded to a multiple of the lanes.
    ///
    /// # Panics
    /// If the layout has more floats than a `usize` counts.
    pub fn flat(isa: Isa, n: usize, features: usize) -> Self {
        let channel_stride = n.checked_next_multiple_of(isa.lanes()).filter(|n| n.checked_mul(features).is_some());
        let channel_stride = channel_stride.expect("a layout fits in memory");
        Self { isa, n, channels: features, pixels: 1, block_stride: isa.lanes(), channel_stride }
    }

    /// Number of images in the batch.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of channels; of features in a flat layout.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Pixels in a channel (rows × columns); 1 in a flat layout.
    pub fn pixels(&self) -> usize {
        self.pixels
    }

    /// Whether a block's channels follow each other, as they do in [`BlockedLayout::blocked`].
    pub(crate) fn is_blocked(&self) -> bool {
        self.block_stride == self.features() * self.isa.lanes()
    }

    /// Number of values in an image: channels × pixels.
    pub fn features(&self) -> usize {
        self.channels * self.pixels
    }

    /// Number of blocks: vectors that a pixel of the whole batch takes.
    pub fn n_blocks(&self) -> usize {
        self.n.div_ceil(self.isa.lanes())
    }

    /// Length of a slice in this layout, in floats, with spare lanes.
    pub fn len(&self) -> usize {
        self.n_blocks() * self.isa.lanes() * self.channels * self.pixels
    }

    /// Whether the layout holds no floats.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of images in the last block if that block has spare lanes; 0 if the last block is full.
    pub(crate) fn n_in_partial_block(&self) -> usize {
        self.n % self.isa.lanes()
    }

    /// Index of an image's first pixel in a channel.
    fn offset(&self, image: usize, channel: usize) -> usize {
        let lanes = self.isa.lanes();
        image / lanes * self.block_stride + channel * self.channel_stride + image % lanes
    }

    /// Copies `rows`, `[image][channel][pixel]`, into this layout. Spare lanes are set to 0.
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn scatter(&self, rows: &[f32], to: &mut [f32]) {
        assert_eq!((rows.len(), to.len()), (self.n * self.channels * self.pixels, self.len()));
        if self.n_in_partial_block() > 0 {
            to.fill(0.0);
        }
        let to = Shared::new(to);
        let lanes = self.isa.lanes();
        threads::each(self.n_blocks(), |block| {
            for image in block * lanes..self.n.min((block + 1) * lanes) {
                for channel in 0..self.channels {
                    let from = &rows[(image * self.channels + channel) * self.pixels..][..self.pixels];
                    let to = to.at(self.offset(image, channel), (self.pixels - 1) * lanes + 1);
                    for (pixel, value) in from.iter().enumerate() {
                        // SAFETY: `at` checked that all pixels are in bounds. They are in this block, which only this
                        // task writes.
                        unsafe { *to.add(pixel * lanes) = *value };
                    }
                }
            }
        });
    }

    /// Copies `from`, in this layout, to `rows`, `[image][channel][pixel]`. Spare lanes are dropped.
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn gather(&self, from: &[f32], rows: &mut [f32]) {
        assert_eq!((rows.len(), from.len()), (self.n * self.channels * self.pixels, self.len()));
        let lanes = self.isa.lanes();
        for (row, to) in rows.chunks_exact_mut(self.pixels).enumerate() {
            let at = self.offset(row / self.channels, row % self.channels);
            to.iter_mut().enumerate().for_each(|(pixel, to)| *to = from[at + pixel * lanes]);
        }
    }

    /// Copies `from`, in this blocked layout, into the flat layout of the same values, and returns the flat layout.
    ///
    /// # Panics
    /// If a slice has the wrong length, or this layout is flat.
    pub fn flatten(&self, from: &[f32], to: &mut [f32]) -> Self {
        let flat = Self::flat(self.isa, self.n, self.channels * self.pixels);
        self.transpose_blocks(flat, from, to, false);
        flat
    }

    /// Copies `from`, in the flat layout that [`BlockedLayout::flatten`] returned, back into this blocked layout.
    ///
    /// # Panics
    /// If a slice has the wrong length, or this layout is flat.
    pub fn unflatten(&self, from: &[f32], to: &mut [f32]) {
        let flat = Self::flat(self.isa, self.n, self.channels * self.pixels);
        self.transpose_blocks(flat, from, to, true);
    }

    /// Copies every vector from this blocked layout to `flat`, or from `flat` to this one (`unflatten`).
    fn transpose_blocks(&self, flat: Self, from: &[f32], to: &mut [f32], unflatten: bool) {
        assert!(self.is_blocked(), "a flat layout cannot be flattened: {self:?}");
        assert_eq!((from.len(), to.len()), (self.len(), flat.len()));
        let (lanes, features) = (self.isa.lanes(), flat.channels);
        let to = Shared::new(to);
        threads::each(self.n_blocks(), |block| {
            for feature in 0..features {
                let (blocked, flat) =
                    (block * self.block_stride + feature * lanes, block * lanes + feature * flat.channel_stride);
                let (source, target) = if unflatten { (flat, blocked) } else { (blocked, flat) };
                // SAFETY: in both layouts only this task writes the vectors of this block; `part` checks the bounds.
                unsafe { to.part(target, lanes) }.copy_from_slice(&from[source..source + lanes]);
            }
        });
    }

    /// Sets the spare lanes of `values`, in this layout, to 0.
    ///
    /// # Panics
    /// If `values` has the wrong length.
    pub fn clear_spare(&self, values: &mut [f32]) {
        assert_eq!(values.len(), self.len());
        if self.n_in_partial_block() == 0 {
            return;
        }
        let lanes = self.isa.lanes();
        let last = (self.n_blocks() - 1) * self.block_stride;
        for channel in 0..self.channels {
            let at = last + channel * self.channel_stride;
            for vector in values[at..at + self.pixels * lanes].chunks_exact_mut(lanes) {
                vector[self.n_in_partial_block()..].fill(0.0);
            }
        }
    }

    /// For each lane of a block, 1 where it holds an image and 0 where it is spare. Only the first `lanes` elements
    /// count.
    pub(crate) fn mask(&self, block: usize) -> [f32; 16] {
        let used = if block + 1 == self.n_blocks() && self.n_in_partial_block() > 0 {
            self.n_in_partial_block()
        } else {
            self.isa.lanes()
        };
        std::array::from_fn(|lane| if lane < used { 1.0 } else { 0.0 })
    }

    /// Runs the kernel that `kernel` returns for each channel, in parallel.
    ///
    /// # Safety
    /// Every access of these kernels is in bounds, and what the kernel of one channel writes, no other one accesses.
    pub(crate) unsafe fn each_channel<K: Kernel>(&self, kernel: impl Fn(usize) -> K + Sync + Send) {
        // A task takes several channels, since a channel may be cheap: four tasks per thread.
        let group = (self.channels / (4 * threads::count())).max(1);
        threads::each(self.channels.div_ceil(group), |task| {
            for channel in task * group..self.channels.min((task + 1) * group) {
                // SAFETY: the caller guarantees that the accesses are in bounds and that channels do not overlap.
                unsafe { self.isa.run(kernel(channel)) };
            }
        });
    }

    /// Calls `visit(offset, mask)` for each vector of a channel: its offset in floats, and the mask of its block.
    ///
    /// # Safety
    /// The machine has the instructions of `S`, which are those of the layout, and `visit` may be called with every
    /// offset of the channel.
    #[inline(always)]
    pub(crate) unsafe fn visit<S: Simd>(&self, channel: usize, mut visit: impl FnMut(usize, S::V)) {
        for block in 0..self.n_blocks() {
            // SAFETY: the mask is as long as the widest register; the caller guarantees the instructions.
            let mask = unsafe { S::load(self.mask(block).as_ptr()) };
            let start = block * self.block_stride + channel * self.channel_stride;
            for pixel in 0..self.pixels {
                visit(start + pixel * S::LANES, mask);
            }
        }
    }

    /// `N` sums over a channel. `add(offset, mask, sums)` adds the vector at `offset` (in floats), whose block has this
    /// mask, to the sums of the current chunk of pixels. Chunks are added up in double precision, as sums over tens of
    /// thousands of values require: with single-precision totals, the gradients of a network with six normalisations
    /// were four times as far from the exact ones.
    ///
    /// # Safety
    /// The machine has the instructions of `S`, which are those of the layout, and `add` may be called with every offset
    /// of the channel.
    #[inline(always)]
    pub(crate) unsafe fn totals<S: Simd, const N: usize>(
        &self,
        channel: usize,
        mut add: impl FnMut(usize, S::V, &mut [S::V; N]),
    ) -> [f64; N] {
        /// Pixels that are summed in single precision before they are added to the total: the rounding error stays that
        /// of a short sum, and the cost is small.
        const CHUNK: usize = 32;
        let mut totals = [0.0; N];
        for block in 0..self.n_blocks() {
            let start = block * self.block_stride + channel * self.channel_stride;
            for first in (0..self.pixels).step_by(CHUNK) {
                // SAFETY: the mask is as long as the widest register; the caller guarantees the instructions.
                unsafe {
                    let mask = S::load(self.mask(block).as_ptr());
                    let mut sums = [S::zero(); N];
                    for pixel in first..self.pixels.min(first + CHUNK) {
                        add(start + pixel * S::LANES, mask, &mut sums);
                    }
                    for (total, sum) in totals.iter_mut().zip(sums) {
                        *total += f64::from(S::sum(sum));
                    }
                }
            }
        }
        totals
    }
}
