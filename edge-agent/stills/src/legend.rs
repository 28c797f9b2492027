//! Lines of words below a picture: what they describe stays in sight.

use crate::canvas::Canvas;
use crate::draw::{INK, PAPER, text_height, unit};
use crate::text::{TextLine, Weight};

/// Laid out lines.
pub(crate) struct Legend {
    rows: Vec<TextLine>,
    /// Height of a line of text, in pixels.
    text: f64,
}

impl Legend {
    /// For a picture of `width` × `height` pixels, with `room` pixels below it.
    pub(crate) fn new(width: u32, height: u32, lines: &[String], room: f64) -> Self {
        let text = text_height(unit(width, height));
        let wide = f64::from(width) - 2.0 * left(text);
        let rows = lines
            .iter()
            .enumerate()
            .flat_map(|(nth, line)| {
                let weight = if nth == 0 {
                    Weight::Bold
                } else {
                    Weight::Regular
                };
                broken(line, weight, text, wide)
            })
            .filter(|row| !row.is_empty());
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of lines, not negative"
        )]
        let fit = ((room - 2.0 * margin(text)) / step(text)).max(0.0) as usize;
        Self {
            rows: rows.take(fit).collect(),
            text,
        }
    }

    /// Pixels that it needs.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "limited by the room"
    )]
    pub(crate) fn height(&self) -> u32 {
        if self.rows.is_empty() {
            return 0;
        }
        (self.rows.len() as f64 * step(self.text) + 2.0 * margin(self.text)) as u32
    }

    /// Writes it from `top` down on `bgr`, which holds `width` × `height` pixels.
    pub(crate) fn write(&self, width: u32, height: u32, bgr: &mut [u8], top: f64) {
        let mut canvas = Canvas::new(width, height, bgr);
        for (nth, row) in self.rows.iter().enumerate() {
            let y = top + margin(self.text) + nth as f64 * step(self.text);
            canvas.write(row, left(self.text), y, PAPER);
        }
    }
}

fn left(text: f64) -> f64 {
    0.55 * text
}

fn margin(text: f64) -> f64 {
    0.4 * text
}

fn step(text: f64) -> f64 {
    1.12 * text
}

/// `line` in rows of at most `wide` pixels; a word that is longer is shortened.
fn broken(line: &str, weight: Weight, text: f64, wide: f64) -> Vec<TextLine> {
    let mut rows = Vec::new();
    let mut row = String::new();
    for word in line.split_whitespace() {
        let longer = if row.is_empty() {
            word.to_owned()
        } else {
            format!("{row} {word}")
        };
        // Also kept below the count of letters that a row may have.
        let fits = longer.chars().count() < 200
            && TextLine::new(&longer, weight, text, f64::INFINITY).width <= wide;
        if fits || row.is_empty() {
            row = longer;
        } else {
            rows.push(TextLine::new(&row, weight, text, wide));
            word.clone_into(&mut row);
        }
    }
    rows.push(TextLine::new(&row, weight, text, wide));
    rows
}

// The strip's ground is the ink that the letters stand out from.
const _: () = assert!(INK[0] < 64 && PAPER[0] > 192);
