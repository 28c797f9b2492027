//! How clear a part of a picture is.
//!
//! The mean square of the Laplacian of the brightness over its variance: how much
//! of the contrast is in the finest detail. A blurred face, a plate that moved
//! during the exposure and fog have little of it; sensor noise alone has much,
//! so what has almost no contrast counts as unclear. Comparable only between
//! looks at the same thing: a truck's side has less detail than a motorcycle.

/// Variance of brightness below which there is nothing to see; noise of a
/// sensor at night has about a fifth of it.
const LEAST_VARIANCE: f64 = 25.0;

/// Brightness of a part of a picture, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Luma<'a> {
    /// From the part's top left corner on.
    pub bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
}

/// How clear it is: 0 for nothing to see, about 0.05 for a blurred and 0.5 and
/// more for a clear picture of a vehicle.
pub fn sharpness(part: Luma<'_>) -> f64 {
    let Luma {
        bytes,
        stride,
        width,
        height,
    } = part;
    let needed = stride
        .checked_mul(height.saturating_sub(1))
        .and_then(|n| n.checked_add(width));
    let fits = needed.is_some_and(|needed| needed <= bytes.len());
    if width < 3 || height < 3 || stride < width || !fits {
        return 0.0;
    }
    let (mut sum, mut square, mut detail) = (0_u64, 0_u64, 0_u64);
    for y in 1..height - 1 {
        let row = |y: usize| &bytes[y * stride..y * stride + width];
        let (above, here, below) = (row(y - 1), row(y), row(y + 1));
        for x in 1..width - 1 {
            let at = i32::from(here[x]);
            let around = i32::from(here[x - 1])
                + i32::from(here[x + 1])
                + i32::from(above[x])
                + i32::from(below[x]);
            let edge = u64::from((4 * at - around).unsigned_abs());
            detail += edge * edge;
            let at = u64::from(here[x]);
            sum += at;
            square += at * at;
        }
    }
    let n = ((width - 2) * (height - 2)) as f64;
    let mean = sum as f64 / n;
    let variance = square as f64 / n - mean * mean;
    if variance < LEAST_VARIANCE {
        return 0.0;
    }
    detail as f64 / n / variance
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 32;

    fn picture(of: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        (0..SIDE * SIDE).map(|i| of(i % SIDE, i / SIDE)).collect()
    }

    fn measured(bytes: &[u8]) -> f64 {
        sharpness(Luma {
            bytes,
            stride: SIDE,
            width: SIDE,
            height: SIDE,
        })
    }

    #[test]
    fn what_is_blurred_is_less_clear_and_darkness_has_nothing_to_see() {
        let stripes = picture(|x, _| if x / 8 % 2 == 0 { 30 } else { 198 });
        // The same stripes, each edge drawn out over eight pixels.
        let ramps = picture(|x, _| {
            let along = u8::try_from(x % 16).unwrap();
            30 + 21 * along.min(16 - along)
        });
        let (clear, soft) = (measured(&stripes), measured(&ramps));
        assert!(clear > 5.0 * soft && soft > 0.0, "{clear} {soft}");
        assert_eq!(measured(&picture(|_, _| 12)), 0.0);
        let noise = picture(|x, y| 12 + u8::try_from((x * 7 + y * 13) % 4).unwrap());
        assert_eq!(measured(&noise), 0.0);
    }

    #[test]
    fn brightness_and_contrast_change_it_little() {
        let bright = picture(|x, y| if (x / 3 + y / 5) % 2 == 0 { 130 } else { 200 });
        let dark = picture(|x, y| if (x / 3 + y / 5) % 2 == 0 { 10 } else { 45 });
        assert!((measured(&bright) / measured(&dark) - 1.0).abs() < 0.01);
    }

    #[test]
    fn a_part_that_is_not_there_is_not_clear() {
        let bytes = picture(|x, _| u8::try_from(x * 8).unwrap());
        for (stride, width, height) in [
            (SIDE, SIDE, SIDE + 1),
            (SIDE - 1, SIDE, SIDE),
            (usize::MAX, SIDE, 3),
            (SIDE, 2, SIDE),
        ] {
            let part = Luma {
                bytes: &bytes,
                stride,
                width,
                height,
            };
            assert_eq!(sharpness(part), 0.0, "{part:?}");
        }
    }
}
