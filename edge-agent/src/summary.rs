//! What a replay or a run found, as a table for people.

use std::collections::BTreeMap;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use edge_core::rules::EndReason;
use protocol::event::Value;
use protocol::{Event, Phase};

/// Events of one kind.
#[derive(Clone, Debug, Default)]
struct KindCount {
    events: u64,
    /// Begun, and not over when the clip was; its end ends every event.
    open: u64,
    first: Option<String>,
}

fn ended_with_the_stream(event: &Event) -> bool {
    let reason = Value::from(EndReason::StreamEnded.as_str());
    event.facts.get("end_reason") == Some(&reason)
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
            Phase::End if ended_with_the_stream(event) => {}
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
            "open at the end",
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An event as it stands among the wire fixtures.
    fn fixture(text: &str) -> Event {
        let envelope: serde_json::Value = serde_json::from_str(text).unwrap();
        serde_json::from_value(envelope["data"].clone()).unwrap()
    }

    #[test]
    fn what_only_the_end_of_the_clip_ended_counts_as_open_there() {
        const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/wire/v1/");
        let read = |name: &str| fixture(&std::fs::read_to_string(format!("{DIR}{name}")).unwrap());
        let start = read("event-stopped-vehicle-1-start.json");
        let update = read("event-stopped-vehicle-2-update.json");
        let mut end = read("event-stopped-vehicle-3-end.json");
        for (reason, open) in [("left", 0), ("lost_from_view", 0), ("stream_ended", 1)] {
            end.facts.insert("end_reason".to_owned(), reason.into());
            let mut summary = Summary::default();
            for event in [&start, &update, &end] {
                summary.add(event);
            }
            assert_eq!(summary.total(), 1);
            let row: Vec<u64> = summary
                .table()
                .lines()
                .find(|line| line.contains("stopped_vehicle"))
                .unwrap()
                .split('┆')
                .filter_map(|cell| cell.trim().parse().ok())
                .collect();
            assert_eq!(row, [1, open], "{reason}\n{}", summary.table());
        }
    }
}
