//! How long a camera's rules were watching: for the metrics and for the wire.

use std::collections::BTreeMap;

use edge_core::CoverageHour;
use protocol::RuleId;
use protocol::status::{MOST_RULES_COVERED, RuleCoverage};

use crate::coverage::CoverageTable;

/// Seconds since the agent started.
#[derive(Default)]
pub(super) struct CoverageAccount {
    whole: CoverageTable,
    /// The hour that runs, by rule.
    running: BTreeMap<RuleId, CoverageHour>,
    /// By rule and reason (none: watched) as last told; a counter never goes back.
    told: BTreeMap<(String, Option<&'static str>), f64>,
}

impl CoverageAccount {
    /// A rule's hour is over.
    pub(super) fn add(&mut self, hour: &CoverageHour) {
        self.whole.add(hour);
        self.running.remove(&hour.rule);
    }

    /// What every rule did in the hour that runs.
    pub(super) fn run(&mut self, now: impl Iterator<Item = CoverageHour>) {
        self.running = now.map(|hour| (hour.rule.clone(), hour)).collect();
    }

    /// The same, as it was last told.
    pub(super) fn running(&self) -> impl Iterator<Item = &CoverageHour> {
        self.running.values()
    }

    /// Seconds by rule and reason; no reason where the rule was watching.
    pub(super) fn seconds(&mut self) -> BTreeMap<(String, Option<&'static str>), f64> {
        let mut table = self.whole.clone();
        for hour in self.running.values() {
            table.add(hour);
        }
        for (rule, times) in table.rules() {
            let watched = std::iter::once((None, times.watched_s));
            let unwatched = times.unwatched_s.iter().map(|(why, s)| (Some(*why), *s));
            for (reason, seconds) in watched.chain(unwatched) {
                // A picture that was found to be frozen takes watched time back.
                let told = self.told.entry((rule.clone(), reason)).or_default();
                *told = told.max(seconds);
            }
        }
        self.told.clone()
    }

    /// The same for the wire, and how many rules had no room.
    pub(super) fn by_rule(&mut self) -> (Vec<RuleCoverage>, u64) {
        let mut rules: BTreeMap<String, RuleCoverage> = BTreeMap::new();
        for ((rule, reason), seconds) in self.seconds() {
            let Ok(id) = RuleId::new(&rule) else { continue };
            let entry = rules.entry(rule).or_insert_with(|| RuleCoverage {
                rule: id,
                watched_s: 0.0,
                unwatched_s: BTreeMap::new(),
            });
            let seconds = protocol::units::rounded(seconds, 1);
            match reason {
                None => entry.watched_s = seconds,
                Some(reason) if seconds > 0.0 => {
                    entry.unwatched_s.insert(reason.to_owned(), seconds);
                }
                Some(_) => {}
            }
        }
        let left_out = rules.len().saturating_sub(MOST_RULES_COVERED) as u64;
        let told = rules.into_values().take(MOST_RULES_COVERED).collect();
        (told, left_out)
    }
}

#[cfg(test)]
mod tests {
    use edge_core::Unwatched;
    use protocol::EventTime;
    use protocol::event::EventKind;

    use super::*;

    fn hour(rule: &str, watched_s: f64) -> CoverageHour {
        CoverageHour {
            rule: RuleId::new(rule).unwrap(),
            kind: EventKind("k".to_owned()),
            hour: EventTime::EPOCH,
            watched_s,
            unwatched_s: BTreeMap::from([(Unwatched::NoModel, 4.0)]),
        }
    }

    #[test]
    fn whole_hours_and_the_one_that_runs_are_told_together() {
        let mut account = CoverageAccount::default();
        assert_eq!(account.by_rule(), (Vec::new(), 0));
        account.add(&hour("red", 10.0));
        account.run([hour("red", 2.04)].into_iter());
        let (rules, _) = account.by_rule();
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].watched_s, 12.0);
        assert_eq!(rules[0].unwatched_s["no_model"], 8.0);
    }

    #[test]
    fn watched_time_that_is_taken_back_lets_no_counter_go_back() {
        let mut account = CoverageAccount::default();
        for (running, told) in [(7.0, 7.0), (3.0, 7.0), (9.0, 9.0)] {
            account.run([hour("red", running)].into_iter());
            assert_eq!(account.seconds()[&("red".to_owned(), None)], told);
        }
    }

    #[test]
    fn what_is_told_stays_small_however_many_rules_there_are() {
        let mut account = CoverageAccount::default();
        for rule in 0..1000 {
            account.add(&hour(&format!("{rule:0>60}"), 10.0));
        }
        let (rules, left_out) = account.by_rule();
        assert_eq!(rules.len(), MOST_RULES_COVERED);
        assert_eq!(left_out, 1000 - MOST_RULES_COVERED as u64);
        assert!(serde_json::to_string(&rules).unwrap().len() < 64 * 1024);
    }
}
