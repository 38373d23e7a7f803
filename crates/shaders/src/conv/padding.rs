//! Zeros around an image, and between its pixels, so that the loops of a convolution need no branches for the border.
//! Multiplies nothing.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};

/// Planes (channels) with a border of zeros, and zeros between their pixels.
pub struct Frame {
    /// Number of planes.
    pub planes: usize,
    /// Number of images.
    pub n: usize,
    /// Rows and columns of a plane without zeros.
    pub inner: [usize; 2],
    /// Rows and columns of a plane with zeros.
    pub outer: [usize; 2],
    /// Rows of zeros above, and columns of zeros to the left.
    pub before: [usize; 2],
    /// Distance between neighbouring pixels of the plane after zeros were inserted: 1 for no zeros between them.
    pub gap: usize,
}

impl Frame {
    /// Copies `inner`, `[planes, rows, columns, n]`, into a new array with zeros, `[planes, outer rows, outer columns,
    /// n]`.
    pub fn fill(&self, gpu: &Gpu, inner: &Array) -> Array {
        let outer = gpu.empty(self.planes * self.outer[0] * self.outer[1] * self.n);
        let lines = self.planes * self.outer[0] * self.n;
        launch!(
            frame,
            gpu,
            lines,
            inner.arg(),
            outer.arg(),
            lines,
            self.n,
            self.inner[0],
            self.inner[1],
            self.outer[0],
            self.outer[1],
            self.before[0],
            self.before[1],
            self.gap
        );
        outer
    }
}

/// An invocation fills a row of one plane of one image. `lines` is planes · outer rows · `n`.
#[cube(launch_unchecked)]
fn frame(
    inner: &[f32],
    outer: &mut [f32],
    lines: usize,
    n: usize,
    rows: usize,
    columns: usize,
    outer_rows: usize,
    outer_columns: usize,
    top: usize,
    left: usize,
    #[comptime] gap: usize,
) {
    if ABSOLUTE_POS < lines {
        let image = ABSOLUTE_POS % n;
        let line = ABSOLUTE_POS / n;
        let row = line % outer_rows;
        let plane = line / outer_rows;
        let first = line * outer_columns;
        for column in 0..outer_columns {
            outer[(first + column) * n + image] = 0.0;
        }
        if row >= top && (row - top) % gap == 0 && (row - top) / gap < rows {
            let from = (plane * rows + (row - top) / gap) * columns;
            for column in 0..columns {
                outer[(first + left + column * gap) * n + image] = inner[(from + column) * n + image];
            }
        }
    }
}
