//! Whether enough of a camera's frames are looked at.
//!
//! Dropping frames is how a live box keeps up, and is counted. Below two frames
//! a second, though, a tracker no longer knows one motorbike from the next, and
//! a camera that is watched like that must not look healthy. Nor must one whose pictures
//! are not even decoded: of what is skipped nothing can be chosen to be looked at. Nor one
//! whose pictures come damaged; but there the line is to be mended, and the box is not to blame.

use std::collections::VecDeque;

use protocol::EventTime;
use protocol::event::Words;
use protocol::status::CameraStatus;

/// Least frames per second that rules can be judged on.
pub(crate) const LEAST_FPS: f64 = 2.0;
/// Over how long it is judged. s.
const WINDOW_S: f64 = 15.0;
/// Most of the frames that may be skipped because decoding cannot keep up.
const MOST_SKIPPED: f64 = 0.1;

/// Most of the frames that may come damaged.
const MOST_DAMAGED: f64 = 0.1;

/// Frames that were not missed, and frames that nobody could have looked at, so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    /// The gate passed them over.
    pub(super) rested: u64,
    /// Nobody looked at them: who was seen before was followed. The status counts them as analysed.
    pub(super) followed: u64,
    /// Never decoded, because decoding was behind.
    pub(super) skipped: u64,
    /// Decoded, and not whole.
    pub(super) damaged: u64,
    /// Decoded to what no camera sends; who is to blame is said elsewhere.
    pub(super) garbage: u64,
}

/// Received and analysed frames over the last seconds.
pub(super) struct Load {
    looks: VecDeque<Counts>,
    /// Frames per second that are to be looked at, where that is set.
    asked_fps: Option<f64>,
}

impl Load {
    pub(super) fn new(status: &CameraStatus, asked_fps: Option<f64>) -> Self {
        Self {
            asked_fps,
            looks: VecDeque::from([Counts::new(status, Passed::default())]),
        }
    }

    /// To be asked about once a second; what is wrong, if anything.
    pub(super) fn judge(&mut self, status: &CameraStatus, passed: Passed) -> Option<Words> {
        let now = Counts::new(status, passed);
        // After the clock was set back the looks before would never grow old.
        if self.looks.back().is_some_and(|look| look.at > now.at) {
            self.looks.clear();
        }
        self.looks.push_back(now);
        while self
            .looks
            .get(1)
            .is_some_and(|look| now.at.since(look.at).0 >= WINDOW_S)
        {
            self.looks.pop_front();
        }
        let first = *self.looks.front()?;
        let seconds = now.at.since(first.at).0;
        if seconds < WINDOW_S {
            return None;
        }
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let decoded = per_second(now.received, first.received);
        let damaged = per_second(now.damaged, first.damaged);
        let garbage = per_second(now.garbage, first.garbage);
        let received = (decoded - damaged - garbage).max(0.0);
        let analysed = per_second(now.analysed, first.analysed);
        let skipped = per_second(now.skipped, first.skipped);
        let sent = decoded + skipped;
        if skipped > MOST_SKIPPED * sent {
            return Some(Words::new(
                format!(
                    "Quá tải: không giải mã kịp {skipped:.1} trên {sent:.1} hình mỗi giây; giảm số camera, giảm độ phân giải hoặc dùng bộ giải mã phần cứng"
                ),
                format!(
                    "overloaded: {skipped:.1} of {sent:.1} frames a second cannot be decoded in time; use fewer cameras on this box, smaller pictures or a hardware decoder"
                ),
            ));
        }
        if damaged > MOST_DAMAGED * sent {
            return Some(Words::new(
                format!(
                    "{damaged:.1} trên {sent:.1} hình mỗi giây bị hỏng khi truyền; kiểm tra đường truyền, đặt transport = \"tcp\" hoặc giảm bitrate của camera"
                ),
                format!(
                    "{damaged:.1} of {sent:.1} frames a second arrive damaged; look at the line, set transport = \"tcp\" or lower the camera's bit rate"
                ),
            ));
        }
        // A camera that gives so few itself is as its owner set it.
        if analysed >= LEAST_FPS || received < LEAST_FPS || received < 1.5 * analysed {
            return None;
        }
        if let Some(asked) = self.asked_fps
            && asked < LEAST_FPS
            && analysed >= 0.8 * asked
        {
            return Some(Words::new(
                format!(
                    "Theo cấu hình chỉ xem {asked} hình mỗi giây, quá ít để xét vi phạm; đặt analysed_fps từ {LEAST_FPS} trở lên"
                ),
                format!(
                    "only {asked} frames a second are looked at, as configured; rules need {LEAST_FPS} or more: raise analysed_fps"
                ),
            ));
        }
        Some(Words::new(
            format!(
                "Quá tải: chỉ xem được {analysed:.1} trên {received:.1} hình mỗi giây; giảm số camera hoặc chọn mô hình nhẹ hơn"
            ),
            format!(
                "overloaded: {analysed:.1} of {received:.1} frames a second are looked at; use fewer cameras on this box or a lighter model"
            ),
        ))
    }
}

#[derive(Clone, Copy)]
struct Counts {
    at: EventTime,
    received: u64,
    analysed: u64,
    skipped: u64,
    damaged: u64,
    garbage: u64,
}

impl Counts {
    fn new(status: &CameraStatus, passed: Passed) -> Self {
        Self {
            at: status.at,
            received: status.frames_received,
            analysed: (status.frames_analysed + passed.rested).saturating_sub(passed.followed),
            skipped: passed.skipped,
            damaged: passed.damaged,
            garbage: passed.garbage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::status::CameraHealth;
    use protocol::{BoxId, CameraId, SiteId};

    fn status(second: i64, received: u64, analysed: u64) -> CameraStatus {
        let at = EventTime::from_micros(second * 1_000_000);
        CameraStatus {
            site: SiteId::new("s").unwrap(),
            box_id: BoxId::new("b").unwrap(),
            camera: CameraId::new("c").unwrap(),
            name: String::new(),
            place: None,
            simulated: false,
            health: CameraHealth::Watching,
            reason: None,
            since: at,
            at,
            retries: 0,
            frames_received: received,
            frames_analysed: analysed,
            frames_dropped: 0,
            analysed_fps: 0.0,
            time_quality: None,
            model: None,
            coverage: Vec::new(),
            coverage_left_out: 0,
            evidence_stream: None,
            recording: None,
            decoder: None,
            detector: None,
            second_models: Vec::new(),
        }
    }

    fn verdict_after_a_minute(
        received_fps: u64,
        analysed_per_10_s: u64,
        rested_per_10_s: u64,
        asked_fps: Option<f64>,
    ) -> Option<Words> {
        let mut load = Load::new(&status(0, 0, 0), asked_fps);
        (1..=60)
            .map(|second| {
                let analysed = second * analysed_per_10_s / 10;
                let status = status(second.cast_signed(), second * received_fps, analysed);
                let passed = Passed {
                    rested: second * rested_per_10_s / 10,
                    ..Passed::default()
                };
                load.judge(&status, passed)
            })
            .last()
            .flatten()
    }

    #[test]
    fn too_few_looks_are_an_overload_and_a_slow_camera_is_not() {
        for (received_fps, analysed_per_10_s, asked_fps, expected) in [
            (25, 0, None, "overloaded"),
            (25, 15, None, "overloaded"),
            (25, 15, Some(5.0), "overloaded"),
            (25, 5, Some(1.0), "overloaded"),
            (25, 10, Some(1.0), "raise analysed_fps"),
            (25, 50, None, ""),
            (25, 250, None, ""),
            (1, 10, None, ""),
            (0, 0, None, ""),
        ] {
            let verdict = verdict_after_a_minute(received_fps, analysed_per_10_s, 0, asked_fps);
            let said = verdict.map_or(String::new(), |words| words.en);
            assert!(
                said.contains(expected) && said.is_empty() == expected.is_empty(),
                "{received_fps} {analysed_per_10_s} {asked_fps:?}: {said}"
            );
        }
    }

    #[test]
    fn an_overload_is_found_after_the_clock_was_set_back_and_the_looks_before_are_forgotten() {
        let mut load = Load::new(&status(100_000, 0, 0), None);
        let verdict = (1..=60).map(|second: u64| {
            let status = status(second.cast_signed(), second * 25, second);
            load.judge(&status, Passed::default())
        });
        assert!(verdict.last().flatten().is_some());
        assert!(load.looks.len() <= 17, "{}", load.looks.len());
    }

    #[test]
    fn a_camera_where_nothing_moves_is_not_overloaded() {
        assert_eq!(verdict_after_a_minute(25, 7, 243, None), None);
        assert!(verdict_after_a_minute(25, 7, 5, None).is_some());
    }

    /// It said "watching", because two a second were looked at of what was decoded.
    #[test]
    fn a_camera_whose_pictures_cannot_be_decoded_in_time_is_overloaded() {
        for (skipped_fps, is_too_much) in [(5, true), (2, false), (0, false)] {
            let mut load = Load::new(&status(0, 0, 0), Some(10.0));
            let verdicts = (1..=20).map(|second: u64| {
                let decoded = second * (25 - skipped_fps);
                let status = status(second.cast_signed(), decoded, second * 10);
                let passed = Passed {
                    skipped: second * skipped_fps,
                    ..Passed::default()
                };
                load.judge(&status, passed)
            });
            let said: Vec<Option<Words>> = verdicts.collect();
            assert_eq!(said[14].is_some(), is_too_much, "{skipped_fps}: {said:?}");
            if let Some(words) = &said[19] {
                assert!(words.en.contains("5.0 of 25.0 frames"), "{}", words.en);
            }
        }
    }
    /// It said "overloaded, use fewer cameras" where packets were lost, and "watching" where
    /// two whole pictures a second were left of twenty-five.
    #[test]
    fn pictures_that_come_damaged_are_the_line_s_fault_and_not_the_box_s() {
        for (damaged_fps, analysed_fps, expected) in [
            (22, 1, "22.0 of 25.0 frames a second arrive damaged"),
            (10, 10, "10.0 of 25.0 frames a second arrive damaged"),
            (2, 10, ""),
            (0, 1, "overloaded: 1.0 of 25.0"),
            (2, 1, "overloaded: 1.0 of 23.0"),
        ] {
            let mut load = Load::new(&status(0, 0, 0), Some(10.0));
            let verdicts = (1..=20).map(|second: u64| {
                let status = status(second.cast_signed(), second * 25, second * analysed_fps);
                let passed = Passed {
                    damaged: second * damaged_fps,
                    ..Passed::default()
                };
                load.judge(&status, passed)
            });
            let said = verdicts
                .last()
                .flatten()
                .map_or(String::new(), |words| words.en);
            assert!(
                said.contains(expected) && said.is_empty() == expected.is_empty(),
                "{damaged_fps} {analysed_fps}: {said}"
            );
        }
    }
}
