//! What this box still owes the centre: the end of every event that it has
//! begun, and word of the evidence of every event that it has raised.
//!
//! Rows here change in the same transaction as the message that changes them,
//! and outlive its receipt. So after `kill -9` a new process knows which
//! events nobody will end and which stills nobody will draw, and can say so;
//! the rows say nothing about *what* to say, that is the agent's business.

use case_bundle::ChainLink;
use protocol::{BoxId, CameraId, Digest, Envelope, Event, EventId, SiteId};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::database::signed;
use crate::locks;

/// Added to an outbox file in its second version.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE open_event (
        place    INTEGER PRIMARY KEY AUTOINCREMENT,
        event    TEXT NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        envelope TEXT NOT NULL
    );
    CREATE TABLE evidence_due (
        place  INTEGER PRIMARY KEY AUTOINCREMENT,
        event  TEXT NOT NULL UNIQUE,
        site   TEXT NOT NULL,
        box    TEXT NOT NULL,
        camera TEXT NOT NULL
    );
";

/// Added in the third version: the event that evidence is owed for, where each
/// camera's chain of cases stands, and sealed manifests that are not files yet.
///
/// A manifest is stored here with the message that announces it and becomes a
/// file afterwards. The other way round, `kill -9` in between would leave a
/// signed case that nobody announced, and the next one would have its number.
pub(crate) const CASE_SCHEMA: &str = "
    ALTER TABLE evidence_due ADD COLUMN envelope TEXT;
    CREATE TABLE case_chain (
        camera TEXT PRIMARY KEY,
        chain  TEXT NOT NULL,
        number INTEGER NOT NULL,
        sha256 TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE case_file (
        sha256 TEXT PRIMARY KEY,
        bytes  BLOB NOT NULL
    ) WITHOUT ROWID;
";

/// An event whose evidence has neither been announced nor given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceDue {
    /// Whose evidence.
    pub event: EventId,
    /// Installation.
    pub site: SiteId,
    /// Box.
    pub box_id: BoxId,
    /// Camera.
    pub camera: CameraId,
}

/// What a message changes here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The event in the message goes on after this revision.
    Open { event: EventId, revision: u32 },
    /// It is over.
    Close(EventId),
    /// Its evidence is to follow.
    Owe(EvidenceDue),
    /// Its evidence has been announced or given up.
    Settle(EventId),
    /// The centre is told which evidence of this event will not come.
    Told(EventId),
    /// The camera's chain of cases stands here now.
    Chain(Head),
    /// A sealed manifest that is to become a file.
    File(Digest, Vec<u8>),
    /// A file that is already there is evidence of this camera and event. A lock on
    /// the event spares it; words hang on the camera.
    Of {
        /// The file.
        digest: Digest,
        /// `site/box/camera`.
        camera: String,
        /// Whose evidence it is.
        event: EventId,
    },
}

/// Where a camera's chain of cases stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// `site/box/camera`.
    pub(crate) camera: String,
    /// The last case's place.
    pub(crate) link: ChainLink,
    /// The last case's hash.
    pub(crate) digest: Digest,
}

/// An event that goes on, with the message that said so last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) event: EventId,
    pub(crate) revision: u32,
    pub(crate) envelope: String,
}

impl Open {
    /// The event as it was last told.
    pub(crate) fn content(&self) -> Result<Event, serde_json::Error> {
        serde_json::from_str::<Envelope<Event>>(&self.envelope).map(|envelope| envelope.data)
    }
}

/// What publishing `event` changes.
pub(crate) fn entries_of(event: &Event) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(2);
    if event.revision <= 1 && event.phase == protocol::Phase::Start {
        entries.push(Entry::Owe(EvidenceDue {
            event: event.id,
            site: event.site.clone(),
            box_id: event.box_id.clone(),
            camera: event.camera.clone(),
        }));
    }
    entries.push(
        if event.phase == protocol::Phase::End || event.ended.is_some() {
            Entry::Close(event.id)
        } else {
            Entry::Open {
                event: event.id,
                revision: event.revision,
            }
        },
    );
    entries
}

/// Writes what a message with this envelope changes; within its transaction.
pub(crate) fn write(
    connection: &Connection,
    entries: &[Entry],
    envelope: &str,
) -> rusqlite::Result<()> {
    for entry in entries {
        match entry {
            // A late copy of an older revision must not hide what was said since.
            Entry::Open { event, revision } => connection
                .prepare_cached(
                    "INSERT INTO open_event (event, revision, envelope) VALUES (?1, ?2, ?3)
                     ON CONFLICT (event) DO UPDATE SET
                        revision = excluded.revision, envelope = excluded.envelope
                     WHERE excluded.revision >= revision",
                )?
                .execute(params![event.to_string(), revision, envelope])?,
            Entry::Close(event) => connection
                .prepare_cached("DELETE FROM open_event WHERE event = ?1")?
                .execute([event.to_string()])?,
            Entry::Owe(due) => connection
                .prepare_cached(
                    "INSERT INTO evidence_due (event, site, box, camera, envelope) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (event) DO NOTHING",
                )?
                .execute(params![
                    due.event.to_string(),
                    due.site.as_str(),
                    due.box_id.as_str(),
                    due.camera.as_str(),
                    envelope
                ])?,
            Entry::Settle(event) => connection
                .prepare_cached("DELETE FROM evidence_due WHERE event = ?1")?
                .execute([event.to_string()])?,
            Entry::Told(event) => connection
                .prepare_cached("DELETE FROM evidence_gone WHERE event = ?1")?
                .execute([event.to_string()])?,
            Entry::Chain(Head {
                camera,
                link,
                digest,
            }) => connection
                .prepare_cached(
                    "INSERT INTO case_chain (camera, chain, number, sha256) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (camera) DO UPDATE SET
                        chain = excluded.chain, number = excluded.number, sha256 = excluded.sha256",
                )?
                .execute(params![
                    camera,
                    link.id.to_string(),
                    signed(link.number),
                    digest.to_string()
                ])?,
            Entry::File(digest, bytes) => connection
                .prepare_cached(
                    "INSERT INTO case_file (sha256, bytes) VALUES (?1, ?2)
                     ON CONFLICT (sha256) DO NOTHING",
                )?
                .execute(params![digest.to_string(), bytes])?,
            Entry::Of {
                digest,
                camera,
                event,
            } => {
                locks::file_is_of(connection, digest, *event, Some(camera))?;
                0
            }
        };
    }
    Ok(())
}

/// Events that go on, oldest first, at most `limit`. Rows that a failing disk
/// has made unreadable are left out.
pub(crate) fn open_events(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<Open>> {
    let mut select = connection
        .prepare("SELECT event, revision, envelope FROM open_event ORDER BY place LIMIT ?1")?;
    let rows = select.query_map([signed(limit as u64)], |row| {
        let event: Option<EventId> = parsed(row, 0)?;
        let (revision, envelope) = (row.get(1)?, row.get_ref(2)?.as_bytes()?);
        Ok(event.map(|event| Open {
            event,
            revision,
            envelope: String::from_utf8_lossy(envelope).into_owned(),
        }))
    })?;
    // Up to the first broken page, as everywhere in this file.
    Ok(rows.map_while(Result::ok).flatten().collect())
}

/// Evidence neither announced nor given up, oldest first, at most `limit`.
pub(crate) fn evidence_due(
    connection: &Connection,
    limit: usize,
) -> rusqlite::Result<Vec<EvidenceDue>> {
    let mut select = connection
        .prepare("SELECT event, site, box, camera FROM evidence_due ORDER BY place LIMIT ?1")?;
    let rows = select.query_map([signed(limit as u64)], |row| {
        let event: Option<EventId> = parsed(row, 0)?;
        let (site, box_id, camera) = (
            SiteId::new(row.get::<_, String>(1)?).ok(),
            BoxId::new(row.get::<_, String>(2)?).ok(),
            CameraId::new(row.get::<_, String>(3)?).ok(),
        );
        Ok((|| {
            Some(EvidenceDue {
                event: event?,
                site: site?,
                box_id: box_id?,
                camera: camera?,
            })
        })())
    })?;
    Ok(rows.map_while(Result::ok).flatten().collect())
}

/// The event that evidence is owed for, as it was raised; `None` when none is
/// owed, or it was raised by an agent that did not keep it.
pub(crate) fn owed_event(
    connection: &Connection,
    event: EventId,
) -> rusqlite::Result<Option<String>> {
    let envelope = connection
        .query_row(
            "SELECT envelope FROM evidence_due WHERE event = ?1",
            [event.to_string()],
            |row| row.get::<_, Option<String>>(0),
        )
        .optional()?;
    Ok(envelope.flatten().filter(|text| !text.is_empty()))
}

/// Where the camera's chain stands; `None` when it has no case yet.
pub(crate) fn head(connection: &Connection, camera: &str) -> rusqlite::Result<Option<Head>> {
    connection
        .query_row(
            "SELECT chain, number, sha256 FROM case_chain WHERE camera = ?1",
            [camera],
            |row| {
                let (id, digest): (String, String) = (row.get(0)?, row.get(2)?);
                let number = row.get::<_, i64>(1)?.cast_unsigned();
                Ok((id, number, digest))
            },
        )
        .optional()?
        .map(|(id, number, digest)| {
            let damaged = |column| {
                rusqlite::Error::InvalidColumnType(
                    column,
                    "case_chain".to_owned(),
                    rusqlite::types::Type::Text,
                )
            };
            Ok(Head {
                camera: camera.to_owned(),
                // What stood before the last case is in the last case.
                link: ChainLink {
                    id: id.parse().map_err(|_| damaged(0))?,
                    number,
                    previous: None,
                },
                digest: digest.parse().map_err(|_| damaged(2))?,
            })
        })
        .transpose()
}

/// Forgets where every chain stands: each camera begins a new one.
pub(crate) fn forget_chains(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM case_chain", []).map(drop)
}

/// Sealed manifests that are to become files.
pub(crate) fn case_files(connection: &Connection) -> rusqlite::Result<Vec<(Digest, Vec<u8>)>> {
    let mut select = connection.prepare("SELECT sha256, bytes FROM case_file")?;
    let rows = select.query_map([], |row| {
        let name: String = row.get(0)?;
        Ok(name.parse().ok().zip(Some(row.get(1)?)))
    })?;
    Ok(rows.map_while(Result::ok).flatten().collect())
}

/// It is a file now.
pub(crate) fn forget_case_file(connection: &Connection, digest: &Digest) -> rusqlite::Result<()> {
    connection
        .execute(
            "DELETE FROM case_file WHERE sha256 = ?1",
            [digest.to_string()],
        )
        .map(drop)
}

/// How many events go on, and of how many the evidence is due.
pub(crate) fn counts(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    connection.query_row(
        "SELECT (SELECT count(*) FROM open_event), (SELECT count(*) FROM evidence_due)",
        [],
        |row| {
            let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok((count(0)?, count(1)?))
        },
    )
}

fn parsed(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<EventId>> {
    let text: String = row.get(column)?;
    Ok(text.parse().ok())
}

/// Everything readable in a damaged file, as what to write into a new one.
pub(crate) fn salvage(connection: &Connection) -> Vec<(Entry, String)> {
    // A file of the first version has no such tables.
    let open = open_events(connection, usize::MAX).unwrap_or_default();
    let due = evidence_due(connection, usize::MAX).unwrap_or_default();
    let files = case_files(connection).unwrap_or_default();
    open.into_iter()
        .filter(|open| open.content().is_ok())
        .map(|open| {
            let (event, revision) = (open.event, open.revision);
            (Entry::Open { event, revision }, open.envelope)
        })
        .chain(due.into_iter().map(|due| {
            let event = owed_event(connection, due.event).ok().flatten();
            (Entry::Owe(due), event.unwrap_or_default())
        }))
        // Where the chains stood is left behind: if the damaged file told of an
        // older case, the next would have the number of one that is out already.
        .chain(
            files
                .into_iter()
                .map(|(digest, bytes)| (Entry::File(digest, bytes), String::new())),
        )
        .collect()
}
