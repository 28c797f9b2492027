use super::*;
use proptest::prelude::*;
use protocol::units::Seconds;
use protocol::{EventTime, NormBox, ObjectClass};

const ASPECT: f64 = 16.0 / 9.0;
const BELIEVED_FROM: f64 = 0.45;

fn moment(t: f64) -> Moment {
    Moment {
        at: FrameTime {
            frame: 0,
            time: EventTime::EPOCH + Seconds(t),
        },
        watched: t,
        aspect: ASPECT,
    }
}

fn seen(class: ObjectClass, score: f64, (x, y): (f64, f64)) -> Detection {
    Detection {
        class,
        score,
        bounds: NormBox {
            x,
            y,
            width: 0.06,
            height: 0.08,
        },
    }
}

fn car(x: f64) -> Detection {
    seen(ObjectClass::Car, 0.9, (x, 0.5))
}

/// Runs frames at a rate; every frame is what `at(t)` gives.
fn run(
    tracker: &mut Tracker,
    fps: f64,
    (from, to): (f64, f64),
    at: impl Fn(f64) -> Vec<Detection>,
) {
    for t in (0_u32..).map(|frame| from + f64::from(frame) / fps) {
        if t > to - 1e-9 {
            break;
        }
        tracker.step(&moment(t), BELIEVED_FROM, &at(t));
    }
}

fn confirmed(tracker: &Tracker) -> Vec<TrackId> {
    tracker
        .tracks()
        .iter()
        .filter(|track| track.is_confirmed)
        .map(|track| track.id)
        .collect()
}

#[test]
fn one_car_is_one_track_at_any_frame_rate() {
    for fps in [2.0, 3.0, 5.0, 10.0, 30.0] {
        let mut tracker = Tracker::new(TrackerConfig::default());
        // Two and a half box heights a second: no overlap at 2 and 3 fps.
        run(&mut tracker, fps, (0.0, 5.0), |t| vec![car(0.1 + 0.11 * t)]);
        assert_eq!(tracker.tracks().len(), 1, "{fps} fps");
        assert_eq!(tracker.tracks()[0].id.born, EventTime::EPOCH, "{fps} fps");
    }
}

#[test]
fn a_flicker_of_one_frame_is_never_believed() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    tracker.step(&moment(0.0), BELIEVED_FROM, &[car(0.3)]);
    tracker.step(&moment(0.1), BELIEVED_FROM, &[]);
    tracker.step(&moment(0.2), BELIEVED_FROM, &[]);
    assert!(tracker.tracks().is_empty());
}

#[test]
fn a_doubtful_detection_keeps_a_track_and_never_starts_one() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    let doubtful = |x| seen(ObjectClass::Car, 0.2, (x, 0.5));
    run(&mut tracker, 10.0, (0.0, 1.0), |_| vec![doubtful(0.8)]);
    assert!(tracker.tracks().is_empty());
    run(&mut tracker, 10.0, (1.0, 2.0), |_| vec![car(0.3)]);
    run(&mut tracker, 10.0, (2.0, 6.0), |_| vec![doubtful(0.3)]);
    assert_eq!(tracker.tracks().len(), 1);
    assert_eq!(tracker.tracks()[0].hits, 50);
}

#[test]
fn how_much_a_score_is_worth_is_the_detectors_to_say() {
    let faint = |x| seen(ObjectClass::Car, 0.35, (x, 0.5));
    for (believed_from, tracks) in [(0.3, 1), (0.35, 1), (0.4, 0)] {
        let mut tracker = Tracker::new(TrackerConfig::default());
        for frame in 0..10 {
            let t = f64::from(frame) / 10.0;
            tracker.step(&moment(t), believed_from, &[faint(0.3 + 0.02 * t)]);
        }
        assert_eq!(confirmed(&tracker).len(), tracks, "{believed_from}");
    }
}

#[test]
fn two_cars_that_pass_each_other_keep_their_names() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    let at = |t: f64| {
        vec![
            seen(ObjectClass::Car, 0.9, (0.1 + 0.1 * t, 0.50)),
            seen(ObjectClass::Car, 0.8, (0.9 - 0.1 * t, 0.53)),
        ]
    };
    run(&mut tracker, 10.0, (0.0, 0.5), at);
    let before = confirmed(&tracker);
    run(&mut tracker, 10.0, (0.5, 8.0), at);
    assert_eq!(confirmed(&tracker), before);
    let first = &tracker.tracks()[0];
    assert!(
        first.bounds.x > 0.8,
        "the first went to the right: {first:?}"
    );
}

#[test]
fn a_moving_car_is_found_again_behind_a_pole_and_forgotten_after_two_seconds() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    let at = |t: f64| vec![car(0.1 + 0.05 * t)];
    run(&mut tracker, 10.0, (0.0, 2.0), at);
    let name = confirmed(&tracker);
    run(&mut tracker, 10.0, (2.0, 2.8), |_| vec![]);
    run(&mut tracker, 10.0, (2.8, 4.0), at);
    assert_eq!(confirmed(&tracker), name);
    run(&mut tracker, 10.0, (4.0, 6.3), |_| vec![]);
    assert_eq!(confirmed(&tracker), []);
}

#[test]
fn a_rider_at_the_stop_line_does_not_leave_with_who_walks_past_and_nobody_takes_its_place() {
    // A rider waits among others; somebody walks behind the queue, hidden for a
    // second and a half, and appears beside the rider in a frame that misses it.
    let rider = || Detection {
        class: ObjectClass::Person,
        score: 0.7,
        bounds: [0.578, 0.425, 0.024, 0.08].into(),
    };
    let walker = |t: f64| Detection {
        class: ObjectClass::Person,
        score: 0.6,
        bounds: [0.6065 - 0.03 * (t - 70.8), 0.38, 0.015, 0.077].into(),
    };
    let mut tracker = Tracker::new(TrackerConfig::default());
    run(&mut tracker, 10.0, (60.0, 65.0), |_| vec![rider()]);
    run(&mut tracker, 10.0, (65.0, 70.85), |t| {
        vec![rider(), walker(t)]
    });
    let [of_rider, of_walker] = confirmed(&tracker)[..] else {
        panic!("two persons: {:?}", tracker.tracks());
    };
    run(&mut tracker, 10.0, (70.9, 72.05), |_| vec![rider()]);
    run(&mut tracker, 10.0, (72.1, 72.25), |_| vec![]);
    run(&mut tracker, 10.0, (72.3, 72.35), |t| vec![walker(t)]);
    run(&mut tracker, 10.0, (72.4, 74.0), |t| {
        vec![rider(), walker(t)]
    });
    let of_box = |seen: &Detection| {
        let near = |track: &&Track| track.bounds.iou(&seen.bounds) > 0.5;
        tracker.tracks().iter().find(near).map(|track| track.id)
    };
    assert_eq!(of_box(&rider()), Some(of_rider));
    assert_eq!(of_box(&walker(73.9)), Some(of_walker));
}

#[test]
fn a_van_that_flips_between_car_and_truck_is_one_vehicle() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    run(&mut tracker, 10.0, (0.0, 3.0), |t| {
        let class = if ((t * 10.0).round() / 3.0).fract() == 0.0 {
            ObjectClass::Truck
        } else {
            ObjectClass::Car
        };
        vec![seen(class, 0.8, (0.2 + 0.02 * t, 0.5))]
    });
    assert_eq!(tracker.tracks().len(), 1);
    assert_eq!(tracker.tracks()[0].class(), ObjectClass::Car);
}

#[test]
fn one_van_seen_as_car_and_as_truck_at_once_is_one_vehicle() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    run(&mut tracker, 10.0, (0.0, 1.0), |_| {
        vec![car(0.3), seen(ObjectClass::Truck, 0.7, (0.301, 0.501))]
    });
    assert_eq!(tracker.tracks().len(), 1);
}

#[test]
fn a_person_never_goes_on_as_a_car() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    run(&mut tracker, 10.0, (0.0, 1.0), |_| {
        vec![seen(ObjectClass::Person, 0.9, (0.3, 0.5))]
    });
    run(&mut tracker, 10.0, (1.0, 2.0), |_| vec![car(0.3)]);
    assert_eq!(confirmed(&tracker).len(), 2);
}

#[test]
fn the_picture_may_change_its_shape_without_changing_who_is_who() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    run(&mut tracker, 10.0, (0.0, 1.0), |t| {
        vec![car(0.2 + 0.02 * t)]
    });
    let name = confirmed(&tracker);
    for frame in 10..20 {
        let t = f64::from(frame) / 10.0;
        let mut moment = moment(t);
        moment.aspect = 4.0 / 3.0;
        tracker.step(&moment, BELIEVED_FROM, &[car(0.2 + 0.02 * t)]);
    }
    assert_eq!(confirmed(&tracker), name);
}

#[test]
fn no_name_is_given_twice_when_the_clock_is_set_back() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    run(&mut tracker, 10.0, (0.0, 1.0), |_| vec![car(0.3), car(0.6)]);
    let before = confirmed(&tracker);
    tracker.restart();
    run(&mut tracker, 10.0, (0.0, 1.0), |_| vec![car(0.3), car(0.6)]);
    let after = confirmed(&tracker);
    assert_eq!(after.len(), 2);
    assert!(before.iter().all(|id| !after.contains(id)));
}

#[test]
fn a_motorcycle_and_its_riders_are_one_road_user() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    let person = |x, y| Detection {
        class: ObjectClass::Person,
        score: 0.8,
        bounds: NormBox {
            x,
            y,
            width: 0.03,
            height: 0.14,
        },
    };
    run(&mut tracker, 10.0, (0.0, 2.0), |t| {
        let x = 0.2 + 0.05 * t;
        let mut seen = vec![
            Detection {
                class: ObjectClass::Motorcycle,
                score: 0.9,
                bounds: NormBox {
                    x,
                    y: 0.5,
                    width: 0.08,
                    height: 0.12,
                },
            },
            person(x + 0.01, 0.45),
            // Who walks along the kerb.
            person(0.7, 0.5),
        ];
        // The pillion is hidden in every third picture.
        if (t * 10.0).round() % 3.0 != 0.0 {
            seen.push(person(x + 0.045, 0.44));
        }
        seen
    });
    let of = |group| tracker.tracks().iter().filter(move |t| t.group() == group);
    let motorcycle = of(Group::TwoWheeler).next().unwrap();
    assert_eq!(motorcycle.riders().count, 2);
    assert_eq!(motorcycle.riders().looks, 20);
    assert_eq!(motorcycle.mount(), None);
    let mounts: Vec<_> = of(Group::Person).map(Track::mount).collect();
    assert_eq!(mounts.len(), 3);
    assert_eq!(mounts.iter().flatten().count(), 2);
    assert!(mounts.iter().flatten().all(|id| *id == motorcycle.id));
}

proptest! {
    /// However many there are and however they flicker, memory has a bound.
    #[test]
    fn tracks_are_bounded(seeds in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64), 700)) {
        let mut tracker = Tracker::new(TrackerConfig::default());
        for frame in 0..4_u32 {
            let detections: Vec<Detection> = seeds
                .iter()
                .map(|&(x, y, score)| Detection {
                    class: ObjectClass::Car,
                    score,
                    bounds: NormBox { x, y, width: 0.01, height: 0.01 },
                })
                .collect();
            tracker.step(&moment(f64::from(frame) / 10.0), BELIEVED_FROM, &detections);
            prop_assert!(tracker.tracks().len() <= MOST_TRACKS);
            prop_assert!(tracker.tracks().windows(2).all(|pair| pair[0].id < pair[1].id));
        }
    }
}
