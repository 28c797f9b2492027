//! Whether two models see the same in the same pictures.
//!
//! Nobody knows here who is right. But a new model that finds what the old one
//! finds and more, or misses what it finds, is known after a day on a box's own
//! streets and not after a month of complaints.

use std::collections::BTreeMap;

use protocol::{Detection, ObjectClass};

/// Overlap (IoU) from which two boxes are of one thing.
const OVERLAP: f64 = 0.5;

/// How far two models agree, of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassAgreement {
    /// Both saw it, and as the same.
    pub matched: u64,
    /// Both saw it, the current model as this class, the other as another.
    pub class_differs: u64,
    /// Only the current model saw it.
    pub only_current: u64,
    /// Only the other model saw it.
    pub only_other: u64,
}

impl ClassAgreement {
    /// The things that either saw as this class.
    pub const fn things(&self) -> u64 {
        self.matched + self.class_differs + self.only_current + self.only_other
    }

    /// Share of those that both did. 1 if there were none.
    pub fn share(&self) -> f64 {
        let all = self.things();
        if all == 0 {
            1.0
        } else {
            self.matched as f64 / all as f64
        }
    }
}

/// How far two models agree, over all pictures that both saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Pictures that both saw.
    pub pictures: u64,
    /// By class; where they differ in it, by the current model's.
    pub classes: BTreeMap<ObjectClass, ClassAgreement>,
}

impl Agreement {
    /// Takes in what both believe in one picture.
    pub fn add(&mut self, current: &[&Detection], other: &[&Detection]) {
        self.pictures += 1;
        let mut pairs: Vec<(bool, f64, usize, usize)> = Vec::new();
        for (a, of_current) in current.iter().enumerate() {
            for (b, of_other) in other.iter().enumerate() {
                let overlap = of_current.bounds.iou(&of_other.bounds);
                if overlap >= OVERLAP {
                    pairs.push((of_current.class != of_other.class, overlap, a, b));
                }
            }
        }
        // Same class first: a rider's box lies in the motorbike's, and is not that.
        pairs.sort_by(|x, y| x.0.cmp(&y.0).then(y.1.total_cmp(&x.1)));
        let mut is_current_taken = vec![false; current.len()];
        let mut is_other_taken = vec![false; other.len()];
        for (differs, _, a, b) in pairs {
            if is_current_taken[a] || is_other_taken[b] {
                continue;
            }
            (is_current_taken[a], is_other_taken[b]) = (true, true);
            let class = self.classes.entry(current[a].class).or_default();
            if differs {
                class.class_differs += 1;
            } else {
                class.matched += 1;
            }
        }
        let left = |list: &[&Detection], is_taken: &[bool]| -> Vec<ObjectClass> {
            let all = list.iter().zip(is_taken);
            all.filter(|(_, is_taken)| !**is_taken)
                .map(|(detection, _)| detection.class)
                .collect()
        };
        for class in left(current, &is_current_taken) {
            self.classes.entry(class).or_default().only_current += 1;
        }
        for class in left(other, &is_other_taken) {
            self.classes.entry(class).or_default().only_other += 1;
        }
    }

    /// Over all classes.
    pub fn total(&self) -> ClassAgreement {
        let mut total = ClassAgreement::default();
        for class in self.classes.values() {
            total.matched += class.matched;
            total.class_differs += class.class_differs;
            total.only_current += class.only_current;
            total.only_other += class.only_other;
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::NormBox;

    fn seen(class: ObjectClass, x: f64) -> Detection {
        Detection {
            class,
            score: 0.9,
            bounds: NormBox::from([x, 0.1, 0.2, 0.4]),
        }
    }

    fn compared(current: &[Detection], other: &[Detection]) -> Agreement {
        let mut agreement = Agreement::default();
        let refs = |list: &'_ [Detection]| -> Vec<Detection> { list.to_vec() };
        let (current, other) = (refs(current), refs(other));
        agreement.add(
            &current.iter().collect::<Vec<_>>(),
            &other.iter().collect::<Vec<_>>(),
        );
        agreement
    }

    #[test]
    fn what_one_sees_and_the_other_not_is_counted_by_class() {
        use ObjectClass::{Car, Motorcycle, Person, Truck};
        let current = [
            seen(Person, 0.1),
            seen(Motorcycle, 0.1),
            seen(Car, 0.5),
            seen(Car, 0.75),
        ];
        // The rider is seen as both; the first car as a truck; the second not; another person.
        let other = [
            seen(Motorcycle, 0.11),
            seen(Person, 0.11),
            seen(Truck, 0.5),
            seen(Person, 0.3),
        ];
        let agreement = compared(&current, &other);
        let of = |class| agreement.classes[&class];
        assert_eq!(
            of(Person),
            ClassAgreement {
                matched: 1,
                only_other: 1,
                ..Default::default()
            }
        );
        assert_eq!(
            of(Motorcycle),
            ClassAgreement {
                matched: 1,
                ..Default::default()
            }
        );
        assert_eq!(
            of(Car),
            ClassAgreement {
                class_differs: 1,
                only_current: 1,
                ..Default::default()
            }
        );
        assert!(!agreement.classes.contains_key(&Truck));
        let total = agreement.total();
        assert_eq!((total.matched, total.share()), (2, 0.4));
    }

    #[test]
    fn a_thing_is_matched_once_and_order_does_not_matter() {
        use ObjectClass::Person;
        let two = [seen(Person, 0.1), seen(Person, 0.12)];
        let one = [seen(Person, 0.11)];
        let agreement = compared(&two, &one);
        assert_eq!(
            (agreement.total().matched, agreement.total().only_current),
            (1, 1)
        );
        let reversed = compared(&[two[1], two[0]], &one);
        assert_eq!(agreement, reversed);
        assert_eq!(compared(&[], &[]).total().share(), 1.0);
    }
}
