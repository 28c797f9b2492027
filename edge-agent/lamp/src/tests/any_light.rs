//! Any head in any light, and any pixels: what is believed is true.

use edge_core::{Lamp, LampColour, LampLayout};
use models::{ColourMatrix, ColourRange, I420View};
use proptest::prelude::*;

use LampColour::{Amber, Green, Red};

use super::drawn_head::{DAY, Head, Light, NIGHT, head};
use super::{ASPECTS, BELIEVED, state};
use crate::{LampReading, read};

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
