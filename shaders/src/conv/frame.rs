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
        launch!(
            frame,
            gpu,
            outer.len(),
            inner.arg(),
            outer.arg(),
            outer.len(),
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

#[cube(launch_unchecked)]
fn frame(
    inner: &[f32],
    outer: &mut [f32],
    len: usize,
    n: usize,
    rows: usize,
    columns: usize,
    outer_rows: usize,
    outer_columns: usize,
    top: usize,
    left: usize,
    gap: usize,
) {
    let at = ABSOLUTE_POS;
    if at < len {
        let place = at / n;
        let column = place % outer_columns;
        let row = place / outer_columns % outer_rows;
        let mut value = f32::new(0.0);
        if row >= top && column >= left {
            let down = row - top;
            let right = column - left;
            if down % gap == 0 && right % gap == 0 && down / gap < rows && right / gap < columns {
                let plane = place / outer_columns / outer_rows;
                value = inner[((plane * rows + down / gap) * columns + right / gap) * n + at % n];
            }
        }
        outer[at] = value;
    }
}
