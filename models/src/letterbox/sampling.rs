//! Sampling of a plane of bytes, one output row at a time, in whole numbers.
//!
//! Blending whole source rows costs little, since it vectorises; picking columns
//! out of one row then needs half the loads.
//!
//! Nothing can overflow here; `wrapping` keeps the overflow checks of an
//! unoptimised build out, with which no loop would vectorise.

use super::taps::{Columns, Rows};

/// A plane and the bytes of each of its rows that may be read.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
    /// First byte of a row.
    pub(super) first: usize,
    /// Bytes of a row.
    pub(super) length: usize,
}

impl<'a> Plane<'a> {
    fn row(&self, row: usize) -> &'a [u8] {
        &self.bytes[row * self.stride + self.first..][..self.length]
    }

    /// Blends source rows into `blended`, times 256, and lets the last `step`
    /// numbers go on beyond the edge, where a pair of columns may look.
    pub(super) fn blend(&self, rows: &Rows, row: usize, step: usize, blended: &mut [u16]) {
        // 255 · 256 fits 16 bits, so eight or sixteen columns go at once.
        let sums = &mut blended[..self.length];
        let (first, weights) = rows.of(row);
        match weights {
            [upper_weight, lower_weight, rest @ ..] => {
                let (upper, lower) = (self.row(first), self.row(first + 1));
                for ((sum, upper), lower) in sums.iter_mut().zip(upper).zip(lower) {
                    *sum = u16::from(*upper)
                        .wrapping_mul(*upper_weight)
                        .wrapping_add(u16::from(*lower).wrapping_mul(*lower_weight));
                }
                for (number, weight) in rest.iter().enumerate() {
                    for (sum, byte) in sums.iter_mut().zip(self.row(first + 2 + number)) {
                        *sum = sum.wrapping_add(u16::from(*byte).wrapping_mul(*weight));
                    }
                }
            }
            // Its weight is all there is.
            _ => {
                for (sum, byte) in sums.iter_mut().zip(self.row(first)) {
                    *sum = u16::from(*byte) << 8;
                }
            }
        }
        for beyond in self.length..self.length + step {
            blended[beyond] = blended[beyond - step];
        }
    }
}

/// Picks and blends the columns of one row of pixels that lie `STEP` numbers
/// apart, from number `offset` on.
pub(super) fn pick<const STEP: usize>(
    columns: &Columns,
    blended: &[u16],
    offset: usize,
    out: &mut [i32],
) {
    let blended = &blended[offset..];
    // The common numbers of taps, each with a loop that the compiler unrolls.
    match columns.taps {
        2 => {
            let pairs = columns.weights.as_chunks::<2>().0;
            for ((out, at), [first, second]) in out.iter_mut().zip(&columns.at).zip(pairs) {
                let pair = &blended[STEP * *at as usize..][..=STEP];
                *out = i32::from(pair[0])
                    .wrapping_mul(*first)
                    .wrapping_add(i32::from(pair[STEP]).wrapping_mul(*second));
            }
        }
        3 => sums::<STEP, 3>(columns, blended, out),
        4 => sums::<STEP, 4>(columns, blended, out),
        5 => sums::<STEP, 5>(columns, blended, out),
        6 => sums::<STEP, 6>(columns, blended, out),
        7 => sums::<STEP, 7>(columns, blended, out),
        8 => sums::<STEP, 8>(columns, blended, out),
        taps => {
            let weights = columns.weights.chunks_exact(taps);
            for ((out, at), weights) in out.iter_mut().zip(&columns.at).zip(weights) {
                let pixels = blended[STEP * *at as usize..].iter().step_by(STEP);
                *out = pixels.zip(weights).fold(0, |sum: i32, (pixel, weight)| {
                    sum.wrapping_add(i32::from(*pixel).wrapping_mul(*weight))
                });
            }
        }
    }
}

fn sums<const STEP: usize, const TAPS: usize>(columns: &Columns, blended: &[u16], out: &mut [i32]) {
    let weights = columns.weights.as_chunks::<TAPS>().0;
    for ((out, at), weights) in out.iter_mut().zip(&columns.at).zip(weights) {
        let pixels = &blended[STEP * *at as usize..][..=STEP * (TAPS - 1)];
        let mut sum = 0_i32;
        for (tap, weight) in weights.iter().enumerate() {
            sum = sum.wrapping_add(i32::from(pixels[STEP * tap]).wrapping_mul(*weight));
        }
        *out = sum;
    }
}
