//! Average precision as COCO defines it, number for number.
//!
//! The matching, the order of ties and the 101 recall points are those of
//! `pycocotools` 2.0, so that a figure from here may stand beside a figure from
//! a paper: per picture and class detections claim labels best score first,
//! a label that does not count (crowd, wrong size) swallows its claims, and the
//! precision at a recall is the best at that or any higher recall.

/// Detections per picture and class that count; the rest, worst first, do not.
const MOST_DETECTIONS: usize = 100;
const RECALL_POINTS: usize = 101;
/// `numpy.spacing(1)`; keeps 0/0 at 0.
const EPSILON: f64 = f64::EPSILON;

/// IoU from which a detection may claim a label: 0.50, 0.55 … 0.95.
pub const OVERLAPS: [f64; 10] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectangle {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Rectangle {
    /// Square pixels.
    pub fn area(&self) -> f64 {
        self.width * self.height
    }

    /// Intersection over union; for a crowd, over the detection alone.
    fn overlap(&self, label: &Truth) -> f64 {
        let of = &label.bounds;
        let width = (self.x + self.width).min(of.x + of.width) - self.x.max(of.x);
        let height = (self.y + self.height).min(of.y + of.height) - self.y.max(of.y);
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        let shared = width * height;
        let whole = if label.is_crowd {
            self.area()
        } else {
            self.area() + of.area() - shared
        };
        shared / whole
    }
}

/// A label of one class in one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Where.
    pub bounds: Rectangle,
    /// Its size by the label, which for outlined things is less than the rectangle's. Pixels².
    pub area: f64,
    /// Many in one box, or something that need not be found: it swallows claims and is never missed.
    pub is_crowd: bool,
}

/// A detection of one class in one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Claim {
    /// Where.
    pub bounds: Rectangle,
    /// How sure.
    pub score: f64,
}

/// Labels and detections of one class in one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sheet {
    /// What is there.
    pub truths: Vec<Truth>,
    /// What was seen.
    pub claims: Vec<Claim>,
}

/// Sizes of labels, by COCO's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// Every size.
    All,
    /// Below 32² pixels.
    Small,
    /// 32² to 96² pixels.
    Medium,
    /// Above 96² pixels.
    Large,
}

impl Size {
    /// The three that divide all.
    pub const PARTS: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    fn has(self, area: f64) -> bool {
        let (least, most) = match self {
            Self::All => (0.0, 1e10),
            Self::Small => (0.0, 1024.0),
            Self::Medium => (1024.0, 9216.0),
            Self::Large => (9216.0, 1e10),
        };
        // Both ends count, as in COCO's own code.
        area >= least && area <= most
    }
}

/// How well claims fit labels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Precision {
    /// Labels that were to be found. With none, the figures mean nothing.
    pub labels: u64,
    /// Average precision at an overlap of one half.
    pub ap50: f64,
    /// Mean over the overlaps 0.50, 0.55 … 0.95.
    pub ap50_95: f64,
}

/// Average precision of one class over `sheets`, in order of their pictures' ids.
///
/// `None` when there is nothing of that size to find.
pub fn average_precision<'a>(
    sheets: impl Iterator<Item = &'a Sheet>,
    size: Size,
) -> Option<Precision> {
    // Per overlap, for each claim that counts: score and whether it was right.
    let mut judged: Vec<Vec<(f64, bool)>> = vec![Vec::new(); OVERLAPS.len()];
    let mut labels = 0;
    for sheet in sheets {
        labels += judge(sheet, size, &mut judged);
    }
    if labels == 0 {
        return None;
    }
    let per_overlap: Vec<f64> = judged
        .into_iter()
        .map(|claims| area_under(claims, labels))
        .collect();
    Some(Precision {
        labels,
        ap50: per_overlap[0],
        ap50_95: per_overlap.iter().sum::<f64>() / OVERLAPS.len() as f64,
    })
}

/// Precision and recall of the claims at or above `score`, at an overlap of one half.
pub fn at_score<'a>(sheets: impl Iterator<Item = &'a Sheet>, score: f64) -> Option<(f64, f64)> {
    let mut judged: Vec<Vec<(f64, bool)>> = vec![Vec::new(); OVERLAPS.len()];
    let mut labels = 0;
    for sheet in sheets {
        labels += judge(sheet, Size::All, &mut judged);
    }
    let believed: Vec<bool> = judged[0]
        .iter()
        .filter(|(of, _)| *of >= score)
        .map(|(_, is_right)| *is_right)
        .collect();
    let right = believed.iter().filter(|is_right| **is_right).count() as f64;
    (labels > 0).then(|| {
        let precision = if believed.is_empty() {
            1.0
        } else {
            right / believed.len() as f64
        };
        (precision, right / labels as f64)
    })
}

/// How many claims at or above `score` there are of a class of which nothing is to be found: each is wrong, but
/// for those that lie on what need not be found.
pub fn false_at_score<'a>(sheets: impl Iterator<Item = &'a Sheet>, score: f64) -> u64 {
    let mut judged: Vec<Vec<(f64, bool)>> = vec![Vec::new(); OVERLAPS.len()];
    for sheet in sheets {
        judge(sheet, Size::All, &mut judged);
    }
    judged[0].iter().filter(|(of, _)| *of >= score).count() as u64
}

/// Judges the claims of one picture; returns how many labels were to be found.
fn judge(sheet: &Sheet, size: Size, judged: &mut [Vec<(f64, bool)>]) -> u64 {
    // What counts comes first: a claim takes it before what does not.
    let mut truths: Vec<(&Truth, bool)> = sheet
        .truths
        .iter()
        .map(|truth| (truth, truth.is_crowd || !size.has(truth.area)))
        .collect();
    truths.sort_by_key(|(_, is_ignored)| *is_ignored);
    let mut claims: Vec<&Claim> = sheet.claims.iter().collect();
    claims.sort_by(|a, b| b.score.total_cmp(&a.score));
    claims.truncate(MOST_DETECTIONS);
    let overlaps: Vec<Vec<f64>> = claims
        .iter()
        .map(|claim| {
            let of = truths.iter();
            of.map(|(truth, _)| claim.bounds.overlap(truth)).collect()
        })
        .collect();
    for (least, judged) in OVERLAPS.iter().zip(judged) {
        let mut is_taken = vec![false; truths.len()];
        for (claim, overlaps) in claims.iter().zip(&overlaps) {
            let taken = choose(overlaps, &truths, &is_taken, *least);
            let is_ignored = match taken {
                Some(at) => {
                    is_taken[at] = true;
                    truths[at].1
                }
                None => !size.has(claim.bounds.area()),
            };
            if !is_ignored {
                judged.push((claim.score, taken.is_some()));
            }
        }
    }
    truths.iter().filter(|(_, is_ignored)| !is_ignored).count() as u64
}

/// The label that a claim takes: the one it overlaps most, one that counts before one that does not.
fn choose(
    overlaps: &[f64],
    truths: &[(&Truth, bool)],
    is_taken: &[bool],
    least: f64,
) -> Option<usize> {
    let mut best = least.min(1.0 - 1e-10);
    let mut chosen: Option<usize> = None;
    for (at, (truth, is_ignored)) in truths.iter().enumerate() {
        if is_taken[at] && !truth.is_crowd {
            continue;
        }
        if chosen.is_some_and(|chosen| !truths[chosen].1) && *is_ignored {
            break;
        }
        if overlaps[at] >= best {
            best = overlaps[at];
            chosen = Some(at);
        }
    }
    chosen
}

/// Precision, read at 101 recalls and averaged.
fn area_under(mut claims: Vec<(f64, bool)>, labels: u64) -> f64 {
    // Stable: of equal scores the earlier picture's comes first.
    claims.sort_by(|a, b| b.0.total_cmp(&a.0));
    let labels = labels as f64;
    let (mut right, mut wrong) = (0.0, 0.0);
    let mut curve: Vec<(f64, f64)> = claims
        .iter()
        .map(|(_, is_right)| {
            if *is_right {
                right += 1.0;
            } else {
                wrong += 1.0;
            }
            (right / labels, right / (right + wrong + EPSILON))
        })
        .collect();
    let mut ceiling = 0.0_f64;
    for (_, precision) in curve.iter_mut().rev() {
        ceiling = ceiling.max(*precision);
        *precision = ceiling;
    }
    let mut at = 0;
    let mut sum = 0.0;
    for point in 0..RECALL_POINTS {
        // As numpy makes them: 7 × 0.01 is a hair above 0.07, which a recall of 7/100 does not reach.
        let recall = point as f64 * 0.01;
        while curve.get(at).is_some_and(|(reached, _)| *reached < recall) {
            at += 1;
        }
        sum += curve.get(at).map_or(0.0, |(_, precision)| *precision);
    }
    sum / RECALL_POINTS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rectangle(x: f64, side: f64) -> Rectangle {
        Rectangle {
            x,
            y: 0.0,
            width: side,
            height: side,
        }
    }

    fn truth(x: f64, side: f64, is_crowd: bool) -> Truth {
        Truth {
            bounds: rectangle(x, side),
            area: side * side,
            is_crowd,
        }
    }

    fn claim(x: f64, side: f64, score: f64) -> Claim {
        Claim {
            bounds: rectangle(x, side),
            score,
        }
    }

    fn ap50(truths: &[Truth], claims: &[Claim], size: Size) -> Option<f64> {
        let sheet = Sheet {
            truths: truths.to_vec(),
            claims: claims.to_vec(),
        };
        average_precision([&sheet].into_iter(), size)
            .map(|precision| (precision.ap50 * 1000.0).round() / 1000.0)
    }

    #[test]
    fn claims_are_judged_best_first_and_a_label_is_claimed_once() {
        let one = [truth(0.0, 50.0, false)];
        let two = [truth(0.0, 50.0, false), truth(100.0, 50.0, false)];
        for (truths, claims, expected) in [
            (&one[..], vec![], Some(0.0)),
            (&one, vec![claim(0.0, 50.0, 0.9)], Some(1.0)),
            // A double is wrong, but comes after full recall.
            (
                &one,
                vec![claim(0.0, 50.0, 0.9), claim(1.0, 50.0, 0.8)],
                Some(1.0),
            ),
            // A ghost before it halves the precision.
            (
                &one,
                vec![claim(300.0, 50.0, 0.9), claim(0.0, 50.0, 0.8)],
                Some(0.5),
            ),
            // Half of all recalls are reached: 51 of the 101 points.
            (&two, vec![claim(0.0, 50.0, 0.9)], Some(0.505)),
            // Too little overlap.
            (&one, vec![claim(30.0, 50.0, 0.9)], Some(0.0)),
            (&[], vec![claim(0.0, 50.0, 0.9)], None),
        ] {
            assert_eq!(ap50(truths, &claims, Size::All), expected, "{claims:?}");
        }
    }

    #[test]
    fn a_crowd_and_a_wrong_size_swallow_claims_and_are_not_missed() {
        let with_crowd = [truth(0.0, 50.0, false), truth(100.0, 400.0, true)];
        let claims = [
            claim(150.0, 50.0, 0.9),
            claim(250.0, 50.0, 0.8),
            claim(0.0, 50.0, 0.7),
        ];
        assert_eq!(ap50(&with_crowd, &claims, Size::All), Some(1.0));
        let of_sizes = [truth(0.0, 20.0, false), truth(100.0, 200.0, false)];
        let large = [claim(100.0, 200.0, 0.9)];
        assert_eq!(ap50(&of_sizes, &large, Size::Small), Some(0.0));
        assert_eq!(ap50(&of_sizes, &large, Size::Large), Some(1.0));
        assert_eq!(ap50(&of_sizes, &large, Size::Medium), None);
        // A ghost of another size is no fault of this size.
        let ghost = [claim(500.0, 200.0, 0.95), claim(0.0, 20.0, 0.9)];
        assert_eq!(ap50(&of_sizes, &ghost, Size::Small), Some(1.0));
    }

    #[test]
    fn precision_and_recall_are_of_what_is_believed() {
        let sheet = Sheet {
            truths: vec![truth(0.0, 50.0, false), truth(100.0, 50.0, false)],
            claims: vec![
                claim(0.0, 50.0, 0.9),
                claim(300.0, 50.0, 0.8),
                claim(100.0, 50.0, 0.2),
            ],
        };
        assert_eq!(at_score([&sheet].into_iter(), 0.5), Some((0.5, 0.5)));
        assert_eq!(at_score([&sheet].into_iter(), 0.95), Some((1.0, 0.0)));
        assert_eq!(at_score([].into_iter(), 0.5), None);
    }
}
