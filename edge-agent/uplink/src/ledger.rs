//! What this box still owes the centre: the end of every event that it has
//! begun, and word of the evidence of every event that it has raised.
//!
//! Rows here change in the same transaction as the message that changes them,
//! and outlive its receipt. So after `kill -9` a new process knows which
//! events nobody will end and which stills nobody will draw, and can say so;
//! the rows say nothing about *what* to say, that is the agent's business.

use protocol::{BoxId, CameraId, Envelope, Event, EventId, SiteId};
use rusqlite::{Connection, params};

use crate::database::signed;

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
                    "INSERT INTO evidence_due (event, site, box, camera) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (event) DO NOTHING",
                )?
                .execute(params![
                    due.event.to_string(),
                    due.site.as_str(),
                    due.box_id.as_str(),
                    due.camera.as_str()
                ])?,
            Entry::Settle(event) => connection
                .prepare_cached("DELETE FROM evidence_due WHERE event = ?1")?
                .execute([event.to_string()])?,
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
    open.into_iter()
        .filter(|open| open.content().is_ok())
        .map(|open| {
            let (event, revision) = (open.event, open.revision);
            (Entry::Open { event, revision }, open.envelope)
        })
        .chain(due.into_iter().map(|due| (Entry::Owe(due), String::new())))
        .collect()
}
