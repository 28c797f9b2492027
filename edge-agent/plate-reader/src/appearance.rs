//! What is measured of a plate besides its writing: its colour and how sharp it is.

use plates::PlateColour;

use crate::ground;
use crate::line_reader::LineReader;
use crate::quad::Quad;
use crate::rectify::{Source, Ycc};

/// The steepest twentieth of edges beside the contrast, the mean of all rows.
pub(crate) fn sharpness(
    source: &Source<'_>,
    rows: &[Quad],
    lines: &LineReader,
    luma: &mut Vec<f32>,
) -> f64 {
    let mut sum = 0.0;
    for quad in rows {
        let (width, height) = (lines.width_of(quad), lines.height());
        source.luma(quad, (width, height), luma);
        let mut steps: Vec<f32> = luma
            .chunks_exact(width)
            .flat_map(|row| row.windows(2).map(|pair| (pair[1] - pair[0]).abs()))
            .collect();
        let steep = at_share(&mut steps, 0.95);
        let contrast = at_share(luma, 0.95) - at_share(luma, 0.05);
        sum += f64::from(steep / contrast.max(1.0)).clamp(0.0, 1.0);
    }
    sum / rows.len().max(1) as f64
}

/// The value below which a share of all lies.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a place in the list
fn at_share(values: &mut [f32], share: f64) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let place = ((values.len() - 1) as f64 * share) as usize;
    *values.select_nth_unstable_by(place, f32::total_cmp).1
}

/// Mean amount of chroma in a piece.
pub(crate) fn chroma(source: &Source<'_>, quad: &Quad) -> f32 {
    let (mut sum, mut count) = (0.0, 0_u16);
    source.each(quad, (24, 24), |_, _, [_, u, v]| {
        sum += u.hypot(v);
        count += 1;
    });
    sum / f32::from(count.max(1))
}

/// The ground's colour of a plate.
pub(crate) fn colour(
    source: &Source<'_>,
    whole: &Quad,
    chroma_around: f32,
    points: &mut Vec<Ycc>,
) -> Option<PlateColour> {
    points.clear();
    source.each(whole, (48, 32), |_, _, point| points.push(point));
    ground::colour(ground::Seen {
        plate: points,
        chroma_around,
    })
}
