//! The grid of anchor points that dense heads answer for: one per cell of each
//! stride, rows of y, then x, finest stride first.

use super::Shape;
use crate::manifest::Input;

/// A cell: column and row on its grid, and the grid's pitch in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Anchor {
    pub(super) column: f32,
    pub(super) row: f32,
    pub(super) stride: f32,
}

/// Columns and rows of one stride. A last, partial cell counts: networks pad.
fn cells(input: &Input, stride: u32) -> (u32, u32) {
    (input.width.div_ceil(stride), input.height.div_ceil(stride))
}

/// How many anchors there are.
pub(super) fn count(input: &Input, strides: &[u32]) -> usize {
    strides
        .iter()
        .map(|stride| cells(input, *stride))
        .map(|(columns, rows)| columns as usize * rows as usize)
        .sum()
}

/// Every anchor in the order of the tensor.
pub(super) fn anchors(input: &Input, strides: &[u32]) -> impl Iterator<Item = Anchor> {
    strides.iter().flat_map(|stride| {
        let (columns, rows) = cells(input, *stride);
        (0..rows).flat_map(move |row| {
            (0..columns).map(move |column| Anchor {
                column: column as f32,
                row: row as f32,
                stride: *stride as f32,
            })
        })
    })
}

/// Outputs of which each holds one stride's cells, `row` numbers per cell.
pub(super) fn per_stride<'a>(
    input: &Input,
    strides: &[u32],
    names: &'a [String],
    row: usize,
) -> Vec<(&'a str, Shape)> {
    names
        .iter()
        .zip(strides)
        .map(|(name, stride)| {
            let shape = Shape::of(&[1, count(input, &[*stride]), row]);
            (name.as_str(), shape)
        })
        .collect()
}

/// Refuses lists of outputs that are not one per stride.
pub(super) fn check_outputs(strides: &[u32], lists: &[(&str, &[String])]) -> Result<(), String> {
    for (key, names) in lists {
        if names.len() != strides.len() {
            return Err(format!(
                "{key} names {} outputs for {} strides; write one for each stride, in the same order",
                names.len(),
                strides.len()
            ));
        }
    }
    Ok(())
}

/// Refuses strides that no network has, before they become a division by zero.
pub(super) fn check_strides(strides: &[u32]) -> Result<(), String> {
    let known = |stride: &u32| stride.is_power_of_two() && (1..=256).contains(stride);
    if strides.is_empty() || strides.len() > 8 || !strides.iter().all(known) {
        return Err(format!(
            "strides are {strides:?}; write 1 to 8 powers of two up to 256, finest first"
        ));
    }
    Ok(())
}
