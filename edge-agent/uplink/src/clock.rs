//! The host's clock, read in one place.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::EventTime;

/// Now, by the host's clock.
pub(crate) fn now() -> EventTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    EventTime::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
