//! Signal groups from their tables.

use protocol::NormBox;
use protocol::id::SignalGroupId;
use protocol::units::Seconds;

use super::{Lamp, LampColour, LampLayout, MqttSignal, Number, Section, SignalGroup, StaleAfter};

/// A signal head of three lamps cannot be read below about 4 × 12 pixels of 1080p.
const SMALLEST_LAMP: f64 = 0.002;
/// A lamp is read with the pictures, which may come twice a second and drop out once. s
const LAMP_STALE_AFTER_S: f64 = 1.5;
/// A controller repeats itself by contract. s
const CONTROLLER_STALE_AFTER_S: f64 = 1.0;

pub(super) fn signal(section: &mut Section<'_>) -> Option<SignalGroup> {
    let before = section.fault_count();
    let group: Option<SignalGroupId> = section.name("group", "north");
    // What is said of the group holds for each of its sources that does not say otherwise.
    let (of_lamp, of_controller) = if section.has("stale_after_s") {
        let of_group = stale_after(section, CONTROLLER_STALE_AFTER_S);
        (of_group, of_group)
    } else {
        section.expect("stale_after_s");
        (LAMP_STALE_AFTER_S, CONTROLLER_STALE_AFTER_S)
    };
    let lamp = section.table("lamp").and_then(|mut lamp| {
        let read = read_lamp(&mut lamp);
        let stale_after = stale_after(&mut lamp, of_lamp);
        lamp.finish();
        Some((read?, stale_after))
    });
    let mqtt = section.table("mqtt").and_then(|mut mqtt| {
        let read = read_mqtt(&mut mqtt);
        let stale_after = stale_after(&mut mqtt, of_controller);
        mqtt.finish();
        Some((read?, stale_after))
    });
    let recorded = section.flag("recorded");
    let sourced = section.has("lamp") || section.has("mqtt") || recorded;
    if !sourced {
        section.fault_here(
            "has no source; give `lamp = { region = [x, y, width, height], layout = \"vertical\" }` \
             or `mqtt = { topic = \"...\" }`, or `recorded = true` when its readings come with \
             recorded inputs",
        );
    }
    let min_confidence = section.number(
        "min_confidence",
        Number {
            unit: "",
            default: 0.6,
            min: 0.0,
            max: 1.0,
        },
    );
    let majority_window = section.number(
        "majority_window_s",
        Number {
            unit: "s",
            default: 1.0,
            min: 0.0,
            max: 10.0,
        },
    );
    if section.fault_count() > before {
        return None;
    }
    Some(SignalGroup {
        group: group?,
        stale_after: StaleAfter {
            lamp: Seconds(lamp.as_ref().map_or(of_lamp, |(_, limit)| *limit)),
            controller: Seconds(mqtt.as_ref().map_or(of_controller, |(_, limit)| *limit)),
        },
        lamp: lamp.map(|(lamp, _)| lamp),
        mqtt: mqtt.map(|(mqtt, _)| mqtt),
        recorded,
        min_confidence,
        majority_window_s: Seconds(majority_window),
    })
}

fn stale_after(section: &mut Section<'_>, default: f64) -> f64 {
    section.number(
        "stale_after_s",
        Number {
            unit: "s",
            default,
            min: 0.1,
            max: 600.0,
        },
    )
}

fn read_lamp(section: &mut Section<'_>) -> Option<Lamp> {
    let (layout, usual): (_, &[LampColour]) = match section.text("layout") {
        None | Some("vertical") => (Some(LampLayout::Vertical), &THREE),
        Some("horizontal") => (Some(LampLayout::Horizontal), &THREE),
        // One lamp, so that the direction says nothing.
        Some("arrow") => (Some(LampLayout::Vertical), &[LampColour::Green]),
        Some(other) => {
            section.fault(
                "layout",
                format!(
                    "`{other}` is not known; write \"vertical\", \"horizontal\" or, for a green \
                     arrow of its own, \"arrow\""
                ),
            );
            (None, &THREE)
        }
    };
    let lamps = read_colours(section, usual);
    let region = read_region(section);
    Some(Lamp {
        region: region?,
        layout: layout?,
        lamps: lamps?,
    })
}

/// The lamps of most heads, in the order of every country.
const THREE: [LampColour; 3] = [LampColour::Red, LampColour::Amber, LampColour::Green];

fn read_colours(section: &mut Section<'_>, usual: &[LampColour]) -> Option<Vec<LampColour>> {
    let is_written = section.has("lamps");
    let words = section.texts("lamps")?;
    if !is_written {
        return Some(usual.to_vec());
    }
    let lamps: Option<Vec<LampColour>> = words
        .iter()
        .map(|word| THREE.into_iter().find(|colour| colour.as_str() == *word))
        .collect();
    let lamps = lamps.filter(|lamps| {
        let is_new = |(index, lamp)| !lamps[..index].contains(lamp);
        let is_single = usual.len() > 1 || lamps.len() == 1;
        !lamps.is_empty() && is_single && lamps.iter().enumerate().all(is_new)
    });
    if lamps.is_none() {
        section.fault(
            "lamps",
            "must be the colours of the lamps from the top or the left, each once, for example \
             [\"red\", \"amber\", \"green\"] or [\"red\", \"green\"]; an \"arrow\" has one",
        );
    }
    lamps
}

fn read_region(section: &mut Section<'_>) -> Option<NormBox> {
    let wanted = "[left, top, width, height] as fractions of the picture, for example \
                  [0.62, 0.10, 0.02, 0.08]";
    if !section.require("region", "[0.62, 0.10, 0.02, 0.08]") {
        return None;
    }
    let value = section.value("region")?;
    let region: NormBox = section.coordinates::<4>("region", value, wanted)?.into();
    let inside = region.x >= 0.0
        && region.y >= 0.0
        && region.right() <= 1.0 + 1e-9
        && region.bottom() <= 1.0 + 1e-9;
    if !inside || region.width < SMALLEST_LAMP || region.height < SMALLEST_LAMP {
        section.fault(
            "region",
            format!("is empty or reaches outside the picture; write {wanted}"),
        );
        return None;
    }
    Some(region)
}

fn read_mqtt(section: &mut Section<'_>) -> Option<MqttSignal> {
    let signal_group = whole(section, "signal_group", 254.0);
    let intersection = whole(section, "intersection", 65_535.0);
    let topic = section.required_text("topic", "junction/12/signal/north")?;
    if topic.is_empty() || topic.contains(['+', '#', '\0']) || topic.len() > 1024 {
        section.fault(
            "topic",
            "must be one topic without wildcards, for example junction/12/signal/north",
        );
        return None;
    }
    Some(MqttSignal {
        topic: topic.to_owned(),
        signal_group: signal_group.and_then(|number| u8::try_from(number).ok()),
        intersection,
    })
}

/// A whole number from 1 (in SPaT, 0 means "unknown") to `max`, if it is there.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked
fn whole(section: &mut Section<'_>, key: &'static str, max: f64) -> Option<u16> {
    if !section.has(key) {
        section.expect(key);
        return None;
    }
    let number = Number {
        unit: "",
        default: 1.0,
        min: 1.0,
        max,
    };
    let read = section.number(key, number);
    if read.fract() != 0.0 {
        section.fault(key, format!("is {read}; write a whole number"));
        return None;
    }
    Some(read as u16)
}
