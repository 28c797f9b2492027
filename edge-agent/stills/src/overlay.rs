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
    /// Thin lines through points on the ground, with a label at their first
    /// point in the picture: a metre grid.
    pub grid: Vec<(Vec<Point>, String)>,
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

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Emphasis; 3] = [Emphasis::Accused, Emphasis::Context, Emphasis::Zone];

    /// Red, green and blue in linear light.
    fn light(bgr: [u8; 3]) -> [f64; 3] {
        let [blue, green, red] = bgr.map(|byte| {
            let value = f64::from(byte) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        });
        [red, green, blue]
    }

    #[test]
    fn readers_who_confuse_red_and_green_tell_the_colours_apart() {
        // Viénot, Brettel and Mollon 1999: what is left of red and green, and
        // how much of their difference shows as blue.
        for (name, share, leak) in [
            ("protan", 0.112_38, 0.004_01),
            ("deutan", 0.292_75, -0.022_34),
        ] {
            let seen = |emphasis: Emphasis| {
                let [red, green, blue] = light(emphasis.bgr());
                let yellow = share * red + (1.0 - share) * green;
                [yellow, blue + leak * (red - green)]
            };
            for (nth, a) in ALL.into_iter().enumerate() {
                for b in &ALL[..nth] {
                    let ([y1, b1], [y2, b2]) = (seen(a), seen(*b));
                    let apart = (y1 - y2).hypot(b1 - b2);
                    assert!(apart > 0.4, "{name}: {a:?} and {b:?} are {apart} apart");
                }
            }
        }
    }

    #[test]
    fn dark_letters_on_every_colour_are_readable() {
        let luminance = |bgr| {
            let [red, green, blue] = light(bgr);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        for emphasis in ALL {
            let contrast =
                (luminance(emphasis.bgr()) + 0.05) / (luminance(crate::draw::INK) + 0.05);
            // WCAG 2.2, 1.4.3.
            assert!(contrast >= 4.5, "{emphasis:?}: {contrast}");
        }
    }
}
