//! Where one row of writing ends and the next begins.
//!
//! Writing is what changes from left to right: dark on light or light on dark,
//! it does not matter. Between two rows little changes.

/// The valley must be at most this part of the lower of the two hills.
const VALLEY: f32 = 0.5;
/// It lies in the middle of the plate: rows are equally high.
const MIDDLE: (f64, f64) = (0.3, 0.7);

/// The gap between the two rows of a straightened piece of `width` luma values
/// per line, as fractions of its height from the top: where the upper row ends
/// and the lower begins. None where it is one row.
pub(crate) fn gap(luma: &[f32], width: usize) -> Option<(f64, f64)> {
    let height = luma.len() / width.max(1);
    if width < 8 || height < 16 {
        return None;
    }
    // Frames and rims run along the sides.
    let margin = width / 12;
    let change: Vec<f32> = luma
        .chunks_exact(width)
        .map(|row| {
            let row = &row[margin..width - margin];
            row.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum()
        })
        .collect();
    let smooth: Vec<f32> = (0..height)
        .map(|at| {
            let around = &change[at.saturating_sub(1)..(at + 2).min(height)];
            around.iter().sum::<f32>() / around.len() as f32
        })
        .collect();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // fractions of a height
    let place = |fraction: f64| (fraction * height as f64) as usize;
    let (from, to) = (place(MIDDLE.0), place(MIDDLE.1));
    let (deepest, least) = smooth[from..to]
        .iter()
        .enumerate()
        .min_by(|a, b| a.1.total_cmp(b.1))
        .map(|(at, least)| (from + at, *least))?;
    let hill = |part: &[f32]| {
        let mut sorted = part.to_vec();
        sorted.sort_by(f32::total_cmp);
        // Not the highest: a rim is one line.
        sorted.get(sorted.len() * 3 / 4).copied().unwrap_or(0.0)
    };
    let lower_hill = hill(&smooth[..deepest]).min(hill(&smooth[deepest..]));
    if least >= VALLEY * lower_hill {
        return None;
    }
    // The whole of the valley floor.
    let floor = f32::midpoint(least, lower_hill);
    let begin = (0..deepest).rev().find(|at| smooth[*at] > floor)?;
    let end = (deepest..height).find(|at| smooth[*at] > floor)?;
    let fraction = |at: usize| at as f64 / height as f64;
    Some((fraction(begin + 1), fraction(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stripes, as letters are, in the given lines of a piece 60 × 40.
    fn written(is_row: impl Fn(usize) -> bool) -> Vec<f32> {
        let mut luma = Vec::new();
        for y in 0..40 {
            for x in 0..60 {
                let is_ink = is_row(y) && x % 6 < 2;
                luma.push(if is_ink { 30.0 } else { 200.0 });
            }
        }
        luma
    }

    #[test]
    fn two_rows_part_in_their_gap_and_one_row_does_not() {
        let two = gap(
            &written(|y| (3..17).contains(&y) || (22..37).contains(&y)),
            60,
        )
        .unwrap();
        assert!(two.0 >= 0.40 && two.0 <= 0.45, "{two:?}");
        assert!(two.1 >= 0.50 && two.1 <= 0.56, "{two:?}");
        assert_eq!(gap(&written(|y| (6..34).contains(&y)), 60), None);
        assert_eq!(gap(&written(|_| false), 60), None);
        assert_eq!(gap(&[], 0), None);
    }
}
