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

/// Every so many rows are read: a thumbnail of a 1080p picture takes a third of a millisecond.
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
        let mut sums = vec![0_u32; WIDTH * HEIGHT];
        let mut counts = vec![0_u32; WIDTH * HEIGHT];
        let mut detail = [(0_u64, 0_u32); PATCHES * PATCHES];
        let columns = patch_columns(width);
        // Small pictures have no rows to spare.
        let step = if height >= ROW_STEP * HEIGHT {
            ROW_STEP
        } else {
            1
        };
        for y in (0..height).step_by(step) {
            let row = &luma[y * stride..y * stride + width];
            let cells = (y * HEIGHT / height) * WIDTH;
            for column in 0..WIDTH {
                let (from, to) = (column * width / WIDTH, (column + 1) * width / WIDTH);
                let cell = &row[from..to];
                sums[cells + column] += cell.iter().map(|value| u32::from(*value)).sum::<u32>();
                counts[cells + column] += u32::try_from(cell.len()).unwrap_or(0);
            }
            let patches = (y * PATCHES / height) * PATCHES;
            for (column, range) in columns.iter().enumerate() {
                let pixels = &row[range.start * DETAIL_STEP..=(range.end + 1) * DETAIL_STEP];
                let patch = &mut detail[patches + column];
                patch.0 += squared_differences(pixels);
                patch.1 += u32::try_from(range.len()).unwrap_or(0);
            }
        }
        let mean = |(sum, count): (&u32, &u32)| *sum as f32 / (*count).max(1) as f32;
        Some(Self {
            luma: sums.iter().zip(&counts).map(mean).collect(),
            detail: less_noise(&detail),
            aspect: width as f32 / height as f32,
        })
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

/// The sum over all second differences of a stretch of a row. Nothing but whole
/// numbers in the loop: it is walked for a third of all pixels.
fn squared_differences(pixels: &[u8]) -> u64 {
    pixels
        .windows(2 * DETAIL_STEP + 1)
        .step_by(DETAIL_STEP)
        .map(|three| {
            let [left, middle, right] =
                [three[0], three[DETAIL_STEP], three[2 * DETAIL_STEP]].map(i32::from);
            let difference = 2 * middle - left - right;
            u64::from(difference.unsigned_abs().pow(2))
        })
        .sum()
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
