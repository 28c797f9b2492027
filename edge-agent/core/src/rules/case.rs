//! The life of an event: raised once, brought up to date, ended.

use std::collections::BTreeMap;

use protocol::event::{Actor, EventKind, FrameTime, Look, Phase, Value};
use protocol::{Event, EventId, EventTime, Predicate, TimeQuality, TrackId};

use crate::config::RuleConfig;
use crate::input::{EvidenceRequest, Output, SpeedMeasured};
use crate::near_miss::{NearMiss, NearMisses};
use crate::scene::Identity;
use crate::second_look::{LookedBy, LookerBook};

/// Everything that a rule found out when its last predicate became true.
#[derive(Clone, Debug)]
pub struct Onset {
    /// Whose act it is: makes the event's id, with the rule and the onset.
    pub subject: TrackId,
    /// When it began.
    pub onset: EventTime,
    /// The frame that decided it.
    pub decided: FrameTime,
    /// When it was over, if it was over as soon as it began.
    pub ended: Option<EventTime>,
    /// Who did it.
    pub actors: Vec<Actor>,
    /// Numbers for people and statistics.
    pub facts: BTreeMap<String, Value>,
    /// Everything that had to be true.
    pub explanation: Vec<Predicate>,
    /// Frames that show it, besides `decided`.
    pub evidence: Vec<FrameTime>,
}

/// What an event rests on, besides its predicates.
#[derive(Clone, Debug, Default)]
pub struct Basis {
    /// The models of second looks that counted.
    pub by: LookedBy,
    /// As [`Event::looks`].
    pub looks: Vec<Look>,
}

impl From<LookedBy> for Basis {
    fn from(by: LookedBy) -> Self {
        Self {
            by,
            looks: Vec::new(),
        }
    }
}

/// Why an event is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The road user was seen to leave or to stop doing it.
    Left,
    /// What was wrong is right again.
    Cleared,
    /// The road user was not seen any more.
    LostFromView,
    /// The stream ended.
    StreamEnded,
    /// The clock was set back, so nothing before can be followed up.
    ClockStep,
    /// The hours of the rule are over.
    OffSchedule,
}

impl EndReason {
    /// The word among an event's facts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Cleared => "cleared",
            Self::LostFromView => "lost_from_view",
            Self::StreamEnded => "stream_ended",
            Self::ClockStep => "clock_step",
            Self::OffSchedule => "off_schedule",
        }
    }
}

/// Where a rule's findings go.
#[derive(Debug)]
pub struct Reporter<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) rule: &'a RuleConfig,
    pub(crate) time_quality: TimeQuality,
    pub(crate) out: &'a mut Vec<Output>,
    /// Which rule of the scene.
    pub(crate) index: usize,
    /// Where near misses are asked for.
    pub(crate) near: Option<&'a mut NearMisses>,
    /// Who takes second looks.
    pub(crate) lookers: &'a LookerBook,
}

impl Reporter<'_> {
    /// Whether near misses are asked for, so that a list of predicates is
    /// wanted also where the rule knows already that one of them fails.
    pub fn wants_near_misses(&self) -> bool {
        self.near.is_some()
    }

    /// Publishes a new event if every predicate holds; otherwise remembers how
    /// near it came, where near misses are asked for.
    pub fn decide(&mut self, onset: Onset) -> Option<Case> {
        self.decide_by(onset, Basis::default())
    }

    /// The same of what rests on looks, besides.
    pub fn decide_by(&mut self, onset: Onset, basis: impl Into<Basis>) -> Option<Case> {
        if super::explain::all_hold(&onset.explanation) {
            return Some(self.raise_by(onset, basis.into()));
        }
        if let Some(near) = self.near.as_deref_mut() {
            let failed = onset.explanation.iter().filter(|p| !p.holds);
            let miss = NearMiss {
                rule: self.rule.id.clone(),
                kind: EventKind(self.rule.kind.to_owned()),
                zone: self.rule.place.clone(),
                subject: onset.subject,
                onset: onset.onset,
                nearest: onset.decided,
                failed: failed.map(|p| p.name.clone()).collect(),
                actors: onset.actors,
                explanation: onset.explanation,
            };
            near.keep(self.index, miss);
        }
        None
    }

    /// Tells at once what nearly was an event of a subject that is no road
    /// user, because no tracker will say that it is gone.
    pub fn tell_near_miss(&mut self, subject: TrackId) {
        let miss = self
            .near
            .as_deref_mut()
            .and_then(|near| near.take_of(self.index, subject));
        self.out.extend(miss.map(Output::NearMiss));
    }

    /// Puts out a measured speed, whoever drove it and however fast.
    pub fn speed(&mut self, measured: SpeedMeasured) {
        self.out.push(Output::Speed(measured));
    }

    /// Publishes something for statistics if every predicate holds: over as
    /// soon as it is told, without anybody's track and without pictures, so
    /// that nobody can be known by it. `false`: a predicate failed.
    pub fn count(&mut self, mut onset: Onset) -> bool {
        if !super::explain::all_hold(&onset.explanation) {
            return false;
        }
        onset.actors.clear();
        onset.ended = Some(onset.ended.unwrap_or(onset.decided.time));
        let event = self.event(onset, Basis::default());
        self.out.push(Output::Event(event));
        true
    }

    /// Publishes a new event, asks for its pictures, and keeps it for later revisions.
    pub fn raise(&mut self, onset: Onset) -> Case {
        self.raise_by(onset, Basis::default())
    }

    fn raise_by(&mut self, mut onset: Onset, basis: Basis) -> Case {
        let decided = onset.decided;
        let mut at = std::mem::take(&mut onset.evidence);
        at.push(decided);
        // Ordered, each once, and none from after the decision.
        at.sort_unstable_by_key(|frame| (frame.time, frame.frame));
        at.dedup();
        at.retain(|frame| frame.time <= decided.time);
        let event = self.event(onset, basis);
        self.out.push(Output::Event(event.clone()));
        self.out.push(Output::Evidence(EvidenceRequest {
            event: event.id,
            at,
        }));
        Case(Box::new(event))
    }

    /// The first revision.
    fn event(&mut self, onset: Onset, basis: Basis) -> Event {
        let identity = self.identity;
        let mut provenance = identity.provenance.clone();
        provenance.add_second(self.lookers.of(basis.by));
        if let Some(near) = self.near.as_deref_mut() {
            near.drop(self.index, onset.subject);
        }
        let id = EventId::derive(
            (&identity.site, &identity.box_id, &identity.camera),
            &self.rule.id,
            &onset.subject,
            onset.onset,
        );
        Event {
            id,
            revision: 1,
            phase: Phase::Start,
            kind: EventKind(self.rule.kind.to_owned()),
            rule: self.rule.id.clone(),
            site: identity.site.clone(),
            box_id: identity.box_id.clone(),
            camera: identity.camera.clone(),
            place: identity.place.clone(),
            simulated: identity.simulated,
            severity: self.rule.severity,
            title: self.rule.title.clone(),
            onset: onset.onset,
            decided: onset.decided,
            ended: onset.ended,
            time_quality: self.time_quality,
            zone: self.rule.place.clone(),
            actors: onset.actors,
            facts: onset.facts,
            explanation: onset.explanation,
            looks: basis.looks,
            provenance,
        }
    }
}

/// An event that goes on.
#[derive(Clone, Debug)]
pub struct Case(Box<Event>);

impl Case {
    /// Publishes changed facts.
    pub fn update(&mut self, facts: BTreeMap<String, Value>, report: &mut Reporter<'_>) {
        self.0.revision = self.0.revision.saturating_add(1);
        self.0.phase = Phase::Update;
        self.0.facts.extend(facts);
        report.out.push(Output::Event((*self.0).clone()));
    }

    /// Publishes that it is over.
    pub fn close(
        mut self,
        ended: EventTime,
        reason: EndReason,
        facts: BTreeMap<String, Value>,
        report: &mut Reporter<'_>,
    ) {
        self.0.revision = self.0.revision.saturating_add(1);
        self.0.phase = Phase::End;
        // The end is the last instant that was seen, which for something that
        // was decided while out of sight may lie before the decision.
        self.0.ended = Some(ended.max(self.0.onset));
        self.0.facts.extend(facts);
        self.0
            .facts
            .insert("end_reason".to_owned(), reason.as_str().into());
        report.out.push(Output::Event(*self.0));
    }
}
