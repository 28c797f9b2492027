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
        is_followed: false,
    }
}

/// Of a picture that nobody looked at.
fn followed(t: f64) -> Moment {
    Moment {
        is_followed: true,
        ..moment(t)
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

/// The same at ten frames a second, with the trail that a scene notes.
fn run_noted(tracker: &mut Tracker, (from, to): (f64, f64), at: impl Fn(f64) -> Vec<Detection>) {
    let sight = crate::observation::Sight {
        aspect: ASPECT,
        ground: None,
    };
    for t in (0_u32..).map(|tick| from + f64::from(tick) / 10.0) {
        if t > to - 1e-9 {
            break;
        }
        let moment = moment(t);
        let mut items = at(t);
        items.sort_by(|a, b| b.score.total_cmp(&a.score));
        tracker.step(&moment, BELIEVED_FROM, &items);
        for track in tracker.tracks_mut() {
            if track.seen == moment.at {
                let spot = sight.spot(track.foot(), track.bounds.height, moment.at);
                track.note(spot);
            }
        }
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

/// A mistake of the detector is followed as well as anybody: the pixels are there.
#[test]
fn one_look_is_not_believed_however_long_it_is_followed() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    tracker.step(&moment(0.0), BELIEVED_FROM, &[car(0.3)]);
    for t in [0.1, 0.2, 0.3] {
        tracker.step(&followed(t), BELIEVED_FROM, &[car(0.3)]);
        assert_eq!(confirmed(&tracker), [], "{t} s");
    }
    let mut mistaken = tracker.clone();
    for t in [0.4, 0.5] {
        mistaken.step(&moment(t), BELIEVED_FROM, &[]);
    }
    assert!(mistaken.tracks().is_empty(), "nobody is there in two looks");
    tracker.step(&moment(0.4), BELIEVED_FROM, &[car(0.3)]);
    assert_eq!(confirmed(&tracker).len(), 1, "seen in two looks");
}

#[test]
fn two_looks_are_asked_for_however_many_pictures_are() {
    for confirm_hits in [2, 3, 5, 8] {
        for pattern in 0_u32..1 << 7 {
            let mut tracker = Tracker::new(TrackerConfig {
                confirm_hits,
                ..TrackerConfig::default()
            });
            tracker.step(&moment(0.0), BELIEVED_FROM, &[car(0.3)]);
            let mut looks = 1;
            for picture in 0..7 {
                let t = 0.1 + 0.1 * f64::from(picture);
                let is_look = pattern >> picture & 1 == 1;
                let at = if is_look { moment(t) } else { followed(t) };
                looks += u32::from(is_look);
                tracker.step(&at, BELIEVED_FROM, &[car(0.3)]);
                let is_believed = !confirmed(&tracker).is_empty();
                assert!(looks >= 2 || !is_believed, "{pattern:b} {confirm_hits}");
            }
        }
    }
}

#[test]
fn who_is_followed_has_no_new_word_and_nobody_is_born_of_it() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    let van = |class, score| seen(class, score, (0.3, 0.5));
    // Three looks say car; the one that said truck is followed through nine pictures.
    for t in [0.0, 0.1, 0.2] {
        tracker.step(&moment(t), BELIEVED_FROM, &[van(ObjectClass::Car, 0.8)]);
    }
    tracker.step(&moment(0.3), BELIEVED_FROM, &[van(ObjectClass::Truck, 0.8)]);
    for frame in 1..10 {
        let t = 0.3 + 0.01 * f64::from(frame);
        let items = [
            van(ObjectClass::Truck, 0.8),
            seen(ObjectClass::Car, 0.9, (0.8, 0.5)),
        ];
        tracker.step(&followed(t), BELIEVED_FROM, &items);
    }
    let [track] = tracker.tracks() else {
        panic!("{:?}", tracker.tracks())
    };
    assert_eq!(track.class(), ObjectClass::Car);
}

#[test]
fn riders_are_counted_by_looks_and_not_by_pictures_into_which_they_are_followed() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    let of = |class, [x, y, width, height]: [f64; 4]| Detection {
        class,
        score: 0.9,
        bounds: NormBox {
            x,
            y,
            width,
            height,
        },
    };
    for picture in 0..12 {
        let x = 0.2 + 0.005 * f64::from(picture);
        let items = [
            of(ObjectClass::Motorcycle, [x, 0.5, 0.08, 0.12]),
            of(ObjectClass::Person, [x + 0.01, 0.45, 0.03, 0.14]),
        ];
        let t = 0.1 * f64::from(picture);
        let moment = if picture % 4 == 0 {
            moment(t)
        } else {
            followed(t)
        };
        tracker.step(&moment, BELIEVED_FROM, &items);
    }
    let mut tracks = tracker.tracks().iter();
    let machine = tracks.find(|track| track.group() == Group::TwoWheeler);
    let machine = machine.unwrap();
    assert_eq!((machine.hits, machine.riders().looks), (12, 3));
    assert_eq!((machine.riders().count, machine.riders_now), (1, 1));
}

#[test]
fn a_newcomer_whom_following_loses_waits_for_the_next_look() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    tracker.step(&moment(0.0), BELIEVED_FROM, &[car(0.3)]);
    for t in [0.1, 0.2, 0.3] {
        tracker.step(&followed(t), BELIEVED_FROM, &[]);
    }
    for t in [0.4, 0.5] {
        tracker.step(&moment(t), BELIEVED_FROM, &[car(0.3)]);
    }
    let [track] = tracker.tracks() else {
        panic!("{:?}", tracker.tracks())
    };
    assert_eq!((track.id.born, track.hits), (EventTime::EPOCH, 3));
    assert!(track.is_confirmed);
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

/// Five road users over twelve seconds: both ways, hidden for a moment, on foot, parked.
fn street(t: f64) -> Vec<Detection> {
    let mut users = vec![
        seen(ObjectClass::Car, 0.9, (0.02 + 0.07 * t, 0.30)),
        seen(ObjectClass::Car, 0.85, (0.90 - 0.06 * t, 0.42)),
        seen(ObjectClass::Person, 0.8, (0.2 + 0.01 * t, 0.80)),
        seen(ObjectClass::Car, 0.95, (0.6, 0.65)),
    ];
    // Behind a pole.
    if !(5.0..5.7).contains(&t) {
        users.push(seen(ObjectClass::Motorcycle, 0.75, (0.02 + 0.05 * t, 0.54)));
    }
    users
}

#[test]
fn a_decimated_sequence_with_dropped_pictures_tells_of_the_same_road_users() {
    for every in [1_u32, 2, 3, 6, 10, 15] {
        for dropped in [0, 7, 5] {
            let mut tracker = Tracker::new(TrackerConfig::default());
            let mut names = std::collections::BTreeSet::new();
            for frame in (0..360).step_by(every as usize) {
                // The picture's own place in the sequence decides, not chance.
                if dropped > 0 && (frame / every) % dropped == dropped - 1 {
                    continue;
                }
                let t = f64::from(frame) / 30.0;
                tracker.step(&moment(t), BELIEVED_FROM, &street(t));
                names.extend(confirmed(&tracker));
            }
            assert_eq!(names.len(), 5, "every {every}th, without each {dropped}th");
        }
    }
}

#[test]
fn a_parked_car_is_the_same_car_after_minutes_behind_a_bus() {
    for (hidden_s, is_same) in [(30.0, true), (240.0, true), (400.0, false)] {
        let mut tracker = Tracker::new(TrackerConfig::default());
        let parked = |_| vec![car(0.3)];
        run_noted(&mut tracker, (0.0, 10.0), parked);
        let name = confirmed(&tracker);
        run_noted(&mut tracker, (10.0, 10.0 + hidden_s), |_| vec![]);
        let back = 10.0 + hidden_s;
        run_noted(&mut tracker, (back, back + 2.0), parked);
        assert_eq!(confirmed(&tracker) == name, is_same, "{hidden_s}");
    }
}

#[test]
fn another_vehicle_in_a_hidden_parked_cars_place_gets_a_name_of_its_own() {
    let sized = |class, x, width, height| Detection {
        class,
        score: 0.9,
        bounds: NormBox {
            x,
            y: 0.58 - height,
            width,
            height,
        },
    };
    for other in [
        // Higher and longer, of another class, or beside the place.
        sized(ObjectClass::Car, 0.29, 0.08, 0.12),
        sized(ObjectClass::Truck, 0.3, 0.06, 0.08),
        sized(ObjectClass::Car, 0.32, 0.06, 0.08),
    ] {
        let mut tracker = Tracker::new(TrackerConfig::default());
        run_noted(&mut tracker, (0.0, 10.0), |_| vec![car(0.3)]);
        let name = confirmed(&tracker)[0];
        run_noted(&mut tracker, (10.0, 40.0), |_| vec![]);
        run_noted(&mut tracker, (40.0, 50.0), |_| vec![other]);
        // Whoever stands there now has taken the place for good.
        let now = confirmed(&tracker);
        assert_eq!(now.len(), 1, "{other:?}");
        assert_ne!(now[0], name, "{other:?}");
    }
}

#[test]
fn a_parked_car_keeps_its_name_through_a_restart_and_a_moving_one_does_not() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    let both = |t: f64| vec![car(0.1), car(0.3 + 0.03 * t)];
    run_noted(&mut tracker, (0.0, 10.0), both);
    let [parked, moving] = confirmed(&tracker)[..] else {
        panic!("two cars: {:?}", tracker.tracks());
    };
    let text = serde_json::to_string(&tracker.save()).unwrap();
    let state: TrackerState = serde_json::from_str(&text).unwrap();
    let mut after = Tracker::new(TrackerConfig::default());
    assert_eq!(after.resume(&state), 1);
    assert!(after.tracks()[0].is_stationary());
    run_noted(&mut after, (40.0, 45.0), |t| both(t - 31.0));
    let now = confirmed(&after);
    assert_eq!(now.len(), 2);
    assert_eq!(now[0], parked);
    assert_ne!(now[1], moving);
    // After an hour nobody knows who stands there.
    let mut late = Tracker::new(TrackerConfig::default());
    late.resume(&state);
    run_noted(&mut late, (3600.0, 3605.0), |_| vec![car(0.1)]);
    assert_ne!(confirmed(&late), [parked]);
    // A clock that was set back starts anew, and gives no name twice.
    let mut early = Tracker::new(TrackerConfig::default());
    early.resume(&state);
    run_noted(&mut early, (0.0, 5.0), |_| vec![car(0.1)]);
    assert_eq!(confirmed(&early).len(), 1);
    assert_ne!(confirmed(&early), [parked]);
}

#[test]
fn a_damaged_state_is_left_out_track_by_track() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    run_noted(&mut tracker, (0.0, 10.0), |_| vec![car(0.1), car(0.5)]);
    let state = tracker.save();
    assert_eq!(state.parked.len(), 2);
    let damages: [fn(&mut SavedTrack); 5] = [
        |track| track.bounds.width = f64::NAN,
        |track| track.bounds.x = 1e300,
        |track| track.score = 7.0,
        |track| track.votes.clear(),
        |track| track.still_s = f64::INFINITY,
    ];
    for damage in damages {
        let mut state = state.clone();
        damage(&mut state.parked[0]);
        assert_eq!(Tracker::default().resume(&state), 1);
    }
    let mut flat = state;
    flat.aspect = 0.0;
    assert_eq!(Tracker::default().resume(&flat), 0);
}

#[test]
fn a_camera_that_shakes_and_says_so_loses_nobody() {
    // The picture jumps by more than a person's width.
    let shake = |frame: u32| if frame.is_multiple_of(2) { 0.0 } else { 0.12 };
    let person = |frame: u32, x: f64| Detection {
        class: ObjectClass::Person,
        score: 0.9,
        bounds: NormBox {
            x: x + shake(frame) / ASPECT,
            y: 0.4,
            width: 0.02,
            height: 0.1,
        },
    };
    let followed = |says_so: bool| {
        let mut tracker = Tracker::new(TrackerConfig::default());
        for frame in 0..40 {
            if says_so && frame > 0 {
                tracker.follow_camera(&CameraMotion {
                    shift_x: shake(frame) - shake(frame - 1),
                    ..CameraMotion::NONE
                });
            }
            let seen = [person(frame, 0.3), person(frame, 0.3 + 0.12 / ASPECT)];
            tracker.step(&moment(f64::from(frame) / 10.0), BELIEVED_FROM, &seen);
        }
        tracker.tracks().len()
    };
    assert_eq!(followed(true), 2);
    assert!(followed(false) > 2, "the test exercises nothing");
}

#[test]
fn a_turned_and_zoomed_picture_is_followed() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    run(&mut tracker, 10.0, (0.0, 2.0), |_| vec![car(0.4)]);
    let motion = CameraMotion {
        a: 1.2,
        b: 0.3,
        shift_x: 0.1,
        shift_y: -0.2,
    };
    tracker.follow_camera(&motion);
    let track = &tracker.tracks()[0];
    let centre = track.filter.bounds().centre;
    let (x, y) = (0.43 * ASPECT, 0.54);
    let expected = (1.2 * x - 0.3 * y + 0.1, 0.3 * x + 1.2 * y - 0.2);
    assert!((centre.x - expected.0).abs() < 1e-3, "{centre:?}");
    assert!((centre.y - expected.1).abs() < 1e-3, "{centre:?}");
    let height = track.filter.bounds().height;
    assert!((height / 0.08 - motion.scale()).abs() < 1e-3, "{height}");
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
