//! When a rule is on: hours of the day and days of the week, in local time.
//!
//! A bus lane is one from 6:30 to 9:00. Local time is UTC plus a fixed offset
//! that the camera's table gives; Vietnam has no summer time.

use protocol::EventTime;

use crate::config::Section;

const MINUTES_PER_DAY: i64 = 24 * 60;
/// The words for days; 1970-01-01 was a Thursday.
pub(crate) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Hours and days in which a rule is on. The default is always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// From and until, in minutes of the local day; a span over midnight has
    /// its end before its begin. Empty: all day.
    spans: Vec<(i64, i64)>,
    /// Monday first; empty: every day. A span over midnight belongs to the day on which it begins.
    days: Vec<usize>,
    utc_offset_min: i64,
}

impl Schedule {
    /// Reads `hours = ["06:30-09:00"]` and `days = ["mon", "tue"]`.
    pub(crate) fn read(section: &mut Section<'_>, utc_offset_min: i64) -> Self {
        let mut schedule = Self {
            utc_offset_min,
            ..Self::default()
        };
        for text in section.texts("hours").unwrap_or_default() {
            match span(text) {
                Some(span) => schedule.spans.push(span),
                None => section.fault(
                    "hours",
                    format!("`{}` is no span of hours; write for example \"06:30-09:00\" or \"22:00-05:00\"",
                        text.chars().take(40).collect::<String>()),
                ),
            }
        }
        for text in section.texts("days").unwrap_or_default() {
            match DAYS.iter().position(|day| *day == text) {
                Some(day) => schedule.days.push(day),
                None => section.fault(
                    "days",
                    format!(
                        "`{}` is no day; known are {}",
                        text.chars().take(40).collect::<String>(),
                        DAYS.join(", ")
                    ),
                ),
            }
        }
        schedule
    }

    /// Whether it is always on.
    pub fn is_always(&self) -> bool {
        self.spans.is_empty() && self.days.is_empty()
    }

    /// Whether it is on at an instant.
    pub fn is_on(&self, at: EventTime) -> bool {
        if self.is_always() {
            return true;
        }
        let (day, minute) = local(at, self.utc_offset_min);
        let allowed = |day| self.days.is_empty() || self.days.contains(&weekday(day));
        if self.spans.is_empty() {
            return allowed(day);
        }
        self.spans.iter().any(|&(from, until)| {
            if from < until {
                minute >= from && minute < until && allowed(day)
            } else {
                // Over midnight: the morning belongs to the day before.
                (minute >= from && allowed(day)) || (minute < until && allowed(day - 1))
            }
        })
    }
}

/// Days since 1970 and minutes of the day, in local time.
pub(crate) fn local(at: EventTime, utc_offset_min: i64) -> (i64, i64) {
    let minutes = at.as_micros().div_euclid(60_000_000) + utc_offset_min;
    (
        minutes.div_euclid(MINUTES_PER_DAY),
        minutes.rem_euclid(MINUTES_PER_DAY),
    )
}

/// The place of a day among [`DAYS`].
pub(crate) fn weekday(day: i64) -> usize {
    usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0)
}

/// `06:30-09:00` in minutes of the day; `24:00` is the end of the day.
fn span(text: &str) -> Option<(i64, i64)> {
    let minute = |text: &str| {
        let (hours, minutes) = text.trim().split_once(':')?;
        let is_number = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(hours) || !is_number(minutes) {
            return None;
        }
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        let all = hours * 60 + minutes;
        (minutes < 60 && all <= MINUTES_PER_DAY).then_some(all)
    };
    let (from, until) = text.split_once('-')?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from != until && from < MINUTES_PER_DAY).then_some((from, until))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> (Schedule, Vec<String>) {
        let table: toml::Table = text.parse().unwrap();
        let mut faults = Vec::new();
        let mut section = Section::new(&table, "rule[0]", &mut faults);
        let schedule = Schedule::read(&mut section, 420);
        (schedule, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn hours_and_days_are_local() {
        // 2026-11-26 is a Thursday; Hanoi is seven hours ahead of UTC.
        for (text, at, expected) in [
            ("", "2026-11-26T12:00:00Z", true),
            ("hours = [\"06:30-09:00\"]", "2026-11-25T23:29:59Z", false),
            ("hours = [\"06:30-09:00\"]", "2026-11-25T23:30:00Z", true),
            ("hours = [\"06:30-09:00\"]", "2026-11-26T02:00:00Z", false),
            ("hours = [\"22:00-05:00\"]", "2026-11-26T16:00:00Z", true),
            ("hours = [\"22:00-05:00\"]", "2026-11-26T21:59:00Z", true),
            ("hours = [\"22:00-05:00\"]", "2026-11-26T22:00:00Z", false),
            ("days = [\"thu\"]", "2026-11-26T12:00:00Z", true),
            ("days = [\"thu\"]", "2026-11-26T17:00:00Z", false),
            // The morning after a Thursday's night is still Thursday's.
            (
                "hours = [\"22:00-05:00\"]\ndays = [\"thu\"]",
                "2026-11-26T20:00:00Z",
                true,
            ),
            (
                "hours = [\"22:00-05:00\"]\ndays = [\"thu\"]",
                "2026-11-25T20:00:00Z",
                false,
            ),
            ("hours = [\"00:00-24:00\"]", "2026-11-26T12:00:00Z", true),
        ] {
            let (schedule, faults) = schedule(text);
            assert_eq!(faults, Vec::<String>::new());
            let at: EventTime = at.parse().unwrap();
            assert_eq!(schedule.is_on(at), expected, "{text} {at}");
        }
    }

    #[test]
    fn what_is_no_hour_or_day_is_told() {
        for text in [
            "6-9",
            "06:30-06:30",
            "25:00-26:00",
            "06:61-07:00",
            "06:30",
            "-1:00-02:00",
        ] {
            let (_, faults) = schedule(&format!("hours = [\"{text}\"]"));
            assert_eq!(faults.len(), 1, "{text}");
            assert!(faults[0].starts_with("rule[0].hours: "), "{faults:?}");
        }
        let (_, faults) = schedule("days = [\"monday\"]");
        assert_eq!(
            faults,
            ["rule[0].days: `monday` is no day; known are mon, tue, wed, thu, fri, sat, sun"]
        );
    }
}
