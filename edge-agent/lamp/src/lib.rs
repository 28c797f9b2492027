//! What a traffic light shows, read from its region of one picture.
//!
//! A lit lamp is a light between dark surroundings, and it is believed by
//! colour *and* position: a lamp that overexposes is white in the middle and
//! has its colour in the halo; a bus reflected in the glass has no lamp's
//! colour; a shaken camera shows the red lamp where amber should be. Where both
//! agree the reading is certain, one alone gives half of that, and where they
//! contradict each other it is unknown. So is whatever fills the region from
//! side to side, as a truck does that stands before the head.
//!
//! One look may err; edge-core takes the weighted majority over time, and a
//! rule never accuses on `unknown`. Pure: no clock, no files, no video library.

mod light;
mod patch;

use edge_core::{Lamp, LampColour};
use models::PictureView;
use protocol::SignalState;

use light::Light;
use patch::Patch;

/// One look at a lamp region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LampReading {
    /// What it seems to show.
    pub state: SignalState,
    /// 0 to 1.
    pub confidence: f64,
}

impl LampReading {
    const UNREADABLE: Self = Self {
        state: SignalState::Unknown,
        confidence: 0.0,
    };
}

/// How much brighter than its surroundings a lit lamp is, a fraction of full
/// scale. Lenses in the sun reach 0.2 without being lit.
const LIT: f64 = 0.30;
/// What is less bright than that is certainly not lit.
const UNLIT: f64 = 0.18;
/// What is much fainter than the brightest lamp is a lens in its light.
const FAINT: f64 = 0.6;
/// What a lamp is worth that a narrow light outshines.
const OUTSHONE: f64 = 0.5;
/// Two lamps that burn together are about alike; below this ratio of the fainter
/// to the brighter one the fainter may be a lens with the sun on it.
const ALIKE: f64 = 0.9;
/// Surroundings that are brighter are no signal head's, unless light lies on the glass.
const BRIGHTEST_HOUSING: f64 = 0.5;
/// What surrounds the lamps is about this bright in the sun. Where it is brighter, light
/// lies on the glass, and at twice this a dim lamp drowns in it.
const SUNLIT_HOUSING: f64 = 0.18;
/// Structure below this is a plain surface, or night.
const PLAIN: f64 = 0.06;
/// Confidence in "not lit" where nothing shows that it is the head that is
/// seen. Below what is ever believed, and edge-core takes it for a doubt.
const NOT_LIT: f64 = 0.3;
/// How far from its place a lamp may seem to be, in distances between lamps
/// (one standard deviation): half of them apart it may be either.
const PLACE_SPREAD: f64 = 0.42;
/// What no opinion on colour is worth: below one half, so that position alone
/// is not believed by a group with the usual `min_confidence`.
const NO_COLOUR: f64 = 0.3;
/// Beside a light with colour, one with less than this part of it is a reflection.
const PALE: f64 = 0.5;
/// What yellow is worth for an overexposed red lamp.
const YELLOW_RED: f64 = 0.7;
/// What colour and place must be worth at least.
const FOREIGN_COLOUR: f64 = 0.3;
const FOREIGN_PLACE: f64 = 0.15;

/// Reads the lamps of `lamp` from `picture`.
pub fn read<'p>(picture: impl Into<PictureView<'p>>, lamp: &Lamp) -> LampReading {
    let lamps = lamp.lamps.len();
    let Some(patch) = Patch::of(&picture.into(), lamp).filter(|_| lamps > 0) else {
        return LampReading::UNREADABLE;
    };
    let mut lights = light::find(&patch, 1.0 / lamps as f64, UNLIT);
    let found = lights.len();
    lights.retain(|light| !light.is_seam());
    let is_whole = lights.len() == found;
    let strongest = lights
        .iter()
        .map(|light| light.strength)
        .fold(0.0, f64::max);
    if strongest < LIT {
        // Lenses are alike in the sun; one that stands out may be a dim lamp.
        let faint = light::find(&patch, 1.0 / lamps as f64, UNLIT / 4.0).len();
        let is_alike = faint == 0 || (faint == lamps && lamps > 1);
        return not_lit(&patch, strongest > 0.0 || !is_alike, is_whole);
    }
    let mut lit: Vec<&Light> = lights
        .iter()
        .filter(|light| light.strength >= FAINT * strongest)
        .collect();
    let bright = lit.len();
    // The sun on a visor, or sky between the lamps: beside a coloured light,
    // what is pale is none of them.
    let strongest_colour = lit.iter().map(|light| light.saturation).fold(0.0, f64::max);
    lit.retain(|light| light.saturation >= PALE * strongest_colour);
    let mut doubt = 1.0;
    if lit.iter().any(|light| !light.is_streak()) {
        let brightest_of = |is_streak| {
            let alike = lit.iter().filter(|light| light.is_streak() == is_streak);
            alike.map(|light| light.strength).fold(0.0, f64::max)
        };
        // A narrow light of a lamp's colour that outshines what is taken for the lamp may
        // be the lamp, an arrow, beside a lens in the sun.
        if brightest_of(true) > brightest_of(false) {
            doubt = OUTSHONE;
        }
        lit.retain(|light| !light.is_streak());
    }
    let seen: Option<Vec<Seen>> = lit.iter().map(|light| see(light, lamp)).collect();
    // Light on the glass raises everything; what is left of the contrast counts.
    let veil = ((0.25 + BRIGHTEST_HOUSING - patch.housing) / 0.25).clamp(0.0, 1.0);
    let together = |seen: &[Seen]| seen.iter().map(|s| s.confidence).fold(veil, f64::min) * doubt;
    match seen.as_deref() {
        Some(all @ [one]) => LampReading {
            state: match one.colour {
                LampColour::Red => SignalState::Red,
                LampColour::Amber => SignalState::Amber,
                LampColour::Green => SignalState::Green,
            },
            confidence: together(all),
        },
        Some(all @ [a, b]) if [a.colour, b.colour] == [LampColour::Red, LampColour::Amber] => {
            // With a third one they may all be lenses in the sun.
            let is_pair = if bright == 2 { 1.0 } else { 0.0 };
            LampReading {
                state: SignalState::RedAmber,
                confidence: is_pair * together(all) * alike(&lit),
            }
        }
        // All lenses alike in the sun: at any rate none of them stands out.
        _ if lit.len() >= 3 && strongest < 2.0 * LIT => LampReading {
            state: SignalState::Dark,
            confidence: 0.0,
        },
        _ => LampReading::UNREADABLE,
    }
}

/// How surely the fainter of these lights is a lamp as well, 0 to 1.
fn alike(lit: &[&Light]) -> f64 {
    let strengths = lit.iter().map(|light| light.strength);
    let brightest = strengths.clone().fold(0.0, f64::max);
    let faintest = strengths.fold(brightest, f64::min);
    ((faintest / brightest - FAINT) / (ALIKE - FAINT)).clamp(0.0, 1.0)
}

/// Nothing shines like a lamp, though one may glimmer. Is it the head that is seen, the
/// whole of it, or what stands before it?
fn not_lit(patch: &Patch, glimmers: bool, is_whole: bool) -> LampReading {
    if patch.housing > BRIGHTEST_HOUSING {
        return LampReading::UNREADABLE;
    }
    let is_head = patch.structure >= PLAIN && is_whole && !glimmers;
    let certainty = (2.0 - patch.housing / SUNLIT_HOUSING).clamp(0.0, 1.0);
    LampReading {
        state: SignalState::Dark,
        confidence: if is_head {
            certainty.max(NOT_LIT)
        } else {
            NOT_LIT
        },
    }
}

/// A light taken for one of the lamps.
#[derive(Clone, Copy, Debug)]
struct Seen {
    colour: LampColour,
    confidence: f64,
}

/// Which lamp a light is, if it can be one.
fn see(light: &Light, lamp: &Lamp) -> Option<Seen> {
    let pitch = 1.0 / lamp.lamps.len() as f64;
    let mut scores: Vec<(f64, f64, LampColour)> = lamp
        .lamps
        .iter()
        .enumerate()
        .map(|(index, colour)| {
            let off = (light.place - (index as f64 + 0.5) * pitch) / (PLACE_SPREAD * pitch);
            let by_colour = light
                .hue
                .map_or(NO_COLOUR, |hue| suits(*colour, hue, light));
            (libm::exp(-0.5 * off * off), by_colour, *colour)
        })
        .collect();
    let worth = |(place, by_colour, _): &(f64, f64, LampColour)| place * by_colour;
    scores.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
    let best = *scores.first()?;
    let (place, by_colour, colour) = best;
    let is_foreign = light.hue.is_some() && by_colour < FOREIGN_COLOUR;
    if is_foreign || place < FOREIGN_PLACE || light.is_flat() || light.is_two() {
        return None;
    }
    let runner_up = scores.get(1).map_or(0.0, worth);
    let lead = 1.0 - runner_up / worth(&best);
    let agreement = worth(&best).sqrt();
    let contrast = (light.strength / (1.5 * LIT)).min(1.0);
    Some(Seen {
        colour,
        confidence: agreement * lead * contrast * light.roundness(),
    })
}

/// How well a light's hue suits a lamp, 0 to 1: an overexposed red one may
/// look as yellow as amber, and then its place tells.
fn suits(colour: LampColour, hue: f64, light: &Light) -> f64 {
    let plain = likelihood(colour, hue);
    if colour == LampColour::Red && light.is_overexposed {
        plain.max(YELLOW_RED * likelihood(LampColour::Amber, hue))
    } else {
        plain
    }
}

/// How well a hue in degrees suits a lamp's colour, 0 to 1.
///
/// The colours of CIE S 004 (red about 620 nm, yellow 590 nm, green 500 nm,
/// which is bluish) as cameras show them, LED and incandescent; between red
/// and amber both are possible.
fn likelihood(colour: LampColour, hue: f64) -> f64 {
    // From where it falls off, from where to where it is certain, to where.
    let [from, sure_from, sure_to, to] = match colour {
        LampColour::Red => [-60.0, -30.0, 14.0, 30.0],
        LampColour::Amber => [14.0, 28.0, 58.0, 72.0],
        LampColour::Green => [72.0, 90.0, 195.0, 220.0],
    };
    let hue = if hue > 270.0 { hue - 360.0 } else { hue };
    let rise = (hue - from) / (sure_from - from);
    let fall = (to - hue) / (to - sure_to);
    rise.min(fall).clamp(0.02, 1.0)
}

#[cfg(test)]
mod tests;
