#![doc = include_str!("README.md")]

use protocol::event::Severity;

use super::params::MOTOR_VEHICLES;
use super::standing::{EXEMPT, Excuse, Exempt, RADIUS, Watch, queue_param};
use super::{Form, Param, Params, Rule, RuleEntry};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "illegal_stop",
    title: ("Dừng xe nơi cấm", "Illegal stop"),
    summary: (
        "Xe dừng ở nơi cấm dừng",
        "A vehicle stops where stopping is forbidden",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where it is forbidden"),
        Param::number(
            "min_dwell_s",
            (60.0, "s"),
            (1.0, 86_400.0),
            "how long it must have been seen to stand",
        ),
        EXEMPT[0],
        EXEMPT[1],
        RADIUS[0],
        RADIUS[1],
        RADIUS[2],
        RADIUS[3],
        queue_param(300.0),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let watch = Watch::read(params, None);
    let exempt = Exempt::read(params);
    let excuse = Excuse::Queue(params.number("queue_excuses_s"));
    let mut watch = watch?;
    watch.exempt = exempt?;
    watch.excuse = excuse;
    Some(Box::new(watch))
}

#[cfg(test)]
mod tests;
