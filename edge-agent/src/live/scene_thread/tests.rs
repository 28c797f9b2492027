//! A scene thread without its thread: what comes in, in which order and when, and what
//! its scene is shown of it. The recording tells the latter.

mod late_answers;
mod latency;
mod recorded;

use edge_core::{Condition, Gap, GapReason, Unwatched};
use edge_uplink::Outbox;
use edge_video::{ClipReader, StreamCounters};
use protocol::{Detection, Detections, NormBox, ObjectClass, TimeQuality, TrackId};
use rtsp_camera::TestPattern;

use super::*;
use crate::calibrate::CalibrationFile;
use crate::case::Signer;
use crate::config::AgentConfig;
use crate::live::kept;
use crate::recording::rolling::{Limits, RecordStore};
use crate::recording::{Entry, RecordingReader, series};

/// Of a picture of `second`: a hundred a second.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small, and not below nought
fn number(second: f64) -> u64 {
    (second * 100.0).round() as u64
}

/// A camera before which somebody stands, and its scene.
struct Camera {
    room: Room,
    /// Of the whole box, as its file says.
    text: String,
    folder: tempfile::TempDir,
    /// When the test began.
    begun: Now,
}

const ZONE: &str = "[[camera.zone]]\nid = 'road'\n\
     points = [[0.01, 0.01], [0.99, 0.01], [0.99, 0.99], [0.01, 0.99]]\n\
     [[camera.rule]]\nid = 'waiting'\nkind = 'loitering'\nzone = 'road'\nmin_dwell_s = 2.0\n";

/// Ten metres across, twenty down.
const GROUND: [[f64; 3]; 3] = [[10.0, 0.0, 0.0], [0.0, -20.0, 20.0], [0.0, 0.0, 1.0]];

impl Camera {
    /// With keys of the camera and its tables.
    fn new(keys: &str) -> Self {
        edge_video::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let calibration = CalibrationFile {
            picture: [160, 90],
            calibration: edge_core::Calibration {
                image_to_ground: GROUND,
                residual_m: protocol::units::Metres(0.1),
                points: 6,
                ..edge_core::Calibration::default()
            },
            residual: Vec::new(),
            expected: Vec::new(),
        };
        let file = folder.path().join("east.calibration.toml");
        calibration.write(&file).unwrap();
        let text = format!(
            "[box]\nsite = 'hanoi'\nid = 'nga-tu-so-1'\n[store]\ndir = 'store'\n\
             [[camera]]\nid = 'east'\nsource = {{ rtsp = 'rtsp://h/x' }}\n\
             health = {{ watch = false }}\n{keys}"
        );
        let config = AgentConfig::parse(&text, &folder.path().join("box.toml")).unwrap();
        let camera = &config.cameras[0];
        let state = Arc::new(CameraState::new(&config, camera, None));
        let dir = &config.store.dir;
        let publisher = Publisher {
            scene: camera.scene.clone(),
            outbox: Outbox::open(dir, config.store.disk_budget()).unwrap(),
            uplink: None,
            state: Arc::clone(&state),
            signer: Arc::new(Signer::open(&config).unwrap()),
            origin: None,
        };
        let limits = Limits {
            budget: 1 << 30,
            keep: None,
            usual: Duration::from_hours(1),
            longest: Duration::from_hours(2),
        };
        let (store, _) = RecordStore::new(&folder.path().join("inputs"), limits, 1);
        let thread = SceneThread {
            config: camera.clone(),
            box_identity: config.identity.clone(),
            detector: None,
            notices: Some(never()),
            second_looks: None,
            work: never(),
            readings: never(),
            state,
            publisher,
            trail: SharedTrail::new(&camera.clip),
            desk: None,
            recorder: Some(Recorder::new(store, camera.id.clone())),
            diary: Diary::new(&config.record, &camera.id),
            parked: KeptFile::open(kept::PARKED, dir, &camera.id),
            view: KeptFile::open(kept::VIEW, dir, &camera.id),
            on_panic: None,
        };
        let begun = Now {
            steady: Instant::now(),
            time: EventTime::from_micros(1_790_000_000_000_000),
        };
        Self {
            room: thread.room(begun).unwrap(),
            text,
            folder,
            begun,
        }
    }

    /// The configuration of the box.
    fn config(&self) -> AgentConfig {
        AgentConfig::parse(&self.text, &self.folder.path().join("box.toml")).unwrap()
    }

    fn time(&self, second: f64) -> EventTime {
        self.begun.time + Seconds(second)
    }

    /// It is so many seconds after the beginning.
    fn at(&mut self, second: f64) -> &mut Room {
        self.room.now = Now {
            steady: self.begun.steady + Duration::from_secs_f64(second),
            time: self.time(second),
        };
        &mut self.room
    }

    /// What the detector sees in a picture of `second`: one who stands.
    fn look(&self, second: f64) -> Work {
        let detections = Detections {
            frame: number(second),
            time: self.time(second),
            time_quality: TimeQuality::Rtcp,
            aspect: 16.0 / 9.0,
            believed_from: 0.5,
            camera_motion: None,
            is_followed: false,
            items: vec![Detection {
                class: ObjectClass::Person,
                score: 0.9,
                bounds: NormBox {
                    x: 0.4,
                    y: 0.4,
                    width: 0.1,
                    height: 0.3,
                },
            }],
        };
        Work::new(vec![Input::Detections(detections)], None)
    }

    /// The same in such a picture.
    fn look_in(&self, second: f64, picture: &Frame) -> Work {
        let mut work = self.look(second);
        for input in &mut work.inputs {
            if let Input::Detections(seen) = input {
                seen.aspect = picture.aspect;
            }
        }
        let mut frame = picture.clone();
        (frame.time, frame.number) = (self.time(second), number(second));
        work.frame = Some(frame);
        work
    }

    /// Looks each tenth of a second, in pictures of this shape.
    fn see_shaped(&mut self, aspect: f64, tenths: std::ops::RangeInclusive<u32>) {
        for tenth in tenths {
            let second = f64::from(tenth) / 10.0;
            let mut work = self.look(second);
            if let Some(Input::Detections(seen)) = work.inputs.first_mut() {
                seen.aspect = aspect;
            }
            self.at(second).take(work);
        }
    }

    /// What the scene was told of the picture, and when.
    fn conditions(&mut self) -> Vec<(f64, Condition)> {
        let shown = self.shown();
        let tenths = |at: EventTime| (at.since(self.begun.time).0 * 10.0).round() / 10.0;
        let told = shown.into_iter().filter_map(|input| match input {
            Input::Health(health) => Some((tenths(health.time), health.condition)),
            _ => None,
        });
        told.collect()
    }

    /// What the camera's status says.
    fn status(&self) -> (CameraHealth, String) {
        let status = self.room.setup.state.status();
        let reason = status.reason.map(|reason| reason.en).unwrap_or_default();
        (status.health, reason)
    }

    /// A look is heard of when its picture is taken.
    fn see(&mut self, second: f64) {
        let work = self.look(second);
        self.at(second).take(work);
    }

    fn followed(&self) -> Vec<TrackId> {
        self.room.scene.tracks().map(|track| track.id).collect()
    }

    fn connect(&mut self, second: f64) {
        self.at(second).heed(Notice::Connected {
            codec: "H.264".to_owned(),
            decoder: None,
            width: 160,
            height: 90,
        });
    }

    /// All that the scene was shown.
    fn shown(&mut self) -> Vec<Input> {
        if let Some(recorder) = &mut self.room.setup.recorder {
            recorder.finish();
        }
        let mut shown = Vec::new();
        for file in series(&self.folder.path().join("inputs"), None).unwrap() {
            let mut reader = RecordingReader::open(&file).unwrap();
            while let Some(entry) = reader.next_entry().unwrap() {
                if let Entry::Input(input) = entry {
                    shown.push(input);
                }
            }
        }
        shown
    }

    /// The gaps among that, by seconds and reason.
    fn gaps(&mut self) -> Vec<(f64, f64, GapReason)> {
        let shown = self.shown();
        let second = |at: EventTime| (at.since(self.begun.time).0 * 100.0).round() / 100.0;
        let gaps = shown.into_iter().filter_map(|input| match input {
            Input::Gap(Gap { from, to, reason }) => Some((second(from), second(to), reason)),
            _ => None,
        });
        gaps.collect()
    }
}

/// A picture of this size, as a decoder gives it.
fn picture(width: u32, height: u32) -> Frame {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    let pattern = TestPattern {
        width,
        height,
        fps: 5,
        pictures: 5,
        ..TestPattern::default()
    };
    pattern.write(&path).unwrap();
    let mut clip = ClipReader::open(&path, EventTime::EPOCH).unwrap();
    clip.next_frame().unwrap().unwrap()
}

/// Every ten seconds the account of the outage ended before what was seen meanwhile: the
/// scene took its clock for set back, ended its events and forgot everybody.
#[test]
fn good_pictures_of_a_stream_that_is_blamed_do_not_set_the_scene_back() {
    let mut camera = Camera::new(ZONE);
    camera.connect(0.0);
    for tenth in 1..=350_u32 {
        let second = f64::from(tenth) / 10.0;
        if tenth == 50 {
            let what = "damaged pictures";
            camera.at(second).heed(Notice::Garbage { what });
        }
        camera.see(second);
        if tenth % 10 == 0 {
            camera.at(second).pass_time();
        }
    }
    let followed = camera.followed();
    camera.at(35.0).heed(Notice::GarbageOver);
    camera.see(35.1);
    assert_eq!(camera.followed(), followed);
    assert_eq!(followed[0].born, camera.time(0.1));
    let hours: Vec<_> = camera.room.scene.coverage_now().collect();
    let unwatched = &hours[0].unwatched_s;
    let corrupt = unwatched[&Unwatched::Corrupt];
    assert!((30.0..30.3).contains(&corrupt), "{unwatched:?}");
    let all = hours[0].watched_s + unwatched.values().sum::<f64>();
    assert!((all - 35.0).abs() < 0.2, "{hours:?}");
    assert_eq!(camera.gaps(), [(35.0, 35.1, GapReason::Corrupt)]);
}

/// Of what is bad for long the account goes on, up to the next good picture.
#[test]
fn what_is_not_seen_of_a_stream_that_is_blamed_is_accounted_for() {
    let mut camera = Camera::new(ZONE);
    camera.connect(0.0);
    camera.see(0.1);
    let what = "damaged pictures";
    camera.at(0.2).heed(Notice::Garbage { what });
    for second in 1..=23 {
        camera.at(f64::from(second)).pass_time();
    }
    camera.see(23.5);
    camera.see(23.6);
    camera.at(24.0).heed(Notice::GarbageOver);
    camera.see(24.1);
    let corrupt = GapReason::Corrupt;
    let told = [
        (0.1, 6.0, corrupt),
        (6.0, 16.0, corrupt),
        (16.0, 23.5, corrupt),
        (23.6, 24.1, corrupt),
    ];
    assert_eq!(camera.gaps(), told);
}

/// Whoever has to mend it looks elsewhere for the one than for the other.
#[test]
fn a_stream_that_is_damaged_and_then_lost_was_both_each_for_its_time() {
    let mut camera = Camera::new(ZONE);
    camera.connect(0.0);
    camera.see(0.1);
    let what = "damaged pictures";
    camera.at(0.2).heed(Notice::Garbage { what });
    camera.at(12.0).heed(lost());
    camera.at(13.0).heed(lost());
    camera.connect(20.0);
    camera.see(20.5);
    let told = [
        (0.1, 7.0, GapReason::Corrupt),
        (7.0, 20.5, GapReason::StreamLost),
    ];
    assert_eq!(camera.gaps(), told);
    let hours: Vec<_> = camera.room.scene.coverage_now().collect();
    let unwatched = &hours[0].unwatched_s;
    let words: Vec<_> = unwatched.keys().map(|reason| reason.as_str()).collect();
    assert_eq!(words, ["stream_lost", "corrupt"], "{unwatched:?}");
    let conditions: Vec<_> = camera.conditions().into_iter().map(|(_, it)| it).collect();
    let expected = [Condition::Corrupt, Condition::Lost, Condition::Well];
    assert_eq!(conditions, expected);
}

/// A picture that stood still among the bad ones made hours of these a freeze: it was told in their
/// place, and its end was the end of nothing.
#[test]
fn a_freeze_among_damaged_pictures_is_a_freeze_for_its_time_alone() {
    let mut camera = Camera::new(ZONE);
    camera.connect(0.0);
    camera.see(0.1);
    let what = "damaged pictures";
    camera.at(0.2).heed(Notice::Garbage { what });
    for tenth in 3..=50 {
        camera.see(f64::from(tenth) / 10.0);
    }
    let since = camera.time(5.0);
    camera.at(25.0).heed(Notice::Frozen { since });
    camera.at(30.0).heed(Notice::Thawed);
    camera.see(30.1);
    for second in 31..=90 {
        camera.at(f64::from(second)).pass_time();
    }
    assert!(
        camera.status().1.contains("damaged"),
        "{:?}",
        camera.status()
    );
    camera.at(90.5).heed(Notice::GarbageOver);
    camera.see(90.6);
    let hours: Vec<_> = camera.room.scene.coverage_now().collect();
    let unwatched = &hours[0].unwatched_s;
    let of = |reason| unwatched.get(&reason).copied().unwrap_or_default();
    assert!((4.0..6.0).contains(&of(Unwatched::Frozen)), "{unwatched:?}");
    assert!(
        (84.0..87.0).contains(&of(Unwatched::Corrupt)),
        "{unwatched:?}"
    );
    let conditions: Vec<_> = camera.conditions().into_iter().map(|(_, it)| it).collect();
    let corrupt = Condition::Corrupt;
    let expected = [corrupt, Condition::Frozen, corrupt, Condition::Well];
    assert_eq!(conditions, expected);
}

/// So much came of the stream, and so many of it not whole.
fn came(camera: &Camera, received: u64, dropped_corrupt: u64, packet_gaps: u64) {
    let counters = StreamCounters {
        received,
        dropped_corrupt,
        packet_gaps,
        ..StreamCounters::default()
    };
    camera.room.setup.state.make_up(counters);
}

/// Where packets are lost in each key picture, what refers to it blames nobody: it was a loss of the
/// stream, and the agent was to be restarted.
#[test]
fn a_line_that_spoils_all_pictures_is_corrupt_and_not_a_camera_without_a_stream() {
    let (corrupt, lost) = (GapReason::Corrupt, GapReason::StreamLost);
    for (received, damaged, reason, advice) in [
        (775, 775, corrupt, "look at the line"),
        (775, 700, corrupt, "look at the line"),
        // Pictures come, and nobody looks at them.
        (775, 10, lost, "restart the agent"),
        (0, 0, lost, "restart the agent"),
    ] {
        let mut camera = Camera::new(ZONE);
        camera.connect(0.0);
        // What was damaged before was seen past.
        came(&camera, 9_000, 8_000, 5);
        camera.see(0.1);
        came(&camera, 9_000 + received, 8_000 + damaged, 6);
        camera.at(31.0).pass_time();
        let (health, said) = camera.status();
        assert_eq!(health, CameraHealth::Degraded);
        assert!(said.contains(advice), "{said}");
        camera.see(32.0);
        assert_eq!(camera.status(), (CameraHealth::Watching, String::new()));
        assert_eq!(camera.gaps(), [(0.1, 32.0, reason)]);
        let conditions: Vec<_> = camera.conditions().into_iter().map(|(_, it)| it).collect();
        let condition = if reason == corrupt {
            Condition::Corrupt
        } else {
            Condition::Lost
        };
        assert_eq!(conditions, [condition, Condition::Well]);
    }
}

/// The watchdog hangs up where no picture can be made of what comes.
#[test]
fn a_connection_that_is_lost_because_all_of_it_is_damaged_is_corrupt() {
    let (corrupt, lost) = (GapReason::Corrupt, GapReason::StreamLost);
    let decode = edge_video::LossReason::Decode;
    let closed = edge_video::LossReason::Closed;
    for (damaged, packet_gaps, why, reason) in [
        (500, 3, decode, corrupt),
        // Nothing whole enough to be decoded.
        (0, 3, decode, corrupt),
        // A decoder that gives nothing, or a camera without key pictures.
        (0, 0, decode, lost),
        (500, 3, closed, lost),
    ] {
        let first = picture(160, 90);
        let mut second = first.clone();
        second.connection = 1;
        let mut camera = Camera::new(ZONE);
        camera.connect(0.0);
        let look = camera.look_in(0.1, &first);
        camera.at(0.1).take(look);
        came(&camera, damaged, damaged, packet_gaps);
        camera.at(20.5).heed(lost_by(why));
        assert_eq!(camera.status().0, CameraHealth::Lost);
        camera.connect(22.0);
        let look = camera.look_in(22.1, &second);
        camera.at(22.1).take(look);
        assert_eq!(camera.gaps(), [(0.1, 22.1, reason)], "{damaged} {why:?}");
    }
}

/// Each attempt is judged by what came of it.
#[test]
fn a_camera_that_loses_its_power_after_it_was_damaged_is_lost_from_then_on() {
    let mut camera = Camera::new(ZONE);
    camera.connect(0.0);
    camera.see(0.1);
    came(&camera, 500, 500, 3);
    let decode = edge_video::LossReason::Decode;
    camera.at(20.5).heed(lost_by(decode));
    camera.at(41.0).heed(lost_by(decode));
    let conditions: Vec<_> = camera.conditions().into_iter().map(|(_, it)| it).collect();
    assert_eq!(conditions, [Condition::Corrupt, Condition::Lost]);
}

fn lost() -> Notice {
    lost_by(edge_video::LossReason::Closed)
}

fn lost_by(reason: edge_video::LossReason) -> Notice {
    Notice::Lost {
        reason,
        message: "the camera has hung up".to_owned(),
        retry_in: Duration::ZERO,
    }
}

/// The gap was told before the look that was under way, and the boxes of the new view were
/// associated with those of the old one.
#[test]
fn a_look_that_was_under_way_does_not_swallow_the_change_of_the_picture() {
    let (small, large) = (picture(160, 90), picture(320, 180));
    let mut camera = Camera::new(ZONE);
    camera.connect(0.0);
    for second in [0.1, 0.2] {
        let look = camera.look_in(second, &small);
        camera.at(second).take(look);
    }
    let (old, new) = (camera.look_in(0.3, &small), camera.look_in(0.4, &large));
    let (width, height) = (large.width, large.height);
    let room = camera.at(0.5);
    room.heed(Notice::PictureChanged { width, height });
    room.take(old);
    room.take(new);
    let next = camera.look_in(0.5, &large);
    camera.at(0.6).take(next);
    assert_eq!(camera.gaps(), [(0.3, 0.4, GapReason::PictureChanged)]);
}

/// The late look of the old connection ended the outage at its own time, and what nobody
/// saw after it was watched.
#[test]
fn a_look_of_the_connection_that_was_lost_does_not_end_its_outage() {
    let first = picture(160, 90);
    let (mut second, mut third) = (first.clone(), first.clone());
    (second.connection, third.connection) = (1, 2);
    let mut camera = Camera::new(ZONE);
    camera.connect(0.0);
    let look = camera.look_in(0.1, &first);
    camera.at(0.2).take(look);
    camera.at(0.3).heed(lost());
    camera.connect(1.5);
    let (late, next) = (camera.look_in(0.2, &first), camera.look_in(1.6, &second));
    camera.at(1.6).take(late);
    assert!(camera.room.interruption.is_some());
    camera.at(1.7).take(next);
    assert!(camera.room.interruption.is_none());
    // Nothing of the second connection was heard of when it was lost as well.
    camera.at(1.8).heed(lost());
    camera.connect(2.5);
    let (late, next) = (camera.look_in(1.7, &second), camera.look_in(2.6, &third));
    camera.at(2.6).take(late);
    camera.at(2.7).take(next);
    let lost = GapReason::StreamLost;
    assert_eq!(camera.gaps(), [(0.2, 1.6, lost), (1.7, 2.6, lost)]);
}

/// Two connections were lost before anything of the second was through.
#[test]
fn two_pictures_of_two_connections_are_parted_whatever_was_told() {
    let first = picture(160, 90);
    let (mut second, mut third) = (first.clone(), first.clone());
    (second.connection, third.connection) = (1, 2);
    let mut camera = Camera::new(ZONE);
    camera.connect(0.0);
    let look = camera.look_in(0.1, &first);
    camera.at(0.2).take(look);
    for second in [0.3, 0.9] {
        camera.at(second).heed(lost());
        camera.connect(second + 0.3);
    }
    for (at, picture) in [(0.8, &second), (1.3, &third)] {
        let look = camera.look_in(at, picture);
        camera.at(1.4).take(look);
    }
    let lost = GapReason::StreamLost;
    assert_eq!(camera.gaps(), [(0.1, 0.8, lost), (0.8, 1.3, lost)]);
}

const WIDE: f64 = 16.0 / 9.0;
const NARROW: f64 = 4.0 / 3.0;
const FILE: &str = "calibration = { file = 'east.calibration.toml' }\n";

/// The shape was held against the calibration once: a camera that was set to another one
/// went on measuring, and one that began with the wrong one was suspended for ever.
#[test]
fn rules_rest_just_while_the_picture_has_another_shape_than_its_calibration() {
    let mut camera = Camera::new(&format!("{FILE}{ZONE}"));
    camera.connect(0.0);
    camera.see_shaped(WIDE, 1..=20);
    assert_eq!(camera.status(), (CameraHealth::Watching, String::new()));
    camera.see_shaped(NARROW, 21..=40);
    let (health, reason) = camera.status();
    assert_eq!(health, CameraHealth::Degraded);
    assert!(
        reason.contains("was made in pictures of 160 by 90"),
        "{reason}"
    );
    camera.see_shaped(WIDE, 41..=60);
    assert_eq!(camera.status(), (CameraHealth::Watching, String::new()));
    let hours: Vec<_> = camera.room.scene.coverage_now().collect();
    let other = hours[0].unwatched_s[&Unwatched::Other];
    assert!((1.9..2.1).contains(&other), "{hours:?}");
    assert!((hours[0].watched_s - 3.9).abs() < 0.15, "{hours:?}");
    let told = [(2.1, Condition::Unknown), (4.1, Condition::Well)];
    assert_eq!(camera.conditions(), told);
}

#[test]
fn a_camera_that_begins_with_the_wrong_shape_is_watched_once_it_has_the_right_one() {
    let mut camera = Camera::new(&format!("{FILE}{ZONE}"));
    camera.connect(0.0);
    camera.see_shaped(NARROW, 1..=20);
    assert_eq!(camera.status().0, CameraHealth::Degraded);
    camera.see_shaped(WIDE, 21..=60);
    assert_eq!(camera.status(), (CameraHealth::Watching, String::new()));
    let hours: Vec<_> = camera.room.scene.coverage_now().collect();
    assert!((3.8..4.0).contains(&hours[0].watched_s), "{hours:?}");
}

/// A matrix does not say in which pictures it was made: it is weighed anew in those of
/// another shape, and what went on is not measured across the change.
#[test]
fn a_calibration_that_serves_any_shape_is_computed_for_each() {
    let matrix = format!("calibration = {{ image_to_ground = {GROUND:?}, residual_m = 0.1 }}\n");
    let mut camera = Camera::new(&format!("{matrix}{ZONE}"));
    camera.connect(0.0);
    camera.see_shaped(WIDE, 1..=10);
    let before = camera.followed();
    camera.see_shaped(NARROW, 11..=20);
    assert!((camera.room.aspect - NARROW).abs() < 1e-9);
    assert_ne!(camera.followed(), before);
    camera.see_shaped(WIDE, 21..=30);
    assert!((camera.room.aspect - WIDE).abs() < 1e-9);
    let ends = camera
        .shown()
        .into_iter()
        .filter(|it| matches!(it, Input::End(_)));
    assert_eq!(ends.count(), 2);
    assert_eq!(camera.conditions(), []);
}
