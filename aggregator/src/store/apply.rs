//! What one message does to the tables, inside a transaction.

use protocol::event::{Severity, Words};
use protocol::evidence::{EvidenceRole, Missing};
use protocol::status::{BoxStatus, CameraStatus};
use protocol::{CameraId, Event, EventId, EventTime, EvidenceManifest, Phase};
use rusqlite::{OptionalExtension, Transaction, params};

use super::progress::{self, Progress};
use super::writer::Outcome;
use super::{StoreSettings, Whose};
use super::{retention, set_aside};
use crate::alert::{MachineState, State};
use crate::inbox::{Content, DeadLetter, Letter, Reason};

/// The number that the next change gets; taken over by the writer at commit.
pub(super) struct Numbers {
    last: i64,
}

impl Numbers {
    pub(super) fn after(last: i64) -> Self {
        Self { last }
    }

    pub(super) fn next(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    pub(super) fn last(&self) -> i64 {
        self.last
    }
}

/// What a message did.
pub(super) struct Applied {
    pub(super) outcome: Outcome,
    pub(super) progress: Option<Progress>,
    /// How many messages set aside had to go for this one.
    pub(super) dropped: u64,
}

/// Takes a letter in, once.
pub(super) fn letter(
    tx: &Transaction<'_>,
    letter: &Letter,
    numbers: &mut Numbers,
    settings: &StoreSettings,
) -> rusqlite::Result<Applied> {
    let now = letter.received.as_micros();
    // A status is a state, not an event: it has no place in an outbox, and the
    // last one wins however often it comes.
    let is_new = match &letter.content {
        Content::Camera(status) => camera(tx, status, now, numbers)?,
        Content::Box(status) => self::status(tx, status, now, numbers)?,
        Content::Event(_) | Content::Evidence(..) if !unseen(tx, letter)? => false,
        Content::Event(event) => {
            if let Some(theirs) = of_another(tx, letter, event.id, &event.camera)? {
                return dead(tx, &theirs, settings);
            }
            self::event(tx, event, letter, numbers)?
        }
        Content::Evidence(camera, manifest) => {
            if let Some(theirs) = of_another(tx, letter, manifest.event, camera)? {
                return dead(tx, &theirs, settings);
            }
            evidence(tx, (letter, camera), manifest, numbers)?
        }
    };
    let whose = (&letter.site, &letter.box_id);
    let progress = match (&letter.content, &letter.delivery) {
        // A box that is here is told what is here of its outbox: after a restored
        // backup that is less than it was receipted.
        (Content::Box(status), _) => match &status.outbox {
            Some(position) if status.online => Some(progress::known(tx, whose, position)?),
            _ => None,
        },
        (_, Some(delivery)) => Some(progress::note(tx, whose, delivery, now)?),
        (_, None) => None,
    };
    let outcome = if is_new {
        Outcome::Taken
    } else {
        Outcome::Duplicate
    };
    Ok(Applied {
        outcome,
        progress,
        dropped: 0,
    })
}

/// The dead letter that a letter is when its alert is that of another camera:
/// nobody may rewrite another's accusation, nor add pictures to it.
fn of_another(
    tx: &Transaction<'_>,
    letter: &Letter,
    alert: EventId,
    camera: &CameraId,
) -> rusqlite::Result<Option<DeadLetter>> {
    let owner: Option<(String, String, String)> = tx
        .prepare_cached("SELECT site, box, camera FROM alerts WHERE id = ?1")?
        .query_row([alert.0.as_bytes().as_slice()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    Ok(owner.and_then(|(site, box_id, its_camera)| {
        let is_theirs = site == letter.site.as_str()
            && box_id == letter.box_id.as_str()
            && its_camera == camera.as_str();
        (!is_theirs).then(|| {
            let detail = format!("alert {alert} is of /{site}/{box_id}/{its_camera}; not changed");
            letter.refused(Reason::WrongSource, detail)
        })
    }))
}

/// Keeps a dead letter, and lets its box go on.
pub(super) fn dead(
    tx: &Transaction<'_>,
    dead: &DeadLetter,
    settings: &StoreSettings,
) -> rusqlite::Result<Applied> {
    let now = dead.received.as_micros();
    let owner = dead.owner.as_ref();
    tx.prepare_cached(
        "INSERT INTO dead_letters (received_at, topic, site, box, reason, detail, length, head)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        now,
        dead.topic,
        owner.map(|(site, _)| site.as_str()),
        owner.map(|(_, box_id)| box_id.as_str()),
        dead.reason.as_str(),
        dead.detail,
        i64::try_from(dead.body.len()).unwrap_or(i64::MAX),
        dead.head(),
    ])?;
    tx.prepare_cached("DELETE FROM dead_letters WHERE entry <= ?1")?
        .execute([tx.last_insert_rowid() - i64::from(settings.dead_letters)])?;
    let dropped = set_aside::keep(tx, dead, settings)?;
    let progress = match (owner, &dead.delivery) {
        (Some((site, box_id)), Some(delivery)) => {
            Some(progress::note(tx, (site, box_id), delivery, now)?)
        }
        _ => None,
    };
    Ok(Applied {
        outcome: Outcome::Dead(dead.reason),
        progress,
        dropped,
    })
}

/// Notes that a message has come; `false` when it had come before.
fn unseen(tx: &Transaction<'_>, letter: &Letter) -> rusqlite::Result<bool> {
    let rows = tx
        .prepare_cached("INSERT OR IGNORE INTO inbox VALUES (?1, ?2, ?3)")?
        .execute(params![
            letter.source,
            letter.id,
            letter.received.as_micros()
        ])?;
    Ok(rows == 1)
}

/// Raises or updates an alert; `false` for a revision that says nothing new.
fn event(
    tx: &Transaction<'_>,
    event: &Event,
    letter: &Letter,
    numbers: &mut Numbers,
) -> rusqlite::Result<bool> {
    let now = letter.received.as_micros();
    let id = event.id.0.as_bytes().as_slice();
    let kept = tx
        .prepare_cached("INSERT OR IGNORE INTO alert_bodies VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, event.revision, now, letter.body.as_ref()])?;
    let known: Option<(u32, String)> = tx
        .prepare_cached("SELECT revision, machine FROM alerts WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if kept == 0
        || known
            .as_ref()
            .is_some_and(|(revision, _)| *revision >= event.revision)
    {
        return Ok(false);
    }
    let machine = match (event.phase, &known) {
        (Phase::End, _) => MachineState::Cleared,
        (Phase::Start, None) => MachineState::Raised,
        (Phase::Start | Phase::Update, _) => MachineState::Updated,
    };
    let place = event.place.as_ref().map(json).transpose()?;
    tx.prepare_cached(
        "INSERT INTO alerts VALUES
            (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
         ON CONFLICT (id) DO UPDATE SET
            kind = excluded.kind, severity = excluded.severity,
            title_vi = excluded.title_vi, title_en = excluded.title_en,
            zone = excluded.zone, place = excluded.place,
            occurred_at = excluded.occurred_at, decided_at = excluded.decided_at,
            ended_at = excluded.ended_at, machine = excluded.machine,
            revision = excluded.revision, simulated = excluded.simulated,
            change = excluded.change",
    )?
    .execute(params![
        id,
        event.kind.0,
        severity(event.severity),
        event.title.vi,
        event.title.en,
        event.site.as_str(),
        event.box_id.as_str(),
        event.camera.as_str(),
        event.zone.as_ref().map(protocol::ZoneId::as_str),
        place,
        event.onset.as_micros(),
        event.decided.time.as_micros(),
        event.ended.map(protocol::EventTime::as_micros),
        now,
        State::New.as_str(),
        machine.as_str(),
        event.revision,
        event.simulated,
        numbers.next(),
    ])?;
    tx.prepare_cached(
        "INSERT INTO alert_history (alert, at, actor, action, from_state, to_state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?4)",
    )?
    .execute(params![
        id,
        now,
        format!("{}/{}", event.site, event.box_id),
        machine.as_str(),
        known.map(|(_, machine)| machine),
    ])?;
    Ok(true)
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Minor => "minor",
        Severity::Major => "major",
        Severity::Critical => "critical",
    }
}

/// Joins files to an alert, which may come later.
fn evidence(
    tx: &Transaction<'_>,
    (letter, camera): (&Letter, &CameraId),
    manifest: &EvidenceManifest,
    numbers: &mut Numbers,
) -> rusqlite::Result<bool> {
    let alert = manifest.event.0.as_bytes().as_slice();
    let (site, box_id, camera) = (
        letter.site.as_str(),
        letter.box_id.as_str(),
        camera.as_str(),
    );
    let mut added = 0;
    for item in &manifest.items {
        added += tx
            .prepare_cached(
                "INSERT OR IGNORE INTO evidence_items
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                alert,
                site,
                box_id,
                camera,
                role(item.role)?,
                item.sha256.0.as_slice(),
                i64::try_from(item.length).unwrap_or(i64::MAX),
                item.media_type,
                item.captured.as_micros(),
                item.until.map(EventTime::as_micros),
                item.asked.as_ref().map(json).transpose()?,
                item.note.as_ref().map(json).transpose()?,
            ])?;
    }
    added += missing(tx, (site, box_id, camera), manifest)?;
    if added > 0 {
        retention::unsort(tx, manifest.event)?;
    }
    let is_theirs: bool = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM alerts
             WHERE id = ?1 AND site = ?2 AND box = ?3 AND camera = ?4)",
        )?
        .query_row(params![alert, site, box_id, camera], |row| row.get(0))?;
    if added > 0 && is_theirs {
        touch(tx, manifest.event, numbers)?;
    }
    Ok(added > 0)
}

/// Notes what an alert's evidence lacks; how much of it is new.
fn missing(
    tx: &Transaction<'_>,
    (site, box_id, camera): (&str, &str, &str),
    manifest: &EvidenceManifest,
) -> rusqlite::Result<usize> {
    // Boxes older than signed cases say with nothing that there will be nothing.
    let nothing = (manifest.items.is_empty() && manifest.missing.is_empty()).then(|| Missing {
        role: EvidenceRole::Other,
        at: None,
        reason: Words {
            vi: "hộp thiết bị báo sẽ không có chứng cứ".to_owned(),
            en: "the box says that there will be no evidence".to_owned(),
        },
    });
    let mut added = 0;
    for item in manifest.missing.iter().chain(&nothing) {
        added += tx
            .prepare_cached(
                "INSERT OR IGNORE INTO evidence_missing VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                manifest.event.0.as_bytes().as_slice(),
                site,
                box_id,
                camera,
                role(item.role)?,
                item.at.map_or(0, EventTime::as_micros),
                json(&item.reason)?,
            ])?;
    }
    Ok(added)
}

/// The role's own word, as `protocol` writes it.
fn role(role: EvidenceRole) -> rusqlite::Result<String> {
    json(&role).map(|text| text.trim_matches('"').to_owned())
}

/// Gives an alert a new change number, because what the operator sees is different.
pub(super) fn touch(
    tx: &Transaction<'_>,
    alert: EventId,
    numbers: &mut Numbers,
) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE alerts SET change = ?2 WHERE id = ?1")?
        .execute(params![alert.0.as_bytes().as_slice(), numbers.next()])?;
    Ok(())
}

/// Replaces what is known of a camera; `false` when it said the same again.
fn camera(
    tx: &Transaction<'_>,
    status: &CameraStatus,
    now: i64,
    numbers: &mut Numbers,
) -> rusqlite::Result<bool> {
    let rows = tx
        .prepare_cached(
            "INSERT INTO cameras VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (site, box, camera) DO UPDATE SET name = excluded.name, status = excluded.status,
                received_at = excluded.received_at, change = excluded.change
             WHERE status <> excluded.status",
        )?
        .execute(params![
            status.site.as_str(),
            status.box_id.as_str(),
            status.camera.as_str(),
            status.name,
            json(status)?,
            now,
            numbers.next(),
        ])?;
    Ok(rows == 1)
}

/// Replaces what is known of a box; `false` when it said the same again.
fn status(
    tx: &Transaction<'_>,
    status: &BoxStatus,
    now: i64,
    numbers: &mut Numbers,
) -> rusqlite::Result<bool> {
    let rows = tx
        .prepare_cached(
            "INSERT INTO boxes VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (site, box) DO UPDATE SET online = excluded.online, status = excluded.status,
                received_at = excluded.received_at, change = excluded.change
             WHERE status <> excluded.status",
        )?
        .execute(params![
            status.site.as_str(),
            status.box_id.as_str(),
            status.online,
            json(status)?,
            now,
            numbers.next(),
        ])?;
    Ok(rows == 1)
}

/// Remembers the last will of a box that has come to the front door.
pub(super) fn arrived(
    tx: &Transaction<'_>,
    ((site, box_id), connection): (&Whose, u64),
    will: &Letter,
) -> rusqlite::Result<()> {
    if let Content::Box(status) = &will.content {
        tx.prepare_cached("INSERT OR REPLACE INTO wills VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                site.as_str(),
                box_id.as_str(),
                connection.cast_signed(),
                json(status)?
            ])?;
    }
    Ok(())
}

/// Forgets the last will of a box that has left, after carrying it out when
/// the box left without a word.
pub(super) fn left(
    tx: &Transaction<'_>,
    ((site, box_id), connection): (&Whose, u64),
    in_disorder: bool,
    numbers: &mut Numbers,
) -> rusqlite::Result<()> {
    let will: Option<String> = tx
        .prepare_cached(
            "DELETE FROM wills WHERE site = ?1 AND box = ?2 AND connection = ?3 RETURNING status",
        )?
        .query_row(
            params![site.as_str(), box_id.as_str(), connection.cast_signed()],
            |row| row.get(0),
        )
        .optional()?;
    match will {
        Some(will) if in_disorder => execute_will(tx, &will, numbers),
        _ => Ok(()),
    }
}

/// Carries out the wills that a killed centre left behind: nobody is connected
/// to a process that has just started.
pub(super) fn left_behind(tx: &Transaction<'_>, numbers: &mut Numbers) -> rusqlite::Result<()> {
    let wills: Vec<String> = tx
        .prepare("SELECT status FROM wills")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for will in wills {
        execute_will(tx, &will, numbers)?;
    }
    tx.execute("DELETE FROM wills", [])?;
    Ok(())
}

fn execute_will(tx: &Transaction<'_>, will: &str, numbers: &mut Numbers) -> rusqlite::Result<()> {
    // Written by `arrived` in this version's words; one from a version that
    // spoke otherwise only delays the news until the box is heard again.
    match serde_json::from_str::<BoxStatus>(will) {
        Ok(will) => {
            status(tx, &will, crate::clock::now().as_micros(), numbers)?;
        }
        Err(error) => {
            tracing::warn!(%error, "a last will in the database cannot be read; skipped");
        }
    }
    Ok(())
}

/// The database's text of a value.
fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
