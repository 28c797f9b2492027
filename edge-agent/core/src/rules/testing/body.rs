//! What a story puts in front of the camera, and where it is at which time.

use protocol::{Detection, NormBox, ObjectClass};

#[derive(Debug)]
pub(super) struct Body {
    pub(super) name: String,
    pub(super) class: ObjectClass,
    /// Time, place, and whether it is seen on the way from here.
    pub(super) way: Vec<(f64, (f64, f64), bool)>,
    /// From when on under which id.
    pub(super) ids: Vec<(f64, u16)>,
    /// Which mark, from when on, and with what score; 0 is not at all. And on which side of the
    /// windscreen: 1 is the driver's, -1 the passenger's.
    pub(super) marks: Vec<(ObjectClass, f64, f64, f64)>,
    /// When it is how large.
    pub(super) sizes: Vec<(f64, (f64, f64))>,
    /// When a cascade looks at it, and what it will say.
    pub(super) looks: Vec<(f64, String, f64)>,
    /// Whether the detector does not know such things.
    pub(super) is_unseen: bool,
}

impl Body {
    pub(super) fn at(&self, t: f64) -> Option<(f64, f64)> {
        let next = self.way.iter().position(|(time, ..)| *time > t + 1e-9);
        match next {
            Some(0) => None,
            Some(next) => {
                let (from, a, seen) = self.way[next - 1];
                let (to, b, _) = self.way[next];
                let part = (t - from) / (to - from);
                seen.then_some((a.0 + (b.0 - a.0) * part, a.1 + (b.1 - a.1) * part))
            }
            None => {
                let (last, place, seen) = self.way[self.way.len() - 1];
                (seen && t < last + 1e-9).then_some(place)
            }
        }
    }

    pub(super) fn id(&self, t: f64) -> u16 {
        let since = |(from, _): &&(f64, u16)| *from <= t + 1e-9;
        self.ids.iter().rfind(since).unwrap().1
    }

    /// Width and height of the box, metres.
    pub(super) fn size(&self, t: f64) -> (f64, f64) {
        let next = self.sizes.iter().position(|(time, _)| *time > t + 1e-9);
        match (next, self.sizes.last()) {
            (Some(next), _) if next > 0 => {
                let ((from, a), (to, b)) = (self.sizes[next - 1], self.sizes[next]);
                let part = (t - from) / (to - from);
                return (a.0 + (b.0 - a.0) * part, a.1 + (b.1 - a.1) * part);
            }
            (None, Some((_, last))) => return *last,
            _ => {}
        }
        match self.class {
            ObjectClass::Person => (0.6, 1.7),
            ObjectClass::Motorcycle => (1.8, 1.4),
            _ => (4.0, 2.0),
        }
    }
}

impl Body {
    /// The marks that it shows: class, score, and the box by its middle, metres.
    pub(super) fn marks(&self, t: f64, (x, y): (f64, f64)) -> Vec<Detection> {
        let (width, height) = self.size(t);
        let top = y - height;
        let mut shown: Vec<Detection> = Vec::new();
        for &(class, from, score, side) in self.marks.iter().rev() {
            if from > t + 1e-9 || shown.iter().any(|mark| mark.class == class) {
                continue;
            }
            let (at, size) = match class {
                ObjectClass::Plate => ((x, y - 0.4), (0.2 * width, 0.2)),
                ObjectClass::Phone if self.class == ObjectClass::Person => {
                    ((x + 0.1, top + 0.3), (0.15, 0.15))
                }
                ObjectClass::Phone => ((x + width / 4.0, top + 0.5), (0.15, 0.15)),
                ObjectClass::SeatBelt | ObjectClass::NoSeatBelt => {
                    ((x + side * width / 4.0, top + 0.6), (0.5, 0.5))
                }
                _ => ((x, top + 0.15), (0.3, 0.3)),
            };
            shown.push(detection(class, score, at, size));
        }
        shown.retain(|mark| mark.score > 0.0);
        shown
    }
}

/// A detection by its middle and size in metres.
pub(super) fn detection(
    class: ObjectClass,
    score: f64,
    (x, y): (f64, f64),
    (width, height): (f64, f64),
) -> Detection {
    Detection {
        class,
        score,
        bounds: NormBox {
            x: (x - width / 2.0) / 100.0,
            y: (y - height / 2.0) / 50.0,
            width: width / 100.0,
            height: height / 50.0,
        },
    }
}
