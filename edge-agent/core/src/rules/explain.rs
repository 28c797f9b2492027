//! Predicates in numbers and words, so that every accusation explains itself.

use protocol::event::{Comparison, FrameTime, Value, Words};
use protocol::units::rounded;
use protocol::{ObjectClass, Predicate};

use crate::observation::{FrameView, Observation};

/// The frames that a value speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: FrameTime,
    /// The last.
    pub last: FrameTime,
}

impl Span {
    /// From one frame to another.
    pub const fn new(first: FrameTime, last: FrameTime) -> Self {
        Self { first, last }
    }

    /// One frame.
    pub const fn at(frame: FrameTime) -> Self {
        Self::new(frame, frame)
    }
}

/// A stable name with its labels in Vietnamese and English.
pub type Name<'n> = (&'n str, String, String);

/// A value held against a number.
pub fn number(
    (name, vi, en): Name<'_>,
    (value, comparison, threshold): (f64, Comparison, f64),
    unit: &str,
    span: Span,
) -> Predicate {
    let margin = match comparison {
        Comparison::AtLeast | Comparison::MoreThan => value - threshold,
        Comparison::AtMost | Comparison::LessThan => threshold - value,
        Comparison::Is => -(value - threshold).abs(),
    };
    let holds = match comparison {
        Comparison::AtLeast | Comparison::AtMost | Comparison::Is => margin >= 0.0,
        Comparison::MoreThan | Comparison::LessThan => margin > 0.0,
    };
    Predicate {
        name: name.to_owned(),
        label: Words { vi, en },
        value: value.into(),
        comparison,
        threshold: threshold.into(),
        margin: Some(rounded(margin, 3)),
        unit: unit.to_owned(),
        holds,
        first: span.first,
        last: span.last,
    }
}

/// A value that must be a certain word or truth.
pub fn is<V: Into<Value>>((name, vi, en): Name<'_>, value: V, wanted: V, span: Span) -> Predicate {
    let (value, threshold) = (value.into(), wanted.into());
    Predicate {
        name: name.to_owned(),
        label: Words { vi, en },
        holds: value == threshold,
        value,
        comparison: Comparison::Is,
        threshold,
        margin: None,
        unit: String::new(),
        first: span.first,
        last: span.last,
    }
}

/// A road user's class decides whether it can be guilty at all, so at least
/// this part of the votes must say a class concerned.
const LEAST_CLASS_SHARE: f64 = 0.5;

/// That a road user is of a class concerned, and how much of the vote says so.
pub fn of_class(
    user: &Observation,
    classes: &[ObjectClass],
    frame: &FrameView<'_>,
) -> [Predicate; 2] {
    let span = Span::new(frame.first_seen(user), frame.at);
    let wanted: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
    let mut class = is(
        name(
            "class",
            "Loại đối tượng theo đa số khung hình (một trong các loại bị xét)",
            "Class by vote (one of those concerned)",
        ),
        user.class.as_str().to_owned(),
        wanted.join(", "),
        span,
    );
    class.holds = classes.contains(&user.class);
    let share = number(
        name(
            "class_share",
            "Tỷ lệ phiếu cho các loại bị xét",
            "Share of the votes for the classes concerned",
        ),
        (
            frame.vote_share(user, classes),
            Comparison::AtLeast,
            LEAST_CLASS_SHARE,
        ),
        "",
        span,
    );
    [class, share]
}

/// Whether everything holds, so that the event may be raised.
pub fn all_hold(explanation: &[Predicate]) -> bool {
    explanation.iter().all(|predicate| predicate.holds)
}

/// A name with labels from constants.
pub fn name<'n>(name: &'n str, vi: &str, en: &str) -> Name<'n> {
    (name, vi.to_owned(), en.to_owned())
}

/// Facts from pairs; units stand in the keys.
pub fn facts<const N: usize>(
    pairs: [(&str, Value); N],
) -> std::collections::BTreeMap<String, Value> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::EventTime;

    #[test]
    fn a_margin_is_positive_on_the_side_of_the_event() {
        let span = Span::at(FrameTime {
            frame: 1,
            time: EventTime::EPOCH,
        });
        for (value, comparison, threshold, margin, holds) in [
            (12.0, Comparison::AtLeast, 10.0, 2.0, true),
            (10.0, Comparison::MoreThan, 10.0, 0.0, false),
            (1.5, Comparison::AtMost, 2.0, 0.5, true),
            (2.5, Comparison::AtMost, 2.0, -0.5, false),
        ] {
            let p = number(
                name("x", "x", "x"),
                (value, comparison, threshold),
                "s",
                span,
            );
            assert_eq!((p.margin, p.holds), (Some(margin), holds), "{p:?}");
        }
    }
}
