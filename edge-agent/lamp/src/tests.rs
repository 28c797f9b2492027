//! What drawn signal heads are read as.

mod any_light;
mod drawn_head;

use super::*;
use edge_core::LampLayout;
use models::{ColourMatrix, ColourRange, I420View};

use LampColour::{Amber, Green, Red};

use drawn_head::{DAY, DIM, GLARE, Head, Light, NIGHT, RED, Rgb, head};

/// What is shown when these lamps are lit.
fn state(lit: &[LampColour]) -> SignalState {
    match lit {
        [Red] => SignalState::Red,
        [Red, Amber] => SignalState::RedAmber,
        [Amber] => SignalState::Amber,
        [Green] => SignalState::Green,
        [] => SignalState::Dark,
        _ => SignalState::Unknown,
    }
}

const ASPECTS: [&[LampColour]; 3] = [&[Red], &[Amber], &[Green]];
/// What a group believes unless its technician says otherwise.
const BELIEVED: f64 = 0.6;

#[test]
fn each_aspect_is_read_by_day_and_night_at_any_size_either_way_round() {
    for (name, light) in [("day", DAY), ("night", NIGHT), ("dim", DIM)] {
        for lit in ASPECTS {
            for pitch in [8, 12, 20, 41, 150] {
                for horizontal in [false, true] {
                    for matrix in [ColourMatrix::Bt601, ColourMatrix::Bt709] {
                        let reading = Head {
                            horizontal,
                            pitch,
                            matrix,
                            ..head(light, lit)
                        }
                        .read();
                        let case = format!("{name} {lit:?} {pitch} {horizontal} {reading:?}");
                        assert_eq!(reading.state, state(lit), "{case}");
                        assert!(reading.confidence >= BELIEVED, "{case}");
                    }
                }
            }
        }
    }
}

#[test]
fn red_and_amber_together_are_read_and_what_never_goes_together_is_not() {
    for light in [DAY, NIGHT] {
        let reading = head(light, &[Red, Amber]).read();
        assert!(
            [SignalState::RedAmber, SignalState::Unknown].contains(&reading.state),
            "{reading:?}"
        );
        for lit in [&[Red, Green][..], &[Amber, Green], &[Red, Amber, Green]] {
            let reading = head(light, lit).read();
            assert!(reading.confidence < BELIEVED, "{lit:?} {reading:?}");
        }
    }
    assert_eq!(head(DAY, &[Red, Amber]).read().state, SignalState::RedAmber);
}

#[test]
fn a_dark_head_is_dark_with_confidence_only_where_it_is_seen() {
    let day = head(DAY, &[]).read();
    assert_eq!(day.state, SignalState::Dark);
    let night = head(NIGHT, &[]).read();
    assert_eq!(night.state, SignalState::Dark);
    assert!(night.confidence < BELIEVED, "a black spot may be anything");
    let sun = Light {
        lens: 0.45,
        housing: 0.2,
        ..DAY
    };
    let sunlit = head(sun, &[]).read();
    assert!(
        sunlit.confidence < BELIEVED || sunlit.state == SignalState::Dark,
        "{sunlit:?}"
    );
}

#[test]
fn glare_lowers_the_confidence_and_never_makes_another_state() {
    for lit in ASPECTS {
        let clear = head(DAY, lit).read();
        for veil in [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9] {
            let reading = head(Light { veil, ..DAY }, lit).read();
            assert!(
                reading.confidence <= clear.confidence + 0.01,
                "{veil} {reading:?}"
            );
            assert!(
                reading.state == state(lit) || reading.confidence < BELIEVED,
                "{lit:?} {veil} {reading:?}"
            );
        }
    }
    assert_eq!(head(GLARE, &[Red]).read().state, SignalState::Red);
}

/// The head has moved in its region by a fifth of its length and width.
#[test]
fn a_shaken_camera_lowers_the_confidence_and_never_makes_another_state() {
    for light in [DAY, NIGHT, DIM] {
        for lit in ASPECTS {
            let steady = head(light, lit).read();
            for along in [-0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2] {
                for across in [-0.2, 0.0, 0.2] {
                    let reading = Head {
                        shake: (along, across),
                        ..head(light, lit)
                    }
                    .read();
                    let case = format!("{light:?} {lit:?} {along} {across} {reading:?}");
                    assert!(
                        reading.state == state(lit) || reading.confidence < BELIEVED,
                        "{case}"
                    );
                    if f64::abs(along) <= 0.05 && across == 0.0 {
                        assert_eq!(reading.state, state(lit), "{case}");
                        assert!(reading.confidence > 0.5, "{case}");
                    }
                    if f64::abs(along) >= 0.2 {
                        assert!(reading.confidence < steady.confidence, "{case}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_vehicle_before_the_head_is_never_believed() {
    let paints: [Rgb; 7] = [
        [0.9, 0.9, 0.9],
        [0.5, 0.5, 0.5],
        [0.7, 0.1, 0.1],
        [0.95, 0.2, 0.1],
        [0.9, 0.7, 0.1],
        [0.1, 0.6, 0.3],
        [0.05, 0.05, 0.05],
    ];
    for light in [DAY, NIGHT] {
        for paint in paints {
            // All of it, its upper or lower half, or a third.
            for (from, to) in [(0.0, 1.0), (0.0, 0.5), (0.5, 1.0), (0.0, 0.34), (0.66, 1.0)] {
                for lit in ASPECTS {
                    let reading = Head {
                        hidden: Some((from, to, paint)),
                        ..head(light, lit)
                    }
                    .read();
                    let is_true = reading.state == state(lit);
                    // By day and beside dark paint, the unlit rest is dark.
                    let is_dark = reading.state == SignalState::Dark;
                    assert!(
                        is_true || is_dark || reading.confidence < BELIEVED,
                        "{lit:?} behind {paint:?} {from}–{to}: {reading:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn arrows_and_single_lamps_are_read() {
    for light in [DAY, NIGHT] {
        for horizontal in [false, true] {
            let arrow = |lamps: &[LampColour], lit: &[LampColour]| {
                Head {
                    lamps: lamps.to_vec(),
                    arrow: true,
                    horizontal,
                    ..head(light, lit)
                }
                .read()
            };
            for lit in ASPECTS {
                let reading = arrow(&[Red, Amber, Green], lit);
                assert_eq!(reading.state, state(lit), "{light:?} {reading:?}");
                assert!(
                    reading.confidence >= BELIEVED,
                    "{light:?} {lit:?} {reading:?}"
                );
            }
            let on = arrow(&[Green], &[Green]);
            assert_eq!(on.state, SignalState::Green, "{light:?} {on:?}");
            assert!(on.confidence >= BELIEVED, "{light:?} {on:?}");
            assert_eq!(arrow(&[Green], &[]).state, SignalState::Dark);
            let two = arrow(&[Red, Green], &[Red]);
            assert_eq!(two.state, SignalState::Red);
            assert!(two.confidence >= BELIEVED, "{light:?} {two:?}");
        }
    }
    for lit in ASPECTS {
        let reading = Head {
            lamps: lit.to_vec(),
            ..head(DAY, lit)
        }
        .read();
        assert_eq!(reading.state, state(lit), "{reading:?}");
        assert!(reading.confidence >= BELIEVED, "{reading:?}");
    }
    // A red light where only a green arrow can be.
    let foreign = Head {
        lamps: vec![Green],
        hidden: Some((0.3, 0.7, RED)),
        ..head(DAY, &[])
    };
    assert_ne!(foreign.read().state, SignalState::Green);
}

/// Position alone, or colour alone, is worth less than both.
#[test]
fn a_colourless_light_is_known_by_its_place_and_not_believed() {
    let white = Light {
        lamp: 60.0,
        halo: 0.0,
        ..NIGHT
    };
    let reading = head(white, &[Red]).read();
    assert!(reading.confidence < BELIEVED || reading.state == SignalState::Red);
    // Green light in the place of red.
    let mut swapped = head(DAY, &[Green]);
    swapped.lamps = vec![Green, Amber, Red];
    let planes = swapped.read();
    assert_eq!(planes.state, SignalState::Green, "as its head is described");
}

#[test]
fn a_region_outside_or_too_small_and_a_broken_picture_are_unknown() {
    let grey = [128_u8; 64 * 64];
    for (region, y_len) in [
        ([1.2, 0.0, 0.1, 0.1], 64 * 64),
        ([0.5, 0.5, 0.01, 0.5], 64 * 64),
        ([0.5, 0.5, -0.1, 0.1], 64 * 64),
        ([0.1, 0.1, 0.5, 0.5], 64),
        ([f64::NAN, 0.1, 0.5, 0.5], 64 * 64),
    ] {
        let picture = I420View {
            width: 64,
            height: 64,
            y: &grey[..y_len],
            y_stride: 64,
            u: &grey,
            u_stride: 32,
            v: &grey,
            v_stride: 32,
            matrix: ColourMatrix::Bt601,
            range: ColourRange::Limited,
        };
        let lamp = Lamp {
            region: region.into(),
            layout: LampLayout::Horizontal,
            lamps: vec![Red, Amber, Green],
        };
        assert_eq!(read(&picture, &lamp).state, SignalState::Unknown);
    }
}
