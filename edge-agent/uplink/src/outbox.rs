//! What happened and the centre does not have yet.
//!
//! [`Outbox::append_event`] has put the event on the disk when it returns, in
//! a sequence without gaps. Only the centre's receipt for *this* outbox
//! takes it from what is sent, and it stays for a while even then: a centre may
//! be restored from a backup ([`DiskBudget::keep_receipted`]). When the disk takes
//! nothing more, evidence is given up in the order of [`crate::budget`], and if
//! that does not help the event waits in memory, is written as soon as it can be,
//! and the trouble is reported.
//!
//! Reading order: `writing` → `sending` → `receipts` → `status`; `files` has the
//! evidence, `room` the budget, `locking` what holds it, `gone` what will never come of
//! it, `owed` and `case` what is still to come of an event, `trouble` and `error` the
//! words for what goes wrong, `newest` what a clock is judged by.
//!
//! It is cheap to clone and safe to share: one SQLite connection behind one
//! lock. A call waits for a disk sync, some milliseconds on an SSD and up to a
//! few hundred on a tired SD card; do not call it from a decoder's thread.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::evidence::EvidenceRole;
use protocol::{
    BoxId, CameraId, Digest, Event, EventTime, EvidenceItem, EvidenceLocks, EvidenceManifest,
    SiteId, topic,
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::budget::DiskBudget;
use crate::database::{self, Database, Message};
use crate::ledger::{self, Entry};
use crate::{envelope, evidence};

mod case;
mod error;
mod files;
mod gone;
mod locking;
mod newest;
mod owed;
mod receipts;
mod room;
mod sending;
mod status;
mod trouble;
mod writing;

pub use case::CaseDraft;
pub use error::OutboxError;
pub(crate) use files::Upload;
pub(crate) use gone::SCHEMA as GONE_SCHEMA;
pub use receipts::ReceiptOutcome;
pub(crate) use sending::Outgoing;
pub use status::OutboxStatus;

/// Evidence given up at a time when the disk is full: enough for some hundred events.
const RELIEF_BYTES: u64 = 1 << 20;

/// See the [module](self).
#[derive(Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    budget: DiskBudget,
    /// Which opening of the outbox this is.
    run: Uuid,
    state: Mutex<State>,
    /// Rung for the link after each append.
    appended: Notify,
    /// Rung for the uploader after each new file.
    stored: Condvar,
    /// Highest sequence that may have left this box.
    sent: AtomicU64,
}

struct State {
    database: Database,
    /// The file went bad and could not be replaced yet: `database` is an empty
    /// stand-in in memory, and the next write tries again.
    is_closed: bool,
    /// Events that the disk did not take yet, oldest first.
    in_memory: VecDeque<Message>,
    /// The centre's word of locks that the disk did not take yet.
    locks: Option<EvidenceLocks>,
    evidence_bytes: u64,
    evidence_sacrificed: u64,
    /// The same by class of file.
    sacrificed: BTreeMap<&'static str, u64>,
    /// Files that there was no room for, by class.
    not_stored: BTreeMap<&'static str, u64>,
    /// The damaged file that is kept.
    damaged_bytes: u64,
    /// Messages that could not be sent, or not in full.
    unsendable_bytes: u64,
    compact_failed: Option<Instant>,
    events_lost: u64,
    receipted: u64,
    went_back: u64,
    went_back_at: Option<Instant>,
    /// When the centre last spoke from another opening.
    opened_at: Option<Instant>,
    /// One that was too soon after another, and is not dealt with yet.
    opening_owed: Option<Uuid>,
    receipts_refused: u64,
    set_aside: u64,
    messages_refused: u64,
    evidence_missing: u64,
    renumbered: bool,
    /// What is wanting now.
    shortage: trouble::Shortage,
    /// What a damaged file became, until the next start.
    damaged: Option<database::Salvage>,
}

impl Outbox {
    /// Whether there is an outbox in `dir`. Only looks: makes nothing, opens nothing.
    pub fn is_in(dir: &Path) -> bool {
        database::is_in(dir)
    }

    /// Where the outbox in `dir` keeps the file of this hash, while it has it.
    pub fn evidence_path(dir: &Path, digest: &Digest) -> PathBuf {
        evidence::path_of(dir, digest)
    }

    /// Opens the outbox in `dir`, and makes both when they are not there.
    ///
    /// A damaged database is set aside and replaced; see [`Self::trouble`].
    pub fn open(dir: &Path, budget: DiskBudget) -> Result<Self, OutboxError> {
        std::fs::create_dir_all(dir).map_err(|e| OutboxError::file(dir, e))?;
        let (database, damaged) = Database::open(dir)?;
        let outbox = Self {
            inner: Arc::new(Inner {
                dir: dir.to_owned(),
                budget,
                // What is there may have been sent by an earlier process.
                sent: AtomicU64::new(database.span().map_err(|e| OutboxError::of(dir, e))?.last),
                state: Mutex::new(State {
                    database,
                    is_closed: false,
                    in_memory: VecDeque::new(),
                    locks: None,
                    evidence_bytes: 0,
                    evidence_sacrificed: 0,
                    sacrificed: BTreeMap::new(),
                    not_stored: BTreeMap::new(),
                    damaged_bytes: database::damaged_bytes(dir),
                    unsendable_bytes: sending::unsendable_bytes(dir),
                    compact_failed: None,
                    events_lost: 0,
                    receipted: 0,
                    went_back: 0,
                    went_back_at: None,
                    opened_at: None,
                    opening_owed: None,
                    receipts_refused: 0,
                    set_aside: 0,
                    messages_refused: 0,
                    evidence_missing: 0,
                    renumbered: false,
                    shortage: trouble::Shortage::default(),
                    damaged: damaged.clone(),
                }),
                run: database::random_uuid(),
                appended: Notify::new(),
                stored: Condvar::new(),
            }),
        };
        if let Some(damaged) = damaged {
            tracing::error!(aside = %damaged.aside.display(), rows = damaged.rows, "the damaged outbox file was set aside and a new one made; messages copied from it will be sent again");
        }
        while let Err(error) = outbox.reconcile_evidence() {
            // The rows of files want room, too; and among files without rows the
            // database cannot choose.
            let is_full = matches!(error, OutboxError::DiskFull { .. });
            let mut state = outbox.lock();
            let is_relieved = is_full
                && (outbox.sacrifice(&mut state, RELIEF_BYTES, room::Class::Case) > 0
                    || database::relieve(dir, &state.database));
            drop(state);
            if !is_relieved {
                return Err(error);
            }
        }
        outbox.lock().damaged_bytes = database::damaged_bytes(dir);
        Ok(outbox)
    }

    /// Stores an event; its sequence. It is on the disk when this returns, and
    /// so is whether it goes on ([`Self::open_events`]).
    pub fn append_event(&self, event: &Event, observed: EventTime) -> Result<u64, OutboxError> {
        let topic = topic::event(&event.site, &event.box_id, &event.camera);
        let entries = ledger::entries_of(event);
        self.append::<_, Event>(topic, &envelope::of_event(event, observed), entries)
    }

    /// Stores which files belong to an event; its sequence.
    pub fn append_evidence(
        &self,
        camera: (&SiteId, &BoxId, &CameraId),
        manifest: &EvidenceManifest,
        observed: EventTime,
    ) -> Result<u64, OutboxError> {
        let topic = topic::event(camera.0, camera.1, camera.2);
        self.append::<_, EvidenceManifest>(
            topic,
            &envelope::of_evidence(camera, manifest, observed),
            vec![Entry::Settle(manifest.event)],
        )
    }

    /// Says which files of an event are there already, while more are to follow:
    /// its evidence stays owed. The message's sequence.
    pub fn announce_evidence(
        &self,
        camera: (&SiteId, &BoxId, &CameraId),
        manifest: &EvidenceManifest,
        observed: EventTime,
    ) -> Result<u64, OutboxError> {
        let topic = topic::event(camera.0, camera.1, camera.2);
        let envelope = envelope::of_evidence(camera, manifest, observed);
        let whose = format!("{}/{}/{}", camera.0, camera.1, camera.2);
        let entries = manifest.items.iter().map(|item| Entry::Of {
            digest: item.sha256,
            camera: whose.clone(),
            event: manifest.event,
        });
        self.append::<_, EvidenceManifest>(topic, &envelope, entries.collect())
    }

    /// Stores a file of evidence and queues it for upload.
    pub fn put_evidence(
        &self,
        bytes: &[u8],
        role: EvidenceRole,
        media_type: &str,
        captured: EventTime,
    ) -> Result<EvidenceItem, OutboxError> {
        let sha256 = evidence::digest_of(bytes);
        self.store_file(&sha256, bytes, media_type)?;
        Ok(EvidenceItem {
            role,
            sha256,
            length: bytes.len() as u64,
            media_type: media_type.to_owned(),
            captured,
            until: None,
            asked: None,
            note: None,
        })
    }

    /// Which outbox this is.
    pub fn id(&self) -> Uuid {
        self.lock().database.id
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave SQLite half-written; go on.
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn named<T>(&self, result: rusqlite::Result<T>) -> Result<T, OutboxError> {
        result.map_err(|e| OutboxError::of(&self.inner.dir, e))
    }

    fn file_path(&self, digest: &Digest) -> PathBuf {
        evidence::path_of(&self.inner.dir, digest)
    }

    /// Waits for a new file, or `patience`.
    pub(crate) fn wait_for_file(&self, patience: Duration) {
        let state = self.lock();
        drop(
            self.inner
                .stored
                .wait_timeout(state, patience)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Wakes everything that waits for a file, for shutdown.
    pub(crate) fn wake_uploaders(&self) {
        self.inner.stored.notify_all();
    }
}

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod kept_tests;
#[cfg(test)]
mod lock_tests;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::samples;
