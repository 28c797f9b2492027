//! A camera's picture made small: all that its health is judged by.

/// Columns of a thumbnail.
pub(crate) const WIDTH: usize = 160;
/// Rows of a thumbnail.
pub(crate) const HEIGHT: usize = 90;

/// The luma of a picture on 160 × 90 points, and how sharp the picture itself was.
#[derive(Clone, Debug, PartialEq)]
pub struct Thumbnail {
    /// Row by row, 0 to 255.
    pub(crate) luma: Vec<f32>,
    /// Mean square of the second difference over four pixels of the *full*
    /// picture: a blur of a few pixels is not seen on a thumbnail. Less what the
    /// flattest tenth of the picture has of it, which is noise: rain and the
    /// gain of the night add it everywhere alike.
    pub(crate) detail: f32,
    /// Width over height of the picture.
    pub(crate) aspect: f32,
}

/// The picture is cut into so many patches each way to tell noise from detail.
const PATCHES: usize = 12;

/// Every so many rows are read: a thumbnail of a 1080p picture takes a tenth of a millisecond.
const ROW_STEP: usize = 3;
/// Steps of the second difference, pixels: sensor noise is finer than this.
const DETAIL_STEP: usize = 2;

impl Thumbnail {
    /// Of the luma plane of a picture, `stride` bytes per row. `None` when the
    /// plane is shorter than it says, or smaller than a thumbnail.
    pub fn of(luma: &[u8], stride: usize, width: usize, height: usize) -> Option<Self> {
        let is_whole = height
            .checked_sub(1)
            .and_then(|rows| rows.checked_mul(stride)?.checked_add(width))
            .is_some_and(|length| luma.len() >= length);
        if !is_whole || width < WIDTH || height < HEIGHT || stride < width {
            return None;
        }
        let patches = patch_columns(width);
        // Small pictures have no rows to spare.
        let step = if height >= ROW_STEP * HEIGHT {
            ROW_STEP
        } else {
            1
        };
        let begin = |cell: usize| (cell * height).div_ceil(HEIGHT).next_multiple_of(step);
        let mut thumbnail = Vec::with_capacity(WIDTH * HEIGHT);
        let mut detail = [(0_u64, 0_u32); PATCHES * PATCHES];
        let mut sums = vec![0_u16; width];
        let mut cells = [0_u32; WIDTH];
        let mut evens = vec![0_i16; width.div_ceil(DETAIL_STEP)];
        for cell_row in 0..HEIGHT {
            sums.fill(0);
            let rows = (begin(cell_row)..begin(cell_row + 1)).step_by(step);
            let count = rows.len();
            for y in rows {
                let row = &luma[y * stride..y * stride + width];
                // Down first, then across: additions of whole vectors. 257 rows to a cell would
                // be a picture of 23,000 rows.
                for (sum, pixel) in sums.iter_mut().zip(row) {
                    *sum = sum.saturating_add(u16::from(*pixel));
                }
                take_evens(row, &mut evens);
                let first = (y * PATCHES / height) * PATCHES;
                for (patch, range) in detail[first..].iter_mut().zip(&patches) {
                    patch.0 += squared_differences(&evens[range.start..range.end + 2]);
                    patch.1 += u32::try_from(range.len()).unwrap_or(0);
                }
            }
            gather(&sums, &mut cells);
            let means = cells.iter().enumerate().map(|(cell, sum)| {
                let columns = (cell + 1) * width / WIDTH - cell * width / WIDTH;
                *sum as f32 / (count * columns) as f32
            });
            thumbnail.extend(means);
        }
        Some(Self {
            luma: thumbnail,
            detail: less_noise(&detail),
            aspect: width as f32 / height as f32,
        })
    }
}

/// Adds up the sums of pixel columns that lie in each cell.
fn gather(sums: &[u16], cells: &mut [u32; WIDTH]) {
    match sums.len() {
        // Pictures of 640, 1280, 1920 and 3840 columns: known when compiled, so there is no loop.
        640 => each::<4>(sums, cells),
        1280 => each::<8>(sums, cells),
        1920 => each::<12>(sums, cells),
        3840 => each::<24>(sums, cells),
        width => {
            for (cell, sum) in cells.iter_mut().enumerate() {
                let columns = cell * width / WIDTH..(cell + 1) * width / WIDTH;
                *sum = sums[columns].iter().copied().map(u32::from).sum();
            }
        }
    }
}

fn each<const N: usize>(sums: &[u16], cells: &mut [u32; WIDTH]) {
    for (cell, own) in cells.iter_mut().zip(sums.as_chunks::<N>().0) {
        *cell = own.iter().copied().map(u32::from).sum();
    }
}

/// Which second differences of a row belong to each column of patches; the
/// first is about the pixel [`DETAIL_STEP`], and each next one so many further.
fn patch_columns(width: usize) -> [std::ops::Range<usize>; PATCHES] {
    let all = (width - 2 * DETAIL_STEP - 1) / DETAIL_STEP + 1;
    std::array::from_fn(|patch| {
        let begin = |patch: usize| (patch * width).div_ceil(DETAIL_STEP * PATCHES).min(all);
        begin(patch)..begin(patch + 1)
    })
}

/// Each second pixel of a row, from the first on: what second differences of
/// [`DETAIL_STEP`] are made of.
fn take_evens(row: &[u8], evens: &mut [i16]) {
    let (pairs, odd) = row.as_chunks::<DETAIL_STEP>();
    // A pair is one number, and the first pixel its lower half: whole vectors at once.
    for (even, pair) in evens.iter_mut().zip(pairs) {
        *even = (u16::from_le_bytes(*pair) & 0xFF).cast_signed();
    }
    if let (Some(even), [last]) = (evens.last_mut(), odd) {
        *even = i16::from(*last);
    }
}

/// The sum over all second differences of a stretch of a row, of which each second pixel is
/// given. Nothing but small whole numbers in the loop: it is walked for a third of all pixels.
fn squared_differences(evens: &[i16]) -> u64 {
    let middles = evens.get(1..).unwrap_or_default();
    let rights = evens.get(2..).unwrap_or_default();
    let differences = evens.iter().zip(middles).zip(rights);
    // Of a twelfth of a row: 32 bits hold 16,000 squares, of a picture of 390,000 columns.
    let sum: u32 = differences
        .map(|((left, middle), right)| {
            let difference = i32::from(2 * middle - left - right);
            (difference * difference).cast_unsigned()
        })
        .fold(0, u32::wrapping_add);
    u64::from(sum)
}

/// The mean of all patches, less that of the flattest tenth.
fn less_noise(patches: &[(u64, u32)]) -> f32 {
    let mut means: Vec<f64> = patches
        .iter()
        .map(|(sum, count)| *sum as f64 / f64::from((*count).max(1)))
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / (part.len() as f64).max(1.0);
    (mean(&means) - mean(&means[..means.len() / 10])) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As one would write it down: pixel by pixel.
    fn plainly(luma: &[u8], stride: usize, width: usize, height: usize) -> (Vec<f32>, f32) {
        let step = if height >= 270 { 3 } else { 1 };
        let rows = || (0..height).step_by(step);
        let cell = |n: usize| {
            let (row, column) = (n / WIDTH, n % WIDTH);
            let columns = column * width / WIDTH..(column + 1) * width / WIDTH;
            let rows = rows().filter(|y| y * HEIGHT / height == row);
            let pixels = rows.flat_map(|y| columns.clone().map(move |x| luma[y * stride + x]));
            let pixels: Vec<u32> = pixels.map(u32::from).collect();
            pixels.iter().sum::<u32>() as f32 / pixels.len() as f32
        };
        let mut detail = [(0_u64, 0_u32); PATCHES * PATCHES];
        for y in rows() {
            for x in (2..width - 2).step_by(2) {
                let at = |x: usize| i64::from(luma[y * stride + x]);
                let difference = 2 * at(x) - at(x - 2) - at(x + 2);
                // About the pixel two further to the left, as patches of columns begin.
                let patch = &mut detail[y * PATCHES / height * PATCHES + (x - 2) * PATCHES / width];
                patch.0 += difference.unsigned_abs().pow(2);
                patch.1 += 1;
            }
        }
        ((0..WIDTH * HEIGHT).map(cell).collect(), less_noise(&detail))
    }

    /// It is computed by whole vectors, and must be what it is pixel by pixel, to the bit: what is
    /// known of a camera is kept for years.
    #[test]
    fn a_thumbnail_is_the_same_as_pixel_by_pixel() {
        for (width, height) in [
            (160, 90),
            (161, 91),
            (320, 240),
            (704, 576),
            (640, 360),
            (1279, 719),
            (1280, 720),
            (1366, 768),
            (1920, 1080),
            (3840, 2160),
        ] {
            let stride = width + 5;
            let byte = |n: usize| (n.wrapping_mul(2_654_435_761) >> 9) as u8;
            let luma: Vec<u8> = (0..stride * height).map(byte).collect();
            let thumbnail = Thumbnail::of(&luma, stride, width, height).unwrap();
            let (cells, detail) = plainly(&luma, stride, width, height);
            assert!(thumbnail.luma == cells, "cells of {width}×{height}");
            assert_eq!(
                thumbnail.detail.to_bits(),
                detail.to_bits(),
                "{width}×{height}"
            );
        }
    }

    #[test]
    fn stripes_from_black_to_white_are_the_most_detail_and_do_not_overflow() {
        let (width, height) = (3840, 2160);
        // Black, grey, white, grey …: each second pixel by turns 0 and 255.
        let luma: Vec<u8> = (0..width * height)
            .map(|n| [0, 0, 255, 255][n % 4])
            .collect();
        let thumbnail = Thumbnail::of(&luma, width, width, height).unwrap();
        // The same everywhere is noise and no detail.
        assert_eq!(thumbnail.detail, 0.0);
        let half: Vec<u8> = (0..width * height)
            .map(|n| if n % width < width / 2 { luma[n] } else { 90 })
            .collect();
        let thumbnail = Thumbnail::of(&half, width, width, height).unwrap();
        let most = 510.0_f32 * 510.0;
        assert!(
            (thumbnail.detail - most / 2.0).abs() < 0.01 * most,
            "{}",
            thumbnail.detail
        );
    }
}
