//! What a replay or a run found, as a table for people.

use std::collections::BTreeMap;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use protocol::{Event, Phase};

/// Events of one kind.
#[derive(Clone, Debug, Default)]
struct KindCount {
    events: u64,
    open: u64,
    first: Option<String>,
}

/// Counts events by rule.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    by_rule: BTreeMap<(String, String), KindCount>,
    total: u64,
}

impl Summary {
    /// Takes one publication of an event into account.
    pub fn add(&mut self, event: &Event) {
        let key = (event.kind.to_string(), event.rule.to_string());
        let count = self.by_rule.entry(key).or_default();
        match event.phase {
            Phase::Start => {
                self.total += 1;
                count.events += 1;
                count.open += u64::from(event.ended.is_none());
                count.first.get_or_insert_with(|| event.onset.to_string());
            }
            Phase::Update => {}
            Phase::End => count.open = count.open.saturating_sub(1),
        }
    }

    /// Distinct events so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The table; empty text when nothing happened.
    pub fn table(&self) -> String {
        if self.by_rule.is_empty() {
            return String::new();
        }
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(vec![
            "kind",
            "rule",
            "events",
            "still open",
            "first onset",
        ]);
        for ((kind, rule), count) in &self.by_rule {
            table.add_row(vec![
                kind.clone(),
                rule.clone(),
                count.events.to_string(),
                count.open.to_string(),
                count.first.clone().unwrap_or_default(),
            ]);
        }
        for column in [2, 3] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }
}
