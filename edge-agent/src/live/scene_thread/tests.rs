//! A scene thread without its thread: what comes in, in which order and when, and what
//! its scene is shown of it. The recording tells the latter.

use edge_core::{Gap, GapReason};
use edge_uplink::Outbox;
use edge_video::ClipReader;
use protocol::{Detection, Detections, NormBox, ObjectClass, TimeQuality, TrackId};
use rtsp_camera::TestPattern;

use super::*;
use crate::case::Signer;
use crate::config::AgentConfig;
use crate::live::kept;
use crate::recording::rolling::{Limits, RecordStore};
use crate::recording::{Entry, RecordingReader, series};

/// A camera before which somebody stands, and its scene.
struct Camera {
    room: Room,
    folder: tempfile::TempDir,
    /// When the test began.
    begun: Now,
}

const ZONE: &str = "[[camera.zone]]\nid = 'road'\n\
     points = [[0.01, 0.01], [0.99, 0.01], [0.99, 0.99], [0.01, 0.99]]\n\
     [[camera.rule]]\nid = 'waiting'\nkind = 'loitering'\nzone = 'road'\nmin_dwell_s = 2.0\n";

impl Camera {
    /// With keys of the camera and its tables.
    fn new(keys: &str) -> Self {
        edge_video::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
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
        let store = RecordStore::new(&folder.path().join("inputs"), limits, 1);
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
            folder,
            begun,
        }
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
            frame: (second * 100.0).round() as u64,
            time: self.time(second),
            time_quality: TimeQuality::Rtcp,
            aspect: 16.0 / 9.0,
            believed_from: 0.5,
            camera_motion: None,
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
        Work {
            inputs: vec![Input::Detections(detections)],
            frame: None,
        }
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
    let lost = unwatched[&edge_core::Unwatched::StreamLost];
    assert!((30.0..30.3).contains(&lost), "{unwatched:?}");
    let all = hours[0].watched_s + unwatched.values().sum::<f64>();
    assert!((all - 35.0).abs() < 0.2, "{hours:?}");
    assert_eq!(camera.gaps(), [(35.0, 35.1, GapReason::StreamLost)]);
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
    let lost = GapReason::StreamLost;
    let told = [
        (0.1, 6.0, lost),
        (6.0, 16.0, lost),
        (16.0, 23.5, lost),
        (23.6, 24.1, lost),
    ];
    assert_eq!(camera.gaps(), told);
}
