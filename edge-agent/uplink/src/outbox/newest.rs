//! The newest time that an outbox knows of, by which a clock can be judged.

use protocol::{Envelope, EventTime};
use serde::de::IgnoredAny;

use super::{Outbox, OutboxError};

impl Outbox {
    /// The newest time that is written here: when a message or case was made,
    /// when this box last looked at its clock, and what the centre's clock said
    /// in its last word. `None` when there is nothing of these.
    ///
    /// A clock that shows less was set back, or has not been set since power was lost.
    pub fn newest_time(&self) -> Result<Option<EventTime>, OutboxError> {
        let state = self.lock();
        let connection = &state.database.connection;
        let told: [Option<i64>; 3] = self.named(connection.query_row(
            "SELECT (SELECT max(at_us) FROM receipted), (SELECT max(at_us) FROM locks_told),
                (SELECT max(looked_us) FROM seen_time)",
            [],
            |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]),
        ))?;
        // 0 stands for "never" in the first two.
        let told = told.into_iter().flatten().filter(|micros| *micros != 0);
        let mut newest = told.max().map(EventTime::from_micros);
        let mut rows = self.named(connection.prepare("SELECT envelope FROM outbox"))?;
        let rows = self.named(rows.query_map([], |row| row.get::<_, String>(0)))?;
        let written = rows.filter_map(|row| {
            // A row that cannot be read says nothing.
            let envelope = row.ok()?;
            let envelope: Envelope<IgnoredAny> = serde_json::from_str(&envelope).ok()?;
            Some(envelope.observedtime)
        });
        newest = newest.max(written.max());
        Ok(newest)
    }
}
