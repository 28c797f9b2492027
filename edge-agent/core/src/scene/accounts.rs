//! What a scene says besides events: how long each rule watched, and what was nearly an event.

use protocol::{EventTime, TrackId};

use super::Scene;
use crate::coverage::Unwatched;
use crate::input::{Gap, Output};

impl Scene {
    /// Accounts for the time until `now`: for `why` where nobody watched, else
    /// for what each rule said of itself.
    pub(super) fn account_for(
        &mut self,
        now: EventTime,
        why: Option<Unwatched>,
        out: &mut Vec<Output>,
    ) {
        let (shifts, rules) = (&self.shifts, &self.config.rules);
        self.account.pass(
            now,
            |rule| why.or_else(|| shifts[rule].verdict()),
            |rule, tally| out.push(Output::Coverage(tally.of(&rules[rule]))),
        );
    }

    pub(super) fn account_for_gap(&mut self, gap: &Gap, out: &mut Vec<Output>) {
        let rules = &self.config.rules;
        self.account
            .pass_gap(gap.to, gap.reason.into(), |rule, tally| {
                out.push(Output::Coverage(tally.of(&rules[rule])));
            });
    }

    /// Says what was nearly an event of road users that are gone.
    pub(super) fn tell_nearest(&mut self, gone: &[TrackId], out: &mut Vec<Output>) {
        if let Some(near) = &mut self.rules.near {
            for track in gone {
                let misses = near.take(*track, self.config.rules.len());
                out.extend(misses.into_iter().map(Output::NearMiss));
            }
            // Somebody may have been judged under a name that was given up
            // before: of an empty road everything is told.
            if self.tracker.tracks().is_empty() {
                out.extend(near.take_all().into_iter().map(Output::NearMiss));
            }
        }
    }

    /// Ends the accounts: nothing will follow on what was seen so far.
    pub(super) fn settle(&mut self, out: &mut Vec<Output>) {
        if let Some(near) = &mut self.rules.near {
            out.extend(near.take_all().into_iter().map(Output::NearMiss));
        }
        let rules = &self.config.rules;
        self.account
            .finish(|rule, tally| out.push(Output::Coverage(tally.of(&rules[rule]))));
    }
}
