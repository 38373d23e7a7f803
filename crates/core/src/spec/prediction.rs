//! The output of a network for one image, and metrics over many images.

use serde::{Deserialize, Serialize};

use super::N_CLASSES;

/// Mean loss and accuracy over a set of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Fraction of images classified correctly, 0 to 1.
    pub accuracy: f64,
}

/// The measured accuracy of the pretrained weights that ship with the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pretrained {
    /// Fraction of the test images that the shipped (8-bit) weights classify correctly, 0 to 1.
    pub test_accuracy: f64,
    /// Number of test images measured: 10,000 in MNIST's published split, 28,000 in Kaggle's.
    pub test_images: usize,
    /// Passes over the training images.
    pub epochs: usize,
}

/// The output of a network for one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Softmax probability of each digit, at the index of the digit; they sum to 1.
    pub probabilities: [f32; N_CLASSES],
}

impl Prediction {
    /// The most probable digit.
    pub fn digit(&self) -> usize {
        let by_probability = |a: &usize, b: &usize| self.probabilities[*a].total_cmp(&self.probabilities[*b]);
        (0..N_CLASSES).max_by(by_probability).unwrap_or(0)
    }

    /// The probability of [`Prediction::digit`].
    pub fn confidence(&self) -> f32 {
        self.probabilities[self.digit()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_digit_wins() {
        let mut probabilities = [0.05; N_CLASSES];
        probabilities[7] = 0.55;
        let prediction = Prediction { probabilities };
        assert_eq!((prediction.digit(), prediction.confidence()), (7, 0.55));
    }
}
