//! `[[camera]]`: where its pictures come from, and everything that is not
//! edge-core's. What rules may say is [`SceneConfig`]'s business.

use std::collections::BTreeMap;
use std::path::Path;

use edge_core::SceneConfig;
use protocol::Digest;
use protocol::event::Place;
use protocol::id::{CameraId, CascadeId};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Table;

use super::calibration::{self, CalibrationConfig};
use super::cascade::{CascadeConfig, read_cascades};
use super::clip::{ClipConfig, ClipKeys};
use super::detect::{DetectConfig, DetectKeys};
use super::faults::ConfigFault;
use super::health::{PictureHealthConfig, PictureHealthKeys};
use super::section;
use super::source::{SourceConfig, read_source, without_credentials};
use crate::calibrate::CalibrationFile;

/// One `[[camera]]`.
#[derive(Clone, Debug)]
pub struct CameraConfig {
    /// Its name on the wire.
    pub id: CameraId,
    /// Its key in the file, for example `camera[0]`.
    pub path: String,
    /// Its name for people.
    pub name: String,
    /// Where it stands.
    pub place: Option<Place>,
    /// Whether nobody must act on what it shows.
    pub simulated: bool,
    /// Where its pictures come from.
    pub source: SourceConfig,
    /// Frames to look at per second, at most.
    pub analysed_fps: Option<f64>,
    /// From picture to ground.
    pub calibration: Option<CalibrationConfig>,
    /// When its picture is not good enough to judge by.
    pub health: PictureHealthConfig,
    /// When its pictures are looked at.
    pub detect: DetectConfig,
    /// Models that take second looks.
    pub cascades: Vec<CascadeConfig>,
    /// Rules that they feed with fewer looks than the rules want.
    pub cascade_doubts: Vec<String>,
    /// What of its stream becomes evidence.
    pub clip: ClipConfig,
    /// Zones, lines, signals, rules.
    pub scene: SceneConfig,
    /// SHA-256 of this camera's table without its credentials, written on every event.
    pub digest: Digest,
    /// SHA-256 of what was drawn on the camera's picture, and of which camera it
    /// is: while this stays, the camera must look where it looked.
    pub geometry: Digest,
}

impl CameraConfig {
    /// Width over height of the pictures, as far as it is known before the first
    /// one: as in the calibration's still, or as most cameras have it.
    pub fn expected_aspect(&self) -> f64 {
        let calibrated = self.calibration.as_ref().and_then(|c| c.loaded.as_ref());
        match (&self.source, calibrated) {
            (SourceConfig::Rtsp(_), Some(file)) => file.aspect(),
            (source, _) => source.expected_aspect(),
        }
    }

    /// Its cascades, by name.
    pub fn cascade_ids(&self) -> Vec<CascadeId> {
        let ids = self.cascades.iter().map(|cascade| cascade.id.clone());
        ids.collect()
    }

    /// The same without the cascades that are not among these: as a box watches where the
    /// others could not begin.
    #[must_use]
    pub fn with_only(&self, cascades: &[CascadeId]) -> Self {
        let mut camera = self.clone();
        camera
            .cascades
            .retain(|cascade| cascades.contains(&cascade.id));
        camera
    }
}

/// The keys of `[[camera]]` that are not edge-core's.
#[derive(Debug, Deserialize)]
struct CameraKeys {
    id: CameraId,
    name: Option<String>,
    place: Option<PlaceKeys>,
    #[serde(default)]
    simulated: bool,
    analysed_fps: Option<f64>,
    calibration: Option<CalibrationConfig>,
    #[serde(default)]
    health: PictureHealthKeys,
    #[serde(default)]
    detect: DetectKeys,
    #[serde(default)]
    clip: ClipKeys,
}

#[derive(Debug, Deserialize)]
struct PlaceKeys {
    name: String,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

/// All cameras of the file that can be read.
pub(super) fn read_cameras(
    table: &Table,
    folder: &Path,
    faults: &mut Vec<ConfigFault>,
) -> Vec<CameraConfig> {
    let list = match table.get("camera") {
        None => &Vec::new(),
        Some(toml::Value::Array(list)) => list,
        Some(_) => {
            let message = "cameras are a list; write [[camera]] with two brackets".to_owned();
            faults.push(ConfigFault {
                line: None,
                path: "camera".into(),
                message,
            });
            &Vec::new()
        }
    };
    let mut seen: BTreeMap<CameraId, usize> = BTreeMap::new();
    let mut cameras = Vec::new();
    for (index, camera) in list.iter().enumerate() {
        let at = format!("camera[{index}]");
        let Some(camera) = camera.as_table() else {
            let message = "a camera is a table; write [[camera]]".to_owned();
            faults.push(ConfigFault {
                line: None,
                path: at,
                message,
            });
            continue;
        };
        let Some(camera) = read_camera(camera, &at, folder, faults) else {
            continue;
        };
        if let Some(first) = seen.insert(camera.id.clone(), index) {
            let message = format!(
                "camera[{first}] is called `{}` as well; ids are unique",
                camera.id
            );
            faults.push(ConfigFault {
                line: None,
                path: format!("{at}.id"),
                message,
            });
        }
        cameras.push(camera);
    }
    cameras
}

fn read_camera(
    table: &Table,
    at: &str,
    folder: &Path,
    faults: &mut Vec<ConfigFault>,
) -> Option<CameraConfig> {
    let (scene_table, mut shell_table): (Table, Table) = table
        .clone()
        .into_iter()
        .filter(|(key, _)| key != "source" && key != "cascade")
        .partition(|(key, _)| SceneConfig::KEYS.contains(&key.as_str()));
    let (scene, scene_faults) = SceneConfig::from_table(&scene_table);
    faults.extend(scene_faults.into_iter().map(|fault| ConfigFault {
        line: None,
        path: section::join(at, &fault.path),
        message: fault.message,
    }));
    if let Some(message) = calibration::normalise(&mut shell_table) {
        faults.push(ConfigFault {
            line: None,
            path: section::join(at, "calibration"),
            message: message.to_owned(),
        });
    }
    let keys: Option<CameraKeys> = section::read(&shell_table, at, faults);
    let cascades = read_cascades(table.get("cascade"), at, faults);
    let source = read_source(table.get("source"), &format!("{at}.source"), folder, faults);
    let mut keys = keys?;
    let mut refuse = |key: &str, message: &str| {
        faults.push(ConfigFault {
            line: None,
            path: section::join(at, key),
            message: message.to_owned(),
        });
    };
    if keys
        .analysed_fps
        .is_some_and(|fps| !(fps > 0.0 && fps <= 120.0))
    {
        refuse(
            "analysed_fps",
            "frames per second are more than 0 and at most 120",
        );
    }
    if let Some(place) = &keys.place {
        if place.latitude.is_some_and(|v| !(-90.0..=90.0).contains(&v)) {
            refuse("place.latitude", "a latitude is between -90 and 90 degrees");
        }
        if place
            .longitude
            .is_some_and(|v| !(-180.0..=180.0).contains(&v))
        {
            refuse(
                "place.longitude",
                "a longitude is between -180 and 180 degrees",
            );
        }
    }
    if let Some(calibration) = &mut keys.calibration {
        if let Some((key, message)) = calibration.fault() {
            refuse(key, message);
        }
        if let Some(file) = &calibration.file {
            match CalibrationFile::load(&folder.join(file)) {
                Ok(file) => calibration.loaded = Some(file),
                Err(error) => refuse("calibration.file", &format!("{error:#}")),
            }
        }
    }
    let health = keys.health.read(&mut refuse);
    let detect = keys.detect.read(&scene, &cascades, &mut refuse);
    let clip = keys.clip.read(&mut refuse);
    Some(CameraConfig {
        path: at.to_owned(),
        name: keys.name.unwrap_or_else(|| keys.id.to_string()),
        id: keys.id,
        place: keys.place.map(|place| Place {
            name: place.name,
            latitude: place.latitude,
            longitude: place.longitude,
        }),
        simulated: keys.simulated,
        source: source?,
        analysed_fps: keys.analysed_fps,
        calibration: keys.calibration,
        health,
        detect,
        cascade_doubts: cascade_doubts(&cascades, &scene, table),
        cascades,
        clip,
        scene,
        digest: digest_of(table),
        geometry: geometry_of(table),
    })
}

fn cascade_doubts(cascades: &[CascadeConfig], scene: &SceneConfig, table: &Table) -> Vec<String> {
    let written = table.get("rule").and_then(toml::Value::as_array);
    let of = |rule: &edge_core::RuleConfig| {
        let mut tables = written?.iter().filter_map(toml::Value::as_table);
        tables.find(|t| t.get("id").and_then(toml::Value::as_str) == Some(rule.id.as_str()))
    };
    let pairs = cascades
        .iter()
        .flat_map(|cascade| scene.rules.iter().map(move |rule| (cascade, rule)));
    pairs
        .filter_map(|(cascade, rule)| cascade.doubt(rule, of(rule)))
        .collect()
}

/// What an event's judgement rests on: the table without its credentials.
///
/// The digest is published, and a password of eight letters hashed together with
/// text that anybody can read off the events would be guessed within hours.
fn digest_of(table: &Table) -> Digest {
    let mut table = table.clone();
    if let Some(toml::Value::Table(source)) = table.get_mut("source") {
        without_credentials(source);
    }
    Digest(Sha256::digest(table.to_string()).into())
}

/// Of the keys that lie on the picture.
fn geometry_of(table: &Table) -> Digest {
    const DRAWN: [&str; 6] = [
        "source",
        "calibration",
        "zone",
        "line",
        "signal",
        "approach",
    ];
    let drawn = table
        .iter()
        .filter(|(key, _)| DRAWN.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    digest_of(&drawn)
}

#[cfg(test)]
pub(super) mod testing {
    use super::super::AgentConfig;
    use super::*;

    /// The camera with these keys beside its id; all faults as text.
    pub(in super::super) fn camera(keys: &str) -> Result<CameraConfig, String> {
        let text = format!("[box]\nsite = 's'\nid = 'b'\n[[camera]]\nid = 'c'\n{keys}\n");
        AgentConfig::parse(&text, Path::new("box.toml"))
            .map(|mut config| config.cameras.remove(0))
            .map_err(|faults| faults.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::testing::camera;

    #[test]
    fn the_geometry_is_that_of_what_is_drawn() {
        let geometry = |keys: &str| camera(keys).unwrap().geometry;
        let zone = |top: f64| {
            format!(
                "source = {{ rtsp = 'rtsp://u:secret@h/x' }}\n[[camera.zone]]\nid = 'z'\n\
                 points = [[0.0, {top}], [1.0, 0.2], [1.0, 1.0]]\n"
            )
        };
        let plain = geometry(&zone(0.1));
        let rule = "[[camera.rule]]\nid = 'r'\nkind = 'loitering'\nzone = 'z'\n";
        for same in [
            zone(0.1) + rule,
            zone(0.1).replace("secret", "other"),
            format!("name = 'North'\n{}", zone(0.1)),
        ] {
            assert_eq!(geometry(&same), plain, "{same}");
        }
        for other in [zone(0.11), zone(0.1).replace("/x", "/y")] {
            assert_ne!(geometry(&other), plain, "{other}");
        }
    }

    #[test]
    fn the_digest_on_events_tells_nothing_about_credentials() {
        let digest = |keys: &str| camera(keys).unwrap().digest;
        let plain = digest("source = { rtsp = 'rtsp://h/x?password=1&channel=2' }");
        for same in [
            "source = { rtsp = 'rtsp://root:hunter2@h/x?password=2&channel=2' }",
            "source = { rtsp = 'rtsp://h/x?password=&channel=2', user = 'a', password = 'b' }",
            "source = { rtsp = 'rtsp://h/x?password=1&channel=2', user = 'a', password_env = 'PATH' }",
        ] {
            assert_eq!(digest(same), plain, "{same}");
        }
        for other in [
            "source = { rtsp = 'rtsp://h/x?password=1&channel=3' }",
            "source = { rtsp = 'rtsp://other/x?password=1&channel=2' }",
            "source = { rtsp = 'rtsp://h/x?password=1&channel=2' }\nsimulated = true",
        ] {
            assert_ne!(digest(other), plain, "{other}");
        }
    }
}
