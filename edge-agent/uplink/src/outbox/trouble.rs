//! What ails an outbox now. What ever ailed it stands in its counters.
//!
//! A shortage is over when that can be known: events are no longer lost once
//! the disk has taken what waited in memory; evidence is no longer given up
//! once the centre has all that is left, or enough was stored without giving
//! up any. A damaged file stays a trouble until the next start: nobody knows
//! whether the disk is sound again.

use protocol::event::Words;

use super::Outbox;

/// Bytes stored without giving up evidence after which there is room again:
/// several times what is given up at once, so that it is not said in turns.
const ROOM_BYTES: u64 = 4 << 20;

/// What is lost for want of room, since there was room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shortage {
    events_lost: u64,
    sacrificed: u64,
    /// Stored since evidence was last given up.
    stored: u64,
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

    pub(super) fn sacrificed(&mut self, files: u64) {
        self.sacrificed += files;
        self.stored = 0;
    }

    pub(super) fn stored(&mut self, bytes: u64) {
        self.stored = self.stored.saturating_add(bytes);
        if self.stored >= ROOM_BYTES {
            self.sacrificed = 0;
        }
    }

    /// The centre has every file that is left.
    pub(super) fn uploaded_all(&mut self) {
        self.sacrificed = 0;
    }
}

impl Outbox {
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
