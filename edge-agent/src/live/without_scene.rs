//! Cameras without a scene, while the box watches the others: one that could not be started,
//! and one whose scene has ended by a fault so often that the program goes on without it
//! ([`OnPanic`](super::scene_thread::OnPanic)).
//!
//! It is a scene's thread that sends its camera's status and accounts for the time of its
//! rules. Without one the centre would show old news, and the hours would be in no column. So
//! both is done here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use edge_core::{CoverageHour, Unwatched};
use protocol::EventTime;
use protocol::event::{EventKind, Words};
use protocol::status::CameraStatus;

use super::diary::Diary;
use super::scene_thread::STATUS_EVERY;
use super::{CameraState, Cameras, StopFlag, now};
use crate::config::{CameraConfig, RecordConfig};

/// How often the time of their rules is accounted for.
const ACCOUNTED_EVERY: Duration = Duration::from_secs(1);
/// How long it waits at most before it looks whether it is to stop.
const BREATH: Duration = Duration::from_millis(100);
const HOUR_US: i64 = 3_600_000_000;

/// Gives up cameras whose scene has ended while the box goes on: they say so, and what nobody
/// looks at is not received any more.
pub(super) fn give_up_fallen(cameras: &Cameras, states: &[Arc<CameraState>], stop: &StopFlag) {
    for state in states {
        let running = cameras.running.get(state.camera());
        let has_ended = running.is_some_and(|running| running.thread.is_finished());
        // Where the program ends for it, it is started anew and watches again.
        if !has_ended || state.is_given_up() || stop.is_set() {
            continue;
        }
        state.give_up(Words::new(
            "Camera không được giám sát: bộ phân tích của nó dừng quá nhiều lần do lỗi phần mềm; gửi nhật ký, bỏ \
             luật mới nhất của camera, khởi động lại hộp",
            "the camera is not watched: its scene has ended too often by a fault of this program; report the log, \
             take the camera's newest rule out, restart the agent",
        ));
        let own = |(camera, _): &(&CameraConfig, _)| camera.id == *state.camera();
        for (_, stream) in cameras.streams().filter(own) {
            stream.ask_to_stop();
        }
    }
}

/// Tells the status of cameras without a scene, and accounts for the time of their rules.
pub(super) fn keep_saying(
    cameras: &[(&CameraConfig, &Arc<CameraState>)],
    record: &RecordConfig,
    say: &dyn Fn(CameraStatus),
    stop: &StopFlag,
) {
    let mut lame: Vec<Option<Lame>> = cameras.iter().map(|_| None).collect();
    while !stop.is_set() {
        for ((camera, state), lame) in cameras.iter().zip(&mut lame) {
            if state.is_given_up() {
                lame.get_or_insert_with(|| Lame::begin(camera, state, record))
                    .pass(state, Instant::now(), now(), say);
            }
        }
        thread::sleep(BREATH);
    }
    for lame in lame.iter_mut().flatten() {
        lame.end();
    }
}

/// One of them.
struct Lame {
    /// Of each rule the hour that runs.
    hours: Vec<CoverageHour>,
    diary: Diary,
    /// When it was last accounted for; none: not yet.
    until: Option<Instant>,
    /// When its status was last told; none: not yet.
    said: Option<Instant>,
}

impl Lame {
    /// Goes on with the account of its scene, where there was one.
    fn begin(camera: &CameraConfig, state: &CameraState, record: &RecordConfig) -> Self {
        let mut hours = state.running_coverage();
        if hours.is_empty() {
            let rules = camera.scene.rules.iter();
            hours = rules
                .map(|rule| CoverageHour {
                    rule: rule.id.clone(),
                    kind: EventKind(rule.kind.to_owned()),
                    hour: hour_of(now()),
                    watched_s: 0.0,
                    unwatched_s: BTreeMap::new(),
                })
                .collect();
        }
        Self {
            hours,
            diary: Diary::new(record, &camera.id),
            until: None,
            said: None,
        }
    }

    /// `steady` by the clock that nobody sets.
    fn pass(
        &mut self,
        state: &CameraState,
        steady: Instant,
        time: EventTime,
        say: &dyn Fn(CameraStatus),
    ) {
        let passed = |then: Instant| steady.saturating_duration_since(then);
        let until = *self.until.get_or_insert(steady);
        if passed(until) >= ACCOUNTED_EVERY {
            self.until = Some(steady);
            self.account(state, passed(until), hour_of(time));
        }
        if self.said.is_none_or(|said| passed(said) >= STATUS_EVERY) {
            self.said = Some(steady);
            say(state.status());
        }
    }

    /// In which hour that was is known to a second.
    fn account(&mut self, state: &CameraState, passed: Duration, hour: EventTime) {
        if self.hours.iter().any(|running| running.hour != hour) {
            for running in &mut self.hours {
                state.count_coverage(running);
                self.diary.coverage(running);
                running.hour = hour;
                running.watched_s = 0.0;
                running.unwatched_s.clear();
            }
        }
        for running in &mut self.hours {
            *running.unwatched_s.entry(Unwatched::Other).or_default() += passed.as_secs_f64();
        }
        state.set_coverage(self.hours.iter().cloned());
    }

    /// The box stops.
    fn end(&mut self) {
        for running in &self.hours {
            self.diary.coverage(running);
        }
    }
}

/// The whole hour of UTC in which it lies.
fn hour_of(time: EventTime) -> EventTime {
    EventTime::from_micros(time.as_micros().div_euclid(HOUR_US) * HOUR_US)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

    use std::io::Read as _;
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::Mutex;

    use crossbeam_channel::bounded;
    use edge_video::{CameraStream, RtspSettings};
    use protocol::status::CameraHealth;
    use protocol::units::Seconds;

    use super::super::Running;
    use super::super::scene_thread::{OnPanic, Whose};
    use super::*;
    use crate::config::AgentConfig;

    /// Far more than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(90);

    fn config(more: &str) -> AgentConfig {
        let text = format!(
            "[box]\nsite = 's'\nid = 'b'\n{more}\n[[camera]]\nid = 'gate'\n\
             source = {{ rtsp = 'rtsp://h/x' }}\n\
             [[camera.zone]]\nid = 'lane'\npoints = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]\n\
             [[camera.rule]]\nid = 'stopped'\nkind = 'stopped_vehicle'\nzone = 'lane'\n"
        );
        AgentConfig::parse(&text, Path::new("box.toml")).unwrap()
    }

    fn state(config: &AgentConfig) -> Arc<CameraState> {
        Arc::new(CameraState::new(config, &config.cameras[0], None))
    }

    /// A scene that ends by a fault, after so many others within the hour.
    fn falls(store: &Path, before: usize, stop: &StopFlag) -> Running {
        let times = vec![now().as_micros().to_string(); before];
        std::fs::write(store.join("scene-panics"), times.join("\n")).unwrap();
        let camera = protocol::CameraId::new("gate").unwrap();
        let on_panic = OnPanic::new(Whose::Scene, Some(&camera), store, stop);
        let thread = thread::spawn(move || {
            let _held = on_panic;
            panic!("a fault");
        });
        let deadline = Instant::now() + PATIENCE;
        while !thread.is_finished() {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(1));
        }
        Running {
            work: bounded(1).0,
            readings: bounded(1).0,
            thread,
        }
    }

    /// The centre showed old news for ever, and what it cost to receive and to look at went on.
    #[test]
    fn a_scene_that_is_given_up_is_told_and_its_streams_are_hung_up() {
        edge_video::init().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = config("");
        let states = [state(&config)];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("rtsp://{}/main", listener.local_addr().unwrap());
        let (wake, _woken) = bounded(1);
        let stream = CameraStream::start("gate.main", RtspSettings::new(&url), wake);
        let (mut line, _) = listener.accept().unwrap();
        line.set_read_timeout(Some(PATIENCE)).unwrap();
        let stop = StopFlag::default();
        let mut cameras = Cameras::default();
        let camera = &config.cameras[0];
        cameras.kept.push((camera.clone(), stream));

        // The third ends the program, which is started anew; the fourth does not.
        let fallen = falls(dir.path(), 2, &stop);
        cameras.running.insert(camera.id.clone(), fallen);
        give_up_fallen(&cameras, &states, &stop);
        assert!(stop.is_set() && !states[0].is_given_up());
        let stop = StopFlag::default();
        let fallen = falls(dir.path(), 3, &stop);
        cameras.running.insert(camera.id.clone(), fallen);
        give_up_fallen(&cameras, &states, &stop);
        assert!(!stop.is_set() && states[0].is_given_up());
        // The box hangs up: nothing more comes, and no error.
        line.read_to_end(&mut Vec::new()).unwrap();

        let said = Mutex::new(Vec::new());
        let say = |status| {
            said.lock().unwrap().push(status);
            stop.set();
        };
        keep_saying(&[(camera, &states[0])], &config.record, &say, &stop);
        let said = said.into_inner().unwrap();
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].health, CameraHealth::Lost);
        let reason = said[0].reason.as_ref().map(|words| words.en.as_str());
        assert!(
            reason.is_some_and(|it| it.contains("restart the agent")),
            "{reason:?}"
        );
    }

    #[test]
    fn the_hours_of_a_camera_that_is_given_up_are_other_and_of_one_that_watches_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&format!(
            "[record]\ncoverage_dir = '{}'",
            dir.path().display()
        ));
        let (camera, state) = (&config.cameras[0], state(&config));
        let hour = |number: i64| EventTime::from_micros(number * HOUR_US);
        let kind = EventKind(camera.scene.rules[0].kind.to_owned());
        let seen = CoverageHour {
            rule: camera.scene.rules[0].id.clone(),
            kind,
            hour: hour(100),
            watched_s: 1000.0,
            unwatched_s: BTreeMap::from([(Unwatched::Dark, 7.0)]),
        };
        state.set_coverage(std::iter::once(seen));
        let mut lame = Lame::begin(camera, &state, &config.record);
        let said = Mutex::new(0);
        let say = |_| *said.lock().unwrap() += 1;
        let begun = Instant::now();
        let minutes = 120;
        for second in 0..=minutes * 60 {
            let time = hour(100) + Seconds(second as f64 + 1800.0);
            lame.pass(&state, begun + Duration::from_secs(second), time, &say);
        }
        lame.end();
        let told = state.status().coverage;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].watched_s, 1000.0);
        let expected = [("dark", 7.0), ("other", 7200.0)];
        let expected = expected.map(|(reason, s)| (reason.to_owned(), s));
        assert_eq!(told[0].unwatched_s, BTreeMap::from(expected));
        assert_eq!(said.into_inner().unwrap(), minutes * 6 + 1);
        // Each hour in the file, the one that its scene began as well.
        let pages = std::fs::read_dir(dir.path().join("gate")).unwrap();
        let lines: String = pages
            .map(|page| std::fs::read_to_string(page.unwrap().path()).unwrap())
            .collect();
        let kept: Vec<CoverageHour> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let kept: Vec<_> = kept
            .iter()
            .map(|it| (it.hour, it.watched_s, it.unwatched_s[&Unwatched::Other]))
            .collect();
        assert_eq!(
            kept,
            [
                (hour(100), 1000.0, 1799.0),
                (hour(101), 0.0, 3600.0),
                (hour(102), 0.0, 1801.0)
            ]
        );
    }

    #[test]
    fn a_camera_that_was_never_started_has_its_time_as_well() {
        let config = config("");
        let state = state(&config);
        let mut lame = Lame::begin(&config.cameras[0], &state, &config.record);
        let begun = Instant::now();
        for second in 0..=10 {
            lame.pass(&state, begun + Duration::from_secs(second), now(), &|_| {});
        }
        let told = state.status().coverage;
        let of = |reason| told[0].unwatched_s.get(reason).copied();
        assert_eq!((told.len(), of("other")), (1, Some(10.0)));
    }
}
