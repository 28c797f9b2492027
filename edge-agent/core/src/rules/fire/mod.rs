#![doc = include_str!("README.md")]

use protocol::ObjectClass;
use protocol::event::Severity;

use super::plume::Plumes;
use super::{Form, Param, RuleEntry};

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
    params: &[
        Param::new(
            "zones",
            Form::Zones,
            "where; the whole picture when it is left out",
        ),
        Param::number(
            "min_duration_s",
            (5.0, "s"),
            (1.0, 20.0),
            "for how long it must have been seen",
        ),
        Param::number(
            "min_growth_pct",
            (20.0, "%"),
            (0.0, 1_000.0),
            "by how much it must have grown since then",
        ),
        Param::number(
            "min_size_pct",
            (0.05, "% of the picture"),
            (0.001, 100.0),
            "smaller detections are not looked at",
        ),
        Param::number(
            "clear_after_s",
            (15.0, "s"),
            (2.0, 3_600.0),
            "it is over when it was not seen for this long",
        ),
    ],
    read: |params| Plumes::read(params, ObjectClass::Fire),
};

#[cfg(test)]
mod tests;
