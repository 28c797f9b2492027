//! Signal heads drawn as light falls on a sensor: by day and night, with bloom
//! and glare, shaken, and hidden.

use super::*;
use edge_core::LampLayout;
use models::{ColourMatrix, ColourRange, I420View, Nv12View};
use proptest::prelude::*;
use protocol::NormBox;

use LampColour::{Amber, Green, Red};

type Rgb = [f64; 3];

const RED: Rgb = [1.0, 0.10, 0.08];
const AMBER: Rgb = [1.0, 0.55, 0.05];
const GREEN: Rgb = [0.05, 0.95, 0.60];

/// The light that falls on the camera.
#[derive(Clone, Copy, Debug)]
struct Light {
    /// Street, housing, unlit lens: brightness from 0 to 1.
    street: f64,
    housing: f64,
    lens: f64,
    /// A lit lamp; above 1 it overexposes.
    lamp: f64,
    /// How far its halo reaches, in lamp radii; 0: none.
    halo: f64,
    /// Sunlight on the glass, from 0 to 1.
    veil: f64,
}

const DAY: Light = Light {
    street: 0.5,
    housing: 0.12,
    lens: 0.22,
    lamp: 0.95,
    halo: 0.0,
    veil: 0.0,
};
const NIGHT: Light = Light {
    street: 0.03,
    housing: 0.01,
    lens: 0.01,
    lamp: 6.0,
    halo: 0.45,
    veil: 0.0,
};
const GLARE: Light = Light { veil: 0.4, ..DAY };
const DIM: Light = Light { lamp: 0.55, ..DAY };

/// A head of which some lamps are lit, and how it is looked at.
#[derive(Clone, Debug)]
struct Head {
    light: Light,
    lamps: Vec<LampColour>,
    lit: Vec<LampColour>,
    horizontal: bool,
    /// Pixels from lamp to lamp.
    pitch: usize,
    /// By how much of the region the picture is shaken, along and across.
    shake: (f64, f64),
    /// Whether lit lamps are arrows instead of discs.
    arrow: bool,
    /// What stands before it: from where to where along the region, in which colour.
    hidden: Option<(f64, f64, Rgb)>,
    noise: f64,
    matrix: ColourMatrix,
}

fn head(light: Light, lit: &[LampColour]) -> Head {
    Head {
        light,
        lamps: vec![Red, Amber, Green],
        lit: lit.to_vec(),
        horizontal: false,
        pitch: 20,
        shake: (0.0, 0.0),
        arrow: false,
        hidden: None,
        noise: 0.01,
        matrix: ColourMatrix::Bt709,
    }
}

fn colour(lamp: LampColour) -> Rgb {
    match lamp {
        Red => RED,
        Amber => AMBER,
        Green => GREEN,
    }
}

impl Head {
    /// What the sensor gets at a place along and across the head, in lamp distances.
    fn at(&self, along: f64, across: f64) -> Rgb {
        let light = self.light;
        let long = self.lamps.len() as f64;
        if let Some((from, to, paint)) = self.hidden
            && (from..to).contains(&(along / long))
        {
            return paint;
        }
        let inside = (0.0..long).contains(&along) && (0.0..1.0).contains(&across);
        let base = if inside { light.housing } else { light.street };
        let mut rgb = [base; 3];
        for (index, lamp) in self.lamps.iter().enumerate() {
            let (u, v) = (along - index as f64 - 0.5, across - 0.5);
            let from_middle = (u * u + v * v).sqrt() / 0.38;
            let is_lit = self.lit.contains(lamp);
            let tint = colour(*lamp);
            if is_lit && self.arrow {
                let is_shaft = u.abs() < 0.09 && v.abs() < 0.32;
                let is_tip = (0.05..0.33).contains(&v) && u.abs() < 0.33 - v;
                if is_shaft || is_tip {
                    rgb = tint.map(|c| c * light.lamp);
                }
            } else if from_middle < 1.0 {
                let level = if is_lit { light.lamp } else { light.lens };
                rgb = tint.map(|c| c * level + 0.3 * light.lens);
            } else if is_lit && light.halo > 0.0 {
                let halo = 0.5 * light.lamp * libm::exp(-(from_middle - 1.0) / light.halo);
                for (sum, c) in rgb.iter_mut().zip(tint) {
                    *sum += c * halo;
                }
            }
        }
        rgb.map(|c| c * (1.0 - light.veil) + light.veil)
    }

    fn read(&self) -> LampReading {
        let margin = self.pitch;
        let long = self.pitch * self.lamps.len();
        let (width, height) = if self.horizontal {
            (long + 2 * margin, self.pitch + 2 * margin)
        } else {
            (self.pitch + 2 * margin, long + 2 * margin)
        };
        let (kr, kb) = match self.matrix {
            ColourMatrix::Bt601 => (0.299, 0.114),
            ColourMatrix::Bt709 => (0.2126, 0.0722),
        };
        let pitch = self.pitch as f64;
        let mut noise = 12345_u32;
        let mut planes = [
            vec![],
            vec![0_u8; width.div_ceil(2) * height.div_ceil(2)],
            vec![],
        ];
        planes[2] = planes[1].clone();
        for y in 0..height {
            for x in 0..width {
                // Four rays for each pixel.
                let mut rgb = [0.0; 3];
                for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                    let px = (x as f64 + dx - margin as f64) / pitch;
                    let py = (y as f64 + dy - margin as f64) / pitch;
                    let (along, across) = if self.horizontal { (px, py) } else { (py, px) };
                    let long = self.lamps.len() as f64;
                    let ray = self.at(along - self.shake.0 * long, across - self.shake.1);
                    for (sum, c) in rgb.iter_mut().zip(ray) {
                        *sum += c.min(1.0) / 4.0;
                    }
                }
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let grain = (f64::from(noise >> 8) / f64::from(1 << 24) - 0.5) * 3.4 * self.noise;
                let luma = kr * rgb[0] + (1.0 - kr - kb) * rgb[1] + kb * rgb[2];
                planes[0].push(byte(16.0 + 219.0 * (luma + grain)));
                let at = y / 2 * width.div_ceil(2) + x / 2;
                planes[1][at] = byte(128.0 + 224.0 * (rgb[2] - luma) / (2.0 * (1.0 - kb)));
                planes[2][at] = byte(128.0 + 224.0 * (rgb[0] - luma) / (2.0 * (1.0 - kr)));
            }
        }
        let picture = I420View {
            width: u32::try_from(width).unwrap(),
            height: u32::try_from(height).unwrap(),
            y: &planes[0],
            y_stride: width,
            u: &planes[1],
            u_stride: width.div_ceil(2),
            v: &planes[2],
            v_stride: width.div_ceil(2),
            matrix: self.matrix,
            range: ColourRange::Limited,
        };
        let (w, h) = (width as f64, height as f64);
        let (m, long) = (margin as f64, long as f64);
        let region: NormBox = if self.horizontal {
            [m / w, m / h, long / w, pitch / h].into()
        } else {
            [m / w, m / h, pitch / w, long / h].into()
        };
        let lamp = Lamp {
            region,
            layout: if self.horizontal {
                LampLayout::Horizontal
            } else {
                LampLayout::Vertical
            },
            lamps: self.lamps.clone(),
        };
        let reading = read(&picture, &lamp);
        assert_eq!(reading, read(&by_turns(&picture).view(), &lamp));
        reading
    }
}

/// A picture as hardware decoders give it, with rows that are padded.
struct ByTurns<'p> {
    of: I420View<'p>,
    uv: Vec<u8>,
    uv_stride: usize,
}

fn by_turns<'p>(of: &I420View<'p>) -> ByTurns<'p> {
    let half = of.width.div_ceil(2) as usize;
    let uv_stride = 2 * half + 6;
    let rows = of.u.chunks(of.u_stride).zip(of.v.chunks(of.v_stride));
    let uv = rows.flat_map(|(u, v)| {
        let pairs = u[..half].iter().zip(v).flat_map(|(u, v)| [*u, *v]);
        pairs.chain([99; 6])
    });
    ByTurns {
        of: *of,
        uv: uv.collect(),
        uv_stride,
    }
}

impl ByTurns<'_> {
    fn view(&self) -> Nv12View<'_> {
        Nv12View {
            width: self.of.width,
            height: self.of.height,
            y: self.of.y,
            y_stride: self.of.y_stride,
            uv: &self.uv,
            uv_stride: self.uv_stride,
            matrix: self.of.matrix,
            range: self.of.range,
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
fn byte(value: f64) -> u8 {
    value.round() as u8
}

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

/// How a head is looked at in `what_is_believed_is_true`.
#[derive(Clone, Debug)]
struct Look {
    /// Which of `ASPECTS`.
    aspect: usize,
    night: bool,
    /// Brightness of a lit lamp as a part of the usual, of an unlit lens by day, of the
    /// light on the glass by day.
    lamp: f64,
    lens: f64,
    veil: f64,
    shake: (f64, f64),
    pitch: usize,
    noise: f64,
    horizontal: bool,
    arrow: bool,
}

impl Look {
    fn read(&self) -> LampReading {
        let base = if self.night { NIGHT } else { DAY };
        let light = Light {
            lamp: self.lamp * base.lamp,
            lens: if self.night { base.lens } else { self.lens },
            veil: if self.night { 0.0 } else { self.veil },
            ..base
        };
        Head {
            horizontal: self.horizontal,
            pitch: self.pitch,
            shake: self.shake,
            arrow: self.arrow,
            noise: self.noise,
            ..head(light, ASPECTS[self.aspect])
        }
        .read()
    }

    fn is_true_or_doubted(&self) -> bool {
        let reading = self.read();
        reading.state == state(ASPECTS[self.aspect]) || reading.confidence < BELIEVED
    }
}

/// Found by search: each was believed for something else once.
#[test]
fn a_dim_lamp_is_not_taken_for_another() {
    let dim = Look {
        aspect: 0,
        night: false,
        lamp: 0.35,
        lens: 0.05,
        veil: 0.0,
        shake: (0.0, 0.0),
        pitch: 7,
        noise: 0.0,
        horizontal: false,
        arrow: false,
    };
    let cases = [
        // Amber in the sun, for red and amber.
        Look {
            lamp: 0.396,
            lens: 0.28,
            shake: (-0.022, -0.131),
            pitch: 12,
            ..dim
        },
        // Red in the sun, likewise.
        Look {
            aspect: 1,
            lamp: 0.532,
            lens: 0.264,
            shake: (-0.082, -0.036),
            pitch: 22,
            noise: 0.057,
            ..dim
        },
        // An amber arrow that runs together with the red lens in the sun, for red.
        Look {
            aspect: 1,
            lamp: 0.494,
            lens: 0.275,
            shake: (-0.123, -0.16),
            pitch: 26,
            noise: 0.054,
            horizontal: true,
            arrow: true,
            ..dim
        },
        // Behind light on the glass, for dark.
        Look {
            veil: 0.425,
            shake: (0.0, -0.074),
            ..dim
        },
        // Shaken out of the region at night, where noise is all that is left, for dark.
        Look {
            night: true,
            shake: (-0.194, -0.111),
            noise: 0.047,
            arrow: true,
            ..dim
        },
        // A small arrow, for dark.
        Look {
            lens: 0.126,
            veil: 0.139,
            shake: (0.0, -0.071),
            arrow: true,
            ..dim
        },
        // A red arrow that the frame's edge cuts beside amber in the sun, for both.
        Look {
            lamp: 0.453,
            lens: 0.289,
            shake: (-0.0974, 0.0806),
            pitch: 22,
            noise: 0.0486,
            arrow: true,
            ..dim
        },
        // An amber arrow that passes for a streak beside the red lens in the sun, for red.
        Look {
            aspect: 1,
            lamp: 0.69,
            lens: 0.288,
            shake: (0.0, -0.0462),
            pitch: 28,
            noise: 0.0483,
            horizontal: true,
            arrow: true,
            ..dim
        },
    ];
    for look in cases {
        assert!(look.is_true_or_doubted(), "{look:?} {:?}", look.read());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// In any light, at any size, with noise and shake: what is believed is true.
    #[test]
    fn what_is_believed_is_true(
        aspect in 0_usize..3,
        night in any::<bool>(),
        lamp in 0.35_f64..1.0,
        lens in 0.05_f64..0.3,
        veil in 0.0_f64..0.8,
        along in -0.2_f64..0.2,
        across in -0.3_f64..0.3,
        pitch in 7_usize..40,
        noise in 0.0_f64..0.06,
        horizontal in any::<bool>(),
        arrow in any::<bool>(),
    ) {
        let shake = (along, across);
        let look = Look {
            aspect, night, lamp, lens, veil, shake, pitch, noise, horizontal, arrow,
        };
        let reading = look.read();
        prop_assert!((0.0..=1.0).contains(&reading.confidence));
        prop_assert!(look.is_true_or_doubted(), "{:?}", reading);
    }

    /// Pixels of any kind: an answer, never a panic.
    #[test]
    fn any_pixels_give_an_answer(
        bytes in prop::collection::vec(any::<u8>(), 24 * 24 * 3 / 2),
        region in [-0.5_f64..1.5, -0.5..1.5, -0.5..1.5, -0.5..1.5],
        lamps in 0_usize..4,
        horizontal in any::<bool>(),
    ) {
        let picture = I420View {
            width: 24,
            height: 24,
            y: &bytes[..576],
            y_stride: 24,
            u: &bytes[576..720],
            u_stride: 12,
            v: &bytes[720..],
            v_stride: 12,
            matrix: ColourMatrix::Bt601,
            range: ColourRange::Full,
        };
        let lamp = Lamp {
            region: region.into(),
            layout: if horizontal { LampLayout::Horizontal } else { LampLayout::Vertical },
            lamps: [Red, Amber, Green][..lamps].to_vec(),
        };
        let reading = read(&picture, &lamp);
        prop_assert!((0.0..=1.0).contains(&reading.confidence));
    }
}
