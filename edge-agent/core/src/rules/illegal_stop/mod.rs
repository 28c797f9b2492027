#![doc = include_str!("README.md")]

use protocol::event::Severity;

use super::RuleEntry;
use super::standing::{forbidden, read_forbidden};

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
    params: &forbidden(60.0),
    read: read_forbidden,
};

#[cfg(test)]
mod tests;
