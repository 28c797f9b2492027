//! When something happened: µs of UTC, with the quality of the clock that said so.
//!
//! An [`EventTime`] is set once, where the picture enters the program, and
//! carried from there. Nothing in the pure crates can read a clock.

use core::fmt;
use core::ops::{Add, Sub};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::units::Seconds;

/// An instant, in microseconds since 1970-01-01T00:00:00Z.
///
/// In JSON it is RFC 3339 text in UTC with six decimals, for example
/// `"2026-11-22T01:02:03.040000Z"`; the fixed width keeps text order equal to
/// time order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventTime(i64);

/// 0001-01-01 and 9999-12-31: what RFC 3339 can write.
const EARLIEST: i64 = -62_135_596_800_000_000;
const LATEST: i64 = 253_402_300_799_999_999;

impl EventTime {
    /// 1970-01-01T00:00:00Z, where the media time of a replayed clip starts.
    pub const EPOCH: Self = Self(0);

    /// An instant from microseconds since 1970, held within the years 1 to 9999.
    pub const fn from_micros(micros: i64) -> Self {
        if micros < EARLIEST {
            Self(EARLIEST)
        } else if micros > LATEST {
            Self(LATEST)
        } else {
            Self(micros)
        }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Time passed since `earlier`; negative when `earlier` is later.
    pub fn since(self, earlier: Self) -> Seconds {
        Seconds((self.0 - earlier.0) as f64 / 1e6)
    }
}

impl Add<Seconds> for EventTime {
    type Output = Self;
    fn add(self, rhs: Seconds) -> Self {
        Self::from_micros(self.0.saturating_add(whole_micros(rhs)))
    }
}

impl Sub<Seconds> for EventTime {
    type Output = Self;
    fn sub(self, rhs: Seconds) -> Self {
        self + Seconds(-rhs.0)
    }
}

#[allow(clippy::cast_possible_truncation)] // `as` saturates
fn whole_micros(seconds: Seconds) -> i64 {
    // `round` is exact in IEEE 754, unlike the transcendental functions.
    (seconds.0 * 1e6).round() as i64
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(1_000_000);
        let micros = self.0.rem_euclid(1_000_000);
        let instant = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| fmt::Error)?;
        let text = instant.format(&Rfc3339).map_err(|_| fmt::Error)?;
        write!(f, "{}.{micros:06}Z", text.trim_end_matches('Z'))
    }
}

/// Text that is not an RFC 3339 instant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a time; write RFC 3339, for example 2026-11-22T08:00:00+07:00")]
pub struct NotATime(pub String);

impl core::str::FromStr for EventTime {
    type Err = NotATime;
    fn from_str(text: &str) -> Result<Self, NotATime> {
        let instant =
            OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NotATime(text.to_owned()))?;
        i64::try_from(instant.unix_timestamp_nanos().div_euclid(1000))
            .map(Self::from_micros)
            .map_err(|_| NotATime(text.to_owned()))
    }
}

impl Serialize for EventTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Which clock an [`EventTime`] came from, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeQuality {
    /// The camera's own clock by RTCP sender reports, sane against the host's.
    Rtcp,
    /// When the picture arrived at this box, by the host's clock.
    Arrival,
    /// Media time of a recorded clip: intervals are true, the date is not.
    Media,
    /// A word that this version does not know; trust it for nothing.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_has_six_decimals_and_utc() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1, "1970-01-01T00:00:00.000001Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_795_000_000_040_000, "2026-11-18T11:06:40.040000Z"),
        ] {
            assert_eq!(EventTime::from_micros(micros).to_string(), text);
            assert_eq!(text.parse(), Ok(EventTime::from_micros(micros)));
        }
    }

    #[test]
    fn offsets_are_understood_and_nonsense_is_named() {
        assert_eq!("1970-01-01T07:00:00+07:00".parse(), Ok(EventTime::EPOCH));
        let error = "yesterday".parse::<EventTime>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`yesterday` is not a time; write RFC 3339, for example 2026-11-22T08:00:00+07:00"
        );
    }

    proptest! {
        #[test]
        fn text_there_and_back_is_the_same_instant(micros in EARLIEST..=LATEST) {
            let instant = EventTime::from_micros(micros);
            prop_assert_eq!(instant.to_string().parse(), Ok(instant));
        }

        #[test]
        fn text_order_is_time_order(a in 0..LATEST, b in 0..LATEST) {
            let (a, b) = (EventTime::from_micros(a), EventTime::from_micros(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
