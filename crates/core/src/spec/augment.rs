//! The strengths of training-image augmentation, with their text form and bounds. The augmentation itself is in
//! [`crate::data::augment`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The strength of each kind of augmentation. Every image is augmented differently in every epoch. All zeros switch
/// augmentation off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Augment {
    /// Largest shift in pixels, horizontally and vertically, in both directions.
    pub shift: f32,
    /// Largest rotation in degrees, in both directions.
    pub rotate: f32,
    /// Largest change of size as a fraction; width and height are scaled independently.
    pub scale: f32,
    /// Largest shear, as a fraction of the height.
    pub shear: f32,
    /// Standard deviation, in pixels, of the smooth random displacement field.
    pub elastic: f32,
}

/// An augmentation text that does not parse, or a strength out of bounds.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AugmentError {
    /// The text, or a part of it, is not of the form `NAME=STRENGTH`.
    #[error(
        "augmentation must be \"none\" or a list such as shift=2,rotate=10,scale=0.1,shear=0.1,elastic=1, not {0:?}"
    )]
    Form(String),
    /// The name of an augmentation that does not exist.
    #[error("there is no augmentation called {0:?}; choose one of: shift, rotate, scale, shear, elastic")]
    Name(String),
    /// A strength that is not a number, or is out of bounds.
    #[error("{name} must be between 0 and {max}, not {given:?}")]
    Strength {
        /// The kind of augmentation.
        name: &'static str,
        /// The largest allowed strength.
        max: f32,
        /// The strength as it was given.
        given: String,
    },
}

impl Augment {
    /// Names and largest strengths. Beyond them digits leave the image or turn into other digits.
    const KINDS: [(&'static str, f32); 5] =
        [("shift", 8.0), ("rotate", 45.0), ("scale", 0.5), ("shear", 0.6), ("elastic", 4.0)];

    /// Checks that every strength is within its bounds.
    ///
    /// # Errors
    /// [`AugmentError::Strength`] for the first strength that is not.
    pub fn check(&self) -> Result<(), AugmentError> {
        let wrong = (0..Self::KINDS.len()).zip(self.strengths()).find(|(kind, given)| !Self::allows(*kind, *given));
        wrong.map_or(Ok(()), |(kind, given)| Err(Self::out_of_bounds(kind, given.to_string())))
    }

    /// Whether a strength is within the bounds of its kind (an index into [`Self::KINDS`]); NaN is not.
    fn allows(kind: usize, strength: f32) -> bool {
        (0.0..=Self::KINDS[kind].1).contains(&strength)
    }

    fn out_of_bounds(kind: usize, given: String) -> AugmentError {
        let (name, max) = Self::KINDS[kind];
        AugmentError::Strength { name, max, given }
    }

    /// Whether augmentation is off.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The strengths in the order of [`Self::KINDS`].
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

/// Prints the non-zero strengths, such as `shift=2,rotate=10`, or `none`.
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
            *augment.strength_mut(kind) = allowed.ok_or_else(|| Self::out_of_bounds(kind, strength.trim().into()))?;
        }
        Ok(augment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_a_round_trip() {
        let two_kinds = Augment { shift: 2.0, elastic: 1.5, ..Augment::default() };
        assert_eq!(two_kinds.to_string(), "shift=2,elastic=1.5");
        assert_eq!(two_kinds.to_string().parse(), Ok(two_kinds));
        assert_eq!("none".parse(), Ok(Augment::default()));
        assert_eq!(Augment::default().to_string(), "none");
    }

    #[test]
    fn check_and_parsing_enforce_the_same_bounds() {
        let with = |elastic| Augment { shift: 8.0, rotate: 45.0, scale: 0.5, shear: 0.6, elastic };
        assert_eq!(with(4.0).check(), Ok(()));
        for elastic in [4.5, -0.5, f32::INFINITY, f32::NAN] {
            let refused = AugmentError::Strength { name: "elastic", max: 4.0, given: elastic.to_string() };
            assert_eq!(with(elastic).check(), Err(refused));
        }
    }

    #[test]
    fn invalid_texts_are_refused() {
        assert_eq!("shift".parse::<Augment>(), Err(AugmentError::Form("shift".into())));
        assert_eq!("twist=1".parse::<Augment>(), Err(AugmentError::Name("twist".into())));
        for strength in ["-1", "9", "NaN", "two"] {
            let refused = format!("shift={strength}").parse::<Augment>();
            assert_eq!(refused, Err(AugmentError::Strength { name: "shift", max: 8.0, given: strength.into() }));
        }
    }
}
