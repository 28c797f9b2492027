//! What one look at a region shows.

use plates::{Candidate, Glyph, PlateColour, Reading, Refusal, Rows};
use protocol::{NormBox, Point};

/// Confidence that each character of a plate needs for one look to state it.
/// A blurred H that is read as B has 0.1 to 0.3.
pub const SURE: f64 = 0.5;

/// A row of writing, or a piece of one, as it was read before the grammar.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Its corners in fractions of the picture, from the top left of upright text clockwise.
    pub corners: [Point; 4],
    /// Its characters with the recogniser's probabilities, from left to right.
    pub glyphs: Vec<Glyph>,
}

impl Piece {
    /// Its characters.
    pub fn text(&self) -> String {
        self.glyphs.iter().map(|glyph| glyph.symbol).collect()
    }
}

/// Writing that is a plate, or looks like one and was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct PlateLook {
    /// Around all pieces, along the text, in fractions of the picture; as [`Piece::corners`].
    pub corners: [Point; 4],
    /// The upright box around the corners.
    pub bounds: NormBox,
    /// From the top, and from the left: up to four, because a row may be cut in two.
    pub pieces: Vec<Piece>,
    /// The pieces joined, which is what the grammar read; none: they are no two rows.
    /// Who votes on looks must read these, since pieces are no rows.
    pub rows: Option<Rows>,
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
            Ok(reading) if reading.is_doubtful => {
                Some("it may have a character more or less than was read".to_owned())
            }
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
            None => of(&mut self.pieces.iter().flat_map(|piece| &piece.glyphs)),
        };
        confidence.unwrap_or(0.0)
    }

    /// What was read, pieces parted by a slash.
    pub fn raw_text(&self) -> String {
        let pieces: Vec<String> = self.pieces.iter().map(Piece::text).collect();
        pieces.join("/")
    }
}
