//! What flashes is told from what is steady, however often it is looked at, and
//! what is steady is believed all the same, in a time that docs/signals.md states.

use super::sequences::{look, watch};
use super::*;

use SignalState::{Amber, Dark, FlashingAmber, FlashingRed, Green, Red, Unknown as UnknownState};

#[test]
fn flashing_has_a_word_of_its_own() {
    for (lamp, expected) in [(Amber, FlashingAmber), (Red, FlashingRed)] {
        let mut board = board();
        let phases: Vec<_> = (0..20)
            .map(|half| {
                let state = if half % 2 == 0 { lamp } else { Dark };
                (state, f64::from(half + 1) * 0.5)
            })
            .collect();
        watch(&mut board, 10.0, &phases);
        assert_eq!(shown(&board, 5.0), (expected, 1.5));
        assert_eq!(shown(&board, 9.9), (expected, 1.5));
    }
}

#[test]
fn when_flashing_ends_the_steady_light_began_with_its_last_flash() {
    let mut board = board();
    let mut phases: Vec<_> = (0..10)
        .map(|half| {
            let state = if half % 2 == 0 { Dark } else { Amber };
            (state, f64::from(half + 1) * 0.5)
        })
        .collect();
    phases.extend([(Amber, 8.0), (Red, 14.0)]);
    watch(&mut board, 20.0, &phases);
    assert_eq!(shown(&board, 4.0).0, FlashingAmber);
    assert_eq!(shown(&board, 7.0).0, Amber);
    assert_eq!(shown(&board, 10.0).0, Red);
}

/// By night an unlit lamp is a black spot, which is read as dark without confidence.
#[test]
fn flashing_is_found_by_night_as_well() {
    let mut board = board();
    for tick in 0..100 {
        let t = f64::from(tick) / 10.0;
        if (tick / 5) % 2 == 0 {
            look(&mut board, t, Red, 0.9);
        } else {
            look(&mut board, t, Dark, 0.2);
        }
        assert_ne!(shown(&board, t).0, Red, "at {t}");
    }
    assert_eq!(shown(&board, 9.9).0, FlashingRed);
}

/// A lamp that flashes.
#[derive(Clone, Copy, Debug)]
struct Flash {
    hertz: f64,
    /// The lit part of each period.
    duty: f64,
    /// Where in its period it is at 0, s.
    offset: f64,
}

impl Flash {
    fn is_lit(self, t: f64) -> bool {
        ((t + self.offset) * self.hertz).fract() < self.duty
    }
}

/// How a lamp that is not lit is read.
const UNLIT: [(SignalState, f64); 3] = [(Dark, 0.9), (Dark, 0.2), (UnknownState, 0.0)];

/// Looks at a flash from a named rate that keep step with it, or nearly: each
/// was, or would have been, believed to be steady red by waiting for a second and a half.
#[test]
fn a_flash_that_the_looks_keep_step_with_is_not_red() {
    for (hertz, duty, fps, offset) in [
        // Found by the property below, at 10.06 s.
        (1.63, 0.64, 5.1, 0.0),
        (1.63, 0.64, 5.1, 0.2),
        // In step for ever: lit at every look.
        (2.5, 0.5, 5.0, 0.0),
        (5.0 / 3.0, 0.7, 5.0, 0.0),
        (1.25, 0.8, 5.0, 0.0),
        (2.0, 0.3, 2.0, 0.0),
        (1.0, 0.6, 2.0, 0.0),
        (0.5, 0.8, 2.0, 0.0),
        (1.5, 0.7, 3.0, 0.0),
        (2.0, 0.8, 8.0, 0.0),
        (2.5, 0.8, 10.0, 0.0),
        // Out of step by so little that it takes a quarter of a minute.
        (1.67, 0.75, 5.0, 0.01),
        (2.49, 0.78, 10.0, 0.01),
        (2.495, 0.8, 12.4, 0.1),
    ] {
        let flash = Flash {
            hertz,
            duty,
            offset,
        };
        for unlit in UNLIT {
            let mut board = board();
            for tick in 0..600 {
                let t = f64::from(tick) / fps;
                let (state, confidence) = if flash.is_lit(t) { (Red, 0.9) } else { unlit };
                look(&mut board, t, state, confidence);
                assert_ne!(shown(&board, t).0, Red, "{flash:?}, {fps} looks/s, at {t}");
            }
        }
    }
}

/// For how long red is unknown after amber, and after darkness or the start,
/// s; the table in docs/signals.md.
#[test]
fn how_long_it_takes_until_red_is_believed() {
    let late = |fps: f64, before: &[(SignalState, f64)]| {
        let mut board = board();
        let onset = before.last().map_or(0.0, |(_, until)| *until);
        let phases = [before, &[(Red, onset + 60.0)]].concat();
        // Where in the interval between looks red begins decides; this is the worst.
        watch(&mut board, fps, &phases);
        let looks = (0..).map(|tick| f64::from(tick) / fps);
        let mut looks = looks.take_while(|t| *t < onset + 60.0);
        // What was said then, not what is known since.
        let mut replay = super::board();
        looks
            .find(|t| {
                let (state, _) = phases.iter().find(|(_, until)| t < until).unwrap();
                look(&mut replay, *t, *state, 0.9);
                *t >= onset && shown(&replay, *t).0 == Red
            })
            .map(|t| t - onset)
    };
    let mut table = String::new();
    for fps in [2.0, 3.0, 5.0, 8.0, 10.0, 12.0, 13.0, 15.0, 20.0, 25.0, 30.0] {
        use std::fmt::Write as _;
        let worst = |before: &dyn Fn(f64) -> Vec<(SignalState, f64)>| {
            let starts = (0..20).map(|part| f64::from(part) / 20.0 / fps);
            let mut late = starts.map(|start| late(fps, &before(start)));
            late.try_fold(0.0_f64, |worst, late| Some(worst.max(late?)))
        };
        let amber = worst(&|part| vec![(Green, 10.0), (Amber, 13.0 + part)]);
        let dark = worst(&|part| vec![(Dark, 10.0 + part)]);
        let words = |late: Option<f64>| late.map_or("never".to_owned(), |s| format!("{s:.2} s"));
        writeln!(
            table,
            "{fps}: {} after amber, {} after darkness",
            words(amber),
            words(dark)
        )
        .unwrap();
    }
    expect_test::expect![[r"
        2: 0.97 s after amber, never after darkness
        3: 0.98 s after amber, never after darkness
        5: 0.79 s after amber, never after darkness
        8: 0.62 s after amber, never after darkness
        10: 0.59 s after amber, never after darkness
        12: 0.58 s after amber, never after darkness
        13: 0.61 s after amber, 1.69 s after darkness
        15: 0.60 s after amber, 1.73 s after darkness
        20: 0.55 s after amber, 1.70 s after darkness
        25: 0.56 s after amber, 1.68 s after darkness
        30: 0.53 s after amber, 1.66 s after darkness
    "]]
    .assert_eq(&table);
}

/// Looks as they come: at a rate, unevenly, some lost.
#[derive(Clone, Debug)]
struct Looks(Vec<f64>);

/// From 2 to 30 looks a second on average, for a minute, each early or late by
/// up to half of the interval.
fn looks() -> impl Strategy<Value = Looks> {
    // Often regular, as a camera's are, and at rates that are in use.
    let fps = prop_oneof![
        2.0_f64..30.0,
        prop::sample::select(vec![
            2.0, 3.0, 4.0, 5.0, 6.0, 7.5, 8.0, 10.0, 12.0, 12.5, 15.0, 20.0
        ]),
    ];
    let uneven = prop_oneof![Just(0.0), 0.0_f64..0.5];
    let tick = (-1.0_f64..1.0, prop::bool::weighted(0.02));
    (fps, uneven, prop::collection::vec(tick, 1800)).prop_map(move |(fps, uneven, ticks)| {
        let mut looks = Vec::new();
        for (tick, (jitter, is_lost)) in (0_u32..).zip(ticks) {
            let t = (f64::from(tick) + 0.5 + uneven * jitter) / fps;
            if t > 60.0 {
                break;
            }
            if !is_lost {
                looks.push(t);
            }
        }
        Looks(looks)
    })
}

fn flash() -> impl Strategy<Value = Flash> {
    // Often at rates that looks keep step with.
    let hertz = prop_oneof![
        0.5_f64..2.5,
        (1_u32..5, 1_u32..6, 2_u32..13, -0.02_f64..0.02).prop_map(|(m, n, fps, off)| {
            (f64::from(m * fps) / f64::from(n) + off).clamp(0.5, 2.5)
        }),
    ];
    (hertz, 0.3_f64..0.8, 0.0_f64..2.0).prop_map(|(hertz, duty, offset)| Flash {
        hertz,
        duty,
        offset,
    })
}

fn unlit() -> impl Strategy<Value = (SignalState, f64)> {
    prop::sample::select(UNLIT.to_vec())
}

proptest! {
    #![proptest_config(at_least(512))]

    /// Whatever flashes, however often it is looked at, is never steady.
    #[test]
    fn flashing_is_never_steady(
        flash in flash(),
        looks in looks(),
        (unlit, colour) in (unlit(), prop::sample::select(vec![Red, Amber])),
        begins in prop_oneof![Just(0.0), 0.0_f64..5.0],
    ) {
        let mut board = board();
        let mut was_lit = false;
        for t in looks.0 {
            let is_lit = t >= begins && flash.is_lit(t);
            was_lit |= is_lit;
            let (state, confidence) = if is_lit { (colour, 0.9) } else { unlit };
            look(&mut board, t, state, confidence);
            let state = shown(&board, t).0;
            let is_right = match colour {
                Red => [FlashingRed, UnknownState].contains(&state),
                _ => [FlashingAmber, UnknownState].contains(&state),
            } || (!was_lit && state == Dark);
            prop_assert!(is_right, "{:?} at {}", state, t);
        }
    }

    /// And it is called what it is where it can be.
    #[test]
    fn flashing_is_found(
        hertz in 0.5_f64..2.0,
        duty in 0.35_f64..0.65,
        fps in 10.0_f64..30.0,
        offset in 0.0_f64..2.0,
        by_night in any::<bool>(),
        jitter in prop::collection::vec(-0.3_f64..0.3, 400),
    ) {
        let flash = Flash { hertz, duty, offset };
        let mut board = board();
        let (mut flashing, mut late) = (0.0, 0.0);
        for (tick, jitter) in (0_u32..).zip(&jitter) {
            let t = (f64::from(tick) + 0.5 + jitter) / fps;
            let unlit = if by_night { 0.2 } else { 0.9 };
            let (state, confidence) = if flash.is_lit(t) { (Red, 0.9) } else { (Dark, unlit) };
            look(&mut board, t, state, confidence);
            if t > 6.0 {
                late += 1.0;
                flashing += f64::from(u8::from(shown(&board, t).0 == FlashingRed));
            }
        }
        prop_assert!(late < 60.0 || flashing > 0.8 * late, "{} of {}", flashing, late);
    }

    /// An arrow that flashes is not off: who turns on it is not accused.
    #[test]
    fn a_flashing_arrow_is_never_dark(
        flash in flash(),
        looks in looks(),
        confidence in prop::sample::select(vec![0.9, 0.2]),
    ) {
        let mut board = board();
        for t in looks.0 {
            let (state, confidence) = if flash.is_lit(t) { (Green, 0.9) } else { (Dark, confidence) };
            look(&mut board, t, state, confidence);
            prop_assert_ne!(shown(&board, t).0, Dark, "at {}", t);
        }
    }

    /// A head that worked regularly begins to flash: it is not called red any
    /// more when it was seen dark at two of ten looks.
    #[test]
    fn red_that_begins_to_flash_is_found_out(
        flash in flash(),
        looks in looks(),
        by_night in any::<bool>(),
        red in 1.0_f64..12.0,
    ) {
        let mut board = board();
        let unlit = (Dark, if by_night { 0.2 } else { 0.9 });
        let (mut last_dark, mut is_found_out) = (None, false);
        for (nth, t) in looks.0.into_iter().enumerate() {
            let (state, confidence) = match t {
                t if t < 5.0 => (Green, 0.9),
                t if t < 8.0 => (Amber, 0.9),
                t if t < 8.0 + red || flash.is_lit(t) => (Red, 0.9),
                _ => unlit,
            };
            if state == Dark {
                is_found_out |= last_dark.is_some_and(|last| nth - last < 10);
                last_dark = Some(nth);
            }
            look(&mut board, t, state, confidence);
            let state = shown(&board, t).0;
            prop_assert!(!is_found_out || state != Red, "at {}", t);
        }
    }

    /// Red after amber is believed within half the majority window and three
    /// looks, whatever the rate; and stays so, although single looks are lost or
    /// cannot be read.
    #[test]
    fn red_after_amber_is_believed_in_time(
        fps in 2.0_f64..30.0,
        part in 0.0_f64..1.0,
        spoilt in prop::collection::vec(prop::sample::select(vec![0_u8, 0, 0, 0, 0, 0, 1, 2]), 1200),
    ) {
        let mut board = board();
        let red = 14.0 + part;
        let mut last_spoilt = f64::NEG_INFINITY;
        for (tick, spoilt) in (0_u32..).zip(spoilt) {
            let t = f64::from(tick) / fps;
            if t > 40.0 {
                break;
            }
            let state = match t {
                t if t < 10.0 => Green,
                t if t < red => Amber,
                _ => Red,
            };
            // Single ones only.
            match spoilt {
                spoilt if spoilt == 0 || t - last_spoilt < f64::max(1.0, 2.5 / fps) => {
                    look(&mut board, t, state, 0.9);
                }
                1 => {
                    last_spoilt = t;
                    look(&mut board, t, UnknownState, 0.0);
                }
                _ => {
                    last_spoilt = t;
                    continue;
                }
            }
            let (state, since) = shown(&board, t);
            if t > red + 0.5 + 3.0 / fps {
                prop_assert_eq!(state, Red, "at {}", t);
                prop_assert!(since >= red, "since {}", since);
            }
        }
    }

    /// At fifteen looks a second and more, so is red after darkness or the
    /// start, within two seconds and a half, although single looks are lost.
    #[test]
    fn red_after_darkness_is_believed_in_time(
        fps in 15.0_f64..30.0,
        dark in 0.0_f64..5.0,
        uneven in 0.0_f64..0.1,
        ticks in prop::collection::vec((-1.0_f64..1.0, any::<bool>()), 400),
    ) {
        let mut board = board();
        let mut last_lost = f64::NEG_INFINITY;
        for (tick, (jitter, is_lost)) in (0_u32..).zip(ticks) {
            let t = (f64::from(tick) + 0.5 + uneven * jitter) / fps;
            if is_lost && t - last_lost > 0.8 {
                last_lost = t;
                continue;
            }
            look(&mut board, t, if t < dark { Dark } else { Red }, 0.9);
            if t > dark + 2.5 {
                prop_assert_eq!(shown(&board, t).0, Red, "at {}", t);
            }
        }
    }
}
