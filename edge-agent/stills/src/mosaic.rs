//! Makes a part of a picture unrecognisable: for copies that leave the house.
//!
//! A blur of known shape can be undone in part; a mean cannot. So the part is
//! divided into few cells, and each shows the mean of its pixels and nothing else.

use protocol::NormBox;

use crate::Picture;

/// Cells across the shorter side: a face of 4 × 5 colours is nobody's, a plate
/// of 4 rows has no characters.
const CELLS: u32 = 4;
/// Least side of a cell, pixels.
const LEAST_CELL: u32 = 6;

impl Picture {
    /// Covers `place` with a mosaic. Parts outside the picture are left out, and
    /// so is a place that is none (not a number, inside out).
    pub fn mosaic(&mut self, place: &NormBox) {
        let Some((left, right)) = span(place.x, place.right(), self.width()) else {
            return;
        };
        let Some((top, bottom)) = span(place.y, place.bottom(), self.height()) else {
            return;
        };
        let cell = ((right - left).min(bottom - top).div_ceil(CELLS)).max(LEAST_CELL) as usize;
        let (left, right) = (left as usize, right as usize);
        for y in (top as usize..bottom as usize).step_by(cell) {
            let y_end = (y + cell).min(bottom as usize);
            for x in (left..right).step_by(cell) {
                self.flatten(x, (x + cell).min(right), y, y_end);
            }
        }
    }

    /// Gives every pixel of a rectangle the mean of all.
    fn flatten(&mut self, left: usize, right: usize, top: usize, bottom: usize) {
        let stride = self.width() as usize * 3;
        let row = |y: usize| y * stride + left * 3..y * stride + right * 3;
        let mut sums = [0_u64; 3];
        for y in top..bottom {
            for pixel in self.bgr()[row(y)].chunks_exact(3) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += u64::from(*value);
                }
            }
        }
        let count = ((right - left) * (bottom - top)).max(1) as u64;
        let mean = sums.map(|sum| u8::try_from(sum / count).unwrap_or(u8::MAX));
        for y in top..bottom {
            for pixel in self.bgr_mut()[row(y)].chunks_exact_mut(3) {
                pixel.copy_from_slice(&mean);
            }
        }
    }
}

/// First pixel and the one behind the last, of what lies within `size` pixels.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the picture
fn span(from: f64, to: f64, size: u32) -> Option<(u32, u32)> {
    if !from.is_finite() || !to.is_finite() {
        return None;
    }
    let size = f64::from(size);
    let first = (from * size).floor().clamp(0.0, size) as u32;
    let behind = (to * size).ceil().clamp(0.0, size) as u32;
    (first < behind).then_some((first, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(x: f64, y: f64, width: f64, height: f64) -> NormBox {
        NormBox {
            x,
            y,
            width,
            height,
        }
    }

    /// Upright stripes of one pixel.
    fn stripes() -> Picture {
        let mut picture = Picture::blank(64, 48, [0; 3]).unwrap();
        for (at, pixel) in picture.bgr_mut().chunks_exact_mut(3).enumerate() {
            pixel.fill(if at % 2 == 0 { 0 } else { 255 });
        }
        picture
    }

    #[test]
    fn nothing_of_what_is_covered_is_left_and_all_around_it_stays() {
        let mut picture = stripes();
        picture.mosaic(&place(0.25, 0.25, 0.5, 0.5));
        let before = stripes();
        let pixels = picture
            .bgr()
            .chunks_exact(3)
            .zip(before.bgr().chunks_exact(3));
        for (at, (now, was)) in pixels.enumerate() {
            let (x, y) = (at % 64, at / 64);
            let is_covered = (16..48).contains(&x) && (12..36).contains(&y);
            let expected = if is_covered { &[127; 3] } else { was };
            assert_eq!(now, expected, "pixel {x}, {y}");
        }
    }

    #[test]
    fn places_that_reach_out_or_are_none_are_taken_as_far_as_they_go() {
        for (what, place, is_changed) in [
            ("reaching out", place(-1.0, -1.0, 1.1, 1.1), true),
            ("all", place(0.0, 0.0, 1.0, 1.0), true),
            ("outside", place(1.5, 0.0, 1.0, 1.0), false),
            ("inside out", place(0.5, 0.5, -0.2, 0.2), false),
            ("no number", place(f64::NAN, 0.0, 1.0, 1.0), false),
            ("endless", place(0.0, 0.0, f64::INFINITY, 1.0), false),
        ] {
            let mut picture = stripes();
            picture.mosaic(&place);
            assert_eq!(picture != stripes(), is_changed, "{what}");
        }
    }
}
