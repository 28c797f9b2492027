//! The centre's word of locked evidence, on its way to the disk.
//!
//! It counts from the moment it is heard: a full disk is when evidence is given up,
//! and just then the disk may not take the word. Until it does, the word is held in
//! memory and heeded there, beside what is on the disk.

use std::collections::BTreeSet;

use protocol::{EventTime, EvidenceLocks};

use super::writing::Mended;
use super::{Outbox, OutboxError, State};
use crate::clock;
use crate::locks::is_newer;

impl Outbox {
    /// Takes the centre's word of which events' evidence is locked: no file of
    /// theirs is removed from this box, whatever its age and however full the
    /// disk. `false` when an older word came late. An error says that the word is
    /// not on the disk yet; it counts all the same, and is written once it can be.
    pub fn take_locks(&self, locks: &EvidenceLocks) -> Result<bool, OutboxError> {
        self.take_locks_at(locks, clock::now())
    }

    pub(super) fn take_locks_at(
        &self,
        locks: &EvidenceLocks,
        now: EventTime,
    ) -> Result<bool, OutboxError> {
        let mut state = self.lock();
        let told = match &state.locks {
            Some(waiting) => Ok(waiting.at),
            None => state.database.locks_told(),
        };
        // A file that cannot say what it was told was told nothing that can be heeded.
        if told.is_ok_and(|told| !is_newer(locks.at, told, now)) {
            return Ok(false);
        }
        state.locks = Some(locks.clone());
        self.write_locks(&mut state)?;
        Ok(true)
    }

    /// Writes the word that waits in memory, if one does.
    pub(super) fn write_locks(&self, state: &mut State) -> Result<(), OutboxError> {
        let Some(locks) = state.locks.clone() else {
            return Ok(());
        };
        if state.is_closed {
            self.open_again(state)?;
        }
        let mut mended = Mended::default();
        while let Err(error) = state.database.take_locks(&locks) {
            self.mend(state, error, &mut mended)?;
        }
        state.locks = None;
        Ok(())
    }
}

impl State {
    /// Files that a word still in memory holds.
    pub(super) fn held_in_memory(&self) -> rusqlite::Result<BTreeSet<String>> {
        let mut held = BTreeSet::new();
        for event in self.locks.iter().flat_map(|locks| &locks.locked) {
            let mut select = self
                .database
                .connection
                .prepare_cached("SELECT sha256 FROM evidence_of WHERE event = ?1")?;
            for file in select.query_map([event.to_string()], |row| row.get(0))? {
                held.insert(file?);
            }
        }
        Ok(held)
    }
}
