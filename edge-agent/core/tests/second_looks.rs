//! What must hold whatever cascades answer, and whenever: replay equals live,
//! no panic, revisions count up, nothing is remembered of who is gone.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test reads its data from files

mod support;
#[path = "promises/traffic.rs"]
#[allow(dead_code)] // other tests use the rest
mod traffic;

use std::collections::BTreeMap;

use edge_core::second_look::{Glyph, Label, PlateText};
use edge_core::{CascadeUse, Found, Input, Output, Scene, SecondLook};
use proptest::prelude::*;
use protocol::event::{FrameTime, SecondModel};
use protocol::id::CascadeId;
use protocol::{Detection, Digest, Event, EventTime, NormBox, ObjectClass, Phase, TrackId};
use support::{lines, play, scene};
use traffic::{EAGER, MARKS, at, mark_on, traffic};

const ON: [ObjectClass; 4] = [
    ObjectClass::Person,
    ObjectClass::Motorcycle,
    ObjectClass::Car,
    ObjectClass::Truck,
];

fn cascading() -> Scene {
    let mut scene = scene(EAGER);
    scene.expect_second_looks(vec![
        CascadeUse {
            id: CascadeId::new("marks").unwrap(),
            on: ON.to_vec(),
            gives: MARKS.to_vec(),
            reads_plates: false,
        },
        CascadeUse {
            id: CascadeId::new("plates").unwrap(),
            on: ON.to_vec(),
            gives: vec![ObjectClass::Plate],
            reads_plates: true,
        },
        CascadeUse {
            id: CascadeId::new("flames").unwrap(),
            on: Vec::new(),
            gives: vec![ObjectClass::Fire, ObjectClass::Smoke],
            reads_plates: false,
        },
    ]);
    scene
}

/// The model of a cascade has its name.
fn model_of(cascade: &str) -> SecondModel {
    SecondModel {
        model: cascade.parse().unwrap(),
        version: None,
        model_digest: Digest([7; 32]),
        manifest_digest: None,
    }
}

/// What a cascade may answer about a road user in a frame.
fn answer(at: FrameTime, track: TrackId, bounds: NormBox, pick: u8) -> SecondLook {
    let of = Detection {
        class: ObjectClass::Car,
        score: f64::from(pick % 10) / 10.0,
        bounds,
    };
    let class = MARKS[usize::from(pick) % MARKS.len()];
    let mark = mark_on(&of, class);
    let (cascade, track, found) = match pick % 4 {
        0 => {
            let found = Found::Marks {
                believed_from: 0.4,
                items: vec![mark],
            };
            ("marks", Some(track), found)
        }
        1 => {
            let found = Found::Labels {
                believed_from: 0.4,
                labels: vec![Label {
                    class,
                    score: of.score,
                }],
            };
            ("marks", Some(track), found)
        }
        2 => {
            let text = if pick % 8 < 4 { "30A12345" } else { "29B1" };
            let glyph = |symbol| Glyph {
                symbol,
                confidence: of.score,
                runner_up: Some(('8', 0.1)),
            };
            let plate = PlateText {
                bounds: mark_on(&of, ObjectClass::Plate).bounds,
                score: of.score,
                upper: text.chars().map(glyph).collect(),
                lower: None,
                colour: None,
                is_doubtful: false,
            };
            ("plates", Some(track), Found::Plates(vec![plate]))
        }
        _ => {
            let found = Found::Marks {
                believed_from: 0.4,
                items: vec![Detection {
                    class: ObjectClass::Fire,
                    ..of
                }],
            };
            ("flames", None, found)
        }
    };
    SecondLook {
        at,
        track,
        cascade: CascadeId::new(cascade).unwrap(),
        by: vec![model_of(cascade)],
        main: None,
        bounds,
        found,
    }
}

/// Plays traffic, takes second looks at what is followed, and answers up to
/// seven inputs later, some of them twice. Returns all that the scene saw, and said.
fn live(inputs: &[Input], picks: &[u8]) -> (Vec<Input>, Vec<Output>) {
    let mut scene = cascading();
    let (mut seen, mut out) = (Vec::new(), Vec::new());
    let mut waiting: BTreeMap<usize, Vec<SecondLook>> = BTreeMap::new();
    let mut picks = picks.iter().copied().cycle();
    for (index, input) in inputs.iter().enumerate() {
        let answers = waiting.remove(&index).unwrap_or_default();
        for input in answers
            .into_iter()
            .map(Input::SecondLook)
            .chain([input.clone()])
        {
            seen.push(input.clone());
            scene.handle(input, &mut out);
        }
        let Input::Detections(frame) = input else {
            continue;
        };
        let at = FrameTime {
            frame: frame.frame,
            time: frame.time,
        };
        for track in scene.tracks() {
            let pick = picks.next().unwrap_or_default();
            let look = answer(at, track.id, track.bounds, pick);
            let times = if pick % 16 == 3 { 2 } else { 1 };
            let due = waiting
                .entry(index + 1 + usize::from(pick % 8))
                .or_default();
            due.extend(std::iter::repeat_n(look, times));
        }
    }
    (seen, out)
}

fn events(out: &[Output]) -> impl Iterator<Item = &Event> {
    out.iter().filter_map(|output| match output {
        Output::Event(event) => Some(event),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_recording_of_second_looks_replays_to_the_same_bytes(
        inputs in traffic(), picks in prop::collection::vec(any::<u8>(), 1..64)
    ) {
        let (seen, out) = live(&inputs, &picks);
        let recorded: Vec<Input> = seen
            .iter()
            .map(|input| serde_json::to_string(input).unwrap())
            .map(|line| serde_json::from_str(&line).unwrap())
            .collect();
        prop_assert_eq!(lines(&play(cascading(), &recorded)), lines(&out));
    }

    #[test]
    fn each_revision_is_one_more_and_the_last_word_is_told_once(
        inputs in traffic(), picks in prop::collection::vec(any::<u8>(), 1..64)
    ) {
        let mut inputs = inputs;
        inputs.push(Input::End(at(1e4)));
        let (_, out) = live(&inputs, &picks);
        let mut revisions: BTreeMap<_, u32> = BTreeMap::new();
        let mut last: BTreeMap<_, &Event> = BTreeMap::new();
        for event in events(&out) {
            let revision = revisions.entry(event.id).or_default();
            *revision += 1;
            prop_assert_eq!(event.revision, *revision);
            prop_assert_eq!(event.revision == 1, event.phase == Phase::Start);
            last.insert(event.id, event);
        }
        for event in last.values() {
            for plate in event.actors.iter().filter_map(|actor| actor.plate.as_ref()) {
                prop_assert!(plate.is_stated || plate.is_final, "{event:?}");
                prop_assert_eq!(plate.is_stated, plate.reason.is_none());
            }
        }
    }

    #[test]
    fn an_event_names_the_models_whose_looks_counted_and_no_other(
        inputs in traffic(), picks in prop::collection::vec(any::<u8>(), 1..64)
    ) {
        let (seen, out) = live(&inputs, &picks);
        for event in events(&out) {
            let second = &event.provenance.second;
            prop_assert!(second.is_sorted_by(|a, b| a < b), "{second:?}");
            let read = event.actors.iter().filter_map(|actor| actor.plate.as_ref());
            let is_read = read.map(|plate| plate.of).sum::<u64>() > 0;
            // A vehicle without a plate is accused by looks that found none, and by its neighbours'.
            if event.kind.0 != "plate_obscured" {
                prop_assert_eq!(second.contains(&model_of("plates")), is_read);
            }
            // Which rules look at marks, and at fire; the others rest on the detector.
            let may_be = match event.kind.0.as_str() {
                // Plates are among the marks.
                "no_helmet" | "phone_use" | "seat_belt" | "plate_obscured" => Some("marks"),
                "fire" | "smoke" => Some("flames"),
                _ => None,
            };
            for model in second.iter().filter(|model| **model != model_of("plates")) {
                prop_assert_eq!(Some(model.clone()), may_be.map(model_of), "{}", event.kind.0);
            }
            let is_heard = |model: &SecondModel| seen.iter().any(|input| {
                matches!(input, Input::SecondLook(look) if look.by.contains(model))
            });
            prop_assert!(second.iter().all(is_heard));
        }
        // Of recordings that do not say it, nothing else is another.
        let mute = |input: &Input| match input.clone() {
            Input::SecondLook(look) => Input::SecondLook(SecondLook { by: Vec::new(), ..look }),
            other => other,
        };
        let mute: Vec<Input> = seen.iter().map(mute).collect();
        let without = |output: &Output| match output.clone() {
            Output::Event(mut event) => {
                event.provenance.second.clear();
                Output::Event(event)
            }
            other => other,
        };
        let without: Vec<Output> = out.iter().map(without).collect();
        prop_assert_eq!(lines(&play(cascading(), &mute)), lines(&without));
    }

    #[test]
    fn nothing_is_remembered_of_who_is_gone(
        inputs in traffic(), picks in prop::collection::vec(any::<u8>(), 1..64)
    ) {
        let (mut seen, _) = live(&inputs, &picks);
        seen.push(Input::End(at(1e4)));
        let remembered = |seen: &[Input]| {
            let (mut scene, mut out) = (cascading(), Vec::new());
            for input in seen {
                scene.handle(input.clone(), &mut out);
            }
            scene.remembered()
        };
        // What is wrong with a picture is remembered, cascades or not.
        let is_other = |input: &&Input| !matches!(input, Input::SecondLook(_));
        let plain: Vec<Input> = seen.iter().filter(is_other).cloned().collect();
        prop_assert_eq!(remembered(&seen), remembered(&plain));
    }

    #[test]
    fn no_answer_makes_it_panic_or_write_what_is_not_json(
        inputs in traffic(),
        answers in prop::collection::vec(
            (0_usize..200, any::<u8>(), any::<u64>(), any::<i64>(), prop::array::uniform4(any::<f64>())),
            0..40
        )
    ) {
        let (mut seen, _) = live(&inputs, &[0, 1, 2, 3]);
        for (place, pick, frame, time, edges) in answers {
            let known = seen.iter().find_map(|input| match input {
                Input::SecondLook(look) => Some(look.at),
                _ => None,
            });
            let strange = FrameTime {
                frame,
                time: EventTime::from_micros(time),
            };
            let at = known.filter(|_| pick > 100).unwrap_or(strange);
            let track = TrackId { born: at.time, rank: 0 };
            let look = answer(at, track, edges.into(), pick);
            seen.insert(place % seen.len().max(1), Input::SecondLook(look));
        }
        for line in lines(&play(cascading(), &seen)).lines() {
            let read: Output = serde_json::from_str(line).unwrap();
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), line);
        }
    }
}
