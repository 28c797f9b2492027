//! Names of things. Words that people choose are checked once, here; ids that
//! the program makes are functions of what they name, so a replay or a second
//! sending makes the same ones.

use core::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::EventTime;

/// A word that cannot be a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` cannot be an id; use 1 to 64 of a-z, 0-9, `-` and `_`, starting with a letter or digit"
)]
pub struct NotAnId(pub String);

fn check_word(word: &str) -> Result<(), NotAnId> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let starts_well = word.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    // `down` is a topic level of its own (see `topic`), so nothing may be called that.
    if starts_well && word.len() <= 64 && word.chars().all(allowed) && word != "down" {
        Ok(())
    } else {
        Err(NotAnId(word.chars().take(80).collect()))
    }
}

macro_rules! word_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 64 of `a-z`, `0-9`, `-` and `_`; safe in a topic, a path and a URL.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the word.
            pub fn new(word: impl Into<String>) -> Result<Self, NotAnId> {
                let word = word.into();
                check_word(&word).map(|()| Self(word))
            }

            /// The word itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(word: String) -> Result<Self, NotAnId> {
                Self::new(word)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl core::str::FromStr for $name {
            type Err = NotAnId;
            fn from_str(word: &str) -> Result<Self, NotAnId> {
                Self::new(word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

word_id!(
    /// An installation: a city, a ward, a test bench.
    SiteId
);
word_id!(
    /// A roadside box within a site.
    BoxId
);
word_id!(
    /// A camera on a box.
    CameraId
);
word_id!(
    /// A rule instance on a camera: one kind of rule with its zone and parameters.
    RuleId
);
word_id!(
    /// A zone or a line in a camera's picture.
    ZoneId
);
word_id!(
    /// A group of lamps that always show the same phase.
    SignalGroupId
);
word_id!(
    /// A model in the catalogue.
    ModelId
);
word_id!(
    /// A cascade of a camera: a model that takes a second look at some road users.
    CascadeId
);

/// A track on one camera: the instant of its first detection, and its rank
/// among the tracks born in that same frame in canonical order.
///
/// Written `t<µs in hex>.<rank>`, so ids of one camera sort by birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId {
    /// When the first detection of this track was captured.
    pub born: EventTime,
    /// 0 for the first of the tracks born in that frame.
    pub rank: u16,
}

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Shifted so that every EventTime is positive and sorts as text.
        let shifted = self.born.as_micros().wrapping_sub(i64::MIN).cast_unsigned();
        write!(f, "t{shifted:016x}.{}", self.rank)
    }
}

impl core::str::FromStr for TrackId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let fault = || NotAnId(text.chars().take(80).collect());
        let (born, rank) = text
            .strip_prefix('t')
            .and_then(|rest| rest.split_once('.'))
            .ok_or_else(fault)?;
        let shifted = u64::from_str_radix(born, 16).map_err(|_| fault())?;
        Ok(Self {
            born: EventTime::from_micros(shifted.cast_signed().wrapping_add(i64::MIN)),
            rank: rank.parse().map_err(|_| fault())?,
        })
    }
}

impl Serialize for TrackId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TrackId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One happening, for ever: `UUIDv5` (RFC 9562 § 5.5) of what made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub Uuid);

/// The namespace of event ids: `UUIDv5(DNS, "ngatu.vn")`. Never change it.
const EVENT_NAMESPACE: Uuid = Uuid::from_u128(0x2497_07c0_ffdf_5504_a1de_73ab_7f38_bda2);

impl EventId {
    /// The id of what `rule` saw `subject` do from `onset` on.
    ///
    /// `subject` is the track for a road user's act, or the zone for a state of
    /// traffic; anything whose text is stable in a replay.
    pub fn derive(
        (site, box_id, camera): (&SiteId, &BoxId, &CameraId),
        rule: &RuleId,
        subject: &dyn fmt::Display,
        onset: EventTime,
    ) -> Self {
        // `/` cannot occur in a word id, so no two different tuples meet.
        let name = format!(
            "{site}/{box_id}/{camera}/{rule}/{subject}/{}",
            onset.as_micros()
        );
        Self(Uuid::new_v5(&EVENT_NAMESPACE, name.as_bytes()))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::str::FromStr for EventId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_would_break_a_topic_or_a_path_are_refused() {
        for bad in [
            "",
            "a/b",
            "a+b",
            "#",
            "..",
            "-a",
            "Ngã",
            "down",
            "a b",
            &"x".repeat(65),
        ] {
            assert!(CameraId::new(bad).is_err(), "{bad} was taken");
        }
        for good in ["a", "cam-01", "9_x", "downtown"] {
            assert!(CameraId::new(good).is_ok(), "{good} was refused");
        }
    }

    #[test]
    fn event_id_is_a_function_of_what_happened() {
        let (site, box_id, camera, rule) = (
            SiteId::new("hanoi").unwrap(),
            BoxId::new("box-1").unwrap(),
            CameraId::new("cam-1").unwrap(),
            RuleId::new("red").unwrap(),
        );
        let track = TrackId {
            born: EventTime::EPOCH,
            rank: 3,
        };
        let id = EventId::derive((&site, &box_id, &camera), &rule, &track, EventTime::EPOCH);
        // This text is a promise to every archive: it may never change.
        assert_eq!(id.to_string(), "348ca3a5-a229-59b8-9f0d-71d1c7cf2320");
    }

    proptest! {
        #[test]
        fn track_ids_read_back_and_sort_by_birth(
            a in -1_000_000_000_000_000_i64..=4_000_000_000_000_000, b in 0..=i64::from(u32::MAX), rank: u16
        ) {
            let first = TrackId { born: EventTime::from_micros(a), rank };
            let second = TrackId { born: EventTime::from_micros(a + b + 1), rank };
            prop_assert_eq!(first.to_string().parse(), Ok(first));
            prop_assert!(first.to_string() < second.to_string());
        }
    }
}
