//! Values, units, numbers and times as people write them.

use protocol::EventTime;
use protocol::event::{FrameTime, Value};
use protocol::units::Seconds;

use super::{Language, Teller};
use crate::explain::words;

impl Teller {
    pub(super) fn value(&self, value: &Value) -> String {
        match value {
            Value::Flag(true) => self.language.pick("có", "yes").to_owned(),
            Value::Flag(false) => self.language.pick("không", "no").to_owned(),
            Value::Number(number) => self.number(*number),
            // Also lists of words: the classes concerned.
            Value::Text(text) => {
                let words: Vec<&str> = text.split(", ").map(|word| self.word(word)).collect();
                words.join(", ")
            }
        }
    }

    pub(super) fn word<'t>(&self, text: &'t str) -> &'t str {
        self.language.pick(words::value(text), text)
    }

    /// With a space before it; nothing when there is none.
    pub(super) fn unit(&self, unit: &str) -> String {
        match self.language.pick(words::unit(unit), unit) {
            "" => String::new(),
            unit => format!(" {unit}"),
        }
    }

    pub(super) fn number(&self, number: f64) -> String {
        let text = format!("{number}");
        match self.language {
            Language::Vi => text.replace('.', ","),
            Language::En => text,
        }
    }

    pub(super) fn frame(&self, at: FrameTime) -> String {
        format!("{} ({})", at.frame, self.clock(at.time))
    }

    /// Day and time of day, with the offset.
    pub(super) fn time(&self, at: EventTime) -> String {
        let (text, offset) = (self.local(at), self.utc_offset_min);
        let (day, clock) = text.split_once('T').unwrap_or(("", &text));
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
        format!("{day} {} ({sign}{hours:02}:{minutes:02})", short(clock))
    }

    /// Time of day.
    pub(super) fn clock(&self, at: EventTime) -> String {
        let text = self.local(at);
        short(
            text.split_once('T')
                .map_or(text.as_str(), |(_, clock)| clock),
        )
    }

    pub(super) fn local(&self, at: EventTime) -> String {
        (at + Seconds(self.utc_offset_min as f64 * 60.0)).to_string()
    }
}

/// To the millisecond, without the zone.
fn short(clock: &str) -> String {
    clock.trim_end_matches('Z').chars().take(12).collect()
}
