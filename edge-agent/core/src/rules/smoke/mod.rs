#![doc = include_str!("README.md")]

use protocol::ObjectClass;
use protocol::event::Severity;

use super::RuleEntry;
use super::plume::{PARAMS, Plumes};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "smoke",
    title: ("Khói", "Smoke"),
    summary: (
        "Khói nhìn thấy liên tục và lớn dần",
        "Smoke that is seen for long and grows",
    ),
    severity: Severity::Critical,
    guide: include_str!("README.md"),
    needs: &[ObjectClass::Smoke],
    params: &PARAMS,
    read: |params| Plumes::read(params, ObjectClass::Smoke),
};

#[cfg(test)]
mod tests;
