//! Zero padding around planes, and the stride phases of an input's gradient. Multiplies nothing.

use super::Conv2dSizes;

/// A plane (one channel of one block, `[row][column][lane]`) with a border of zeros.
pub struct Frame {
    /// Rows and columns without the border.
    pub inner: [usize; 2],
    /// Rows of zeros above, and columns of zeros to the left.
    pub before: [usize; 2],
    /// Rows and columns with the border.
    pub outer: [usize; 2],
    /// Number of lanes of a vector.
    pub lanes: usize,
}

impl Frame {
    /// Length of a plane without the border, in floats.
    pub fn inner_len(&self) -> usize {
        self.inner[0] * self.inner[1] * self.lanes
    }

    /// Length of a plane with the border, in floats.
    pub fn outer_len(&self) -> usize {
        self.outer[0] * self.outer[1] * self.lanes
    }

    /// Copies the plane `inner` to `outer`, and fills the border with zeros.
    pub fn fill(&self, inner: &[f32], outer: &mut [f32]) {
        let (row, outer_row) = (self.inner[1] * self.lanes, self.outer[1] * self.lanes);
        let start = self.before[0] * outer_row + self.before[1] * self.lanes;
        let mut end = 0;
        for (y, values) in inner.chunks_exact(row).enumerate() {
            let at = start + y * outer_row;
            outer[end..at].fill(0.0);
            outer[at..at + row].copy_from_slice(values);
            end = at + row;
        }
        outer[end..].fill(0.0);
    }
}

/// The input rows (or columns) that use the same taps: those whose position in the padded input has the same remainder
/// modulo the stride. Below, "row" means either.
pub struct StridePhase {
    /// The first input row of the phase, without padding. The others follow at distances of the stride.
    pub start: usize,
    /// Number of input rows in the phase.
    pub n: usize,
    /// The first row of the window that these input rows use. The others follow at distances of the stride.
    pub first: usize,
    /// Number of rows of the window that these input rows use.
    pub n_taps: usize,
    /// The output row that connects to the input row `start` through the window's row `first`.
    pub shift: usize,
    /// Rows of zeros that are needed above the output's gradient.
    pub before: usize,
    /// Rows of zeros that are needed below the output's gradient.
    pub after: usize,
}

impl StridePhase {
    /// All phases along an axis: 0 for rows, 1 for columns.
    pub fn all(sizes: &Conv2dSizes, axis: usize) -> Vec<Self> {
        (0..sizes.stride.min(sizes.input[axis])).map(|start| Self::new(sizes, axis, start)).collect()
    }

    fn new(sizes: &Conv2dSizes, axis: usize, start: usize) -> Self {
        let Conv2dSizes { stride, kernel, .. } = *sizes;
        let n = (sizes.input[axis] - start).div_ceil(stride);
        let position = start + sizes.before[axis];
        let (first, shift) = (position % stride, position / stride);
        let n_taps = kernel.saturating_sub(first).div_ceil(stride);
        let before = n_taps.saturating_sub(shift + 1);
        let after = (n + shift).saturating_sub(sizes.output[axis]);
        Self { start, n, first, n_taps, shift, before, after }
    }

    /// The numbers of the phase's taps: tap `t` is row `first + t · stride` of the window.
    pub fn taps(&self) -> std::ops::Range<usize> {
        0..self.n_taps
    }
}
