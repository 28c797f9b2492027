//! A little language for what happens in front of a camera, for rules' tests.
//!
//! The camera looks straight down on 100 m × 50 m: `at x,y` is in metres from
//! the top left corner, (x/100, y/50) in the picture. Road users go straight
//! and evenly from one line to their next, seen ten times a second.
//!
//! ```text
//! 0.0 car#1 at 2.0,40.0      first sighting, or on the way to here
//! 3.0 car#1 hides            not seen from here on, until its next `at`
//! 4.0 car#1 is #7            the same body, from now on under another id
//! 1.0 signal red             the group `main` says so five times a second,
//! 9.0 signal silent          until it says nothing any more
//! 5.0 gap 8.0                nobody watches from 5.0 to 8.0
//! 5.0 steps 8.0              the clock of the pictures leaps from 5.0 to 8.0
//! 5.0 frozen 8.0             from 5.0 on the picture of 5.0 comes again and again,
//!                            which is noticed at 8.0
//! 1.0 car#1 shows plate      from here on it shows this mark (plate, helmet, phone …),
//! 1.0 car#1 shows plate 0.2  with so little confidence
//! 5.0 car#1 lacks plate      from here on it does not
//! 2.0 car#1 looked phone     a cascade looks at this frame and answers 0.3 s later: a
//!                            class with or without a score, or `nothing`
//! 2.0 car#1 looked driver:phone      the same where it was shown the driver's half
//! 2.0 person#2 looked hips:phone    the same of a rider from the hips up
//! 2.0 person#2 looked lower:no_helmet    the same of what is below the chest
//! 2.0 car#1 shows no_seat_belt 0.9 passenger    the same at the left of the windscreen
//! 2.0 car#1 looked plate:30A12345    the same of a plate, `plate:` for none
//! 2.0 fire#9 looked fire     the same of the whole picture: what it shows there
//! 0.0 fire#9 unseen          the detector does not know such things
//! 0.0 answers 1.5            cascades answer so much later
//! 0.0 main 0.013             they look at the main stream's pictures, which are so much later
//! 2.0 fire#9 size 4.0,3.0    how large it is at this time; evenly in between
//! 5.0 health moved           what the watch over the picture says
//! 5.0 lost 60.0              the stream is lost, the scene is told so and sees time pass
//! 0.0 clock rtcp             of what quality the pictures' times are (else `media`)
//! 0.0 source lamp            who reads the signals (else `mqtt`)
//! ```

use std::collections::VecDeque;
use std::fmt::Write;

use expect_test::Expect;
use protocol::event::{FrameTime, Phase, Provenance, SecondModel};
use protocol::id::{CascadeId, SignalGroupId};
use protocol::signal::SignalSource;
use protocol::units::{Metres, Seconds};
use protocol::{
    BoxId, CameraId, Detection, Detections, Event, EventTime, NormBox, ObjectClass, SignalReading,
    SignalState, SiteId, TimeQuality,
};

use crate::calibration::Calibration;
use crate::config::SceneConfig;
use crate::health::{Condition, Health};
use crate::input::{Gap, GapReason, Input, Output};
use crate::near_miss::NearMiss;
use crate::scene::{Identity, Scene};
use crate::second_look::{CascadeUse, Found, Glyph, Label, PlateText, SecondLook};

/// Zone `road` is x from 10 to 90 and y from 10 to 40; line `stop` runs along
/// x = 50 and forwards is to the right; lanes lead to the right.
pub(crate) const PLACES: &str = r#"
    [[zone]]
    id = "road"
    points = [[0.1, 0.2], [0.9, 0.2], [0.9, 0.8], [0.1, 0.8]]
    [[zone]]
    id = "zebra"
    points = [[0.3, 0.2], [0.4, 0.2], [0.4, 0.8], [0.3, 0.8]]
    [[line]]
    id = "stop"
    from = [0.5, 0.2]
    to = [0.5, 0.8]
    towards = [0.6, 0.5]
    [[signal]]
    group = "main"
    mqtt = { topic = "junction/main" }
"#;

pub(crate) fn identity() -> Identity {
    Identity {
        site: SiteId::new("test").unwrap(),
        box_id: BoxId::new("box").unwrap(),
        camera: CameraId::new("camera").unwrap(),
        place: None,
        simulated: false,
        provenance: Provenance::default(),
    }
}

/// The calibration of the camera that looks straight down.
pub(crate) fn overhead() -> Calibration {
    Calibration {
        image_to_ground: [[100.0, 0.0, 0.0], [0.0, 50.0, 0.0], [0.0, 0.0, 1.0]],
        residual_m: Metres(0.1),
        points: 4,
        ..Calibration::default()
    }
}

pub(crate) fn scene(rule: &str, calibrated: bool) -> Scene {
    let table: toml::Table = format!("{PLACES}\n[[rule]]\nid = \"r\"\n{rule}")
        .parse()
        .unwrap();
    let (config, faults) = SceneConfig::from_table(&table);
    assert_eq!(faults, []);
    let calibration = calibrated.then(overhead);
    Scene::new(identity(), config, calibration).unwrap()
}

/// Plays a story on a calibrated camera that has further places.
pub(crate) fn play_with(places: &str, rule: &str, story: &str) -> Vec<Output> {
    play(&mut scene(&format!("{rule}\n{places}"), true), story)
}

/// Runs a story on a calibrated camera and compares what is said.
pub(crate) fn check(rule: &str, story: &str, expected: &Expect) {
    expected.assert_eq(&told(&play(&mut scene(rule, true), story)));
}

/// The same without a calibration.
pub(crate) fn check_uncalibrated(rule: &str, story: &str, expected: &Expect) {
    expected.assert_eq(&told(&play(&mut scene(rule, false), story)));
}

/// Frames per second of every story.
const FPS: u32 = 10;
/// A cascade answers so many frames later.
const ANSWER_S: f64 = 0.3;

#[derive(Debug)]
struct Body {
    name: String,
    class: ObjectClass,
    /// Time, place, and whether it is seen on the way from here.
    way: Vec<(f64, (f64, f64), bool)>,
    /// From when on under which id.
    ids: Vec<(f64, u16)>,
    /// Which mark, from when on, and with what score; 0 is not at all. And on which side of the
    /// windscreen: 1 is the driver's, -1 the passenger's.
    marks: Vec<(ObjectClass, f64, f64, f64)>,
    /// When it is how large.
    sizes: Vec<(f64, (f64, f64))>,
    /// When a cascade looks at it, and what it will say.
    looks: Vec<(f64, String, f64)>,
    /// Whether the detector does not know such things.
    is_unseen: bool,
}

impl Body {
    fn at(&self, t: f64) -> Option<(f64, f64)> {
        let next = self.way.iter().position(|(time, ..)| *time > t + 1e-9);
        match next {
            Some(0) => None,
            Some(next) => {
                let (from, a, seen) = self.way[next - 1];
                let (to, b, _) = self.way[next];
                let part = (t - from) / (to - from);
                seen.then_some((a.0 + (b.0 - a.0) * part, a.1 + (b.1 - a.1) * part))
            }
            None => {
                let (last, place, seen) = self.way[self.way.len() - 1];
                (seen && t < last + 1e-9).then_some(place)
            }
        }
    }

    fn id(&self, t: f64) -> u16 {
        let since = |(from, _): &&(f64, u16)| *from <= t + 1e-9;
        self.ids.iter().rfind(since).unwrap().1
    }

    /// Width and height of the box, metres.
    fn size(&self, t: f64) -> (f64, f64) {
        let next = self.sizes.iter().position(|(time, _)| *time > t + 1e-9);
        match (next, self.sizes.last()) {
            (Some(next), _) if next > 0 => {
                let ((from, a), (to, b)) = (self.sizes[next - 1], self.sizes[next]);
                let part = (t - from) / (to - from);
                return (a.0 + (b.0 - a.0) * part, a.1 + (b.1 - a.1) * part);
            }
            (None, Some((_, last))) => return *last,
            _ => {}
        }
        match self.class {
            ObjectClass::Person => (0.6, 1.7),
            ObjectClass::Motorcycle => (1.8, 1.4),
            _ => (4.0, 2.0),
        }
    }
}

impl Body {
    /// The marks that it shows: class, score, and the box by its middle, metres.
    fn marks(&self, t: f64, (x, y): (f64, f64)) -> Vec<Detection> {
        let (width, height) = self.size(t);
        let top = y - height;
        let mut shown: Vec<Detection> = Vec::new();
        for &(class, from, score, side) in self.marks.iter().rev() {
            if from > t + 1e-9 || shown.iter().any(|mark| mark.class == class) {
                continue;
            }
            let (at, size) = match class {
                ObjectClass::Plate => ((x, y - 0.4), (0.2 * width, 0.2)),
                ObjectClass::Phone if self.class == ObjectClass::Person => {
                    ((x + 0.1, top + 0.3), (0.15, 0.15))
                }
                ObjectClass::Phone => ((x + width / 4.0, top + 0.5), (0.15, 0.15)),
                ObjectClass::SeatBelt | ObjectClass::NoSeatBelt => {
                    ((x + side * width / 4.0, top + 0.6), (0.5, 0.5))
                }
                _ => ((x, top + 0.15), (0.3, 0.3)),
            };
            shown.push(detection(class, score, at, size));
        }
        shown.retain(|mark| mark.score > 0.0);
        shown
    }
}

/// A detection by its middle and size in metres.
fn detection(
    class: ObjectClass,
    score: f64,
    (x, y): (f64, f64),
    (width, height): (f64, f64),
) -> Detection {
    Detection {
        class,
        score,
        bounds: NormBox {
            x: (x - width / 2.0) / 100.0,
            y: (y - height / 2.0) / 50.0,
            width: width / 100.0,
            height: height / 50.0,
        },
    }
}

#[derive(Debug, Default)]
struct Story {
    bodies: Vec<Body>,
    signals: Vec<(f64, Option<SignalState>)>,
    gaps: Vec<(f64, f64, GapReason)>,
    frozen: Vec<(f64, f64)>,
    lost: Vec<(f64, f64)>,
    health: Vec<(f64, Condition)>,
    clocks: Vec<(f64, TimeQuality)>,
    source: Option<SignalSource>,
    answer_s: Option<f64>,
    /// Looks are taken at the main stream, whose pictures are so much later.
    main_s: Option<f64>,
    length: f64,
}

fn read(story: &str) -> Story {
    let mut read = Story::default();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let t: f64 = words[0].parse().unwrap();
        read.length = read.length.max(t);
        match (words[1], words[2]) {
            ("signal", state) => read
                .signals
                .push((t, (state != "silent").then(|| word(state)))),
            (what @ ("gap" | "steps"), until) => {
                let until: f64 = until.parse().unwrap();
                read.length = read.length.max(until);
                let reason = if what == "gap" {
                    GapReason::StreamLost
                } else {
                    GapReason::ClockStep
                };
                read.gaps.push((t, until, reason));
            }
            ("frozen", until) => read.frozen.push((t, until.parse().unwrap())),
            ("lost", until) => {
                let until: f64 = until.parse().unwrap();
                read.length = read.length.max(until);
                read.lost.push((t, until));
            }
            ("health", condition) => read.health.push((t, word(condition))),
            ("clock", quality) => read.clocks.push((t, word(quality))),
            ("source", source) => read.source = Some(word(source)),
            ("answers", after_s) => read.answer_s = Some(after_s.parse().unwrap()),
            ("main", later_s) => read.main_s = Some(later_s.parse().unwrap()),
            (name, what) => {
                let (class, id) = name.split_once('#').unwrap();
                let known = read.bodies.iter().position(|body| body.name == name);
                let index = known.unwrap_or_else(|| {
                    read.bodies.push(Body {
                        name: name.to_owned(),
                        class: word(class),
                        way: Vec::new(),
                        ids: vec![(t, id.parse().unwrap())],
                        marks: Vec::new(),
                        sizes: Vec::new(),
                        looks: Vec::new(),
                        is_unseen: false,
                    });
                    read.bodies.len() - 1
                });
                let body = &mut read.bodies[index];
                match what {
                    "at" => {
                        let (x, y) = words[3].split_once(',').unwrap();
                        body.way
                            .push((t, (x.parse().unwrap(), y.parse().unwrap()), true));
                    }
                    "hides" => {
                        let place = body.way[body.way.len() - 1].1;
                        body.way.push((t, place, false));
                    }
                    "shows" => {
                        let score = words.get(4).map_or(0.9, |score| score.parse().unwrap());
                        let side = if words.get(5) == Some(&"passenger") {
                            -1.0
                        } else {
                            1.0
                        };
                        body.marks.push((word(words[3]), t, score, side));
                    }
                    "unseen" => body.is_unseen = true,
                    "looked" => {
                        let score = words.get(4).map_or(0.9, |score| score.parse().unwrap());
                        body.looks.push((t, words[3].to_owned(), score));
                    }
                    "lacks" => body.marks.push((word(words[3]), t, 0.0, 1.0)),
                    "size" => {
                        let (width, height) = words[3].split_once(',').unwrap();
                        let size = (width.parse().unwrap(), height.parse().unwrap());
                        body.sizes.push((t, size));
                    }
                    "is" => body
                        .ids
                        .push((t, words[3].trim_start_matches('#').parse().unwrap())),
                    other => panic!("`{other}` is no word of this language"),
                }
            }
        }
    }
    read
}

/// A value by its word on the wire.
fn word<T: serde::de::DeserializeOwned>(word: &str) -> T {
    serde_json::from_value(word.to_owned().into()).unwrap()
}

fn instant(t: f64) -> EventTime {
    EventTime::EPOCH + Seconds(t)
}

/// Plays a story to its end and half a second more, then ends the stream.
pub(crate) fn play(scene: &mut Scene, story: &str) -> Vec<Output> {
    let story = read(story);
    let mut out = Vec::new();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // seconds of a story
    let ticks = (story.length * f64::from(FPS)).round() as u32 + FPS / 2;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // seconds of a story
    let answer_ticks = (story.answer_s.unwrap_or(ANSWER_S) * f64::from(FPS)).round() as u32;
    let mut gaps = story.gaps.iter();
    let mut next_gap = gaps.next();
    let mut answers: VecDeque<(u32, SecondLook)> = VecDeque::new();
    for tick in 0..=ticks {
        let t = f64::from(tick) / f64::from(FPS);
        while answers.front().is_some_and(|(due, _)| *due <= tick) {
            let answer = answers
                .pop_front()
                .map(|(_, answer)| Input::SecondLook(answer));
            scene.handle(answer.unwrap(), &mut out);
        }
        if tick % 2 == 0 {
            let now = story.signals.iter().rfind(|(from, _)| *from <= t + 1e-9);
            if let Some((_, Some(state))) = now {
                let reading = SignalReading {
                    group: SignalGroupId::new("main").unwrap(),
                    state: *state,
                    time: instant(t),
                    confidence: 1.0,
                    source: story.source.unwrap_or(SignalSource::Mqtt),
                };
                scene.handle(Input::Signal(reading), &mut out);
            }
        }
        if let Some(&(from, to, reason)) = next_gap
            && t > from
        {
            if t < to - 1e-9 {
                continue;
            }
            let gap = Gap {
                from: instant(from),
                to: instant(to),
                reason,
            };
            scene.handle(Input::Gap(gap), &mut out);
            next_gap = gaps.next();
        }
        if let Some((_, condition)) = story.health.iter().find(|(at, _)| (at - t).abs() < 1e-9) {
            scene.handle(health(t, *condition), &mut out);
        }
        if let Some(&(from, to)) = story.lost.iter().find(|(from, to)| *from < t && t <= *to) {
            if t - from < 1.5 / f64::from(FPS) {
                scene.handle(health(from, Condition::Lost), &mut out);
            }
            if tick % FPS == 0 {
                scene.handle(Input::Tick(instant(t)), &mut out);
            }
            if t < to - 1e-9 {
                continue;
            }
            scene.handle(health(t, Condition::Well), &mut out);
            let gap = Gap {
                from: instant(from),
                to: instant(to),
                reason: GapReason::StreamLost,
            };
            scene.handle(Input::Gap(gap), &mut out);
        }
        let frozen = story.frozen.iter().find(|(from, to)| *from < t && t <= *to);
        let shown = frozen.map_or(t, |(from, _)| *from);
        let (mut frame, whose) = frame(&story.bodies, shown, u64::from(tick));
        frame.time = instant(t);
        let clock = story.clocks.iter().rfind(|(from, _)| *from <= t + 1e-9);
        frame.time_quality = clock.map_or(TimeQuality::Media, |(_, quality)| *quality);
        scene.look_given(&frame, &whose, &mut out);
        let at = FrameTime {
            frame: frame.frame,
            time: frame.time,
        };
        for body in &story.bodies {
            for (_, says, score) in body.looks.iter().filter(|look| (look.0 - t).abs() < 1e-9) {
                let mut answer = second_look(scene, body, (at, t), (says, *score));
                answer.main = story.main_s.map(|later| at.time + Seconds(later));
                answers.push_back((tick + answer_ticks, answer));
            }
        }
        if let Some((from, to)) = frozen
            && (t - to).abs() < 1e-9
        {
            let gap = Gap {
                from: instant(*from),
                to: instant(t),
                reason: GapReason::Frozen,
            };
            scene.handle(Input::Gap(gap), &mut out);
        }
    }
    scene.handle(
        Input::End(instant(f64::from(ticks) / f64::from(FPS))),
        &mut out,
    );
    out
}

/// What a cascade of the same name as what it gives says of a body.
fn second_look(
    scene: &Scene,
    body: &Body,
    (at, t): (FrameTime, f64),
    (says, score): (&str, f64),
) -> SecondLook {
    let rank = body.id(t);
    let track = scene.tracks().find(|track| track.id.rank == rank);
    let (x, y) = body.at(t).unwrap();
    let (width, height) = body.size(t);
    let whole = detection(body.class, score, (x, y - height / 2.0), (width, height));
    let upper = detection(
        body.class,
        score,
        (x, y - 0.75 * height),
        (width, height / 2.0),
    );
    let (part, says) = match says.split_once(':') {
        Some((part @ ("driver" | "hips" | "lower"), says)) => (part, says),
        _ => ("", says),
    };
    let shown = match part {
        "driver" => {
            let middle = (x + width / 4.0, y - 0.75 * height);
            detection(body.class, score, middle, (width / 2.0, height / 2.0))
        }
        "hips" => {
            let middle = (x, y - 0.7 * height);
            detection(body.class, score, middle, (width, 0.6 * height))
        }
        "lower" => {
            let middle = (x, y - 0.3 * height);
            detection(body.class, score, middle, (width, 0.6 * height))
        }
        _ => upper,
    };
    let (cascade, found) = if let Some(text) = says.strip_prefix("plate:") {
        let place = detection(ObjectClass::Plate, score, (x, y - 0.4), (0.2 * width, 0.2));
        let glyph = |symbol| Glyph {
            symbol,
            confidence: score,
            runner_up: None,
        };
        let written = PlateText {
            bounds: place.bounds,
            score,
            upper: text.chars().map(glyph).collect(),
            lower: None,
            is_doubtful: false,
            colour: None,
        };
        let is_seen = !text.is_empty();
        (
            "plates",
            Found::Plates(is_seen.then_some(written).into_iter().collect()),
        )
    } else if matches!(body.class, ObjectClass::Fire | ObjectClass::Smoke) {
        let items = vec![whole]
            .into_iter()
            .filter(|_| says != "nothing")
            .collect();
        let found = Found::Marks {
            believed_from: 0.45,
            items,
        };
        ("flames", found)
    } else {
        let label = |()| Label {
            class: word(says),
            score,
        };
        let found = Found::Labels {
            believed_from: 0.45,
            labels: Some(())
                .filter(|()| says != "nothing")
                .map(label)
                .into_iter()
                .collect(),
        };
        ("marks", found)
    };
    SecondLook {
        at,
        track: (cascade != "flames").then(|| track.unwrap().id),
        cascade: CascadeId::new(cascade).unwrap(),
        by: vec![model_of(cascade)],
        main: None,
        bounds: shown.bounds,
        found,
    }
}

/// The model of a story's cascade has its name.
pub(crate) fn model_of(cascade: &str) -> SecondModel {
    SecondModel {
        model: cascade.parse().unwrap(),
        version: Some(3),
        model_digest: protocol::Digest([0x5e; 32]),
        manifest_digest: None,
    }
}

/// Cascades of stories.
pub(crate) fn cascades() -> Vec<CascadeUse> {
    use ObjectClass as C;
    let cascade = |id: &str, on: &[C], gives: &[C]| CascadeUse {
        id: CascadeId::new(id).unwrap(),
        on: on.to_vec(),
        gives: gives.to_vec(),
        reads_plates: id == "plates",
    };
    let marks = [C::Helmet, C::NoHelmet, C::Phone, C::SeatBelt, C::NoSeatBelt];
    vec![
        cascade("marks", &[C::Motorcycle, C::Person, C::Car], &marks),
        cascade("plates", &[C::Motorcycle, C::Car], &[C::Plate]),
        cascade("flames", &[], &[C::Fire, C::Smoke]),
    ]
}

fn health(t: f64, condition: Condition) -> Input {
    Input::Health(Health {
        time: instant(t),
        since: instant(t),
        condition,
        ..Health::default()
    })
}

fn frame(bodies: &[Body], t: f64, number: u64) -> (Detections, Vec<u16>) {
    let (mut items, mut whose) = (Vec::new(), Vec::new());
    for body in bodies.iter().filter(|body| !body.is_unseen) {
        if let Some((x, y)) = body.at(t) {
            let size = body.size(t);
            let middle = (x, y - size.1 / 2.0);
            items.push(detection(body.class, 0.9, middle, size));
            whose.push(body.id(t));
            for mark in body.marks(t, (x, y)) {
                items.push(mark);
                whose.push(0);
            }
        }
    }
    let frame = Detections {
        frame: number,
        time: instant(t),
        time_quality: TimeQuality::Media,
        aspect: 2.0,
        believed_from: 0.45,
        camera_motion: None,
        is_followed: false,
        items,
    };
    (frame, whose)
}

pub(crate) fn events(out: &[Output]) -> impl Iterator<Item = &Event> {
    out.iter().filter_map(|output| match output {
        Output::Event(event) => Some(event),
        Output::Evidence(_) | Output::NearMiss(_) | Output::Coverage(_) | Output::Speed(_) => None,
    })
}

/// What nearly was an event.
pub(crate) fn near_misses(out: &[Output]) -> Vec<&NearMiss> {
    let misses = out.iter().filter_map(|output| match output {
        Output::NearMiss(miss) => Some(miss),
        _ => None,
    });
    misses.collect()
}

/// Every event in a few lines.
pub(crate) fn told(out: &[Output]) -> String {
    let seconds = |time: EventTime| time.since(EventTime::EPOCH).0;
    let mut text = String::new();
    for output in out {
        match output {
            Output::Event(event) => {
                let phase = match event.phase {
                    Phase::Start => "starts",
                    Phase::Update => "goes on",
                    Phase::End => "is over",
                };
                let actors = event.actors.iter();
                let actors = actors.map(|actor| format!("{}#{}", actor.class, actor.track.rank));
                let actors: Vec<String> = actors.collect();
                let who = if actors.is_empty() {
                    "nobody in particular".to_owned()
                } else {
                    actors.join(" and ")
                };
                write!(
                    text,
                    "{} {phase} (revision {}): {who} since {:.1}",
                    event.kind,
                    event.revision,
                    seconds(event.onset)
                )
                .unwrap();
                if let Some(ended) = event.ended {
                    write!(text, " until {:.1}", seconds(ended)).unwrap();
                }
                for plate in event.actors.iter().filter_map(|actor| actor.plate.as_ref()) {
                    let reason = plate.reason.as_ref().map_or("stated", |reason| &reason.en);
                    let last = if plate.is_final { ", finally" } else { "" };
                    write!(text, " plate `{}` ({reason}{last})", plate.display).unwrap();
                }
                if event.phase == Phase::Start {
                    writeln!(text, ", decided at {:.1}", seconds(event.decided.time)).unwrap();
                    for p in &event.explanation {
                        assert!(p.holds, "an event lists what holds: {p:?}");
                        let json = |v| serde_json::to_string(v).unwrap();
                        let (value, threshold) = (json(&p.value), json(&p.threshold));
                        let comparison = serde_json::to_value(p.comparison).unwrap();
                        let comparison = comparison.as_str().unwrap();
                        let line = format!(
                            "    {}: {value} {comparison} {threshold} {} [{:.1} to {:.1}]",
                            p.name,
                            p.unit,
                            seconds(p.first.time),
                            seconds(p.last.time)
                        );
                        writeln!(text, "{}", line.replace("  [", " [")).unwrap();
                    }
                } else {
                    let facts: Vec<String> = event
                        .facts
                        .iter()
                        .filter(|(key, _)| {
                            ["dwell_s", "hidden_s", "end_reason"].contains(&key.as_str())
                        })
                        .map(|(key, value)| {
                            format!("{key} {}", serde_json::to_string(value).unwrap())
                        })
                        .collect();
                    writeln!(text, ", {}", facts.join(", ")).unwrap();
                }
            }
            Output::Speed(measured) => {
                let (low, high) = (measured.low_kmh, measured.high_kmh);
                let track = &measured.track;
                writeln!(
                    text,
                    "speed of {}#{}: {:.1} km/h ({low:.1} to {high:.1})",
                    measured.class, track.rank, measured.speed_kmh
                )
                .unwrap();
            }
            Output::Evidence(wish) => {
                let at: Vec<String> = wish
                    .at
                    .iter()
                    .map(|frame| format!("{:.1}", seconds(frame.time)))
                    .collect();
                writeln!(text, "    pictures of {}", at.join(", ")).unwrap();
            }
            Output::NearMiss(_) | Output::Coverage(_) => {}
        }
    }
    text
}
