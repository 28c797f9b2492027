//! Text in a picture, Vietnamese included.
//!
//! OpenCV's Hershey fonts know ASCII only, and an officer must read `Đường`
//! and not `?u?ng`. The letters (DejaVu Sans, free licence) are part of the
//! program, so that the same event makes the same still on every box; a font
//! found on the machine would not.
//!
//! It refuses to shape: no right-to-left, no ligatures. A letter the font does
//! not have shows as an empty box, not as a wrong letter.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};
use unicode_normalization::UnicodeNormalization;

/// How heavy the letters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// The embedded font.
fn font(weight: Weight) -> &'static FontRef<'static> {
    static REGULAR: OnceLock<FontRef<'static>> = OnceLock::new();
    static BOLD: OnceLock<FontRef<'static>> = OnceLock::new();
    let (slot, bytes): (_, fn() -> &'static [u8]) = match weight {
        Weight::Regular => (&REGULAR, dejavu::sans::regular),
        Weight::Bold => (&BOLD, dejavu::sans::bold),
    };
    slot.get_or_init(|| {
        FontRef::try_from_slice(bytes()).expect("the font in the program is whole; a test reads it")
    })
}

/// One line of text, laid out.
pub(crate) struct TextLine {
    weight: Weight,
    size: f32,
    glyphs: Vec<(GlyphId, f32)>,
    /// Advance in pixels.
    pub(crate) width: f64,
    /// Line height in pixels.
    pub(crate) height: f64,
}

/// More is never legible in a still, and a label may come from anywhere.
const MAX_LETTERS: usize = 240;

impl TextLine {
    /// Lays out `text` with lines of `size` pixels, shortened with an ellipsis to `max_width` pixels.
    pub(crate) fn new(text: &str, weight: Weight, size: f64, max_width: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "a size in pixels")]
        let size = size as f32;
        let font = font(weight).as_scaled(PxScale::from(size));
        // Composed, because some editors save `ệ` as three characters.
        let letters: Vec<char> = text
            .trim()
            .nfc()
            .take(MAX_LETTERS)
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        let lay_out = |letters: &mut dyn Iterator<Item = char>| {
            let mut glyphs: Vec<(GlyphId, f32)> = Vec::new();
            let mut x = 0.0;
            for letter in letters {
                let id = font.glyph_id(letter);
                if let Some((before, _)) = glyphs.last() {
                    x += font.kern(*before, id);
                }
                glyphs.push((id, x));
                x += font.h_advance(id);
            }
            (glyphs, x)
        };
        let (mut glyphs, mut width) = lay_out(&mut letters.iter().copied());
        if f64::from(width) > max_width {
            let ellipsis = font.h_advance(font.glyph_id('…'));
            let room = max_width - f64::from(ellipsis);
            let keep = glyphs.iter().filter(|(_, x)| f64::from(*x) <= room).count();
            // The last letter that starts in the room may end outside it.
            let kept = letters[..keep.saturating_sub(1)].iter().copied();
            (glyphs, width) = lay_out(&mut kept.chain(['…']));
        }
        Self {
            weight,
            size,
            glyphs,
            width: f64::from(width),
            height: f64::from(font.height()),
        }
    }

    /// Whether there is anything to draw.
    pub(crate) fn is_empty(&self) -> bool {
        self.glyphs.is_empty()
    }

    /// Calls `ink` with column, row and coverage (0 to 1) of every pixel, the line's top left corner being at `left`, `top`.
    pub(crate) fn draw(&self, left: f64, top: f64, mut ink: impl FnMut(i64, i64, f32)) {
        let font = font(self.weight).as_scaled(PxScale::from(self.size));
        #[allow(clippy::cast_possible_truncation, reason = "places in a picture")]
        let (left, baseline) = (
            left.round() as f32,
            top.round() as f32 + font.ascent().round(),
        );
        for (id, x) in &self.glyphs {
            let glyph = id.with_scale_and_position(font.scale(), point(left + x, baseline));
            if let Some(outline) = font.outline_glyph(glyph) {
                let bounds = outline.px_bounds();
                #[allow(clippy::cast_possible_truncation, reason = "places in a picture")]
                let (x0, y0) = (bounds.min.x as i64, bounds.min.y as i64);
                outline.draw(|x, y, coverage| {
                    ink(
                        x0 + i64::from(x),
                        y0 + i64::from(y),
                        coverage.clamp(0.0, 1.0),
                    );
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every letter of Vietnamese, both cases.
    fn vietnamese() -> impl Iterator<Item = char> {
        let vowels = "aăâeêioôơuưy";
        let tones = ["", "\u{300}", "\u{301}", "\u{303}", "\u{309}", "\u{323}"];
        let lower: Vec<char> = vowels
            .chars()
            .flat_map(|v| {
                tones
                    .iter()
                    .map(move |t| format!("{v}{t}").nfc().collect::<String>())
            })
            .map(|s| s.chars().next().unwrap())
            .collect();
        lower
            .into_iter()
            .chain(['đ'])
            .chain('a'..='z')
            .flat_map(|c| [c, c.to_uppercase().next().unwrap()])
    }

    #[test]
    fn every_vietnamese_letter_has_ink_of_its_own() {
        assert_eq!(vietnamese().filter(|c| !c.is_ascii()).count(), 134);
        for weight in [Weight::Regular, Weight::Bold] {
            for letter in vietnamese() {
                assert_ne!(font(weight).glyph_id(letter).0, 0, "{letter} {weight:?}");
                let mut ink = 0.0;
                TextLine::new(&letter.to_string(), weight, 24.0, 100.0).draw(
                    0.0,
                    0.0,
                    |_, _, c| ink += c,
                );
                assert!(ink > 5.0, "{letter} {weight:?}: {ink}");
            }
        }
    }

    #[test]
    fn decomposed_text_is_drawn_as_composed_text() {
        let composed = TextLine::new("Đường Nguyễn Huệ", Weight::Regular, 20.0, 1e6);
        let decomposed: String = "Đường Nguyễn Huệ".nfd().collect();
        let decomposed = TextLine::new(&decomposed, Weight::Regular, 20.0, 1e6);
        assert_eq!(composed.glyphs, decomposed.glyphs);
    }

    #[test]
    fn text_is_shortened_to_its_room() {
        let long = "xe máy đi ngược chiều ".repeat(1000);
        for room in [0.0, 3.0, 40.0, 200.0, 1e9] {
            let line = TextLine::new(&long, Weight::Bold, 20.0, room);
            assert!(line.glyphs.len() <= MAX_LETTERS);
            // An ellipsis is the least there is.
            assert!(line.width <= room.max(21.0), "{room}: {}", line.width);
        }
        assert!(TextLine::new(" \n ", Weight::Bold, 20.0, 100.0).is_empty());
    }
}
