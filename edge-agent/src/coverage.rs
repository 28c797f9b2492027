//! How long each rule was watching, for people.

use std::collections::BTreeMap;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use edge_core::CoverageHour;

/// Seconds by rule, over any number of hours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoverageTable {
    rules: BTreeMap<String, Times>,
}

/// Watched, and not, by reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// Seconds in which the rule was watching.
    pub watched_s: f64,
    /// Seconds in which it was not, by reason.
    pub unwatched_s: BTreeMap<&'static str, f64>,
}

impl CoverageTable {
    /// Takes a rule's hour into account.
    pub fn add(&mut self, hour: &CoverageHour) {
        let times = self.rules.entry(hour.rule.to_string()).or_default();
        times.watched_s += hour.watched_s;
        for (reason, seconds) in &hour.unwatched_s {
            *times.unwatched_s.entry(reason.as_str()).or_default() += seconds;
        }
    }

    /// By rule.
    pub fn rules(&self) -> &BTreeMap<String, Times> {
        &self.rules
    }

    /// The table; empty text when nothing was accounted for.
    pub fn table(&self) -> String {
        if self.rules.is_empty() {
            return String::new();
        }
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(vec![
            "rule",
            "watched",
            "share",
            "not watched, by reason",
        ]);
        for (rule, times) in &self.rules {
            let all = times.watched_s + times.unwatched_s.values().sum::<f64>();
            let reasons: Vec<String> = times
                .unwatched_s
                .iter()
                .map(|(reason, seconds)| format!("{reason} {}", clock(*seconds)))
                .collect();
            let share = if all > 0.0 {
                format!("{:.1} %", 100.0 * times.watched_s / all)
            } else {
                "–".to_owned()
            };
            table.add_row(vec![
                rule.clone(),
                clock(times.watched_s),
                share,
                reasons.join(", "),
            ]);
        }
        for column in [1, 2] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }
}

/// Hours, minutes and seconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // seconds of a recording, not negative
fn clock(seconds: f64) -> String {
    let all = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    format!("{hours}:{minutes:02}:{seconds:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn hours_of_a_rule_are_added_up_with_their_reasons() {
        let mut table = CoverageTable::default();
        for line in [
            r#"{"rule":"red","kind":"red_light","hour":"2026-01-01T00:00:00Z","watched_s":3000.0,"unwatched_s":{"signal_unknown":600.0}}"#,
            r#"{"rule":"red","kind":"red_light","hour":"2026-01-01T01:00:00Z","watched_s":3500.4,"unwatched_s":{"no_picture":99.6}}"#,
        ] {
            table.add(&serde_json::from_str(line).unwrap());
        }
        expect![[r"
            ┌──────┬─────────┬────────┬────────────────────────────────────────────┐
            │ rule ┆ watched ┆  share ┆ not watched, by reason                     │
            ╞══════╪═════════╪════════╪════════════════════════════════════════════╡
            │ red  ┆ 1:48:20 ┆ 90.3 % ┆ no_picture 0:01:40, signal_unknown 0:10:00 │
            └──────┴─────────┴────────┴────────────────────────────────────────────┘"]]
        .assert_eq(&table.table());
    }
}
