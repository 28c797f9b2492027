//! What happened and the centre does not have yet.
//!
//! [`Outbox::append_event`] has put the event on the disk when it returns, in
//! a sequence without gaps. Only the centre's receipt for *this* outbox
//! takes it from what is sent, and it stays for a while even then: a centre may
//! be restored from a backup ([`DiskBudget::keep_receipted`]). When the disk takes nothing more, evidence is given up in the
//! order of [`crate::budget`], and if that does not help the event waits in
//! memory, is written as soon as it can be, and the trouble is reported.
//!
//! It is cheap to clone and safe to share: one SQLite connection behind one
//! lock. A call waits for a disk sync, some milliseconds on an SSD and up to a
//! few hundred on a tired SD card; do not call it from a decoder's thread.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::envelope::{Delivery, MAX_ENVELOPE_BYTES};
use protocol::evidence::EvidenceRole;
use protocol::status::OutboxPosition;
use protocol::{
    BoxId, CameraId, Digest, Envelope, Event, EventTime, EvidenceItem, EvidenceManifest, Receipt,
    SiteId, topic,
};
use rusqlite::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::budget::DiskBudget;
use crate::database::{self, Database, Message, Span, Stored};
use crate::ledger::{self, Entry};
use crate::{clock, envelope, evidence};

mod case;
mod error;
mod files;
mod owed;
mod trouble;

pub use case::CaseDraft;
pub use error::OutboxError;
pub(crate) use files::Upload;

/// Room left in the largest envelope for what is added at sending.
const DELIVERY_BYTES: usize = 512;
/// Messages from memory written in one transaction.
const CHUNK: usize = 256;
/// Where messages go that cannot be sent, or not in full.
const UNSENDABLE: &str = "unsendable";
/// Whole copies kept there of messages that were sent with less in them.
const MOST_KEPT: usize = 200;
/// A centre may say that it lost something only so often.
const BACK_AGAIN: Duration = Duration::from_secs(10);
/// Evidence given up at a time when the disk is full: enough for some hundred events.
const RELIEF_BYTES: u64 = 1 << 20;

/// What an outbox holds and has done, for metrics and health pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Which outbox.
    pub id: Uuid,
    /// Messages on the disk that the centre has not receipted.
    pub waiting: u64,
    /// Messages that it has receipted, kept for a centre that loses them.
    pub kept: u64,
    /// Events in memory because the disk takes none.
    pub in_memory: u64,
    /// The last sequence given; 0 for none.
    pub last_sequence: u64,
    /// Files not yet at the centre.
    pub evidence_waiting: u64,
    /// Files that the centre refused for good.
    pub evidence_refused: u64,
    /// Bytes of evidence on the disk, uploaded copies included.
    pub evidence_bytes: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Files given up before they were uploaded, since the start.
    pub evidence_sacrificed: u64,
    /// Events lost because disk and memory were full, since the start.
    pub events_lost: u64,
    /// Messages that the centre receipted, since the start.
    pub receipted: u64,
    /// Times that the centre had lost what it had receipted, since the start.
    pub went_back: u64,
    /// Receipts not believed, since the start.
    pub receipts_refused: u64,
    /// Messages that cannot be sent in any form, now in `unsendable/`, since the start.
    pub set_aside: u64,
    /// Messages refused at [`Outbox::append_event`] or [`Outbox::append_evidence`]
    /// because the centre could not take them, since the start.
    pub messages_refused: u64,
    /// Files that were gone from the disk when it was their turn, since the start.
    pub evidence_missing: u64,
    /// Events on the disk that go on.
    pub open_events: u64,
    /// Events on the disk whose evidence is neither announced nor given up.
    pub evidence_due: u64,
}

/// What a receipt did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// Everything up to `through` need not be sent again.
    Taken {
        /// As in the receipt.
        through: u64,
        /// Messages that waited for it.
        receipted: u64,
    },
    /// It says less than an earlier one, and is older or too soon after the last
    /// of its kind; ignored.
    Stale,
    /// It says less than an earlier one and is newer: the centre was restored
    /// from a backup. What is still held of what it lost waits again.
    WentBack {
        /// Messages that wait again.
        again: u64,
        /// Messages that are not held any more.
        gone: u64,
    },
    /// It is for another outbox; ignored.
    Stranger,
    /// It is for this outbox, and says that another agent speaks for this box.
    SecondAgent(Uuid),
    /// It speaks of messages that were not sent; refused.
    NotSent,
    /// It speaks of messages that this outbox never had: the file was replaced
    /// by an old copy. What waits was given a new outbox id and new sequences.
    Renumbered,
}

/// Messages to send, and what to write on them.
#[derive(Debug)]
pub(crate) struct Batch {
    outbox: Uuid,
    floor: u64,
    messages: Vec<(u64, Stored)>,
}

/// One message ready to publish.
pub(crate) struct Outgoing {
    pub(crate) sequence: u64,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

impl Batch {
    /// The messages with their delivery written in.
    pub(crate) fn into_messages(
        self,
    ) -> impl Iterator<Item = Result<Outgoing, (u64, serde_json::Error)>> {
        let Self {
            outbox,
            floor,
            messages,
        } = self;
        messages.into_iter().map(move |(sequence, stored)| {
            let delivery = Delivery {
                outbox,
                sequence,
                sequencefloor: floor,
            };
            let payload = envelope::seal(&stored.envelope, delivery).map_err(|e| (sequence, e))?;
            Ok(Outgoing {
                sequence,
                topic: stored.topic,
                payload,
            })
        })
    }
}

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
    /// Events that the disk did not take yet, oldest first.
    in_memory: VecDeque<Message>,
    evidence_bytes: u64,
    evidence_sacrificed: u64,
    /// The same by class of file.
    sacrificed: BTreeMap<&'static str, u64>,
    events_lost: u64,
    receipted: u64,
    went_back: u64,
    went_back_at: Option<Instant>,
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
                    in_memory: VecDeque::new(),
                    evidence_bytes: 0,
                    evidence_sacrificed: 0,
                    sacrificed: BTreeMap::new(),
                    events_lost: 0,
                    receipted: 0,
                    went_back: 0,
                    went_back_at: None,
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
        outbox.reconcile_evidence()?;
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
        self.append::<_, EvidenceManifest>(topic, &envelope, Vec::new())
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

    /// Messages that the centre has not receipted, those in memory included.
    pub fn waiting(&self) -> u64 {
        let status = self.status();
        status.waiting + status.in_memory
    }

    /// Which outbox this is.
    pub fn id(&self) -> Uuid {
        self.lock().database.id
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Numbers for metrics. A number that cannot be read is 0.
    pub fn status(&self) -> OutboxStatus {
        let state = self.lock();
        let span = state.database.span().unwrap_or(Span {
            held: 1,
            floor: 1,
            last: 0,
        });
        let count = |wanted| state.database.files_in(wanted).unwrap_or(0);
        let (open_events, evidence_due) =
            ledger::counts(&state.database.connection).unwrap_or_default();
        OutboxStatus {
            id: state.database.id,
            waiting: (span.last + 1).saturating_sub(span.floor),
            kept: span.floor - span.held,
            in_memory: state.in_memory.len() as u64,
            last_sequence: span.last,
            evidence_waiting: count("waiting"),
            evidence_refused: count("refused"),
            evidence_bytes: state.evidence_bytes,
            database_bytes: state.database.bytes().unwrap_or(0),
            evidence_sacrificed: state.evidence_sacrificed,
            events_lost: state.events_lost,
            receipted: state.receipted,
            went_back: state.went_back,
            receipts_refused: state.receipts_refused,
            set_aside: state.set_aside,
            messages_refused: state.messages_refused,
            evidence_missing: state.evidence_missing,
            open_events,
            evidence_due,
        }
    }

    /// Files given up before they were uploaded, since the start, by class:
    /// `clip`, `other`, `still`, `case`.
    pub fn sacrificed(&self) -> BTreeMap<&'static str, u64> {
        self.lock().sacrificed.clone()
    }

    /// Takes the centre's word that it has everything up to `receipt.through`.
    pub fn take_receipt(&self, receipt: &Receipt) -> Result<ReceiptOutcome, OutboxError> {
        let mut state = self.lock();
        if receipt.outbox != state.database.id {
            return Ok(ReceiptOutcome::Stranger);
        }
        if let Some(other) = receipt.refused_for {
            return Ok(ReceiptOutcome::SecondAgent(other));
        }
        let span = self.named(state.database.span())?;
        let last = span.last;
        if receipt.through > last {
            state.receipts_refused += 1;
            tracing::error!(
                security = "receipt_never_held",
                through = receipt.through,
                last,
                "the centre has messages of this outbox that it never held: the file was replaced by an older copy, or the disk forgot a write"
            );
            // Once per start: a centre that is simply wrong must not make us send everything for ever.
            if std::mem::replace(&mut state.renumbered, true) {
                return Ok(ReceiptOutcome::NotSent);
            }
            self.named(state.database.renumber())?;
            self.inner.sent.store(0, Ordering::SeqCst);
            return Ok(ReceiptOutcome::Renumbered);
        }
        let sent = self.inner.sent.load(Ordering::SeqCst);
        if receipt.through > sent {
            state.receipts_refused += 1;
            tracing::warn!(
                security = "receipt_not_sent",
                through = receipt.through,
                sent,
                "receipt for messages that were not sent; refused, they will be sent"
            );
            return Ok(ReceiptOutcome::NotSent);
        }
        let (known, at) = self.named(state.database.receipted())?;
        if receipt.through < known {
            return self.take_lesser_receipt(&mut state, receipt, (known, at));
        }
        let receipted = (receipt.through + 1).saturating_sub(span.floor);
        if receipt.through > known {
            let now = clock::now();
            let kept = state.database.receipt(receipt.through, receipt.at, now);
            // On a full disk the freed pages may be what waiting events need.
            if kept.is_err() || !state.in_memory.is_empty() {
                self.named(state.database.delete_through(receipt.through))?;
            }
        }
        state.receipted += receipted;
        if receipted > 0 && !state.in_memory.is_empty() && self.write_in_memory(&mut state).is_ok()
        {
            self.inner.appended.notify_one();
        }
        Ok(ReceiptOutcome::Taken {
            through: receipt.through,
            receipted,
        })
    }

    /// A receipt that says less than an earlier one: one that was long under
    /// way, or the word of a centre that was restored from a backup.
    fn take_lesser_receipt(
        &self,
        state: &mut State,
        receipt: &Receipt,
        (known, at): (u64, EventTime),
    ) -> Result<ReceiptOutcome, OutboxError> {
        let is_too_soon = state
            .went_back_at
            .is_some_and(|last| last.elapsed() < BACK_AGAIN);
        if receipt.at <= at || is_too_soon {
            return Ok(ReceiptOutcome::Stale);
        }
        let now = clock::now();
        self.named(state.database.unreceipt(receipt.through, receipt.at, now))?;
        state.went_back += 1;
        state.went_back_at = Some(Instant::now());
        let floor = self.named(state.database.span())?.floor;
        let gone = floor - (receipt.through + 1);
        let again = (known + 1).saturating_sub(floor);
        tracing::error!(
            through = receipt.through,
            receipted = known,
            again,
            gone,
            "the centre has lost messages that it had receipted, as after a restored backup; what is still held is sent again"
        );
        self.inner.stored.notify_all();
        Ok(ReceiptOutcome::WentBack { again, gone })
    }

    /// Where this outbox stands, for the box's status.
    pub(crate) fn position(&self) -> Result<OutboxPosition, OutboxError> {
        let state = self.lock();
        let span = self.named(state.database.span())?;
        Ok(OutboxPosition {
            id: state.database.id,
            run: self.inner.run,
            floor: span.held,
            receipted: span.floor - 1,
        })
    }

    /// Tries again to write what waits in memory; whether nothing waits there now.
    pub fn retry_in_memory(&self) -> bool {
        let mut state = self.lock();
        if state.in_memory.is_empty() {
            return true;
        }
        match self.write_in_memory(&mut state) {
            Ok(_) => {
                tracing::info!(
                    "the disk takes events again; all that waited in memory are written"
                );
                self.inner.appended.notify_one();
                true
            }
            Err(_) => false,
        }
    }

    /// Messages from `from` on, at most `limit`.
    pub(crate) fn batch(&self, from: u64, limit: usize) -> Result<Batch, OutboxError> {
        let state = self.lock();
        let span = self.named(state.database.span())?;
        Ok(Batch {
            outbox: state.database.id,
            floor: span.held,
            messages: self.named(state.database.read(from.max(span.floor), limit))?,
        })
    }

    /// The lowest sequence without a receipt, or the next one to be given.
    pub(crate) fn floor(&self) -> Result<u64, OutboxError> {
        self.named(self.lock().database.span())
            .map(|span| span.floor)
    }

    /// Remembers that everything up to `sequence` may have left the box.
    pub(crate) fn mark_sent(&self, sequence: u64) {
        self.inner.sent.fetch_max(sequence, Ordering::SeqCst);
    }

    /// Moves a message that cannot be sent out of the way, into `unsendable/`
    /// beside the database. Only the lowest one: the centre accepts a hole
    /// below `sequencefloor`, and none above.
    pub(crate) fn set_aside(&self, sequence: u64) -> Result<bool, OutboxError> {
        let mut state = self.lock();
        if sequence != self.named(state.database.span())?.floor {
            return Ok(false);
        }
        let file = self.aside(&state, sequence)?;
        // With what is kept below it: a hole above `sequencefloor` would never
        // be receipted.
        self.named(state.database.delete_through(sequence))?;
        state.set_aside += 1;
        tracing::error!(file = %file.display(), sequence, "a message of the outbox could not be sent and was set aside");
        Ok(true)
    }

    /// Copies a message that is sent with less in it to where those that
    /// cannot be sent go; once, and not without end.
    pub(crate) fn keep_whole(&self, sequence: u64) -> Result<(), OutboxError> {
        let state = self.lock();
        let folder = self.inner.dir.join(UNSENDABLE);
        let kept = std::fs::read_dir(&folder).map_or(0, Iterator::count);
        if kept < MOST_KEPT {
            self.aside(&state, sequence)?;
        }
        Ok(())
    }

    fn aside(&self, state: &State, sequence: u64) -> Result<PathBuf, OutboxError> {
        let folder = self.inner.dir.join(UNSENDABLE);
        let file = folder.join(format!("{}-{sequence}", state.database.id));
        if let Some((found, stored)) = self.named(state.database.read(sequence, 1))?.pop()
            && found == sequence
            && !file.exists()
        {
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(&file, stored.envelope))
                .map_err(|e| OutboxError::file(&file, e))?;
        }
        Ok(file)
    }

    /// Returns when something was appended since the last call.
    pub(crate) async fn appended(&self) {
        self.inner.appended.notified().await;
    }

    fn append<T: Serialize, Read: DeserializeOwned>(
        &self,
        topic: String,
        envelope: &Envelope<T>,
        entries: Vec<Entry>,
    ) -> Result<u64, OutboxError> {
        let text = Self::written::<_, Read>(envelope)
            .inspect_err(|_| self.lock().messages_refused += 1)?;
        let message = Message {
            stored: Stored {
                topic,
                envelope: text,
            },
            entries,
        };
        let mut state = self.lock();
        let sequence = self.append_message(&mut state, message)?;
        drop(state);
        self.inner.appended.notify_one();
        Ok(sequence)
    }

    fn append_message(&self, state: &mut State, message: Message) -> Result<u64, OutboxError> {
        if state.in_memory.len() >= self.inner.budget.max_in_memory {
            // One more chance before it is lost.
            if self.write_in_memory(state).is_err() {
                state.events_lost += 1;
                state.shortage.lost_event();
                return Err(OutboxError::Lost {
                    path: self.inner.dir.clone(),
                    held: state.in_memory.len(),
                });
            }
        }
        state.in_memory.push_back(message);
        self.write_in_memory(state)
    }

    /// The envelope as text that the centre can take.
    fn written<T: Serialize, Read: DeserializeOwned>(
        envelope: &Envelope<T>,
    ) -> Result<String, OutboxError> {
        let unreadable = |source| OutboxError::Unreadable {
            id: envelope.id.clone(),
            source,
        };
        let text = serde_json::to_string(envelope).map_err(unreadable)?;
        if text.len() + DELIVERY_BYTES > MAX_ENVELOPE_BYTES {
            return Err(OutboxError::TooLarge {
                id: envelope.id.clone(),
                bytes: text.len(),
            });
        }
        // JSON writes a number that is not finite as `null`, which the centre
        // cannot read; found here it is one lost event, found there it would
        // be one that is sent again for ever.
        serde_json::from_str::<Envelope<Read>>(&text).map_err(unreadable)?;
        Ok(text)
    }

    /// Writes everything in memory, oldest first; the last sequence given.
    fn write_in_memory(&self, state: &mut State) -> Result<u64, OutboxError> {
        self.keep_budget(state, 0);
        let mut last = 0;
        let (mut rebuilt, mut recycled) = (false, false);
        let waiting = state.in_memory.iter();
        let bytes: usize = waiting.map(|message| message.stored.envelope.len()).sum();
        while !state.in_memory.is_empty() {
            let chunk = state.in_memory.len().min(CHUNK);
            match state.database.insert(state.in_memory.iter().take(chunk)) {
                Ok(sequence) => {
                    last = sequence;
                    state.in_memory.drain(..chunk);
                }
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                    let is_relieved = self.sacrifice(state, RELIEF_BYTES) > 0
                        || !std::mem::replace(&mut recycled, true) && state.database.recycle_log();
                    if !is_relieved {
                        return Err(OutboxError::DiskFull {
                            path: self.inner.dir.clone(),
                            kept: true,
                        });
                    }
                }
                Err(error) if database::is_damage(&error) && !rebuilt => {
                    rebuilt = true;
                    self.replace_damaged(state)?;
                }
                Err(source) => {
                    return Err(OutboxError::Waiting {
                        path: self.inner.dir.clone(),
                        source,
                    });
                }
            }
        }
        state.shortage.wrote_all(bytes as u64);
        self.file_cases(state);
        Ok(last)
    }

    /// The file went bad under a running agent: the same as finding it so at the start.
    fn replace_damaged(&self, state: &mut State) -> Result<(), OutboxError> {
        // An empty database in memory stands in while the file is closed.
        let path = &self.inner.dir;
        let stand_in =
            rusqlite::Connection::open_in_memory().map_err(|e| OutboxError::of(path, e))?;
        let damaged = std::mem::replace(&mut state.database.connection, stand_in);
        drop(damaged);
        let (database, salvage) = Database::open(path)?;
        self.inner.sent.store(
            database.span().map_err(|e| OutboxError::of(path, e))?.last,
            Ordering::SeqCst,
        );
        state.database = database;
        state.damaged = salvage.or(state.damaged.take());
        Ok(())
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
mod kept_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::samples;
