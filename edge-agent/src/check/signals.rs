//! Each signal group: who says what it shows, for how long that counts, and
//! what speaks against judging by it.

use edge_core::{SceneConfig, SignalGroup};
use protocol::TimeQuality;

/// Looks a second below which looks alone cannot tell steady from flashing
/// (`docs/signals.md`, how long it takes).
const LEAST_LOOKS: f64 = 13.0;
/// The same where a controller says so, too.
const LEAST_LOOKS_OF_TWO: f64 = 5.0;
/// A staleness limit above this is one for a controller that publishes on
/// change only, s.
const REPEATS_WITHIN_S: f64 = 3.0;

/// How a camera's pictures come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pictures {
    /// Which clock times them, if one was seen; `None`: not asked, or a recording.
    pub(super) clock: Option<TimeQuality>,
    /// Whether they are a camera's, so that a controller's clock is another one.
    pub(super) are_live: bool,
    /// At most as many are looked at in a second.
    pub(super) analysed_fps: Option<f64>,
}

/// What can be said of a scene's signal groups: what each is, and doubts.
pub(super) fn words(scene: &SceneConfig, pictures: Pictures) -> (Vec<String>, Vec<String>) {
    let good = scene.signals.iter().map(describe).collect();
    let doubts = scene
        .signals
        .iter()
        .flat_map(|signal| doubts(signal, scene, pictures))
        .collect();
    (good, doubts)
}

fn describe(signal: &SignalGroup) -> String {
    let mut sources = Vec::new();
    if let Some(lamp) = &signal.lamp {
        let colours: Vec<&str> = lamp.lamps.iter().map(|lamp| lamp.as_str()).collect();
        let limit = signal.stale_after.lamp.0;
        sources.push(format!(
            "lamps ({}), stale after {limit} s",
            colours.join(", ")
        ));
    }
    if let Some(mqtt) = &signal.mqtt {
        let limit = signal.stale_after.controller.0;
        let number = mqtt
            .signal_group
            .map(|number| format!(" group {number}"))
            .unwrap_or_default();
        sources.push(format!(
            "MQTT {}{number}, stale after {limit} s: the controller must repeat itself at least that often",
            mqtt.topic
        ));
    }
    if signal.recorded {
        sources.push("recorded".to_owned());
    }
    let together = if sources.len() > 1 {
        "; where they contradict each other the case is held"
    } else {
        ""
    };
    format!(
        "signal {}: {}{together}",
        signal.group,
        sources.join(" and ")
    )
}

fn doubts(signal: &SignalGroup, scene: &SceneConfig, pictures: Pictures) -> Vec<String> {
    let mut doubts = Vec::new();
    let group = &signal.group;
    let least = if signal.mqtt.is_some() {
        LEAST_LOOKS_OF_TWO
    } else {
        LEAST_LOOKS
    };
    if let (Some(_), Some(fps)) = (&signal.lamp, pictures.analysed_fps)
        && fps < least
    {
        doubts.push(format!(
            "signal {group}: its lamps are looked at {fps} times a second, and a lamp that flashes \
             may then look steady: after a start, and where it was seen dark, red counts for \
             nothing until the head has shown green; set analysed_fps to {least} or more"
        ));
    }
    let limit = signal.stale_after.controller.0;
    if signal.mqtt.is_some() && limit > REPEATS_WITHIN_S {
        doubts.push(format!(
            "signal {group}: a controller's word counts for {limit} s; a message that is lost leaves \
             the old state in force for as long, so let the gateway repeat itself every half second \
             and leave stale_after_s out, or add `lamp` as a second source"
        ));
    }
    let has_foreign_clock = signal.mqtt.is_some() && signal.lamp.is_none() && pictures.are_live;
    if has_foreign_clock && pictures.clock != Some(TimeQuality::Rtcp) {
        let uses = scene.signal_uses.iter();
        for silent in uses.filter(|u| u.group == group.as_str() && !u.has_clock_margin) {
            let when = if pictures.clock.is_none() {
                "unless the camera times its pictures by RTCP"
            } else {
                "because this camera's pictures were not yet timed by RTCP"
            };
            doubts.push(format!(
                "rule {}: stays silent {when}: nobody knows how far the clocks of controller and \
                 camera differ; synchronise the camera by NTP and let it send RTCP sender reports, \
                 or measure the difference and write clock_margin_s, or add `lamp` to signal {group}",
                silent.rule
            ));
        }
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(text: &str) -> SceneConfig {
        let (scene, faults) = SceneConfig::from_table(&text.parse().unwrap());
        assert_eq!(faults, []);
        scene
    }

    const BASE: &str = r#"
        [[line]]
        id = "stop"
        from = [0.1, 0.6]
        to = [0.9, 0.6]
        towards = [0.5, 0.4]
        [[rule]]
        id = "red"
        kind = "red_light"
        line = "stop"
        signal = "north"
    "#;

    fn live(clock: Option<TimeQuality>) -> Pictures {
        Pictures {
            clock,
            are_live: true,
            analysed_fps: Some(10.0),
        }
    }

    #[test]
    fn each_group_says_who_speaks_for_it_and_for_how_long_that_counts() {
        let scene = scene(
            r#"
            [[signal]]
            group = "north"
            lamp = { region = [0.6, 0.1, 0.02, 0.08] }
            mqtt = { topic = "j/1", signal_group = 2 }
            [[signal]]
            group = "demo"
            recorded = true
            "#,
        );
        let (good, doubts) = words(&scene, live(None));
        assert_eq!(
            good,
            [
                "signal north: lamps (red, amber, green), stale after 1.5 s and MQTT j/1 group 2, \
                 stale after 1 s: the controller must repeat itself at least that often; where \
                 they contradict each other the case is held",
                "signal demo: recorded",
            ]
        );
        assert_eq!(doubts, Vec::<String>::new());
    }

    /// The known gap: without RTCP a rule that only hears a controller never fires.
    #[test]
    fn a_rule_that_must_stay_silent_is_named() {
        let mqtt = format!("{BASE}\n[[signal]]\ngroup = \"north\"\nmqtt = {{ topic = \"j/1\" }}");
        let of = |text: &str, clock| words(&scene(text), live(clock)).1;
        assert!(of(&mqtt, None)[0].contains("rule red: stays silent unless"));
        let arrival = of(&mqtt, Some(TimeQuality::Arrival));
        assert!(arrival[0].contains("clock_margin_s"), "{arrival:?}");
        assert!(of(&mqtt, Some(TimeQuality::Rtcp)).is_empty());
        let measured = mqtt.replace(
            "signal = \"north\"",
            "signal = \"north\"\nclock_margin_s = 1.0",
        );
        assert!(of(&measured, None).is_empty());
        let lamp = mqtt.replace(
            "mqtt =",
            "lamp = { region = [0.6, 0.1, 0.02, 0.08] }\nmqtt =",
        );
        assert!(of(&lamp, None).is_empty());
    }

    #[test]
    fn slow_looks_and_long_limits_are_doubtful() {
        let text = r#"
            [[signal]]
            group = "north"
            lamp = { region = [0.6, 0.1, 0.02, 0.08] }
            mqtt = { topic = "j/1", stale_after_s = 90 }
        "#;
        let pictures = Pictures {
            analysed_fps: Some(2.0),
            ..live(None)
        };
        let (_, doubts) = words(&scene(text), pictures);
        assert_eq!(doubts.len(), 2, "{doubts:?}");
        assert!(doubts[0].contains("2 times a second"));
        assert!(doubts[1].contains("90 s"));
    }
}
