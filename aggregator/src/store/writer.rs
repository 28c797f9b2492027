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
use std::time::{Duration, Instant};

use protocol::{BoxId, Digest, EventTime, EvidenceLocks, Receipt, SiteId};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{broadcast, oneshot, watch};
use uuid::Uuid;

use super::apply::{self, Applied, Numbers};
use super::lock::FolderLock;
use super::set_aside::{self, Found, Which};
use super::{
    DecisionError, Job, Step, StoreError, StoreSettings, Whose, decide, evidence, locks, retention,
};
use crate::clock;
use crate::health::Health;
use crate::inbox::{Content, Reason};
use crate::metrics::Metrics;
use crate::stopping::Stopping;

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
    /// Which of its evidence is locked; when a box has said that it is there.
    pub locks: Option<(Whose, Vec<EvidenceLocks>)>,
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

/// How often it is looked whether the time of a message from the future has come.
const SECOND_CHANCES_EVERY: Duration = Duration::from_mins(1);

type OutboxKey = (SiteId, BoxId, Uuid);

/// What a batch has done so far.
#[derive(Default)]
struct Batch {
    through: BTreeMap<OutboxKey, (u64, usize)>,
    outcomes: Vec<(&'static str, Outcome, EventTime)>,
    beyond_recovery: u64,
    second_chances: u64,
    dropped: u64,
    /// By the place of the message.
    locks: BTreeMap<usize, (Whose, Vec<EvidenceLocks>)>,
    /// Boxes whose locks have changed.
    locked: Vec<Whose>,
    steps: BTreeMap<usize, Step>,
    count_of_locks: Option<i64>,
    doomed: BTreeMap<usize, Vec<Digest>>,
}

pub(super) struct Writing {
    connection: Connection,
    settings: StoreSettings,
    metrics: Arc<Metrics>,
    health: Health,
    announce: watch::Sender<i64>,
    announce_locks: broadcast::Sender<Whose>,
    /// Which opening of the database this is, for the receipts.
    opening: Uuid,
    /// Last, so that the folder is given up after the database is closed.
    _lock: FolderLock,
}

impl Writing {
    pub(super) fn new(
        (mut connection, lock): (Connection, FolderLock),
        settings: StoreSettings,
        metrics: Arc<Metrics>,
        health: Health,
        (announce, announce_locks): (watch::Sender<i64>, broadcast::Sender<Whose>),
    ) -> Result<Self, StoreError> {
        let tx = begin(&mut connection)?;
        let mut numbers = last_number(&tx)?;
        apply::left_behind(&tx, &mut numbers)?;
        close(&tx, &numbers)?;
        tx.commit()?;
        announce.send_replace(numbers.last());
        Ok(Self {
            connection,
            settings,
            metrics,
            health,
            announce,
            announce_locks,
            // Not random for secrecy, only for being another than the last one's.
            opening: Uuid::new_v5(
                &Uuid::NAMESPACE_OID,
                format!("{}/{}", std::process::id(), clock::now()).as_bytes(),
            ),
            _lock: lock,
        })
    }

    /// Works until it is told to stop and the queue is empty. `waiting` is a
    /// clock for the writer's time limits; nothing else runs on it.
    pub(super) fn run(
        mut self,
        waiting: &Runtime,
        mut queue: mpsc::Receiver<Job>,
        mut stopping: Stopping,
    ) {
        let mut jobs = Vec::with_capacity(self.settings.batch_rows);
        let mut is_failing = false;
        self.second_chances(Which::All, &stopping);
        let mut chances = Instant::now();
        while waiting.block_on(gather(&mut queue, &mut jobs, self.settings, &mut stopping)) {
            // While it fails it is tried even with nothing to do, or nobody
            // would learn that the disk works again.
            while !jobs.is_empty() || is_failing {
                is_failing = match self.commit(&mut jobs) {
                    Ok(()) => false,
                    Err(error) => self.trouble(&error, &mut jobs),
                };
                if is_failing && stopping.is_said() {
                    tracing::error!(
                        messages = jobs.len() + queue.len(),
                        "stopping with messages that could not be committed; \
                         their boxes still have them"
                    );
                    return;
                }
                if is_failing {
                    waiting.block_on(pause(&mut queue, &mut jobs, self.settings));
                }
            }
            if chances.elapsed() >= SECOND_CHANCES_EVERY {
                self.second_chances(Which::Due, &stopping);
                chances = Instant::now();
            }
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the database did not close cleanly; it recovers at the next start");
        }
    }

    /// Takes in what was set aside and can be taken now. What fails stays where
    /// it is, for the next time.
    fn second_chances(&mut self, which: Which, stopping: &Stopping) {
        let mut after = 0;
        while !stopping.is_said() {
            let found =
                set_aside::next(&self.connection, which, after, clock::now(), &self.settings);
            let (mut jobs, last) = match found {
                Ok(Found { jobs, last }) => (jobs, last),
                Err(error) => {
                    tracing::warn!(%error, "messages set aside cannot be read; they wait for the next start");
                    return;
                }
            };
            let Some(last) = last else { return };
            after = last;
            if jobs.is_empty() {
                continue;
            }
            let offered = jobs.len();
            if let Err(error) = self.commit(&mut jobs)
                && !(is_about_the_row(&error) && self.sort_out(&mut jobs))
            {
                tracing::warn!(%error, "messages set aside cannot be taken in yet");
                return;
            }
            tracing::info!(
                messages = offered,
                "messages that could not be taken when they came got their second chance"
            );
        }
    }

    /// Commits everything in `jobs` and tells the news, or leaves `jobs` as it was.
    fn commit(&mut self, jobs: &mut Vec<Job>) -> Result<(), rusqlite::Error> {
        let begun = Instant::now();
        let mut batch = Batch::default();
        let mut decided = BTreeMap::new();
        let tx = begin(&mut self.connection)?;
        let mut numbers = last_number(&tx)?;
        for (index, job) in jobs.iter().enumerate() {
            match job {
                Job::Sweep(sweep, _) => {
                    let step = retention::step(&tx, sweep, &mut numbers)?;
                    batch.count_of_locks = Some(locks::count(&tx)?);
                    batch.steps.insert(index, step);
                }
                Job::Erased(files, _) => {
                    retention::erased(&tx, files)?;
                    batch.doomed.insert(index, retention::to_erase(&tx)?);
                }
                _ => {
                    if let Some(result) = batch.apply(&tx, job, &mut numbers, self.settings)? {
                        decided.insert(index, result);
                    }
                }
            }
        }
        close(&tx, &numbers)?;
        tx.commit()?;
        let rows = jobs.len();
        self.health.store_works();
        // Whoever hears of the commit must find it on the stream and counted.
        self.announce.send_replace(numbers.last());
        self.metrics.committed(rows, begun.elapsed());
        for (content, outcome, received) in &batch.outcomes {
            self.metrics.message(content, *outcome, *received);
        }
        self.metrics.second_chances.inc_by(batch.second_chances);
        if batch.dropped > 0 {
            tracing::warn!(
                messages = batch.dropped,
                "too much is set aside that this centre cannot take; the oldest are lost. \
                 Is it older than its boxes?"
            );
            self.metrics.set_aside_dropped.inc_by(batch.dropped);
        }
        if batch.beyond_recovery > 0 {
            tracing::warn!(
                messages = batch.beyond_recovery,
                "boxes hold receipts for messages that are not in this database; \
                 was it restored from a backup?"
            );
            self.metrics.beyond_recovery.inc_by(batch.beyond_recovery);
        }
        if let Some(locks) = batch.count_of_locks {
            self.metrics.locks.set(locks);
        }
        for whose in std::mem::take(&mut batch.locked) {
            // Nobody listens when there is neither front door nor broker.
            let _alone = self.announce_locks.send(whose).is_err();
        }
        batch.tell(jobs, decided, self.opening);
        Ok(())
    }

    /// Deals with a failed commit; `true` when it is to be tried again later.
    ///
    /// A message that the database will never take is sorted out. For all
    /// else the disk is at fault: people are told, messages wait.
    fn trouble(&mut self, error: &rusqlite::Error, jobs: &mut Vec<Job>) -> bool {
        if is_about_the_row(error) && self.sort_out(jobs) {
            return false;
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
            jobs.extend(tell_people(job, error));
        }
        true
    }

    /// Commits one job at a time, which finds out the one to blame; `true`
    /// when all are dealt with.
    fn sort_out(&mut self, jobs: &mut Vec<Job>) -> bool {
        for job in std::mem::take(jobs) {
            let mut single = vec![job];
            if let Err(error) = self.commit(&mut single)
                && is_about_the_row(&error)
            {
                single = single
                    .into_iter()
                    .filter_map(|job| tell_people(job, &error))
                    .filter_map(|job| bury(job, &error))
                    .collect();
                if self.commit(&mut single).is_err() {
                    tracing::error!("the database refuses a message even as a dead letter");
                }
            }
            jobs.append(&mut single);
        }
        jobs.is_empty()
    }
}

/// Answers a person whose job failed; the jobs of boxes come back.
fn tell_people(job: Job, error: &rusqlite::Error) -> Option<Job> {
    match job {
        Job::Decide(_, reply) => answer(reply, Err(StoreError::Sqlite(copy(error)).into())),
        Job::FileStored(_, reply) => answer(reply, Err(StoreError::Sqlite(copy(error)))),
        Job::Erased(_, reply) => answer(reply, Err(StoreError::Sqlite(copy(error)))),
        Job::Sweep(_, reply) => answer(reply, Err(StoreError::Sqlite(copy(error)))),
        kept => return Some(kept),
    }
    None
}

/// Waits for the first job and then a little for more; `false` when there will be none.
async fn gather(
    queue: &mut mpsc::Receiver<Job>,
    jobs: &mut Vec<Job>,
    settings: StoreSettings,
    stopping: &mut Stopping,
) -> bool {
    let rows = settings.batch_rows;
    let mut nothing_came = std::pin::pin!(tokio::time::sleep(SECOND_CHANCES_EVERY));
    loop {
        let is_open = !queue.is_closed();
        tokio::select! {
            biased;
            count = queue.recv_many(jobs, rows) => match count {
                0 => return false,
                _ => break,
            },
            // To see whether the time of something set aside has come.
            () = &mut nothing_came => return true,
            // Nobody can queue more; what is queued still comes.
            () = stopping.said(), if is_open => queue.close(),
        }
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

/// Waits before the next try, taking more in meanwhile so that people get their
/// answer with it.
async fn pause(queue: &mut mpsc::Receiver<Job>, jobs: &mut Vec<Job>, settings: StoreSettings) {
    let until = tokio::time::Instant::now() + settings.retry_wait;
    while jobs.len() < settings.batch_rows {
        match tokio::time::timeout_at(until, queue.recv()).await {
            Ok(Some(job)) => jobs.push(job),
            Ok(None) => break,
            Err(_) => return,
        }
    }
    tokio::time::sleep_until(until).await;
}

/// Begins a transaction that will write: nobody else can between its reading
/// and its writing.
fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Where the change numbers are. Whatever happened to the counter (a restored
/// copy, somebody's tool), a number that is in use is never given out again.
fn last_number(tx: &Transaction<'_>) -> rusqlite::Result<Numbers> {
    tx.prepare_cached(
        "SELECT max(value,
            ifnull((SELECT max(change) FROM alerts), 0),
            ifnull((SELECT max(change) FROM cameras), 0),
            ifnull((SELECT max(change) FROM boxes), 0))
         FROM change_counter",
    )?
    .query_row([], |row| row.get(0))
    .map(Numbers::after)
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
                let applied = apply::letter(tx, letter, numbers, &settings)?;
                let whose = (&letter.site, &letter.box_id);
                self.note(&applied, Some(whose), done.is_some());
                if let (Content::Box(status), Some(_)) = (&letter.content, done)
                    && status.online
                {
                    let whose = (letter.site.clone(), letter.box_id.clone());
                    locks::tell(tx, now())?;
                    let locks = locks::of_box(tx, &whose)?;
                    self.locks.insert(self.outcomes.len(), (whose, locks));
                }
                self.outcomes
                    .push((letter.content.name(), applied.outcome, letter.received));
            }
            Job::Dead(letter, done) => {
                let applied = apply::dead(tx, letter, &settings)?;
                let whose = letter.owner.as_ref().map(|(site, box_id)| (site, box_id));
                self.dropped += applied.dropped;
                self.note(&applied, whose, done.is_some());
                self.outcomes
                    .push(("unknown", applied.outcome, letter.received));
            }
            Job::SecondChance { entry, letter } => {
                let applied = apply::letter(tx, letter, numbers, &settings)?;
                set_aside::done(tx, *entry)?;
                self.second_chances += u64::from(applied.outcome == Outcome::Taken);
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
                    Err(refused) => Ok(Some(Err(refused))),
                    Ok(told) => {
                        if told.is_some() {
                            self.count_of_locks = Some(locks::count(tx)?);
                        }
                        self.locked.extend(told);
                        Ok(Some(Ok(())))
                    }
                };
            }
            Job::FileStored(file, _) => evidence::stored(tx, file, numbers)?,
            // Their results are of other kinds; see `commit`.
            Job::Sweep(..) | Job::Erased(..) => {}
        }
        Ok(None)
    }

    fn note(&mut self, applied: &Applied, whose: Option<(&SiteId, &BoxId)>, is_awaited: bool) {
        // Messages are counted by their place, so that the receipt can go with
        // the last one of its outbox.
        let place = self.outcomes.len();
        if let (Some(progress), Some((site, box_id))) = (&applied.progress, whose) {
            self.beyond_recovery += progress.beyond_recovery;
            if is_awaited {
                let key = (site.clone(), box_id.clone(), progress.outbox);
                self.through.insert(key, (progress.through, place));
            }
        }
    }

    /// Tells everybody what is now committed.
    fn tell(
        &mut self,
        jobs: &mut Vec<Job>,
        mut decided: BTreeMap<usize, Result<(), DecisionError>>,
        opening: Uuid,
    ) {
        let at = clock::now();
        let mut receipts: BTreeMap<usize, (SiteId, BoxId, Receipt)> = self
            .through
            .iter()
            .map(|((site, box_id, outbox), (through, place))| {
                let receipt = Receipt {
                    outbox: *outbox,
                    through: *through,
                    at,
                    refused_for: None,
                    opening: Some(opening),
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
                            locks: self.locks.remove(&place),
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
                Job::Erased(_, reply) => {
                    answer(reply, Ok(self.doomed.remove(&index).unwrap_or_default()));
                }
                Job::Sweep(_, reply) => {
                    answer(reply, Ok(self.steps.remove(&index).unwrap_or_default()));
                }
                Job::SecondChance { .. } | Job::Arrived { .. } | Job::Left { .. } => {}
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
        // Numbering is ours: a message is not to blame for a number given twice.
        rusqlite::Error::SqliteFailure(failure, Some(text))
            if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                && text.ends_with(".change") =>
        {
            false
        }
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

/// Turns a letter that the database will never take into a dead letter; one
/// that was set aside stays there.
fn bury(job: Job, error: &rusqlite::Error) -> Option<Job> {
    let (letter, done) = match job {
        Job::Letter(letter, done) => (letter, done),
        Job::SecondChance { .. } => return None,
        other => return Some(other),
    };
    let dead = letter.refused(Reason::RefusedByStore, error.to_string());
    Some(Job::Dead(Box::new(dead), done))
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
