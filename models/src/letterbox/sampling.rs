//! Bilinear sampling of a plane of bytes, one output row at a time, in whole numbers.

/// Where the samples of one plane come from.
#[derive(Clone, Debug)]
pub(super) struct Taps {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

/// An output column is `(first · row[at] + second · row[at + 1]) / COLUMN_UNIT`.
///
/// Whole numbers: exact on every machine, and turned into floats later, a row
/// at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    at: u32,
    first: i32,
    second: i32,
}

/// 255 · 256 (a blended row) · 2¹⁵ is just below 2³¹.
const COLUMN_UNIT: i32 = 1 << 15;
/// What a sampled number is a multiple of.
pub(super) const SAMPLE_UNIT: f32 = 1.0 / (256.0 * COLUMN_UNIT as f32);

/// An output row is `((256 − weight) · plane[first] + weight · plane[second]) / 256`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    first: usize,
    second: usize,
    weight: u16,
}

/// Position in the source of output sample `index`: pixel centres meet pixel
/// centres, and beyond the edge the edge goes on.
fn source_position(index: usize, length: usize, scale: f64) -> (usize, f64) {
    let last = (length - 1) as f64;
    let position = ((index as f64 + 0.5) * scale - 0.5).clamp(0.0, last);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 ≤ position < length
    let at = position as usize;
    (at, position - at as f64)
}

pub(super) fn columns(count: usize, length: usize, scale: f64) -> Vec<Column> {
    (0..count)
        .map(|index| {
            let (at, fraction) = source_position(index, length, scale);
            #[allow(clippy::cast_possible_truncation)] // at < MAX_SIDE, fraction ≤ 1
            let (at, second) = (
                at as u32,
                (fraction * f64::from(COLUMN_UNIT)).round() as i32,
            );
            Column {
                at,
                first: COLUMN_UNIT - second,
                second,
            }
        })
        .collect()
}

pub(super) fn rows(count: usize, length: usize, scale: f64) -> Vec<Row> {
    (0..count)
        .map(|index| {
            let (first, fraction) = source_position(index, length, scale);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 256
            let weight = (fraction * 256.0).round() as u16;
            Row {
                first,
                second: (first + 1).min(length - 1),
                weight,
            }
        })
        .collect()
}

/// One output row of one plane. Blending whole source rows costs little, since
/// it vectorises; picking columns out of one row then needs half the loads.
#[allow(clippy::too_many_arguments)] // one inner step, called three times just above
pub(super) fn sample(
    plane: &[u8],
    stride: usize,
    taps: &Taps,
    row: usize,
    blended: &mut [u16],
    out: &mut [i32],
) {
    let Row {
        first,
        second,
        weight,
    } = taps.rows[row];
    let width = blended.len() - 1;
    let upper = &plane[first * stride..][..width];
    let lower = &plane[second * stride..][..width];
    // 255 · 256 fits 16 bits, so eight or sixteen columns go at once. Nothing
    // can overflow here or below; `wrapping` keeps the overflow checks of an
    // unoptimised build out, with which no loop would vectorise.
    let (upper_weight, lower_weight) = (256 - weight, weight);
    for ((sum, upper), lower) in blended.iter_mut().zip(upper).zip(lower) {
        *sum = u16::from(*upper)
            .wrapping_mul(upper_weight)
            .wrapping_add(u16::from(*lower).wrapping_mul(lower_weight));
    }
    // Beyond the right edge the edge goes on; `columns` may look one further.
    blended[width] = blended[width - 1];
    for (out, column) in out.iter_mut().zip(&taps.columns) {
        let at = column.at as usize;
        let pair = &blended[at..at + 2];
        *out = i32::from(pair[0])
            .wrapping_mul(column.first)
            .wrapping_add(i32::from(pair[1]).wrapping_mul(column.second));
    }
}
