//! The rules of a scene, and what they report by.
//!
//! Here a rule gets its [`Reporter`], whatever it hears of: a frame, an answer of a second look,
//! an hour that is over. Apart from the rest of the scene, which a rule is shown meanwhile.

use protocol::TimeQuality;

use super::Identity;
use crate::config::RuleConfig;
use crate::input::{Gap, Output};
use crate::near_miss::NearMisses;
use crate::rules::{Reporter, Rule};
use crate::second_look::LookerBook;

/// All rules of a camera, in the order of its configuration.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    all: Vec<Box<dyn Rule>>,
    pub(super) identity: Identity,
    pub(super) time_quality: TimeQuality,
    /// Where near misses are asked for.
    pub(super) near: Option<NearMisses>,
    /// Whose answers were heard.
    pub(super) lookers: LookerBook,
}

impl Rules {
    /// As configured; they have seen nothing yet.
    pub(super) fn new(identity: Identity, configs: &[RuleConfig]) -> Self {
        Self {
            all: configs.iter().map(|config| config.rule.clone()).collect(),
            identity,
            time_quality: TimeQuality::Unknown,
            near: None,
            lookers: LookerBook::default(),
        }
    }

    /// Lets each rule act, by its own configuration of `configs`.
    pub(super) fn each(
        &mut self,
        configs: &[RuleConfig],
        out: &mut Vec<Output>,
        mut act: impl FnMut(&mut dyn Rule, &mut Reporter<'_>),
    ) {
        for (index, (rule, config)) in self.all.iter_mut().zip(configs).enumerate() {
            let mut report = Reporter {
                identity: &self.identity,
                rule: config,
                time_quality: self.time_quality,
                out,
                index,
                near: self.near.as_mut(),
                lookers: &self.lookers,
            };
            act(rule.as_mut(), &mut report);
        }
    }

    pub(super) fn interrupt(&mut self, gap: &Gap) {
        for rule in &mut self.all {
            rule.interrupt(gap);
        }
    }

    /// How many things they remember.
    pub(super) fn remembered(&self) -> usize {
        self.all.iter().map(|rule| rule.remembered()).sum()
    }
}
