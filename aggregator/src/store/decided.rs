//! What people decided, with what it was decided on.

use protocol::{Digest, EventId, EventTime};
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::alert::Resolution;

/// An alert that somebody resolved.
#[derive(Clone, Debug)]
pub struct DecidedAlert {
    /// Which.
    pub id: EventId,
    /// What sort of event.
    pub kind: String,
    /// Installation.
    pub site: String,
    /// Box.
    pub box_id: String,
    /// Camera.
    pub camera: String,
    /// Whether the camera is a simulation.
    pub simulated: bool,
    /// What the person said of it.
    pub disposition: Resolution,
    /// When, by the centre's clock.
    pub decided_at: EventTime,
    /// Who, as a number: the first to resolve anything here is 1. The same person
    /// keeps the number, and no name leaves the store.
    pub reviewer: u32,
    /// Every revision of the envelope, oldest first.
    pub bodies: Vec<Vec<u8>>,
    /// Its clean stills, by time.
    pub stills: Vec<DecidedStill>,
}

/// A clean still of an alert, uploaded or not.
#[derive(Clone, Debug)]
pub struct DecidedStill {
    /// Its name and its proof.
    pub sha256: Digest,
    /// IANA media type.
    pub media_type: String,
    /// When the picture was taken.
    pub captured: EventTime,
}

const DECIDED: &str = "
    WITH reviewers AS (
        SELECT actor, row_number() OVER (ORDER BY min(entry)) AS number
        FROM alert_history WHERE action = 'resolve' GROUP BY actor)
    SELECT a.id, a.kind, a.site, a.box, a.camera, a.simulated, h.reason, h.at, r.number
    FROM alerts a
    JOIN alert_history h ON h.alert = a.id AND h.action = 'resolve'
    JOIN reviewers r ON r.actor = h.actor
    WHERE a.state = 'resolved'
    ORDER BY a.id, h.entry";

const BODIES: &str = "SELECT body FROM alert_bodies WHERE alert = ?1 ORDER BY revision";

const STILLS: &str = "
    SELECT sha256, media_type, captured FROM evidence_items
    WHERE (alert, site, box, camera) = (?1, ?2, ?3, ?4)
        AND role = 'still_clean' AND media_type IN ('image/jpeg', 'image/png')
    ORDER BY captured, sha256";

/// How many alerts nobody has resolved yet.
pub(super) fn undecided(connection: &Connection) -> rusqlite::Result<usize> {
    connection
        .query_row(
            "SELECT count(*) FROM alerts WHERE state <> 'resolved'",
            [],
            |row| row.get::<_, i64>(0),
        )
        .map(|count| usize::try_from(count).unwrap_or(0))
}

/// All of them, by id.
pub(super) fn alerts(connection: &Connection) -> rusqlite::Result<Vec<DecidedAlert>> {
    let mut bodies = connection.prepare_cached(BODIES)?;
    let mut stills = connection.prepare_cached(STILLS)?;
    let mut decided = connection.prepare_cached(DECIDED)?;
    let mut rows = decided.query([])?;
    let mut alerts = Vec::new();
    while let Some(row) = rows.next()? {
        let reason: Option<String> = row.get(6)?;
        // A reason of a later version is none that we know what to learn from.
        let Some(disposition) = reason.as_deref().and_then(Resolution::parse) else {
            continue;
        };
        let id: [u8; 16] = row.get(0)?;
        let (site, box_id, camera): (String, String, String) =
            (row.get(2)?, row.get(3)?, row.get(4)?);
        let stills = stills
            .query_map(params![id.as_slice(), site, box_id, camera], |row| {
                Ok(DecidedStill {
                    sha256: Digest(row.get(0)?),
                    media_type: row.get(1)?,
                    captured: EventTime::from_micros(row.get(2)?),
                })
            })?
            .collect::<Result<_, _>>()?;
        alerts.push(DecidedAlert {
            id: EventId(Uuid::from_bytes(id)),
            kind: row.get(1)?,
            site,
            box_id,
            camera,
            simulated: row.get(5)?,
            disposition,
            decided_at: EventTime::from_micros(row.get(7)?),
            reviewer: row.get(8)?,
            bodies: bodies
                .query_map([id.as_slice()], |row| row.get(0))?
                .collect::<Result<_, _>>()?,
            stills,
        });
    }
    Ok(alerts)
}
