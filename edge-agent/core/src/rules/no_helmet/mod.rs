#![doc = include_str!("README.md")]

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::ballot::{Ballot, Ballots, Look};
use super::explain;
use super::pace::LeastPace;
use super::{EndReason, Form, Looked, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::geometry::IsoBox;
use crate::marks::Mark;
use crate::observation::{FrameView, Observation};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "no_helmet",
    title: ("Không đội mũ bảo hiểm", "No helmet"),
    summary: (
        "Người trên xe máy không đội mũ bảo hiểm trong nhiều lần nhìn thấy",
        "Somebody rides a motorcycle without a helmet, in many looks",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[ObjectClass::NoHelmet],
    params: &[
        Param::number(
            "min_looks",
            (5.0, ""),
            (1.0, 100.0),
            "how many looks must show a bare head …",
        ),
        Param::number(
            "of_looks",
            (7.0, ""),
            (1.0, 240.0),
            "… of so many last ones that showed any head; looks are 0.2 s apart",
        ),
        Param::number(
            "min_head_pct",
            (2.0, "% of the picture's height"),
            (0.1, 50.0),
            "smaller heads are not looked at",
        ),
        Param::number(
            "min_speed_kmh",
            (5.0, "km/h"),
            (0.0, 100.0),
            "who was never faster sits on a parked machine (calibrated cameras)",
        ),
        Param::number(
            "min_speed_heights_per_s",
            (0.4, "box heights per s"),
            (0.0, 50.0),
            "who was never faster sits on a parked machine (without calibration)",
        ),
        Param::new(
            "classes",
            Form::Classes(&[ObjectClass::Motorcycle]),
            "which two-wheelers",
        ),
    ],
    read,
};

/// A head that is also seen with a helmet, overlapping by this, is not bare.
const SAME_HEAD: f64 = 0.3;

#[derive(Clone, Debug)]
struct NoHelmet {
    min_head_pct: f64,
    least_pace: LeastPace,
    classes: Vec<ObjectClass>,
    ballots: Ballots,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let (min_looks, of_looks) = (params.number("min_looks"), params.number("of_looks"));
    let min_head_pct = params.number("min_head_pct");
    let least_pace = LeastPace::read(params);
    let classes = params.classes("classes");
    Some(Box::new(NoHelmet {
        min_head_pct,
        least_pace,
        classes: classes?,
        ballots: Ballots::new(min_looks, of_looks),
    }))
}

/// The heads that one look showed on a motorcycle.
#[derive(Clone, Copy, Debug, Default)]
struct Heads {
    bare: u8,
    covered: u8,
    /// Of the smallest bare one, % of the picture's height.
    height: f64,
}

impl Heads {
    fn all(self) -> u8 {
        self.bare.saturating_add(self.covered)
    }
}

impl NoHelmet {
    fn heads(&self, user: &Observation, frame: &FrameView<'_>) -> Heads {
        let same = |a: &Mark, b: &Mark| {
            let of = |mark: &Mark| IsoBox::new(&mark.bounds, frame.sight.aspect);
            let is_second = a.is_second || b.is_second;
            // A classifier's box is larger than a head, but it is one person's.
            match (a.person, b.person) {
                (Some(a), Some(b)) if is_second => a == b,
                _ => of(a).iou(&of(b)) >= SAME_HEAD,
            }
        };
        let of = |class| {
            let own = frame.marks_of(user.track);
            own.filter(move |mark| mark.class == class)
        };
        let is_large = |mark: &&Mark| 100.0 * mark.bounds.height >= self.min_head_pct;
        let mut heads = Heads::default();
        let bare = |mark: &&Mark| {
            // Contradicted by a helmet on it, however doubtful; and each head once.
            let has_helmet = of(ObjectClass::Helmet).any(|helmet| same(helmet, mark));
            let first = of(ObjectClass::NoHelmet).find(|other| same(other, mark));
            mark.is_believed && !has_helmet && first == Some(*mark)
        };
        for mark in of(ObjectClass::NoHelmet).filter(is_large).filter(bare) {
            let height = 100.0 * mark.bounds.height;
            heads.height = if heads.bare == 0 {
                height
            } else {
                heads.height.min(height)
            };
            heads.bare = heads.bare.saturating_add(1);
        }
        let covered = of(ObjectClass::Helmet).filter(is_large).count();
        heads.covered = u8::try_from(covered).unwrap_or(u8::MAX);
        heads
    }

    fn concerns(&self, user: &Observation) -> bool {
        self.classes.contains(&user.class)
    }

    fn look(&self, user: &Observation, frame: &FrameView<'_>) -> (Heads, Option<Look>) {
        let heads = self.heads(user, frame);
        let look = (heads.all() > 0).then_some(Look {
            at: frame.at,
            watched: frame.watched,
            accuses: heads.bare > 0,
            height: heads.height,
            count: heads.bare,
        });
        (heads, look)
    }

    fn decide(
        &mut self,
        heads: Heads,
        user: &Observation,
        frame: &FrameView<'_>,
        report: &mut Reporter<'_>,
    ) {
        let Some(ballot) = self.ballots.of(user.track) else {
            return;
        };
        let onset = self.judge(ballot, heads, user, frame);
        if report.decide(onset).is_some() {
            self.ballots.mark_raised(user.track);
        }
    }

    fn judge(
        &self,
        ballot: &Ballot,
        heads: Heads,
        user: &Observation,
        frame: &FrameView<'_>,
    ) -> Onset {
        let span = ballot.span(frame.at);
        let mut explanation = vec![
            self.ballots
                .explain(ballot, frame.at, ("đầu trần", "a bare head")),
            explain::number(
                explain::name(
                    "head_height",
                    "Chiều cao đầu trong ảnh (trung vị)",
                    "Height of the head in the picture (median)",
                ),
                (
                    ballot.median(|look| look.height),
                    Comparison::AtLeast,
                    self.min_head_pct,
                ),
                "%",
                span,
            ),
            self.least_pace.explain(ballot.fastest, span),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let bare = ballot.median(|look| f64::from(look.count));
        let mut facts = explain::facts([
            ("class", user.class.as_str().into()),
            ("bare_heads", bare.into()),
            ("heads", f64::from(heads.all()).into()),
            ("riders", f64::from(user.riders.count).into()),
        ]);
        if heads.all() > 1 || user.riders.count > 1 {
            facts.insert(
                "review".to_owned(),
                "the bare head may be a passenger under 6, who is exempt".into(),
            );
        }
        let riders = frame.users.iter().filter(|u| u.mount == Some(user.track));
        Onset {
            subject: user.track,
            onset: span.first.time,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: std::iter::once(user)
                .chain(riders)
                .map(|one| frame.actor(one))
                .collect(),
            facts,
            explanation,
            evidence: std::iter::once(span.first)
                .chain(ballot.best().map(|look| look.at))
                .collect(),
        }
    }
}

impl Rule for NoHelmet {
    fn place(&self) -> Option<&ZoneId> {
        None
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        for user in frame.users {
            if !self.concerns(user) {
                continue;
            }
            let (heads, look) = self.look(user, frame);
            let wants = report.wants_near_misses();
            if self.ballots.cast(user, frame.watched, look, wants) {
                self.decide(heads, user, frame, report);
            }
        }
    }

    fn second_look(
        &mut self,
        then: &FrameView<'_>,
        looked: &Looked<'_>,
        report: &mut Reporter<'_>,
    ) {
        let heads = [ObjectClass::Helmet, ObjectClass::NoHelmet];
        let user = looked.user(then, &heads);
        if let Some(user) = user.filter(|user| self.concerns(user)) {
            let (heads, look) = self.look(user, then);
            if (self.ballots).recast(user, look, report.wants_near_misses()) {
                self.decide(heads, user, then, report);
            }
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.ballots.forget(track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.ballots.clear();
    }

    fn remembered(&self) -> usize {
        self.ballots.remembered()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
