//! Plays a story to a scene: the frames, and all else that a scene hears.

use std::collections::VecDeque;

use protocol::event::FrameTime;
use protocol::id::{CascadeId, SignalGroupId};
use protocol::signal::SignalSource;
use protocol::units::Seconds;
use protocol::{Detections, EventTime, ObjectClass, SignalReading, TimeQuality};

use super::body::{Body, detection};
use super::model_of;
use super::story::{read, word};
use crate::health::{Condition, Health};
use crate::input::{Gap, GapReason, Input, Output};
use crate::scene::Scene;
use crate::second_look::{Found, Glyph, Label, PlateText, SecondLook};

/// Frames per second of every story.
const FPS: u32 = 10;
/// A cascade answers so many frames later.
const ANSWER_S: f64 = 0.3;

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
