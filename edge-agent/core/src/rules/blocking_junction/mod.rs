#![doc = include_str!("README.md")]

use protocol::event::Severity;

use super::params::MOTOR_VEHICLES;
use super::standing::{Excuse, RADIUS, Watch};
use super::{Form, Param, Params, Rule, RuleEntry};
use crate::observation::Length;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "blocking_junction",
    title: ("Dừng xe chắn giao lộ", "Blocking the junction"),
    summary: (
        "Xe đứng yên trong giao lộ khi hướng cắt ngang có đèn xanh",
        "A vehicle stands in the junction while cross traffic has green",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "the box of the junction"),
        Param::new("signal", Form::Signal, "signal of the cross traffic"),
        Param::number(
            "min_dwell_s",
            (5.0, "s"),
            (1.0, 3_600.0),
            "how long it must have been seen to stand during the cross traffic's green",
        ),
        Param::number(
            "edge_m",
            (5.0, "m"),
            (0.0, 50.0),
            "so far beyond the edge of the box who was in it is still in the way (calibrated cameras)",
        ),
        Param::number(
            "edge_heights",
            (1.0, "box heights"),
            (0.0, 10.0),
            "the same without calibration",
        ),
        RADIUS[0],
        RADIUS[1],
        RADIUS[2],
        RADIUS[3],
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let watch = Watch::read(params, None);
    let signal = params.signal("signal");
    let beyond = Length {
        metres: params.number("edge_m"),
        heights: params.number("edge_heights"),
    };
    let mut watch = watch?;
    watch.excuse = Excuse::NoCrossTraffic(signal?);
    watch.beyond = Some(beyond);
    Some(Box::new(watch))
}

#[cfg(test)]
mod tests;
