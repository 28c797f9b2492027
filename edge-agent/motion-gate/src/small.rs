//! A camera's picture made small: all that motion is found by.

/// Most columns of a small picture.
const MOST_COLUMNS: usize = 160;
/// Most rows of a small picture.
const MOST_ROWS: usize = 90;
/// Fewer points each way show no road.
const LEAST: usize = 16;
/// Rows of one cell that are added up at most: 16 bits hold 257 of them.
const MOST_ADDED: usize = 128;
/// Rows that are added up in one go.
const ROWS_AT_ONCE: usize = 4;

/// The luma of a picture on at most 160 × 90 cells, each the mean of its pixels.
///
/// The mean of *all* pixels and not of some: a cell of a 1080p picture then has a
/// twelfth of a pixel's noise, and a far walker of a few pixels still shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SmallPicture {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// Row by row, 0 to 255.
    pub(crate) luma: Vec<f32>,
    /// Sums of each pixel column over the rows of one cell; kept for its memory.
    sums: Vec<u16>,
}

impl SmallPicture {
    /// Of the luma plane of a picture, `stride` bytes per row. `None` when the
    /// plane is shorter than it says, or too small to show a road.
    pub fn of(luma: &[u8], stride: usize, width: usize, height: usize) -> Option<Self> {
        let mut small = Self::default();
        small.read(luma, stride, width, height).then_some(small)
    }

    /// The same into memory that is there already; `false` leaves an empty picture.
    pub fn read(&mut self, luma: &[u8], stride: usize, width: usize, height: usize) -> bool {
        self.luma.clear();
        (self.columns, self.rows) = (0, 0);
        let is_whole = height
            .checked_sub(1)
            .and_then(|rows| rows.checked_mul(stride)?.checked_add(width))
            .is_some_and(|length| luma.len() >= length);
        if !is_whole || width < LEAST || height < LEAST || stride < width {
            return false;
        }
        (self.columns, self.rows) = (width.min(MOST_COLUMNS), height.min(MOST_ROWS));
        for row in 0..self.rows {
            let (from, to) = (row * height / self.rows, (row + 1) * height / self.rows);
            let step = (to - from).div_ceil(MOST_ADDED);
            self.sums.clear();
            self.sums.resize(width, 0);
            let added = u32::try_from((to - from).div_ceil(step)).unwrap_or(u32::MAX);
            let mut y = from;
            // Down first, then across, and four rows at once: vector additions of which
            // the sums are fetched and stored once.
            while step == 1 && y + ROWS_AT_ONCE <= to {
                let rows = [0, 1, 2, 3].map(|n| &luma[(y + n) * stride..][..width]);
                for (x, sum) in self.sums[..width].iter_mut().enumerate() {
                    *sum += rows.iter().map(|row| u16::from(row[x])).sum::<u16>();
                }
                y += ROWS_AT_ONCE;
            }
            for y in (y..to).step_by(step) {
                let pixels = &luma[y * stride..][..width];
                for (sum, pixel) in self.sums.iter_mut().zip(pixels) {
                    *sum += u16::from(*pixel);
                }
            }
            for column in 0..self.columns {
                let (from, to) = (
                    column * width / self.columns,
                    (column + 1) * width / self.columns,
                );
                let sum: u32 = self.sums[from..to].iter().map(|sum| u32::from(*sum)).sum();
                let count = added * u32::try_from(to - from).unwrap_or(u32::MAX);
                self.luma.push(sum as f32 / count as f32);
            }
        }
        true
    }

    /// Cells across and down; 0 × 0 for an empty picture.
    pub fn size(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cell_is_the_mean_of_its_pixels() {
        let (width, height, stride) = (320, 180, 333);
        let mut luma = vec![255; stride * height];
        for y in 0..height {
            for x in 0..width {
                luma[y * stride + x] = if y < 2 && x < 2 {
                    [[10, 20], [30, 50]][y][x]
                } else {
                    77
                };
            }
        }
        let small = SmallPicture::of(&luma, stride, width, height).unwrap();
        assert_eq!(small.size(), (160, 90));
        assert_eq!(small.luma[0], 27.5);
        assert!(small.luma[1..].iter().all(|cell| *cell == 77.0));
    }

    #[test]
    fn planes_that_are_not_what_they_say_are_refused() {
        let luma = vec![0; 320 * 180];
        for (length, stride, width, height) in [
            (320 * 180 - 1, 320, 320, 180),
            (320 * 180, 319, 320, 180),
            (320 * 180, 320, 8, 180),
            (320 * 180, 320, 320, 0),
            (320 * 180, usize::MAX, 320, 180),
        ] {
            let small = SmallPicture::of(&luma[..length], stride, width, height);
            assert!(small.is_none(), "{length} {stride} {width} {height}");
        }
    }

    proptest! {
        #[test]
        fn any_size_is_read_and_stays_within_its_pixels(
            width in 16..700_usize, height in 16..400_usize, pad in 0..40_usize, seed in 0..255_u8,
        ) {
            let stride = width + pad;
            let luma: Vec<u8> = (0..stride * height)
                .map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed) % 200 + 20)
                .collect();
            let small = SmallPicture::of(&luma, stride, width, height).unwrap();
            prop_assert_eq!(small.luma.len(), small.columns * small.rows);
            prop_assert!(small.luma.iter().all(|cell| (20.0..220.0).contains(cell)));
        }
    }
}
