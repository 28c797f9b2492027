use proptest::prelude::*;
use protocol::units::Seconds;

use super::*;

const PICTURE: (f64, f64) = (1920.0, 1080.0);

fn looks() -> Looks {
    Looks {
        on: vec![ObjectClass::Car, ObjectClass::Motorcycle],
        crop: Crop::Whole,
        margin: 0.0,
        wanted: 3,
        most: 6,
        apart_s: 0.3,
        min_height_px: 100.0,
        min_sharpness: 0.05,
        facing: Facing::Any,
        needs_ground: true,
        most_per_s: 10.0,
    }
}

fn at(t: f64) -> EventTime {
    EventTime::EPOCH + Seconds(t)
}

fn id(rank: u16) -> TrackId {
    TrackId {
        born: EventTime::EPOCH,
        rank,
    }
}

fn car(rank: u16, [x, y, width, height]: [f64; 4]) -> Candidate {
    Candidate {
        id: id(rank),
        class: ObjectClass::Car,
        bounds: NormBox {
            x,
            y,
            width,
            height,
        },
        is_seen: true,
        missed: None,
        is_grounded: true,
        mount: None,
        comes: Some(true),
    }
}

/// At which tenths of a second there is a look at a car on its way.
fn tenths(looks: Looks, way: impl Fn(f64) -> Candidate, clear: impl Fn(f64) -> f64) -> Vec<u32> {
    let mut chooser = Chooser::new(looks);
    (0..60)
        .filter(|tenth| {
            let t = f64::from(*tenth) / 10.0;
            !chooser
                .choose(at(t), PICTURE, &[way(t)], |_| clear(t))
                .is_empty()
        })
        .collect()
}

/// Comes nearer: higher and lower down in the picture.
fn comes(t: f64) -> Candidate {
    let height = 0.08 + 0.05 * t;
    car(1, [0.4, 0.2 + 0.06 * t, height, height])
}

#[test]
fn a_car_that_comes_is_looked_at_when_large_enough_and_again_only_when_clearly_better() {
    assert_eq!(tenths(looks(), comes, |_| 0.5), [3, 6, 9, 17, 27, 40]);
    // The same seen with half of the sharpness each other second.
    let flicker = |t: f64| if t % 2.0 < 1.0 { 0.5 } else { 0.04 };
    assert_eq!(tenths(looks(), comes, flicker), [3, 6, 9, 20, 40]);
}

#[test]
fn who_stands_is_not_looked_at_every_time() {
    let stands = |_| car(1, [0.4, 0.4, 0.2, 0.2]);
    assert_eq!(tenths(looks(), stands, |_| 0.5), [0, 24, 48]);
}

#[test]
fn nobody_is_looked_at_in_vain() {
    let small = |t: f64| car(1, [0.1 * t, 0.4, 0.1, 0.09]);
    let cut = |t: f64| car(1, [0.1 * t, 0.79, 0.1, 0.21]);
    let none: [u32; 0] = [];
    assert_eq!(tenths(looks(), small, |_| 0.5), none);
    assert_eq!(tenths(looks(), cut, |_| 0.5), none);
    assert_eq!(tenths(looks(), comes, |_| 0.01), none);
    let away = Looks {
        facing: Facing::Away,
        ..looks()
    };
    assert_eq!(tenths(away, comes, |_| 0.5), none);
}

#[test]
fn who_is_covered_waits() {
    let mut chooser = Chooser::new(looks());
    let behind = car(1, [0.40, 0.40, 0.2, 0.2]);
    let before = car(2, [0.45, 0.50, 0.2, 0.2]);
    let chosen = chooser.choose(at(0.0), PICTURE, &[behind, before], |_| 0.5);
    let whose: Vec<_> = chosen.iter().map(|choice| choice.track).collect();
    assert_eq!(whose, [Some(id(2))]);
    assert_eq!(chooser.passed().covered, 1);
    // The detector misses it for a frame: it is there all the same.
    let missed = Candidate {
        is_seen: false,
        missed: Some(before.bounds),
        ..before
    };
    assert_eq!(
        chooser.choose(at(0.1), PICTURE, &[behind, missed], |_| 0.5),
        []
    );
    assert_eq!(chooser.passed().covered, 2);
    let gone = Candidate {
        missed: None,
        ..missed
    };
    let chosen = chooser.choose(at(0.2), PICTURE, &[behind, gone], |_| 0.5);
    assert_eq!(chosen[0].track, Some(id(1)));
}

#[test]
fn riders_of_one_machine_are_one_choice() {
    let mut chooser = Chooser::new(Looks {
        crop: Crop::Riders,
        ..looks()
    });
    let machine = Candidate {
        class: ObjectClass::Motorcycle,
        ..car(1, [0.4, 0.4, 0.1, 0.3])
    };
    let rider = |rank, x| Candidate {
        class: ObjectClass::Person,
        mount: Some(id(1)),
        ..car(rank, [x, 0.25, 0.06, 0.35])
    };
    let all = [machine, rider(2, 0.4), rider(3, 0.44)];
    let chosen = chooser.choose(at(0.0), PICTURE, &all, |_| 0.5);
    assert_eq!(chosen.len(), 1);
    let whose: Vec<_> = chosen[0].parts.iter().map(|(who, _)| *who).collect();
    assert_eq!(whose, [Some(id(2)), Some(id(3))]);
}

/// What a detector saw of a rider whose head is beyond the picture ends at the picture's edge: a
/// part without a head, and a model of helmets says that there is none.
#[test]
fn a_rider_whose_head_is_beyond_the_picture_is_not_looked_at() {
    let riders = Looks {
        crop: Crop::Riders,
        ..looks()
    };
    let machine = |y: f64| Candidate {
        class: ObjectClass::Motorcycle,
        ..car(1, [0.4, y, 0.1, 0.3])
    };
    let rider = |y: f64| Candidate {
        class: ObjectClass::Person,
        mount: Some(id(1)),
        ..car(2, [0.42, y, 0.06, 0.35])
    };
    for (all, is_chosen) in [
        (vec![machine(0.10), rider(0.0)], false),
        (vec![machine(0.20), rider(0.05)], true),
        // Nobody was seen on it: then the riders are above it, and there is no above.
        (vec![machine(0.05)], false),
        (vec![machine(0.40)], true),
    ] {
        let mut chooser = Chooser::new(riders.clone());
        let chosen = chooser.choose(at(0.0), PICTURE, &all, |_| 0.5);
        let told = (chosen.len() == 1, chooser.passed().cut == 1);
        assert_eq!(told, (is_chosen, !is_chosen), "{all:?}");
    }
}

/// A rule would not hear of it, and the looks would be used up before it is in full sight.
#[test]
fn whose_wheels_are_hidden_is_looked_at_for_its_plate_only() {
    let hidden = Candidate {
        is_grounded: false,
        ..car(1, [0.4, 0.4, 0.2, 0.2])
    };
    for needs_ground in [true, false] {
        let mut chooser = Chooser::new(Looks {
            needs_ground,
            ..looks()
        });
        let chosen = chooser.choose(at(0.0), PICTURE, &[hidden], |_| 0.5);
        let told = (chosen.len(), chooser.passed().wheels_hidden);
        assert_eq!(told, if needs_ground { (0, 1) } else { (1, 0) });
        let free = Candidate {
            is_grounded: true,
            ..car(1, [0.6, 0.4, 0.2, 0.2])
        };
        let chosen = chooser.choose(at(1.0), PICTURE, &[free], |_| 0.5);
        assert_eq!(chosen.len(), 1);
    }
}

#[test]
fn a_look_that_was_not_taken_may_be_taken_again() {
    let mut chooser = Chooser::new(looks());
    let stands = [car(1, [0.4, 0.4, 0.2, 0.2])];
    let look = |chooser: &mut Chooser, t| chooser.choose(at(t), PICTURE, &stands, |_| 0.5).len();
    assert_eq!(look(&mut chooser, 0.0), 1);
    assert_eq!(look(&mut chooser, 0.1), 0);
    chooser.not_taken(Some(id(1)), at(0.0));
    assert_eq!(look(&mut chooser, 0.2), 1);
}

/// It was chosen in every frame, before everybody else, and used up what may be looked at.
#[test]
fn who_cannot_be_looked_at_keeps_nobody_waiting() {
    let mut chooser = Chooser::new(Looks {
        most_per_s: 1.0,
        ..looks()
    });
    let (mut tries, mut looked) = (0, 0);
    for tenth in 0..60 {
        let t = f64::from(tenth) / 10.0;
        let unfit = car(1, [0.1, 0.1 + 0.1 * t, 0.1, 0.2]);
        let fit = car(2, [0.6, 0.1 + 0.1 * t, 0.1, 0.2]);
        for choice in chooser.choose(at(t), (1000.0, 1000.0), &[unfit, fit], |_| 1.0) {
            if choice.track == Some(id(1)) {
                tries += 1;
                chooser.was_unfit(choice.track, at(t));
            } else {
                looked += 1;
            }
        }
    }
    assert!(looked >= 3, "{looked} looks, {tries} in vain");
    assert!(tries <= 4, "{tries}");
}

#[test]
fn the_whole_picture_is_looked_at_evenly() {
    let whole = Looks {
        on: Vec::new(),
        apart_s: 1.0,
        ..looks()
    };
    let nobody = |_| Candidate {
        is_seen: false,
        ..car(1, [0.0; 4])
    };
    assert_eq!(tenths(whole, nobody, |_| 0.0), [0, 10, 20, 30, 40, 50]);
}

fn crowd() -> impl Strategy<Value = Vec<Vec<(f64, f64, f64, bool)>>> {
    let one = (0.0..0.9_f64, 0.0..0.9_f64, 0.02..0.4_f64, any::<bool>());
    prop::collection::vec(prop::collection::vec(one, 0..8), 1..60)
}

proptest! {
    #[test]
    fn no_budget_is_ever_exceeded_and_looks_are_apart(frames in crowd(), per_s in 1.0..20.0_f64) {
        let looks = Looks { most_per_s: per_s, ..looks() };
        let mut chooser = Chooser::new(looks.clone());
        let mut taken: BTreeMap<TrackId, Vec<f64>> = BTreeMap::new();
        let mut all = 0.0;
        for (tick, frame) in frames.iter().enumerate() {
            let t = tick as f64 / 10.0;
            let candidates: Vec<Candidate> = (0_u16..)
                .zip(frame)
                .map(|(rank, (x, y, size, is_seen))| Candidate {
                    is_seen: *is_seen,
                    ..car(rank, [*x, *y, *size, *size])
                })
                .collect();
            for choice in chooser.choose(at(t), PICTURE, &candidates, |part| part.x) {
                let track = choice.track.unwrap();
                all += choice.parts.len() as f64;
                let looked: &Candidate = candidates.iter().find(|c| c.id == track).unwrap();
                prop_assert!(looked.is_seen);
                for (_, part) in &choice.parts {
                    prop_assert!(part.height * PICTURE.1 >= looks.min_height_px);
                    prop_assert!(part.x >= 0.0 && part.right() <= 1.0 + 1e-9);
                }
                taken.entry(track).or_default().push(t);
            }
        }
        let seconds = frames.len() as f64 / 10.0;
        prop_assert!(all <= per_s.max(1.0) + per_s * seconds + 1e-6);
        for times in taken.values() {
            prop_assert!(times.len() <= looks.most);
            let apart = times.windows(2).all(|pair| pair[1] - pair[0] >= looks.apart_s - 0.03);
            prop_assert!(apart);
        }
        prop_assert!(chooser.remembered() <= 8);
    }

    #[test]
    fn the_order_of_candidates_changes_nothing(frames in crowd(), turn in 0_usize..8) {
        let (mut one, mut other) = (Chooser::new(looks()), Chooser::new(looks()));
        for (tick, frame) in frames.iter().enumerate() {
            let mut candidates: Vec<Candidate> = (0_u16..)
                .zip(frame)
                .map(|(rank, (x, y, size, _))| car(rank, [*x, *y, *size, *size]))
                .collect();
            let t = at(tick as f64 / 10.0);
            let first = one.choose(t, PICTURE, &candidates, |part| part.y);
            if !candidates.is_empty() {
                let turn = turn % candidates.len();
                candidates.rotate_left(turn);
            }
            prop_assert_eq!(first, other.choose(t, PICTURE, &candidates, |part| part.y));
        }
    }
}
