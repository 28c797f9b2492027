//! Looks of a cascade that were wanted and not answered, one after the other: then the
//! rules that rest on it do not watch, whatever the detector does.

use edge_core::{GapReason, Unanswered};
use protocol::EventTime;
use protocol::id::CascadeId;

/// So many in a row …
const ROW: u32 = 3;
/// … over at least so long, s. Single looks are given up on every busy box.
const LEAST_S: f64 = 3.0;
/// Looks farther apart than this say nothing of the time between them: nobody was there, s.
const APART_S: f64 = 20.0;

/// Of one cascade, since its last answer.
#[derive(Debug, Default)]
pub(super) struct Row {
    looks: u32,
    from: Option<EventTime>,
    to: Option<EventTime>,
    failures: u64,
}

impl Row {
    /// A look was answered.
    pub(super) fn answered(&mut self) {
        *self = Self {
            failures: self.failures,
            ..Self::default()
        };
    }

    /// The look at a frame of `at` was not. `failures`: how many the model has failed on
    /// since the start. What there is to tell of the row, each part of it once.
    pub(super) fn given_up(
        &mut self,
        cascade: &CascadeId,
        at: EventTime,
        failures: u64,
    ) -> Option<Unanswered> {
        let last = self.to.unwrap_or(at);
        if at.since(last).0.abs() > APART_S {
            self.answered();
        }
        self.looks += 1;
        let from = *self.from.get_or_insert(at);
        let to = self.to.map_or(at, |to| to.max(at));
        self.to = Some(to);
        if self.looks < ROW || to.since(from).0 < LEAST_S {
            return None;
        }
        let reason = if failures > self.failures {
            GapReason::DetectorFailed
        } else {
            GapReason::Overload
        };
        (self.from, self.failures) = (Some(to), failures);
        Some(Unanswered {
            cascade: cascade.clone(),
            from,
            to,
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_looks_without_an_answer_is_told_once_and_ends_with_an_answer() {
        let cascade = CascadeId::new("helmets").unwrap();
        let at = |second: i64| EventTime::from_micros(second * 1_000_000);
        let mut row = Row::default();
        let mut told = Vec::new();
        let mut tell = |row: &mut Row, second: i64, failures: u64| {
            let stretch = row.given_up(&cascade, at(second), failures);
            told.extend(stretch.map(|s| {
                let seconds = |time: EventTime| time.as_micros() / 1_000_000;
                (seconds(s.from), seconds(s.to), s.reason)
            }));
        };
        for second in 0..9 {
            tell(&mut row, second, 0);
        }
        row.answered();
        // Two, and then nobody was there for a minute.
        for second in [20, 21, 80, 81] {
            tell(&mut row, second, 0);
        }
        tell(&mut row, 84, 5);
        let (overload, failed) = (GapReason::Overload, GapReason::DetectorFailed);
        let expected = [(0, 3, overload), (3, 6, overload), (80, 84, failed)];
        assert_eq!(told, expected);
    }
}
