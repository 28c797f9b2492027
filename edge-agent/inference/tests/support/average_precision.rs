//! Average precision at an overlap of one half, against labels in MOT text format.

use std::collections::BTreeMap;

use protocol::{Detection, NormBox, ObjectClass};

/// Labelled boxes by frame number, from 1, in fractions of the picture.
pub(crate) type Labels = BTreeMap<u64, Vec<NormBox>>;

/// Reads `frame,id,left,top,width,height,…` in pixels from 1. Every label
/// counts, also those flagged as hard to see, as in the published figures.
pub(crate) fn read_labels(text: &str, width: u32, height: u32) -> Labels {
    let (width, height) = (f64::from(width), f64::from(height));
    let mut labels = Labels::new();
    for line in text.lines() {
        let numbers: Vec<f64> = line
            .split(',')
            .map_while(|field| field.trim().parse().ok())
            .collect();
        let [frame, _, left, top, box_width, box_height, ..] = numbers[..] else {
            continue;
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // whole numbers in the file
        labels.entry(frame as u64).or_default().push(NormBox {
            x: (left - 1.0) / width,
            y: (top - 1.0) / height,
            width: box_width / width,
            height: box_height / height,
        });
    }
    labels
}

/// How well detections match labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    /// Area under precision over recall, at IoU ≥ 0.5.
    pub(crate) ap50: f64,
    /// Precision of the detections at or above the model's high threshold.
    pub(crate) precision: f64,
    /// Recall of the same.
    pub(crate) recall: f64,
}

/// Scores the people among `seen`, by frame; frames that are not in `seen` do not count.
pub(crate) fn score(seen: &BTreeMap<u64, Vec<Detection>>, labels: &Labels, high: f64) -> Score {
    let mut claims: Vec<(u64, &Detection)> = seen
        .iter()
        .flat_map(|(frame, detections)| detections.iter().map(move |d| (*frame, d)))
        .filter(|(_, d)| d.class == ObjectClass::Person)
        .collect();
    claims.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let mut open: BTreeMap<u64, Vec<NormBox>> = labels
        .iter()
        .filter(|(frame, _)| seen.contains_key(frame))
        .map(|(frame, boxes)| (*frame, boxes.clone()))
        .collect();
    let total = open.values().map(Vec::len).sum::<usize>() as f64;

    let mut hits = 0.0;
    let (mut precision_at_high, mut recall_at_high) = (0.0, 0.0);
    // Recall and precision after each claim.
    let mut curve = Vec::with_capacity(claims.len());
    for (index, (frame, claim)) in claims.iter().enumerate() {
        let boxes = open.entry(*frame).or_default();
        let overlap = |at: usize| boxes[at].iou(&claim.bounds);
        let best = (0..boxes.len()).max_by(|a, b| overlap(*a).total_cmp(&overlap(*b)));
        if let Some(best) = best.filter(|best| overlap(*best) >= 0.5) {
            boxes.swap_remove(best);
            hits += 1.0;
        }
        let (recall, precision) = (hits / total, hits / (index + 1) as f64);
        curve.push((recall, precision));
        if claim.score >= high {
            (precision_at_high, recall_at_high) = (precision, recall);
        }
    }
    // Precision at a recall is the best at that or any higher recall.
    let mut ceiling = 0.0_f64;
    for (_, precision) in curve.iter_mut().rev() {
        ceiling = ceiling.max(*precision);
        *precision = ceiling;
    }
    let (mut ap50, mut reached) = (0.0, 0.0);
    for (recall, precision) in curve {
        ap50 += (recall - reached) * precision;
        reached = recall;
    }
    Score {
        ap50,
        precision: precision_at_high,
        recall: recall_at_high,
    }
}
