//! What must hold for any input, in any order: replay equals live, no panic,
//! one onset per track and rule, bounded memory.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test reads its data from files

mod support;

use std::collections::BTreeMap;

use edge_core::{Condition, Gap, GapReason, Health, Input, Output};
use proptest::prelude::*;
use protocol::event::Phase;
use protocol::id::SignalGroupId;
use protocol::signal::SignalSource;
use protocol::units::Seconds;
use protocol::{
    Detection, Detections, Event, EventTime, NormBox, ObjectClass, SignalReading, SignalState,
    TimeQuality,
};
use support::{case, lines, play, scene, successor};

/// Every kind with thresholds so low that a few seconds are enough.
const EAGER: &str = r#"
    zone = [
        { id = "z", points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]] },
        { id = "h", points = [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]] },
    ]
    line = [
        { id = "l", from = [0.5, 0.0], to = [0.5, 1.0], towards = [0.6, 0.5] },
        { id = "m", from = [0.0, 0.5], to = [1.0, 0.5], towards = [0.5, 0.6] },
        { id = "n", from = [0.6, 0.0], to = [0.6, 1.0], towards = [0.7, 0.5] },
    ]
    signal = [
        { group = "g", recorded = true, stale_after_s = 5.0 },
        { group = "cross", recorded = true, stale_after_s = 5.0 },
    ]
    rule = [
        { id = "a", kind = "stopped_vehicle", zone = "z", min_dwell_s = 1.0, update_every_s = 2.0, keep_s = 5.0 },
        { id = "b", kind = "loitering", zone = "z", min_dwell_s = 1.0, max_exit_s = 1.0 },
        { id = "c", kind = "pedestrian_on_carriageway", zone = "z", min_duration_s = 0.5 },
        { id = "driver", kind = "wrong_way_driver", zone = "z", direction = [[0.1, 0.5], [0.9, 0.5]], min_duration_s = 0.5, min_distance_heights = 0.5 },
        { id = "d", kind = "wrong_way", zone = "z", direction = [[0.1, 0.5], [0.9, 0.5]], min_duration_s = 0.5, min_distance_heights = 0.5 },
        { id = "e", kind = "red_light", line = "l", signal = "g", grace_s = 0.1, min_travel_heights = 0.3 },
        { id = "s1", kind = "illegal_stop", zone = "z", min_dwell_s = 1.0, update_every_s = 2.0, keep_s = 5.0, queue_excuses_s = 1.0 },
        { id = "s2", kind = "illegal_parking", zone = "z", min_dwell_s = 2.0, exempt_zones = ["z"], exempt_classes = ["bus"] },
        { id = "s3", kind = "blocking_junction", zone = "z", signal = "cross", min_dwell_s = 1.0 },
        { id = "s4", kind = "debris", zone = "z", min_dwell_s = 1.0 },
        { id = "s5", kind = "congestion", zone = "z", min_count = 1, min_occupancy = 0.0, max_speed_heights_per_s = 5.0, min_duration_s = 1.0, clear_after_s = 1.0, update_every_s = 1.0 },
        { id = "s6", kind = "queue", zone = "z", min_count = 2, min_duration_s = 1.0, clear_after_s = 1.0, update_every_s = 1.0 },
        { id = "s7", kind = "crowd", zone = "z", min_count = 2, min_duration_s = 1.0, clear_after_s = 1.0, update_every_s = 1.0 },
        { id = "s8", kind = "intrusion", zone = "z", min_duration_s = 0.5, max_exit_s = 1.0 },
        { id = "s9", kind = "crash", zone = "z", min_score = 0.2, min_standing_s = 0.5, clear_after_s = 1.0 },
        { id = "f", kind = "stop_line", line = "l", signal = "g", grace_s = 0.1, min_dwell_s = 0.3, radius_heights = 1.0, min_beyond_heights = 0.0 },
        { id = "h", kind = "wrong_lane", zone = "z", classes = ["car", "motorcycle"], min_duration_s = 0.5, min_travel_heights = 0.0 },
        { id = "i", kind = "illegal_uturn", zone = "z", min_turn_deg = 90.0, min_back_heights = 0.0 },
        { id = "k", kind = "illegal_turn", entry_line = "l", exit_line = "m" },
        { id = "sp", kind = "speeding", entry_line = "l", exit_line = "n", limit_kmh = 5.0, tolerance_kmh = 0.0, report_all = true },
        { id = "custom-track", kind = "custom", zone = "z", when = "(class == 'car' || x > 0.5) && signal.g == 'red' && age_s > 0.5", for_s = 0.3 },
        { id = "custom-zone", kind = "custom", subject = "zone", zone = "h", when = "count >= 1 && longest_dwell_s > 0.3 && occupancy < 0.9", for_s = 0.3, release_s = 0.3 },
        { id = "custom-health", kind = "custom", subject = "zone", zone = "z", when = "health != 'well' && minute < 30", for_s = 0.2 },
        { id = "emergency", kind = "emergency_lane", zone = "z", min_duration_s = 1.0, min_speed_heights_per_s = 0.2, min_speed_kept_share = 0.2 },
        { id = "entry", kind = "no_entry", zone = "h", min_duration_s = 0.2, min_distance_heights = 0.3, hours = ["07:00-24:00"] },
        { id = "crossing", kind = "pedestrian_crossing", zone = "z", signal = "g", min_duration_s = 0.5, min_distance_heights = 0.2 },
        { id = "sidewalk", kind = "sidewalk_driving", zone = "z", along = [[0.1, 0.5], [0.9, 0.5]], min_duration_s = 0.5, min_distance_heights = 0.2, min_speed_heights_per_s = 0.1 },
        { id = "solid", kind = "solid_line", lines = ["l"], min_lateral_heights = 0.3 },
        { id = "shift", kind = "custom", zone = "z", when = "in_zone", for_s = 0.2, hours = ["06:59-07:00", "07:01-07:02"] },
        { id = "m-abreast", kind = "abreast", zone = "z", direction = [[0.1, 0.5], [0.9, 0.5]], min_row = 2, min_duration_s = 0.5, max_side_heights = 5.0, max_behind_heights = 5.0, min_speed_heights_per_s = 0.0 },
        { id = "m-animal", kind = "animal", zone = "z", min_duration_s = 0.5 },
        { id = "m-blocked", kind = "camera_blocked" },
        { id = "m-dark", kind = "camera_dark" },
        { id = "m-defocused", kind = "camera_defocused" },
        { id = "m-frozen", kind = "camera_frozen" },
        { id = "m-lost", kind = "camera_lost", min_duration_s = 1.0 },
        { id = "m-moved", kind = "camera_moved" },
        { id = "m-fire", kind = "fire", min_duration_s = 1.0, min_growth_pct = 0.0 },
        { id = "m-smoke", kind = "smoke", zones = ["z"], min_duration_s = 1.0, min_growth_pct = 0.0 },
        { id = "m-helmet", kind = "no_helmet", min_looks = 1, of_looks = 2, min_speed_heights_per_s = 0.0 },
        { id = "m-overtaking", kind = "overtaking", zone = "z", direction = [[0.1, 0.5], [0.9, 0.5]], min_gap_heights = 0.2, max_side_heights = 9.0, min_speed_heights_per_s = 0.0 },
        { id = "m-phone", kind = "phone_use", min_looks = 1, min_speed_heights_per_s = 0.0 },
        { id = "m-plate", kind = "plate_obscured", min_height_pct = 1.0, min_duration_s = 0.4, min_neighbours = 1, min_share_pct = 50.0 },
        { id = "m-reversing", kind = "reversing", zone = "z", direction = [[0.1, 0.5], [0.9, 0.5]], min_distance_heights = 0.2, min_duration_s = 0.0 },
        { id = "m-three", kind = "riders_three_plus", min_looks = 1, of_looks = 1, min_speed_heights_per_s = 0.0 },
        { id = "m-two", kind = "riders_two", min_looks = 1, of_looks = 1, min_speed_heights_per_s = 0.0 },
        { id = "m-belt", kind = "seat_belt", min_looks = 1, min_torso_pct = 0.1, min_speed_heights_per_s = 0.0 },
    ]
"#;

fn at(t: f64) -> EventTime {
    EventTime::EPOCH + Seconds(t)
}

fn frame(number: u64, t: f64, items: Vec<Detection>) -> Input {
    Input::Detections(Detections {
        frame: number,
        time: at(t),
        time_quality: TimeQuality::Media,
        aspect: 16.0 / 9.0,
        believed_from: 0.45,
        camera_motion: None,
        items,
    })
}

fn red(t: f64) -> Input {
    reading("g", SignalState::Red, t)
}

fn reading(group: &str, state: SignalState, t: f64) -> Input {
    Input::Signal(SignalReading {
        group: SignalGroupId::new(group).unwrap(),
        state,
        time: at(t),
        confidence: 1.0,
        source: SignalSource::Recording,
    })
}

const MARKS: [ObjectClass; 5] = [
    ObjectClass::NoHelmet,
    ObjectClass::Fire,
    ObjectClass::Plate,
    ObjectClass::NoSeatBelt,
    ObjectClass::Phone,
];

/// A mark where such marks are.
fn mark_on(of: &Detection, class: ObjectClass) -> Detection {
    let depth = if class == ObjectClass::Plate {
        0.7
    } else {
        0.05
    };
    Detection {
        class,
        score: of.score,
        bounds: NormBox {
            x: of.bounds.x + 0.35 * of.bounds.width,
            y: of.bounds.y + depth * of.bounds.height,
            width: 0.3 * of.bounds.width,
            height: 0.2 * of.bounds.height,
        },
    }
}

/// A picture that is no longer, or again, what it was.
fn health(t: f64, condition: Condition) -> Input {
    Input::Health(Health {
        time: at(t),
        since: at(t),
        condition,
        value: None,
        threshold: None,
    })
}

/// Road users that wander, vanish, flicker and change their class; the picture
/// goes bad and well again, and the hours of rules begin and end, because the
/// recording starts some seconds before a minute is full.
fn traffic() -> impl Strategy<Value = Vec<Input>> {
    let step = (
        -0.03..0.03_f64,
        -0.02..0.02_f64,
        0.0..1.0_f64,
        prop_oneof![
            8 => Just(None),
            1 => Just(Some(ObjectClass::Truck)),
            1 => Just(Some(ObjectClass::Motorcycle))
        ],
    );
    let start = (
        0.1..0.9_f64,
        0.3..0.9_f64,
        prop_oneof![
            Just(ObjectClass::Car),
            Just(ObjectClass::Person),
            Just(ObjectClass::Motorcycle)
        ],
        -0.03..0.03_f64,
    );
    let walker = (start, prop::collection::vec(step, 60));
    let disturbance = prop::collection::vec((0_usize..60, 0_u8..8, -3.0..30.0_f64), 0..5);
    let start_of_day = -4.0..4.0_f64;
    (
        prop::collection::vec(walker, 1..6),
        disturbance,
        start_of_day,
    )
        .prop_map(|(walkers, disturbances, begin)| {
            let mut inputs = Vec::new();
            let mut places: Vec<(f64, f64)> =
                walkers.iter().map(|((x, y, ..), _)| (*x, *y)).collect();
            let mut now = begin;
            for tick in 0..60 {
                now += 0.1;
                for (_, kind, by) in disturbances.iter().filter(|(when, ..)| *when == tick) {
                    match kind {
                        0 => now += by,
                        1 => inputs.push(Input::End(at(now))),
                        2 => inputs.push(Input::Tick(at(now + by))),
                        3 => inputs.push(health(now, Condition::Moved)),
                        4 => inputs.push(health(now, Condition::Dark)),
                        5 => inputs.push(health(now, Condition::Well)),
                        _ => {
                            inputs.push(Input::Gap(Gap {
                                from: at(now),
                                to: at(now + by),
                                reason: GapReason::StreamLost,
                            }));
                            now += by;
                        }
                    }
                }
                let mut items = Vec::new();
                for ((_, _, class, drift), steps) in &walkers {
                    let place = &mut places[items.len().min(walkers.len() - 1)];
                    let (dx, dy, chance, other) = steps[tick];
                    place.0 = (place.0 + dx / 3.0 + drift).clamp(0.0, 0.95);
                    place.1 = (place.1 + dy / 3.0).clamp(0.0, 0.85);
                    let score = if chance < 0.1 {
                        0.05
                    } else {
                        0.2 + 0.8 * chance
                    };
                    items.push(Detection {
                        class: other.unwrap_or(*class),
                        score,
                        bounds: NormBox {
                            x: place.0,
                            y: place.1,
                            width: 0.06,
                            height: 0.12,
                        },
                    });
                }
                for index in 0..items.len() {
                    let class = MARKS[(tick / 20 + index) % MARKS.len()];
                    let of = items[index];
                    items.push(mark_on(&of, class));
                }
                inputs.push(red(now));
                inputs.push(reading("cross", SignalState::Green, now));
                inputs.push(frame(tick as u64, now, items));
            }
            inputs
        })
}

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

/// Anything at all: extreme times, boxes and numbers.
fn anything() -> impl Strategy<Value = Input> {
    let time = prop_oneof![
        any::<i64>().prop_map(EventTime::from_micros),
        (-5_000_000_i64..20_000_000).prop_map(EventTime::from_micros),
    ];
    let number = prop_oneof![
        4 => -0.2..1.2_f64,
        1 => any::<f64>(),
        1 => Just(0.0),
        1 => Just(1e300),
    ];
    let class = prop_oneof![
        Just(ObjectClass::Car),
        Just(ObjectClass::Person),
        Just(ObjectClass::Motorcycle),
        Just(ObjectClass::Other),
        Just(ObjectClass::NoHelmet),
        Just(ObjectClass::Plate),
        Just(ObjectClass::Smoke),
        Just(ObjectClass::Animal),
    ];
    let condition = prop_oneof![
        Just(Condition::Well),
        Just(Condition::Lost),
        Just(Condition::Moved),
        Just(Condition::Unknown)
    ];
    let item = (class, number.clone(), prop::array::uniform4(number.clone())).prop_map(
        |(class, score, edges)| Detection {
            class,
            score,
            bounds: edges.into(),
        },
    );
    let state = prop_oneof![
        Just(SignalState::Red),
        Just(SignalState::Green),
        Just(SignalState::Unknown)
    ];
    let source = prop_oneof![Just(SignalSource::Lamp), Just(SignalSource::Recording)];
    prop_oneof![
        6 => (any::<u64>(), time.clone(), number.clone(), number.clone(), prop::collection::vec(item, 0..12)).prop_map(
            |(frame, time, aspect, believed_from, items)| Input::Detections(Detections {
                frame, time, time_quality: TimeQuality::Arrival, aspect, believed_from, camera_motion: None, items,
            })
        ),
        2 => (state, time.clone(), number, source).prop_map(|(state, time, confidence, source)| {
            Input::Signal(SignalReading {
                group: SignalGroupId::new("g").unwrap(), state, time, confidence, source,
            })
        }),
        1 => (time.clone(), time.clone()).prop_map(|(from, to)| {
            Input::Gap(Gap { from, to, reason: GapReason::Frozen })
        }),
        1 => (time.clone(), time.clone(), condition, prop::option::of(any::<f64>())).prop_map(
            |(time, since, condition, value)| Input::Health(Health {
                time, since, condition, value, threshold: value,
            })
        ),
        1 => time.clone().prop_map(Input::Tick),
        1 => time.prop_map(Input::End),
    ]
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

    #[test]
    fn a_track_has_at_most_one_onset_per_rule(inputs in traffic()) {
        let out = play(scene(EAGER), &inputs);
        let mut onsets = BTreeMap::new();
        for event in starts(&out) {
            // The first did it; others rode along, or were overtaken.
            if let Some(actor) = event.actors.first() {
                let count = onsets.entry((event.rule.clone(), actor.track)).or_insert(0);
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

/// Stretches of traffic with pauses in which everybody leaves.
fn traffic_with_pauses() -> impl Strategy<Value = Vec<Input>> {
    let pause = prop_oneof![
        Just(4.0_f64),
        5.0..30.0_f64,
        // Longer than anything is remembered.
        120.0..180.0_f64,
    ];
    prop::collection::vec((traffic(), pause), 1..3).prop_map(|stretches| {
        let mut inputs = Vec::new();
        let mut start = 0.0;
        for (stretch, pause) in stretches {
            let mut last: f64 = start;
            for input in stretch {
                let moved = later(input, start);
                if let Input::Detections(frame) = &moved {
                    last = last.max(frame.time.since(EventTime::EPOCH).0);
                }
                inputs.push(moved);
            }
            // An empty road, looked at twice a second; whatever was wrong with
            // the picture is mended, because a condition is remembered.
            inputs.push(health(last, Condition::Well));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // seconds
            let looks = (pause * 2.0) as u32;
            for look in 1..=looks {
                let now = last + f64::from(look) / 2.0;
                if look % 3 == 0 {
                    inputs.push(red(now));
                }
                inputs.push(frame(u64::from(1000 + look), now, Vec::new()));
            }
            start = last + pause + 1.0;
        }
        inputs.push(Input::End(at(start)));
        inputs
    })
}

/// The same input some seconds later.
fn later(mut input: Input, by: f64) -> Input {
    let by = Seconds(by);
    match &mut input {
        Input::Detections(frame) => frame.time = frame.time + by,
        Input::Signal(reading) => reading.time = reading.time + by,
        Input::Gap(gap) => (gap.from, gap.to) = (gap.from + by, gap.to + by),
        Input::Health(health) => {
            (health.time, health.since) = (health.time + by, health.since + by);
        }
        Input::Tick(time) | Input::End(time) => *time = *time + by,
    }
    input
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
