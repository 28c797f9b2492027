//! The one thread that writes.
//!
//! It takes what is queued, at most [`StoreSettings::batch_rows`] jobs or
//! [`StoreSettings::batch_wait`] after the first, and commits them together.
//! Only after the commit does anybody hear of it: PUBACKs, receipts, answers
//! to people, change numbers. When the commit fails (disk full, disk gone), the
//! messages are kept and tried again; their senders hear nothing, so the boxes
//! keep them too, and [`Health`] says so. People get an error at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use protocol::{BoxId, EventTime, Receipt, SiteId};
use rusqlite::{Connection, ErrorCode, Transaction};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::apply::{self, Applied, Numbers};
use super::{DecisionError, Job, StoreError, StoreSettings, decide, evidence};
use crate::clock;
use crate::health::Health;
use crate::inbox::{DeadLetter, Reason};
use crate::metrics::Metrics;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was new and is in.
    Taken,
    /// It had been here before, or an older state of the same thing.
    Duplicate,
    /// It is kept as a dead letter.
    Dead(Reason),
}

/// The news of a commit.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The sender's own number for the message.
    pub tag: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// What its box may forget; only on the last message of an outbox in a batch.
    pub receipt: Option<(SiteId, BoxId, Receipt)>,
}

/// Whom to tell of a commit.
#[derive(Clone, Debug)]
pub struct Done {
    /// Where the news goes. Unbounded, but there are never more than the
    /// sender's own unanswered messages in it.
    pub to: UnboundedSender<Committed>,
    /// The sender's own number for the message.
    pub tag: u64,
}

type OutboxKey = (SiteId, BoxId, Uuid);

/// What a batch has done so far.
#[derive(Default)]
struct Batch {
    through: BTreeMap<OutboxKey, (u64, usize)>,
    outcomes: Vec<(&'static str, Outcome, EventTime)>,
    beyond_recovery: u64,
}

pub(super) struct Writing {
    connection: Connection,
    settings: StoreSettings,
    metrics: Arc<Metrics>,
    health: Health,
    announce: watch::Sender<i64>,
    last_change: i64,
}

impl Writing {
    pub(super) fn new(
        mut connection: Connection,
        settings: StoreSettings,
        metrics: Arc<Metrics>,
        health: Health,
        announce: watch::Sender<i64>,
    ) -> Result<Self, StoreError> {
        let last: i64 =
            connection.query_row("SELECT value FROM change_counter", [], |row| row.get(0))?;
        let mut numbers = Numbers::after(last);
        let tx = connection.transaction()?;
        apply::left_behind(&tx, &mut numbers)?;
        close(&tx, &numbers)?;
        tx.commit()?;
        let last_change = numbers.last();
        announce.send_replace(last_change);
        Ok(Self {
            connection,
            settings,
            metrics,
            health,
            announce,
            last_change,
        })
    }

    /// Works until every [`super::Store`] is gone and the queue is empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        // A clock for `timeout`; nothing else runs on it.
        let waiting = match tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                self.health.store_failed(&error.to_string());
                return;
            }
        };
        let mut jobs = Vec::with_capacity(self.settings.batch_rows);
        while waiting.block_on(gather(&mut queue, &mut jobs, self.settings)) {
            while !jobs.is_empty() {
                if let Err(error) = self.commit(&mut jobs) {
                    self.trouble(&error, &mut jobs);
                    let is_closed = waiting.block_on(pause(&mut queue, &mut jobs, self.settings));
                    if is_closed {
                        tracing::error!(
                            messages = jobs.len(),
                            "shutting down with messages that could not be committed; \
                             their boxes still have them"
                        );
                        return;
                    }
                }
            }
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the database did not close cleanly; it recovers at the next start");
        }
    }

    /// Commits everything in `jobs` and tells the news, or leaves `jobs` as it was.
    fn commit(&mut self, jobs: &mut Vec<Job>) -> Result<(), rusqlite::Error> {
        let begun = Instant::now();
        let mut numbers = Numbers::after(self.last_change);
        let mut batch = Batch::default();
        let mut decided = BTreeMap::new();
        let tx = self.connection.transaction()?;
        for (index, job) in jobs.iter().enumerate() {
            if let Some(result) = batch.apply(&tx, job, &mut numbers, self.settings)? {
                decided.insert(index, result);
            }
        }
        close(&tx, &numbers)?;
        tx.commit()?;
        let rows = jobs.len();
        self.last_change = numbers.last();
        self.health.store_works();
        batch.tell(jobs, decided);
        self.announce.send_replace(self.last_change);
        self.metrics.committed(rows, begun.elapsed());
        for (content, outcome, received) in batch.outcomes {
            self.metrics.message(content, outcome, received);
        }
        if batch.beyond_recovery > 0 {
            tracing::warn!(
                messages = batch.beyond_recovery,
                "boxes hold receipts for messages that are not in this database; \
                 was it restored from a backup?"
            );
            self.metrics.beyond_recovery.inc_by(batch.beyond_recovery);
        }
        Ok(())
    }

    /// Answers people with the error and keeps the messages; sorts out a
    /// message that the database will never take.
    fn trouble(&mut self, error: &rusqlite::Error, jobs: &mut Vec<Job>) {
        if is_about_the_row(error) {
            if let [only] = jobs.as_mut_slice() {
                bury(only, error);
                return;
            }
            // One of them is to blame: one transaction each finds out which.
            for job in std::mem::take(jobs) {
                let mut single = vec![job];
                if let Err(error) = self.commit(&mut single) {
                    if let ([only], true) = (single.as_mut_slice(), is_about_the_row(&error)) {
                        bury(only, &error);
                    }
                    jobs.append(&mut single);
                }
            }
            return;
        }
        if self.health.store_failed(&error.to_string()) {
            tracing::error!(
                %error,
                "cannot commit; messages wait and boxes get no receipts until it works. \
                 Look at free disk space and at the disk"
            );
        }
        self.metrics.failed_commits.inc();
        for job in std::mem::take(jobs) {
            match job {
                Job::Decide(_, reply) => {
                    answer(reply, Err(StoreError::Sqlite(copy(error)).into()));
                }
                Job::FileStored(_, reply) => answer(reply, Err(StoreError::Sqlite(copy(error)))),
                kept => jobs.push(kept),
            }
        }
    }
}

/// Waits for the first job and then a little for more; `false` when there will be none.
async fn gather(
    queue: &mut mpsc::Receiver<Job>,
    jobs: &mut Vec<Job>,
    settings: StoreSettings,
) -> bool {
    let rows = settings.batch_rows;
    if queue.recv_many(jobs, rows).await == 0 {
        return false;
    }
    let until = tokio::time::Instant::now() + settings.batch_wait;
    while jobs.len() < rows {
        match tokio::time::timeout_at(until, queue.recv_many(jobs, rows - jobs.len())).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    true
}

/// Waits before the next try, letting people in meanwhile so that they get an
/// answer; `true` when everybody else is gone.
async fn pause(
    queue: &mut mpsc::Receiver<Job>,
    jobs: &mut Vec<Job>,
    settings: StoreSettings,
) -> bool {
    let until = tokio::time::Instant::now() + settings.retry_wait;
    if jobs.is_empty() {
        // Only people were waiting, and they have been answered.
        return false;
    }
    while jobs.len() < settings.batch_rows {
        match tokio::time::timeout_at(until, queue.recv()).await {
            Ok(Some(job)) => jobs.push(job),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
    tokio::time::sleep_until(until).await;
    queue.is_closed() && queue.is_empty()
}

/// Writes down the last change number of the transaction.
fn close(tx: &Transaction<'_>, numbers: &Numbers) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE change_counter SET value = ?1")?
        .execute([numbers.last()])?;
    Ok(())
}

impl Batch {
    /// Applies one job; what people are to be told comes back.
    fn apply(
        &mut self,
        tx: &Transaction<'_>,
        job: &Job,
        numbers: &mut Numbers,
        settings: StoreSettings,
    ) -> rusqlite::Result<Option<Result<(), DecisionError>>> {
        let now = || clock::now().as_micros();
        match job {
            Job::Letter(letter, done) => {
                let applied = apply::letter(tx, letter, numbers)?;
                let key = (&letter.site, &letter.box_id, letter.delivery);
                self.note(&applied, Some(key), done.is_some());
                self.outcomes
                    .push((letter.content.name(), applied.outcome, letter.received));
            }
            Job::Dead(letter, done) => {
                let applied = apply::dead(tx, letter, settings.dead_letters)?;
                let key = letter
                    .owner
                    .as_ref()
                    .map(|(site, box_id)| (site, box_id, letter.delivery));
                self.note(&applied, key, done.is_some());
                self.outcomes
                    .push(("unknown", applied.outcome, letter.received));
            }
            Job::Arrived {
                will,
                whose,
                connection,
            } => apply::arrived(tx, (whose, *connection), will)?,
            Job::Left {
                whose,
                connection,
                in_disorder,
            } => apply::left(tx, (whose, *connection), *in_disorder, numbers)?,
            Job::Decide(decision, _) => {
                return match decide::decide(tx, decision, now(), numbers) {
                    Err(DecisionError::Store(StoreError::Sqlite(error))) => Err(error),
                    result => Ok(Some(result)),
                };
            }
            Job::FileStored(file, _) => evidence::stored(tx, file, numbers)?,
        }
        Ok(None)
    }

    fn note(
        &mut self,
        applied: &Applied,
        key: Option<(&SiteId, &BoxId, Option<protocol::envelope::Delivery>)>,
        is_awaited: bool,
    ) {
        // Messages are counted by their place, so that the receipt can go with
        // the last one of its outbox.
        let place = self.outcomes.len();
        if let (Some(progress), Some((site, box_id, Some(delivery)))) = (&applied.progress, key) {
            self.beyond_recovery += progress.beyond_recovery;
            if is_awaited {
                let key = (site.clone(), box_id.clone(), delivery.outbox);
                self.through.insert(key, (progress.through, place));
            }
        }
    }

    /// Tells everybody what is now committed.
    fn tell(&self, jobs: &mut Vec<Job>, mut decided: BTreeMap<usize, Result<(), DecisionError>>) {
        let at = clock::now();
        let mut receipts: BTreeMap<usize, (SiteId, BoxId, Receipt)> = self
            .through
            .iter()
            .map(|((site, box_id, outbox), (through, place))| {
                let receipt = Receipt {
                    outbox: *outbox,
                    through: *through,
                    at,
                };
                (*place, (site.clone(), box_id.clone(), receipt))
            })
            .collect();
        let mut place = 0;
        for (index, job) in jobs.drain(..).enumerate() {
            match job {
                Job::Letter(_, done) | Job::Dead(_, done) => {
                    if let Some(done) = done {
                        let committed = Committed {
                            tag: done.tag,
                            outcome: self.outcomes[place].1,
                            receipt: receipts.remove(&place),
                        };
                        // A sender that is gone does not need the news.
                        let _gone = done.to.send(committed).is_err();
                    }
                    place += 1;
                }
                Job::Decide(_, reply) => {
                    answer(reply, decided.remove(&index).unwrap_or(Ok(())));
                }
                Job::FileStored(_, reply) => answer(reply, Ok(())),
                Job::Arrived { .. } | Job::Left { .. } => {}
            }
        }
    }
}

/// Answers a person, who may have hung up.
fn answer<T>(reply: oneshot::Sender<T>, result: T) {
    let _hung_up = reply.send(result).is_err();
}

/// Whether the row is at fault and not the disk.
fn is_about_the_row(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::ParameterOutOfRange
        ),
        rusqlite::Error::ToSqlConversionFailure(_) => true,
        _ => false,
    }
}

/// Turns a letter that the database will never take into a dead letter.
fn bury(job: &mut Job, error: &rusqlite::Error) {
    let (dead, done) = match job {
        Job::Letter(letter, done) => (
            DeadLetter {
                topic: letter.source.clone(),
                owner: Some((letter.site.clone(), letter.box_id.clone())),
                reason: Reason::RefusedByStore,
                detail: error.to_string(),
                head: letter.body.slice(..letter.body.len().min(DeadLetter::HEAD)),
                length: letter.body.len(),
                delivery: letter.delivery,
                received: letter.received,
            },
            done.take(),
        ),
        _ => return,
    };
    *job = Job::Dead(Box::new(dead), done);
}

/// The same error again, for several listeners.
fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(failure, text) => {
            rusqlite::Error::SqliteFailure(*failure, text.clone())
        }
        other => rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(other.to_string()),
        ),
    }
}
