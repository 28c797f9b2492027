//! What became of the rounds, fault by fault.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The line of the table for what is looked at once, after all rounds.
pub(crate) const AT_THE_END: &str = "at the end of an installation";

/// What became of the rounds of one fault.
#[derive(Default)]
pub(crate) struct Tally {
    /// Those that showed something.
    pub(crate) rounds: u64,
    /// Those that show nothing, because a program was not there or nothing happened.
    pub(crate) void: u64,
    pub(crate) lost: u64,
    /// Alerts of happenings that the box never stored: what comes twice under
    /// another id is one, since the centre's store cannot hold one id twice.
    pub(crate) strangers: u64,
    pub(crate) gaps: u64,
    pub(crate) bundles: u64,
    /// Something else was not as it should be.
    pub(crate) failed: u64,
    pub(crate) settled_s: f64,
}

#[derive(Default)]
struct Notes {
    tallies: BTreeMap<&'static str, Tally>,
    events: u64,
    bundles: u64,
    excused: u64,
    not_run: Vec<(&'static str, String)>,
}

/// All installations write on it.
#[derive(Default)]
pub(crate) struct Board(Mutex<Notes>);

impl Board {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, fault: &'static str, change: impl FnOnce(&mut Tally)) {
        change(self.notes().tallies.entry(fault).or_default());
    }

    /// A fault that this machine cannot make.
    pub(crate) fn not_run(&self, fault: &'static str, why: &str) {
        self.notes()
            .not_run
            .push((fault, why.replace(['\n', '|'], " ")));
    }

    /// What an installation produced: revisions of events, bundles that are sound,
    /// and cases whose files were deleted by hand or given up.
    pub(crate) fn produced(&self, events: usize, bundles: usize, excused: usize) {
        let mut notes = self.notes();
        notes.events += events as u64;
        notes.bundles += bundles as u64;
        notes.excused += excused as u64;
    }

    /// Prints the table; whether nothing is wrong.
    pub(crate) fn report(&self, seed: u64, took: Duration) -> bool {
        println!(
            "| fault | rounds | void | lost | twice or never produced | gaps | bundles not sound | not as expected | all there after, mean s |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        let notes = self.notes();
        let (mut rounds, mut void) = (0, 0);
        let mut is_clean = !notes.tallies.is_empty();
        for (name, tally) in &notes.tallies {
            let Tally {
                lost,
                strangers,
                gaps,
                bundles,
                failed,
                ..
            } = tally;
            println!(
                "| {name} | {} | {} | {lost} | {strangers} | {gaps} | {bundles} | {failed} | {:.1} |",
                tally.rounds,
                tally.void,
                tally.settled_s / tally.rounds.max(1) as f64
            );
            void += tally.void;
            if *name != AT_THE_END {
                rounds += tally.rounds;
            }
            is_clean &= lost + strangers + gaps + bundles + failed + tally.void == 0;
        }
        for (name, why) in &notes.not_run {
            println!("| {name} | not run: {why} | | | | | | | |");
        }
        println!(
            "\n{rounds} rounds and {void} void ones in {:.0} s, seed {seed}: {} revisions of events, {} bundles verified, {} cases with files that were deleted by hand or given up on a full disk",
            took.as_secs_f64(),
            notes.events,
            notes.bundles,
            notes.excused
        );
        is_clean
    }
}
