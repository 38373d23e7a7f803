//! How a model is trained: its learning rate over the epochs.

use crate::spec::ModelId;

/// How the learning rate goes on from its first value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// `first / (1 + decay · epoch)`, epochs counted from 0.
    Inverse { decay: f64 },
}

impl Schedule {
    /// The learning rate of an epoch, counted from 1.
    pub fn learning_rate(self, first: f64, epoch: usize) -> f64 {
        match self {
            Self::Inverse { decay } => first / (1.0 + decay * (epoch - 1) as f64),
        }
    }
}

/// The published schedule of a model.
pub fn schedule(model: ModelId) -> Schedule {
    match model {
        ModelId::Compact => Schedule::Inverse { decay: 0.319 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_decays_as_published() {
        let rate = |epoch| schedule(ModelId::Compact).learning_rate(0.003, epoch);
        assert_eq!(rate(1), 0.003);
        assert!((rate(2) - 0.003 / 1.319).abs() < 1e-12);
        assert!((rate(20) - 0.003 / (1.0 + 0.319 * 19.0)).abs() < 1e-12);
    }
}
