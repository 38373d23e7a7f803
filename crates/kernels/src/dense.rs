//! Dense layers, forward and backward: matrix products by the `gemm` crate. Adds no bias; see [`crate::add_bias`].

use gemm::Parallelism;

use crate::isa::Isa;
use crate::layout::BlockedLayout;

/// A dense layer between two flat layouts of the same images.
#[derive(Clone, Copy, Debug)]
pub struct Dense {
    input: BlockedLayout,
    output: BlockedLayout,
}

/// A matrix: its elements, the distance between consecutive columns, and the distance between consecutive rows, in
/// floats.
type Matrix<'a> = (&'a [f32], usize, usize);

impl Dense {
    /// A layer of `units` units over `inputs` inputs, for `n` images.
    ///
    /// # Panics
    /// If a layout or the weights have more floats than a `usize` counts.
    pub fn new(isa: Isa, n: usize, inputs: usize, units: usize) -> Self {
        assert!(units.checked_mul(inputs).is_some(), "{units} × {inputs} weights do not fit in memory");
        Self { input: BlockedLayout::flat(isa, n, inputs), output: BlockedLayout::flat(isa, n, units) }
    }

    /// Layout of the input, `[inputs][image]`.
    pub fn input(&self) -> BlockedLayout {
        self.input
    }

    /// Layout of the output, `[units][image]`.
    pub fn output(&self) -> BlockedLayout {
        self.output
    }

    /// `y = weights · x`.
    ///
    /// # Shapes
    /// - `x`: `[inputs][image]`
    /// - `weights`: `[units, inputs]`
    /// - `y`: `[units][image]`
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn forward(&self, x: &[f32], weights: &[f32], y: &mut [f32]) {
        let (units, inputs, n) = self.sizes();
        assert_eq!((x.len(), weights.len(), y.len()), (inputs * n, units * inputs, units * n));
        product([units, n, inputs], y, (weights, 1, inputs), (x, 1, n));
    }

    /// The gradient of the input, `[inputs][image]`, from the gradient of the output, `[units][image]`.
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn input_gradient(&self, y_gradient: &[f32], weights: &[f32], gradient: &mut [f32]) {
        let (units, inputs, n) = self.sizes();
        assert_eq!((y_gradient.len(), weights.len(), gradient.len()), (units * n, units * inputs, inputs * n));
        product([inputs, n, units], gradient, (weights, inputs, 1), (y_gradient, 1, n));
    }

    /// The gradient of the weights, `[units, inputs]`. Spare lanes of the output's gradient must be 0.
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn weights_gradient(&self, x: &[f32], y_gradient: &[f32], gradient: &mut [f32]) {
        let (units, inputs, n) = self.sizes();
        assert_eq!((x.len(), y_gradient.len(), gradient.len()), (inputs * n, units * n, units * inputs));
        product([units, inputs, n], gradient, (y_gradient, 1, n), (x, n, 1));
    }

    /// Units, inputs, and images with the padding to whole vectors.
    fn sizes(&self) -> (usize, usize, usize) {
        (self.output.channels(), self.input.channels(), self.input.channel_stride)
    }
}

/// `to = left · right`, where `left` is `[rows, inner]`, `right` is `[inner, columns]`, and `to` is `[rows, columns]`,
/// row by row.
///
/// # Panics
/// If an element of a matrix is beyond its slice.
fn product(
    [rows, columns, inner]: [usize; 3],
    to: &mut [f32],
    (left, left_column, left_row): Matrix,
    (right, right_column, right_row): Matrix,
) {
    let end = |n_rows: usize, row: usize, n_columns: usize, column: usize| match (n_rows, n_columns) {
        (0, _) | (_, 0) => 0,
        _ => (n_rows - 1) * row + (n_columns - 1) * column + 1,
    };
    assert!(end(rows, left_row, inner, left_column) <= left.len());
    assert!(end(inner, right_row, columns, right_column) <= right.len());
    assert!(rows * columns <= to.len());
    // SAFETY: the assertions above checked that every element of the three matrices is in bounds. `to` is borrowed
    // mutably, so the others do not overlap it.
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

/// All threads of rayon's pool with the feature `threads`; none besides the calling thread without it.
fn parallelism() -> Parallelism {
    #[cfg(feature = "threads")]
    return Parallelism::Rayon(0);
    #[cfg(not(feature = "threads"))]
    Parallelism::None
}
