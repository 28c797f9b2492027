//! What one look at a region shows.

use plates::{Candidate, Glyph, PlateColour, Reading, Refusal};
use protocol::{NormBox, Point};

/// Confidence that each character of a plate needs for one look to state it.
/// A blurred H that is read as B has 0.1 to 0.3.
pub const SURE: f64 = 0.5;

/// A row of writing as it was read, before the grammar.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its corners in fractions of the picture, from the top left of upright text clockwise.
    pub corners: [Point; 4],
    /// Its characters with the recogniser's probabilities, from left to right.
    pub glyphs: Vec<Glyph>,
}

impl Row {
    /// Its characters.
    pub fn text(&self) -> String {
        self.glyphs.iter().map(|glyph| glyph.symbol).collect()
    }
}

/// Writing that is a plate, or looks like one and was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct PlateLook {
    /// Around all rows, along the text, in fractions of the picture; as [`Row::corners`].
    pub corners: [Point; 4],
    /// The upright box around the corners.
    pub bounds: NormBox,
    /// From the top, one or two.
    pub rows: Vec<Row>,
    /// The plate with every correction, or why it is none.
    pub reading: Result<Reading, Refusal>,
    /// Its ground; none: too dark, too pale, or a camera that sees no colour.
    pub colour: Option<PlateColour>,
    /// Height of a row in the picture's pixels. Below some 12 characters melt into each other.
    pub row_height_px: f64,
    /// How steep its edges are when rows are as high as the recogniser takes
    /// them, beside its contrast; 0 to 1. Blurred and small plates have little.
    pub sharpness: f64,
}

impl PlateLook {
    /// The plate, where this one look says it without doubt: no other plate comes
    /// near, and each character is likelier than not ([`SURE`]).
    pub fn stated(&self) -> Option<&Candidate> {
        let decided = self.reading.as_ref().ok()?.decided()?;
        (self.weakest() >= SURE).then_some(decided)
    }

    /// Why this look states no plate; none: it does.
    pub fn refused(&self) -> Option<String> {
        match &self.reading {
            _ if self.stated().is_some() => None,
            Err(refusal) => Some(refusal.to_string()),
            Ok(reading) if reading.decided().is_none() => {
                Some("another plate is nearly as likely".to_owned())
            }
            Ok(_) => Some("a character of it is not likelier than not".to_owned()),
        }
    }

    /// The likeliest plate, doubtful or not.
    pub fn best(&self) -> Option<&Candidate> {
        self.reading.as_ref().ok()?.best()
    }

    /// The least confidence of any character of the likeliest plate, else of any
    /// that was read; 0 for none.
    pub fn weakest(&self) -> f64 {
        let of = |glyphs: &mut dyn Iterator<Item = &Glyph>| {
            glyphs.map(|glyph| glyph.confidence).reduce(f64::min)
        };
        let confidence = match self.best() {
            Some(best) => of(&mut best.symbols.iter()),
            None => of(&mut self.rows.iter().flat_map(|row| &row.glyphs)),
        };
        confidence.unwrap_or(0.0)
    }

    /// What was read, rows parted by a slash.
    pub fn raw_text(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(Row::text).collect();
        rows.join("/")
    }
}
