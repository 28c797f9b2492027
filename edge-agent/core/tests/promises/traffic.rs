//! Made-up traffic, and anything else that a scene may be given.

use edge_core::{Condition, Gap, GapReason, Health, Input};
use proptest::prelude::*;
use protocol::id::SignalGroupId;
use protocol::signal::SignalSource;
use protocol::units::Seconds;
use protocol::{
    Detection, Detections, EventTime, NormBox, ObjectClass, SignalReading, SignalState, TimeQuality,
};

/// Every kind with thresholds so low that a few seconds are enough.
pub(crate) const EAGER: &str = r#"
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

/// In which span of the hours of rule `shift` a time is: the first ends at the epoch,
/// which is 07:00 in Hanoi.
pub(crate) fn span_of_shift(time: EventTime) -> u8 {
    u8::from(time >= EventTime::EPOCH)
}

pub(crate) fn at(t: f64) -> EventTime {
    EventTime::EPOCH + Seconds(t)
}

pub(crate) fn frame(number: u64, t: f64, items: Vec<Detection>) -> Input {
    Input::Detections(Detections {
        frame: number,
        time: at(t),
        time_quality: TimeQuality::Media,
        aspect: 16.0 / 9.0,
        believed_from: 0.45,
        camera_motion: None,
        is_followed: false,
        items,
    })
}

pub(crate) fn red(t: f64) -> Input {
    reading("g", SignalState::Red, t)
}

pub(crate) fn reading(group: &str, state: SignalState, t: f64) -> Input {
    Input::Signal(SignalReading {
        group: SignalGroupId::new(group).unwrap(),
        state,
        time: at(t),
        confidence: 1.0,
        source: SignalSource::Recording,
    })
}

pub(crate) const MARKS: [ObjectClass; 5] = [
    ObjectClass::NoHelmet,
    ObjectClass::Fire,
    ObjectClass::Plate,
    ObjectClass::NoSeatBelt,
    ObjectClass::Phone,
];

/// A mark where such marks are.
pub(crate) fn mark_on(of: &Detection, class: ObjectClass) -> Detection {
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
pub(crate) fn health(t: f64, condition: Condition) -> Input {
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
pub(crate) fn traffic() -> impl Strategy<Value = Vec<Input>> {
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

/// Anything at all: extreme times, boxes and numbers.
pub(crate) fn anything() -> impl Strategy<Value = Input> {
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
                frame, time, time_quality: TimeQuality::Arrival, aspect, believed_from, camera_motion: None, is_followed: frame % 3 == 1, items,
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

/// Stretches of traffic with pauses in which everybody leaves.
pub(crate) fn traffic_with_pauses() -> impl Strategy<Value = Vec<Input>> {
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
pub(crate) fn later(mut input: Input, by: f64) -> Input {
    let by = Seconds(by);
    match &mut input {
        Input::SecondLook(look) => look.at.time = look.at.time + by,
        Input::Detections(frame) => frame.time = frame.time + by,
        Input::Signal(reading) => reading.time = reading.time + by,
        Input::Gap(gap) => (gap.from, gap.to) = (gap.from + by, gap.to + by),
        Input::Unanswered(stretch) => {
            (stretch.from, stretch.to) = (stretch.from + by, stretch.to + by);
        }
        Input::Unseen(stretch) => {
            (stretch.from, stretch.to) = (stretch.from + by, stretch.to + by);
        }
        Input::Health(health) => {
            (health.time, health.since) = (health.time + by, health.since + by);
        }
        Input::Tick(time) | Input::End(time) => *time = *time + by,
    }
    input
}
