//! How fast somebody goes, on the ground where that is known.

use protocol::Predicate;
use protocol::event::Comparison;
use protocol::units::rounded;

use super::explain::{self, Span};
use super::params::Params;
use crate::observation::{Basis, Observation};

/// A speed in one basis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    pub(super) basis: Basis,
    /// km/h, or box heights per second.
    pub(super) value: f64,
}

impl Pace {
    /// Over the last second; `None` in a track's first moments.
    pub(super) fn of(user: &Observation) -> Option<Self> {
        let motion = user.motion?;
        Some(match motion.ground_speed() {
            Some(speed) => Self {
                basis: Basis::Ground,
                value: rounded(speed.0, 1),
            },
            None => Self {
                basis: Basis::Picture,
                value: motion.picture.length(),
            },
        })
    }

    /// The faster of two, where one on the ground is worth more than any in the picture.
    pub(super) fn faster(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(a), Some(b)) = (one, other) else {
            return one.or(other);
        };
        let rank = |pace: &Self| (pace.basis == Basis::Ground, pace.value);
        let ((a_ground, a_value), (b_ground, b_value)) = (rank(&a), rank(&b));
        let is_b = b_ground.cmp(&a_ground).then(b_value.total_cmp(&a_value));
        Some(if is_b.is_gt() { b } else { a })
    }
}

/// From which speed on somebody drives rather than stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeastPace {
    kmh: f64,
    heights_per_s: f64,
}

impl LeastPace {
    /// Reads `min_speed_kmh` and `min_speed_heights_per_s`.
    pub(super) fn read(params: &mut Params<'_, '_>) -> Self {
        Self {
            kmh: params.number("min_speed_kmh"),
            heights_per_s: params.number("min_speed_heights_per_s"),
        }
    }

    fn of(self, basis: Basis) -> (f64, &'static str) {
        match basis {
            Basis::Ground => (self.kmh, "km/h"),
            Basis::Picture => (self.heights_per_s, "box heights per s"),
        }
    }

    /// Whether a pace is one.
    pub(super) fn is_reached(self, pace: Option<Pace>) -> bool {
        pace.is_some_and(|pace| pace.value >= self.of(pace.basis).0)
    }

    /// That it drives, or did. A pace that is unknown is none.
    pub(super) fn explain(self, pace: Option<Pace>, span: Span) -> Predicate {
        let pace = pace.unwrap_or(Pace {
            basis: Basis::Picture,
            value: 0.0,
        });
        let (least, unit) = self.of(pace.basis);
        explain::number(
            (
                "drives",
                format!("Tốc độ cao nhất đã thấy ({})", pace.basis.vi()),
                format!("Fastest that it was seen ({})", pace.basis.en()),
            ),
            (pace.value, Comparison::AtLeast, least),
            unit,
            span,
        )
    }
}
