//! Room within the budget: what counts to it, who is given up first
//! ([`crate::budget`]), and when a file is not stored at all.
//!
//! Everything in the outbox's folder counts, also what nobody may give up: messages,
//! locked evidence, `unsendable/`. When these alone fill the budget new evidence is
//! refused and told; events never are.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use case_bundle::manifest::CASE_MEDIA_TYPE;
use protocol::Digest;

use super::gone::Why;
use super::{Outbox, OutboxError, State};
use crate::database::{self, Database};
use crate::locks::IS_LOCKED;

/// What the row of a new file and the log may want beside the file itself.
const ROW_BYTES: u64 = 64 << 10;
/// A log of so many bytes is moved into the file when its room is wanted.
const LONG_LOG: u64 = 128 << 10;
/// After free pages could not be given back to the disk, how long until the next try.
const COMPACT_AGAIN: Duration = Duration::from_hours(1);

/// Classes of files, in the order in which they are given up. By media type,
/// which also a file has whose row was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Clip,
    Other,
    Still,
    Case,
}

impl Class {
    pub(super) fn of(media_type: &str) -> Self {
        match media_type {
            CASE_MEDIA_TYPE => Self::Case,
            _ if media_type.starts_with("video/") => Self::Clip,
            _ if media_type.starts_with("image/") => Self::Still,
            _ => Self::Other,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Other => "other",
            Self::Still => "still",
            Self::Case => "case",
        }
    }
}

impl Outbox {
    /// Bytes of the folder: the database with its free pages and its log, evidence,
    /// the damaged file, and messages that could not be sent.
    pub(super) fn used(&self, state: &State) -> u64 {
        state.evidence_bytes
            + state.damaged_bytes
            + state.unsendable_bytes
            + state.database.disk_bytes().unwrap_or(0)
            + database::log_bytes(&self.inner.dir)
    }

    /// Gives up what may be given up until the folder is within the budget.
    pub(super) fn keep_budget(&self, state: &mut State) {
        loop {
            let over = self.used(state).saturating_sub(self.inner.budget.max_bytes);
            let is_done =
                over == 0 || !self.compact(state) && self.sacrifice(state, over, Class::Case) == 0;
            if is_done {
                break;
            }
        }
    }

    /// Gives up what goes before a new file until it fits into the budget; whether it
    /// does. Nothing that the centre lacks is given up for a file that does not fit
    /// all the same.
    pub(super) fn make_room_for(&self, state: &mut State, length: u64, class: Class) -> bool {
        loop {
            let used = self.used(state) + length + ROW_BYTES;
            let over = used.saturating_sub(self.inner.budget.max_bytes);
            if over == 0 {
                return true;
            }
            if self.compact(state) {
                continue;
            }
            let freed = match over.checked_sub(may_go(state, class)) {
                None | Some(0) => self.sacrifice(state, over, class),
                // Copies of messages, if they are enough.
                Some(lacking) if lacking <= kept_bytes(&state.database) => {
                    drop_kept(&state.database, lacking)
                }
                Some(_) => 0,
            };
            if freed == 0 {
                return false;
            }
        }
    }

    /// Why a file is not stored.
    pub(super) fn no_room(&self, state: &State, bytes: u64) -> OutboxError {
        OutboxError::NoRoom {
            bytes,
            budget: self.inner.budget.max_bytes,
            locked: locked_bytes(&state.database),
            other: self.used(state).saturating_sub(state.evidence_bytes),
        }
    }

    /// Whether what was refused would find room by now; then that is no trouble any more.
    pub(super) fn look_for_room(&self, state: &mut State) {
        let Some(length) = state.shortage.waits_for_room() else {
            return;
        };
        let taken = self.used(state).saturating_sub(may_go(state, Class::Clip));
        if taken + length + ROW_BYTES <= self.inner.budget.max_bytes {
            state.shortage.has_room();
        }
    }

    /// Gives the disk back what the database does not need, where that is worth it: its
    /// log, its free pages; whether it did.
    fn compact(&self, state: &mut State) -> bool {
        if database::log_bytes(&self.inner.dir) > LONG_LOG && state.database.empty_log() {
            return true;
        }
        let is_too_soon = state
            .compact_failed
            .is_some_and(|last| last.elapsed() < COMPACT_AGAIN);
        if is_too_soon {
            return false;
        }
        match state.database.compact() {
            Ok(is_smaller) => is_smaller,
            Err(error) => {
                tracing::debug!(%error, "the outbox's free pages stay in its file; tried again after an hour");
                state.compact_failed = Some(Instant::now());
                false
            }
        }
    }

    /// Deletes evidence in the published order until `wanted` bytes are free, for
    /// something of this class: of what the centre lacks nothing goes that is given up
    /// later than that. How many became free.
    pub(super) fn sacrifice(&self, state: &mut State, wanted: u64, class: Class) -> u64 {
        let candidates = candidates(state, class).unwrap_or_default();
        let copies = candidates.iter().take_while(|c| c.is_copy).count();
        let mut given = Given::default();
        self.delete(&candidates[..copies], wanted, &mut given);
        let mut freed = drop_kept(&state.database, wanted.saturating_sub(given.freed));
        if given.freed + freed < wanted {
            freed += self.drop_damaged(state);
        }
        let wanted = wanted.saturating_sub(freed);
        self.delete(&candidates[copies..], wanted, &mut given);
        for name in &given.names {
            if let Err(error) = state.database.forget_file(name, Why::Room) {
                tracing::debug!(file = name, %error, "row of a deleted file stays until the next start");
                break;
            }
        }
        state.evidence_bytes = state.evidence_bytes.saturating_sub(given.freed);
        let not_uploaded = given.lost.values().sum::<u64>();
        state.evidence_sacrificed += not_uploaded;
        for (class, files) in &given.lost {
            *state.sacrificed.entry(class.word()).or_default() += files;
        }
        state.shortage.sacrificed(not_uploaded, &given.of_camera);
        if given.freed > 0 {
            tracing::warn!(
                files = given.names.len(),
                not_uploaded,
                lost = ?given.lost,
                freed_bytes = given.freed,
                "evidence was deleted to make room; check the disk and the network"
            );
        }
        given.freed + freed
    }

    /// Deletes the damaged file that was kept; how many bytes became free.
    fn drop_damaged(&self, state: &mut State) -> u64 {
        let freed = database::drop_damaged(&self.inner.dir, None);
        state.damaged_bytes = database::damaged_bytes(&self.inner.dir);
        if freed > 0 {
            tracing::warn!(
                freed_bytes = freed,
                "the damaged outbox file that was kept is deleted to make room"
            );
        }
        freed
    }

    /// Deletes files until `wanted` bytes are free in all.
    fn delete(&self, candidates: &[Candidate], wanted: u64, given: &mut Given) {
        for candidate in candidates {
            if given.freed >= wanted {
                break;
            }
            let Ok(digest) = candidate.name.parse::<Digest>() else {
                continue;
            };
            // The file first: on a full disk deleting the row can fail, and a
            // row without a file is mended at upload or at the next start.
            match std::fs::remove_file(self.file_path(&digest)) {
                Ok(()) => {
                    given.freed += candidate.length;
                    if candidate.is_waiting {
                        *given.lost.entry(candidate.class).or_default() += 1;
                        for camera in &candidate.cameras {
                            *given.of_camera.entry(camera.clone()).or_default() += 1;
                        }
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(file = candidate.name, %error, "cannot delete evidence to make room");
                    continue;
                }
            }
            given.names.push(candidate.name.clone());
        }
    }
}

/// What a sacrifice has cost so far.
#[derive(Default)]
struct Given {
    freed: u64,
    names: Vec<String>,
    /// Files that the centre did not have, by class.
    lost: BTreeMap<Class, u64>,
    /// The same by camera, as far as it is known.
    of_camera: BTreeMap<String, u64>,
}

struct Candidate {
    name: String,
    length: u64,
    is_copy: bool,
    is_waiting: bool,
    class: Class,
    /// Whose evidence it is, `site/box/camera`.
    cameras: Vec<String>,
}

/// Every file that may be given up for something of this class, in the published
/// order of sacrifice: all but what is locked.
fn candidates(state: &State, class: Class) -> rusqlite::Result<Vec<Candidate>> {
    // Whose a file is must be known, or none is given up.
    let held = state.held_in_memory()?;
    let mut select = state.database.connection.prepare(&format!(
        "SELECT sha256, length, state, media_type,
            (SELECT group_concat(DISTINCT camera) FROM evidence_of AS o WHERE o.sha256 = evidence.sha256)
         FROM evidence
         WHERE NOT {IS_LOCKED}
         ORDER BY CASE state WHEN 'uploaded' THEN 0 WHEN 'refused' THEN 1 ELSE 2 END, place"
    ))?;
    let rows = select.query_map([], |row| {
        let state = row.get::<_, String>(2)?;
        Ok(Candidate {
            name: row.get(0)?,
            length: row.get::<_, i64>(1)?.max(0).cast_unsigned(),
            is_copy: state == "uploaded",
            is_waiting: state == "waiting",
            class: Class::of(&row.get::<_, String>(3)?),
            // No name of a site, box or camera has a comma.
            cameras: row
                .get::<_, Option<String>>(4)?
                .map_or_else(Vec::new, |all| all.split(',').map(str::to_owned).collect()),
        })
    })?;
    let mut found: Vec<Candidate> = rows.collect::<rusqlite::Result<_>>()?;
    found.retain(|file| !held.contains(&file.name) && (!file.is_waiting || file.class <= class));
    // Within the same state by class, and within that the oldest first.
    found.sort_by_key(|file| (!file.is_copy, file.is_waiting, file.class));
    Ok(found)
}

/// Bytes of files that may be given up for something of this class.
pub(super) fn may_go(state: &State, class: Class) -> u64 {
    let files = candidates(state, class).unwrap_or_default();
    files.iter().map(|file| file.length).sum::<u64>() + state.damaged_bytes
}

fn locked_bytes(database: &Database) -> u64 {
    let query = format!("SELECT coalesce(sum(length), 0) FROM evidence WHERE {IS_LOCKED}");
    number(database, &query)
}

/// Bytes of messages that the centre has.
fn kept_bytes(database: &Database) -> u64 {
    let query = "SELECT coalesce(sum(length(CAST(envelope AS BLOB))), 0) FROM outbox
        WHERE sequence <= (SELECT through FROM receipted)";
    number(database, query)
}

fn number(database: &Database, query: &str) -> u64 {
    let number: rusqlite::Result<i64> = database.connection.query_row(query, [], |row| row.get(0));
    number.unwrap_or(0).max(0).cast_unsigned()
}

/// Forgets messages that the centre has, oldest first, until so many bytes of
/// the database are free again; how many became so.
fn drop_kept(database: &Database, wanted: u64) -> u64 {
    let before = database.bytes().unwrap_or(0);
    let mut freed = 0;
    while freed < wanted && matches!(database.drop_kept(), Ok(1..)) {
        freed = before.saturating_sub(database.bytes().unwrap_or(before));
    }
    freed
}
