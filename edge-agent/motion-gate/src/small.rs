//! A camera's picture made small: all that motion is found by.

/// Most columns of a small picture.
const MOST_COLUMNS: usize = 160;
/// Most rows of a small picture.
const MOST_ROWS: usize = 90;
/// Fewer points each way show no road.
const LEAST: usize = 16;
/// Rows of one cell that are added up at most: 16 bits hold 128 pairs of pixels.
const MOST_ADDED: usize = 128;
/// Rows that are added up in one go.
const ROWS_AT_ONCE: usize = 4;

/// The luma of a picture on at most 160 × 90 cells, each the mean of its pixels.
///
/// The mean of *all* pixels and not of some: a cell of a 1080p picture then has a
/// twelfth of a pixel's noise, and a far walker of a few pixels still shows. Reading every
/// third row only would save a tenth of a millisecond and make nights nearly twice as noisy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SmallPicture {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// Row by row, 0 to 255.
    pub(crate) luma: Vec<f32>,
    /// Sums of each pixel column, or of each two, over the rows of one cell; kept for its memory.
    sums: Vec<u16>,
    /// Sums of the cells of one row; kept for its memory.
    cells: Vec<u32>,
    /// Pixels across of each cell, where they are not all alike.
    widths: Vec<usize>,
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
        let across = Across::of(width, self.columns);
        self.sums.resize(width / across.pixels_per_sum(), 0);
        self.cells.resize(self.columns, 0);
        if across == Across::Uneven {
            let edge = |column| column * width / self.columns;
            self.widths.clear();
            self.widths
                .extend((0..self.columns).map(|column| edge(column + 1) - edge(column)));
        }
        for row in 0..self.rows {
            let (from, to) = (row * height / self.rows, (row + 1) * height / self.rows);
            let step = (to - from).div_ceil(MOST_ADDED);
            let added = (to - from).div_ceil(step);
            let pixels = |n: usize| &luma[(from + n * step) * stride..][..width];
            // Down first, then across, and several rows at once: additions of whole vectors of
            // which the sums are fetched and stored once.
            self.sums.fill(0);
            let in_one_go = added - added % ROWS_AT_ONCE;
            for n in (0..in_one_go).step_by(ROWS_AT_ONCE) {
                across.add([0, 1, 2, 3].map(|next| pixels(n + next)), &mut self.sums);
            }
            for n in in_one_go..added {
                across.add([pixels(n)], &mut self.sums);
            }
            across.gather(&self.sums, &self.widths, &mut self.cells);
            let added = added as f32;
            if across == Across::Uneven {
                let cells = self.cells.iter().zip(&self.widths);
                let means = cells.map(|(sum, width)| *sum as f32 / (added * *width as f32));
                self.luma.extend(means);
            } else {
                let count = added * (width / self.columns) as f32;
                let means = self.cells.iter().map(|sum| *sum as f32 / count);
                self.luma.extend(means);
            }
        }
        true
    }

    /// Cells across and down; 0 × 0 for an empty picture.
    pub fn size(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }
}

/// How the columns of pixels lie in columns of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Across {
    /// So many pairs of pixels in each.
    Pairs(usize),
    /// As it comes: in some a pixel more than in others.
    Uneven,
}

impl Across {
    fn of(width: usize, columns: usize) -> Self {
        match width / columns / 2 {
            // What `gather` has a way of its own for: 640, 960, 1280, 1920, 2560 and 3840 across.
            pairs @ (2 | 3 | 4 | 6 | 8 | 12) if width == pairs * 2 * columns => Self::Pairs(pairs),
            _ => Self::Uneven,
        }
    }

    fn pixels_per_sum(self) -> usize {
        match self {
            Self::Pairs(_) => 2,
            Self::Uneven => 1,
        }
    }

    /// Adds rows of pixels to the sums.
    fn add<const ROWS: usize>(self, rows: [&[u8]; ROWS], sums: &mut [u16]) {
        match self {
            Self::Pairs(_) => {
                let rows = rows.map(|row| &row.as_chunks::<2>().0[..sums.len()]);
                for (x, sum) in sums.iter_mut().enumerate() {
                    // Two pixels are one number: its halves, added.
                    let pairs = rows.map(|row| u16::from_le_bytes(row[x]));
                    *sum += pairs
                        .map(|two| (two & 0xFF) + (two >> 8))
                        .iter()
                        .sum::<u16>();
                }
            }
            Self::Uneven => {
                let rows = rows.map(|row| &row[..sums.len()]);
                for (x, sum) in sums.iter_mut().enumerate() {
                    *sum += rows.iter().map(|row| u16::from(row[x])).sum::<u16>();
                }
            }
        }
    }

    /// Adds up the sums that lie in each cell.
    fn gather(self, sums: &[u16], widths: &[usize], cells: &mut [u32]) {
        match self {
            Self::Pairs(2) => each::<2>(sums, cells),
            Self::Pairs(3) => each::<3>(sums, cells),
            Self::Pairs(4) => each::<4>(sums, cells),
            Self::Pairs(6) => each::<6>(sums, cells),
            Self::Pairs(8) => each::<8>(sums, cells),
            Self::Pairs(_) => each::<12>(sums, cells),
            Self::Uneven => {
                let mut rest = sums;
                for (cell, width) in cells.iter_mut().zip(widths) {
                    let (own, others) = rest.split_at(*width);
                    *cell = own.iter().map(|sum| u32::from(*sum)).sum();
                    rest = others;
                }
            }
        }
    }
}

/// Each cell has `N` sums: known when compiled, so there is no loop.
fn each<const N: usize>(sums: &[u16], cells: &mut [u32]) {
    for (cell, own) in cells.iter_mut().zip(sums.as_chunks::<N>().0) {
        *cell = own.iter().map(|sum| u32::from(*sum)).sum();
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

    /// However many columns lie in a cell, and however many rows.
    #[test]
    fn every_pixel_counts_in_its_cell() {
        for (width, height) in [
            (640, 480),
            (704, 576),
            (960, 540),
            (1280, 720),
            (1366, 768),
            (1920, 1080),
            (2560, 1440),
            (3840, 2160),
        ] {
            let stride = width + 7;
            let byte = |n: usize| (n.wrapping_mul(2_654_435_761) >> 7) as u8;
            let luma: Vec<u8> = (0..stride * height).map(byte).collect();
            let small = SmallPicture::of(&luma, stride, width, height).unwrap();
            let edges = |length: usize, parts: usize, at: usize| {
                at * length / parts..(at + 1) * length / parts
            };
            for (cell, mean) in small.luma.iter().enumerate() {
                let rows = edges(height, 90, cell / 160);
                let row = |y: usize| &luma[y * stride..][edges(width, 160, cell % 160)];
                let pixels: Vec<f64> = rows.flat_map(row).copied().map(f64::from).collect();
                let expected = pixels.iter().sum::<f64>() / pixels.len() as f64;
                let off = (f64::from(*mean) - expected).abs();
                assert!(
                    off < 1e-4,
                    "{width}×{height}, cell {cell}: {mean}, not {expected}"
                );
            }
        }
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
