#![doc = include_str!("README.md")]

use protocol::ObjectClass;
use protocol::event::Severity;

use super::standing::{RADIUS, Watch};
use super::{Form, Param, Params, Rule, RuleEntry};

/// What a detector calls a thing for which it has no word.
const UNKNOWN_THINGS: &[ObjectClass] = &[ObjectClass::Other];

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "debris",
    title: ("Vật cản trên đường", "Debris on the road"),
    summary: (
        "Vật lạ nằm yên trên đường, không phải người hay xe",
        "An unknown thing that is no person or vehicle lies on the road",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: UNKNOWN_THINGS,
    params: &[
        Param::new("zone", Form::Zone, "where"),
        Param::number(
            "min_dwell_s",
            (20.0, "s"),
            (1.0, 86_400.0),
            "how long it must have been seen to lie there",
        ),
        RADIUS[0],
        RADIUS[1],
        RADIUS[2],
        RADIUS[3],
    ],
    read,
};

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let watch = Watch::read(params, Some(UNKNOWN_THINGS));
    let mut watch = watch?;
    watch.only_alone = true;
    Some(Box::new(watch))
}

#[cfg(test)]
mod tests;
