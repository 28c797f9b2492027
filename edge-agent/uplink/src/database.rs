//! The SQLite file of an outbox: what it looks like, how it is opened, and
//! what happens when it is damaged.
//!
//! WAL with `synchronous=FULL`: a commit that returned survives a power cut.
//! `locking_mode=EXCLUSIVE`: two agents on one outbox would give the same
//! sequence twice, so the second one is refused.
//!
//! A damaged file is never repaired in place. Its readable rows are copied to
//! a new file under a new outbox id, and it is kept beside it for whoever
//! wants to look.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use case_bundle::manifest::CASE_MEDIA_TYPE;
use protocol::{Digest, Envelope};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::outbox::{GONE_SCHEMA, OutboxError};
use crate::{clock, kept, ledger, locks};

const FILE: &str = "outbox.db";
const REBUILDING: &str = "outbox.db.rebuilding";
const REBUILT: &str = "outbox.db.rebuilt";
/// How long to wait for another process to let go of the file, milliseconds.
const BUSY_MS: i64 = 2000;
/// Pages in the log before it is moved into the file: 1 MB instead of the
/// usual 4, because on a full disk the log competes with what it protects.
const LOG_PAGES: i64 = 256;
/// The log's file is cut to this once it is in the file: a large transaction made it larger.
const LOG_BYTES: i64 = 2 << 20;
/// Free pages, bytes, of which it is worth making the file smaller.
const LEAST_FREE: u64 = 1 << 20;
/// Bytes that may be copied for it; events wait meanwhile.
const MOST_COPIED: u64 = 32 << 20;
/// `user_version` of the schema below and in [`ledger`] and [`kept`]. Version 1
/// was without both, version 2 without cases, version 3 deleted what was receipted,
/// version 4 knew no locks and believed the clock, version 5 held a file to be of one
/// event only and did not know which opening of the centre it had heard, version 6 took
/// a copy that the centre is asked for to be one that it does not have, and did not know
/// what is still to be told of evidence that will never come.
const SCHEMA_VERSION: i64 = 7;

// AUTOINCREMENT: a sequence is never given twice, even after every row is
// gone. `sequence` has no gaps because nothing but `insert` adds rows and a
// rolled-back insert also rolls back its counter.
const SCHEMA: &str = "
    CREATE TABLE identity (outbox TEXT NOT NULL);
    CREATE TABLE outbox (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        topic    TEXT NOT NULL,
        envelope TEXT NOT NULL
    );
    CREATE TABLE evidence (
        place      INTEGER PRIMARY KEY AUTOINCREMENT,
        sha256     TEXT NOT NULL UNIQUE,
        length     INTEGER NOT NULL,
        media_type TEXT NOT NULL,
        state      TEXT NOT NULL CHECK (state IN ('waiting', 'uploaded', 'refused')),
        settled_us INTEGER
    );
    CREATE INDEX evidence_by_state ON evidence (state, place);
";

/// Whether `dir` holds an outbox, also one whose replacement was interrupted.
pub(crate) fn is_in(dir: &Path) -> bool {
    dir.join(FILE).exists() || dir.join(REBUILT).exists()
}

/// Where the sequences of an outbox stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The lowest still held, receipted or not; one above the last when none is.
    pub(crate) held: u64,
    /// The lowest without a receipt; one above the last when there is none.
    pub(crate) floor: u64,
    /// The last one ever given; 0 when none was.
    pub(crate) last: u64,
}

/// An open, sound outbox file.
pub(crate) struct Database {
    pub(crate) connection: Connection,
    /// Which outbox this is.
    pub(crate) id: Uuid,
}

/// What was saved from a damaged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Salvage {
    /// Where the damaged file is now.
    pub(crate) aside: PathBuf,
    /// Messages copied from it.
    pub(crate) rows: u64,
}

/// A message as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) topic: String,
    pub(crate) envelope: String,
}

/// A message to be stored, and what it changes in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) stored: Stored,
    pub(crate) entries: Vec<ledger::Entry>,
}

impl Database {
    /// Opens the file in `dir`, makes it when there is none, replaces it when it is damaged.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Option<Salvage>), OutboxError> {
        let path = dir.join(FILE);
        let mut salvage = None;
        if dir.join(REBUILT).exists() {
            // The last process died between finishing a replacement and using it.
            salvage = Some(finish_replacement(dir, 0)?);
        }
        match Self::open_sound(&path) {
            Ok(database) => Ok((database, salvage)),
            Err(error) if is_damage(&error) => {
                tracing::error!(file = %path.display(), %error, "the outbox file is damaged; copying what is readable");
                let known = known(&path);
                let salvage = replace(dir, &known)?;
                // Its log wants some room before anything is written.
                let database = with_room(dir, &known, || {
                    Self::open_sound(&path).map_err(|e| OutboxError::of(&path, e))
                })?;
                Ok((database, Some(salvage)))
            }
            Err(error) => Err(OutboxError::of(&path, error)),
        }
    }

    fn open_sound(path: &Path) -> rusqlite::Result<Self> {
        let mut connection = Connection::open(path)?;
        // Long enough for a predecessor that is just being stopped.
        // As a pragma: the library's own function needs SQLite 3.44, Debian 12 has 3.40.
        connection.pragma_update(None, "busy_timeout", BUSY_MS)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
        match version {
            0 => {
                let id = random_uuid();
                let transaction = connection.transaction()?;
                transaction.execute_batch(SCHEMA)?;
                transaction.execute_batch(ledger::SCHEMA)?;
                transaction.execute_batch(ledger::CASE_SCHEMA)?;
                transaction.execute_batch(kept::SCHEMA)?;
                transaction.execute_batch(locks::SCHEMA)?;
                transaction.execute_batch(locks::OF_SCHEMA)?;
                transaction.execute_batch(kept::OPENING_SCHEMA)?;
                transaction.execute_batch(kept::ASK_SCHEMA)?;
                transaction.execute_batch(GONE_SCHEMA)?;
                transaction.execute("INSERT INTO identity VALUES (?1)", [id.to_string()])?;
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
                transaction.commit()?;
                return Ok(Self { connection, id });
            }
            1..SCHEMA_VERSION => {
                let transaction = connection.transaction()?;
                if version == 1 {
                    transaction.execute_batch(ledger::SCHEMA)?;
                }
                if version < 3 {
                    transaction.execute_batch(ledger::CASE_SCHEMA)?;
                }
                if version < 4 {
                    transaction.execute_batch(kept::SCHEMA)?;
                }
                if version < 5 {
                    transaction.execute_batch(locks::SCHEMA)?;
                }
                if version < 6 {
                    transaction.execute_batch(locks::OF_SCHEMA)?;
                    transaction.execute_batch(kept::OPENING_SCHEMA)?;
                }
                transaction.execute_batch(kept::ASK_SCHEMA)?;
                transaction.execute_batch(GONE_SCHEMA)?;
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
                transaction.commit()?;
            }
            SCHEMA_VERSION => {}
            newer => return Err(fault(ErrorCode::SchemaChanged, format!("schema {newer}"))),
        }
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
        if verdict != "ok" {
            return Err(fault(ErrorCode::DatabaseCorrupt, verdict));
        }
        let id = connection
            .query_row("SELECT outbox FROM identity", [], |r| r.get::<_, String>(0))
            .optional()?
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| fault(ErrorCode::DatabaseCorrupt, "no outbox id".to_owned()))?;
        Ok(Self { connection, id })
    }

    /// Appends in one transaction, with what the messages change in the
    /// ledger; the highest sequence given is on the disk when this returns.
    pub(crate) fn insert<'a>(
        &mut self,
        messages: impl IntoIterator<Item = &'a Message>,
    ) -> rusqlite::Result<u64> {
        let transaction = self.connection.transaction()?;
        let mut last = 0;
        {
            let mut insert =
                transaction.prepare("INSERT INTO outbox (topic, envelope) VALUES (?1, ?2)")?;
            for Message { stored, entries } in messages {
                insert.execute(params![stored.topic, stored.envelope])?;
                last = transaction.last_insert_rowid();
                ledger::write(&transaction, entries, &stored.envelope)?;
            }
        }
        transaction.commit()?;
        Ok(last.cast_unsigned())
    }

    /// Fills a new file with what could be read of a damaged one.
    fn restore(&mut self, saved: &Saved) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for (entry, envelope) in &saved.ledger {
            ledger::write(&transaction, std::slice::from_ref(entry), envelope)?;
        }
        for Stored { topic, envelope } in &saved.messages {
            transaction.execute(
                "INSERT INTO outbox (topic, envelope) VALUES (?1, ?2)",
                params![topic, envelope],
            )?;
        }
        locks::restore(&transaction, &saved.locks)?;
        transaction.commit()
    }

    /// Moves the log into the file, so that its space can be used again.
    pub(crate) fn recycle_log(&self) -> bool {
        self.checkpoint("PRAGMA wal_checkpoint(RESTART)")
    }

    /// The same, and leaves nothing of the log on the disk.
    pub(crate) fn empty_log(&self) -> bool {
        self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    fn checkpoint(&self, pragma: &str) -> bool {
        self.connection
            .query_row(pragma, [], |r| r.get::<_, i64>(0))
            .is_ok_and(|is_busy| is_busy == 0)
    }

    /// Where the sequences stand.
    pub(crate) fn span(&self) -> rusqlite::Result<Span> {
        let last: i64 = self
            .connection
            .query_row(
                "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'",
                [],
                |r| r.get(0),
            )
            .optional()?
            .unwrap_or(0);
        let held: Option<i64> =
            self.connection
                .query_row("SELECT min(sequence) FROM outbox", [], |r| r.get(0))?;
        let last = last.cast_unsigned();
        let held = held.map_or(last + 1, i64::cast_unsigned);
        let (receipted, _) = self.receipted()?;
        Ok(Span {
            held,
            floor: held.max(receipted + 1),
            last,
        })
    }

    /// Messages from `from` on, at most `limit`.
    pub(crate) fn read(&self, from: u64, limit: usize) -> rusqlite::Result<Vec<(u64, Stored)>> {
        let mut select = self.connection.prepare(
            "SELECT sequence, topic, envelope FROM outbox WHERE sequence >= ?1 ORDER BY sequence LIMIT ?2",
        )?;
        let rows = select.query_map(
            params![signed(from), i64::try_from(limit).unwrap_or(i64::MAX)],
            read_row,
        )?;
        rows.collect()
    }

    /// Forgets everything up to and including `sequence`.
    pub(crate) fn delete_through(&self, sequence: u64) -> rusqlite::Result<()> {
        self.connection.execute(
            "DELETE FROM outbox WHERE sequence <= ?1",
            [signed(sequence)],
        )?;
        Ok(())
    }

    /// Gives the waiting messages the sequences 1, 2, … of a new outbox. Chains
    /// of cases begin anew with it: an older copy of this file knows older
    /// heads, and to go on from them would give a number twice.
    ///
    /// What was receipted under the old id is forgotten: the centre knows more.
    pub(crate) fn renumber(&mut self) -> rusqlite::Result<()> {
        let floor = self.span()?.floor;
        let id = random_uuid();
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM outbox WHERE sequence < ?1", [signed(floor)])?;
        kept::forget(&transaction)?;
        // By way of the negative numbers, so that no two rows meet on the way.
        transaction.execute("UPDATE outbox SET sequence = -sequence", [])?;
        transaction.execute(
            "UPDATE outbox SET sequence = -sequence - ?1",
            [signed(floor - 1)],
        )?;
        transaction.execute(
            "UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(sequence), 0) FROM outbox) WHERE name = 'outbox'",
            [],
        )?;
        transaction.execute("UPDATE identity SET outbox = ?1", [id.to_string()])?;
        ledger::forget_chains(&transaction)?;
        transaction.commit()?;
        self.id = id;
        Ok(())
    }

    /// Bytes of the file that hold something.
    pub(crate) fn bytes(&self) -> rusqlite::Result<u64> {
        Ok(self.disk_bytes()?.saturating_sub(self.free_bytes()?))
    }

    /// Bytes of the file, free pages included, without its log ([`log_bytes`]).
    pub(crate) fn disk_bytes(&self) -> rusqlite::Result<u64> {
        Ok(self.number("page_count")? * self.number("page_size")?)
    }

    /// Bytes of the file that hold nothing any more; messages to come go there.
    fn free_bytes(&self) -> rusqlite::Result<u64> {
        Ok(self.number("freelist_count")? * self.number("page_size")?)
    }

    fn number(&self, pragma: &str) -> rusqlite::Result<u64> {
        self.connection
            .pragma_query_value(None, pragma, |r| r.get::<_, i64>(0))
            .map(|number| number.max(0).cast_unsigned())
    }

    /// Gives free pages back to the disk where they are many and what is to be copied
    /// for it is little; whether the file became smaller.
    pub(crate) fn compact(&self) -> rusqlite::Result<bool> {
        let (held, free) = (self.bytes()?, self.free_bytes()?);
        if free < LEAST_FREE || free < held / 4 || held > MOST_COPIED {
            return Ok(false);
        }
        // Not an automatic one: that writes a page more with each event.
        self.connection.execute_batch("VACUUM")?;
        Ok(self.empty_log() && self.free_bytes()? < free)
    }
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<(u64, Stored)> {
    // Lossy: one row with a flipped bit must not hide the rows around it. It
    // is found out when it is parsed.
    let text = |column| {
        let bytes = row.get_ref(column)?.as_bytes()?;
        Ok::<_, rusqlite::Error>(String::from_utf8_lossy(bytes).into_owned())
    };
    Ok((
        row.get::<_, i64>(0)?.cast_unsigned(),
        Stored {
            topic: text(1)?,
            envelope: text(2)?,
        },
    ))
}

/// SQLite's integers are signed; no outbox lives for 2^63 messages.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn fault(code: ErrorCode, message: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error {
            code,
            extended_code: 0,
        },
        Some(message),
    )
}

/// Whether the file itself is at fault, so that only another one helps.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) || matches!(
        error,
        // A page of something else where a row should be.
        rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
    )
}

// UUID version 4 (RFC 9562 § 5.4).
pub(crate) fn random_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid()
}

/// Writes the replacement completely before the damaged file is touched, so
/// that a crash or a full disk in the middle loses nothing that was readable.
fn replace(dir: &Path, known: &Known) -> Result<Salvage, OutboxError> {
    let rebuilding = dir.join(REBUILDING);
    // Reading needs room as well, for the index of the log; without it nothing
    // would be readable.
    while !has_room(dir) && make_room(dir, known) > 0 {}
    let saved = readable_rows(&dir.join(FILE));
    let rows = saved.messages.len() as u64;
    with_room(dir, known, || {
        for leftover in with_companions(&rebuilding) {
            remove_if_there(&leftover)?;
        }
        rebuild(&rebuilding, &saved)
    })?;
    rename(&rebuilding, &dir.join(REBUILT))?;
    finish_replacement(dir, rows)
}

/// Does it again while the disk is full and evidence can be given up for it: a box
/// that does not start is worse than one that has less evidence.
fn with_room<T>(
    dir: &Path,
    known: &Known,
    mut work: impl FnMut() -> Result<T, OutboxError>,
) -> Result<T, OutboxError> {
    loop {
        match work() {
            Err(OutboxError::DiskFull { .. }) if make_room(dir, known) > 0 => {}
            outcome => return outcome,
        }
    }
}

fn rebuild(rebuilding: &Path, saved: &Saved) -> Result<(), OutboxError> {
    let refused = |e| OutboxError::of(rebuilding, e);
    let mut database = Database::open_sound(rebuilding).map_err(refused)?;
    // Without a log: only the file is renamed, and what closing could not move from
    // a log into it on a full disk would be missing, without a word. Until then the
    // file counts for nothing, so nothing needs to be undone in it.
    let journal: String = database
        .connection
        .pragma_update_and_check(None, "journal_mode", "OFF", |row| row.get(0))
        .map_err(refused)?;
    if journal != "off" {
        return Err(refused(fault(
            ErrorCode::CannotOpen,
            format!("the journal stays {journal}"),
        )));
    }
    database.restore(saved).map_err(refused)?;
    database.connection.close().map_err(|(_, e)| refused(e))
}

/// What is known of files of evidence where their rows cannot be asked.
#[derive(Default)]
struct Known {
    /// The centre has them.
    uploaded: BTreeSet<Digest>,
    /// They are evidence of an event that the centre has locked.
    locked: BTreeSet<Digest>,
}

/// As far as the damaged file still says so. As a file that nobody changes, because
/// on a full disk it cannot be opened otherwise.
fn known(file: &Path) -> Known {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", file.display());
    let connection = Connection::open_with_flags(uri, flags);
    connection.map_or_else(|_| Known::default(), |connection| known_by(&connection))
}

fn known_by(connection: &Connection) -> Known {
    let read = |sql: &str| -> rusqlite::Result<BTreeSet<Digest>> {
        let mut select = connection.prepare(sql)?;
        let rows = select.query_map([], |row| row.get::<_, String>(0))?;
        let names = rows.map_while(Result::ok);
        Ok(names.filter_map(|name| name.parse().ok()).collect())
    };
    let uploaded = "SELECT sha256 FROM evidence WHERE state = 'uploaded'";
    let locked = "SELECT o.sha256 FROM evidence_of AS o JOIN locked AS l ON l.event = o.event";
    Known {
        uploaded: read(uploaded).unwrap_or_default(),
        locked: read(locked).unwrap_or_default(),
    }
}

/// Whether a small file can be written.
fn has_room(dir: &Path) -> bool {
    try_room(dir).is_ok()
}

/// Writes a small file and removes it again.
pub(crate) fn try_room(dir: &Path) -> std::io::Result<()> {
    let file = dir.join(format!("{FILE}.room"));
    let written = fs::write(&file, vec![0; 256 * 1024]);
    drop(fs::remove_file(&file));
    written
}

/// Room that is made at a time for a file in the place of a damaged one.
const ROOM: u64 = 2 << 20;

/// Deletes what a new outbox file needs the room of: earlier damaged files, then
/// evidence in the published order, as far as it can be known without a
/// database, but for what is locked; how many bytes became free.
fn make_room(dir: &Path, known: &Known) -> u64 {
    let earlier = damaged_files(dir);
    let found = crate::evidence::scan(dir).unwrap_or_default();
    let mut files: Vec<_> = found
        .into_iter()
        .filter(|(digest, _)| !known.locked.contains(digest))
        .map(|(digest, _)| {
            let path = crate::evidence::path_of(dir, &digest);
            let class = match crate::evidence::media_type_of(&path) {
                _ if known.uploaded.contains(&digest) => 0,
                media_type if media_type.starts_with("video/") => 1,
                CASE_MEDIA_TYPE => 4,
                media_type if media_type.starts_with("image/") => 3,
                _ => 2,
            };
            let stored = fs::metadata(&path).and_then(|file| file.modified()).ok();
            (class, stored, path)
        })
        .collect();
    files.sort();
    let (mut freed, mut deleted) = (0, 0);
    for path in earlier
        .into_iter()
        .chain(files.into_iter().map(|(.., path)| path))
    {
        if freed >= ROOM {
            break;
        }
        let bytes = length(&path);
        if fs::remove_file(&path).is_ok() {
            freed += bytes;
            deleted += 1;
        }
    }
    tracing::warn!(
        files = deleted,
        freed_bytes = freed,
        "evidence and earlier damaged files were deleted, because the outbox is without rows of them and the disk is full"
    );
    freed
}

/// Makes room where there are no rows to choose by; whether any became free.
pub(crate) fn relieve(dir: &Path, database: &Database) -> bool {
    make_room(dir, &known_by(&database.connection)) > 0
}

fn finish_replacement(dir: &Path, rows: u64) -> Result<Salvage, OutboxError> {
    let file = dir.join(FILE);
    let aside = dir.join(format!("{FILE}.damaged-{}", clock::now().as_micros()));
    for (from, to) in with_companions(&file)
        .into_iter()
        .zip(with_companions(&aside))
    {
        if from.exists() {
            rename(&from, &to)?;
        }
    }
    rename(&dir.join(REBUILT), &file)?;
    crate::evidence::sync_dir(dir).map_err(|e| OutboxError::file(dir, e))?;
    // One is kept for whoever wants to look; a disk that goes bad must not fill with them.
    drop_damaged(dir, Some(&aside));
    Ok(Salvage { aside, rows })
}

/// Damaged files that were set aside, with their logs.
fn damaged_files(dir: &Path) -> Vec<PathBuf> {
    let prefix = format!("{FILE}.damaged-");
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect()
}

/// Bytes of the damaged file that is kept in `dir`.
pub(crate) fn damaged_bytes(dir: &Path) -> u64 {
    damaged_files(dir).iter().map(|file| length(file)).sum()
}

/// Deletes damaged files, all but `kept` with its companions; how many bytes became free.
pub(crate) fn drop_damaged(dir: &Path, kept: Option<&Path>) -> u64 {
    let kept = kept.map(with_companions);
    let files = damaged_files(dir).into_iter();
    files
        .filter(|file| !kept.as_ref().is_some_and(|kept| kept.contains(file)))
        .filter_map(|file| {
            let bytes = length(&file);
            fs::remove_file(file).is_ok().then_some(bytes)
        })
        .sum()
}

/// Bytes of the log of the outbox file in `dir`.
pub(crate) fn log_bytes(dir: &Path) -> u64 {
    let [_, log, _] = with_companions(&dir.join(FILE));
    length(&log)
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |file| file.len())
}

/// The file itself, its log and its index.
fn with_companions(file: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

fn rename(from: &Path, to: &Path) -> Result<(), OutboxError> {
    fs::rename(from, to).map_err(|e| OutboxError::file(from, e))
}

fn remove_if_there(file: &Path) -> Result<(), OutboxError> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(OutboxError::file(file, e)),
        _ => Ok(()),
    }
}

/// What can still be read of a damaged file.
#[derive(Default)]
struct Saved {
    messages: Vec<Stored>,
    ledger: Vec<(ledger::Entry, String)>,
    /// Which files are held, and for which events.
    locks: locks::Salvage,
}

/// Rows that can still be read, in order. Reading stops at the first broken
/// page, so the messages are read once from each end.
fn readable_rows(path: &Path) -> Saved {
    let Ok(connection) = Connection::open(path) else {
        return Saved::default();
    };
    let read = |sql: &str, beyond: Option<u64>| -> Vec<(u64, Stored)> {
        let Ok(mut select) = connection.prepare(sql) else {
            return Vec::new();
        };
        let Ok(rows) = select.query_map([], read_row) else {
            return Vec::new();
        };
        rows.map_while(Result::ok)
            .take_while(|(sequence, _)| beyond.is_none_or(|seen| *sequence > seen))
            .collect()
    };
    let mut rows = read(
        "SELECT sequence, topic, envelope FROM outbox ORDER BY sequence",
        None,
    );
    let seen = rows.last().map(|(sequence, _)| *sequence);
    let mut tail = read(
        "SELECT sequence, topic, envelope FROM outbox ORDER BY sequence DESC",
        seen.or(Some(0)),
    );
    tail.reverse();
    rows.append(&mut tail);
    let messages = rows
        .into_iter()
        .map(|(_, stored)| stored)
        .filter(|stored| serde_json::from_str::<Envelope<&RawValue>>(&stored.envelope).is_ok())
        .collect();
    Saved {
        messages,
        ledger: ledger::salvage(&connection),
        locks: locks::salvage(&connection),
    }
}
