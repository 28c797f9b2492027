//! The centre's clock, in one place.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::EventTime;

/// Now, by the host's clock; a host set before 1970 reads as 1970.
pub fn now() -> EventTime {
    let micros = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        });
    EventTime::from_micros(micros)
}
