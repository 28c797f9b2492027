//! One model after the other, until one starts.

use std::path::{Path, PathBuf};

use models::Manifest;

use super::StoreError;
use super::ground::Ground;
use super::ledger::Candidate;

/// Why a model could not be started.
#[derive(Debug)]
pub enum StartFault {
    /// The model's own fault: another may do.
    Model(String),
    /// It sees otherwise than it must on that: its own fault, or that one's.
    SelfTest {
        /// What computes.
        on: Ground,
        /// How it sees otherwise.
        reason: String,
    },
    /// One that may pass, like a disk that cannot be read: another may do now, and
    /// this one is not the worse for it.
    Passing(String),
    /// Nothing that may compute takes it: for a device that is gone, as it would be for any other, or for
    /// its own operators and numbers. The last good one tells.
    Refused(String),
    /// Something that another model would meet as well.
    Other(StoreError),
}

/// A model with its file, or why it cannot be had.
pub(super) type Entry = Result<(Candidate, Manifest, PathBuf), StoreError>;

/// Why one in the queue is not at work.
pub(super) enum NotThis {
    /// The next is tried; why not this one.
    Next(String),
    /// Neither would another be.
    End(StoreError),
}

/// A model at work.
pub(super) struct Begun<T> {
    pub(super) started: T,
    pub(super) candidate: Candidate,
    /// Why it is not the first of the queue.
    pub(super) instead: Option<String>,
}

/// Tries each of `queue`, none twice, with `attempt`, which is told who has been tried,
/// this one among them. `instead` says why the first is not what was wanted, if so.
pub(super) fn first_that_starts<T>(
    queue: Vec<Entry>,
    mut instead: Option<String>,
    mut attempt: impl FnMut(&Candidate, Manifest, &Path, &[Candidate]) -> Result<T, NotThis>,
) -> Result<Begun<T>, StoreError> {
    let mut tried: Vec<Candidate> = Vec::new();
    let mut first_fault = None;
    for entry in queue {
        let (candidate, manifest, file) = match entry {
            Ok(found) => found,
            Err(error) => {
                // Named but not there, or not what it should be: said, and the next.
                instead.get_or_insert_with(|| error.to_string());
                first_fault = first_fault.or(Some(error));
                continue;
            }
        };
        if tried.contains(&candidate) {
            continue;
        }
        tried.push(candidate.clone());
        match attempt(&candidate, manifest, &file, &tried) {
            Ok(started) => {
                return Ok(Begun {
                    started,
                    candidate,
                    instead,
                });
            }
            Err(NotThis::End(error)) => return Err(error),
            Err(NotThis::Next(reason)) => {
                instead.get_or_insert_with(|| format!("{candidate}: {reason}"));
                first_fault = first_fault.or(Some(StoreError::DoesNotStart {
                    model: candidate.model,
                    reason,
                }));
            }
        }
    }
    Err(first_fault.unwrap_or(StoreError::NoFolder))
}
