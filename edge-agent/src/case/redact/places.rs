//! Which parts of a picture are covered.

use protocol::{Detection, NormBox, ObjectClass};

/// Part of a face or plate that must lie in the accused's box to be the accused's.
const OWN: f64 = 0.9;

/// By how much of its size a found place is grown on each side: hair and ears
/// of a face, the frame of a plate, and what the model was off by.
fn margin(class: ObjectClass) -> f64 {
    match class {
        ObjectClass::Face => 0.25,
        _ => 0.15,
    }
}

/// What is to be covered of what was found; `spared` are the accused's boxes.
pub(super) fn to_cover(found: &[Detection], spared: &[NormBox]) -> Vec<NormBox> {
    found
        .iter()
        .filter(|item| !spared.iter().any(|own| part_in(&item.bounds, own) >= OWN))
        .map(|item| grown(&item.bounds, margin(item.class)))
        .collect()
}

fn part_in(inner: &NormBox, outer: &NormBox) -> f64 {
    let width = inner.right().min(outer.right()) - inner.x.max(outer.x);
    let height = inner.bottom().min(outer.bottom()) - inner.y.max(outer.y);
    width.max(0.0) * height.max(0.0) / inner.area().max(f64::MIN_POSITIVE)
}

fn grown(place: &NormBox, by: f64) -> NormBox {
    NormBox {
        x: place.x - by * place.width,
        y: place.y - by * place.height,
        width: place.width * (1.0 + 2.0 * by),
        height: place.height * (1.0 + 2.0 * by),
    }
}

/// Where a picture is drawn with a strip below it: the same box in the higher picture.
pub(super) fn in_higher(place: &NormBox, part_of_height: f64) -> NormBox {
    NormBox {
        y: place.y * part_of_height,
        height: place.height * part_of_height,
        ..*place
    }
}

/// Leaves out what was found in the strip below the picture, which begins at
/// this part of the height: it is our own writing, and says what the case is about.
pub(super) fn leave_legend(found: &mut Vec<Detection>, part_of_height: f64) {
    found.retain(|item| item.bounds.centre().y < part_of_height);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f64, y: f64) -> Detection {
        Detection {
            class: ObjectClass::Face,
            score: 0.9,
            bounds: NormBox {
                x,
                y,
                width: 0.02,
                height: 0.04,
            },
        }
    }

    #[test]
    fn the_accused_is_spared_and_who_stands_half_beside_is_not() {
        let accused = NormBox {
            x: 0.4,
            y: 0.4,
            width: 0.2,
            height: 0.4,
        };
        for (what, found, is_covered) in [
            ("inside", face(0.5, 0.5), false),
            ("outside", face(0.1, 0.5), true),
            ("half beside", face(0.39, 0.5), true),
            ("above", face(0.5, 0.35), true),
        ] {
            let covered = to_cover(&[found], &[accused]);
            assert_eq!(covered.len(), usize::from(is_covered), "{what}");
        }
        assert_eq!(
            to_cover(&[face(0.5, 0.5)], &[]).len(),
            1,
            "nobody is accused"
        );
    }

    #[test]
    fn what_is_covered_is_larger_than_what_was_found() {
        let [place] = to_cover(&[face(0.5, 0.5)], &[])[..] else {
            panic!("one")
        };
        assert_eq!((place.x, place.y), (0.495, 0.49));
        assert!((place.right() - 0.525).abs() < 1e-12 && (place.bottom() - 0.55).abs() < 1e-12);
    }

    #[test]
    fn a_box_keeps_its_place_above_a_legend() {
        let place = NormBox {
            x: 0.1,
            y: 0.5,
            width: 0.2,
            height: 0.5,
        };
        let higher = in_higher(&place, 0.8);
        assert_eq!((higher.y, higher.height, higher.x), (0.4, 0.4, 0.1));
    }

    #[test]
    fn the_legend_stays_readable() {
        let mut found = vec![face(0.1, 0.5), face(0.1, 0.85)];
        leave_legend(&mut found, 0.8);
        assert_eq!(found, [face(0.1, 0.5)]);
    }
}
