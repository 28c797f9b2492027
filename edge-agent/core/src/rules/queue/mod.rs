#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity, Value};
use protocol::{TrackId, ZoneId};

use super::episode::{Episode, Says, Times};
use super::explain::{self, Span};
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::observation::{Basis, FrameView};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "queue",
    title: ("Hàng xe chờ dài", "Queue"),
    summary: (
        "Nhiều xe đứng nối đuôi nhau trong vùng trong một thời gian",
        "Many vehicles stand one behind the other in a zone for a while",
    ),
    severity: Severity::Info,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where"),
        Param::number(
            "min_count",
            (5.0, "vehicles"),
            (2.0, 500.0),
            "at least so many stand in it",
        ),
        Param::number(
            "min_length_m",
            (0.0, "m"),
            (0.0, 2_000.0),
            "it is at least this long (calibrated cameras); 0: any",
        ),
        Param::number(
            "min_duration_s",
            (60.0, "s"),
            (1.0, 3_600.0),
            "for how long",
        ),
        Param::number(
            "clear_after_s",
            (30.0, "s"),
            (1.0, 3_600.0),
            "it is over when it has been shorter for this long",
        ),
        Param::number(
            "update_every_s",
            (60.0, "s"),
            (0.0, 86_400.0),
            "how often a running event is brought up to date; 0 for never",
        ),
    ],
    read,
};

/// A running event goes on with this part of the count and the length.
const STILL: f64 = 0.5;

#[derive(Clone, Debug)]
struct Queue {
    zone: Zone,
    min_count: f64,
    min_length_m: f64,
    times: Times,
    episode: Episode,
    count: f64,
    /// Between its farthest vehicles, where calibrated.
    length_m: Option<f64>,
    longest_m: f64,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let min_count = params.number("min_count");
    let min_length_m = params.number("min_length_m");
    let times = Times {
        min_duration_s: params.number("min_duration_s"),
        clear_after_s: params.number("clear_after_s"),
        update_every_s: params.number("update_every_s"),
    };
    Some(Box::new(Queue {
        zone: zone?,
        min_count,
        min_length_m,
        times,
        episode: Episode::default(),
        count: 0.0,
        length_m: None,
        longest_m: 0.0,
    }))
}

impl Queue {
    fn measure(&mut self, frame: &FrameView<'_>) {
        let queued = frame
            .queue
            .standing_in(&self.zone.points)
            .filter(|standing| standing.is_queued);
        let spots: Vec<_> = queued.map(|standing| standing.spot).collect();
        self.count = super::members::count(spots.len());
        let mut length = 0.0_f64;
        for (index, from) in spots.iter().enumerate() {
            for to in &spots[index + 1..] {
                let way = from.way_to(to);
                if way.basis == Basis::Ground {
                    length = length.max(way.vector.length());
                }
            }
        }
        self.length_m = frame.sight.ground.map(|_| length);
    }

    fn says(&self) -> Says {
        let holds = |part: f64| {
            self.count >= part * self.min_count
                && self
                    .length_m
                    .is_none_or(|length| length >= part * self.min_length_m)
        };
        if holds(1.0) {
            Says::Yes
        } else if holds(STILL) {
            Says::Still
        } else {
            Says::No
        }
    }

    fn facts(&self, held: f64) -> BTreeMap<String, Value> {
        let mut facts =
            explain::facts([("duration_s", held.into()), ("vehicles", self.count.into())]);
        if let Some(length) = self.length_m {
            facts.insert("length_m".to_owned(), length.into());
            facts.insert("longest_m".to_owned(), self.longest_m.into());
        }
        facts
    }

    fn decide(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let began = self.episode.began(frame);
        let now = Span::at(frame.at);
        let mut explanation = vec![
            explain::number(
                explain::name("duration", "Kéo dài", "Duration"),
                (
                    self.episode.held(),
                    Comparison::AtLeast,
                    self.times.min_duration_s,
                ),
                "s",
                Span::new(began, frame.at),
            ),
            explain::number(
                explain::name(
                    "queued_vehicles",
                    "Số xe đứng nối đuôi nhau",
                    "Vehicles that stand one behind the other",
                ),
                (self.count, Comparison::AtLeast, self.min_count),
                "",
                now,
            ),
        ];
        if let Some(length) = self.length_m {
            explanation.push(explain::number(
                explain::name("length", "Chiều dài hàng xe", "Length of the queue"),
                (length, Comparison::AtLeast, self.min_length_m),
                "m",
                now,
            ));
        }
        let case = report.decide(Onset {
            subject: self.episode.subject(frame),
            onset: began.time,
            decided: frame.at,
            ended: None,
            actors: Vec::new(),
            facts: self.facts(self.episode.held()),
            explanation,
            evidence: vec![began],
        });
        self.episode.raised(case);
    }
}

impl Rule for Queue {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        self.measure(frame);
        if self.episode.remembered() == 0 {
            self.longest_m = 0.0;
        }
        self.longest_m = self.longest_m.max(self.length_m.unwrap_or(0.0));
        let says = self.says();
        let mut episode = std::mem::take(&mut self.episode);
        let is_due = episode.look((says, &self.times), frame, report, |held| self.facts(held));
        self.episode = episode;
        if is_due {
            self.decide(frame, report);
        }
    }

    fn forget(&mut self, _track: TrackId, _report: &mut Reporter<'_>) {}

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        let facts = self.facts(self.episode.held());
        self.episode.close(reason, facts, report);
    }

    fn remembered(&self) -> usize {
        self.episode.remembered()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
