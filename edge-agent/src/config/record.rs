//! `[record]`: what is kept of what the scenes saw, for replay and for setting thresholds.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::faults::ConfigFault;
use crate::recording::keeper::Keeper;
use crate::recording::rolling::{Limits, RecordStore};

/// A number of bytes, written as people do: `2GiB`, `500 MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || format!("`{text}` is not a size; write for example \"2GiB\" or \"500MiB\"");
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let number: u64 = digits.trim().parse().map_err(|_| refused())?;
        let unit: u64 = match text[digits.len()..].trim() {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(refused()),
        };
        number.checked_mul(unit).map(Self).ok_or_else(refused)
    }
}

impl TryFrom<String> for Bytes {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Longest that recordings may be kept: ten years.
pub(crate) const MOST_DAYS: u32 = 3650;

/// `[record]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RecordConfig {
    /// Folder of the recorded inputs, one folder for each camera; left out, nothing is recorded.
    pub dir: Option<PathBuf>,
    /// Room for the recordings of all cameras; the oldest are deleted beyond it.
    #[serde(default = "default_budget")]
    pub budget: Bytes,
    /// A segment is deleted so long after its end, however much room there is; left
    /// out, it is kept as long as there is room. Days.
    #[serde(default, deserialize_with = "days")]
    pub keep_days: Option<u32>,
    /// A segment is ended at the first instant without road users after so long. Minutes.
    #[serde(default = "default_segment_min")]
    pub segment_min: f64,
    /// A segment is ended at any cost after so long. Hours.
    #[serde(default = "default_longest_h")]
    pub longest_h: f64,
    /// Folder for what nearly was an event; left out, nothing of it is kept.
    pub near_misses_dir: Option<PathBuf>,
    /// Folder for how long each rule was watching, by hour; left out, it is only in the metrics.
    pub coverage_dir: Option<PathBuf>,
}

/// A number that no `u32` can be is out of range like any other, and told as that.
fn days<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<u32>, D::Error> {
    let days = Option::<i64>::deserialize(reader)?;
    Ok(days.map(|days| u32::try_from(days).unwrap_or(0)))
}

fn default_budget() -> Bytes {
    Bytes(2 << 30)
}
fn default_segment_min() -> f64 {
    10.0
}
fn default_longest_h() -> f64 {
    24.0
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self {
            dir: None,
            budget: default_budget(),
            keep_days: None,
            segment_min: default_segment_min(),
            longest_h: default_longest_h(),
            near_misses_dir: None,
            coverage_dir: None,
        }
    }
}

impl RecordConfig {
    /// Relative folders start at the configuration's own; numbers are in their ranges.
    pub(super) fn checked(mut self, folder: &Path, faults: &mut Vec<ConfigFault>) -> Self {
        for dir in [
            &mut self.dir,
            &mut self.near_misses_dir,
            &mut self.coverage_dir,
        ] {
            *dir = dir.take().map(|path| folder.join(path));
        }
        for (key, value, most) in [
            ("segment_min", &mut self.segment_min, 24.0 * 60.0),
            ("longest_h", &mut self.longest_h, 31.0 * 24.0),
        ] {
            if !(*value > 0.0 && *value <= most) {
                faults.push(ConfigFault {
                    line: None,
                    path: format!("record.{key}"),
                    message: format!("is more than 0 and at most {most}"),
                });
                *value = 1.0;
            }
        }
        if self
            .keep_days
            .is_some_and(|days| !(1..=MOST_DAYS).contains(&days))
        {
            faults.push(ConfigFault {
                line: None,
                path: "record.keep_days".to_owned(),
                message: format!("is at least 1 and at most {MOST_DAYS} days; left out, recordings are kept as long as there is room"),
            });
            self.keep_days = None;
        }
        self
    }

    /// How long a segment is kept after its end.
    pub(crate) fn keep(&self) -> Option<Duration> {
        self.keep_days
            .map(|days| Duration::from_hours(24 * u64::from(days)))
    }

    /// Where inputs are recorded, if they are, and who looks after it.
    pub(crate) fn store(&self, cameras: usize) -> Option<(Arc<RecordStore>, Keeper)> {
        let limits = Limits {
            budget: self.budget.0,
            keep: self.keep(),
            usual: Duration::from_secs_f64(self.segment_min * 60.0),
            longest: Duration::from_secs_f64(self.longest_h * 3600.0),
        };
        let dir = self.dir.as_deref()?;
        Some(RecordStore::new(dir, limits, cameras))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("2GiB", Some(2 << 30)),
            ("500 MiB", Some(500 << 20)),
            ("1TiB", Some(1 << 40)),
            ("2GB", None),
            ("GiB", None),
            ("2", None),
            ("-1GiB", None),
            ("99999999999999TiB", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Bytes>().ok().map(|b| b.0), bytes, "{text}");
        }
    }
    #[test]
    fn a_period_out_of_its_range_is_told_with_the_range() {
        for (days, is_taken) in [
            ("1", true),
            ("3650", true),
            ("0", false),
            ("-1", false),
            ("3651", false),
            ("99999999999", false),
        ] {
            let config: RecordConfig = toml::from_str(&format!("keep_days = {days}")).unwrap();
            let mut faults = Vec::new();
            let config = config.checked(Path::new("."), &mut faults);
            assert_eq!(config.keep_days.is_some(), is_taken, "{days}");
            let said: Vec<_> = faults.iter().map(|fault| &*fault.message).collect();
            assert_eq!(said.is_empty(), is_taken, "{days}: {said:?}");
            let is_in_words = said
                .iter()
                .all(|said| said.contains("at least 1 and at most 3650 days"));
            assert!(is_in_words, "{said:?}");
        }
    }
}
