//! Polygons cut by a line, exactly: what is left may be several pieces.
//!
//! The textbook cut (Sutherland–Hodgman) joins the pieces of a concave polygon
//! by edges along the line that lie on each other; a scene's reader rightly
//! refuses such a polygon.

/// A point of any plane.
pub(crate) type P = [f64; 2];

/// The pieces of a simple polygon in which `a·x + b·y + c ≥ 0`.
#[allow(clippy::many_single_char_names)] // a, b, c as in the formula
pub(crate) fn cut(polygon: &[P], [a, b, c]: [f64; 3]) -> Vec<Vec<P>> {
    let n = polygon.len();
    let side: Vec<f64> = polygon.iter().map(|p| a * p[0] + b * p[1] + c).collect();
    let inside = |i: usize| side[i] >= 0.0;
    if (0..n).all(inside) {
        return vec![polygon.to_vec()];
    }
    // Chains of corners inside, each from the point where the outline comes in
    // to the one where it goes out.
    let mut chains: Vec<Vec<P>> = Vec::new();
    let meeting = |i: usize, j: usize| {
        let part = side[i] / (side[i] - side[j]);
        [
            polygon[i][0] + part * (polygon[j][0] - polygon[i][0]),
            polygon[i][1] + part * (polygon[j][1] - polygon[i][1]),
        ]
    };
    for start in (0..n).filter(|&i| inside(i) && !inside((i + n - 1) % n)) {
        let mut chain = vec![meeting((start + n - 1) % n, start)];
        let mut i = start;
        while inside(i) {
            chain.push(polygon[i]);
            i = (i + 1) % n;
        }
        chain.push(meeting((i + n - 1) % n, i));
        chains.push(chain);
    }
    // Along the line, the inside lies between the first meeting point and the
    // second, the third and the fourth, and so on.
    let along = |p: &P| -b * p[0] + a * p[1];
    let mut meetings: Vec<(f64, usize, bool)> = Vec::new();
    for (index, chain) in chains.iter().enumerate() {
        meetings.push((along(&chain[0]), index, true));
        meetings.push((along(&chain[chain.len() - 1]), index, false));
    }
    meetings.sort_by(|x, y| x.0.total_cmp(&y.0));
    let next = |chain: usize| {
        let at = meetings
            .iter()
            .position(|(_, index, is_start)| *index == chain && !is_start)?;
        let (_, index, is_start) = *meetings.get(at ^ 1)?;
        is_start.then_some(index)
    };
    let mut used = vec![false; chains.len()];
    let mut pieces = Vec::new();
    for first in 0..chains.len() {
        let (mut piece, mut chain) = (Vec::new(), first);
        while !used[chain] {
            used[chain] = true;
            piece.extend_from_slice(&chains[chain]);
            match next(chain) {
                Some(following) => chain = following,
                None => break,
            }
        }
        if piece.len() >= 3 {
            pieces.push(piece);
        }
    }
    pieces
}

/// Without corners that stand on the one before.
pub(crate) fn without_repeats(polygon: &[P], apart: f64) -> Vec<P> {
    let near = |a: &P, b: &P| (a[0] - b[0]).abs() < apart && (a[1] - b[1]).abs() < apart;
    let mut kept: Vec<P> = Vec::new();
    for corner in polygon {
        if kept.last().is_none_or(|last| !near(last, corner)) {
            kept.push(*corner);
        }
    }
    while kept.len() > 1 && near(&kept[0], &kept[kept.len() - 1]) {
        kept.pop();
    }
    kept
}

pub(crate) fn area(polygon: &[P]) -> f64 {
    let corners = polygon.iter().zip(polygon.iter().cycle().skip(1));
    corners
        .map(|(p, q)| p[0] * q[1] - q[0] * p[1])
        .sum::<f64>()
        .abs()
        / 2.0
}

/// The least convex polygon around points.
pub(crate) fn hull(points: &[P]) -> Vec<P> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|p, q| p[0].total_cmp(&q[0]).then(p[1].total_cmp(&q[1])));
    let half = |points: &mut dyn Iterator<Item = &P>| {
        let mut kept: Vec<P> = Vec::new();
        for p in points {
            while let [.., o, a] = kept[..]
                && (a[0] - o[0]) * (p[1] - o[1]) - (a[1] - o[1]) * (p[0] - o[0]) <= 0.0
            {
                kept.pop();
            }
            kept.push(*p);
        }
        kept.pop();
        kept
    };
    let mut outline = half(&mut sorted.iter());
    outline.extend(half(&mut sorted.iter().rev()));
    outline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_is_cut_in_half_or_kept_or_gone() {
        let square = [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]];
        let left = cut(&square, [-1.0, 0.0, 1.0]);
        assert_eq!(left.len(), 1);
        assert!((area(&left[0]) - 2.0).abs() < 1e-12);
        assert_eq!(cut(&square, [1.0, 0.0, 1.0]), vec![square.to_vec()]);
        assert_eq!(cut(&square, [1.0, 0.0, -3.0]), Vec::<Vec<P>>::new());
    }

    #[test]
    fn a_comb_falls_into_its_teeth() {
        let comb = [
            [0.0, 0.0],
            [5.0, 0.0],
            [5.0, 3.0],
            [4.0, 3.0],
            [4.0, 1.0],
            [1.0, 1.0],
            [1.0, 3.0],
            [0.0, 3.0],
        ];
        let teeth = cut(&comb, [0.0, 1.0, -2.0]);
        assert_eq!(teeth.len(), 2);
        assert!(teeth.iter().all(|tooth| (area(tooth) - 1.0).abs() < 1e-12));
        let rest = cut(&comb, [0.0, -1.0, 2.0]);
        assert_eq!(rest.len(), 1);
        assert!((area(&rest[0]) - 7.0).abs() < 1e-12);
    }

    #[test]
    fn a_hull_leaves_out_what_is_within() {
        let points = [[0.0, 0.0], [2.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.0, 2.0]];
        assert!((area(&hull(&points)) - 4.0).abs() < 1e-12);
        assert_eq!(hull(&points).len(), 4);
    }
}
