#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, FrameTime, Severity, Value};
use protocol::{EventTime, Predicate, TrackId, ZoneId};

use super::explain::{self, Span};
use super::{Case, EndReason, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::health::{Condition, Health};
use crate::observation::FrameView;

const fn entry(
    kind: &'static str,
    title: (&'static str, &'static str),
    summary: (&'static str, &'static str),
    params: &'static [Param],
    read: fn(&mut Params<'_, '_>) -> Option<Box<dyn Rule>>,
) -> RuleEntry {
    RuleEntry {
        kind,
        title,
        summary,
        severity: Severity::Major,
        guide: include_str!("README.md"),
        needs: &[],
        params,
        read,
    }
}

const fn lasting(default_s: f64) -> [Param; 1] {
    [Param::number(
        "min_duration_s",
        (default_s, "s"),
        (0.0, 86_400.0),
        "for how long it must have been so",
    )]
}

/// The picture's watch has waited already.
const AT_ONCE: &[Param] = &lasting(0.0);
/// A stream that comes back by itself is nobody's work.
const AFTER_RETRIES: &[Param] = &lasting(30.0);

pub(super) const BLOCKED: RuleEntry = entry(
    "camera_blocked",
    ("Máy ảnh bị che", "Camera blocked"),
    (
        "Vật gì đó che phần lớn hình ảnh",
        "Something covers most of the picture",
    ),
    AT_ONCE,
    |params| read(params, Condition::Blocked),
);

pub(super) const DARK: RuleEntry = entry(
    "camera_dark",
    ("Hình ảnh quá tối", "Camera dark"),
    (
        "Hình ảnh quá tối để thấy được gì",
        "The picture is too dark to see anything",
    ),
    AT_ONCE,
    |params| read(params, Condition::Dark),
);

pub(super) const DEFOCUSED: RuleEntry = entry(
    "camera_defocused",
    ("Hình ảnh bị mờ", "Camera out of focus"),
    (
        "Hình ảnh không nét: bụi bẩn, nước mưa hoặc sai tiêu cự",
        "The picture is not sharp: dirt, rain on the glass, focus",
    ),
    AT_ONCE,
    |params| read(params, Condition::Defocused),
);

pub(super) const FROZEN: RuleEntry = entry(
    "camera_frozen",
    ("Hình ảnh đứng yên", "Camera frozen"),
    (
        "Cùng một hình ảnh lặp đi lặp lại",
        "The same picture comes again and again",
    ),
    AT_ONCE,
    |params| read(params, Condition::Frozen),
);

pub(super) const LOST: RuleEntry = entry(
    "camera_lost",
    ("Mất tín hiệu máy ảnh", "Camera lost"),
    (
        "Không có hình ảnh, hoặc chỉ có hình hỏng",
        "There is no picture, or only damaged ones",
    ),
    AFTER_RETRIES,
    |params| read(params, Condition::Lost),
);

pub(super) const MOVED: RuleEntry = entry(
    "camera_moved",
    ("Máy ảnh bị xoay", "Camera moved"),
    (
        "Máy ảnh nhìn hướng khác so với lúc vẽ vùng",
        "The camera looks elsewhere than when its zones were drawn",
    ),
    AT_ONCE,
    |params| read(params, Condition::Moved),
);

#[derive(Clone, Debug)]
struct CameraCondition {
    condition: Condition,
    min_duration_s: f64,
    case: Option<Told>,
    /// Since when it has been what this rule watches for, and since when the condition that it is
    /// now: more than one may be that.
    spells: Option<(Spell, Spell)>,
    /// The last instant heard of.
    heard: Option<EventTime>,
    /// When the last event ended otherwise than by recovery. What goes on then
    /// is a new event, which needs an onset of its own.
    cut_off: Option<EventTime>,
}

/// One condition goes over into another where that begins so soon after the last word of the first,
/// s: of a camera that was unheard of for longer, as outside the hours of the rule, nobody knows
/// whether it was well meanwhile.
const UNHEARD_S: f64 = 60.0;

/// A condition that lasts.
#[derive(Clone, Copy, Debug)]
struct Spell {
    condition: Condition,
    since: EventTime,
    /// The last frame before it was heard of.
    frame: u64,
}

/// An event that is not over, and what it says the condition is.
#[derive(Clone, Debug)]
struct Told {
    case: Case,
    condition: Condition,
}

#[allow(clippy::unnecessary_wraps)] // as every rule is read
fn read(params: &mut Params<'_, '_>, condition: Condition) -> Option<Box<dyn Rule>> {
    Some(Box::new(CameraCondition {
        condition,
        min_duration_s: params.number("min_duration_s"),
        case: None,
        spells: None,
        heard: None,
        cut_off: None,
    }))
}

impl CameraCondition {
    /// Whether it is what this rule watches for. Of a camera that gives damaged pictures only
    /// nothing is seen, as of one that gives none.
    fn is_it(&self, condition: Condition) -> bool {
        condition == self.condition
            || (self.condition == Condition::Lost && condition == Condition::Corrupt)
    }

    fn hear(&mut self, health: &Health, now: FrameTime, report: &mut Reporter<'_>) {
        let before = self.heard.replace(now.time);
        if !self.is_it(health.condition) {
            if let Some(Told { case, .. }) = self.case.take() {
                // The new condition's onset, unless the clock leapt; or now, where the picture is
                // again what it was before: whatever the stream does, that began long ago.
                let lasted = self.spells.map(|(_, goes_on)| goes_on.since);
                let is_new = lasted.is_none_or(|since| health.since > since);
                let ended = if is_new { health.since } else { now.time }.min(now.time);
                case.close(ended, EndReason::Cleared, BTreeMap::new(), report);
            }
            (self.cut_off, self.spells) = (None, None);
            return;
        }
        let heard = Spell {
            condition: health.condition,
            since: health.since,
            frame: now.frame,
        };
        let goes_over = before.is_some_and(|before| heard.since.since(before).0 <= UNHEARD_S);
        let (began, goes_on) = self.spells.map_or((heard, heard), |(began, goes_on)| {
            if goes_on.condition != heard.condition && goes_over {
                // Damaged first, and then lost: the camera has been of no use since the former.
                let since = began.since.min(heard.since);
                (Spell { since, ..began }, heard)
            } else if (goes_on.condition, goes_on.since) == (heard.condition, heard.since) {
                (began, goes_on)
            } else {
                // It was well meanwhile, and that was outside the hours of the rule.
                (heard, heard)
            }
        });
        self.spells = Some((began, goes_on));
        if let Some(told) = &mut self.case {
            let lasts = now.time.since(goes_on.since).0;
            if told.condition != health.condition && lasts >= self.min_duration_s {
                // Whoever mends it looks elsewhere for the one than for the other.
                told.condition = health.condition;
                told.case.update(facts(health), report);
            }
            return;
        }
        let since = self
            .cut_off
            .filter(|cut| *cut < now.time)
            .map_or(began.since, |cut| {
                began
                    .since
                    .max(EventTime::from_micros(cut.as_micros().saturating_add(1)))
            });
        if since > now.time {
            return;
        }
        let lasts = now.time.since(since).0;
        if lasts < self.min_duration_s {
            return;
        }
        let first = FrameTime {
            frame: began.frame,
            time: since,
        };
        let turned = FrameTime {
            frame: goes_on.frame,
            time: since.max(goes_on.since),
        };
        let explanation = self.explain(health, (first, turned), now);
        let case = report.decide(Onset {
            // There is no road user: the subject is the instant when it began,
            // and the frame that decided it, because where the clock is set
            // back an instant may come again, an id never.
            subject: TrackId {
                born: since,
                rank: u16::try_from(now.frame % (1 << 16)).unwrap_or_default(),
            },
            onset: since,
            decided: now,
            ended: None,
            actors: Vec::new(),
            facts: facts(health),
            explanation,
            evidence: Vec::new(),
        });
        self.case = case.map(|case| Told {
            case,
            condition: health.condition,
        });
    }

    /// Of no use since `first`, and in this condition since `turned`.
    fn explain(
        &self,
        health: &Health,
        (first, turned): (FrameTime, FrameTime),
        now: FrameTime,
    ) -> Vec<Predicate> {
        let span = Span::new(first, now);
        let mut explanation = vec![
            explain::is(
                explain::name(
                    "condition",
                    "Tình trạng của hình ảnh",
                    "Condition of the picture",
                ),
                health.condition.as_str(),
                health.condition.as_str(),
                Span::new(turned, now),
            ),
            explain::number(
                explain::name("lasts", "Thời gian kéo dài", "For how long"),
                (
                    now.time.since(first.time).0,
                    Comparison::AtLeast,
                    self.min_duration_s,
                ),
                "s",
                span,
            ),
        ];
        if let (Some(value), Some(threshold)) = (health.value, health.threshold) {
            let (name, comparison, unit) = measure(self.condition);
            let measured = explain::number(name, (value, comparison, threshold), unit, span);
            // The watch decides over many pictures; what one of them measured
            // is listed where it says the same.
            explanation.extend(Some(measured).filter(|p| p.holds));
        }
        explanation
    }
}

fn facts(health: &Health) -> BTreeMap<String, Value> {
    let mut facts = explain::facts([("condition", health.condition.as_str().into())]);
    if let Some(value) = health.value {
        facts.insert("value".to_owned(), value.into());
    }
    facts
}

/// What [`Health::value`] is, and on which side of the threshold it was.
fn measure(condition: Condition) -> (explain::Name<'static>, Comparison, &'static str) {
    match condition {
        Condition::Blocked => (
            explain::name(
                "lost_detail",
                "Phần hình ảnh đã mất chi tiết",
                "Part of the picture that lost its detail",
            ),
            Comparison::AtLeast,
            "",
        ),
        Condition::Defocused => (
            explain::name(
                "sharpness",
                "Độ nét so với bình thường",
                "Sharpness relative to the usual",
            ),
            Comparison::AtMost,
            "",
        ),
        Condition::Moved => (
            explain::name(
                "shift",
                "Độ lệch so với hình tham chiếu",
                "Shift against the reference",
            ),
            Comparison::AtLeast,
            "picture heights",
        ),
        Condition::Dark => (
            explain::name(
                "brightness",
                "Độ sáng mà chín phần mười hình ảnh không đạt tới",
                "Brightness that nine tenths of the picture do not reach",
            ),
            Comparison::AtMost,
            "of 255",
        ),
        Condition::Well
        | Condition::Frozen
        | Condition::Lost
        | Condition::Corrupt
        | Condition::Unknown => (
            explain::name("value", "Giá trị đo được", "Measured value"),
            Comparison::AtLeast,
            "s",
        ),
    }
}

impl Rule for CameraCondition {
    fn place(&self) -> Option<&ZoneId> {
        None
    }

    fn is_suspended_by(&self, _condition: Condition) -> bool {
        false
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        self.hear(&frame.health, frame.at, report);
    }

    fn health(&mut self, health: &Health, now: FrameTime, report: &mut Reporter<'_>) {
        self.hear(health, now, report);
    }

    fn forget(&mut self, _track: TrackId, _report: &mut Reporter<'_>) {}

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        if let (Some(Told { case, .. }), Some(now)) = (self.case.take(), self.heard) {
            self.cut_off = Some(now);
            case.close(now, reason, BTreeMap::new(), report);
        }
    }

    fn remembered(&self) -> usize {
        usize::from(self.case.is_some() || self.cut_off.is_some() || self.spells.is_some())
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
