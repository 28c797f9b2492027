//! What a traffic light shows, read from its region of the picture.
//!
//! A lamp is lit when its third of the region is much brighter than the dark
//! of the housing, and it is believed by colour *and* position: overexposed
//! lamps are white in the middle, so position decides; a bus reflected in the
//! glass has no lamp's colour, so colour doubts. One look may err; edge-core
//! takes the majority over time and a rule never accuses on `unknown`.

use edge_core::{Lamp, LampLayout};
use models::I420View;
use protocol::SignalState;
use protocol::geometry::NormBox;

/// One look at a lamp region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LampReading {
    /// What it seems to show.
    pub state: SignalState,
    /// 0 to 1.
    pub confidence: f64,
}

/// Smallest lamp region that is read, in pixels of either side.
const SMALLEST_REGION_PX: u32 = 6;
/// How much brighter than the housing a lit lamp is, as a fraction of full scale.
const LIT_CONTRAST: f64 = 0.18;
/// Chroma below this is white or grey: no opinion on colour. 8-bit units.
const COLOURLESS: f64 = 10.0;

/// What a lamp's contrast in luma is worth: at the same light, red has a luma
/// of about 0.3, amber 0.7, green 0.6 of white (BT.601 weights, LED spectra).
const RED_GAIN: f64 = 1.8;
const AMBER_GAIN: f64 = 1.0;
const GREEN_GAIN: f64 = 1.1;

/// Directions of the lamps' colours in the (Cb, Cr) plane. Signal colours of
/// CIE S 004: red about 620 nm, yellow 590 nm, green 500–510 nm (blueish);
/// LED and incandescent green differ, so green has two.
const RED: [[f64; 2]; 1] = [[-0.35, 0.94]];
const AMBER: [[f64; 2]; 1] = [[-0.93, 0.37]];
const GREEN: [[f64; 2]; 2] = [[0.1, -0.99], [-0.66, -0.75]];

/// Reads the lamps of `lamp` from `picture`.
pub fn read(picture: &I420View<'_>, lamp: &Lamp) -> LampReading {
    let unreadable = LampReading {
        state: SignalState::Unknown,
        confidence: 0.0,
    };
    let Some(region) = Pixels::of(picture, lamp.region) else {
        return unreadable;
    };
    let mut all = Vec::new();
    let thirds: [Vec<[u8; 3]>; 3] = std::array::from_fn(|third| {
        let part = match lamp.layout {
            LampLayout::Vertical => region.third_down(third),
            LampLayout::Horizontal => region.third_across(third),
        };
        let pixels = part.read(picture);
        all.extend(pixels.iter().map(|pixel| pixel[0]));
        pixels
    });
    all.sort_unstable();
    let housing = f64::from(all[all.len() / 4]);
    let [red, amber, green] = [
        RED_GAIN * lit_score(&thirds[0], housing, &RED),
        AMBER_GAIN * lit_score(&thirds[1], housing, &AMBER),
        GREEN_GAIN * lit_score(&thirds[2], housing, &GREEN),
    ];
    judge(red, amber, green)
}

fn judge(red: f64, amber: f64, green: f64) -> LampReading {
    let strongest = red.max(amber).max(green);
    if strongest < LIT_CONTRAST {
        // Certain only when nothing comes near: a dim lamp in the sun is not dark.
        let confidence = (1.0 - strongest / LIT_CONTRAST).clamp(0.0, 1.0);
        return LampReading {
            state: SignalState::Dark,
            confidence,
        };
    }
    let is_lit = |score: f64| score >= LIT_CONTRAST && score >= 0.6 * strongest;
    let (state, runner_up) = match (is_lit(red), is_lit(amber), is_lit(green)) {
        (true, false, false) => (SignalState::Red, amber.max(green)),
        (true, true, false) => (SignalState::RedAmber, green),
        (false, true, false) => (SignalState::Amber, red.max(green)),
        (false, false, true) => (SignalState::Green, red.max(amber)),
        _ => {
            return LampReading {
                state: SignalState::Unknown,
                confidence: 0.0,
            };
        }
    };
    let lead = (1.0 - runner_up / strongest).clamp(0.0, 1.0);
    let brightness = (strongest / (2.0 * LIT_CONTRAST)).clamp(0.0, 1.0);
    LampReading {
        state,
        confidence: lead * brightness,
    }
}

/// Contrast of the brightest fifth against the housing, a fraction of full scale, held down
/// where its colour is not the lamp's.
fn lit_score(pixels: &[[u8; 3]], housing: f64, colours: &[[f64; 2]]) -> f64 {
    let mut brightest: Vec<&[u8; 3]> = pixels.iter().collect();
    brightest.sort_unstable_by(|a, b| b[0].cmp(&a[0]));
    brightest.truncate((pixels.len() / 5).max(1));
    let count = brightest.len() as f64;
    let mean = |channel: usize| {
        brightest
            .iter()
            .map(|pixel| f64::from(pixel[channel]))
            .sum::<f64>()
            / count
    };
    let contrast = ((mean(0) - housing) / 255.0).max(0.0);
    let (cb, cr) = (mean(1) - 128.0, mean(2) - 128.0);
    let chroma = cb.hypot(cr);
    if chroma < COLOURLESS {
        return contrast * 0.6;
    }
    let agreement = colours
        .iter()
        .map(|[b, r]| (cb * b + cr * r) / chroma)
        .fold(f64::NEG_INFINITY, f64::max);
    contrast * agreement.max(0.0)
}

/// A rectangle in whole pixels, within the picture.
#[derive(Clone, Copy)]
struct Pixels {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Pixels {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the picture
    fn of(picture: &I420View<'_>, region: NormBox) -> Option<Self> {
        let (w, h) = (f64::from(picture.width), f64::from(picture.height));
        let left = (region.x * w).round().clamp(0.0, w) as u32;
        let top = (region.y * h).round().clamp(0.0, h) as u32;
        let right = (region.right() * w).round().clamp(0.0, w) as u32;
        let bottom = (region.bottom() * h).round().clamp(0.0, h) as u32;
        let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
        (width >= SMALLEST_REGION_PX && height >= SMALLEST_REGION_PX).then_some(Self {
            left,
            top,
            width,
            height,
        })
    }

    fn third_down(self, third: usize) -> Self {
        let (from, to) = third_of(self.height, third);
        Self {
            top: self.top + from,
            height: to - from,
            ..self
        }
    }

    fn third_across(self, third: usize) -> Self {
        let (from, to) = third_of(self.width, third);
        Self {
            left: self.left + from,
            width: to - from,
            ..self
        }
    }

    fn read(self, picture: &I420View<'_>) -> Vec<[u8; 3]> {
        let mut pixels = Vec::with_capacity((self.width * self.height) as usize);
        for y in self.top..self.top + self.height {
            for x in self.left..self.left + self.width {
                let (x, y) = (x as usize, y as usize);
                pixels.push([
                    picture.y[y * picture.y_stride + x],
                    picture.u[y / 2 * picture.u_stride + x / 2],
                    picture.v[y / 2 * picture.v_stride + x / 2],
                ]);
            }
        }
        pixels
    }
}

fn third_of(length: u32, third: usize) -> (u32, u32) {
    let third = u32::try_from(third).unwrap_or(2);
    (length * third / 3, length * (third + 1) / 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::{ColourMatrix, ColourRange};

    /// A grey street with a dark vertical housing of 20×60 pixels at (40, 20)
    /// whose lamps have the given (Y, Cb, Cr).
    fn look(lamps: [[u8; 3]; 3], glare: u8) -> LampReading {
        let (width, height) = (100_usize, 100_usize);
        let mut y = vec![110_u8; width * height];
        let mut u = vec![128_u8; width * height / 4];
        let mut v = vec![128_u8; width * height / 4];
        for row in 20..80 {
            for column in 40..60 {
                y[row * width + column] = 30 + glare;
            }
        }
        for (third, lamp) in lamps.iter().enumerate() {
            let (cy, cx) = (30 + 20 * third, 50);
            for row in cy - 7..cy + 7 {
                for column in cx - 7..cx + 7 {
                    y[row * width + column] = lamp[0].max(30 + glare);
                    u[row / 2 * width / 2 + column / 2] = lamp[1];
                    v[row / 2 * width / 2 + column / 2] = lamp[2];
                }
            }
        }
        let picture = I420View {
            width: 100,
            height: 100,
            y: &y,
            y_stride: width,
            u: &u,
            u_stride: width / 2,
            v: &v,
            v_stride: width / 2,
            matrix: ColourMatrix::Bt601,
            range: ColourRange::Limited,
        };
        let lamp = Lamp {
            region: [0.4, 0.2, 0.2, 0.6].into(),
            layout: LampLayout::Vertical,
        };
        read(&picture, &lamp)
    }

    const OFF: [u8; 3] = [35, 128, 128];
    const LIT_RED: [u8; 3] = [110, 100, 215];
    const LIT_AMBER: [u8; 3] = [190, 40, 160];
    const LIT_GREEN: [u8; 3] = [170, 130, 60];
    const WHITE: [u8; 3] = [235, 128, 128];

    #[test]
    fn each_aspect_is_read_by_colour_and_position() {
        for (lamps, state) in [
            ([LIT_RED, OFF, OFF], SignalState::Red),
            ([LIT_RED, LIT_AMBER, OFF], SignalState::RedAmber),
            ([OFF, LIT_AMBER, OFF], SignalState::Amber),
            ([OFF, OFF, LIT_GREEN], SignalState::Green),
            ([OFF, OFF, OFF], SignalState::Dark),
            // Two lamps that never go together: a reflection, or a fault.
            ([LIT_RED, OFF, LIT_GREEN], SignalState::Unknown),
        ] {
            let reading = look(lamps, 0);
            assert_eq!(reading.state, state, "{lamps:?} {reading:?}");
        }
    }

    #[test]
    fn an_overexposed_lamp_is_known_by_its_place() {
        assert_eq!(look([WHITE, OFF, OFF], 0).state, SignalState::Red);
        assert_eq!(look([OFF, OFF, WHITE], 0).state, SignalState::Green);
    }

    #[test]
    fn a_green_reflection_in_the_red_lamp_is_not_red() {
        assert_ne!(look([LIT_GREEN, OFF, OFF], 0).state, SignalState::Red);
    }

    #[test]
    fn glare_lowers_the_confidence() {
        let (clear, glare) = (look([LIT_RED, OFF, OFF], 0), look([LIT_RED, OFF, OFF], 60));
        assert!(glare.confidence < clear.confidence, "{clear:?} {glare:?}");
        assert!(clear.confidence > 0.6, "{clear:?}");
    }

    #[test]
    fn a_region_outside_or_too_small_is_unknown() {
        for region in [
            [1.2, 0.0, 0.1, 0.1],
            [0.5, 0.5, 0.01, 0.5],
            [0.5, 0.5, -0.1, 0.1],
        ] {
            let grey = [128_u8; 64 * 64];
            let picture = I420View {
                width: 64,
                height: 64,
                y: &grey,
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
            };
            assert_eq!(read(&picture, &lamp).state, SignalState::Unknown);
        }
    }
}
