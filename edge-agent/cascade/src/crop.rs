//! The part of a road user's box that a second model is shown.
//!
//! Boxes are of the detector of road users: a rider's ends at the shoes, a car's
//! at its outline. A share of the box is added on each side, because heads stick
//! out and plates are cut in half by a box that is a little too small.

use protocol::NormBox;

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crop {
    /// All of it.
    Whole,
    /// The upper half: head and shoulders, the load of a truck.
    Upper,
    /// The lower three fifths: where plates are.
    Lower,
    /// Behind the windscreen of a vehicle that comes towards the camera.
    Windscreen,
    /// The half of the windscreen behind which the driver sits where the wheel is on
    /// the left, as in Vietnam: on the right in the picture of a vehicle that
    /// comes towards the camera.
    Driver,
    /// Each rider of a two-wheeler, from the hips up; where the detector sees no
    /// rider, what is above the machine.
    Riders,
}

/// Part of the box as left, top, width and height of it.
type Part = [f64; 4];

const UPPER: Part = [0.0, 0.0, 1.0, 0.5];
const LOWER: Part = [0.0, 0.4, 1.0, 0.6];
// From the roof's edge to the bonnet, by eye on cars, buses and trucks from a mast.
const WINDSCREEN: Part = [0.0, 0.05, 1.0, 0.5];
const DRIVER: Part = [0.5, 0.05, 0.5, 0.5];
const RIDER: Part = [0.0, 0.0, 1.0, 0.6];
// A seated upper body is about as tall as the machine.
const ABOVE: Part = [0.0, -0.9, 1.0, 1.3];

impl Crop {
    /// Every part, with its word in configurations.
    pub const ALL: [(&'static str, Self); 6] = [
        ("whole", Self::Whole),
        ("upper", Self::Upper),
        ("lower", Self::Lower),
        ("windscreen", Self::Windscreen),
        ("driver", Self::Driver),
        ("riders", Self::Riders),
    ];

    /// The part with this word.
    pub fn of_word(word: &str) -> Option<Self> {
        let named = Self::ALL.iter().find(|(name, _)| *name == word);
        named.map(|(_, crop)| *crop)
    }

    /// The word in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Upper => "upper",
            Self::Lower => "lower",
            Self::Windscreen => "windscreen",
            Self::Driver => "driver",
            Self::Riders => "riders",
        }
    }

    /// Whether what the parts are to show is wholly in the picture. What a
    /// detector saw of a rider whose head is beyond the upper edge has no head, and is no bare one.
    pub fn is_whole(self, bounds: &NormBox, riders: &[NormBox]) -> bool {
        if self == Self::Riders && !riders.is_empty() {
            let mut parts = riders.iter().map(|rider| taken(rider, RIDER));
            return is_within(bounds) && parts.all(|part| is_within(&part));
        }
        is_within(bounds) && is_within(&taken(bounds, self.part()))
    }

    const fn part(self) -> Part {
        match self {
            Self::Whole => [0.0, 0.0, 1.0, 1.0],
            Self::Upper => UPPER,
            Self::Lower => LOWER,
            Self::Windscreen => WINDSCREEN,
            Self::Driver => DRIVER,
            Self::Riders => ABOVE,
        }
    }

    /// The parts of the picture to look at for a road user in `bounds` with
    /// riders in `riders`; `margin` is added on each side, part of what is shown.
    /// Cut at the edges of the picture; empty parts are left out.
    pub fn parts(self, bounds: &NormBox, riders: &[NormBox], margin: f64) -> Vec<NormBox> {
        let one = |body: &NormBox, part: Part| cut(&grown(&taken(body, part), margin));
        if self == Self::Riders && !riders.is_empty() {
            return riders.iter().filter_map(|r| one(r, RIDER)).collect();
        }
        one(bounds, self.part()).into_iter().collect()
    }
}

/// What covers more of a part than this covers what matters.
const MOST_COVERED: f64 = 0.15;

/// Whether somebody else, nearer than who is in `bounds`, stands before what matters of a part of it.
pub fn is_covered_by(other: &NormBox, bounds: &NormBox, part: &NormBox) -> bool {
    other.bottom() > bounds.bottom() && shared(part, other) > MOST_COVERED * part.area()
}

fn shared(a: &NormBox, b: &NormBox) -> f64 {
    let width = a.right().min(b.right()) - a.x.max(b.x);
    let height = a.bottom().min(b.bottom()) - a.y.max(b.y);
    width.max(0.0) * height.max(0.0)
}

/// A box this near to the picture's edge may go on beyond, part of the picture.
const EDGE: f64 = 0.005;

fn is_within(bounds: &NormBox) -> bool {
    bounds.x >= EDGE
        && bounds.y >= EDGE
        && bounds.right() <= 1.0 - EDGE
        && bounds.bottom() <= 1.0 - EDGE
}

fn taken(body: &NormBox, [left, top, width, height]: Part) -> NormBox {
    NormBox {
        x: body.x + left * body.width,
        y: body.y + top * body.height,
        width: width * body.width,
        height: height * body.height,
    }
}

fn grown(bounds: &NormBox, margin: f64) -> NormBox {
    let (aside, above) = (margin * bounds.width, margin * bounds.height);
    NormBox {
        x: bounds.x - aside,
        y: bounds.y - above,
        width: bounds.width + 2.0 * aside,
        height: bounds.height + 2.0 * above,
    }
}

/// What of it is in the picture.
fn cut(bounds: &NormBox) -> Option<NormBox> {
    let (left, top) = (bounds.x.clamp(0.0, 1.0), bounds.y.clamp(0.0, 1.0));
    let (right, bottom) = (
        bounds.right().clamp(0.0, 1.0),
        bounds.bottom().clamp(0.0, 1.0),
    );
    let (width, height) = (right - left, bottom - top);
    (width > 0.0 && height > 0.0).then_some(NormBox {
        x: left,
        y: top,
        width,
        height,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: NormBox = NormBox {
        x: 0.4,
        y: 0.4,
        width: 0.2,
        height: 0.4,
    };

    #[track_caller]
    fn check(crop: Crop, riders: &[NormBox], margin: f64, expected: &[[f64; 4]]) {
        let parts = crop.parts(&BODY, riders, margin);
        let edges: Vec<[f64; 4]> = parts
            .iter()
            .map(|part| <[f64; 4]>::from(*part).map(|edge| (edge * 1e6).round() / 1e6))
            .collect();
        assert_eq!(edges, expected, "{crop:?}");
    }

    #[test]
    fn parts_of_a_box() {
        check(Crop::Whole, &[], 0.0, &[[0.4, 0.4, 0.2, 0.4]]);
        check(Crop::Whole, &[], 0.1, &[[0.38, 0.36, 0.24, 0.48]]);
        check(Crop::Upper, &[], 0.0, &[[0.4, 0.4, 0.2, 0.2]]);
        check(Crop::Lower, &[], 0.0, &[[0.4, 0.56, 0.2, 0.24]]);
        check(Crop::Driver, &[], 0.0, &[[0.5, 0.42, 0.1, 0.2]]);
    }

    #[test]
    fn each_rider_is_a_part_and_without_riders_what_is_above_the_machine() {
        let riders = [
            NormBox {
                x: 0.4,
                y: 0.2,
                width: 0.1,
                height: 0.4,
            },
            NormBox {
                x: 0.5,
                y: 0.2,
                width: 0.1,
                height: 0.4,
            },
        ];
        check(
            Crop::Riders,
            &riders,
            0.0,
            &[[0.4, 0.2, 0.1, 0.24], [0.5, 0.2, 0.1, 0.24]],
        );
        check(Crop::Riders, &[], 0.0, &[[0.4, 0.04, 0.2, 0.52]]);
    }

    #[test]
    fn parts_are_cut_at_the_edge_and_beyond_it_there_is_none() {
        let beyond = NormBox {
            x: 1.2,
            y: 0.2,
            width: 0.1,
            height: 0.1,
        };
        assert_eq!(Crop::Whole.parts(&beyond, &[], 0.1), []);
        let across = NormBox {
            x: 0.95,
            y: 0.2,
            width: 0.1,
            height: 0.1,
        };
        let part = Crop::Whole.parts(&across, &[], 0.0)[0];
        assert!((part.right() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn every_part_has_its_word() {
        for (word, crop) in Crop::ALL {
            assert_eq!((crop.as_str(), Crop::of_word(word)), (word, Some(crop)));
        }
        assert_eq!(Crop::of_word("windshield"), None);
    }
}
