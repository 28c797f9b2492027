#![doc = include_str!("README.md")]

mod check;
mod condition;
mod facts;
mod holding;
mod misread;
mod outcomes;
mod syntax;
mod zone_look;

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity, Value};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::explain::{self, Span};
use super::params::ROAD_USERS;
use super::{EndReason, Form, Onset, Outlook, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::coverage::Unwatched;
use crate::geometry::polygon_contains;
use crate::health;
use crate::observation::{FrameView, Observation, Sight};
use crate::signals::SignalBoard;
use check::Scope;
use condition::{Condition, Source};
use facts::{Known, Look, MomentLook, TrackLook};
use holding::Holding;
use zone_look::{Dwells, Grid, ZoneLook};

pub use facts::{Fact, Sort, Subject, facts, facts_table};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "custom",
    title: ("Sự kiện theo điều kiện riêng", "Condition of one's own"),
    summary: (
        "Điều kiện tự viết về một đối tượng hoặc một vùng, đúng trong một khoảng thời gian",
        "A condition of one's own about a road user or a zone holds for long enough",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where"),
        Param::new(
            "subject",
            Form::Word(&["track", "zone"]),
            "whether the condition is about each road user or about the zone",
        ),
        Param::new("when", Form::Condition, "what must be true"),
        Param::number(
            "for_s",
            (1.0, "s"),
            (0.0, 86_400.0),
            "for how long it must have been true",
        ),
        Param::number(
            "release_s",
            (1.0, "s"),
            (0.0, 3_600.0),
            "untrue or unknown for up to this pauses the time; for longer ends it, and the event",
        ),
        Param::new(
            "classes",
            Form::Classes(&ROAD_USERS),
            "who is concerned, or counted",
        ),
    ],
    read,
};

#[derive(Clone, Debug)]
struct Custom {
    zone: Zone,
    subject: Subject,
    condition: Condition,
    for_s: f64,
    release_s: f64,
    classes: Vec<ObjectClass>,
    utc_offset_min: i64,
    tracks: BTreeMap<TrackId, Holding>,
    whole: Holding,
    dwells: Dwells,
    grid: Option<Grid>,
    /// What is probably not meant, for `check`.
    doubts: Vec<String>,
    /// Kept for its memory only.
    values: Vec<Known>,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let subject = match params.word("subject") {
        Some("zone") => Some(Subject::Zone),
        Some(_) => Some(Subject::Track),
        None => None,
    };
    let text = params.text("when", "class == 'truck' && speed_kmh > 30.0");
    let for_s = params.number("for_s");
    let release_s = params.number("release_s");
    let classes = params.classes("classes");
    let scope = Scope {
        subject: subject?,
        signals: params.places().signals,
    };
    let condition = check::check(text?, scope);
    for fault in condition.as_ref().err().into_iter().flatten() {
        params.fault("when", fault.as_str());
    }
    let (condition, classes) = (condition.ok()?, classes?);
    let doubts = match outcomes::advice(&condition, &classes) {
        Ok(doubts) => doubts,
        Err(fault) => {
            params.fault("when", fault);
            return None;
        }
    };
    let zone = zone?;
    let grid = condition.asks(facts::OCCUPANCY).then(|| Grid::new(&zone));
    Some(Box::new(Custom {
        grid,
        zone,
        subject: subject?,
        condition,
        for_s,
        release_s,
        classes,
        doubts,
        utc_offset_min: params.places().utc_offset_min,
        tracks: BTreeMap::new(),
        whole: Holding::default(),
        dwells: Dwells::default(),
        values: Vec::new(),
    }))
}

impl Custom {
    fn asks_for_dwell(&self) -> bool {
        self.condition.asks("dwell_s") || self.condition.asks("longest_dwell_s")
    }

    /// Asks the condition of every road user concerned.
    fn judge_tracks(
        &mut self,
        frame: &FrameView<'_>,
        moment: &MomentLook,
        report: &mut Reporter<'_>,
    ) {
        let (riders_too, anywhere) = (
            self.condition.asks(facts::IS_RIDER),
            self.condition.asks(facts::IN_ZONE),
        );
        let mut tracks = std::mem::take(&mut self.tracks);
        let mut values = std::mem::take(&mut self.values);
        for user in frame.users {
            if !self.classes.contains(&user.class) || (user.is_rider && !riders_too) {
                continue;
            }
            let is_inside = polygon_contains(&self.zone.points, user.spot.foot);
            let mut truth = None;
            if is_inside || anywhere {
                let dwell_s = if is_inside {
                    self.dwells.of(user.track)
                } else {
                    0.0
                };
                let look = TrackLook {
                    user,
                    frame,
                    is_inside,
                    dwell_s,
                };
                self.condition
                    .look_up(frame, Look::Track(&look), moment, &mut values);
                truth = self.condition.value(&values);
            } else if !tracks.contains_key(&user.track) {
                continue;
            }
            let is_true = truth == Some(true);
            let holding = tracks.entry(user.track).or_default();
            let over = holding.look(is_true, frame.at, frame.watched, self.release_s);
            if let Some(case) = over {
                let ended = holding.last_true.unwrap_or(frame.at).time;
                case.close(ended, EndReason::Left, BTreeMap::new(), report);
            }
            let is_near = is_inside && truth.is_some() && report.wants_near_misses();
            if !holding.is_raised && (is_true && holding.held_s >= self.for_s || is_near) {
                let onset = self.onset(holding, &values, Some(user), frame);
                holding.case = report.decide(onset);
                holding.is_raised = holding.case.is_some();
            }
        }
        self.tracks = tracks;
        self.values = values;
    }

    /// Asks the condition of the zone.
    fn judge_zone(
        &mut self,
        frame: &FrameView<'_>,
        moment: &MomentLook,
        report: &mut Reporter<'_>,
    ) {
        let mut look = ZoneLook::new(&self.zone, frame, &self.classes, &self.dwells);
        if let Some(grid) = &self.grid {
            look.occupancy = grid.covered(&self.zone, frame, &self.classes);
        }
        let mut values = std::mem::take(&mut self.values);
        self.condition
            .look_up(frame, Look::Zone(&look), moment, &mut values);
        let is_true = self.condition.value(&values) == Some(true);
        let mut whole = std::mem::take(&mut self.whole);
        if let Some(case) = whole.look(is_true, frame.at, frame.watched, self.release_s) {
            let ended = whole.last_true.unwrap_or(frame.at).time;
            case.close(ended, EndReason::Left, BTreeMap::new(), report);
        }
        if is_true && whole.case.is_none() && whole.held_s >= self.for_s {
            whole.case = report.decide(self.onset(&whole, &values, None, frame));
        }
        self.whole = whole;
        self.values = values;
    }

    fn onset(
        &self,
        holding: &Holding,
        values: &[Known],
        user: Option<&Observation>,
        frame: &FrameView<'_>,
    ) -> Onset {
        let since = holding.since.unwrap_or(frame.at);
        let mut explanation = Vec::new();
        // In a near miss by a part that is untrue, no time speaks of that.
        if holding.last_true == Some(frame.at) {
            explanation.push(explain::number(
                explain::name(
                    "held_for",
                    "Thời gian điều kiện đúng",
                    "Time for which the condition was true",
                ),
                (holding.held_s, Comparison::AtLeast, self.for_s),
                "s",
                Span::new(since, frame.at),
            ));
        }
        let mut facts = explain::facts([("held_s", holding.held_s.into())]);
        if let Some(user) = user {
            if !self.condition.asks(facts::IN_ZONE) {
                let is_inside = polygon_contains(&self.zone.points, user.spot.foot);
                explanation.push(explain::is(
                    explain::name(
                        "in_zone",
                        "Điểm chạm đất nằm trong vùng",
                        "Contact point in the zone",
                    ),
                    is_inside,
                    true,
                    Span::at(frame.at),
                ));
            }
            let is_narrowed = self.classes.len() < ROAD_USERS.len();
            if is_narrowed || self.condition.asks(facts::CLASS) {
                // A condition on the class is about the winner of the vote, who
                // must have won well.
                let concerned = if is_narrowed {
                    self.classes.as_slice()
                } else {
                    std::slice::from_ref(&user.class)
                };
                explanation.extend(explain::of_class(user, concerned, frame));
            }
            facts.insert("class".to_owned(), user.class.as_str().into());
        }
        let names: Vec<String> = explanation.iter().map(|p| p.name.clone()).collect();
        for mut predicate in self.condition.explain(values, Span::at(frame.at)) {
            if names.contains(&predicate.name) {
                predicate.name += "#2";
            }
            explanation.push(predicate);
        }
        for (source, value) in self.condition.sources.iter().zip(values) {
            let value: Value = match value {
                Known::Unknown => continue,
                Known::Number(number) => (*number).into(),
                Known::Truth(truth) => (*truth).into(),
                Known::Word(word) => (*word).into(),
            };
            facts.insert(source.key(), value);
        }
        Onset {
            // A zone's event is named after the instant at which it began.
            subject: user.map_or(
                TrackId {
                    born: since.time,
                    rank: 0,
                },
                |user| user.track,
            ),
            onset: since.time,
            decided: frame.at,
            ended: None,
            actors: user.map(|user| frame.actor(user)).into_iter().collect(),
            facts,
            explanation,
            evidence: vec![since],
        }
    }

    /// Whether what a part that must be true hangs on is unread.
    fn misses_signal(&self, frame: &FrameView<'_>) -> bool {
        let board: &SignalBoard = frame.signals;
        self.condition.needs(|source| match source {
            Source::Signal(group) => {
                board.at(group, frame.at.time).state == protocol::SignalState::Unknown
            }
            Source::Fact(_) => false,
        })
    }
}

impl Rule for Custom {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        if self.asks_for_dwell() {
            self.dwells.look(&self.zone, frame);
        }
        let moment = MomentLook::new(frame.at, self.utc_offset_min, frame.health);
        match self.subject {
            Subject::Track => self.judge_tracks(frame, &moment, report),
            Subject::Zone => self.judge_zone(frame, &moment, report),
        }
    }

    fn forget(&mut self, track: TrackId, report: &mut Reporter<'_>) {
        self.dwells.forget(track);
        if let Some(mut holding) = self.tracks.remove(&track)
            && let (Some(case), Some(last)) = (holding.case.take(), holding.last_true)
        {
            case.close(last.time, EndReason::LostFromView, BTreeMap::new(), report);
        }
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        let whole = std::mem::take(&mut self.whole);
        let tracks = std::mem::take(&mut self.tracks);
        for mut holding in tracks.into_values().chain([whole]) {
            if let (Some(case), Some(last)) = (holding.case.take(), holding.last_true) {
                case.close(last.time, reason, BTreeMap::new(), report);
            }
        }
        self.dwells.clear();
    }

    fn blind(&self, frame: &FrameView<'_>) -> Option<Unwatched> {
        let is_ground = |source: &Source| matches!(source, Source::Fact(fact) if fact.needs_ground);
        if frame.sight.ground.is_none() && self.condition.needs(is_ground) {
            Some(Unwatched::NotCalibrated)
        } else if self.misses_signal(frame) {
            Some(Unwatched::SignalUnknown)
        } else {
            None
        }
    }

    fn is_suspended_by(&self, condition: health::Condition) -> bool {
        !condition.is_well() && !self.condition.asks(facts::HEALTH)
    }

    fn outlook(&self, sight: &Sight<'_>) -> Option<Outlook> {
        let mut doubts: Vec<String> = self
            .doubts
            .iter()
            .map(|doubt| format!("when: {doubt}"))
            .collect();
        let is_ground = |source: &Source| matches!(source, Source::Fact(fact) if fact.needs_ground);
        if sight.ground.is_none() && self.condition.needs(is_ground) {
            let metres = self
                .condition
                .sources
                .iter()
                .filter(|source| is_ground(source));
            let metres: Vec<String> = metres.map(|s| format!("`{}`", s.key())).collect();
            doubts.push(format!(
                "can find nothing: {} is unknown while the camera is not calibrated; calibrate it \
                 with `edge-agent calibrate`",
                metres.join(" or ")
            ));
        }
        (!doubts.is_empty()).then(|| Err(doubts.join("; ")))
    }

    fn remembered(&self) -> usize {
        let whole = usize::from(self.whole.since.is_some());
        self.tracks.len() + self.dwells.len() + whole
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
