//! Questions to the database: lists, details, counts.

use protocol::event::Words;
use protocol::{Digest, EventId, EventTime};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use uuid::Uuid;

use super::Removed;
use super::rows::{
    AlertDetail, AlertRow, BoxRow, CameraRow, DeadLetterRow, EvidenceRow, HistoryRow, KindCount,
    LockRow, MissingRow,
};
use crate::alert::{MachineState, State};

/// Where the next page begins: after this alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When it occurred.
    pub occurred_at: EventTime,
    /// Which one, of those that occurred then.
    pub id: EventId,
}

/// Which alerts; an empty list or `None` asks for all.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // each is the column of that name
pub struct AlertFilter {
    pub kinds: Vec<String>,
    pub cameras: Vec<String>,
    pub boxes: Vec<String>,
    pub sites: Vec<String>,
    pub states: Vec<State>,
    pub severities: Vec<String>,
    pub simulated: Option<bool>,
    /// At this instant or later.
    pub occurred_from: Option<EventTime>,
    /// Before this instant.
    pub occurred_until: Option<EventTime>,
    /// Where the page begins.
    pub after: Option<Cursor>,
    /// Rows on the page.
    pub limit: u32,
}

/// Some alerts, and where the next ones begin.
#[derive(Clone, Debug)]
pub struct Page {
    /// Newest first.
    pub items: Vec<AlertRow>,
    /// `None` on the last page.
    pub next: Option<Cursor>,
}

/// Everything that a list shows of an alert. The stills are only named once
/// their files are here, so nobody is sent to a picture that is not. Of several
/// that of the decision counts: the places on the event are where it was then.
const ALERT: &str = "
    SELECT a.id, a.kind, a.severity, a.title_vi, a.title_en, a.site, a.box, a.camera,
        c.name, a.place, a.zone, a.occurred_at, a.decided_at, a.ended_at, a.received_at,
        a.state, a.machine, a.revision, a.simulated, a.change,
        (SELECT i.sha256 FROM evidence_items i JOIN evidence_files f ON f.sha256 = i.sha256
            WHERE (i.alert, i.site, i.box, i.camera) = (a.id, a.site, a.box, a.camera)
                AND i.role = 'still_annotated' ORDER BY abs(i.captured - a.decided_at) LIMIT 1),
        (SELECT i.sha256 FROM evidence_items i JOIN evidence_files f ON f.sha256 = i.sha256
            WHERE (i.alert, i.site, i.box, i.camera) = (a.id, a.site, a.box, a.camera)
                AND i.role = 'still_clean' ORDER BY abs(i.captured - a.decided_at) LIMIT 1),
        l.at, l.actor, l.reason
    FROM alerts a
    LEFT JOIN evidence_locks l ON l.alert = a.id
    LEFT JOIN cameras c ON c.site = a.site AND c.box = a.box AND c.camera = a.camera";

fn alert_row(row: &Row<'_>) -> rusqlite::Result<AlertRow> {
    let time = |index| row.get(index).map(EventTime::from_micros);
    let digest =
        |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<[u8; 32]>>(index)?.map(Digest));
    let place: Option<String> = row.get(9)?;
    Ok(AlertRow {
        id: EventId(Uuid::from_bytes(row.get(0)?)),
        kind: row.get(1)?,
        severity: row.get(2)?,
        title: Words {
            vi: row.get(3)?,
            en: row.get(4)?,
        },
        site: row.get(5)?,
        box_id: row.get(6)?,
        camera: row.get(7)?,
        camera_name: row.get(8)?,
        place: place.and_then(|place| serde_json::from_str(&place).ok()),
        zone: row.get(10)?,
        occurred_at: time(11)?,
        decided_at: time(12)?,
        ended_at: row.get::<_, Option<i64>>(13)?.map(EventTime::from_micros),
        received_at: time(14)?,
        state: State::parse(&row.get::<_, String>(15)?).unwrap_or(State::New),
        machine: MachineState::parse(&row.get::<_, String>(16)?).unwrap_or(MachineState::Updated),
        revision: row.get(17)?,
        simulated: row.get(18)?,
        change: row.get(19)?,
        still: digest(20)?,
        still_clean: digest(21)?,
        lock: row
            .get::<_, Option<i64>>(22)?
            .map(|at| {
                Ok::<_, rusqlite::Error>(LockRow {
                    at: EventTime::from_micros(at),
                    actor: row.get(23)?,
                    reason: row.get(24)?,
                })
            })
            .transpose()?,
    })
}

/// Conditions and their values, collected.
#[derive(Default)]
struct Conditions {
    text: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn one_of(&mut self, column: &str, words: Vec<String>) {
        if !words.is_empty() {
            let marks = vec!["?"; words.len()].join(", ");
            self.text.push(format!("{column} IN ({marks})"));
            self.values.extend(words.into_iter().map(Value::Text));
        }
    }

    fn compare(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.text.push(condition.to_owned());
        self.values.extend(values);
    }
}

pub(super) fn alerts(connection: &Connection, filter: &AlertFilter) -> rusqlite::Result<Page> {
    let mut conditions = Conditions::default();
    let states = filter.states.iter().map(|state| state.as_str().to_owned());
    conditions.one_of("a.kind", filter.kinds.clone());
    conditions.one_of("a.camera", filter.cameras.clone());
    conditions.one_of("a.box", filter.boxes.clone());
    conditions.one_of("a.site", filter.sites.clone());
    conditions.one_of("a.state", states.collect());
    conditions.one_of("a.severity", filter.severities.clone());
    if let Some(simulated) = filter.simulated {
        conditions.compare("a.simulated = ?", [Value::from(simulated)]);
    }
    if let Some(from) = filter.occurred_from {
        conditions.compare("a.occurred_at >= ?", [from.as_micros().into()]);
    }
    if let Some(until) = filter.occurred_until {
        conditions.compare("a.occurred_at < ?", [until.as_micros().into()]);
    }
    if let Some(after) = filter.after {
        conditions.compare(
            "(a.occurred_at, a.id) < (?, ?)",
            [
                after.occurred_at.as_micros().into(),
                Value::Blob(after.id.0.as_bytes().to_vec()),
            ],
        );
    }
    let mut sql = ALERT.to_owned();
    if !conditions.text.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&conditions.text.join(" AND "));
    }
    // One more than asked for tells whether there is another page.
    sql.push_str(" ORDER BY a.occurred_at DESC, a.id DESC LIMIT ?");
    conditions.values.push((i64::from(filter.limit) + 1).into());
    let mut items: Vec<AlertRow> = connection
        .prepare_cached(&sql)?
        .query_map(params_from_iter(conditions.values), alert_row)?
        .collect::<Result<_, _>>()?;
    let limit = filter.limit as usize;
    let next = (items.len() > limit).then(|| {
        items.truncate(limit);
        items.last().map(|last| Cursor {
            occurred_at: last.occurred_at,
            id: last.id,
        })
    });
    Ok(Page {
        items,
        next: next.flatten(),
    })
}

/// One alert as it stands in a list.
pub(super) fn row(connection: &Connection, id: &[u8]) -> rusqlite::Result<Option<AlertRow>> {
    connection
        .prepare_cached(&format!("{ALERT} WHERE a.id = ?1"))?
        .query_row([id], alert_row)
        .optional()
}

pub(super) fn alert(connection: &Connection, id: EventId) -> rusqlite::Result<Option<AlertDetail>> {
    let id = id.0.as_bytes().as_slice();
    let Some(row) = row(connection, id)? else {
        return Ok(None);
    };
    let body = connection
        .prepare_cached("SELECT body FROM alert_bodies WHERE alert = ?1 AND revision = ?2")?
        .query_row(params![id, row.revision], |row| row.get(0))?;
    let evidence = connection
        .prepare_cached(
            "SELECT i.role, i.sha256, i.length, i.media_type, i.captured, f.sha256 IS NOT NULL,
                i.until, i.asked, i.note, r.removed_at, r.class, r.days
             FROM evidence_items i
             JOIN alerts a ON (a.id, a.site, a.box, a.camera)
                = (i.alert, i.site, i.box, i.camera)
             LEFT JOIN evidence_files f ON f.sha256 = i.sha256
             LEFT JOIN evidence_removed r ON r.sha256 = i.sha256
             WHERE i.alert = ?1 ORDER BY i.captured, i.role, i.sha256",
        )?
        .query_map([id], |row| {
            Ok(EvidenceRow {
                role: row.get(0)?,
                sha256: Digest(row.get(1)?),
                length: row.get::<_, i64>(2)?.cast_unsigned(),
                media_type: row.get(3)?,
                captured: EventTime::from_micros(row.get(4)?),
                is_stored: row.get(5)?,
                until: row.get::<_, Option<i64>>(6)?.map(EventTime::from_micros),
                asked: maybe(row, 7)?,
                note: maybe(row, 8)?,
                removed: row
                    .get::<_, Option<i64>>(9)?
                    .map(|at| {
                        Ok::<_, rusqlite::Error>(Removed {
                            at: EventTime::from_micros(at),
                            class: row.get(10)?,
                            days: row.get(11)?,
                        })
                    })
                    .transpose()?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let missing = connection
        .prepare_cached(
            "SELECT m.role, m.at, m.reason FROM evidence_missing m
             JOIN alerts a ON (a.id, a.site, a.box, a.camera)
                = (m.alert, m.site, m.box, m.camera)
             WHERE m.alert = ?1 ORDER BY m.at, m.role",
        )?
        .query_map([id], |row| {
            let at: i64 = row.get(1)?;
            Ok(MissingRow {
                role: row.get(0)?,
                at: (at != 0).then_some(EventTime::from_micros(at)),
                reason: parsed(row, 2)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let history = connection
        .prepare_cached(
            "SELECT at, actor, action, from_state, to_state, reason, note
             FROM alert_history WHERE alert = ?1 ORDER BY entry",
        )?
        .query_map([id], |row| {
            Ok(HistoryRow {
                at: EventTime::from_micros(row.get(0)?),
                actor: row.get(1)?,
                action: row.get(2)?,
                from: row.get(3)?,
                to: row.get(4)?,
                reason: row.get(5)?,
                note: row.get(6)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(Some(AlertDetail {
        row,
        body,
        evidence,
        missing,
        history,
    }))
}

const CAMERA: &str = "
    SELECT c.status, coalesce(b.online, 0), c.received_at, c.change
    FROM cameras c LEFT JOIN boxes b ON b.site = c.site AND b.box = c.box";

fn camera_row(row: &Row<'_>) -> rusqlite::Result<CameraRow> {
    Ok(CameraRow {
        status: parsed(row, 0)?,
        box_online: row.get(1)?,
        received_at: EventTime::from_micros(row.get(2)?),
        change: row.get(3)?,
    })
}

/// Reads what an earlier commit wrote as JSON, where there is any.
fn maybe<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    index: usize,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(index)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => parsed(row, index).map(Some),
    }
}

/// Reads a status that an earlier commit wrote as JSON.
fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let text: String = row.get(index)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            index,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

pub(super) fn cameras(connection: &Connection) -> rusqlite::Result<Vec<CameraRow>> {
    connection
        .prepare_cached(&format!("{CAMERA} ORDER BY c.site, c.box, c.camera"))?
        .query_map([], camera_row)?
        .collect()
}

const BOX: &str = "SELECT b.status, b.received_at, b.change FROM boxes b";

fn box_row(row: &Row<'_>) -> rusqlite::Result<BoxRow> {
    Ok(BoxRow {
        status: parsed(row, 0)?,
        received_at: EventTime::from_micros(row.get(1)?),
        change: row.get(2)?,
    })
}

pub(super) fn boxes(connection: &Connection) -> rusqlite::Result<Vec<BoxRow>> {
    connection
        .prepare_cached(&format!("{BOX} ORDER BY b.site, b.box"))?
        .query_map([], box_row)?
        .collect()
}

/// Alerts, cameras and boxes whose last change lies in `(after, …]`, oldest first.
pub(super) type Changed = (Vec<AlertRow>, Vec<CameraRow>, Vec<BoxRow>);

pub(super) fn changed(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> rusqlite::Result<Changed> {
    let bounds = params![after, limit];
    let alerts = connection
        .prepare_cached(&format!(
            "{ALERT} WHERE a.change > ?1 ORDER BY a.change LIMIT ?2"
        ))?
        .query_map(bounds, alert_row)?
        .collect::<Result<_, _>>()?;
    let cameras = connection
        .prepare_cached(&format!(
            "{CAMERA} WHERE c.change > ?1 ORDER BY c.change LIMIT ?2"
        ))?
        .query_map(bounds, camera_row)?
        .collect::<Result<_, _>>()?;
    let boxes = connection
        .prepare_cached(&format!(
            "{BOX} WHERE b.change > ?1 ORDER BY b.change LIMIT ?2"
        ))?
        .query_map(bounds, box_row)?
        .collect::<Result<_, _>>()?;
    Ok((alerts, cameras, boxes))
}

pub(super) fn kinds(connection: &Connection) -> rusqlite::Result<Vec<KindCount>> {
    connection
        .prepare_cached(
            "SELECT kind, state, count(*) FROM alerts GROUP BY kind, state ORDER BY kind, state",
        )?
        .query_map([], |row| {
            Ok(KindCount {
                kind: row.get(0)?,
                state: State::parse(&row.get::<_, String>(1)?).unwrap_or(State::New),
                count: row.get::<_, i64>(2)?.cast_unsigned(),
            })
        })?
        .collect()
}

pub(super) fn dead_letters(
    connection: &Connection,
    limit: u32,
) -> rusqlite::Result<Vec<DeadLetterRow>> {
    connection
        .prepare_cached(
            "SELECT received_at, topic, site, box, reason, detail, length, head
             FROM dead_letters ORDER BY entry DESC LIMIT ?1",
        )?
        .query_map([limit], |row| {
            Ok(DeadLetterRow {
                received_at: EventTime::from_micros(row.get(0)?),
                topic: row.get(1)?,
                site: row.get(2)?,
                box_id: row.get(3)?,
                reason: row.get(4)?,
                detail: row.get(5)?,
                length: row.get::<_, i64>(6)?.cast_unsigned(),
                head: row.get(7)?,
            })
        })?
        .collect()
}
