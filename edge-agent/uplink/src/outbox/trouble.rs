//! What ails an outbox now. What ever ailed it stands in its counters.
//!
//! A shortage is over when that can be known: events are no longer lost once
//! the disk has taken what waited in memory; evidence is no longer given up
//! once the centre has all that is left, or enough was stored without giving
//! up any; evidence is no longer refused once the largest file that was would find
//! room. A damaged file stays a trouble until the next start: nobody knows
//! whether the disk is sound again.

use std::collections::BTreeMap;

use protocol::event::Words;
use protocol::{BoxId, CameraId, SiteId};

use super::Outbox;

/// Bytes stored without giving up evidence after which there is room again:
/// several times what is given up at once, so that it is not said in turns.
const ROOM_BYTES: u64 = 4 << 20;

/// What is lost for want of room, since there was room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shortage {
    events_lost: u64,
    sacrificed: u64,
    /// The same by camera (`site/box/camera`), as far as it is known.
    of_camera: BTreeMap<String, u64>,
    /// Stored since evidence was last given up.
    stored: u64,
    refused: Refused,
}

/// Files that were not stored for want of room, since there was room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Refused {
    files: u64,
    of_camera: BTreeMap<String, u64>,
    /// The largest of them, bytes.
    largest: u64,
    /// It was the disk that had no room, whatever the budget says.
    by_disk: bool,
}

impl Shortage {
    pub(super) fn lost_event(&mut self) {
        self.events_lost += 1;
    }

    /// Nothing waits in memory any more.
    pub(super) fn wrote_all(&mut self, bytes: u64) {
        self.events_lost = 0;
        self.stored(bytes);
    }

    pub(super) fn sacrificed(&mut self, files: u64, of_camera: &BTreeMap<String, u64>) {
        self.sacrificed += files;
        for (camera, files) in of_camera {
            *self.of_camera.entry(camera.clone()).or_default() += files;
        }
        self.stored = 0;
    }

    /// A file was refused, by the disk or by the budget.
    pub(super) fn not_stored(&mut self, bytes: u64, by_disk: bool) {
        self.refused.files += 1;
        self.refused.largest = self.refused.largest.max(bytes);
        self.refused.by_disk |= by_disk;
    }

    /// How large a file must find room for the refusals to be over; `None` when none
    /// was refused, or only the disk can tell.
    pub(super) fn waits_for_room(&self) -> Option<u64> {
        let refused = &self.refused;
        (refused.files > 0 && !refused.by_disk).then_some(refused.largest)
    }

    pub(super) fn has_room(&mut self) {
        self.refused = Refused::default();
    }

    fn over(&mut self) {
        self.sacrificed = 0;
        self.of_camera.clear();
    }

    pub(super) fn stored(&mut self, bytes: u64) {
        if bytes >= self.refused.largest {
            self.has_room();
        }
        self.stored = self.stored.saturating_add(bytes);
        if self.stored >= ROOM_BYTES {
            self.over();
        }
    }

    /// The centre has every file that is left.
    pub(super) fn uploaded_all(&mut self) {
        self.over();
    }
}

impl Outbox {
    /// A file of this camera's evidence was refused for want of room
    /// (`OutboxError::is_want_of_room`); said in [`Self::evidence_given_up`] until
    /// there is room.
    pub fn evidence_not_stored(&self, whose: (&SiteId, &BoxId, &CameraId)) {
        let refused = &mut self.lock().shortage.refused;
        *refused.of_camera.entry(name(whose)).or_default() += 1;
    }

    /// That evidence of this camera was not stored or given up for want of room, in
    /// words for its status; `None` when none was, or there is room again.
    pub fn evidence_given_up(&self, whose: (&SiteId, &BoxId, &CameraId)) -> Option<Words> {
        let camera = name(whose);
        let state = self.lock();
        if let Some(files) = state.shortage.refused.of_camera.get(&camera) {
            return Some(Words::new(
                format!(
                    "Đĩa của hộp không còn chỗ cho bằng chứng mới: {files} tệp của máy quay này không được lưu; hãy sửa mạng, bỏ khóa bằng chứng tại trung tâm hoặc tăng store.budget_mib"
                ),
                format!(
                    "the box has no room for new evidence: {files} files of this camera were not stored; mend the network, release locks at the centre, or raise `store.budget_mib`"
                ),
            ));
        }
        let files = *state.shortage.of_camera.get(&camera)?;
        Some(Words::new(
            format!(
                "Thiếu chỗ trên đĩa của hộp: đã bỏ {files} tệp bằng chứng chưa gửi của máy quay này; hãy kiểm tra mạng và dung lượng đĩa"
            ),
            format!(
                "the box is short of disk: {files} files of this camera's evidence were given up before upload; check the network and the disk budget"
            ),
        ))
    }

    /// What somebody must mend, worst first; `None` when all is well (again).
    pub fn trouble(&self) -> Option<Words> {
        let state = self.lock();
        let shortage = &state.shortage;
        if shortage.events_lost > 0 {
            let n = shortage.events_lost;
            return Some(Words::new(
                format!("Đĩa và bộ nhớ đều đầy: đã mất {n} sự kiện; hãy giải phóng đĩa ngay"),
                format!("disk and memory are full: {n} events are lost; free disk space now"),
            ));
        }
        if !state.in_memory.is_empty() {
            let n = state.in_memory.len();
            return Some(Words::new(
                format!("Đĩa đầy: {n} sự kiện chỉ còn trong bộ nhớ; hãy giải phóng đĩa"),
                format!("the disk is full: {n} events are only in memory; free disk space"),
            ));
        }
        if shortage.refused.files > 0 {
            let n = shortage.refused.files;
            return Some(Words::new(
                format!(
                    "Không còn chỗ cho bằng chứng mới: {n} tệp không được lưu, sự kiện vẫn được lưu; hãy sửa mạng, bỏ khóa bằng chứng tại trung tâm hoặc tăng store.budget_mib"
                ),
                format!(
                    "no room for new evidence: {n} files were not stored, events still are; mend the network, release locks at the centre, or raise `store.budget_mib`"
                ),
            ));
        }
        if shortage.sacrificed > 0 {
            let n = shortage.sacrificed;
            return Some(Words::new(
                format!(
                    "Thiếu chỗ trên đĩa: đã bỏ {n} tệp bằng chứng chưa gửi; hãy kiểm tra mạng và dung lượng đĩa"
                ),
                format!(
                    "short of disk: {n} files of evidence were given up before upload; check the network and the disk budget"
                ),
            ));
        }
        state.damaged.as_ref().map(|damaged| {
            let (file, rows) = (damaged.aside.display(), damaged.rows);
            Words::new(
                format!("Tệp hộp thư đi bị hỏng, đã chuyển sang {file}, cứu được {rows} tin; hãy kiểm tra đĩa"),
                format!("the outbox file was damaged and is now {file}; {rows} messages were saved; check the disk"),
            )
        })
    }
}

fn name(whose: (&SiteId, &BoxId, &CameraId)) -> String {
    format!("{}/{}/{}", whose.0, whose.1, whose.2)
}
