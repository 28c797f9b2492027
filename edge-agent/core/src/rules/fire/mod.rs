#![doc = include_str!("README.md")]

use protocol::ObjectClass;
use protocol::event::Severity;

use super::RuleEntry;
use super::plume::{PARAMS, Plumes};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "fire",
    title: ("Cháy", "Fire"),
    summary: (
        "Lửa nhìn thấy liên tục và lớn dần",
        "Flames that are seen for long and grow",
    ),
    severity: Severity::Critical,
    guide: include_str!("README.md"),
    needs: &[ObjectClass::Fire],
    params: &PARAMS,
    read: |params| Plumes::read(params, ObjectClass::Fire),
};

#[cfg(test)]
mod tests;
