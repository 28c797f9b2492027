//! The thread that looks, without its thread: pictures of one camera come as a test says, the
//! device has time or is busy with others, and what the scene hears is read from its queue. The
//! gate, the scheduler, the model and the pictures are real; the stream is not, and has none.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

#[allow(dead_code)] // other tests use more of it
#[path = "../../../inference/tests/support/onnx.rs"]
mod onnx;
#[allow(dead_code)] // other tests use more of it
#[path = "../../../inference/tests/support/small.rs"]
mod small;

mod lost;

use std::process::Command;

use crossbeam_channel::bounded;
use edge_core::{Gap, GapReason};
use edge_inference::{DetectorSettings, Runtime};
use edge_video::{ClipReader, Lack, RtspSettings};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use protocol::{Detections, EventTime};
use small::Small;

use super::*;
use crate::config::AgentConfig;

/// What a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// A road without anybody.
    Empty,
    /// Something on it whom the model does not know.
    Here,
    /// The same elsewhere.
    There,
    /// Nothing but light: the model fails.
    Glare,
}

/// Rules take pictures farther apart for a hole in the watch, ms.
const HOLE_MS: i64 = 2_000;
/// As the gate has it: a look comes at least so often …
const HEARTBEAT_MS: i64 = 1_500;
/// … and of an empty road so often, ms.
const EMPTY_HEARTBEAT_MS: i64 = 5_000;
/// For so long looks find nobody before a road is empty, ms.
const EMPTY_AFTER_MS: i64 = 4_000;
/// Ten pictures a second.
const STEP_MS: i64 = 100;

/// A picture of each view, in the order of [`View`].
fn painted() -> Vec<Frame> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("views.mkv");
    let boxes = "drawbox=x=40:y=100:w=40:h=60:c=black:t=fill:enable='eq(n,1)',\
                 drawbox=x=200:y=100:w=40:h=60:c=black:t=fill:enable='eq(n,2)',\
                 drawbox=x=0:y=0:w=320:h=240:c=white:t=fill:enable='eq(n,3)'";
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-f", "lavfi"]);
    command.args(["-i", "color=c=0x808080:s=320x240:r=10:d=0.4", "-vf", boxes]);
    command.args("-pix_fmt yuv420p -c:v libx264 -preset ultrafast -qp 4 -g 1".split(' '));
    let status = command.arg(&file).status();
    let status = status.expect("ffmpeg is not installed; run `make setup` first");
    assert!(status.success());
    let mut clip = ClipReader::open(&file, EventTime::EPOCH).unwrap();
    std::iter::from_fn(|| clip.next_frame().unwrap()).collect()
}

/// What all desks of a test have in common.
struct Room {
    config: AgentConfig,
    stream: Arc<CameraStream>,
    views: Vec<Frame>,
    runtime: Runtime,
}

impl Room {
    fn new() -> Self {
        edge_video::init().unwrap();
        let text = "[box]\nsite = 's'\nid = 'b'\n[[camera]]\nid = 'c'\n\
                    source = { rtsp = 'rtsp://127.0.0.1:1/none' }\n";
        let config = AgentConfig::parse(text, "box.toml".as_ref()).unwrap();
        // Nobody answers there, and it is asked once.
        let hour = Duration::from_hours(1);
        let settings = RtspSettings {
            retry_first: hour,
            retry_most: hour,
            retry_refused: hour,
            ..RtspSettings::new("rtsp://127.0.0.1:1/none")
        };
        let (wake, _woken) = bounded(1);
        let views = painted();
        assert_eq!(views.len(), 4);
        Self {
            config,
            stream: Arc::new(CameraStream::start("c", settings, wake)),
            views,
            runtime: small::runtime(),
        }
    }

    /// Its camera, whose scene has room for so many works.
    fn feed(&self, room: usize) -> (Feed, Receiver<Work>) {
        let camera = &self.config.cameras[0];
        let state = Arc::new(CameraState::new(&self.config, camera, None));
        let (to, scene) = bounded(room);
        let feed = (camera.clone(), Arc::clone(&self.stream), to, state);
        (feed, scene)
    }

    /// A detector that finds nobody, and these besides.
    fn models(&self, second: Vec<Second>) -> Models {
        let small = Small {
            finds_nobody: true,
            fails_when_bright: true,
            ..Small::default()
        };
        let settings = DetectorSettings::default();
        let detector = small::load(
            &self.runtime,
            small.manifest(),
            &small.file(),
            &settings,
            Detector::load,
        );
        let detector = detector.unwrap();
        Models {
            state: Arc::new(ModelState::of_detector(&detector, None)),
            detector,
            second,
            at_work: AtWork::default(),
        }
    }

    /// A desk with one camera, whose scene has room for so many works.
    fn watch<R>(&self, room: usize, test: impl FnOnce(&mut Watch<'_>) -> R) -> R {
        let (feed, scene) = self.feed(room);
        let feeds = [feed];
        test(&mut Watch {
            desk: Desk::new(self.models(Vec::new()), &feeds, &self.config.inference),
            scene,
            views: &self.views,
            number: 0,
            now_ms: 0,
            lack: Lack::default(),
            skipped: 0,
            looked: Vec::new(),
            heard: Vec::new(),
        })
    }
}

/// A camera that is watched.
struct Watch<'a> {
    desk: Desk<'a>,
    scene: Receiver<Work>,
    views: &'a [Frame],
    number: u64,
    /// Of the last picture.
    now_ms: i64,
    /// For how long pictures had not been there by then.
    lack: Lack,
    /// How many had come for which there was no time.
    skipped: u64,
    /// Of which pictures looks were taken.
    looked: Vec<i64>,
    /// What the scene was told, in order.
    heard: Vec<Input>,
}

impl Watch<'_> {
    /// A picture comes, so long after the one before.
    fn comes(&mut self, view: View, after_ms: i64) {
        self.now_ms += after_ms;
        self.number += 1;
        let mut frame = self.views[view as usize].clone();
        (frame.number, frame.time) = (self.number, time(self.now_ms));
        (frame.lack, frame.skipped) = (self.lack, self.skipped);
        let (_, _, to, _) = &self.desk.feeds[0];
        self.desk.ways[0].flush(to);
        self.desk.consider(0, frame);
    }

    /// The device does what waits.
    fn look(&mut self) {
        loop {
            let batch = self.desk.scheduler.pick(self.desk.now_us());
            if batch.is_empty() {
                return;
            }
            let times = batch.iter().map(|chosen| ms(chosen.job.time));
            self.looked.extend(times);
            self.desk.look(batch);
        }
    }

    /// The scene hears what it has been told.
    fn hear(&mut self) {
        while let Ok(work) = self.scene.try_recv() {
            self.heard.extend(work.inputs);
        }
    }

    /// All three, as on a box that has time.
    fn goes_on(&mut self, view: View, after_ms: i64) {
        self.comes(view, after_ms);
        self.look();
        self.hear();
    }

    /// An empty road, until the gate vouches for it.
    fn goes_on_until_vouched_for(&mut self) {
        let deadline = self.now_ms + 60_000;
        while self.vouched().is_empty() {
            assert!(self.now_ms < deadline, "the gate vouches for nothing");
            self.goes_on(View::Empty, STEP_MS);
        }
    }

    /// Of which pictures the scene was told by the gate's word.
    fn vouched(&self) -> Vec<i64> {
        let told = self.heard.iter().filter_map(shown);
        let told = told.filter(|seen| seen.is_followed);
        told.map(|seen| ms(seen.time)).collect()
    }
}

fn time(ms: i64) -> EventTime {
    EventTime::from_micros(ms * 1_000)
}

fn ms(time: EventTime) -> i64 {
    time.as_micros() / 1_000
}

fn shown(input: &Input) -> Option<&Detections> {
    match input {
        Input::Detections(seen) => Some(seen),
        _ => None,
    }
}

/// The longest time between two of these.
fn longest(times: &[i64]) -> i64 {
    let apart = times.windows(2).map(|two| two[1] - two[0]);
    apart.max().unwrap_or(0)
}

/// What a look shows that the scene does not hear of nobody knows.
#[test]
fn a_road_whose_looks_are_lost_is_looked_at_as_often_as_any_other_and_not_vouched_for() {
    Room::new().watch(1, |watch| {
        watch.goes_on_until_vouched_for();
        let (behind_from, looks_until) = (watch.now_ms, watch.looked.len());
        while watch.now_ms < behind_from + 30_000 {
            watch.comes(View::Empty, STEP_MS);
            watch.look();
        }
        // The one for which there was room is the gate's word; the first look comes after it.
        let looks = watch.looked.split_off(looks_until);
        assert!(looks[0] - behind_from <= EMPTY_HEARTBEAT_MS, "{looks:?}");
        assert!(longest(&looks) <= HEARTBEAT_MS, "{looks:?}");
        watch.heard.clear();
        watch.hear();
        let [vouched] = watch.vouched()[..] else {
            panic!("{:?}", watch.heard);
        };
        assert!(vouched < looks[0]);

        // The scene has caught up, and hears what it has missed.
        watch.heard.clear();
        watch.goes_on_until_vouched_for();
        let seen = watch.heard.iter().find_map(shown).unwrap();
        assert!(!seen.is_followed);
        let gap = |input: &Input| match input {
            Input::Gap(gap) if gap.reason == GapReason::Overload => Some(*gap),
            _ => None,
        };
        let gaps: Vec<Gap> = watch.heard.iter().filter_map(gap).collect();
        assert_eq!(beyond(&gaps, vouched, ms(seen.time)), 0, "{gaps:?}");
        let for_ms = watch.vouched()[0] - ms(seen.time);
        assert!(for_ms >= EMPTY_AFTER_MS, "vouched for after {for_ms} ms");
    });
}

/// What kept the gate awake was never looked at, because the device had others to look at. Nothing has
/// moved for two seconds by now, and in each picture that moved a look found nobody.
#[test]
fn a_road_is_not_vouched_for_while_a_picture_of_it_waits_for_its_look() {
    Room::new().watch(4, |watch| {
        watch.goes_on_until_vouched_for();
        for view in [View::Here, View::There].into_iter().cycle().take(8) {
            watch.goes_on(view, STEP_MS);
        }
        watch.goes_on(View::Empty, STEP_MS);
        assert_eq!(watch.looked.last(), Some(&watch.now_ms), "it is awake");
        let seen_until = watch.now_ms;
        watch.heard.clear();
        let (.., state) = &watch.desk.feeds[0];
        let heartbeats = || state.looks().verdicts.get("heartbeat").copied();
        let before = heartbeats();
        while watch.now_ms < seen_until + 4_000 {
            watch.comes(View::Empty, STEP_MS);
            watch.hear();
        }
        assert!(heartbeats() > before, "it is awake all the time");
        assert_eq!(watch.heard, []);
        watch.look();
        watch.hear();
        let [Input::Gap(gap), Input::Detections(seen)] = &watch.heard[..] else {
            panic!("{:?}", watch.heard);
        };
        assert_eq!(
            (gap.reason, ms(gap.from), ms(gap.to)),
            (GapReason::Overload, seen_until, watch.now_ms)
        );
        assert_eq!((ms(seen.time), seen.is_followed), (watch.now_ms, false));
        watch.goes_on_until_vouched_for();
    });
}

/// While the model was loaded on another provider nobody asked the gates, and each road that rested was
/// one whose camera had sent no pictures.
#[test]
fn a_road_that_rests_is_unwatched_by_the_box_s_fault_where_its_heartbeat_came_too_late() {
    for (skipped, reasons) in [(80, vec![GapReason::Overload]), (0, vec![])] {
        Room::new().watch(4, |watch| {
            watch.goes_on_until_vouched_for();
            watch.heard.clear();
            watch.skipped = skipped;
            watch.goes_on(View::Empty, 3_000);
            assert_eq!(watch.looked.last(), Some(&watch.now_ms));
            let gaps = watch.heard.iter().filter_map(|input| match input {
                Input::Gap(gap) => Some(gap.reason),
                _ => None,
            });
            assert_eq!(gaps.collect::<Vec<_>>(), reasons, "{skipped}");
        });
    }
}

/// What lacked before a heartbeat was forgotten with it where somebody moved before its turn came, and
/// the box was to blame; and what had lacked before a look is no excuse for what follows that.
#[test]
fn a_hole_of_the_line_in_a_rest_is_the_lines_though_its_heartbeat_is_never_looked_at() {
    for (lacks_us, before, reason) in [
        (1_400_000, false, GapReason::NoPicture),
        (200_000, false, GapReason::Overload),
        (1_400_000, true, GapReason::Overload),
    ] {
        Room::new().watch(4, |watch| {
            watch.goes_on_until_vouched_for();
            let lack = Lack {
                missing_us: lacks_us,
                ..Lack::default()
            };
            watch.lack = if before { lack } else { watch.lack };
            while watch.looked.last() != Some(&watch.now_ms) {
                watch.goes_on(View::Empty, STEP_MS);
            }
            watch.heard.clear();
            watch.lack = lack;
            watch.comes(View::Empty, 1_500);
            watch.comes(View::Empty, 400);
            watch.comes(View::Here, STEP_MS);
            watch.comes(View::There, STEP_MS);
            watch.look();
            watch.hear();
            let gaps = watch.heard.iter().filter_map(|input| match input {
                Input::Gap(gap) => Some(gap.reason),
                _ => None,
            });
            assert_eq!(gaps.collect::<Vec<_>>(), [reason], "{lacks_us} {before}");
        });
    }
}

/// What a camera shows for a while, and for what the box has time meanwhile.
#[derive(Clone, Debug)]
struct Stretch {
    /// Whether something moves on the road.
    moves: bool,
    /// Whether the model fails.
    fails: bool,
    pictures: usize,
    step_ms: i64,
    /// The device has time after each so many pictures.
    time_each: usize,
    /// Whether the scene keeps up.
    is_heard: bool,
}

fn any_stretch() -> impl Strategy<Value = Stretch> {
    let what = (0..5_u8, 1..60_usize, 30..300_i64);
    // Half of the time there is enough of it.
    let time_each = prop_oneof![Just(1_usize), 1..40_usize];
    (what, time_each, proptest::bool::weighted(0.8)).prop_map(
        |((what, pictures, step_ms), time_each, is_heard)| Stretch {
            moves: what == 1,
            fails: what == 2,
            pictures,
            step_ms,
            time_each,
            is_heard,
        },
    )
}

impl Watch<'_> {
    fn live_through(&mut self, stretch: &Stretch) {
        for number in 0..stretch.pictures {
            let view = match (stretch.fails, stretch.moves, number % 2) {
                (true, ..) => View::Glare,
                (_, true, 0) => View::Here,
                (_, true, _) => View::There,
                _ => View::Empty,
            };
            self.comes(view, stretch.step_ms);
            if (number + 1) % stretch.time_each == 0 {
                self.look();
            }
            if stretch.is_heard {
                self.hear();
            }
        }
    }
}

/// How much of the time from `from` to `to` is in none of these gaps, ms.
fn beyond(gaps: &[Gap], from: i64, to: i64) -> i64 {
    let mut gaps: Vec<(i64, i64)> = (gaps.iter())
        .map(|gap| (ms(gap.from), ms(gap.to).min(to)))
        .collect();
    gaps.sort_unstable();
    let (mut known, mut beyond) = (from, 0);
    for (begins, ends) in gaps {
        beyond += (begins.min(to) - known).max(0);
        known = known.max(ends);
    }
    beyond + (to - known).max(0)
}

/// That the scene was told all the while what there was, or that nobody knows.
fn told_all_the_while(heard: &[Input]) -> Result<(), TestCaseError> {
    let (mut known, mut looked, mut gaps) = (None, None, Vec::new());
    for input in heard {
        if let Input::Gap(gap) = input {
            gaps.push(*gap);
            if gap.reason == GapReason::DetectorFailed {
                looked = None;
            }
        }
        let Some(seen) = shown(input) else { continue };
        let now = ms(seen.time);
        if let Some(known) = known {
            prop_assert!(known < now, "{known} is told before {now}");
            let untold = beyond(&gaps, known, now);
            prop_assert!(
                untold <= HOLE_MS,
                "{untold} ms from {known} to {now}: {gaps:?}"
            );
        }
        if seen.is_followed {
            let since = looked.map(|looked: i64| now - looked);
            prop_assert!(
                since.is_some_and(|since| since < EMPTY_HEARTBEAT_MS),
                "vouched for at {now}, {since:?} ms after the last look"
            );
        } else {
            looked = Some(now);
        }
        known = Some(now);
        gaps.clear();
    }
    Ok(())
}

/// Whatever a camera shows, whenever the device has time, the model fails or the scene is behind.
#[test]
fn no_time_that_rules_take_for_a_hole_passes_without_a_word_to_the_scene() {
    let room = Room::new();
    let stretches = proptest::collection::vec(any_stretch(), 1..9);
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    let tried = TestRunner::new(config).run(&stretches, |stretches| {
        room.watch(4, |watch| {
            watch.goes_on_until_vouched_for();
            for stretch in &stretches {
                watch.live_through(stretch);
            }
            // At last it has time for all.
            for _ in 0..20 {
                watch.goes_on(View::Empty, STEP_MS);
            }
            told_all_the_while(&watch.heard)
        })
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}
