//! Non-maximum suppression: of several answers for one thing, keep the best.
//!
//! Greedy and per class, in one canonical order, so that the same answers in
//! another order give the same result.

use core::cmp::Ordering;

use protocol::{Detection, NormBox};

/// Most answers that are looked at, best first.
///
/// A picture has far fewer things in it; a broken or hostile network may claim
/// a million, and the comparison of all pairs must not stop the box.
pub const MAX_CANDIDATES: usize = 1024;

/// Best first; among equals by class, then place, so that no order is left to chance.
pub(crate) fn canonical_order(a: &Detection, b: &Detection) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then_with(|| a.class.cmp(&b.class))
        .then_with(|| a.bounds.x.total_cmp(&b.bounds.x))
        .then_with(|| a.bounds.y.total_cmp(&b.bounds.y))
        .then_with(|| a.bounds.width.total_cmp(&b.bounds.width))
        .then_with(|| a.bounds.height.total_cmp(&b.bounds.height))
}

/// Keeps, best first, every detection that no better one of its class overlaps
/// by more than `max_iou` (intersection over union, 0 to 1).
pub fn suppress(candidates: Vec<Detection>, max_iou: f64) -> Vec<Detection> {
    suppress_by(candidates, max_iou, |detection| detection, |bounds| *bounds)
}

/// [`suppress`] for answers that are more than a detection. `part` is the part of
/// its bounds by which one is compared with another.
pub(crate) fn suppress_by<T>(
    mut candidates: Vec<T>,
    max_iou: f64,
    of: impl Fn(&T) -> &Detection,
    part: impl Fn(&NormBox) -> NormBox,
) -> Vec<T> {
    let order = |a: &T, b: &T| canonical_order(of(a), of(b));
    if candidates.len() > MAX_CANDIDATES {
        candidates.select_nth_unstable_by(MAX_CANDIDATES, order);
        candidates.truncate(MAX_CANDIDATES);
    }
    candidates.sort_unstable_by(order);
    let mut kept: Vec<T> = Vec::new();
    for candidate in candidates {
        let (class, bounds) = (of(&candidate).class, part(&of(&candidate).bounds));
        let is_known = kept
            .iter()
            .map(&of)
            .any(|better| better.class == class && part(&better.bounds).iou(&bounds) > max_iou);
        if !is_known {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::ObjectClass;

    fn seen(class: ObjectClass, score: f64, bounds: [f64; 4]) -> Detection {
        Detection {
            class,
            score,
            bounds: bounds.into(),
        }
    }

    #[test]
    fn the_better_of_two_stays_unless_they_differ_in_class_or_place() {
        use ObjectClass::{Bus, Car};
        let kept = suppress(
            vec![
                seen(Car, 0.5, [0.11, 0.1, 0.2, 0.2]),
                seen(Car, 0.9, [0.10, 0.1, 0.2, 0.2]),
                seen(Bus, 0.4, [0.10, 0.1, 0.2, 0.2]),
                seen(Car, 0.3, [0.60, 0.1, 0.2, 0.2]),
            ],
            0.45,
        );
        let scores: Vec<_> = kept.iter().map(|d| d.score).collect();
        assert_eq!(scores, [0.9, 0.4, 0.3]);
    }

    #[test]
    fn a_million_claims_are_cut_to_the_best() {
        let claims = (0..20_000)
            .map(|i| {
                let x = f64::from(i) / 20_000.0;
                seen(ObjectClass::Car, x, [x, 0.0, 1e-6, 1e-6])
            })
            .collect();
        let kept = suppress(claims, 0.5);
        assert_eq!(kept.len(), MAX_CANDIDATES);
        assert!(kept.iter().all(|d| d.score > 0.94));
    }

    fn detections() -> impl Strategy<Value = Vec<Detection>> {
        let class = prop::sample::select(vec![ObjectClass::Person, ObjectClass::Car]);
        // Few distinct values, so that ties and overlaps are common.
        let edge = (0_u32..8).prop_map(|v| f64::from(v) / 8.0);
        let one = (
            class,
            edge.clone(),
            edge.clone(),
            edge.clone(),
            1_u32..4,
            1_u32..4,
        )
            .prop_map(|(class, score, x, y, width, height)| {
                seen(
                    class,
                    score,
                    [x, y, f64::from(width) / 8.0, f64::from(height) / 8.0],
                )
            });
        prop::collection::vec(one, 0..40)
    }

    proptest! {
        #[test]
        fn order_of_the_answers_changes_nothing(
            (sorted, shuffled) in detections().prop_flat_map(|d| (Just(d.clone()), Just(d).prop_shuffle()))
        ) {
            prop_assert_eq!(suppress(sorted, 0.45), suppress(shuffled, 0.45));
        }

        #[test]
        fn what_stays_does_not_overlap_and_what_goes_was_overlapped(all in detections()) {
            let kept = suppress(all.clone(), 0.45);
            for (i, a) in kept.iter().enumerate() {
                for b in &kept[i + 1..] {
                    prop_assert!(a.class != b.class || a.bounds.iou(&b.bounds) <= 0.45);
                }
            }
            for gone in all.iter().filter(|d| !kept.contains(d)) {
                prop_assert!(kept.iter().any(|k| k.class == gone.class
                    && k.score >= gone.score
                    && k.bounds.iou(&gone.bounds) > 0.45));
            }
        }
    }
}
