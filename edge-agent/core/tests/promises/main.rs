//! What must hold for any input, in any order: replay equals live, no panic,
//! one onset per track and rule, bounded memory.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test reads its data from files

#[path = "../support/mod.rs"]
mod support;
mod traffic;

use std::collections::BTreeMap;

use edge_core::{Input, Output};
use proptest::prelude::*;
use protocol::event::Phase;
use protocol::{Detection, Event, NormBox, ObjectClass, SignalState};
use support::{case, lines, play, scene, successor};
use traffic::{EAGER, anything, at, frame, red, span_of_shift, traffic, traffic_with_pauses};

fn starts(out: &[Output]) -> impl Iterator<Item = &Event> {
    out.iter().filter_map(|output| match output {
        Output::Event(event) if event.phase == Phase::Start => Some(event),
        _ => None,
    })
}

fn shuffled(inputs: &[Input], seed: usize) -> Vec<Input> {
    let mut inputs = inputs.to_vec();
    for (index, input) in inputs.iter_mut().enumerate() {
        if let Input::Detections(frame) = input
            && !frame.items.is_empty()
        {
            let turn = (seed + index) % frame.items.len();
            frame.items.rotate_left(turn);
            if (seed + index).is_multiple_of(2) {
                frame.items.reverse();
            }
        }
    }
    inputs
}

#[test]
fn the_order_of_detections_within_a_frame_changes_nothing() {
    for name in ["junction", "restless_camera"] {
        let (scene, inputs) = case(name);
        let expected = lines(&play(scene.clone(), &inputs));
        for seed in 1..4 {
            let out = lines(&play(scene.clone(), &shuffled(&inputs, seed)));
            assert_eq!(out, expected, "{name}");
        }
    }
}

#[test]
fn a_scene_cut_in_two_at_any_input_goes_on_the_same() {
    let (scene, inputs) = case("restless_camera");
    let expected = lines(&play(scene.clone(), &inputs));
    for cut in (0..inputs.len()).step_by(7) {
        let mut first = scene.clone();
        let mut out = Vec::new();
        for input in &inputs[..cut] {
            first.handle(input.clone(), &mut out);
        }
        out.extend(play(first.clone(), &inputs[cut..]));
        assert_eq!(lines(&out), expected, "cut at {cut}");
    }
}

#[test]
fn frames_that_come_twice_or_late_are_refused_and_counted() {
    let (mut scene, inputs) = case("restless_camera");
    let mut out = Vec::new();
    for input in inputs {
        scene.handle(input, &mut out);
    }
    assert_eq!(scene.refused().frames_out_of_order, 2);
}

#[test]
fn a_signal_from_the_future_is_refused_and_blocks_nothing() {
    let mut scene = scene(EAGER);
    let mut out = Vec::new();
    scene.handle(red(1e9), &mut out);
    scene.handle(frame(0, 1.0, Vec::new()), &mut out);
    scene.handle(red(5e9), &mut out);
    scene.handle(red(1.0), &mut out);
    let shown: Vec<SignalState> = scene.signals().map(|(_, state)| state).collect();
    assert_eq!(shown, [SignalState::Red, SignalState::Unknown]);
    assert_eq!(scene.refused().signals_from_the_future, 1);
}

/// A motorbike waits at a stop line on red, and a car that pulls up in front of
/// the camera hides its wheels. Its box loses height from below, so that its
/// lower edge rises over the line and on: in scored scenes that was an accusation.
#[test]
fn a_waiting_motorbike_that_is_covered_from_below_has_not_driven_on() {
    let mut scene = scene(
        r#"
        line = [{ id = "l", from = [0.2, 0.5], to = [0.8, 0.5], towards = [0.5, 0.3] }]
        signal = [{ group = "g", recorded = true }]
        rule = [{ id = "e", kind = "red_light", line = "l", signal = "g", min_travel_heights = 0.5 }]
        "#,
    );
    let mut out = Vec::new();
    for tick in 0..80_u32 {
        let t = f64::from(tick) / 10.0;
        let hidden = 0.004 * f64::from(tick.saturating_sub(30).min(20));
        let motorbike = Detection {
            class: ObjectClass::Motorcycle,
            score: 0.8,
            bounds: NormBox {
                x: 0.5,
                y: 0.43,
                width: 0.03,
                height: 0.1 - hidden,
            },
        };
        scene.handle(red(t), &mut out);
        scene.handle(frame(tick.into(), t, vec![motorbike]), &mut out);
    }
    assert_eq!(starts(&out).count(), 0);
    // The same lower edge, but of a motorbike that grows smaller as it goes, is an offence.
    for tick in 0..80_u32 {
        let t = 20.0 + f64::from(tick) / 10.0;
        let scale = 1.0 - 0.008 * f64::from(tick.saturating_sub(30));
        let motorbike = Detection {
            class: ObjectClass::Motorcycle,
            score: 0.8,
            bounds: NormBox {
                x: 0.5,
                y: 0.1 + 0.34 * scale,
                width: 0.03 * scale,
                height: 0.1 * scale,
            },
        };
        scene.handle(red(t), &mut out);
        scene.handle(frame((100 + tick).into(), t, vec![motorbike]), &mut out);
    }
    assert_eq!(starts(&out).count(), 1);
}

#[test]
fn every_kind_is_among_the_eager() {
    let table: toml::Table = EAGER.parse().unwrap();
    let kinds: Vec<&str> = table["rule"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["kind"].as_str().unwrap())
        .collect();
    for entry in edge_core::rule_catalogue() {
        assert!(kinds.contains(&entry.kind), "{} is missing", entry.kind);
    }
}

#[test]
fn memory_is_flat_under_flapping_detections() {
    let mut scene = scene(EAGER);
    let mut out = Vec::new();
    let mut most = 0;
    // A weak generator is enough to scatter boxes, and the same everywhere.
    let mut state = 1_u32;
    let mut chance = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1_u32 << 24)
    };
    for number in 0..20_000_u32 {
        let classes = [
            ObjectClass::Car,
            ObjectClass::Person,
            ObjectClass::Motorcycle,
            ObjectClass::Fire,
            ObjectClass::Plate,
        ];
        let items = (0..20)
            .map(|index| Detection {
                // Mostly cars and persons.
                class: classes[if index < 4 {
                    index + 1
                } else {
                    usize::from(chance() < 0.5)
                }],
                score: 0.3 + 0.7 * chance(),
                bounds: NormBox {
                    x: chance() * 0.9,
                    y: chance() * 0.9,
                    width: 0.05,
                    height: 0.05,
                },
            })
            .collect();
        scene.handle(
            frame(number.into(), f64::from(number) / 10.0, items),
            &mut out,
        );
        scene.handle(red(f64::from(number) / 10.0), &mut out);
        out.clear();
        most = most.max(scene.remembered());
    }
    assert!(most > 20, "the test exercises nothing: {most}");
    // Each kind may remember every live track once or twice.
    assert!(most < 6_000, "remembers {most} things");
    // And it is as ready as at the beginning.
    scene.handle(Input::End(at(2_000.0)), &mut out);
    assert_eq!(scene.remembered(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_input_makes_it_panic_or_write_what_is_not_json(
        inputs in prop::collection::vec(anything(), 0..80)
    ) {
        let mut scene = scene(EAGER);
        let mut out = Vec::new();
        for input in inputs {
            scene.handle(input, &mut out);
            prop_assert!(scene.tracks().all(|track| track.path().count() <= 64));
        }
        for line in lines(&out).lines() {
            // A number that is not finite would be `null` here and fail there.
            let read: Output = serde_json::from_str(line).unwrap();
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), line);
        }
    }

    /// A rule with hours begins anew with each span of them: who is still there does it again.
    #[test]
    fn a_track_has_at_most_one_onset_per_rule(inputs in traffic()) {
        let out = play(scene(EAGER), &inputs);
        let mut onsets = BTreeMap::new();
        for event in starts(&out) {
            // The first did it; others rode along, or were overtaken.
            if let Some(actor) = event.actors.first() {
                let on = if event.rule.as_str() == "shift" {
                    span_of_shift(event.decided.time)
                } else {
                    0
                };
                let count = onsets.entry((event.rule.clone(), actor.track, on)).or_insert(0);
                *count += 1;
                prop_assert_eq!(*count, 1, "{} {}", event.rule, actor.track);
            }
        }
    }

    #[test]
    fn revisions_count_up_and_nothing_follows_an_end(inputs in traffic()) {
        let mut inputs = inputs;
        inputs.push(Input::End(at(1e4)));
        let out = play(scene(EAGER), &inputs);
        let mut known: BTreeMap<_, (u32, Phase)> = BTreeMap::new();
        for output in &out {
            let Output::Event(event) = output else { continue };
            match known.insert(event.id, (event.revision, event.phase)) {
                None => prop_assert_eq!((event.revision, event.phase), (1, Phase::Start)),
                Some((revision, phase)) => {
                    prop_assert_eq!(event.revision, revision + 1);
                    prop_assert_ne!(phase, Phase::End);
                }
            }
        }
        for output in &out {
            if let Output::Event(event) = output {
                // What has a duration was ended; a red light is over at once.
                let over = known[&event.id].1 == Phase::End || event.ended.is_some();
                prop_assert!(over, "{} never ended", event.rule);
            }
        }
    }

    /// Whoever feeds a scene may stop anywhere and go on with a copy of it.
    #[test]
    fn any_chunks_of_the_input_give_the_same_events(
        (first, second) in (traffic(), traffic()),
        cuts in prop::collection::vec(0_usize..200, 0..4)
    ) {
        let mut inputs = first;
        inputs.push(Input::End(at(100.0)));
        inputs.extend(second);
        inputs.push(Input::End(at(200.0)));
        let whole = lines(&play(scene(EAGER), &inputs));

        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % inputs.len()).collect();
        cuts.sort_unstable();
        let (mut chunked, mut so_far, mut from) = (String::new(), scene(EAGER), 0);
        for cut in cuts.into_iter().chain([inputs.len()]) {
            let mut out = Vec::new();
            for input in &inputs[from..cut] {
                so_far.handle(input.clone(), &mut out);
            }
            chunked += &lines(&out);
            from = cut;
            so_far = so_far.clone();
        }
        prop_assert_eq!(&chunked, &whole);
    }

    #[test]
    fn a_recording_and_any_order_within_frames_give_the_same_bytes(
        inputs in traffic(), seed in 0_usize..100
    ) {
        let live = lines(&play(scene(EAGER), &inputs));
        let recorded: Vec<Input> = inputs
            .iter()
            .map(|input| serde_json::to_string(input).unwrap())
            .map(|line| serde_json::from_str(&line).unwrap())
            .collect();
        prop_assert_eq!(&lines(&play(scene(EAGER), &shuffled(&recorded, seed))), &live);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// What a recording rests on: a segment begins with a new scene, and where
    /// nobody is there and nothing is remembered, that is no difference.
    #[test]
    fn a_cut_at_a_quiescent_instant_changes_nothing(
        inputs in traffic_with_pauses(), every in 1_usize..40
    ) {
        for near in [false, true] {
            let mut new = scene(EAGER);
            if near {
                new.tell_near_misses();
            }
            let expected = lines(&play(new.clone(), &inputs));
            let (mut out, mut cuts, mut since) = (Vec::new(), 0, 0);
            let mut scene = new.clone();
            for input in &inputs {
                scene.handle(input.clone(), &mut out);
                since += 1;
                if since >= every && scene.is_quiescent() {
                    scene = successor(&scene, &new);
                    (cuts, since) = (cuts + 1, 0);
                }
            }
            // Never cut: it shows nothing.
            prop_assume!(cuts > 0);
            for (line, wanted) in lines(&out).lines().zip(expected.lines()) {
                prop_assert_eq!(line, wanted);
            }
            prop_assert_eq!(lines(&out).lines().count(), expected.lines().count());
        }
    }

    /// A cut that had to be forced: what goes on is ended, nothing is told
    /// twice, no road user gets an id that was given before.
    #[test]
    fn a_forced_cut_ends_what_goes_on_and_gives_no_id_twice(
        inputs in traffic(), cut in 1_usize..60
    ) {
        let new = scene(EAGER);
        let mut scene = new.clone();
        let mut out = Vec::new();
        let cut = cut.min(inputs.len());
        for input in &inputs[..cut] {
            scene.handle(input.clone(), &mut out);
        }
        let before = scene.state();
        scene.handle(Input::End(at(1e3)), &mut out);
        let before = before.beyond_end(&scene.state());
        let mut next = new.clone();
        next.resume(before);
        let mut rest = play(next, &inputs[cut..]);
        let ids = |out: &[Output]| starts(out).map(|event| event.id).collect::<Vec<_>>();
        let (first, second) = (ids(&out), ids(&rest));
        prop_assert!(first.iter().all(|id| !second.contains(id)));
        out.append(&mut rest);
        let hours = out.iter().filter_map(|output| match output {
            Output::Coverage(hour) => Some(hour.watched_s),
            _ => None,
        });
        prop_assert!(hours.fold(0.0, f64::max) <= 3600.0);
    }
}
