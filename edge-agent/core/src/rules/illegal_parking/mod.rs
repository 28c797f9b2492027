#![doc = include_str!("README.md")]

use protocol::event::Severity;

use super::RuleEntry;
use super::standing::{forbidden, read_forbidden};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "illegal_parking",
    title: ("Đỗ xe nơi cấm", "Illegal parking"),
    summary: (
        "Xe đỗ ở nơi cấm đỗ",
        "A vehicle is parked where parking is forbidden",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[],
    params: &forbidden(300.0),
    read: read_forbidden,
};

#[cfg(test)]
mod tests;
