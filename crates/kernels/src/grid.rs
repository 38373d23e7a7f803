//! How a batch lies in memory.

use crate::Isa;
use crate::isa::{Kernel, Simd};
use crate::threads::{self, Shared};

/// The arrangement of a batch: vectors of `lanes` images, one for each pixel of each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub isa: Isa,
    /// Images.
    pub n: usize,
    pub channels: usize,
    /// Rows times columns.
    pub pixels: usize,
    /// From a block to the next, in floats.
    pub(crate) block_stride: usize,
    /// From a channel to the next, in floats.
    pub(crate) channel_stride: usize,
}

impl Grid {
    /// `[block][channel][pixel][lane]`: for everything that has rows and columns.
    pub fn blocked(isa: Isa, n: usize, channels: usize, pixels: usize) -> Self {
        let channel_stride = pixels * isa.lanes();
        Self { isa, n, channels, pixels, block_stride: channels * channel_stride, channel_stride }
    }

    /// `[feature][image]`, the images padded to whole vectors: for dense layers.
    pub fn flat(isa: Isa, n: usize, features: usize) -> Self {
        let channel_stride = n.div_ceil(isa.lanes()) * isa.lanes();
        Self { isa, n, channels: features, pixels: 1, block_stride: isa.lanes(), channel_stride }
    }

    /// Numbers of an image.
    pub fn features(&self) -> usize {
        self.channels * self.pixels
    }

    /// The vectors of a pixel.
    pub fn n_blocks(&self) -> usize {
        self.n.div_ceil(self.isa.lanes())
    }

    /// Floats in all.
    pub fn len(&self) -> usize {
        self.n_blocks() * self.isa.lanes() * self.channels * self.pixels
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Images in the last block; 0 when it is full.
    pub(crate) fn n_spare(&self) -> usize {
        self.n % self.isa.lanes()
    }

    fn offset(&self, image: usize, channel: usize) -> usize {
        let lanes = self.isa.lanes();
        image / lanes * self.block_stride + channel * self.channel_stride + image % lanes
    }

    /// From `[image][channel][pixel]`; spare lanes get zeros.
    pub fn scatter(&self, rows: &[f32], to: &mut [f32]) {
        assert_eq!((rows.len(), to.len()), (self.n * self.channels * self.pixels, self.len()));
        if self.n_spare() > 0 {
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
                        // SAFETY: within the vectors of this block, which is this task's.
                        unsafe { *to.add(pixel * lanes) = *value };
                    }
                }
            }
        });
    }

    /// To `[image][channel][pixel]`.
    pub fn gather(&self, from: &[f32], rows: &mut [f32]) {
        assert_eq!((rows.len(), from.len()), (self.n * self.channels * self.pixels, self.len()));
        let lanes = self.isa.lanes();
        for (row, to) in rows.chunks_exact_mut(self.pixels).enumerate() {
            let at = self.offset(row / self.channels, row % self.channels);
            to.iter_mut().enumerate().for_each(|(pixel, to)| *to = from[at + pixel * lanes]);
        }
    }

    /// From this blocked grid to the flat one of the same numbers.
    pub fn flatten(&self, from: &[f32], to: &mut [f32]) -> Self {
        let flat = Self::flat(self.isa, self.n, self.channels * self.pixels);
        self.transfer(flat, from, to, false);
        flat
    }

    /// Back from the flat grid that [`Grid::flatten`] gave.
    pub fn unflatten(&self, from: &[f32], to: &mut [f32]) {
        let flat = Self::flat(self.isa, self.n, self.channels * self.pixels);
        self.transfer(flat, from, to, true);
    }

    fn transfer(&self, flat: Self, from: &[f32], to: &mut [f32], back: bool) {
        assert_eq!((from.len(), to.len()), (self.len(), flat.len()));
        let (lanes, features) = (self.isa.lanes(), flat.channels);
        let to = Shared::new(to);
        threads::each(self.n_blocks(), |block| {
            for feature in 0..features {
                let (blocked, flat) =
                    (block * self.block_stride + feature * lanes, block * lanes + feature * flat.channel_stride);
                let (source, target) = if back { (flat, blocked) } else { (blocked, flat) };
                // SAFETY: the vectors of this block are this task's.
                unsafe { to.part(target, lanes) }.copy_from_slice(&from[source..source + lanes]);
            }
        });
    }

    /// Sets the spare lanes to 0.
    pub fn clear_spare(&self, values: &mut [f32]) {
        if self.n_spare() == 0 {
            return;
        }
        let lanes = self.isa.lanes();
        let last = (self.n_blocks() - 1) * self.block_stride;
        for channel in 0..self.channels {
            let at = last + channel * self.channel_stride;
            for vector in values[at..at + self.pixels * lanes].chunks_exact_mut(lanes) {
                vector[self.n_spare()..].fill(0.0);
            }
        }
    }

    /// A vector of ones, with zeros in the lanes that are spare in this block.
    pub(crate) fn mask(&self, block: usize) -> [f32; 16] {
        let used = if block + 1 == self.n_blocks() && self.n_spare() > 0 { self.n_spare() } else { self.isa.lanes() };
        std::array::from_fn(|lane| if lane < used { 1.0 } else { 0.0 })
    }

    /// Does a kernel for each channel, in parallel.
    pub(crate) fn each_channel<K: Kernel>(&self, kernel: impl Fn(usize) -> K + Sync + Send) {
        // Cheap channels go to a thread several at a time.
        let group = (self.channels / (4 * threads::count())).max(1);
        threads::each(self.channels.div_ceil(group), |task| {
            for channel in task * group..self.channels.min((task + 1) * group) {
                self.isa.run(kernel(channel));
            }
        });
    }

    /// Calls `visit` with the offset of each vector of a channel and its block's mask.
    ///
    /// # Safety
    /// As `visit` needs.
    #[inline(always)]
    pub(crate) unsafe fn visit<S: Simd>(&self, channel: usize, mut visit: impl FnMut(usize, S::V)) {
        for block in 0..self.n_blocks() {
            // SAFETY: the mask has room for the widest register.
            let mask = unsafe { S::load(self.mask(block).as_ptr()) };
            let start = block * self.block_stride + channel * self.channel_stride;
            for pixel in 0..self.pixels {
                visit(start + pixel * S::LANES, mask);
            }
        }
    }

    /// Sums over a channel: `add` takes the offset of a vector, its block's mask, and the sums so far of its row. Rows
    /// are added up in double precision, which a sum over tens of thousands of numbers needs: with one of floats the
    /// gradients of a network with six normalisations were four times as far from the truth.
    ///
    /// # Safety
    /// As `add` needs.
    #[inline(always)]
    pub(crate) unsafe fn totals<S: Simd, const N: usize>(
        &self,
        channel: usize,
        mut add: impl FnMut(usize, S::V, &mut [S::V; N]),
    ) -> [f64; N] {
        /// Pixels between two additions to the total: rounding stays that of a short sum, and the cost is small.
        const ROW: usize = 32;
        let mut totals = [0.0; N];
        for block in 0..self.n_blocks() {
            let start = block * self.block_stride + channel * self.channel_stride;
            for first in (0..self.pixels).step_by(ROW) {
                // SAFETY: the mask has room for the widest register; the rest is as the caller promises.
                unsafe {
                    let mask = S::load(self.mask(block).as_ptr());
                    let mut sums = [S::zero(); N];
                    for pixel in first..self.pixels.min(first + ROW) {
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
