//! What the gate does with painted scenes.

mod scenes;

use edge_core::Attention;
use proptest::prelude::*;
use scenes::{HEIGHT, View, WIDTH, at, chance, day, night, small};

use crate::{Found, Gate, Reason, Settings, SmallPicture, Verdict};

const FPS: f64 = 10.0;

/// Verdicts of a camera that shows `view` for so many seconds, with their times.
/// Whatever is to be looked at is looked at.
fn watch(seconds: f64, view: impl Fn(f64) -> View) -> Vec<(f64, Verdict)> {
    watch_for(seconds, |_| Attention::Nobody, view)
}

fn watch_for(
    seconds: f64,
    attention: impl Fn(f64) -> Attention,
    view: impl Fn(f64) -> View,
) -> Vec<(f64, Verdict)> {
    let mut gate = Gate::new(Settings::default());
    (0..(seconds * FPS) as u64)
        .map(|number| {
            let t = number as f64 / FPS;
            let verdict = gate.judge(&small(&view(t), number), at(t), attention(t));
            match verdict {
                Verdict::Look(_) => gate.looked(at(t), Found::Nobody),
                Verdict::Empty => gate.told(at(t)),
                Verdict::Rest => {}
            }
            (t, verdict)
        })
        .collect()
}

/// The part of the pictures from `from` to `to` seconds that were looked at.
fn share(verdicts: &[(f64, Verdict)], from: f64, to: f64) -> f64 {
    let within = verdicts.iter().filter(|(t, _)| (from..to).contains(t));
    let looks = within.clone().filter(|(_, verdict)| verdict.is_look());
    looks.count() as f64 / within.count().max(1) as f64
}

fn has(verdicts: &[(f64, Verdict)], from: f64, to: f64, reason: Reason) -> bool {
    verdicts
        .iter()
        .any(|(t, verdict)| (from..to).contains(t) && *verdict == Verdict::Look(reason))
}

/// Looks per picture while nothing moves: one each 1.5 s of ten a second.
const RESTS: f64 = 0.12;
/// From then on a scene that was quiet from the start is asleep, s.
const SETTLED: f64 = 6.0;

#[test]
fn a_quiet_road_is_slept_through_by_day_and_by_night() {
    for (name, view) in [("day", day()), ("night", night())] {
        let verdicts = watch(20.0, |_| view.clone());
        assert_eq!(share(&verdicts, 0.0, 3.0), 1.0, "{name} is being learnt");
        let rest = share(&verdicts, SETTLED, 20.0);
        assert!(rest <= RESTS, "{name}: {rest}");
    }
}

/// The longest time between two pictures of which `is_meant`, s.
fn longest(verdicts: &[(f64, Verdict)], is_meant: impl Fn(Verdict) -> bool) -> f64 {
    let meant = verdicts.iter().filter(|(_, verdict)| is_meant(*verdict));
    let times: Vec<f64> = meant.map(|(t, _)| *t).collect();
    let apart = times.windows(2).map(|pair| pair[1] - pair[0]);
    apart.fold(0.0, f64::max)
}

#[test]
fn while_it_sleeps_the_heartbeat_never_stops() {
    let verdicts = watch_for(30.0, |_| Attention::Settled, |_| day());
    let apart = longest(&verdicts, Verdict::is_look);
    assert!((1.0..=1.5 + 1e-9).contains(&apart), "{apart}");
}

#[test]
fn of_an_empty_road_it_says_so_as_often_and_looks_come_more_rarely() {
    for (name, view) in [("day", day()), ("night", night())] {
        let verdicts = watch(40.0, |_| view.clone());
        let told = longest(&verdicts, |verdict| verdict != Verdict::Rest);
        assert!((1.0..=1.5 + 1e-9).contains(&told), "{name}: {told}");
        let looked = longest(&verdicts, Verdict::is_look);
        assert!((4.0..=5.0 + 1e-9).contains(&looked), "{name}: {looked}");
    }
}

/// When it vouches for a road of which each look finds `found`, s; `after` is done to it after each picture.
fn vouched(
    settings: Settings,
    attention: Attention,
    found: impl Fn(f64) -> Found,
    view: impl Fn(f64) -> View,
    after: impl Fn(f64, &mut Gate),
) -> Vec<f64> {
    let mut gate = Gate::new(settings);
    let mut vouched = Vec::new();
    for number in 0..300 {
        let t = number as f64 / FPS;
        match gate.judge(&small(&view(t), number), at(t), attention) {
            Verdict::Look(_) => gate.looked(at(t), found(t)),
            Verdict::Empty => {
                gate.told(at(t));
                vouched.push(t);
            }
            Verdict::Rest => {}
        }
        after(t, &mut gate);
    }
    vouched
}

#[test]
fn it_vouches_only_for_what_looks_have_found_empty_for_a_while() {
    let usual = Settings::default();
    let vouch = |attention, found: &dyn Fn(f64) -> Found, after: &dyn Fn(f64, &mut Gate)| {
        vouched(usual, attention, found, |_| day(), after)
    };
    let nobody = |_: f64| Found::Nobody;
    let nothing = |_: f64, _: &mut Gate| {};
    let empty = vouch(Attention::Nobody, &nobody, &nothing);
    assert!(empty[0] > 4.0 && empty.len() >= 10, "{empty:?}");
    // Somebody whom the scene knows, or whom a look doubts, or a look that failed.
    for attention in [Attention::Settled, Attention::Unsettled] {
        assert_eq!(vouch(attention, &nobody, &nothing), []);
    }
    for found in [Found::Somebody, Found::Unknown] {
        assert_eq!(vouch(Attention::Nobody, &|_| found, &nothing), []);
    }
    // Once somebody is seen it takes its time anew.
    let seen = |t: f64| {
        if t < 15.0 {
            Found::Somebody
        } else {
            Found::Nobody
        }
    };
    let empty = vouch(Attention::Nobody, &seen, &nothing);
    assert!(empty[0] >= 19.0 && empty.len() >= 3, "{empty:?}");
    // Another connection.
    let reconnected = |t: f64, gate: &mut Gate| {
        if (15.0..15.1).contains(&t) {
            gate.doubt();
        }
    };
    let empty = vouch(Attention::Nobody, &nobody, &reconnected);
    assert!(!empty.iter().any(|t| (15.0..18.9).contains(t)), "{empty:?}");
    assert!(empty.iter().any(|t| *t < 15.0) && empty.iter().any(|t| *t > 19.0));
    // As often as it is looked at otherwise: each time is a look.
    let often = Settings {
        empty_heartbeat_s: usual.heartbeat_s,
        ..usual
    };
    assert_eq!(
        vouched(often, Attention::Nobody, nobody, |_| day(), nothing),
        []
    );
}

/// What is decoded by key pictures alone, or loses pictures on the way.
#[test]
fn it_vouches_for_nothing_between_pictures_that_are_far_apart() {
    for (step_s, is_vouched) in [(0.1, true), (0.4, true), (0.6, false), (1.0, false)] {
        let mut gate = Gate::new(Settings::default());
        let verdicts: Vec<Verdict> = (0..150)
            .map(|number| {
                let t = number as f64 * step_s;
                let picture = small(&day(), number);
                let verdict = gate.judge(&picture, at(t), Attention::Nobody);
                match verdict {
                    Verdict::Look(_) => gate.looked(at(t), Found::Nobody),
                    Verdict::Empty => gate.told(at(t)),
                    Verdict::Rest => {}
                }
                verdict
            })
            .collect();
        let is_there = verdicts.contains(&Verdict::Empty);
        assert_eq!(is_there, is_vouched, "{step_s} s apart");
    }
}

/// Somebody walks by while the box has no time to look.
#[test]
fn what_moved_and_was_not_looked_at_is_looked_at_when_the_road_is_quiet_again() {
    let (from, gone) = (15.0, 16.5);
    let mut gate = Gate::new(Settings::default());
    let mut first = None;
    for number in 0..250 {
        let t = number as f64 / FPS;
        let things = if (from..gone).contains(&t) {
            walker(t, from)
        } else {
            Vec::new()
        };
        let view = View { things, ..day() };
        let verdict = gate.judge(&small(&view, number), at(t), Attention::Nobody);
        let is_busy = (from..gone + 3.0).contains(&t);
        match verdict {
            Verdict::Look(_) if !is_busy => gate.looked(at(t), Found::Nobody),
            Verdict::Empty => gate.told(at(t)),
            _ => {}
        }
        assert!(
            verdict != Verdict::Empty || t < from + 1.0 || t > gone + 3.0,
            "{t}"
        );
        if t > gone && !is_busy && verdict != Verdict::Rest {
            first.get_or_insert(verdict);
        }
    }
    assert_eq!(first, Some(Verdict::Look(Reason::Heartbeat)));
}

/// Four cells tall and one and a half wide is a walker at the far end of the
/// road, 48 pixels of a 1080p picture: a dark figure on asphalt.
fn walker(t: f64, from: f64) -> Vec<([f64; 4], f64)> {
    let x = 20.0 + 6.0 * (t - from);
    vec![([x, 90.0, 3.0, 8.0], 20.0)]
}

#[test]
fn a_far_walker_wakes_it_within_a_second_and_keeps_it_awake() {
    for (name, view, within) in [("day", day(), 0.5), ("night", night(), 1.0)] {
        let verdicts = watch(25.0, |t| View {
            things: if t >= 10.0 {
                walker(t, 10.0)
            } else {
                Vec::new()
            },
            ..view.clone()
        });
        let woke = 10.0 + within;
        assert!(has(&verdicts, 10.0, woke, Reason::Motion), "{name}");
        let awake = share(&verdicts, woke, 25.0);
        assert!(awake >= 0.99, "{name}: {awake}");
    }
}

#[test]
fn a_global_step_of_exposure_is_no_motion() {
    for (gain, offset) in [
        (1.25, 0.0),
        (0.8, 0.0),
        (1.0, 12.0),
        (1.15, -8.0),
        (0.6, 5.0),
    ] {
        let verdicts = watch(20.0, |t| View {
            gain: if t >= 10.0 { gain } else { 1.0 },
            offset: if t >= 10.0 { offset } else { 0.0 },
            ..day()
        });
        let rest = share(&verdicts, SETTLED, 20.0);
        assert!(rest <= RESTS, "{gain} {offset}: {rest}");
    }
}

#[test]
fn headlights_on_the_ground_are_motion() {
    let verdicts = watch(16.0, |t| View {
        lights: if t >= 10.0 {
            vec![([10.0 + 40.0 * (t - 10.0), 130.0, 25.0], 60.0)]
        } else {
            Vec::new()
        },
        ..night()
    });
    assert!(has(&verdicts, 10.0, 10.4, Reason::Motion));
    assert!(share(&verdicts, 10.4, 16.0) >= 0.99);
}

#[test]
fn a_vehicle_in_the_moment_of_an_exposure_step_is_seen() {
    let verdicts = watch(13.0, |t| View {
        gain: if t >= 10.0 { 1.3 } else { 1.0 },
        things: if t >= 10.0 {
            vec![([40.0 + 50.0 * (t - 10.0), 110.0, 40.0, 24.0], 30.0)]
        } else {
            Vec::new()
        },
        ..day()
    });
    assert!(has(&verdicts, 10.0, 10.4, Reason::Motion));
}

#[test]
fn rain_is_learnt_and_slept_through_and_a_walker_in_it_is_not() {
    let rain = |t: f64| View {
        rain: 60,
        things: if t >= 60.0 {
            vec![([20.0 + 12.0 * (t - 60.0), 100.0, 8.0, 20.0], 40.0)]
        } else {
            Vec::new()
        },
        ..day()
    };
    let verdicts = watch(66.0, rain);
    let rest = share(&verdicts, 30.0, 60.0);
    assert!(rest <= 0.2, "{rest}");
    assert!(has(&verdicts, 60.0, 60.6, Reason::Motion));
    assert!(share(&verdicts, 60.6, 66.0) >= 0.99);
}

#[test]
fn dawn_does_not_wake_it() {
    // A luma a second is faster than any dawn, and a cloud.
    let verdicts = watch(60.0, |t| View {
        gain: 0.25 + 0.75 * t / 60.0,
        ..day()
    });
    let rest = share(&verdicts, SETTLED, 60.0);
    assert!(rest <= RESTS, "{rest}");
}

#[test]
fn the_switch_to_infrared_is_looked_at_and_learnt_within_seconds() {
    let verdicts = watch(25.0, |t| {
        if t >= 10.0 {
            View {
                infrared: true,
                noise: 5.0,
                ..day()
            }
        } else {
            day()
        }
    });
    assert_eq!(share(&verdicts, 10.0, 13.0), 1.0);
    let rest = share(&verdicts, 18.0, 25.0);
    assert!(rest <= RESTS, "{rest}");
}

#[test]
fn a_swaying_camera_does_not_wake_it() {
    let verdicts = watch(40.0, |t| View {
        // Up to 1.2 pixels of 320: seven of a 1080p picture.
        sway: (libm::sin(t * 5.0) * 1.2, libm::sin(t * 7.0) * 0.6),
        ..day()
    });
    let rest = share(&verdicts, 20.0, 40.0);
    assert!(rest <= 0.3, "{rest}");
}

#[test]
fn a_parked_car_does_not_wake_it_and_one_that_drives_off_does() {
    let verdicts = watch(26.0, |t| {
        let moved = if t >= 15.0 { 30.0 * (t - 15.0) } else { 0.0 };
        View {
            things: vec![([60.0 + moved, 110.0, 50.0, 30.0], 40.0)],
            ..day()
        }
    });
    let rest = share(&verdicts, SETTLED, 15.0);
    assert!(rest <= RESTS, "{rest}");
    assert!(has(&verdicts, 15.0, 15.4, Reason::Motion));
}

#[test]
fn a_car_that_stops_is_looked_at_until_the_scene_knows_it_and_then_by_heartbeat() {
    let stops = |t: f64| View {
        things: if t >= 8.0 {
            let x = 20.0 + 40.0 * (t - 8.0).min(2.0);
            vec![([x, 110.0, 50.0, 30.0], 40.0)]
        } else {
            Vec::new()
        },
        ..day()
    };
    // Followed from 8 s; known to stand from 14 s.
    let attention = |t: f64| match t {
        t if t < 8.2 => Attention::Nobody,
        t if t < 14.0 => Attention::Unsettled,
        _ => Attention::Settled,
    };
    let verdicts = watch_for(40.0, attention, stops);
    assert_eq!(share(&verdicts, 8.5, 14.0), 1.0);
    let rest = share(&verdicts, 19.0, 40.0);
    assert!((0.05..=RESTS).contains(&rest), "{rest}");
}

#[test]
fn what_the_scene_follows_keeps_it_awake_without_motion() {
    let attention = |t: f64| {
        if (10.0..14.0).contains(&t) {
            Attention::Unsettled
        } else {
            Attention::Settled
        }
    };
    let verdicts = watch_for(20.0, attention, |_| day());
    assert_eq!(share(&verdicts, 10.0, 14.0), 1.0);
    assert!(share(&verdicts, 14.0, 20.0) <= RESTS);
}

/// Where somebody is followed, or moved a moment ago, each picture is looked at anyway; judging those that
/// come fast would only cost time. What is judged suffices to fall asleep as soon as without.
#[test]
fn pictures_that_come_fast_are_judged_only_while_that_decides_something() {
    let view = |t: f64| View {
        things: if (8.0..14.0).contains(&t) {
            walker(t, 8.0)
        } else {
            Vec::new()
        },
        ..day()
    };
    let asleep_at = |spares: bool| {
        let mut gate = Gate::new(Settings::default());
        let (mut judged, mut asleep) = (0, Vec::new());
        for number in 0..25 * 25_u64 {
            let t = number as f64 / 25.0;
            let attention = if (8.5..13.0).contains(&t) {
                Attention::Unsettled
            } else {
                Attention::Nobody
            };
            let foregone = gate.foregone(at(t), attention).filter(|_| spares);
            let verdict = foregone.map_or_else(
                || {
                    judged += usize::from((9.0..14.0).contains(&t));
                    gate.judge(&small(&view(t), number), at(t), attention)
                },
                Verdict::Look,
            );
            if verdict.is_look() {
                gate.looked(at(t), Found::Nobody);
            } else {
                asleep.push(t);
            }
        }
        assert!(
            !asleep.iter().any(|t| (9.5..14.0).contains(t)),
            "{asleep:?}"
        );
        let again = asleep.into_iter().find(|t| *t > 14.0).unwrap();
        (judged, again)
    };
    let ((all, then), (few, soon)) = (asleep_at(false), asleep_at(true));
    assert_eq!(all, 125);
    assert!(few <= 125 / 3 + 2, "{few}");
    assert!((then - soon).abs() < 0.5, "{then} {soon}");
}

#[test]
fn one_flash_of_noise_is_no_motion() {
    let verdicts = watch(16.0, |t| View {
        things: if (t - 10.0).abs() < 0.01 {
            vec![([100.0, 100.0, 6.0, 6.0], 250.0)]
        } else {
            Vec::new()
        },
        ..day()
    });
    assert!(!has(&verdicts, SETTLED, 16.0, Reason::Motion));
}

#[test]
fn few_pictures_a_second_are_judged_one_by_one() {
    let mut gate = Gate::new(Settings::default());
    let mut woke = None;
    for number in 0..60 {
        let t = number as f64;
        let view = View {
            things: if t >= 40.0 {
                vec![([20.0 + 60.0 * (t - 40.0), 100.0, 20.0, 20.0], 40.0)]
            } else {
                Vec::new()
            },
            ..day()
        };
        let verdict = gate.judge(&small(&view, number), at(t), Attention::Nobody);
        if verdict.is_look() {
            gate.looked(at(t), Found::Nobody);
        }
        if verdict == Verdict::Look(Reason::Motion) && woke.is_none() {
            woke = Some(t);
        }
        // A second apart, the heartbeat takes every picture.
        assert!(verdict.is_look(), "{t}");
    }
    assert_eq!(woke, Some(40.0));
}

#[test]
fn a_hole_a_clock_set_back_and_another_size_are_learnt_anew() {
    let quiet = small(&day(), 1);
    let mut gate = Gate::new(Settings::default());
    let settle = |gate: &mut Gate, from: f64| {
        let times = (0..60_u32).map(|number| (number, from + f64::from(number) / FPS));
        for (number, t) in times {
            gate.judge(&small(&day(), number.into()), at(t), Attention::Nobody);
            gate.looked(at(t), Found::Nobody);
        }
        from + 5.9
    };
    let now = settle(&mut gate, 0.0);
    assert_eq!(
        gate.judge(&quiet, at(now + 0.1), Attention::Nobody),
        Verdict::Rest
    );
    let learns = Verdict::Look(Reason::Learning);
    assert_eq!(
        gate.judge(&quiet, at(now + 60.0), Attention::Nobody),
        learns
    );
    let now = settle(&mut gate, 100.0);
    assert_eq!(
        gate.judge(&quiet, at(now - 30.0), Attention::Nobody),
        learns
    );
    let now = settle(&mut gate, 200.0);
    let luma = vec![90; 100 * 60];
    let other = SmallPicture::of(&luma, 100, 100, 60).unwrap();
    assert_eq!(gate.judge(&other, at(now + 0.1), Attention::Nobody), learns);
}

#[test]
fn it_says_where_something_moves() {
    let mut gate = Gate::new(Settings::default());
    let thing = [200.0, 100.0, 40.0, 30.0];
    for number in 0..80 {
        let t = number as f64 / FPS;
        let view = View {
            things: if t >= 7.0 {
                vec![(thing, 30.0)]
            } else {
                Vec::new()
            },
            ..day()
        };
        gate.judge(&small(&view, number), at(t), Attention::Nobody);
    }
    let [region] = gate.regions() else {
        panic!("{:?}", gate.regions());
    };
    let expected = protocol::NormBox {
        x: thing[0] / WIDTH as f64,
        y: thing[1] / HEIGHT as f64,
        width: thing[2] / WIDTH as f64,
        height: thing[3] / HEIGHT as f64,
    };
    assert!(region.iou(&expected) > 0.8, "{region:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes, in whatever order: no panic, and the same again.
    #[test]
    fn any_pictures_and_times_give_the_same_verdicts_twice(
        seed in 0..1_000_u64,
        steps in proptest::collection::vec((-2_000_000..4_000_000_i64, 0..4_u8), 1..40),
    ) {
        let run = || {
            let mut gate = Gate::new(Settings::default());
            let mut time = 0;
            steps.iter().enumerate().map(|(number, (step, what))| {
                time += step;
                let (width, height) = if *what == 3 { (40, 30) } else { (64, 48) };
                let luma: Vec<u8> = (0..width * height)
                    .map(|pixel| match what {
                        0 => 0,
                        1 => (255.0 * chance(seed, pixel as u64, number as u64)) as u8,
                        _ => (pixel % 251) as u8,
                    })
                    .collect();
                let picture = SmallPicture::of(&luma, width, width, height).unwrap();
                let time = protocol::EventTime::from_micros(time);
                let verdict = gate.judge(&picture, time, Attention::Settled);
                if verdict.is_look() {
                    gate.looked(time, Found::Nobody);
                }
                verdict
            }).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }

    /// However pictures come, no two looks are farther apart than the heartbeat
    /// allows, if pictures are not, and nothing that the scene hears.
    #[test]
    fn no_pattern_of_times_outruns_the_heartbeat(
        steps in proptest::collection::vec(10_000..700_000_i64, 20..200),
        is_empty in proptest::bool::ANY,
    ) {
        let picture = small(&day(), 0);
        let mut gate = Gate::new(Settings::default());
        let (mut time, mut looked, mut told) = (0, 0, 0);
        let (attention, rarest) = if is_empty {
            (Attention::Nobody, 5_000_000)
        } else {
            (Attention::Settled, 1_500_000)
        };
        for (index, step) in steps.iter().enumerate() {
            time += step;
            let now = protocol::EventTime::from_micros(time);
            match gate.judge(&picture, now, attention) {
                Verdict::Look(_) => {
                    gate.looked(now, Found::Nobody);
                    (looked, told) = (time, time);
                }
                Verdict::Empty => {
                    gate.told(now);
                    told = time;
                }
                Verdict::Rest => {}
            }
            let next = steps.get(index + 1).copied().unwrap_or(0);
            prop_assert!(time + next - looked <= rarest + 700_000);
            prop_assert!(time + next - told <= 1_500_000 + 700_000);
        }
    }
}
