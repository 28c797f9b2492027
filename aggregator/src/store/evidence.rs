//! Which files of evidence are stored.

use protocol::{Digest, EventId, EventTime};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::apply::{Numbers, touch};
use super::rows::EvidenceFile;

/// Notes a stored file and tells everybody who looks at its alerts.
pub(super) fn stored(
    tx: &Transaction<'_>,
    file: &EvidenceFile,
    numbers: &mut Numbers,
) -> rusqlite::Result<()> {
    let sha256 = file.sha256.0.as_slice();
    let rows = tx
        .prepare_cached(
            "INSERT OR IGNORE INTO evidence_files (sha256, length, media_type, stored_at)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            sha256,
            i64::try_from(file.length).unwrap_or(i64::MAX),
            file.media_type,
            file.stored_at.as_micros(),
        ])?;
    if rows == 0 {
        return Ok(());
    }
    // It is here again; when its time has come again, it is removed again.
    tx.prepare_cached("DELETE FROM evidence_removed WHERE sha256 = ?1")?
        .execute([sha256])?;
    let alerts: Vec<[u8; 16]> = tx
        .prepare_cached(
            "SELECT DISTINCT a.id FROM evidence_items i
             JOIN alerts a ON (a.id, a.site, a.box, a.camera)
                = (i.alert, i.site, i.box, i.camera)
             WHERE i.sha256 = ?1",
        )?
        .query_map([sha256], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for alert in alerts {
        touch(tx, EventId(Uuid::from_bytes(alert)), numbers)?;
    }
    Ok(())
}

/// A stored file.
pub(super) fn file(
    connection: &Connection,
    sha256: Digest,
) -> rusqlite::Result<Option<EvidenceFile>> {
    connection
        .prepare_cached(
            "SELECT length, media_type, stored_at FROM evidence_files WHERE sha256 = ?1",
        )?
        .query_row([sha256.0.as_slice()], |row| {
            Ok(EvidenceFile {
                sha256,
                length: row.get::<_, i64>(0)?.cast_unsigned(),
                media_type: row.get(1)?,
                stored_at: EventTime::from_micros(row.get(2)?),
            })
        })
        .optional()
}
