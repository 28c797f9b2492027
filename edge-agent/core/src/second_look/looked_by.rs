//! Which models' looks counted: what a rule keeps of each look, so that the event
//! can name them.

use std::ops::{BitOr, BitOrAssign};

use protocol::event::SecondModel;

/// Some of the models that a scene has heard of. A few bits, because every look that
/// is remembered has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookedBy(u64);

impl BitOr for LookedBy {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for LookedBy {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl FromIterator<Self> for LookedBy {
    fn from_iter<T: IntoIterator<Item = Self>>(sets: T) -> Self {
        sets.into_iter().fold(Self::default(), BitOr::bitor)
    }
}

/// The models that a scene has heard of, in the order in which it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct LookerBook(Vec<SecondModel>);

impl LookerBook {
    /// More than the cascades of one camera have. Only a recording that was made up
    /// names more, and those are not told.
    const MOST: usize = u64::BITS as usize;

    /// The models of a look.
    pub(crate) fn note(&mut self, models: &[SecondModel]) -> LookedBy {
        let bit = |model: &SecondModel| {
            let known = self.0.iter().position(|known| known == model);
            let place = known.unwrap_or(self.0.len());
            if place >= Self::MOST {
                return LookedBy::default();
            }
            if known.is_none() {
                self.0.push(model.clone());
            }
            LookedBy(1 << place)
        };
        models.iter().map(bit).collect()
    }

    /// Who they are.
    pub(crate) fn of(&self, some: LookedBy) -> impl Iterator<Item = &SecondModel> {
        let each = self.0.iter().enumerate();
        each.filter(move |(place, _)| some.0 & (1 << place) != 0)
            .map(|(_, model)| model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Digest;

    fn model(number: u8) -> SecondModel {
        SecondModel {
            model: "helmets".parse().unwrap(),
            version: None,
            model_digest: Digest([number; 32]),
            manifest_digest: None,
        }
    }

    #[test]
    fn models_are_found_again_and_a_made_up_recording_does_not_fill_the_memory() {
        let mut book = LookerBook::default();
        let one = book.note(&[model(1)]);
        let both = book.note(&[model(2), model(1)]);
        assert_eq!(book.note(&[model(1)]), one);
        assert_eq!(book.note(&[]), LookedBy::default());
        let names = |book: &LookerBook, some| book.of(some).cloned().collect::<Vec<_>>();
        assert_eq!(names(&book, one), [model(1)]);
        assert_eq!(names(&book, both), [model(1), model(2)]);
        for number in 0..=u8::MAX {
            book.note(&[model(number)]);
        }
        assert_eq!(book.0.len(), LookerBook::MOST);
        assert_eq!(book.note(&[model(255)]), LookedBy::default());
        assert_eq!(names(&book, both), [model(1), model(2)]);
    }
}
