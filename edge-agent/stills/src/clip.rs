//! Cutting shapes to the neighbourhood of the picture, before OpenCV sees them.
//!
//! Its rasteriser works in 32-bit fixed point: a zone typed in pixels would
//! overflow it and come out as a shape that was never configured.

use protocol::Point;

/// A place in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spot {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// An upright rectangle in pixels; right and bottom are outside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Area {
    pub(crate) fn new(left: f64, top: f64, width: f64, height: f64) -> Self {
        Self {
            left,
            top,
            right: left + width,
            bottom: top + height,
        }
    }

    pub(crate) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(crate) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// Larger by `margin` on every side.
    pub(crate) fn grown(&self, margin: f64) -> Self {
        Self {
            left: self.left - margin,
            top: self.top - margin,
            right: self.right + margin,
            bottom: self.bottom + margin,
        }
    }

    /// The smallest that holds all `spots`.
    pub(crate) fn around(spots: &[Spot]) -> Option<Self> {
        let first = spots.first()?;
        let start = Self::new(first.x, first.y, 0.0, 0.0);
        Some(spots.iter().fold(start, |area, spot| Self {
            left: area.left.min(spot.x),
            top: area.top.min(spot.y),
            right: area.right.max(spot.x),
            bottom: area.bottom.max(spot.y),
        }))
    }

    /// What two areas share, in square pixels.
    pub(crate) fn shared(&self, other: &Self) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    pub(crate) fn corners(&self) -> [Spot; 4] {
        [
            Spot {
                x: self.left,
                y: self.top,
            },
            Spot {
                x: self.right,
                y: self.top,
            },
            Spot {
                x: self.right,
                y: self.bottom,
            },
            Spot {
                x: self.left,
                y: self.bottom,
            },
        ]
    }
}

/// The place in pixels of a normalised point; nothing when it is not a number.
pub(crate) fn to_pixels(point: Point, picture: &Area) -> Option<Spot> {
    // Far beyond any lens, near enough for exact arithmetic.
    const FAR: f64 = 1e6;
    (point.x.is_finite() && point.y.is_finite()).then(|| Spot {
        x: point.x.clamp(-FAR, FAR) * picture.width(),
        y: point.y.clamp(-FAR, FAR) * picture.height(),
    })
}

/// The part of a segment inside `area` (Liang–Barsky).
pub(crate) fn segment(from: Spot, to: Spot, area: &Area) -> Option<(Spot, Spot)> {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    for (step, room) in [
        (-dx, from.x - area.left),
        (dx, area.right - from.x),
        (-dy, from.y - area.top),
        (dy, area.bottom - from.y),
    ] {
        if step == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if step < 0.0 {
            enter = enter.max(room / step);
        } else {
            leave = leave.min(room / step);
        }
    }
    let at = |share: f64| Spot {
        x: from.x + share * dx,
        y: from.y + share * dy,
    };
    (enter <= leave).then(|| (at(enter), at(leave)))
}

/// The part of a polygon inside `area` (Sutherland–Hodgman).
pub(crate) fn polygon(spots: &[Spot], area: &Area) -> Vec<Spot> {
    // Signed distance into the area from each of its sides.
    let sides: [fn(&Spot, &Area) -> f64; 4] = [
        |s, a| s.x - a.left,
        |s, a| a.right - s.x,
        |s, a| s.y - a.top,
        |s, a| a.bottom - s.y,
    ];
    let mut kept = spots.to_vec();
    for inside in sides {
        let before = std::mem::take(&mut kept);
        let Some(mut last) = before.last().copied() else {
            break;
        };
        for spot in before {
            let (was, is) = (inside(&last, area), inside(&spot, area));
            if (was < 0.0) != (is < 0.0) {
                let share = was / (was - is);
                kept.push(Spot {
                    x: last.x + share * (spot.x - last.x),
                    y: last.y + share * (spot.y - last.y),
                });
            }
            if is >= 0.0 {
                kept.push(spot);
            }
            last = spot;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Area = Area {
        left: 0.0,
        top: 0.0,
        right: 10.0,
        bottom: 10.0,
    };

    fn spot(x: f64, y: f64) -> Spot {
        Spot { x, y }
    }

    #[test]
    fn a_segment_keeps_its_direction_when_cut() {
        let cases = [
            ((2.0, 2.0), (8.0, 8.0), Some(((2.0, 2.0), (8.0, 8.0)))),
            ((-10.0, 5.0), (20.0, 5.0), Some(((0.0, 5.0), (10.0, 5.0)))),
            ((-5.0, 0.0), (5.0, 10.0), Some(((0.0, 5.0), (5.0, 10.0)))),
            ((-5.0, 5.0), (5.0, 25.0), None),
            ((-5.0, -1.0), (15.0, -1.0), None),
            ((3.0, 3.0), (3.0, 3.0), Some(((3.0, 3.0), (3.0, 3.0)))),
            ((11.0, 3.0), (11.0, 3.0), None),
        ];
        for ((x0, y0), (x1, y1), expected) in cases {
            let cut = segment(spot(x0, y0), spot(x1, y1), &AREA);
            assert_eq!(cut.map(|(a, b)| ((a.x, a.y), (b.x, b.y))), expected);
        }
    }

    #[test]
    fn a_polygon_around_the_picture_becomes_the_picture() {
        let around = [
            spot(-1e9, -1e9),
            spot(1e9, -1e9),
            spot(1e9, 1e9),
            spot(-1e9, 1e9),
        ];
        let cut = polygon(&around, &AREA);
        assert_eq!(Area::around(&cut), Some(AREA));
        assert!(
            polygon(
                &[spot(20.0, 20.0), spot(30.0, 20.0), spot(30.0, 30.0)],
                &AREA
            )
            .is_empty()
        );
        assert!(polygon(&[], &AREA).is_empty());
    }

    #[test]
    fn what_is_not_a_number_has_no_place() {
        assert_eq!(
            to_pixels(Point { x: 0.5, y: 0.25 }, &AREA),
            Some(spot(5.0, 2.5))
        );
        assert_eq!(
            to_pixels(
                Point {
                    x: f64::NAN,
                    y: 0.0
                },
                &AREA
            ),
            None
        );
        assert_eq!(
            to_pixels(
                Point {
                    x: 0.0,
                    y: f64::INFINITY
                },
                &AREA
            ),
            None
        );
    }
}
