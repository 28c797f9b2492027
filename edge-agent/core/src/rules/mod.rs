//! What is watched for. A rule is one folder here and one line in `CATALOGUE`.
//!
//! A rule sees [`FrameView`]s and reports through a [`Reporter`]; it knows
//! nothing of boxes, brokers or other rules. It is silent where it cannot
//! know: no rule fires on an unknown signal, on time that nobody watched, or
//! on a track's first moments. How to add one: `docs/design/rules.md`.

mod case;
pub mod explain;
mod params;
mod presence;

mod loitering;
mod pedestrian_on_carriageway;
mod red_light;
mod speeding;
mod stopped_vehicle;
mod wrong_way;

use std::fmt::Debug;

use protocol::event::{Severity, Words};
use protocol::{RuleId, TrackId, ZoneId};

pub use case::{Case, EndReason, Onset, Reporter};
pub use params::{Form, Param, Params, Places};

use crate::config::{RuleConfig, Section};
use crate::input::Gap;
use crate::observation::{FrameView, Sight};

/// Every kind of rule, in alphabetical order.
static CATALOGUE: &[RuleEntry] = &[
    loitering::ENTRY,
    pedestrian_on_carriageway::ENTRY,
    red_light::ENTRY,
    speeding::ENTRY,
    stopped_vehicle::ENTRY,
    wrong_way::ENTRY,
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
    /// Its keys, besides `id`, `kind`, `title` and `severity`.
    pub params: &'static [Param],
    /// Reads its keys; `None` when one of them is faulty.
    read: fn(&mut Params<'_, '_>) -> Option<Box<dyn Rule>>,
}

/// What a rule's measurements are good for, in words, or why it cannot measure
/// and what to do about that.
pub type Outlook = Result<String, String>;

/// A rule at work on one camera.
pub trait Rule: Debug + Send + Sync {
    /// The zone or line that it watches.
    fn place(&self) -> Option<&ZoneId>;

    /// A frame was looked at.
    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>);

    /// A stretch of time turned out to be unwatched. [`FrameView::watched`] has
    /// taken back what was counted of it; a rule that remembers where somebody
    /// was in a frozen picture forgets that.
    fn interrupt(&mut self, _gap: &Gap) {}

    /// A track was given up, before the frame at which that was found. Its id never comes back.
    fn forget(&mut self, track: TrackId, report: &mut Reporter<'_>);

    /// Nothing will follow on what was seen so far: the stream ended or its
    /// clock was set back. Whatever goes on ends, and the rule is as new.
    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>);

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
    let kinds: Vec<&str> = CATALOGUE.iter().map(|entry| entry.kind).collect();
    let kind = section.required_text("kind", "stopped_vehicle");
    let Some(entry) = kind.and_then(|kind| CATALOGUE.iter().find(|entry| entry.kind == kind))
    else {
        if let Some(kind) = kind {
            section.fault("kind", params::unknown("kind of rule", kind, &kinds));
        }
        section.ignore_the_rest();
        return None;
    };
    let title = params::title(section, entry.title);
    let severity = params::severity(section, entry.severity);
    let mut params = Params::new(section, entry.params, places);
    let rule = (entry.read)(&mut params);
    let (id, rule) = (id?, rule?);
    if section.fault_count() > before {
        return None;
    }
    Some(RuleConfig {
        id,
        kind: entry.kind,
        title,
        severity,
        place: rule.place().cloned(),
        rule,
    })
}

/// Words from a pair of constants.
pub(crate) fn words((vi, en): (&str, &str)) -> Words {
    Words::new(vi, en)
}

#[cfg(test)]
mod testing;
