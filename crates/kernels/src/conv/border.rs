//! Zeros around planes, and which of them each row of an input meets on the way back.

use super::Window;

/// A plane with a border of zeros.
pub struct Frame {
    pub inner: [usize; 2],
    pub before: [usize; 2],
    pub outer: [usize; 2],
    pub lanes: usize,
}

impl Frame {
    pub fn inner_len(&self) -> usize {
        self.inner[0] * self.inner[1] * self.lanes
    }

    pub fn outer_len(&self) -> usize {
        self.outer[0] * self.outer[1] * self.lanes
    }

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

/// Input rows (or columns) that meet the same taps: those at `start`, `start + stride` …
pub struct Residue {
    pub start: usize,
    /// How many there are.
    pub n: usize,
    /// The first tap they meet; the others follow by the stride.
    pub first: usize,
    pub n_taps: usize,
    /// The output row that the first input row meets with the first tap.
    pub shift: usize,
    /// Rows of zeros that the output's gradient needs above and below.
    pub before: usize,
    pub after: usize,
}

impl Residue {
    pub fn all(window: &Window, axis: usize) -> Vec<Self> {
        (0..window.stride.min(window.input[axis])).map(|first| Self::new(window, axis, first)).collect()
    }

    fn new(window: &Window, axis: usize, first: usize) -> Self {
        let (stride, pad) = (window.stride, window.before[axis]);
        let start = (first + stride - pad % stride) % stride;
        let n = (window.input[axis] - start).div_ceil(stride);
        let n_taps = if first < window.kernel { (window.kernel - first).div_ceil(stride) } else { 0 };
        let shift = (start + pad - first) / stride;
        let before = n_taps.saturating_sub(shift + 1);
        let after = (n + shift).saturating_sub(window.output[axis]);
        Self { start, n, first, n_taps, shift, before, after }
    }

    pub fn taps(&self) -> std::ops::Range<usize> {
        0..self.n_taps
    }
}
