//! Layers in which every output has a weight for every input: matrix products, by the `gemm` crate.

use gemm::Parallelism;

use crate::grid::Grid;

/// A dense layer over flat grids.
#[derive(Clone, Copy, Debug)]
pub struct Dense {
    /// `[inputs][image]`
    pub input: Grid,
    /// `[units][image]`
    pub output: Grid,
}

/// A matrix by its first element and the distances between columns and rows.
type Matrix<'a> = (&'a [f32], usize, usize);

impl Dense {
    /// # Shapes
    /// - `weights`: `[units, inputs]`
    pub fn forward(&self, x: &[f32], weights: &[f32], y: &mut [f32]) {
        let (units, inputs, n) = self.sizes();
        assert_eq!((x.len(), weights.len(), y.len()), (inputs * n, units * inputs, units * n));
        product([units, n, inputs], y, (weights, 1, inputs), (x, 1, n));
    }

    /// The gradient of the input.
    pub fn input_gradient(&self, y_gradient: &[f32], weights: &[f32], gradient: &mut [f32]) {
        let (units, inputs, n) = self.sizes();
        assert_eq!((y_gradient.len(), weights.len(), gradient.len()), (units * n, units * inputs, inputs * n));
        product([inputs, n, units], gradient, (weights, inputs, 1), (y_gradient, 1, n));
    }

    /// The gradient of the weights. Spare lanes of the output's gradient must be 0.
    pub fn weights_gradient(&self, x: &[f32], y_gradient: &[f32], gradient: &mut [f32]) {
        let (units, inputs, n) = self.sizes();
        assert_eq!((x.len(), y_gradient.len(), gradient.len()), (inputs * n, units * n, units * inputs));
        product([units, inputs, n], gradient, (y_gradient, 1, n), (x, n, 1));
    }

    fn sizes(&self) -> (usize, usize, usize) {
        (self.output.channels, self.input.channels, self.input.channel_stride)
    }
}

/// `to = left · right`, all of the sizes `[rows, columns, inner]`; `to` row by row.
fn product(
    [rows, columns, inner]: [usize; 3],
    to: &mut [f32],
    (left, left_column, left_row): Matrix,
    (right, right_column, right_row): Matrix,
) {
    // SAFETY: the callers checked the lengths of all three against the sizes.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            to.as_mut_ptr(),
            1,
            columns as isize,
            false,
            left.as_ptr(),
            left_column as isize,
            left_row as isize,
            right.as_ptr(),
            right_column as isize,
            right_row as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism(),
        );
    }
}

fn parallelism() -> Parallelism {
    #[cfg(feature = "threads")]
    return Parallelism::Rayon(0);
    #[cfg(not(feature = "threads"))]
    Parallelism::None
}
