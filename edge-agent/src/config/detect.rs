//! `[camera.detect]` and `[inference]`: how often the detector looks, and at what.

mod region;

use edge_core::{RuleConfig, SceneConfig};
use edge_scheduler::{Plan, Settings as SchedulerSettings};
use motion_gate::Settings;
use serde::Deserialize;

use protocol::{NormBox, ObjectClass};

use super::cascade::CascadeConfig;
use super::faults::ConfigFault;
use super::section;
use crate::between_looks::LONGEST;
use region::TilesKeys;

pub use region::TilesConfig;

/// When a camera's pictures are looked at, and at which parts of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectConfig {
    /// Whether pictures in which nothing moves may be passed over.
    pub gate: bool,
    /// By what.
    pub settings: Settings,
    /// What of a picture the detector is shown.
    pub region: NormBox,
    /// In which parts it is shown that as well, so that small far things are large enough.
    pub tiles: Option<TilesConfig>,
    /// Of the pictures that the gate lets through every n-th is looked at; through those between
    /// everybody is followed by the motion of the pixels. 1: all are looked at.
    pub look_every: u32,
    /// Whether an idle stream may be decoded at its key pictures only.
    pub is_idle_thin: bool,
    /// Idle for so long first, s.
    pub idle_after_s: f64,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            gate: true,
            settings: Settings::default(),
            region: region::WHOLE,
            tiles: None,
            look_every: 1,
            is_idle_thin: false,
            idle_after_s: 10.0,
        }
    }
}

/// A heartbeat may come a picture late; then it must still come within the two
/// seconds that rules take for a hole. s.
const LATE_S: f64 = 0.2;
/// Beyond that nothing is spared: at 25 pictures a second the time between two looks ends first.
const LOOK_EVERY: std::ops::RangeInclusive<u32> = 1..=10;
/// Cameras without `analysed_fps` want as many looks a second as most send pictures.
const USUAL_FPS: f64 = 25.0;

impl DetectConfig {
    /// From the keys of `[camera.detect]` alone.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| error.message().to_owned())?;
        let mut faults = Vec::new();
        let keys: Option<DetectKeys> = section::read(&table, "detect", &mut faults);
        let mut words: Vec<String> = faults
            .into_iter()
            .map(|fault| format!("{}: {}", fault.path, fault.message))
            .collect();
        let config = keys
            .unwrap_or_default()
            .read(&SceneConfig::default(), &[], |key, message| {
                words.push(format!("{key}: {message}"));
            });
        if words.is_empty() {
            Ok(config)
        } else {
            Err(words.join("; "))
        }
    }

    /// What the scheduler is to know of the camera.
    #[allow(clippy::cast_possible_truncation)] // a few seconds of µs
    pub fn plan(&self, analysed_fps: Option<f64>) -> Plan {
        let micros = |seconds: f64| (seconds * 1e6).round() as i64;
        let picture_s = 1.0 / analysed_fps.unwrap_or(USUAL_FPS);
        let look_s = (picture_s * f64::from(self.look_every))
            .min(LONGEST.0)
            .max(picture_s);
        Plan {
            interval_us: micros(look_s),
            heartbeat_us: micros(self.settings.heartbeat_s + LATE_S),
        }
    }
}

/// As written; what is left out is [`DetectConfig::default`]'s.
#[derive(Debug, Default, Deserialize)]
pub(super) struct DetectKeys {
    gate: Option<bool>,
    heartbeat_s: Option<f64>,
    empty_heartbeat_s: Option<f64>,
    hold_s: Option<f64>,
    roi: Option<Vec<[f64; 2]>>,
    tiles: Option<TilesKeys>,
    look_every: Option<u32>,
    idle: Option<IdleKey>,
    idle_after_s: Option<f64>,
}

/// `idle`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum IdleKey {
    All,
    Keyframes,
}

impl DetectKeys {
    /// The settings; what is wrong is told to `refuse` with its key.
    pub(super) fn read(
        &self,
        scene: &SceneConfig,
        cascades: &[CascadeConfig],
        mut refuse: impl FnMut(&str, &str),
    ) -> DetectConfig {
        let usual = DetectConfig::default();
        let mut number = |key, value: Option<f64>, default, (least, most): (f64, f64)| match value {
            None => default,
            Some(value) if (least..=most).contains(&value) => value,
            Some(_) => {
                let message = format!("is between {least} and {most}; {default} is usual");
                refuse(&format!("detect.{key}"), &message);
                default
            }
        };
        let mut settings = Settings {
            heartbeat_s: number(
                "heartbeat_s",
                self.heartbeat_s,
                usual.settings.heartbeat_s,
                (0.1, 1.7),
            ),
            empty_heartbeat_s: number(
                "empty_heartbeat_s",
                self.empty_heartbeat_s,
                usual.settings.empty_heartbeat_s,
                (0.1, 6.0),
            ),
            hold_s: number("hold_s", self.hold_s, usual.settings.hold_s, (0.5, 60.0)),
        };
        let idle_after_s = number(
            "idle_after_s",
            self.idle_after_s,
            usual.idle_after_s,
            (3.0, 3600.0),
        );
        let look_every = self.look_every.unwrap_or(usual.look_every);
        if !LOOK_EVERY.contains(&look_every) {
            let message = format!(
                "is between {} and {}; 1 looks at each picture",
                LOOK_EVERY.start(),
                LOOK_EVERY.end()
            );
            refuse("detect.look_every", &message);
        }
        let (region, tiles) = region::read(self.roi.as_deref(), self.tiles.as_ref(), &mut refuse);
        if (self.empty_heartbeat_s).is_some_and(|empty_s| empty_s < settings.heartbeat_s) {
            refuse(
                "detect.empty_heartbeat_s",
                "is not below `heartbeat_s`; the same looks as often at an empty road as at any that rests",
            );
        }
        let looks_for_more = looks_for_more(tiles.is_some(), scene, cascades);
        if let Some(message) = looks_for_more {
            settings.empty_heartbeat_s = settings.heartbeat_s;
            if self.empty_heartbeat_s.is_some() {
                refuse("detect.empty_heartbeat_s", message);
            }
        }
        if look_every > 1 && tiles.is_some() {
            refuse(
                "detect.look_every",
                "goes without `tiles`, which take the time between two looks; leave one of them out",
            );
        }
        if look_every > 1 && scene.rules.iter().any(|rule| rule.kind == "speeding") {
            refuse(
                "detect.look_every",
                "a speed that may be fined is measured where the detector saw the vehicle; leave it out \
                 here, or take `speeding` to a camera of its own",
            );
        }
        let gate = self.gate.unwrap_or(usual.gate);
        let is_idle_thin = self.idle == Some(IdleKey::Keyframes);
        if is_idle_thin && !gate {
            refuse(
                "detect.idle",
                "needs the gate, which says when something moves; take `gate = false` out",
            );
        }
        let has_lamps = scene.signals.iter().any(|signal| signal.lamp.is_some());
        if is_idle_thin && has_lamps {
            refuse(
                "detect.idle",
                "write `all`, or leave it out: lamps are read from this camera's pictures, and with \
                 key pictures only a light would turn red a second late",
            );
        }
        DetectConfig {
            gate,
            settings,
            region,
            tiles,
            look_every,
            is_idle_thin,
            idle_after_s,
        }
    }
}

/// Why each heartbeat is a look here, however empty the road: tiles find who stands far away, and fire is
/// nobody who moves; the gate vouches for neither.
fn looks_for_more(
    has_tiles: bool,
    scene: &SceneConfig,
    cascades: &[CascadeConfig],
) -> Option<&'static str> {
    let burns = |rule: &RuleConfig| {
        let mut needs = rule.needs.iter();
        needs.any(|class| matches!(class, ObjectClass::Fire | ObjectClass::Smoke))
    };
    if has_tiles {
        Some(
            "goes without `tiles`, which find who is too small for the gate; leave one of them out",
        )
    } else if scene.rules.iter().any(burns) {
        Some(
            "goes without rules about fire and smoke: what burns is nobody, and moves little; leave it out",
        )
    } else if cascades.iter().any(|cascade| cascade.looks.on.is_empty()) {
        Some(
            "goes without cascades that look at the whole picture, which come with its looks; leave it out",
        )
    } else {
        None
    }
}

/// `[inference]`: what holds for all cameras of the box.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct InferenceConfig {
    /// Below so many looks a second at an awake camera, it comes first.
    floor_fps: Option<f64>,
    /// A batch is not made larger when its oldest picture would then be older. ms.
    latency_ms: Option<f64>,
    /// Pictures that are computed at once, at most.
    batch: Option<u32>,
}

/// One at a time is as fast on a processor, and sooner done.
const USUAL_BATCH: usize = 1;
/// More than that no device gains from, and each has its room in memory.
const LARGEST_BATCH: u32 = 32;

impl InferenceConfig {
    /// With faults said, and what is wrong left out.
    pub(super) fn checked(mut self, faults: &mut Vec<ConfigFault>) -> Self {
        let mut check = |key: &str, value: &mut Option<f64>, (least, most): (f64, f64)| {
            if value
                .take_if(|value| !(least..=most).contains(value))
                .is_some()
            {
                faults.push(ConfigFault {
                    line: None,
                    path: format!("inference.{key}"),
                    message: format!("is between {least} and {most}"),
                });
            }
        };
        // Below one look a second no tracker follows anybody.
        check("floor_fps", &mut self.floor_fps, (1.0, 30.0));
        check("latency_ms", &mut self.latency_ms, (10.0, 2000.0));
        if self
            .batch
            .take_if(|batch| !(1..=LARGEST_BATCH).contains(batch))
            .is_some()
        {
            faults.push(ConfigFault {
                line: None,
                path: "inference.batch".to_owned(),
                message: format!(
                    "is between 1 and {LARGEST_BATCH} pictures; 1 is best on a processor"
                ),
            });
        }
        self
    }

    /// Pictures that are computed at once, at most.
    pub fn batch(&self) -> usize {
        self.batch.map_or(USUAL_BATCH, |batch| batch as usize)
    }

    /// The same for the scheduler.
    #[allow(clippy::cast_possible_truncation)] // a few seconds of µs
    pub fn settings(&self) -> SchedulerSettings {
        let usual = SchedulerSettings::default();
        let micros = |seconds: f64| (seconds * 1e6).round() as i64;
        SchedulerSettings {
            floor_us: self
                .floor_fps
                .map_or(usual.floor_us, |fps| micros(1.0 / fps)),
            latency_us: self
                .latency_ms
                .map_or(usual.latency_us, |ms| micros(ms / 1e3)),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::AgentConfig;
    use super::super::camera::testing::camera;

    const SOURCE: &str = "source = { rtsp = 'rtsp://h/x' }\n";

    #[test]
    fn what_is_not_written_is_as_usual() {
        let detect = |keys: &str| camera(&format!("{SOURCE}{keys}")).unwrap().detect;
        assert_eq!(detect("").settings.heartbeat_s, 1.5);
        assert!(!detect("detect = { gate = false }").gate);
        assert!(detect("detect = { gate = true }").gate);
        assert_eq!(
            detect("detect = { heartbeat_s = 1.0 }").settings.hold_s,
            2.0
        );
    }

    #[test]
    fn an_empty_road_is_looked_at_rarely_only_where_nothing_is_lost_by_that() {
        let read = |keys: &str| camera(&format!("{SOURCE}{keys}"));
        let burning = "zone = [{ id = 'all', points = [[0, 0], [1, 0], [1, 1]] }]\n\
                       rule = [{ id = 'f', kind = 'fire' }]\n";
        let flames = "cascade = [{ id = 'flames', model = 'm', gives = 'fire' }]\n";
        for (keys, beats) in [
            ("", [1.5, 5.0]),
            ("detect = { empty_heartbeat_s = 6.0 }", [1.5, 6.0]),
            ("detect = { heartbeat_s = 1.0, tiles = {} }", [1.0, 1.0]),
            ("detect = { empty_heartbeat_s = 1.5 }", [1.5, 1.5]),
            (flames, [1.5, 1.5]),
            (burning, [1.5, 1.5]),
        ] {
            let settings = read(keys).unwrap().detect.settings;
            assert_eq!(
                [settings.heartbeat_s, settings.empty_heartbeat_s],
                beats,
                "{keys}"
            );
        }
        for (keys, fault) in [
            (
                "detect = { empty_heartbeat_s = 7.0 }",
                "detect.empty_heartbeat_s: is between 0.1 and 6; 5 is usual",
            ),
            (
                "detect = { empty_heartbeat_s = 1.0 }",
                "detect.empty_heartbeat_s: is not below `heartbeat_s`",
            ),
            (
                &format!("detect = {{ empty_heartbeat_s = 5.0 }}\n{burning}"),
                "detect.empty_heartbeat_s: goes without rules about fire and smoke",
            ),
            (
                "detect = { empty_heartbeat_s = 5.0, tiles = {} }",
                "detect.empty_heartbeat_s: goes without `tiles`",
            ),
            (
                &format!("detect = {{ empty_heartbeat_s = 5.0 }}\n{flames}"),
                "detect.empty_heartbeat_s: goes without cascades that look at the whole picture",
            ),
        ] {
            let found = read(keys).unwrap_err();
            assert!(found.contains(fault), "{keys}: {found}");
        }
    }

    #[test]
    fn everybody_is_followed_between_looks_only_where_that_is_asked_for_and_harmless() {
        let read = |keys: &str| camera(&format!("{SOURCE}{keys}"));
        assert_eq!(read("").unwrap().detect.look_every, 1);
        let every = read("detect = { look_every = 4 }").unwrap();
        assert_eq!(every.detect.look_every, 4);
        let speeding = "line = [{ id = 'in', from = [0.1, 0.3], to = [0.9, 0.3], towards = [0.5, 0.9] }, \
                        { id = 'out', from = [0.1, 0.8], to = [0.9, 0.8], towards = [0.5, 0.9] }]\n\
                        rule = [{ id = 'fast', kind = 'speeding', entry_line = 'in', exit_line = 'out', \
                        limit_kmh = 50, length_m = 30 }]\n";
        for (keys, fault) in [
            (
                "detect = { look_every = 0 }",
                "detect.look_every: is between 1 and 10; 1 looks at each picture",
            ),
            (
                "detect = { look_every = 11 }",
                "detect.look_every: is between 1 and 10",
            ),
            (
                "detect = { look_every = 2, tiles = {} }",
                "detect.look_every: goes without `tiles`",
            ),
            (
                &format!("{speeding}detect = {{ look_every = 2 }}"),
                "detect.look_every: a speed that may be fined is measured where the detector saw",
            ),
        ] {
            let found = read(keys).unwrap_err();
            assert!(found.contains(fault), "{keys}: {found}");
        }
    }

    #[test]
    fn the_keys_can_be_given_alone() {
        let parse = super::DetectConfig::parse;
        assert_eq!(parse("").unwrap(), super::DetectConfig::default());
        assert!(parse("tiles = { per_look = 1 }").unwrap().tiles.is_some());
        for (text, part) in [
            ("tiles = { sice = 1 }", "tiles.sice: no such key"),
            ("hold_s = 0.1", "hold_s: is between 0.5"),
            ("tiles = ", ""),
        ] {
            let faults = parse(text).unwrap_err();
            assert!(faults.contains(part), "{faults}");
        }
    }

    #[test]
    fn idle_streams_are_thinned_only_where_that_is_asked_for_and_harmless() {
        let read = |keys: &str| camera(&format!("{SOURCE}{keys}"));
        assert!(!read("").unwrap().detect.is_idle_thin);
        assert!(
            !read("detect = { idle = 'all' }")
                .unwrap()
                .detect
                .is_idle_thin
        );
        let thin = read("detect = { idle = 'keyframes', idle_after_s = 30 }").unwrap();
        assert!(thin.detect.is_idle_thin && thin.detect.idle_after_s == 30.0);
        let lamp = "signal = [{ group = 'n', lamp = { region = [0.7, 0.05, 0.03, 0.1], layout = 'vertical' } }]";
        for (keys, fault) in [
            (
                "detect = { idle = 'keyframes', gate = false }",
                "detect.idle: needs the gate",
            ),
            (
                &format!("{lamp}\ndetect = {{ idle = 'keyframes' }}"),
                "detect.idle: write `all`, or leave it out: lamps are read",
            ),
            (
                "detect = { idle = 'never' }",
                "detect.idle: unknown variant `never`",
            ),
            (
                "detect = { idle_after_s = 1 }",
                "detect.idle_after_s: is between 3 and 3600; 10 is usual",
            ),
        ] {
            let found = read(keys).unwrap_err();
            assert!(found.contains(fault), "{found}");
        }
    }

    #[test]
    fn numbers_out_of_range_and_unknown_keys_are_faults() {
        let keys = "detect = { heartbeat_s = 3.0, hold_s = 0.0, gaet = true }";
        let faults = camera(&format!("{SOURCE}{keys}")).unwrap_err();
        for part in [
            "detect.heartbeat_s: is between 0.1 and 1.7; 1.5 is usual",
            "detect.hold_s: is between 0.5 and 60",
            "detect.gaet: no such key",
        ] {
            assert!(faults.contains(part), "{faults}");
        }
        let text = "[box]\nsite = 's'\nid = 'b'\n[inference]\nfloor_fps = 0.1\nlatency_ms = 5\nbatch = 0\n";
        let faults = AgentConfig::parse(text, Path::new("box.toml")).unwrap_err();
        for part in [
            "inference.floor_fps: is between 1 and 30",
            "inference.latency_ms",
            "inference.batch: is between 1 and 32 pictures",
        ] {
            assert!(faults.to_string().contains(part), "{faults}");
        }
    }

    #[test]
    fn the_floor_and_the_latency_reach_the_scheduler_and_the_batch_the_models() {
        let config = |keys: &str| {
            let text = format!("[box]\nsite = 's'\nid = 'b'\n{keys}");
            AgentConfig::parse(&text, Path::new("box.toml")).unwrap()
        };
        let set = config("[inference]\nfloor_fps = 4\nlatency_ms = 100\nbatch = 4\n");
        let settings = set.inference.settings();
        assert_eq!((settings.floor_us, settings.latency_us), (250_000, 100_000));
        assert_eq!(set.detector.settings().batch, 4);
        assert_eq!(config("").detector.settings().batch, 1);
    }
}
