//! Why an outbox could not do what it was asked, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use protocol::envelope::MAX_ENVELOPE_BYTES;
use rusqlite::ErrorCode;

/// Why something could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The folder or a file in it could not be used.
    #[error(
        "outbox {path}: {source}; check that the folder exists, is writable and not on a failing disk"
    )]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite failed in a way that no other variant names.
    #[error("outbox {path}: {source}; check the disk (`dmesg`, `df`), then start the agent again")]
    Database {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// Another process has it.
    #[error(
        "outbox {path} is in use; another edge-agent runs on it, stop that one or give this one its own folder"
    )]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The file was written by a later version.
    #[error(
        "outbox {path} was written by a newer edge-agent ({found}); install that version, or move the file away"
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// What it says of itself.
        found: String,
    },
    /// The disk takes nothing more.
    #[error("outbox {path}: the disk is full and no evidence is left to give up; free some space. {}", if *.kept { "the event waits in memory and will be written when there is room" } else { "nothing was stored" })]
    DiskFull {
        /// Which.
        path: PathBuf,
        /// Whether it was kept in memory; then do not append it again.
        kept: bool,
    },
    /// The disk failed, and the event waits in memory.
    #[error(
        "outbox {path}: {source}; the event waits in memory and will be written when the disk answers again, check it (`dmesg`)"
    )]
    Waiting {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// Memory is full as well.
    #[error(
        "outbox {path}: the disk takes nothing and {held} events already wait in memory; this event is lost, free some space now"
    )]
    Lost {
        /// Which.
        path: PathBuf,
        /// How many wait.
        held: usize,
    },
    /// The message would be refused by the centre.
    #[error(
        "message {id} has {bytes} bytes and the centre takes at most {MAX_ENVELOPE_BYTES}; shorten the rule's paths or facts"
    )]
    TooLarge {
        /// Envelope id.
        id: String,
        /// Its size.
        bytes: usize,
    },
    /// The message could not be read by the centre.
    #[error(
        "message {id} cannot be read back: {source}; a number in it is not finite, report the rule that made it"
    )]
    Unreadable {
        /// Envelope id.
        id: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The case of an event cannot be signed.
    #[error("event {event}: {source}")]
    NotSealed {
        /// Whose case.
        event: protocol::EventId,
        /// Why.
        source: case_bundle::sealed::SealError,
    },
    /// What may not be given up leaves no room in the budget for a file of evidence.
    #[error(
        "evidence of {bytes} bytes is not stored: of the outbox's budget of {budget} bytes {locked} are locked evidence and {other} messages; mend the network, release locks at the centre, or raise `store.budget_mib`"
    )]
    NoRoom {
        /// Its size.
        bytes: u64,
        /// [`max_bytes`](crate::DiskBudget::max_bytes).
        budget: u64,
        /// Evidence that the centre has locked.
        locked: u64,
        /// The database and what is kept beside it.
        other: u64,
    },
    /// A file of evidence is larger than the whole budget.
    #[error(
        "evidence of {bytes} bytes does not fit the outbox's budget of {budget} bytes; raise the budget or shorten the clip"
    )]
    OverBudget {
        /// Its size.
        bytes: u64,
        /// [`max_bytes`](crate::DiskBudget::max_bytes).
        budget: u64,
    },
}

impl OutboxError {
    /// Whether the message waits in memory all the same: it counts, is written
    /// when the disk takes it, and must not be appended again.
    pub fn is_kept(&self) -> bool {
        matches!(
            self,
            Self::DiskFull { kept: true, .. } | Self::Waiting { .. }
        )
    }

    /// Whether evidence was refused because there is no room for it.
    pub fn is_want_of_room(&self) -> bool {
        matches!(
            self,
            Self::DiskFull { kept: false, .. } | Self::NoRoom { .. } | Self::OverBudget { .. }
        )
    }

    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { path },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path, kept: false },
            Some(ErrorCode::SchemaChanged) => Self::Newer {
                path,
                found: source.to_string(),
            },
            _ => Self::Database { path, source },
        }
    }
}
