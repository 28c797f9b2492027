//! Units as types: a number without a unit does not leave the file it is made in.

use serde::{Deserialize, Serialize};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $symbol:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub f64);

        impl $name {
            /// The unit's symbol, as written on events and in documentation.
            pub const SYMBOL: &'static str = $symbol;
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!("{} ", $symbol), self.0)
            }
        }
    };
}

unit!(
    /// Length on the ground.
    Metres,
    "m"
);
unit!(
    /// Duration of media time.
    Seconds,
    "s"
);
unit!(
    /// Speed as a driver reads it.
    KmPerHour,
    "km/h"
);
unit!(
    /// Angle; headings are clockwise from the ground's y axis unless stated.
    Degrees,
    "°"
);

impl KmPerHour {
    /// From metres per second.
    pub fn from_metres_per_second(speed: f64) -> Self {
        Self(speed * 3.6)
    }
}

/// Rounds a number for publication: half away from zero, at most `decimals` ≤ 9 places.
///
/// Published numbers are rounded so that the last bits of a different
/// processor's arithmetic do not make different bytes.
pub fn rounded(value: f64, decimals: u8) -> f64 {
    let scale = f64::from(10_u32.pow(u32::from(decimals.min(9))));
    let scaled = value * scale;
    if scaled.is_finite() {
        // + 0.0 turns -0 into 0, which JSON would print as "-0.0".
        scaled.round() / scale + 0.0
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_numbers_are_short_and_never_minus_zero() {
        assert_eq!(rounded(1.234_567, 3), 1.235);
        assert_eq!(rounded(-0.000_01, 3).to_string(), "0");
        assert_eq!(rounded(f64::INFINITY, 3), f64::INFINITY);
    }
}
