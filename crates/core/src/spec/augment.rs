//! How far training images are bent away from what they are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The strength of each kind of distortion; every image is bent anew in every epoch. All zeros leave images alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Augment {
    /// Moved by up to so many pixels, each way.
    pub shift: f32,
    /// Turned by up to so many degrees, either way.
    pub rotate: f32,
    /// Grown or shrunk by up to this fraction, width and height apart.
    pub scale: f32,
    /// Slanted by up to this fraction of its height.
    pub shear: f32,
    /// Bent by a smooth random field of so many pixels (standard deviation).
    pub elastic: f32,
}

/// An augmentation that cannot be read, or is too strong to leave a digit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AugmentError {
    #[error("augmentation is \"none\" or a list such as shift=2,rotate=10,scale=0.1,shear=0.1,elastic=1, not {0:?}")]
    Form(String),
    #[error("there is no augmentation called {0:?}; choose among: shift, rotate, scale, shear, elastic")]
    Name(String),
    #[error("{name} must be between 0 and {max}, not {given:?}")]
    Strength { name: &'static str, max: f32, given: String },
}

impl Augment {
    /// Names and the greatest strengths: beyond them digits leave the image or become others.
    const KINDS: [(&'static str, f32); 5] =
        [("shift", 8.0), ("rotate", 45.0), ("scale", 0.5), ("shear", 0.6), ("elastic", 4.0)];

    /// Holds every strength to its bounds.
    ///
    /// # Errors
    /// The first strength that is not within them.
    pub fn check(&self) -> Result<(), AugmentError> {
        let wrong = (0..Self::KINDS.len()).zip(self.strengths()).find(|(kind, given)| !Self::allows(*kind, *given));
        wrong.map_or(Ok(()), |(kind, given)| Err(Self::refusal(kind, given.to_string())))
    }

    /// Whether a kind may be so strong; what is not a number may not.
    fn allows(kind: usize, strength: f32) -> bool {
        (0.0..=Self::KINDS[kind].1).contains(&strength)
    }

    fn refusal(kind: usize, given: String) -> AugmentError {
        let (name, max) = Self::KINDS[kind];
        AugmentError::Strength { name, max, given }
    }

    /// Whether images stay as they are.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn strengths(&self) -> [f32; 5] {
        [self.shift, self.rotate, self.scale, self.shear, self.elastic]
    }

    fn strength_mut(&mut self, kind: usize) -> &mut f32 {
        match kind {
            0 => &mut self.shift,
            1 => &mut self.rotate,
            2 => &mut self.scale,
            3 => &mut self.shear,
            _ => &mut self.elastic,
        }
    }
}

/// Such as `shift=2,rotate=10`; `none` when nothing is bent.
impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = Self::KINDS.iter().zip(self.strengths()).filter(|(_, strength)| *strength != 0.0);
        let parts: Vec<_> = used.map(|((name, _), strength)| format!("{name}={strength}")).collect();
        f.write_str(if parts.is_empty() { "none".into() } else { parts.join(",") }.as_str())
    }
}

impl FromStr for Augment {
    type Err = AugmentError;

    fn from_str(given: &str) -> Result<Self, AugmentError> {
        let mut augment = Self::default();
        if given == "none" {
            return Ok(augment);
        }
        for part in given.split(',') {
            let (name, strength) = part.split_once('=').ok_or_else(|| AugmentError::Form(given.into()))?;
            let kind = Self::KINDS.iter().position(|(known, _)| *known == name.trim());
            let kind = kind.ok_or_else(|| AugmentError::Name(name.trim().into()))?;
            let allowed = strength.trim().parse().ok().filter(|strength| Self::allows(kind, *strength));
            *augment.strength_mut(kind) = allowed.ok_or_else(|| Self::refusal(kind, strength.trim().into()))?;
        }
        Ok(augment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_a_round_trip() {
        let both = Augment { shift: 2.0, elastic: 1.5, ..Augment::default() };
        assert_eq!(both.to_string(), "shift=2,elastic=1.5");
        assert_eq!(both.to_string().parse(), Ok(both));
        assert_eq!("none".parse(), Ok(Augment::default()));
        assert_eq!(Augment::default().to_string(), "none");
    }

    #[test]
    fn strengths_that_no_text_gave_are_held_to_the_same_bounds() {
        let with = |elastic| Augment { shift: 8.0, rotate: 45.0, scale: 0.5, shear: 0.6, elastic };
        assert_eq!(with(4.0).check(), Ok(()));
        for elastic in [4.5, -0.5, f32::INFINITY, f32::NAN] {
            let refused = AugmentError::Strength { name: "elastic", max: 4.0, given: elastic.to_string() };
            assert_eq!(with(elastic).check(), Err(refused));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!("shift".parse::<Augment>(), Err(AugmentError::Form("shift".into())));
        assert_eq!("twist=1".parse::<Augment>(), Err(AugmentError::Name("twist".into())));
        for strength in ["-1", "9", "NaN", "two"] {
            let refused = format!("shift={strength}").parse::<Augment>();
            assert_eq!(refused, Err(AugmentError::Strength { name: "shift", max: 8.0, given: strength.into() }));
        }
    }
}
