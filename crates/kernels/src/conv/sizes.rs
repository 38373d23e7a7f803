//! The sizes of a convolution, and whether they fit each other. Knows no layouts.

/// The sizes of a convolution. The window is square, and so is the stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dSizes {
    /// Number of channels of the input.
    pub channels: usize,
    /// Number of filters: channels of the output.
    pub filters: usize,
    /// Rows and columns of the input, without padding.
    pub input: [usize; 2],
    /// Rows and columns of the output. On each axis, `(output − 1) · stride + kernel` must not exceed
    /// `before + input + after`.
    pub output: [usize; 2],
    /// Rows of the window, and columns.
    pub kernel: usize,
    /// Rows, and columns, from one window to the next.
    pub stride: usize,
    /// Padding: zeros above and to the left.
    pub before: [usize; 2],
    /// Padding: zeros below and to the right.
    pub after: [usize; 2],
}

/// Why a convolution's sizes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// A number of channels, filters, rows or columns, the window or the stride is 0.
    #[error("a size of the convolution is 0: {0:?}")]
    Zero(Conv2dSizes),
    /// The last window of a row or a column reaches beyond the padded input.
    #[error("the last window reaches beyond the padded input: {0:?}")]
    WindowBeyondInput(Conv2dSizes),
    /// A block of images has more floats than a `u32` counts, or an array more than a `usize` counts.
    #[error("the convolution is too large: {0:?}")]
    TooLarge(Conv2dSizes),
}

impl Conv2dSizes {
    /// Rows and columns of the padded input.
    pub(super) fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.before[axis] + self.input[axis] + self.after[axis])
    }

    /// Weights of the window at one channel: kernel · kernel.
    pub(super) fn area(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Weights of a filter: channels · kernel · kernel.
    pub(super) fn weights_per_filter(&self) -> usize {
        self.channels * self.area()
    }

    /// Whether all windows lie within the padded input, and no size is 0 or so large that a product of these sizes
    /// overflows.
    ///
    /// # Errors
    /// When they do not.
    pub(super) fn check(&self) -> Result<(), SizeError> {
        let Self { channels, filters, input, output, kernel, stride, .. } = *self;
        if [channels, filters, kernel, stride].contains(&0) || [input, output].as_flattened().contains(&0) {
            return Err(SizeError::Zero(*self));
        }
        for axis in [0, 1] {
            let padded = self.before[axis].checked_add(input[axis]).and_then(|n| n.checked_add(self.after[axis]));
            let needed = (output[axis] - 1).checked_mul(stride).and_then(|start| start.checked_add(kernel));
            let (padded, needed) = padded.zip(needed).ok_or(SizeError::TooLarge(*self))?;
            if needed > padded {
                return Err(SizeError::WindowBeyondInput(*self));
            }
        }
        let weights = [kernel, kernel, channels].into_iter().try_fold(filters, usize::checked_mul);
        weights.map(drop).ok_or(SizeError::TooLarge(*self))
    }
}
