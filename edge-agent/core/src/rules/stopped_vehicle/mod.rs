#![doc = include_str!("README.md")]

use protocol::event::Severity;

use super::params::MOTOR_VEHICLES;
use super::standing::{Excuse, RADIUS, Watch, queue_param};
use super::{Form, Param, Params, Rule, RuleEntry};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "stopped_vehicle",
    title: ("Xe dừng trên làn đường", "Stopped vehicle"),
    summary: (
        "Xe đứng yên trong vùng lâu hơn mức cho phép, kể cả khi bị che khuất một lúc",
        "A vehicle stands still in a zone for longer than allowed, through occlusion",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where"),
        Param::number(
            "min_dwell_s",
            (60.0, "s"),
            (1.0, 86_400.0),
            "how long it must have been seen to stand; 10 suits an expressway, 60 a city lane",
        ),
        RADIUS[0],
        RADIUS[1],
        RADIUS[2],
        RADIUS[3],
        queue_param(3_600.0),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let watch = Watch::read(params, None);
    let excuse = Excuse::Queue(params.number("queue_excuses_s"));
    let mut watch = watch?;
    watch.excuse = excuse;
    Some(Box::new(watch))
}

#[cfg(test)]
mod tests;
