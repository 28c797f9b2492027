//! What a scene is told of a plate.

use edge_core::second_look::PlateText;
use plate_reader::PlateLook;

/// A plate as the scene hears of it: what was read, not what was made of it. The
/// scene reads it by the same grammar, so it must be told the rows that the reader
/// joined, never the pieces that they were joined of. Of what the reader refused
/// (cut at the edge, not of such a vehicle) only the place is told.
pub(super) fn plate_text(look: &PlateLook) -> PlateText {
    let read = look.rows.as_ref().filter(|_| look.reading.is_ok());
    let rows = read.cloned().unwrap_or_default();
    PlateText::of(look.bounds, look.weakest(), &rows, look.colour)
}

#[cfg(test)]
mod tests {
    use plate_reader::Piece;
    use plates::{Circumstances, Glyph, Grammar, Patch, PlateColour, Refusal, Rows};
    use protocol::Point;

    use super::*;

    /// A look at these pieces: text, left, top, width and height.
    fn look(pieces: &[(&str, [f64; 4])]) -> PlateLook {
        let glyph = |symbol| Glyph {
            symbol,
            confidence: 0.95,
            runner_up: None,
        };
        let patch = |(text, [x, y, width, height]): &(&str, [f64; 4])| Patch {
            glyphs: text.chars().map(glyph).collect(),
            is_doubtful: false,
            corners: [
                [*x, *y],
                [x + width, *y],
                [x + width, y + height],
                [*x, y + height],
            ]
            .map(Point::from),
        };
        let patches: Vec<Patch> = pieces.iter().map(patch).collect();
        let rows = Rows::join(&patches, 1.0).ok();
        let reading = rows.as_ref().map_or(Err(Refusal::TooManyRows), |rows| {
            plates::read(&Grammar::vietnam(), rows, Circumstances::default())
        });
        let piece = |patch: Patch| Piece {
            corners: patch.corners,
            glyphs: patch.glyphs,
        };
        PlateLook {
            corners: patches[0].corners,
            bounds: [0.1, 0.1, 0.3, 0.2].into(),
            pieces: patches.into_iter().map(piece).collect(),
            rows,
            reading,
            colour: Some(PlateColour::White),
            row_height_px: 30.0,
            sharpness: 0.5,
        }
    }

    #[test]
    fn a_scene_reads_the_plate_that_the_reader_read_of_whatever_pieces() {
        let upper = |text| (text, [0.12, 0.1, 0.16, 0.08]);
        let left = |text| (text, [0.1, 0.2, 0.12, 0.08]);
        let right = |text| (text, [0.23, 0.2, 0.07, 0.08]);
        for (pieces, plate) in [
            (vec![upper("29-B1"), left("123."), right("45")], "29B112345"),
            (vec![upper("30A"), left("123.4"), right("5")], "30A12345"),
            (vec![upper("29B1"), left("1234"), right("5")], "29B112345"),
            (vec![left("30A-123"), right(".45")], "30A12345"),
        ] {
            let look = look(&pieces);
            let told = plate_text(&look);
            let heard = plates::read(
                &Grammar::vietnam(),
                &told.rows(),
                Circumstances {
                    vehicle: None,
                    colour: told.colour.map(PlateColour::from),
                },
            );
            assert_eq!(heard.unwrap().best().unwrap().text, plate);
            assert_eq!(look.best().unwrap().text, plate);
        }
    }

    #[test]
    fn of_what_the_reader_refused_only_the_place_is_told() {
        let mut look = look(&[("30A-123.45", [0.1, 0.1, 0.3, 0.08])]);
        look.reading = Err(Refusal::Cut);
        let told = plate_text(&look);
        assert_eq!((told.bounds, told.rows()), (look.bounds, Rows::default()));
    }
}
