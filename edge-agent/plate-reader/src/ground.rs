//! The colour of a plate's ground, or that nobody can tell.
//!
//! Two thirds of a plate are ground. Colour is measured there as chroma beside
//! luma, so that shade does not change it. Between white and yellow there is a
//! stretch that is neither: lamps of sodium make white plates look like it.
//! Where a camera sees no colour (infrared light), nothing is said, since white
//! and red are alike then.

use plates::PlateColour;

use crate::rectify::Ycc;

/// Ground and writing must differ by this much luma.
const LEAST_CONTRAST: f32 = 25.0;
/// Darker than that, cameras raise their gain and colours go.
const LEAST_LUMA: f32 = 60.0;
/// A picture whose chroma is on the average less than this has none.
const COLOURLESS: f32 = 1.5;
/// Chroma of a white ground, at most, as part of its luma.
const WHITE: f32 = 0.10;
/// Blue difference of a yellow ground, at most, as part of its luma. By the law's
/// yellow it is −0.5, on a white plate under sodium lamps −0.2.
const YELLOW: f32 = -0.28;
/// Red difference of a yellow ground, at most: beyond is orange.
const YELLOW_RED: f32 = 0.25;
/// Least chroma of a blue or red ground.
const DEEP: f32 = 18.0;

/// What one sees of a plate, point by point, and of what is around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// The plate.
    pub(crate) plate: &'a [Ycc],
    /// Mean amount of chroma in the region that was looked at.
    pub(crate) chroma_around: f32,
}

/// The ground's colour.
pub(crate) fn colour(seen: Seen<'_>) -> Option<PlateColour> {
    let (ground, writing) = parts(seen.plate)?;
    if (ground[0] - writing[0]).abs() < LEAST_CONTRAST {
        return None;
    }
    let [luma, u, v] = ground;
    let chroma = u.hypot(v);
    let is_colourless = seen.chroma_around < COLOURLESS;
    if luma > writing[0] {
        if luma < LEAST_LUMA || is_colourless {
            return None;
        }
        let (u, v, chroma) = (u / luma, v / luma, chroma / luma);
        if chroma <= WHITE {
            Some(PlateColour::White)
        } else if u <= YELLOW && v.abs() <= YELLOW_RED {
            Some(PlateColour::Yellow)
        } else {
            None
        }
    } else if u >= DEEP && u > v {
        Some(PlateColour::Blue)
    } else if v >= DEEP && v > u {
        Some(PlateColour::Red)
    } else {
        None
    }
}

/// Mean colours of ground and writing. Otsu's threshold parts them; the ground
/// is the larger part.
fn parts(plate: &[Ycc]) -> Option<(Ycc, Ycc)> {
    let mut histogram = [0_u32; 256];
    for [luma, ..] in plate {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let bin = luma.clamp(0.0, 255.0) as usize;
        histogram[bin] += 1;
    }
    let threshold = otsu(&histogram)?;
    let mean = |is_bright: bool| {
        let (mut sum, mut count) = ([0.0_f32; 3], 0_u32);
        for point in plate.iter().filter(|p| (p[0] > threshold) == is_bright) {
            count += 1;
            for (sum, part) in sum.iter_mut().zip(point) {
                *sum += part;
            }
        }
        (sum.map(|sum| sum / count.max(1) as f32), count)
    };
    let ((dark, dark_count), (bright, bright_count)) = (mean(false), mean(true));
    if dark_count == 0 || bright_count == 0 {
        return None;
    }
    Some(if bright_count >= dark_count {
        (bright, dark)
    } else {
        (dark, bright)
    })
}

/// The luma that parts a histogram so that its halves differ most (Otsu 1979).
fn otsu(histogram: &[u32; 256]) -> Option<f32> {
    let total: f64 = histogram.iter().map(|count| f64::from(*count)).sum();
    let weighted = |(luma, count): (usize, &u32)| luma as f64 * f64::from(*count);
    let sum: f64 = histogram.iter().enumerate().map(weighted).sum();
    let (mut below, mut sum_below) = (0.0, 0.0);
    let mut best: Option<(f64, usize)> = None;
    for (luma, count) in histogram.iter().enumerate() {
        below += f64::from(*count);
        sum_below += luma as f64 * f64::from(*count);
        let above = total - below;
        if below == 0.0 || above == 0.0 {
            continue;
        }
        let apart = sum_below / below - (sum - sum_below) / above;
        let between = below * above * apart * apart;
        if best.is_none_or(|(most, _)| between > most) {
            best = Some((between, luma));
        }
    }
    best.map(|(_, luma)| luma as f32 + 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plate a third of which is written on.
    fn plate(ground: Ycc, writing: Ycc, chroma_around: f32) -> Option<PlateColour> {
        let points: Vec<Ycc> = (0..300)
            .map(|at| if at % 3 == 0 { writing } else { ground })
            .collect();
        let seen = Seen {
            plate: &points,
            chroma_around,
        };
        colour(seen)
    }

    #[test]
    fn grounds_have_their_colours_and_what_is_between_has_none() {
        use PlateColour::{Blue, Red, White, Yellow};
        let (black, white) = ([30.0, 0.0, 0.0], [210.0, 0.0, 0.0]);
        for (name, ground, writing, expected) in [
            ("white", [200.0, 2.0, -3.0], black, Some(White)),
            ("white in the shade", [80.0, 4.0, -2.0], black, Some(White)),
            ("yellow", [180.0, -90.0, 15.0], black, Some(Yellow)),
            (
                "white under sodium lamps",
                [220.0, -40.0, 12.0],
                black,
                None,
            ),
            ("blue", [60.0, 60.0, -25.0], white, Some(Blue)),
            ("red", [80.0, -20.0, 80.0], white, Some(Red)),
            ("white writing on black", [40.0, 1.0, 1.0], white, None),
            ("night", [50.0, 0.0, 0.0], [10.0, 0.0, 0.0], None),
            ("no contrast", [120.0, 0.0, 0.0], [110.0, 0.0, 0.0], None),
        ] {
            assert_eq!(plate(ground, writing, 6.0), expected, "{name}");
        }
    }

    #[test]
    fn infrared_light_shows_no_white() {
        let (ground, writing) = ([220.0, 0.1, 0.0], [40.0, 0.0, 0.1]);
        assert_eq!(plate(ground, writing, 0.3), None);
        let nothing = Seen {
            plate: &[],
            chroma_around: 9.0,
        };
        assert_eq!(colour(nothing), None);
    }
}
