//! The figures that the authors of the networks published. It never holds a figure that we measured.

use crate::spec::ModelId;

/// Published figures of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// Fraction of images classified correctly, 0 to 1; `None` when no accuracy was published.
    pub accuracy: Option<f64>,
    /// The images on which the accuracy was measured, in words.
    pub measured_on: &'static str,
    /// Passes over the training images; `None` when they were not published.
    pub epochs: Option<usize>,
    /// Number of parameters, running statistics included.
    pub parameters: usize,
}

/// The published figures of a model.
pub fn published(model: ModelId) -> Published {
    let (accuracy, measured_on, epochs, parameters) = match model {
        ModelId::Compact => (Some(0.9941), "validation accuracy of the last epoch", Some(20), 13_904),
        ModelId::Strided => (Some(0.9938), "test accuracy", Some(23), 336_490),
        ModelId::Leaky => (Some(0.9961), "test accuracy", Some(63), 265_258),
        ModelId::Classic => {
            (Some(0.9914), "best validation accuracy of 12 epochs; the last had 98.99 %", Some(12), 1_199_882)
        }
        ModelId::Wide => (None, "no accuracy was published", None, 42_579_946),
        ModelId::Sprint => (None, "a network of our own", None, 14_184),
    };
    Published { accuracy, measured_on, epochs, parameters }
}
