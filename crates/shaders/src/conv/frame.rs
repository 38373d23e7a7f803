//! Zeros around an image, and between its pixels: the loops of a convolution then ask nothing.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};

/// Zeros around planes, and between their pixels.
pub struct Frame {
    pub planes: usize,
    pub n: usize,
    pub inner: [usize; 2],
    pub outer: [usize; 2],
    pub before: [usize; 2],
    /// Distance of two neighbouring pixels in the frame.
    pub gap: usize,
}

impl Frame {
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

/// An invocation fills a row of an image.
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
