#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity, Value};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::episode::{Episode, Says, Times};
use super::explain::{self, Span};
use super::members::{Members, count};
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::observation::FrameView;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "crowd",
    title: ("Tụ tập đông người", "Crowd"),
    summary: (
        "Đông người trong vùng trong một thời gian",
        "Many people are in a zone for a while",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where"),
        Param::number(
            "min_count",
            (20.0, "people"),
            (2.0, 1_000.0),
            "at least so many",
        ),
        Param::number(
            "min_density_per_m2",
            (0.0, "1/m²"),
            (0.0, 10.0),
            "or at least so many per square metre of the zone (calibrated cameras); 0: never",
        ),
        Param::number(
            "min_duration_s",
            (30.0, "s"),
            (1.0, 3_600.0),
            "for how long",
        ),
        Param::number(
            "clear_after_s",
            (30.0, "s"),
            (1.0, 3_600.0),
            "it is over when there have been fewer for this long",
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

/// Who is hidden for longer is not counted any more, s.
const HIDDEN_S: f64 = 2.0;
/// A running event goes on with this part of the number.
const STILL: f64 = 0.75;
/// Fewer are no crowd, however small the zone.
const LEAST_DENSE: f64 = 4.0;

#[derive(Clone, Debug)]
struct Crowd {
    zone: Zone,
    min_count: f64,
    min_density: f64,
    times: Times,
    members: Members,
    episode: Episode,
    most: f64,
    density: Option<f64>,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let min_count = params.number("min_count");
    let min_density = params.number("min_density_per_m2");
    let times = Times {
        min_duration_s: params.number("min_duration_s"),
        clear_after_s: params.number("clear_after_s"),
        update_every_s: params.number("update_every_s"),
    };
    Some(Box::new(Crowd {
        zone: zone?,
        min_count,
        min_density,
        times,
        members: Members::new(HIDDEN_S),
        episode: Episode::default(),
        most: 0.0,
        density: None,
    }))
}

impl Crowd {
    fn people(&self) -> f64 {
        count(self.members.count())
    }

    /// Whether the density alone makes a crowd, with this part of its threshold.
    fn is_dense(&self, part: f64) -> bool {
        self.min_density > 0.0
            && self.people() >= LEAST_DENSE
            && self
                .density
                .is_some_and(|density| density >= part * self.min_density)
    }

    fn says(&self) -> Says {
        let holds = |part: f64| self.people() >= part * self.min_count || self.is_dense(part);
        if holds(1.0) {
            Says::Yes
        } else if holds(STILL) {
            Says::Still
        } else {
            Says::No
        }
    }

    fn facts(&self, held: f64) -> BTreeMap<String, Value> {
        let mut facts = explain::facts([
            ("duration_s", held.into()),
            ("people", self.people().into()),
            ("most_people", self.most.into()),
        ]);
        if let Some(density) = self.density {
            facts.insert("density_per_m2".to_owned(), density.into());
        }
        facts
    }

    fn decide(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let began = self.episode.began(frame);
        let now = Span::at(frame.at);
        let by_density = self.people() < self.min_count && self.is_dense(1.0);
        let number = match self.density {
            Some(density) if by_density => explain::number(
                explain::name(
                    "density",
                    "Mật độ người trong vùng",
                    "Density of people in the zone",
                ),
                (density, Comparison::AtLeast, self.min_density),
                "1/m²",
                now,
            ),
            _ => explain::number(
                explain::name("people", "Số người trong vùng", "People in the zone"),
                (self.people(), Comparison::AtLeast, self.min_count),
                "",
                now,
            ),
        };
        let duration = explain::number(
            explain::name("duration", "Kéo dài", "Duration"),
            (
                self.episode.held(),
                Comparison::AtLeast,
                self.times.min_duration_s,
            ),
            "s",
            Span::new(began, frame.at),
        );
        let case = report.decide(Onset {
            subject: self.episode.subject(frame),
            onset: began.time,
            decided: frame.at,
            ended: None,
            actors: Vec::new(),
            facts: self.facts(self.episode.held()),
            explanation: vec![duration, number],
            evidence: vec![began],
        });
        self.episode.raised(case);
    }
}

impl Rule for Crowd {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn about(&self) -> &'static [ObjectClass] {
        &[ObjectClass::Person]
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        self.members.update(frame, &self.zone.points, |user| {
            user.class == ObjectClass::Person && !user.is_rider
        });
        self.density = frame
            .sight
            .ground_area(&self.zone.points)
            .filter(|area| *area > 1.0)
            .map(|area| self.people() / area);
        if self.episode.remembered() == 0 {
            self.most = 0.0;
        }
        self.most = self.most.max(self.people());
        let says = self.says();
        let mut episode = std::mem::take(&mut self.episode);
        let is_due = episode.look((says, &self.times), frame, report, |held| self.facts(held));
        self.episode = episode;
        if is_due {
            self.decide(frame, report);
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.members.forget(track);
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        let facts = self.facts(self.episode.held());
        self.episode.close(reason, facts, report);
        self.members.clear();
    }

    fn remembered(&self) -> usize {
        self.members.count() + self.episode.remembered()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
