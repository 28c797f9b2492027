//! When the scene is not shown the road: since when, why, and the account of it.
//!
//! An outage is told while it lasts, and not only when it is over: a camera that is
//! dead would otherwise count as watched for as long as it stays dead, and an agent
//! that is restarted meanwhile would know nothing of the hours before.

use std::time::{Duration, Instant};

use edge_core::{Gap, GapReason, Input};
use edge_video::Frame;
use protocol::EventTime;
use protocol::event::Words;
use protocol::units::Seconds;

use super::{Link, Room, TICK_BEHIND_S};

/// How often an outage that lasts is told.
pub(super) const TOLD_EVERY: Duration = Duration::from_secs(10);
/// Connected, and no picture has reached the rules for so long: the watchdog of last
/// resort, above what every part bounds by itself. Cameras that send a key picture in
/// twenty seconds, and are looked at by those alone, stay below it.
const SILENT_AFTER: Duration = Duration::from_secs(30);

/// The scene is not being shown the road.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interruption {
    /// What the scene does not know of yet, on the clock of the frames.
    from: EventTime,
    reason: GapReason,
    told: Instant,
}

/// On which side of all that a stream can do a picture is. It travels with the pictures,
/// whichever of them are dropped: a notice overtakes those that are still under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch {
    pub(super) connection: u64,
    clock_steps: u32,
    size: (u32, u32),
}

impl Epoch {
    const fn of(frame: &Frame) -> Self {
        Self {
            connection: frame.connection,
            clock_steps: frame.clock_steps,
            size: (frame.width, frame.height),
        }
    }

    /// Why the time between a picture of `before` and one of this epoch was not watched.
    fn parted_from(self, before: Self) -> impl Iterator<Item = GapReason> {
        let connection = self.connection != before.connection;
        let size = self.size != before.size;
        let clock = self.clock_steps != before.clock_steps;
        let parted = [
            (connection, GapReason::StreamLost),
            (size, GapReason::PictureChanged),
            (clock, GapReason::ClockStep),
        ];
        let parted = parted.into_iter().filter(|(is_parted, _)| *is_parted);
        parted.map(|(_, reason)| reason)
    }
}

impl Room {
    /// From `since` on the scene is shown nothing, until the next frame that it sees.
    pub(super) fn interrupt(&mut self, since: EventTime, reason: GapReason) {
        if (self.interruption).is_some_and(|interruption| interruption.reason != reason) {
            // Damaged for a while, and then lost for hours: each is accounted for as what it was.
            self.tell_outage(Duration::ZERO);
        }
        let told = self.now.steady;
        let from = since;
        let new = Interruption { from, reason, told };
        self.interruption.get_or_insert(new).reason = reason;
    }

    /// Now, as far as is known on the clock of the frames.
    pub(super) fn now_of_frames(&self) -> EventTime {
        self.last.map_or(self.now.time, |(last, seen)| {
            last + Seconds(self.now.since(seen).as_secs_f64())
        })
    }

    /// Accounts for what was lost so far, where that was not told for `every`.
    pub(super) fn tell_outage(&mut self, every: Duration) {
        // Behind the true time, so that a late frame is never before its gap.
        let to = self.now_of_frames() + Seconds(-TICK_BEHIND_S);
        let Some(interruption) = &mut self.interruption else {
            return;
        };
        let Interruption { from, reason, told } = *interruption;
        // What was seen since is no part of it: good pictures of a stream that is damaged,
        // and looks that were under way.
        let from = self.last.map_or(from, |(last, _)| from.max(last));
        if to <= from || self.now.since(told) < every {
            return;
        }
        interruption.from = to;
        interruption.told = self.now.steady;
        self.handle(Input::Gap(Gap { from, to, reason }), None);
    }

    /// A frame of `time` is shown to the scene: what went before it is over.
    pub(super) fn end_outage(&mut self, time: EventTime, frame: Option<&Frame>) {
        let last = self.last.map(|(last, _)| last);
        let epoch = frame.map(Epoch::of);
        let before = epoch.and_then(|epoch| self.epoch.replace(epoch));
        // A frame that was under way when the stream stopped ends nothing, also when the
        // next connection was quick.
        let is_of_before = epoch.is_some_and(|epoch| Some(epoch.connection) == self.lost);
        let is_over = !self.standing.is_lost() && !is_of_before && self.standing.garbage.is_none();
        let mut told = None;
        if is_over {
            self.standing.unseen = None;
            if matches!(self.standing.link, Link::Connecting) {
                self.standing.set_link(Link::Connected);
            }
            if let Some(Interruption { from, reason, .. }) = self.interruption.take() {
                // What was under way when it began was seen all the same.
                let from = last.map_or(from, |last| from.max(last)).min(time);
                let to = time;
                told = Some(reason);
                self.handle(Input::Gap(Gap { from, to, reason }), None);
            }
            if self.stream.take().is_some() {
                // Whatever the picture was before, it may be still.
                self.handle(Input::Health(self.picture_at(time)), None);
            }
        } else if let Some(interruption) = &mut self.interruption
            && last.is_none_or(|last| interruption.from > last)
        {
            // A good picture among bad ones: nothing was seen since what was told of them.
            let Interruption { from, reason, .. } = *interruption;
            (interruption.from, interruption.told) = (time, self.now.steady);
            let (from, to) = (from.min(time), time);
            self.handle(Input::Gap(Gap { from, to, reason }), None);
        }
        if let (Some(last), Some(epoch), Some(before)) = (last, epoch, before) {
            let is_told = |reason: GapReason| match told {
                // It was lost because what came was damaged.
                Some(GapReason::Corrupt) if reason == GapReason::StreamLost => true,
                told => told == Some(reason),
            };
            let parted = epoch.parted_from(before);
            for reason in parted.filter(|reason| !is_told(*reason)) {
                let (from, to) = (last, time);
                self.handle(Input::Gap(Gap { from, to, reason }), None);
            }
        }
    }

    /// Whatever the reason: a camera of which no picture reaches the rules is not
    /// watched, and must not say that it is.
    pub(super) fn notice_silence(&mut self) {
        let standing = &self.standing;
        let is_expected = self.setup.notices.is_some()
            && matches!(standing.link, Link::Connected)
            && !standing.is_stopped()
            && standing.blind.is_none()
            && standing.unseen.is_none();
        let rhythm = self.setup.config.analysed_fps.unwrap_or(1.0).max(0.01);
        let limit = SILENT_AFTER.max(Duration::from_secs_f64(3.0 / rhythm));
        let seen = self.last.map(|(_, seen)| seen);
        let silent = seen.max(Some(self.connected));
        let silent = silent.map(|seen| self.now.since(seen));
        if !is_expected || silent < Some(limit) {
            return;
        }
        // Each group of pictures may be spoilt by its first, and the connection holds.
        let is_damaged = self.setup.state.arrived().is_damaged_since(self.arrived);
        self.standing.unseen = Some(if is_damaged {
            Words::new(
                "Đã kết nối nhưng hình nhận được đều hỏng; camera không được giám sát. Kiểm tra \
                 đường truyền, đặt transport = \"tcp\" hoặc giảm bitrate của camera",
                "connected, but the pictures arrive damaged: the camera is not watched; look at the \
                 line, set transport = \"tcp\" or lower the camera's bit rate",
            )
        } else {
            Words::new(
                "Đã kết nối nhưng không hình nào đến được phần phân tích; camera không được giám sát. \
                 Khởi động lại hộp và gửi nhật ký",
                "connected, but no picture reaches the rules: the camera is not watched; restart the \
                 agent and report its log",
            )
        });
        self.lose_sight(is_damaged);
    }
}
