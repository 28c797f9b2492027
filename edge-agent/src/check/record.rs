//! How long what the scenes saw is kept.

use super::{Finding, Outcome};
use crate::config::RecordConfig;

const MIB: u64 = 1024 * 1024;

/// Says what bounds the recordings; nothing where there are none.
pub(super) fn look(config: &RecordConfig) -> Option<Finding> {
    let dir = config.dir.as_ref()?;
    Some(Finding {
        part: format!("recordings {}", dir.display()),
        outcome: outcome(config),
    })
}

fn outcome(config: &RecordConfig) -> Outcome {
    let mib = config.budget.0 / MIB;
    let longest = config.longest_h;
    match config.keep_days {
        Some(days) => Outcome::Good(format!(
            "kept for {days} day(s) after the end of a segment of at most {longest} h, and at most {mib} MiB of them"
        )),
        None => Outcome::Noted(format!(
            "kept as long as they fit {mib} MiB; `record.keep_days` bounds them by time as well"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bounds_recordings_is_said() {
        let words = |dir: Option<&str>, keep_days| {
            let config = RecordConfig {
                dir: dir.map(Into::into),
                keep_days,
                ..RecordConfig::default()
            };
            look(&config).map(|finding| match finding.outcome {
                Outcome::Good(words) => format!("good: {words}"),
                Outcome::Noted(words) => format!("noted: {words}"),
                Outcome::Failed(words) => format!("failed: {words}"),
            })
        };
        assert_eq!(words(None, Some(3)), None);
        assert_eq!(
            words(Some("r"), Some(3)).unwrap(),
            "good: kept for 3 day(s) after the end of a segment of at most 24 h, and at most 2048 MiB of them"
        );
        assert_eq!(
            words(Some("r"), None).unwrap(),
            "noted: kept as long as they fit 2048 MiB; `record.keep_days` bounds them by time as well"
        );
    }
}
