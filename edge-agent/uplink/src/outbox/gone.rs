//! Evidence that will never come, told to the centre.
//!
//! A signed case names its files, and the alert's page says of each that its box may
//! still be uploading it. When the box has given one up for want of room, or it is gone
//! or damaged on its disk, or the centre does not take it, nobody must wait for it: a
//! manifest without items says which will not come. It goes through the outbox like any
//! message, once the event's case is announced, which is the last word on what there was.

use std::collections::BTreeMap;

use case_bundle::manifest::CASE_MEDIA_TYPE;
use protocol::event::Words;
use protocol::evidence::{EvidenceRole, Missing};
use protocol::{BoxId, CameraId, Digest, EventId, EventTime, EvidenceManifest, SiteId, topic};
use rusqlite::params;

use super::{Outbox, OutboxError, State};
use crate::database::{Database, Message, Stored};
use crate::envelope;
use crate::ledger::Entry;

/// Added to an outbox file in its seventh version.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE evidence_gone (
        event      TEXT NOT NULL,
        sha256     TEXT NOT NULL,
        camera     TEXT NOT NULL,
        media_type TEXT NOT NULL,
        why        TEXT NOT NULL,
        PRIMARY KEY (event, sha256)
    ) WITHOUT ROWID;
";

/// Events told of at a time.
const MOST: u32 = 1000;
/// Files that are named in a reason.
const NAMED: usize = 3;

/// Why a file will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its room was needed.
    Room,
    /// Somebody or something removed it from the disk.
    Gone,
    /// It is not what its name says any more, or the centre takes it in no form.
    Refused,
}

impl Why {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Room, "room"),
        (Self::Gone, "gone"),
        (Self::Refused, "refused"),
    ];

    fn word(self) -> &'static str {
        let found = Self::ALL.into_iter().find(|(why, _)| *why == self);
        found.map_or("", |(_, word)| word)
    }

    fn reason(self, files: &[Digest]) -> Words {
        let names = files.iter().take(NAMED);
        let names: Vec<String> = names
            .map(|file| file.to_string().chars().take(12).collect())
            .collect();
        let more = if files.len() > NAMED { ", …" } else { "" };
        let (n, names) = (files.len(), format!("{}{more}", names.join(", ")));
        let (vi, en) = match self {
            Self::Room => (
                "hộp thiết bị đã xóa vì thiếu chỗ trên đĩa, trước khi trung tâm xác nhận đã nhận",
                "removed by the box for want of room, before the centre had said that it has it",
            ),
            Self::Gone => (
                "không còn trên đĩa của hộp thiết bị, trước khi trung tâm xác nhận đã nhận",
                "gone from the box's disk, before the centre had said that it has it",
            ),
            Self::Refused => (
                "bị hỏng trên đĩa của hộp thiết bị, hoặc trung tâm không nhận; xem nhật ký của hộp",
                "damaged on the box's disk, or the centre does not take it; see the box's log",
            ),
        };
        Words::new(
            format!("{vi}, tổng cộng {n}: {names}"),
            format!("{en}, {n} in all: {names}"),
        )
    }
}

/// What is to be said of an event: by role and reason the files.
type Unsaid = BTreeMap<(EvidenceRole, &'static str), (Why, Vec<Digest>)>;

impl Database {
    /// Notes that a file will not come, for each event that it is evidence of. A copy is
    /// no loss.
    pub(super) fn note_gone(&self, digest: &str, why: Why) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO evidence_gone
                 SELECT o.event, o.sha256, o.camera, e.media_type, ?2
                 FROM evidence AS e JOIN evidence_of AS o ON o.sha256 = e.sha256
                 WHERE e.sha256 = ?1 AND e.state <> 'uploaded' AND o.camera IS NOT NULL",
            )?
            .execute(params![digest, why.word()])?;
        Ok(())
    }

    /// What the centre was not told yet, by event and camera. An event whose evidence is
    /// still owed waits for its case.
    fn unsaid(&self) -> rusqlite::Result<BTreeMap<(String, String), Unsaid>> {
        let mut select = self.connection.prepare_cached(
            "SELECT event, camera, sha256, media_type, why FROM evidence_gone
             WHERE event IN (SELECT DISTINCT event FROM evidence_gone
                WHERE event NOT IN (SELECT event FROM evidence_due) LIMIT ?1)
             ORDER BY event, sha256",
        )?;
        let mut rows = select.query([MOST])?;
        let mut unsaid: BTreeMap<(String, String), Unsaid> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (media_type, why): (String, String) = (row.get(3)?, row.get(4)?);
            let role = match &*media_type {
                CASE_MEDIA_TYPE => EvidenceRole::CaseManifest,
                video if video.starts_with("video/") => EvidenceRole::Clip,
                _ => EvidenceRole::Other,
            };
            let known = Why::ALL.into_iter().find(|(_, word)| *word == why);
            let (Some((why, word)), Ok(digest)) = (known, row.get::<_, String>(2)?.parse()) else {
                continue;
            };
            let of_event = unsaid.entry((row.get(0)?, row.get(1)?)).or_default();
            let files = of_event.entry((role, word));
            files.or_insert((why, Vec::new())).1.push(digest);
        }
        Ok(unsaid)
    }
}

impl Outbox {
    /// Tells the centre of what will not come.
    pub(super) fn tell_of_gone(
        &self,
        state: &mut State,
        now: EventTime,
    ) -> Result<(), OutboxError> {
        // What waits in memory is not in the tables yet, and would be told twice.
        if !state.in_memory.is_empty() {
            return Ok(());
        }
        for ((event, camera), files) in self.named(state.database.unsaid())? {
            let Some((event, whose)) = parsed(&event, &camera) else {
                continue;
            };
            let whose = (&whose.0, &whose.1, &whose.2);
            let missing = files.iter().map(|((role, _), (why, files))| Missing {
                role: *role,
                at: None,
                reason: why.reason(files),
            });
            let manifest = EvidenceManifest {
                event,
                items: Vec::new(),
                missing: missing.collect(),
            };
            let files = files.values().flat_map(|(_, files)| files);
            let envelope = envelope::of_gone(whose, &manifest, files, now);
            let stored = Stored {
                topic: topic::event(whose.0, whose.1, whose.2),
                envelope: Self::written::<_, EvidenceManifest>(&envelope)?,
            };
            let entries = vec![Entry::Told(event)];
            self.append_message(state, Message { stored, entries })?;
            self.inner.appended.notify_one();
        }
        Ok(())
    }
}

fn parsed(event: &str, camera: &str) -> Option<(EventId, (SiteId, BoxId, CameraId))> {
    let mut names = camera.splitn(3, '/');
    let whose = (
        SiteId::new(names.next()?).ok()?,
        BoxId::new(names.next()?).ok()?,
        CameraId::new(names.next()?).ok()?,
    );
    Some((EventId(event.parse().ok()?), whose))
}
