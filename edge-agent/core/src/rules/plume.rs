//! Fire and smoke: something without a body that stays where it is and grows.
//!
//! A plume is followed by place: what is seen in a frame and overlaps the place
//! where it was is the same. Headlights move on, a lamp and a cloud do not grow,
//! a detector's fancy does not last. So it must have been seen for several
//! seconds, in most looks of the first half of that time and of the second, and
//! be larger at the end than at the beginning. It has no track: its subject is
//! the instant of the first look that showed it, and its rank among the plumes
//! that began in that look.
//!
//! Where only a cascade knows the class, frames pass between its looks and its
//! answers come late. So a plume is given up for looks that were *answered*
//! without it, never for frames that nobody searched: a look that missed a
//! flickering flame, or a second of waiting on a busy box, is no end of a fire.

use std::collections::{BTreeMap, VecDeque};

use protocol::event::{Actor, Comparison, FrameTime};
use protocol::units::rounded;
use protocol::{NormBox, ObjectClass, Point, TrackId, ZoneId};

use super::explain::{self, Span};
use super::{Case, EndReason, Form, Looked, Onset, Param, Params, Reporter, Rule};
use crate::config::Zone;
use crate::coverage::Unwatched;
use crate::geometry::{IsoBox, polygon_contains};
use crate::health::Condition;
use crate::marks::Mark;
use crate::observation::FrameView;
use crate::second_look::LookedBy;

/// Looks closer to each other are one, s.
const LOOK_EVERY_S: f64 = 0.2;
/// Frames do not come quite evenly, s.
const JITTER_S: f64 = 0.02;
/// Looks that are remembered of a plume, at most.
const MOST_LOOKS: usize = 120;
/// Plumes at once; the picture of a camera shows fewer.
const MOST_PLUMES: u16 = 32;
/// What overlaps a plume by this part of the smaller box is the plume.
const SAME_PLACE: f64 = 0.3;
/// Part of the looks of each half that must show it.
const LEAST_SEEN: f64 = 0.6;
/// So many looks must show it: with few looks, two would be all of "most".
const LEAST_LOOKS: f64 = 3.0;
/// Something that may become a plume is given up when it was not seen for this long, s.
const UNSEEN_S: f64 = 2.0;
/// Of second looks so many in a row must have been in vain, besides: one that
/// knows 70 % of a fire's looks misses three in a row once in forty.
const VAIN_LOOKS: usize = 3;
/// Older looks are not remembered, s; more than any `min_duration_s`.
const LOOKS_S: f64 = 24.0;
/// Nobody has answered for so long: what may be there, nobody knows, s.
const UNANSWERED_S: f64 = 20.0;

/// The keys of a rule about fire or smoke.
pub(super) const PARAMS: [Param; 5] = [
    Param::new(
        "zones",
        Form::Zones,
        "where; the whole picture when it is left out",
    ),
    Param::number(
        "min_duration_s",
        (5.0, "s"),
        (1.0, 20.0),
        "for how long it must have been seen",
    ),
    Param::number(
        "min_growth_pct",
        (20.0, "%"),
        (0.0, 1_000.0),
        "by how much it must have grown since then",
    ),
    Param::number(
        "min_size_pct",
        (0.05, "% of the picture"),
        (0.001, 100.0),
        "smaller detections are not looked at",
    ),
    Param::number(
        "clear_after_s",
        (15.0, "s"),
        (2.0, 3_600.0),
        "it is over when it was not seen for this long",
    ),
];

/// One rule about fire or smoke.
#[derive(Clone, Debug)]
pub(super) struct Plumes {
    class: ObjectClass,
    zones: Vec<Zone>,
    min_duration_s: f64,
    min_growth_pct: f64,
    min_size_pct: f64,
    clear_after_s: f64,
    list: Vec<Plume>,
    /// The first rank for plumes that begin now: the clock may have been set
    /// back, and no subject comes again.
    first_rank: u16,
}

#[derive(Clone, Debug)]
struct Plume {
    subject: TrackId,
    onset: FrameTime,
    bounds: NormBox,
    score: f64,
    /// Every look since the onset, also those that did not show it.
    looks: VecDeque<Look>,
    /// Watched time of the last look that showed it.
    shown: f64,
    shown_at: FrameTime,
    case: Option<Case>,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    watched: f64,
    /// What was seen; `None` when it was not.
    seen: Option<Seen>,
    by: LookedBy,
}

/// What a look shows of a plume.
#[derive(Clone, Copy, Debug)]
struct Seen {
    bounds: NormBox,
    /// Whether that is the part that a classifier was shown, which never grows.
    is_label: bool,
}

impl Seen {
    const fn of(mark: &Mark) -> Self {
        Self {
            bounds: mark.bounds,
            is_label: mark.is_label,
        }
    }

    /// Of two in one look: boxes tell more than a classifier's word for all of a part.
    fn with(self, other: Self) -> Self {
        match (self.is_label, other.is_label) {
            (true, false) => other,
            (false, true) => self,
            _ => Self {
                bounds: around(&self.bounds, &other.bounds),
                ..self
            },
        }
    }

    /// Part of the picture that it covers, %.
    fn size(&self) -> f64 {
        100.0 * self.bounds.area()
    }
}

impl Plumes {
    /// Reads the keys that both kinds have.
    pub(super) fn read(params: &mut Params<'_, '_>, class: ObjectClass) -> Option<Box<dyn Rule>> {
        let zones = params.zones("zones");
        let min_duration_s = params.number("min_duration_s");
        let min_growth_pct = params.number("min_growth_pct");
        let min_size_pct = params.number("min_size_pct");
        let clear_after_s = params.number("clear_after_s");
        Some(Box::new(Self {
            class,
            zones: zones?,
            min_duration_s,
            min_growth_pct,
            min_size_pct,
            clear_after_s,
            list: Vec::new(),
            first_rank: 0,
        }))
    }

    fn concerns(&self, mark: &Mark) -> bool {
        let foot = mark.bounds.foot();
        let is_there = |at: Point| {
            let mut zones = self.zones.iter();
            self.zones.is_empty() || zones.any(|zone| polygon_contains(&zone.points, at))
        };
        // A classifier's word for a whole part is about no place in it.
        let is_somewhere = !mark.is_label || self.zones.is_empty();
        mark.class == self.class
            && is_somewhere
            && 100.0 * mark.bounds.area() >= self.min_size_pct
            && (is_there(foot) || is_there(mark.bounds.centre()))
    }

    /// Raises what has lasted long enough and is shown by this frame.
    fn decide(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        for index in 0..self.list.len() {
            let plume = &self.list[index];
            let is_shown = plume.shown_at == frame.at;
            let lasts = frame.watched - plume.looks.front().map_or(0.0, |look| look.watched);
            let is_due = lasts >= self.min_duration_s || report.wants_near_misses();
            if plume.case.is_none() && is_shown && is_due {
                let by: LookedBy = plume.looks.iter().map(|look| look.by).collect();
                let onset = self.judge(plume, frame);
                self.list[index].case = report.decide_by(onset, by);
            }
        }
    }

    /// Takes what a frame shows; plumes that it does not show were looked at in
    /// vain. `past`: by whom a frame that has passed was looked at again; others may
    /// have been looked at since.
    fn take(&mut self, frame: &FrameView<'_>, past: Option<LookedBy>) {
        let aspect = frame.sight.aspect;
        let mut shown: Vec<Option<Seen>> = vec![None; self.list.len()];
        let mut new: Vec<&Mark> = Vec::new();
        for mark in frame.marks {
            if !self.concerns(mark) {
                continue;
            }
            let known = self
                .list
                .iter()
                .position(|plume| is_same(&plume.bounds, &mark.bounds, aspect));
            match known {
                // A doubtful detection may go on with a plume, not begin one.
                Some(index) => {
                    let plume = &mut self.list[index];
                    plume.score = plume.score.max(mark.score);
                    let own = Seen::of(mark);
                    shown[index] = Some(shown[index].map_or(own, |seen| seen.with(own)));
                }
                None if mark.is_believed => new.push(mark),
                None => {}
            }
        }
        for (plume, shown) in self.list.iter_mut().zip(shown) {
            match past {
                Some(by) => plume.look_back(frame, shown, by),
                None => plume.look(frame, shown, LookedBy::default()),
            }
        }
        for mark in new {
            let is_full = self.list.len() >= usize::from(MOST_PLUMES);
            let is_known = |plume: &Plume| is_same(&plume.bounds, &mark.bounds, aspect);
            if is_full || self.list.iter().any(is_known) {
                continue;
            }
            let born = frame.at.time;
            let rank = self.list.iter().filter(|p| p.subject.born == born).count();
            let mut plume = Plume {
                subject: TrackId {
                    born,
                    rank: self
                        .first_rank
                        .wrapping_add(u16::try_from(rank).unwrap_or(0)),
                },
                onset: frame.at,
                bounds: mark.bounds,
                score: mark.score,
                looks: VecDeque::new(),
                shown: frame.watched,
                shown_at: frame.at,
                case: None,
            };
            plume.look(frame, Some(Seen::of(mark)), past.unwrap_or_default());
            self.list.push(plume);
        }
    }

    fn judge(&self, plume: &Plume, frame: &FrameView<'_>) -> Onset {
        let span = Span::new(plume.onset, frame.at);
        let measured = plume.measure();
        let growth = measured.growth.map(|growth| {
            explain::number(
                explain::name(
                    "growth",
                    "Lớn thêm so với lúc đầu",
                    "How much larger it is than at the beginning",
                ),
                (growth, Comparison::AtLeast, self.min_growth_pct),
                "%",
                span,
            )
        });
        let mut explanation = vec![
            explain::number(
                explain::name("lasts", "Thời gian nhìn thấy", "Time for which it was seen"),
                (measured.lasts, Comparison::AtLeast, self.min_duration_s),
                "s",
                span,
            ),
            explain::number(
                explain::name(
                    "seen_share",
                    "Tỷ lệ lần nhìn thấy, ở nửa kém hơn trong hai nửa thời gian",
                    "Share of the looks that showed it, in the worse half of the time",
                ),
                (measured.seen, Comparison::AtLeast, LEAST_SEEN),
                "",
                span,
            ),
            explain::number(
                explain::name("looks", "Số lần nhìn thấy", "Looks that showed it"),
                (measured.looks, Comparison::AtLeast, LEAST_LOOKS),
                "",
                span,
            ),
            explain::number(
                explain::name(
                    "size",
                    "Phần của hình ảnh bị che phủ",
                    "Part of the picture that it covers",
                ),
                (measured.size, Comparison::AtLeast, self.min_size_pct),
                "%",
                span,
            ),
        ];
        // Before the size, as ever.
        explanation.splice(3..3, growth);
        let mut facts = explain::facts([("size_pct", measured.size.into())]);
        if let Some(growth) = measured.growth {
            facts.extend(explain::facts([("growth_pct", growth.into())]));
        }
        let edges: [f64; 4] = plume.bounds.into();
        Onset {
            subject: plume.subject,
            onset: plume.onset.time,
            decided: frame.at,
            ended: None,
            actors: vec![Actor {
                track: plume.subject,
                class: self.class,
                score: rounded(plume.score, 3),
                bounds: edges.map(|edge| rounded(edge, 5)).into(),
                path: Vec::new(),
                plate: None,
            }],
            facts,
            explanation,
            evidence: vec![plume.onset],
        }
    }
}

/// A plume in numbers.
#[derive(Clone, Copy, Debug)]
struct Measured {
    lasts: f64,
    /// In the worse half.
    seen: f64,
    /// That showed it.
    looks: f64,
    /// `None`: no look says how large it was.
    growth: Option<f64>,
    size: f64,
}

impl Plume {
    /// Forgets what was looked at after `watched`: that time was taken back.
    fn forget_after(&mut self, watched: f64) {
        while self.looks.back().is_some_and(|look| look.watched > watched) {
            self.looks.pop_back();
        }
        self.shown = self.shown.min(watched);
    }

    fn forget_old_looks(&mut self) {
        let newest = self.looks.back().map_or(0.0, |look| look.watched);
        let is_old = |look: &Look| newest - look.watched > LOOKS_S;
        while self.looks.len() > MOST_LOOKS || self.looks.front().is_some_and(is_old) {
            self.looks.pop_front();
        }
    }

    /// Whether nothing of it was seen for `unseen_s`, at a watched time of `now`.
    fn is_over(&self, now: f64, unseen_s: f64) -> bool {
        now - self.shown > unseen_s
    }

    /// The same by second looks: enough of them were answered without it, or
    /// none was answered for long.
    fn is_over_by_answers(&self, now: f64, unseen_s: f64) -> bool {
        let Some(answered) = self.looks.back().map(|look| look.watched) else {
            return true;
        };
        let looks = self.looks.iter().rev();
        let vain = looks.take_while(|look| look.seen.is_none()).count();
        let is_searched = vain >= VAIN_LOOKS && answered - self.shown > unseen_s;
        is_searched || now - answered > UNANSWERED_S.max(unseen_s)
    }

    fn look(&mut self, frame: &FrameView<'_>, shown: Option<Seen>, by: LookedBy) {
        self.forget_after(frame.watched);
        if let Some(seen) = shown {
            self.bounds = seen.bounds;
            self.shown = frame.watched;
            self.shown_at = frame.at;
        }
        let last = self.looks.back_mut();
        if let Some(last) = last
            && frame.watched - last.watched < LOOK_EVERY_S - JITTER_S
        {
            // The same look, if it did not show it yet.
            last.seen = last.seen.or(shown);
            last.by |= by;
            return;
        }
        self.looks.push_back(Look {
            watched: frame.watched,
            seen: shown,
            by,
        });
        self.forget_old_looks();
    }

    /// The same of a frame that has passed: its look takes its place among the others.
    fn look_back(&mut self, frame: &FrameView<'_>, shown: Option<Seen>, by: LookedBy) {
        if self.onset.time > frame.at.time {
            return;
        }
        if let Some(seen) = shown.filter(|_| frame.watched >= self.shown) {
            self.bounds = seen.bounds;
            self.shown = frame.watched;
            self.shown_at = frame.at;
        }
        let is_near = |look: &Look| (look.watched - frame.watched).abs() < LOOK_EVERY_S - JITTER_S;
        if let Some(same) = self.looks.iter_mut().find(|look| is_near(look)) {
            same.seen = same.seen.or(shown);
            same.by |= by;
            return;
        }
        let watched = frame.watched;
        let place = self.looks.partition_point(|look| look.watched <= watched);
        self.looks.insert(
            place,
            Look {
                watched,
                seen: shown,
                by,
            },
        );
        self.forget_old_looks();
    }

    fn measure(&self) -> Measured {
        let looks: Vec<&Look> = self.looks.iter().collect();
        let share = |looks: &[&Look]| {
            let seen = looks.iter().filter(|look| look.seen.is_some()).count();
            seen as f64 / (looks.len() as f64).max(1.0)
        };
        let (early, late) = looks.split_at(looks.len() / 2);
        let seen: Vec<(f64, Seen)> = looks
            .iter()
            .filter_map(|look| Some((look.watched, look.seen?)))
            .collect();
        let lasts = match (seen.first(), seen.last()) {
            (Some((first, _)), Some((last, _))) => last - first,
            _ => 0.0,
        };
        let boxes = || seen.iter().filter(|(_, seen)| !seen.is_label);
        let sizes: Vec<f64> = boxes().map(|(_, seen)| seen.size()).collect();
        let labels: Vec<f64> = seen.iter().map(|(_, seen)| seen.size()).collect();
        let (growth, size) = match thirds(&sizes) {
            Some((first, last)) => (Some(100.0 * (last / first.max(1e-9) - 1.0)), last),
            // A classifier does not say how large it is.
            None => (None, thirds(&labels).map_or(0.0, |(_, last)| last)),
        };
        Measured {
            lasts,
            seen: share(early).min(share(late)),
            looks: seen.len() as f64,
            growth,
            size,
        }
    }
}

/// The means of the first and the last third: boxes of fire flicker. `None` of nothing.
fn thirds(sizes: &[f64]) -> Option<(f64, f64)> {
    let third = sizes.len().div_ceil(3);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    (third > 0).then(|| (mean(&sizes[..third]), mean(&sizes[sizes.len() - third..])))
}

fn is_same(one: &NormBox, other: &NormBox, aspect: f64) -> bool {
    let (a, b) = (IsoBox::new(one, aspect), IsoBox::new(other, aspect));
    let smaller = (a.width * a.height).min(b.width * b.height);
    a.overlap(&b) >= SAME_PLACE * smaller
}

/// The box around two boxes.
fn around(a: &NormBox, b: &NormBox) -> NormBox {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    NormBox {
        x,
        y,
        width: a.right().max(b.right()) - x,
        height: a.bottom().max(b.bottom()) - y,
    }
}

impl Rule for Plumes {
    fn place(&self) -> Option<&ZoneId> {
        match self.zones.as_slice() {
            [one] => Some(&one.id),
            _ => None,
        }
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        // Of a detector that knows no fire, a frame without fire is no look.
        let waits = frame.waits_for_second_look(self.class, None);
        if waits {
            for plume in &mut self.list {
                plume.forget_after(frame.watched);
            }
        } else {
            self.take(frame, None);
            self.decide(frame, report);
        }
        // What was never an event is forgotten soon, so that its share is of its own time.
        let clear_after_s = self.clear_after_s;
        self.list.retain_mut(|plume| {
            let unseen_s = plume.case.as_ref().map_or(UNSEEN_S, |_| clear_after_s);
            let is_over = if waits {
                plume.is_over_by_answers(frame.watched, unseen_s)
            } else {
                plume.is_over(frame.watched, unseen_s)
            };
            if is_over {
                match plume.case.take() {
                    Some(case) => {
                        let seen_at = plume.shown_at.time;
                        case.close(seen_at, EndReason::Cleared, BTreeMap::new(), report);
                    }
                    None => report.tell_near_miss(plume.subject),
                }
            }
            !is_over
        });
    }

    fn second_look(
        &mut self,
        then: &FrameView<'_>,
        looked: &Looked<'_>,
        report: &mut Reporter<'_>,
    ) {
        if looked.user.is_none() && looked.gives.contains(&self.class) {
            self.take(then, Some(looked.by));
            self.decide(then, report);
        }
    }

    /// Smoke that fills the picture is what blocks and blurs it, and a fire at night is
    /// found in a dark one: none of these switches the rule off. Where the camera looks
    /// matters to zones only. A picture that stands still, or is none, shows nothing.
    fn is_suspended_by(&self, condition: Condition) -> bool {
        match condition {
            Condition::Well | Condition::Blocked | Condition::Defocused | Condition::Dark => false,
            Condition::Moved | Condition::Unknown => !self.zones.is_empty(),
            Condition::Frozen | Condition::Lost | Condition::Corrupt => true,
        }
    }

    /// It looks on, but nobody vouches that it would have found anything.
    fn blind(&self, frame: &FrameView<'_>) -> Option<Unwatched> {
        let condition = frame.health.condition;
        matches!(
            condition,
            Condition::Blocked | Condition::Defocused | Condition::Dark
        )
        .then(|| condition.into())
    }

    fn forget(&mut self, _track: TrackId, _report: &mut Reporter<'_>) {}

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        self.first_rank = self.first_rank.wrapping_add(MOST_PLUMES);
        for plume in std::mem::take(&mut self.list) {
            if let Some(case) = plume.case {
                case.close(plume.shown_at.time, reason, BTreeMap::new(), report);
            }
        }
    }

    fn remembered(&self) -> usize {
        self.list.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}
