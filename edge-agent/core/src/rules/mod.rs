//! What is watched for. A rule is one folder here and one line in `CATALOGUE`.
//!
//! A rule sees [`FrameView`]s and reports through a [`Reporter`]; it knows
//! nothing of boxes, brokers or other rules. It is silent where it cannot
//! know: no rule fires on an unknown signal, on time that nobody watched, or
//! on a track's first moments. How to add one: `docs/design/rules.md`.

mod ballot;
mod case;
mod episode;
pub mod explain;
mod groups;
mod lane;
mod members;
mod pace;
mod params;
mod plume;
mod presence;
mod red_crossing;
mod standing;
mod stretch;

mod kinds;

mod abreast;
mod animal;
mod blocking_junction;
mod camera_condition;
mod congestion;
mod crash;
mod crowd;
mod custom;
mod debris;
mod emergency_lane;
mod fire;
mod illegal_parking;
mod illegal_stop;
mod illegal_turn;
mod illegal_uturn;
mod intrusion;
mod loitering;
mod no_entry;
mod no_helmet;
mod overtaking;
mod pedestrian_crossing;
mod pedestrian_on_carriageway;
mod phone_use;
mod plate_obscured;
mod queue;
mod red_light;
mod reversing;
mod riders;
mod seat_belt;
mod sidewalk_driving;
mod smoke;
mod solid_line;
mod speeding;
mod stop_line;
mod stopped_vehicle;
mod wrong_lane;
mod wrong_way;

use std::fmt::Debug;

use protocol::event::{FrameTime, Severity, Words};
use protocol::{ObjectClass, RuleId, TrackId, ZoneId};

pub use custom::{Fact, Sort, Subject, facts, facts_table};
pub use groups::RuleGroup;
pub use kinds::unknown_kind;

pub use case::{Case, EndReason, Onset, Reporter};
pub use params::{Form, Param, Params, Places};

use crate::config::{RuleConfig, Section, StopLine};
use crate::coverage::Unwatched;
use crate::health::{Condition, Health};
use crate::input::Gap;
use crate::observation::{FrameView, Observation, Sight};
use crate::schedule::Schedule;
use crate::second_look::LookedBy;

/// Every kind of rule, in alphabetical order.
static CATALOGUE: &[RuleEntry] = &[
    abreast::ENTRY,
    animal::ENTRY,
    blocking_junction::ENTRY,
    camera_condition::BLOCKED,
    camera_condition::DARK,
    camera_condition::DEFOCUSED,
    camera_condition::FROZEN,
    camera_condition::LOST,
    camera_condition::MOVED,
    congestion::ENTRY,
    crash::ENTRY,
    crowd::ENTRY,
    custom::ENTRY,
    debris::ENTRY,
    emergency_lane::ENTRY,
    fire::ENTRY,
    illegal_parking::ENTRY,
    illegal_stop::ENTRY,
    illegal_turn::ENTRY,
    illegal_uturn::ENTRY,
    intrusion::ENTRY,
    loitering::ENTRY,
    no_entry::ENTRY,
    no_helmet::ENTRY,
    overtaking::ENTRY,
    pedestrian_crossing::ENTRY,
    pedestrian_on_carriageway::ENTRY,
    phone_use::ENTRY,
    plate_obscured::ENTRY,
    queue::ENTRY,
    red_light::ENTRY,
    reversing::ENTRY,
    riders::THREE_PLUS,
    riders::TWO,
    seat_belt::ENTRY,
    sidewalk_driving::ENTRY,
    smoke::ENTRY,
    solid_line::ENTRY,
    speeding::ENTRY,
    stop_line::ENTRY,
    stopped_vehicle::ENTRY,
    wrong_lane::ENTRY,
    wrong_way::ENTRY,
    wrong_way::DRIVER,
];

/// Every kind of rule that a configuration may ask for.
pub fn catalogue() -> &'static [RuleEntry] {
    CATALOGUE
}

/// A kind of rule.
#[derive(Clone, Copy, Debug)]
pub struct RuleEntry {
    /// The word in configuration and on events.
    pub kind: &'static str,
    /// What its events are called, in Vietnamese and English.
    pub title: (&'static str, &'static str),
    /// What it watches for, in Vietnamese and English.
    pub summary: (&'static str, &'static str),
    /// How much its events matter when the configuration does not say.
    pub severity: Severity,
    /// What it sees, what it needs and how it errs: the `README.md` of its folder.
    pub guide: &'static str,
    /// Classes that it cannot do without and that the usual detector of road
    /// users does not give; `check` says which model would.
    pub needs: &'static [ObjectClass],
    /// Its keys, besides `id`, `kind`, `title`, `severity`, `hours` and `days`.
    pub params: &'static [Param],
    /// Reads its keys; `None` when one of them is faulty.
    read: fn(&mut Params<'_, '_>) -> Option<Box<dyn Rule>>,
}

/// What a rule's measurements are good for, in words, or why it cannot measure
/// and what to do about that.
pub type Outlook = Result<String, String>;

/// At whom a second look was, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    /// The road user; of a rider the machine. `None`: the whole picture.
    pub user: Option<TrackId>,
    /// What it could have shown.
    pub gives: &'a [ObjectClass],
    /// Which models took it.
    pub by: LookedBy,
}

impl Looked<'_> {
    /// The road user of a look that could have shown one of `classes`.
    pub fn user<'f>(
        &self,
        then: &FrameView<'f>,
        classes: &[ObjectClass],
    ) -> Option<&'f Observation> {
        let is_meant = self.gives.iter().any(|given| classes.contains(given));
        then.find(self.user.filter(|_| is_meant)?)
    }
}

/// A rule at work on one camera.
pub trait Rule: Debug + Send + Sync {
    /// The zone or line that it watches.
    fn place(&self) -> Option<&ZoneId>;

    /// A frame was looked at.
    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>);

    /// Another model has looked at somebody in a frame that has passed. `then`
    /// is that frame as it was, with all that is known of it by now. What was
    /// seen there counts there, and once.
    fn second_look(
        &mut self,
        _then: &FrameView<'_>,
        _looked: &Looked<'_>,
        _report: &mut Reporter<'_>,
    ) {
    }

    /// The condition of the picture was told, or time passed without a frame:
    /// for rules about the camera itself, which must work when no frame comes.
    /// `now` is the last frame at the present instant.
    fn health(&mut self, _health: &Health, _now: FrameTime, _report: &mut Reporter<'_>) {}

    /// A stretch of time turned out to be unwatched. [`FrameView::watched`] has
    /// taken back what was counted of it; a rule that remembers where somebody
    /// was in a frozen picture forgets that.
    fn interrupt(&mut self, _gap: &Gap) {}

    /// A track was given up, before the frame at which that was found. Its id never comes back.
    fn forget(&mut self, track: TrackId, report: &mut Reporter<'_>);

    /// Nothing will follow on what was seen so far: the stream ended or its
    /// clock was set back. Whatever goes on ends, and the rule is as new.
    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>);

    /// Why it could not have found anything at this frame, for coverage: the
    /// signal is unknown, there is no calibration …
    fn blind(&self, _frame: &FrameView<'_>) -> Option<Unwatched> {
        None
    }

    /// Of whom it can find something, where that cannot be chosen with `classes`.
    fn about(&self) -> &'static [ObjectClass] {
        &[]
    }

    /// Whether a condition of the picture switches it off. Who judges by places is
    /// suspended while the picture is not well; rules about the camera itself are not.
    /// What a rule is to find must never be what switches it off.
    fn is_suspended_by(&self, condition: Condition) -> bool {
        !condition.is_well()
    }

    /// How many things it remembers, for the test that this stays bounded.
    fn remembered(&self) -> usize;

    /// What its measurements are good for with this camera's calibration, or
    /// why it cannot measure and what to do about that; `None` for a rule
    /// that does not depend on it.
    fn outlook(&self, _sight: &Sight<'_>) -> Option<Outlook> {
        None
    }

    /// A copy. `Clone` cannot be asked of a `dyn Rule`.
    fn boxed(&self) -> Box<dyn Rule>;
}

impl Clone for Box<dyn Rule> {
    fn clone(&self) -> Self {
        self.as_ref().boxed()
    }
}

/// Reads one `[[rule]]`.
pub(crate) fn read(section: &mut Section<'_>, places: &Places<'_>) -> Option<RuleConfig> {
    let before = section.fault_count();
    let id: Option<RuleId> = section.name("id", "no-stopping");
    let kind = section.required_text("kind", "stopped_vehicle");
    let Some(entry) = kind.and_then(|kind| CATALOGUE.iter().find(|entry| entry.kind == kind))
    else {
        if let Some(kind) = kind {
            section.fault("kind", unknown_kind(kind));
        }
        section.ignore_the_rest();
        return None;
    };
    let title = params::title(section, entry.title);
    let severity = params::severity(section, entry.severity);
    let schedule = Schedule::read(section, places.utc_offset_min);
    let mut params = Params::new(section, entry.params, places);
    let rule = (entry.read)(&mut params);
    let decided_after_s = params::decided_after_s(section, entry.params);
    let (id, rule) = (id?, rule?);
    if section.fault_count() > before {
        return None;
    }
    let about = match rule.about() {
        [] => params::about(section, entry.params),
        about => about.to_vec(),
    };
    Some(RuleConfig {
        id,
        kind: entry.kind,
        title,
        severity,
        place: rule.place().cloned(),
        needs: entry.needs,
        about,
        decided_after_s,
        schedule,
        rule,
    })
}

/// The keys of an `[[approach]]`.
const APPROACH: &[Param] = &[
    Param::new("line", Form::Line, "the stop line"),
    Param::new("signal", Form::Signal, "what vehicles before it wait for"),
];

/// Reads one `[[approach]]`.
pub(crate) fn approach(section: &mut Section<'_>, places: &Places<'_>) -> Option<StopLine> {
    let mut params = Params::new(section, APPROACH, places);
    let line = params.line("line");
    let signal = params.signal("signal");
    Some(StopLine {
        line: line?,
        signal: signal?,
    })
}

/// The stop line of a rule that names a line and a signal, if both were understood.
pub(crate) fn stop_line(section: &mut Section<'_>, places: &Places<'_>) -> Option<StopLine> {
    let (line, signal) = (section.peek("line")?, section.peek("signal")?);
    Some(StopLine {
        line: places.lines.iter().find(|l| l.id.as_str() == line)?.clone(),
        signal: places
            .signals
            .iter()
            .find(|s| s.group.as_str() == signal)?
            .group
            .clone(),
    })
}

/// Words from a pair of constants.
pub(crate) fn words((vi, en): (&str, &str)) -> Words {
    Words::new(vi, en)
}

#[cfg(test)]
pub(crate) mod testing;
