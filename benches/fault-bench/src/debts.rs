//! What a box still owes the centre, by the numbers in its own outbox.

use std::path::Path;

use anyhow::Context as _;

use crate::ledger::open;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Debts {
    /// Messages without a receipt.
    pub(crate) messages: u64,
    /// Events that go on, or whose signed case is not made.
    pub(crate) cases: u64,
    /// Files that the centre has not got.
    pub(crate) files: u64,
}

impl Debts {
    /// From a copy of the files in `store`, which a box that stands still has for
    /// itself alone.
    pub(crate) fn of(store: &Path) -> anyhow::Result<Self> {
        let copy = tempfile::tempdir()?;
        for name in ["outbox.db", "outbox.db-wal"] {
            let file = store.join(name);
            if file.exists() {
                std::fs::copy(&file, copy.path().join(name))?;
            }
        }
        let outbox = open(&copy.path().join("outbox.db"))?;
        let number = |what: &str| {
            outbox
                .query_row(&format!("SELECT {what}"), [], |row| row.get::<_, i64>(0))
                .map(i64::unsigned_abs)
                .with_context(|| what.to_owned())
        };
        Ok(Self {
            messages: number(
                "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0)
                    - (SELECT through FROM receipted)",
            )?,
            cases: number(
                "(SELECT count(*) FROM open_event) + (SELECT count(*) FROM evidence_due)
                    + (SELECT count(*) FROM case_file)",
            )?,
            files: number("count(*) FROM evidence WHERE state = 'waiting'")?,
        })
    }

    /// Whether it has got rid of everything.
    pub(crate) fn is_none(&self) -> bool {
        self.messages == 0 && self.cases == 0 && self.files == 0
    }
}
