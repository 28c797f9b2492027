//! Which rules belong together, for lists that people read.

/// A group of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleGroup {
    /// Somebody broke the law; a person may confirm a case.
    Violations,
    /// Something that somebody should look after now.
    Incidents,
    /// The camera itself.
    Camera,
    /// What the configuration defines.
    Custom,
}

impl RuleGroup {
    /// Every group, in reading order.
    pub const ALL: [Self; 4] = [
        Self::Violations,
        Self::Incidents,
        Self::Camera,
        Self::Custom,
    ];

    /// What it is called, in Vietnamese and English.
    pub const fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Violations => ("Vi phạm", "Violations"),
            Self::Incidents => ("Sự cố và thống kê", "Incidents and statistics"),
            Self::Camera => ("Camera", "The camera itself"),
            Self::Custom => ("Điều kiện riêng", "Conditions of one's own"),
        }
    }
}

/// The kinds that accuse somebody of a violation.
const VIOLATIONS: &[&str] = &[
    "abreast",
    "blocking_junction",
    "emergency_lane",
    "illegal_parking",
    "illegal_stop",
    "illegal_turn",
    "illegal_uturn",
    "no_entry",
    "no_helmet",
    "overtaking",
    "phone_use",
    "plate_obscured",
    "red_light",
    "reversing",
    "riders_three_plus",
    "riders_two",
    "seat_belt",
    "sidewalk_driving",
    "solid_line",
    "speeding",
    "stop_line",
    "wrong_lane",
    "wrong_way",
];

impl super::RuleEntry {
    /// To which group it belongs.
    pub fn group(&self) -> RuleGroup {
        if self.kind == "custom" {
            RuleGroup::Custom
        } else if self.kind.starts_with("camera_") {
            RuleGroup::Camera
        } else if VIOLATIONS.contains(&self.kind) {
            RuleGroup::Violations
        } else {
            RuleGroup::Incidents
        }
    }
}
