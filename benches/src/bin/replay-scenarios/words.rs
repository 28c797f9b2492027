//! The scenarios' words and ours.

use protocol::{ObjectClass, SignalState};

/// A name with the letters that ids may have.
pub(crate) fn id(name: &str) -> String {
    let word: String = name
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '-' | '_') => c,
            _ => '-',
        })
        .take(56)
        .collect();
    if word.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        word
    } else {
        format!("x{word}")
    }
}

/// A road user's class by name; a word that nobody knows is [`ObjectClass::Other`].
pub(crate) fn class(name: &str) -> ObjectClass {
    match name {
        "pedestrian" => ObjectClass::Person,
        "motorbike" => ObjectClass::Motorcycle,
        _ => serde_json::from_value(name.into()).unwrap_or(ObjectClass::Other),
    }
}

/// A class by its number in COCO.
pub(crate) fn coco_class(number: i64) -> ObjectClass {
    match number {
        0 => ObjectClass::Person,
        1 => ObjectClass::Bicycle,
        2 => ObjectClass::Car,
        3 => ObjectClass::Motorcycle,
        5 => ObjectClass::Bus,
        6 => ObjectClass::Train,
        7 => ObjectClass::Truck,
        9 => ObjectClass::TrafficLight,
        14..=23 => ObjectClass::Animal,
        _ => ObjectClass::Other,
    }
}

/// What a signal shows, by name; a word that nobody knows is unknown.
pub(crate) fn signal(name: &str) -> SignalState {
    match name {
        "yellow" => SignalState::Amber,
        _ => serde_json::from_value(name.into()).unwrap_or(SignalState::Unknown),
    }
}

/// Our kind of rule as the scorer calls it.
pub(crate) fn scorers_kind(kind: &str) -> &str {
    match kind {
        "wrong_lane" => "lane_violation",
        "crowd" => "crowding",
        _ => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_an_id() {
        for (name, expected) in [
            ("W", "w"),
            ("Lane 3/ă", "lane-3--"),
            ("_x", "x_x"),
            ("", "x"),
        ] {
            assert_eq!(id(name), expected);
        }
    }

    #[test]
    fn unknown_words_accuse_nobody() {
        assert_eq!(signal("yellow"), SignalState::Amber);
        assert_eq!(signal("purple"), SignalState::Unknown);
        assert_eq!(class("pedestrian"), ObjectClass::Person);
        assert_eq!(class("tram of the future"), ObjectClass::Other);
    }
}
