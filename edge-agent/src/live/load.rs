//! Whether enough of a camera's frames are looked at.
//!
//! Dropping frames is how a live box keeps up, and is counted. Below two frames
//! a second, though, a tracker no longer knows one motorbike from the next, and
//! a camera that is watched like that must not look healthy.

use std::collections::VecDeque;

use protocol::EventTime;
use protocol::event::Words;
use protocol::status::CameraStatus;

/// Least frames per second that rules can be judged on.
const LEAST_FPS: f64 = 2.0;
/// Over how long it is judged. s.
const WINDOW_S: f64 = 15.0;

/// Received and analysed frames over the last seconds.
pub(super) struct Load {
    looks: VecDeque<(EventTime, u64, u64)>,
    /// Frames per second that are to be looked at, where that is set.
    asked_fps: Option<f64>,
}

impl Load {
    pub(super) fn new(status: &CameraStatus, asked_fps: Option<f64>) -> Self {
        Self {
            asked_fps,
            looks: VecDeque::from([look(status, 0)]),
        }
    }

    /// To be asked about once a second; what is wrong, if anything. Pictures that
    /// the gate passed over, `rested` so far, were not missed.
    pub(super) fn judge(&mut self, status: &CameraStatus, rested: u64) -> Option<Words> {
        let now = look(status, rested);
        // After the clock was set back the looks before would never grow old.
        if self.looks.back().is_some_and(|(at, ..)| *at > now.0) {
            self.looks.clear();
        }
        self.looks.push_back(now);
        while self
            .looks
            .get(1)
            .is_some_and(|(at, ..)| now.0.since(*at).0 >= WINDOW_S)
        {
            self.looks.pop_front();
        }
        let (first, received, analysed) = *self.looks.front()?;
        let seconds = now.0.since(first).0;
        if seconds < WINDOW_S {
            return None;
        }
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let (received, analysed) = (per_second(now.1, received), per_second(now.2, analysed));
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

fn look(status: &CameraStatus, rested: u64) -> (EventTime, u64, u64) {
    (
        status.at,
        status.frames_received,
        status.frames_analysed + rested,
    )
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
                load.judge(&status, second * rested_per_10_s / 10)
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
            load.judge(&status, 0)
        });
        assert!(verdict.last().flatten().is_some());
        assert!(load.looks.len() <= 17, "{}", load.looks.len());
    }

    #[test]
    fn a_camera_where_nothing_moves_is_not_overloaded() {
        assert_eq!(verdict_after_a_minute(25, 7, 243, None), None);
        assert!(verdict_after_a_minute(25, 7, 5, None).is_some());
    }
}
