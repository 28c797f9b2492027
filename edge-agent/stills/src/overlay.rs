//! What to draw on a still, in the words of the event: places are fractions of the picture.

use protocol::{NormBox, Point};

/// What a shape means, and with that its colour, weight and order.
///
/// The colours are of the Okabe–Ito set, which readers with any common colour
/// blindness tell apart; line weight says the same once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emphasis {
    /// What the event is about: vermilion, heavy.
    Accused,
    /// Who else was there: sky blue, thin.
    Context,
    /// Configured ground: zones, stop lines; yellow.
    Zone,
}

impl Emphasis {
    /// Blue, green and red.
    pub fn bgr(self) -> [u8; 3] {
        match self {
            Self::Accused => [0, 94, 213],
            Self::Context => [233, 180, 86],
            Self::Zone => [66, 228, 240],
        }
    }
}

/// A road user's box with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayBox {
    /// Where it is.
    pub bounds: NormBox,
    /// Short: class, track, speed.
    pub label: String,
    /// What it means.
    pub emphasis: Emphasis,
}

/// Everything to draw on one still. Labels may be Vietnamese; an empty label draws nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    /// Polygons with a label, filled translucently.
    pub zones: Vec<(Vec<Point>, String, Emphasis)>,
    /// Lines from the first point to the second, with an arrow across them
    /// that points to the right of that direction as seen in the picture.
    pub lines: Vec<(Point, Point, String, Emphasis)>,
    /// Road users.
    pub boxes: Vec<OverlayBox>,
    /// Where road users have been, oldest point first; fades towards the oldest.
    pub paths: Vec<(Vec<Point>, Emphasis)>,
    /// Lines of text at the bottom left, the first one in bold: time, camera, kind.
    pub caption: Vec<String>,
    /// Across the top, impossible to miss: SIMULATION.
    pub banner: Option<String>,
}

impl Overlay {
    /// Adds a directed line whose arrow points to the side on which `towards` lies.
    pub fn add_line(
        &mut self,
        ends: [Point; 2],
        towards: Point,
        label: String,
        emphasis: Emphasis,
    ) {
        let [from, to] = ends;
        // Positive where y grows downwards: `towards` is to the right.
        let turn = (to.x - from.x) * (towards.y - from.y) - (to.y - from.y) * (towards.x - from.x);
        let (from, to) = if turn < 0.0 { (to, from) } else { (from, to) };
        self.lines.push((from, to, label, emphasis));
    }
}
