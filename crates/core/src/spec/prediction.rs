//! What a network makes of images, and what that is worth.

use serde::{Deserialize, Serialize};

use super::N_CLASSES;

/// Mean loss and accuracy over some images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Fraction of images read rightly, 0 to 1.
    pub accuracy: f64,
}

/// Weights that came with the program, and what they were measured to be worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pretrained {
    /// Fraction of MNIST's 10,000 test images that these very weights, as they were shipped, read rightly.
    pub test_accuracy: f64,
    pub test_images: usize,
    /// Passes over the training images.
    pub epochs: usize,
}

/// What a network makes of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Probability of each digit; they sum to 1.
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
