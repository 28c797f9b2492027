//! How well a classifier tells crops apart: what it said of each, beside what is on it.
//!
//! A classifier may say nothing (no class reached the score from which it is believed, or the
//! best one has no word here). That is no mistake that fines anybody, and no answer either, so it
//! is a column of its own and counts against recall, not against precision.

use std::collections::BTreeMap;

use protocol::ObjectClass;
use serde::Serialize;

/// What is on a crop, or what was said of it; `None`: nothing that has a word here.
pub type Word = Option<ObjectClass>;

/// Answers by what was there, by day and night.
#[derive(Clone, Debug, Default)]
pub struct Confusion {
    /// Of each truth and each best answer how many by day and by night.
    cells: BTreeMap<(Word, Word), [u64; 2]>,
    /// Of each class, what was said of it; of several at once each counts.
    tallies: BTreeMap<ObjectClass, [Tally; 2]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    there: u64,
    said: u64,
    right: u64,
}

/// Figures of one class, 0 to 1; none where there is nothing to divide by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Which.
    pub class: ObjectClass,
    /// Crops of it.
    pub crops: u64,
    /// Of what was said to be it, how much is.
    pub precision: Option<f64>,
    /// Of what is it, how much was said to be.
    pub recall: Option<f64>,
    /// Recall by day.
    pub recall_day: Option<f64>,
    /// By night.
    pub recall_night: Option<f64>,
    /// Precision by day.
    pub precision_day: Option<f64>,
    /// By night.
    pub precision_night: Option<f64>,
}

/// How often one thing was said of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// What was there.
    pub truth: Word,
    /// What was said.
    pub said: Word,
    /// How often.
    pub crops: u64,
    /// Of these by night.
    pub by_night: u64,
}

impl Confusion {
    /// Takes a crop in; `said` are all answers that are believed, best first.
    pub fn add(&mut self, truth: Word, said: &[ObjectClass], is_night: bool) {
        let time = usize::from(is_night);
        self.cells
            .entry((truth, said.first().copied()))
            .or_default()[time] += 1;
        if let Some(class) = truth {
            self.tallies.entry(class).or_default()[time].there += 1;
        }
        for class in said {
            let tally = &mut self.tallies.entry(*class).or_default()[time];
            tally.said += 1;
            tally.right += u64::from(truth == Some(*class));
        }
    }

    /// Crops that were looked at, and those by night.
    pub fn crops(&self) -> (u64, u64) {
        let cells = self.cells.values();
        cells.fold((0, 0), |(all, night), by| {
            (all + by[0] + by[1], night + by[1])
        })
    }

    /// All cells that are not empty.
    pub fn cells(&self) -> Vec<Cell> {
        let cells = self.cells.iter();
        let cells = cells.map(|(&(truth, said), by)| Cell {
            truth,
            said,
            crops: by[0] + by[1],
            by_night: by[1],
        });
        cells.collect()
    }

    /// Figures by class, of those that were there or were said.
    pub fn classes(&self) -> Vec<ClassFigures> {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let tallies = self.tallies.iter();
        let figures = tallies.map(|(&class, &[day, night])| {
            let right = day.right + night.right;
            ClassFigures {
                class,
                crops: day.there + night.there,
                precision: share(right, day.said + night.said),
                recall: share(right, day.there + night.there),
                recall_day: share(day.right, day.there),
                recall_night: share(night.right, night.there),
                precision_day: share(day.right, day.said),
                precision_night: share(night.right, night.said),
            }
        });
        figures.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ObjectClass::{Helmet, NoHelmet};

    #[test]
    fn what_was_not_said_costs_recall_and_what_was_said_wrongly_precision() {
        let mut confusion = Confusion::default();
        for (truth, said, is_night) in [
            (Some(NoHelmet), &[NoHelmet][..], false),
            (Some(NoHelmet), &[], false),
            (Some(NoHelmet), &[Helmet], true),
            (Some(Helmet), &[NoHelmet], true),
            (Some(Helmet), &[Helmet], false),
            (None, &[NoHelmet], false),
            (None, &[], false),
        ] {
            confusion.add(truth, said, is_night);
        }
        assert_eq!(confusion.crops(), (7, 2));
        let [helmet, bare] = confusion.classes()[..] else {
            panic!("{confusion:?}")
        };
        assert_eq!((helmet.class, bare.class), (Helmet, NoHelmet));
        assert_eq!((bare.crops, bare.precision), (3, Some(1.0 / 3.0)));
        assert_eq!(bare.recall, Some(1.0 / 3.0));
        assert_eq!((bare.recall_day, bare.recall_night), (Some(0.5), Some(0.0)));
        assert_eq!(bare.precision_day, Some(0.5));
        assert_eq!((helmet.precision, helmet.recall), (Some(0.5), Some(0.5)));
        let said_of_nothing = confusion.cells().into_iter().filter(|c| c.truth.is_none());
        assert_eq!(said_of_nothing.map(|cell| cell.crops).sum::<u64>(), 2);
    }

    #[test]
    fn where_nobody_said_a_class_there_is_no_precision() {
        let mut confusion = Confusion::default();
        confusion.add(Some(Helmet), &[], false);
        let figures = confusion.classes()[0];
        assert_eq!((figures.precision, figures.recall), (None, Some(0.0)));
        assert_eq!(figures.recall_night, None);
    }
}
