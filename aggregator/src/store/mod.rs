//! What the centre remembers: one SQLite database, one writer.
//!
//! SQLite in WAL mode with `synchronous = FULL`: what was committed survives a
//! power cut. All writes go through one thread that commits in batches
//! (`writer.rs`), because one fsync for 500 messages costs what one costs for
//! one. Reads have connections of their own and never wait for the writer.
//!
//! [`Store`] is a plain type, not a trait: there is one implementation. The
//! seam for PostgreSQL is this module's public surface, [`Job`] in and rows
//! out; nothing outside it knows SQL.

mod apply;
mod changes;
mod decide;
mod decided;
mod evidence;
mod lock;
mod locks;
mod migrate;
mod progress;
mod query;
mod readers;
mod retention;
mod rows;
mod set_aside;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use protocol::{Digest, EventId, EvidenceLocks};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::alert::{Action, State};
use crate::health::Health;
use crate::inbox::{DeadLetter, Letter, Limits};
use crate::metrics::Metrics;
use crate::stopping::Stop;
use lock::FolderLock;
use readers::Readers;

pub use changes::Change;
pub use decided::{DecidedAlert, DecidedStill};
pub use query::{AlertFilter, Cursor, Page};
pub use retention::{Removed, Step, Sweep};
pub use rows::{
    AlertDetail, AlertRow, BoxRow, CameraRow, DeadLetterRow, EvidenceFile, EvidenceRow, HistoryRow,
    KindCount, LockRow, MissingRow,
};
pub use writer::{Committed, Done, Outcome};

/// How the store behaves.
#[derive(Clone, Copy, Debug)]
pub struct StoreSettings {
    /// Most jobs in one transaction.
    pub batch_rows: usize,
    /// How long the writer waits for more before it commits.
    pub batch_wait: Duration,
    /// How long it waits before it tries a failed commit again.
    pub retry_wait: Duration,
    /// Most dead letters kept; the oldest go first.
    pub dead_letters: u32,
    /// Most bytes of dead letters that may be mended, which are kept whole; the
    /// oldest go first.
    pub set_aside_bytes: u64,
    /// What those are held against when they get their second chance.
    pub limits: Limits,
    /// Largest size of the database in pages of 4 KiB; `None` for the disk's.
    pub max_pages: Option<u32>,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            batch_rows: 500,
            batch_wait: Duration::from_millis(3),
            retry_wait: Duration::from_secs(1),
            dead_letters: 10_000,
            set_aside_bytes: 256 * 1024 * 1024,
            limits: Limits::default(),
            max_pages: None,
        }
    }
}

/// How long a connection waits for another's lock. Set by pragma, because
/// `Connection::busy_timeout` needs a function newer than Debian 12's SQLite.
const BUSY_MS: i64 = 5000;

/// News of locks that whoever passes them on may be behind; one who is further
/// behind tells the boxes when they come back.
const LOCKS: usize = 256;

/// How many jobs may wait for the writer before senders wait too.
const QUEUE: usize = 4096;

/// Something for the writer to do.
#[derive(Debug)]
pub enum Job {
    /// Take in a message.
    Letter(Box<Letter>, Option<Done>),
    /// Keep a message that cannot be taken in.
    Dead(Box<DeadLetter>, Option<Done>),
    /// A box has come to the front door and leaves its last will.
    Arrived {
        /// What it says.
        will: Box<Letter>,
        /// Which box.
        whose: Whose,
        /// By which connection.
        connection: u64,
    },
    /// A box that had left a will has left the front door.
    Left {
        /// Which box.
        whose: Whose,
        /// By which connection it had come.
        connection: u64,
        /// Whether it left without a word, so that the will is carried out.
        in_disorder: bool,
    },
    /// Take in a message that could not be taken when it came.
    SecondChance {
        /// Where it is set aside.
        entry: i64,
        /// What it is now.
        letter: Box<Letter>,
    },
    /// A person decides about an alert.
    Decide(Decision, oneshot::Sender<Result<(), DecisionError>>),
    /// A file is in the evidence store.
    FileStored(EvidenceFile, oneshot::Sender<Result<(), StoreError>>),
    /// Removes what is old enough, as far as one transaction goes.
    Sweep(Box<Sweep>, oneshot::Sender<Result<Step, StoreError>>),
    /// Files whose removal was recorded are gone; which may still be there?
    Erased(
        Vec<Digest>,
        oneshot::Sender<Result<Vec<Digest>, StoreError>>,
    ),
}

/// A box by its full name.
pub type Whose = (protocol::SiteId, protocol::BoxId);

/// What a person decides.
#[derive(Clone, Debug)]
pub struct Decision {
    /// About which alert.
    pub alert: EventId,
    /// What.
    pub action: Action,
    /// Who.
    pub actor: String,
    /// In their words.
    pub note: Option<String>,
    /// The change number that they saw; another one now means that they
    /// decided about something else.
    pub seen: Option<i64>,
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// No such alert.
    #[error("no alert {0}; it may never have reached this centre")]
    NotFound(EventId),
    /// The life cycle does not allow it.
    #[error("cannot {action} an alert that is {}; reload it to see who did what", state.as_str())]
    WrongState {
        /// What was to be done.
        action: &'static str,
        /// What it is in.
        state: State,
    },
    /// It is locked already, or not at all.
    #[error("the evidence of the alert {}; reload it to see who did what", if *.0 { "is locked already" } else { "is not locked" })]
    Lock(bool),
    /// It changed since the person saw it.
    #[error("the alert is at change {now}, you saw {seen}; reload it and decide again")]
    Changed {
        /// What the person saw.
        seen: i64,
        /// What it is now.
        now: i64,
    },
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be used.
    #[error(
        "data folder {folder}: {source}; make it writable for this user or name another with --data-dir"
    )]
    Folder {
        /// Which.
        folder: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data folder's name is that of something else.
    #[error("data folder {0} is a file; name a folder with --data-dir")]
    NotAFolder(String),
    /// Two centres on one database would lose each other's messages.
    #[error(
        "another aggregator runs on data folder {0}; stop it or give this one its own --data-dir"
    )]
    InUse(String),
    /// The file is not SQLite's at all.
    #[error(
        "{0} is not the centre's database; move it away, or name another folder with --data-dir"
    )]
    NotADatabase(String),
    /// The file was SQLite's and is damaged.
    #[error("{0} is damaged; put its last backup in its place, or move it away to begin a new one")]
    Damaged(String),
    /// The database is from a later version of the program.
    #[error(
        "the database has version {found}, this program knows up to {known}; install the newer program again, or name another --data-dir"
    )]
    Newer {
        /// In the file.
        found: usize,
        /// In the program.
        known: usize,
    },
    /// The file is something else.
    #[error(
        "centre.db in the data folder is not a database of this program; name another --data-dir"
    )]
    NotOurs,
    /// SQLite refused.
    #[error("database: {0}; look at free disk space and at the rights on the data folder")]
    Sqlite(#[from] rusqlite::Error),
    /// The system gives no thread.
    #[error(
        "cannot start the writer of the database: {0}; is a limit of threads or open files reached?"
    )]
    Thread(std::io::Error),
    /// The writer has stopped.
    #[error("the centre is shutting down; try again in a moment")]
    Closed,
}

/// The database; clones share it.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    readers: Arc<Readers>,
    changes: watch::Receiver<i64>,
    locks: broadcast::Sender<Whose>,
}

/// The writer's thread.
pub struct Writer {
    thread: JoinHandle<()>,
    stop: Stop,
}

impl Writer {
    /// Takes nothing more, commits everything that was queued and closes the
    /// database. Blocks until that is done.
    pub fn finish(self) {
        self.stop.say();
        if self.thread.join().is_err() {
            tracing::error!("the writer of the database ended in a panic; please report it");
        }
    }
}

impl Store {
    /// Opens (or makes) `centre.db` in `folder` and starts the writer.
    pub fn open(
        folder: &Path,
        settings: StoreSettings,
        metrics: Arc<Metrics>,
        health: Health,
    ) -> Result<(Self, Writer), StoreError> {
        let lock = FolderLock::take(folder)?;
        let path = folder.join("centre.db");
        let connection =
            open_writer(&path, settings.max_pages).map_err(|error| explain(error, &path))?;
        let readers = Arc::new(Readers::new(path));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (announce, changes) = watch::channel(0);
        let (locks, _) = broadcast::channel(LOCKS);
        let announce = (announce, locks.clone());
        let writer = writer::Writing::new((connection, lock), settings, metrics, health, announce)?;
        let (stop, stopping) = Stop::new();
        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(StoreError::Thread)?;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&waiting, queue, stopping))
            .map_err(StoreError::Thread)?;
        let store = Self {
            jobs,
            readers,
            changes,
            locks,
        };
        Ok((store, Writer { thread, stop }))
    }

    /// Queues a job; waits while the queue is full, which is the back-pressure.
    pub async fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)
    }

    /// Carries a decision out and waits for its commit.
    pub async fn decide(&self, decision: Decision) -> Result<(), DecisionError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Decide(decision, reply)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Notes that a file is in the evidence store and waits for the commit.
    pub async fn file_stored(&self, file: EvidenceFile) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::FileStored(file, reply)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Takes one step of a sweep and waits for its commit.
    pub async fn sweep(&self, sweep: Sweep) -> Result<Step, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Sweep(Box::new(sweep), reply)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Notes that files are gone whose removal was recorded, and waits for the
    /// commit; some of those that may still be there.
    pub async fn erased(&self, files: Vec<Digest>) -> Result<Vec<Digest>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Erased(files, reply)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// What is recorded of a file that retention has removed.
    pub async fn removed(&self, sha256: Digest) -> Result<Option<Removed>, StoreError> {
        self.readers
            .read(move |connection| retention::removed(connection, sha256))
            .await
    }

    /// Which evidence of a box is locked, as the messages that tell it.
    pub async fn locks(&self, whose: Whose) -> Result<Vec<EvidenceLocks>, StoreError> {
        self.readers
            .read(move |connection| locks::of_box(connection, &whose))
            .await
    }

    /// Tells whose locks have changed, after the commit.
    pub fn watch_locks(&self) -> broadcast::Receiver<Whose> {
        self.locks.subscribe()
    }

    /// Tells the number of the newest committed change, and wakes on the next.
    pub fn watch_changes(&self) -> watch::Receiver<i64> {
        self.changes.clone()
    }

    /// Waits until the writer has ended: as asked by [`Writer::finish`], or
    /// because it failed, after which nothing is taken in any more.
    pub async fn ended(&self) {
        // The writer holds the other end, and lets go of it however it ends.
        let mut changes = self.changes.clone();
        while changes.changed().await.is_ok() {}
    }

    /// Alerts that fit `filter`, newest first.
    pub async fn alerts(&self, filter: AlertFilter) -> Result<Page, StoreError> {
        self.readers
            .read(move |connection| query::alerts(connection, &filter))
            .await
    }

    /// One alert with everything that belongs to it.
    pub async fn alert(&self, id: EventId) -> Result<Option<AlertDetail>, StoreError> {
        self.readers
            .read(move |connection| query::alert(connection, id))
            .await
    }

    /// Every camera that ever spoke, by site, box and id.
    pub async fn cameras(&self) -> Result<Vec<CameraRow>, StoreError> {
        self.readers.read(query::cameras).await
    }

    /// Every box that ever spoke, by site and id.
    pub async fn boxes(&self) -> Result<Vec<BoxRow>, StoreError> {
        self.readers.read(query::boxes).await
    }

    /// How many alerts there are of each kind in each state.
    pub async fn kinds(&self) -> Result<Vec<KindCount>, StoreError> {
        self.readers.read(query::kinds).await
    }

    /// A file of evidence, if it is stored.
    pub async fn file(&self, sha256: Digest) -> Result<Option<EvidenceFile>, StoreError> {
        self.readers
            .read(move |connection| evidence::file(connection, sha256))
            .await
    }

    /// The newest dead letters, newest first.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetterRow>, StoreError> {
        self.readers
            .read(move |connection| query::dead_letters(connection, limit))
            .await
    }

    /// What changed after the change `after`, oldest first, at most `limit`.
    pub async fn changes(&self, after: i64, limit: u32) -> Result<Vec<Change>, StoreError> {
        self.readers
            .read(move |connection| changes::after(connection, after, limit))
            .await
    }
}

/// Opens the connection that writes, and brings the database to today's shape.
fn open_writer(path: &Path, max_pages: Option<u32>) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "busy_timeout", BUSY_MS)?;
    let page_size: i64 = 4096;
    connection.pragma_update(None, "page_size", page_size)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.pragma_update(None, "cache_size", -32 * 1024)?;
    connection.set_prepared_statement_cache_capacity(64);
    migrate::migrate(&mut connection)?;
    if let Some(pages) = max_pages {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(connection)
}

/// Names the file where it and not the disk is at fault.
fn explain(error: StoreError, path: &Path) -> StoreError {
    match &error {
        StoreError::Sqlite(sqlite) => match sqlite.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => StoreError::NotADatabase(path.display().to_string()),
            Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged(path.display().to_string()),
            _ => error,
        },
        _ => error,
    }
}

/// One alert, from the data folder of a centre that may or may not run.
pub(crate) fn read_alert(folder: &Path, id: EventId) -> Result<Option<AlertDetail>, StoreError> {
    let mut connection = open_reader(&folder.join("centre.db"))?;
    let transaction = connection.transaction()?;
    Ok(query::alert(&transaction, id)?)
}

/// Every alert that somebody resolved, by id, and how many nobody has, from the
/// data folder of a centre that may or may not run. All of it is of one moment.
pub(crate) fn read_decided(folder: &Path) -> Result<(Vec<DecidedAlert>, usize), StoreError> {
    let mut connection = open_reader(&folder.join("centre.db"))?;
    let transaction = connection.transaction()?;
    Ok((
        decided::alerts(&transaction)?,
        decided::undecided(&transaction)?,
    ))
}

/// Opens a connection that can only read.
fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.pragma_update(None, "busy_timeout", BUSY_MS)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
