//! A picture's brightness at several sizes.

/// Wider pictures are made smaller by a whole number first, pixels. The motion of a box is wanted
/// to a twentieth of its size, not to a pixel of a large picture.
const WIDEST: usize = 640;
/// Sizes, each half of the one before. With windows of nine pixels a point is found again
/// that moved some forty pixels of the largest.
pub(crate) const LEVELS: usize = 4;
/// Below this side there is nothing to compare. Pixels of the largest size.
const LEAST: usize = 32;

/// One size of the picture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Level {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Rows without gaps.
    pub(crate) pixels: Vec<u8>,
}

/// A picture's brightness at several sizes, the largest first. Its memory is used again for the
/// next picture.
#[derive(Clone, Debug, Default)]
pub struct Pyramid {
    pub(crate) levels: [Level; LEVELS],
    sums: Vec<u16>,
}

impl Pyramid {
    /// Takes in a plane of luma: `height` rows of `width` bytes, `stride` apart. False when the
    /// plane is smaller than that or too small to compare; what was in it before is then gone.
    pub fn read(&mut self, plane: &[u8], stride: usize, width: usize, height: usize) -> bool {
        let needed = stride
            .checked_mul(height.saturating_sub(1))
            .and_then(|rows| rows.checked_add(width));
        // Sums of 16 bits hold 16 × 16 bytes: the widest picture that any decoder gives is 16,384.
        let factor = width.div_ceil(WIDEST).clamp(1, 16);
        let (small_width, small_height) = (width / factor, height / factor);
        let is_whole = needed.is_some_and(|needed| needed <= plane.len()) && width <= stride;
        if !is_whole || small_width < LEAST || small_height < LEAST {
            self.levels.iter_mut().for_each(|level| level.resize(0, 0));
            return false;
        }
        let [first, rest @ ..] = &mut self.levels;
        first.resize(small_width, small_height);
        shrink(plane, stride, factor, first, &mut self.sums);
        let mut larger = &*first;
        for level in rest {
            level.resize(larger.width / 2, larger.height / 2);
            let plane = &larger.pixels;
            shrink(plane, larger.width, 2, level, &mut self.sums);
            larger = level;
        }
        true
    }

    /// Width and height of the largest size, pixels; zero while there is no picture.
    pub fn size(&self) -> (usize, usize) {
        (self.levels[0].width, self.levels[0].height)
    }
}

impl Level {
    fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.pixels.resize(width * height, 0);
    }
}

/// Each pixel of `into` is the mean of `factor` × `factor` pixels of the plane.
#[allow(clippy::cast_possible_truncation)] // a mean of bytes is a byte; sums hold 256 of them
fn shrink(plane: &[u8], stride: usize, factor: usize, into: &mut Level, sums: &mut Vec<u16>) {
    let width = into.width;
    let area = (factor * factor) as u16;
    for (y, row) in into.pixels.chunks_exact_mut(width.max(1)).enumerate() {
        let rows = (0..factor).map(|line| &plane[(y * factor + line) * stride..][..width * factor]);
        if factor == 1 {
            rows.for_each(|line| row.copy_from_slice(line));
            continue;
        }
        sums.clear();
        sums.resize(width * factor, 0);
        for line in rows {
            for (sum, &pixel) in sums.iter_mut().zip(line) {
                *sum += u16::from(pixel);
            }
        }
        match factor {
            2 => each_mean::<2>(row, sums),
            3 => each_mean::<3>(row, sums),
            _ => {
                for (pixel, group) in row.iter_mut().zip(sums.chunks_exact(factor)) {
                    let sum = group.iter().map(|&sum| u32::from(sum)).sum::<u32>();
                    *pixel = (sum / u32::from(area)) as u8;
                }
            }
        }
    }
}

/// The usual factors, with a length that the compiler knows.
#[allow(clippy::cast_possible_truncation)] // a mean of bytes is a byte
fn each_mean<const FACTOR: usize>(row: &mut [u8], sums: &[u16]) {
    for (pixel, group) in row.iter_mut().zip(sums.chunks_exact(FACTOR)) {
        let sum: u16 = group.iter().sum();
        *pixel = (sum / (FACTOR * FACTOR) as u16) as u8;
    }
}
