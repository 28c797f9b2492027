//! What follows when a camera's thread panics: a fault of ours. Without its scene a camera
//! is blind; without the thread that makes evidence its events have no clips, for months if
//! nobody reads the log.
//!
//! The program ends with an error, so that systemd starts it anew: the scene begins
//! again where its camera's files say, events that were open are ended by the recovery,
//! and cases that were being made are made of what is stored. All cameras miss some seconds for that, which is less than one camera for
//! ever. But a scene that panics again and again must not take the others along: after
//! [`MOST`] times within an hour the program goes on without it.

use std::path::PathBuf;
use std::time::Duration;

use protocol::{CameraId, EventTime};

use crate::live::{StopFlag, now};

/// Beside the outbox: when threads ended so, a time a line, µs.
pub(in crate::live) const PANICS: &str = "scene-panics";
/// So often within an hour the program is started anew for it.
const MOST: usize = 3;
const HOUR: Duration = Duration::from_hours(1);

/// Which thread of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Scene,
    Evidence,
    /// Finds the pictures of the main stream for second looks.
    Looks,
}

/// Held by a camera's thread; acts when that panics.
pub(crate) struct OnPanic {
    pub(in crate::live) whose: Whose,
    pub(in crate::live) camera: CameraId,
    pub(in crate::live) file: PathBuf,
    pub(in crate::live) stop: StopFlag,
}

impl Drop for OnPanic {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let camera = &self.camera;
        let times = self.note(now());
        let what = match self.whose {
            Whose::Scene => "the scene",
            Whose::Evidence => "what makes the evidence",
            Whose::Looks => "what finds pictures for second looks",
        };
        if times <= MOST {
            self.stop.fail(&format!(
                "{what} of camera {camera} has ended by a fault of this program; it is started anew \
                 by systemd: report its log"
            ));
            return;
        }
        match self.whose {
            Whose::Scene => tracing::error!(
                %camera, times,
                "scenes have ended too often within an hour: the others watch on and this one does \
                 not; report the log, take the camera's newest rule out, restart the agent"
            ),
            Whose::Looks => tracing::error!(
                %camera, times,
                "threads have ended too often within an hour: the camera is watched on, and nothing of it is \
                 looked at a second time, neither plates nor heads; report the log, restart the agent"
            ),
            Whose::Evidence => tracing::error!(
                %camera, times,
                "threads have ended too often within an hour: the camera is watched on, and its events \
                 have no clips and no stills of other moments; report the log, restart the agent"
            ),
        }
    }
}

impl OnPanic {
    /// Remembers that a scene ended so; how often one did within the last hour.
    fn note(&self, now: EventTime) -> usize {
        let written = std::fs::read_to_string(&self.file).unwrap_or_default();
        let is_recent = |at: &i64| {
            let passed = now.as_micros().saturating_sub(*at);
            u128::try_from(passed).is_ok_and(|passed| passed <= HOUR.as_micros())
        };
        let mut times: Vec<i64> = written.lines().filter_map(|at| at.parse().ok()).collect();
        times.retain(is_recent);
        times.push(now.as_micros());
        let lines: Vec<String> = times.iter().map(ToString::to_string).collect();
        if let Err(error) = std::fs::write(&self.file, lines.join("\n")) {
            tracing::error!(file = %self.file.display(), %error, "not written");
            // Nobody could count: rather blind at one camera than at all by turns.
            return usize::MAX;
        }
        times.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::units::Seconds;

    fn of(dir: &tempfile::TempDir) -> OnPanic {
        OnPanic {
            whose: Whose::Scene,
            camera: CameraId::new("gate").unwrap(),
            file: dir.path().join(PANICS),
            stop: StopFlag::default(),
        }
    }

    #[test]
    fn a_scene_that_panics_ends_the_program_three_times_within_an_hour() {
        let dir = tempfile::tempdir().unwrap();
        let mut ended = Vec::new();
        for _ in 0..5 {
            let on_panic = of(&dir);
            let stop = on_panic.stop.clone();
            let thread = std::thread::spawn(move || {
                let _held = on_panic;
                panic!("a fault");
            });
            assert!(thread.join().is_err());
            ended.push((stop.is_set(), stop.fault().is_some()));
        }
        let (ends, goes_on) = ((true, true), (false, false));
        assert_eq!(ended, [ends, ends, ends, goes_on, goes_on]);
        // Who ends without a panic ends nothing else.
        let calm = of(&dir);
        let stop = calm.stop.clone();
        drop(calm);
        assert!(!stop.is_set());
    }

    #[test]
    fn what_was_an_hour_ago_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let on_panic = of(&dir);
        let at = |second: f64| EventTime::EPOCH + Seconds(second);
        let counted = [0.0, 10.0, 3_605.0, 9_000.0].map(|second| on_panic.note(at(second)));
        assert_eq!(counted, [1, 2, 2, 1]);
    }
}
