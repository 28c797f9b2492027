//! What follows when a thread panics: a fault of ours. Without its scene a camera is blind;
//! without the thread that makes evidence its events have no clips; without the one that
//! looks after recordings these fill the disk: for months if nobody reads the log.
//!
//! The program ends with an error, so that systemd starts it anew: the scene begins
//! again where its camera's files say, events that were open are ended by the recovery,
//! and cases that were being made are made of what is stored. All cameras miss some seconds for that, which is less than one camera for
//! ever. But a scene that panics again and again must not take the others along: after
//! [`MOST`] times within an hour the program goes on without it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::{CameraId, EventTime};

use crate::live::{StopFlag, now};

/// Beside the outbox: when threads ended so, a time a line, µs.
const PANICS: &str = "scene-panics";
/// So often within an hour the program is started anew for it.
const MOST: usize = 3;
const HOUR: Duration = Duration::from_hours(1);

/// Which thread, of a camera or of the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Scene,
    Evidence,
    /// Finds the pictures of the main stream for second looks.
    Looks,
    /// Plays a recording as a camera.
    Player,
    /// Watches over the connection to the camera.
    Stream,
    /// Delivers to the centre.
    Uplink,
    /// Deletes the oldest recordings.
    Recordings,
    /// Keeps on disk who is parked and where cameras look.
    Kept,
    /// Hands on what signal controllers say.
    Signals,
    /// No thread: a model that takes second looks, and has nothing any more that computes it.
    SecondModel,
    /// Looks for the model that is only compared.
    Shadow,
}

impl Whose {
    const fn name(self) -> &'static str {
        match self {
            Self::Scene => "the scene",
            Self::Evidence => "what makes the evidence",
            Self::Looks => "what finds pictures for second looks",
            Self::Player => "what plays the recording",
            Self::Stream => "what holds the connection",
            Self::Uplink => "what delivers to the centre",
            Self::Recordings => "what looks after the recordings",
            Self::Kept => "what keeps parked vehicles for a restart",
            Self::Signals => "what hands on the signals",
            Self::SecondModel => "a model for second looks",
            Self::Shadow => "what compares the shadow model",
        }
    }

    /// What the program does without it, and what to do.
    const fn without(self) -> &'static str {
        match self {
            Self::Scene => {
                "the others watch on and this camera does not; report the log, take the camera's newest rule \
                 out, restart the agent"
            }
            Self::Looks => {
                "the camera is watched on, and nothing of it is looked at a second time, neither plates nor \
                 heads; report the log, restart the agent"
            }
            Self::Evidence => {
                "the camera is watched on, and its events have no clips and no stills of other moments; report \
                 the log, restart the agent"
            }
            Self::Player => "the recording is played no more; report the log, restart the agent",
            Self::Stream => {
                "the others watch on and this camera does not; report the log, restart the agent"
            }
            Self::Uplink => {
                "cameras are watched on, and what they find waits on this box; report the log, restart the agent"
            }
            Self::Recordings => {
                "cameras are watched on, and nothing is recorded, because nobody would delete the oldest \
                 recordings; report the log, restart the agent"
            }
            Self::Kept => {
                "cameras are watched on, and after a loss of power parked vehicles are new ones; report the log, \
                 restart the agent"
            }
            Self::Signals => {
                "cameras are watched on, and signals of controllers are unknown, so that nobody is accused by \
                 them; report the log, restart the agent"
            }
            Self::SecondModel => {
                "cameras are watched on, and rules that rest on it see nothing; mend its device and driver, \
                 restart the agent"
            }
            Self::Shadow => "it is compared no more; report the log, restart the agent",
        }
    }
}

/// Held by a thread; acts when that panics.
pub(crate) struct OnPanic {
    whose: Whose,
    /// Of one camera, or of the box.
    camera: Option<CameraId>,
    file: PathBuf,
    stop: StopFlag,
}

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.act();
        }
    }
}

impl OnPanic {
    /// The thread has ended by a fault.
    pub(in crate::live) fn act(&self) {
        let of = self.camera.as_ref();
        let of = of.map_or_else(String::new, |camera| format!(" of camera {camera}"));
        let (what, without) = (self.whose.name(), self.whose.without());
        if self.whose == Whose::Shadow {
            // It is there to be compared: no camera misses a second for it.
            tracing::error!("{what} has ended by a fault of this program: {without}");
            return;
        }
        let times = self.note(now());
        if times <= MOST {
            self.stop.fail(&format!(
                "{what}{of} has ended by a fault of this program; it is started anew by systemd: report \
                 its log"
            ));
        } else {
            tracing::error!(
                times,
                "{what}{of} has ended, and threads have done so too often within an hour: {without}"
            );
        }
    }
}

impl OnPanic {
    /// What computes for it is lost, and another process may have it again. So the program ends to be
    /// started anew, as for the detector; but all cameras miss seconds for what some rules rest on,
    /// and so not again and again.
    pub(in crate::live) fn give_way(&self, why: String) {
        let times = self.note(now());
        if times <= MOST {
            tracing::error!(times, "{why}; the program ends, to be started anew");
            self.stop.give_way(why);
        } else {
            tracing::error!(
                times,
                "{why}; to begin anew has not helped within an hour: {}",
                self.whose.without()
            );
        }
    }

    /// For a thread of `camera`, or of the box. In `store` is counted how often threads
    /// ended so.
    pub(in crate::live) fn new(
        whose: Whose,
        camera: Option<&CameraId>,
        store: &Path,
        stop: &StopFlag,
    ) -> Self {
        Self {
            whose,
            camera: camera.cloned(),
            file: store.join(PANICS),
            stop: stop.clone(),
        }
    }

    /// What the thread that holds it is told to stop by.
    pub(in crate::live) fn stop_flag(&self) -> &StopFlag {
        &self.stop
    }

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
    use crate::live::Ending;
    use protocol::units::Seconds;

    fn of(dir: &tempfile::TempDir) -> OnPanic {
        let stop = StopFlag::default();
        let camera = CameraId::new("gate").unwrap();
        OnPanic::new(Whose::Scene, Some(&camera), dir.path(), &stop)
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

    /// Plates were unread until a person came, though a new process would have had the device. But
    /// one that never comes back must not take all cameras along for ever.
    #[test]
    fn a_model_for_second_looks_that_lost_its_device_ends_the_program_three_times_within_an_hour() {
        let dir = tempfile::tempdir().unwrap();
        let mut ended = Vec::new();
        for _ in 0..4 {
            let stop = StopFlag::default();
            let lost = OnPanic::new(Whose::SecondModel, None, dir.path(), &stop);
            lost.give_way("model plates: an illegal memory access".to_owned());
            let is_forlorn = matches!(stop.fault(), Some(Ending::Forlorn(_)));
            ended.push((stop.is_set(), is_forlorn));
        }
        let (ends, goes_on) = ((true, true), (false, false));
        assert_eq!(ended, [ends, ends, ends, goes_on]);
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
