//! `[[camera]]`: where its pictures come from, and everything that is not
//! edge-core's. What rules may say is [`SceneConfig`]'s business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use edge_core::SceneConfig;
use edge_video::Transport;
use protocol::event::Place;
use protocol::id::CameraId;
use protocol::{Digest, Point};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Table;

use super::faults::ConfigFault;
use super::{password, section};

/// One `[[camera]]`.
#[derive(Clone, Debug)]
pub struct CameraConfig {
    /// Its name on the wire.
    pub id: CameraId,
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
    /// Zones, lines, signals, rules.
    pub scene: SceneConfig,
    /// SHA-256 of this camera's table, written on every event.
    pub digest: Digest,
}

/// `camera.source`
#[derive(Clone, Debug)]
pub enum SourceConfig {
    /// A network camera.
    Rtsp(RtspConfig),
    /// A recording of what edge-core was given, played in real time.
    Recording(RecordingConfig),
}

/// `source = { rtsp = "…" }`
#[derive(Clone, Deserialize)]
pub struct RtspConfig {
    /// `rtsp://HOST[:PORT]/PATH`
    pub rtsp: String,
    /// User name, where the camera asks for one.
    pub user: Option<String>,
    /// Its password; `password_file` or `password_env` instead is better.
    password: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    /// How packets travel.
    #[serde(default)]
    pub transport: Transport,
    /// Jitter buffer. ms.
    #[serde(default = "default_latency_ms")]
    pub latency_ms: u32,
    /// After this long without a picture the connection is made anew. s.
    #[serde(default = "default_silent_after_s")]
    pub silent_after_s: f64,
    /// After this long of the same picture the camera is called frozen; 0 never. s.
    #[serde(default = "default_frozen_after_s")]
    pub frozen_after_s: f64,
}

impl RtspConfig {
    /// The camera's password, or why it cannot be had.
    pub fn password(&self) -> Result<Option<String>, String> {
        password::reveal(
            self.password.as_deref(),
            self.password_file.as_deref(),
            self.password_env.as_deref(),
        )
    }
}

impl RtspConfig {
    /// What the stream is started with.
    pub fn stream_settings(
        &self,
        analysed_fps: Option<f64>,
    ) -> anyhow::Result<edge_video::RtspSettings> {
        Ok(edge_video::RtspSettings {
            user: self.user.clone(),
            password: self
                .password()
                .map_err(|reason| anyhow::anyhow!("{reason}"))?,
            transport: self.transport,
            latency_ms: self.latency_ms,
            silent_after: duration(self.silent_after_s),
            frozen_after: duration(self.frozen_after_s),
            analysed_fps,
            ..edge_video::RtspSettings::new(&self.rtsp)
        })
    }
}

impl std::fmt::Debug for RtspConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} over {:?}", self.rtsp, self.transport)
    }
}

fn default_latency_ms() -> u32 {
    100
}
fn default_silent_after_s() -> f64 {
    5.0
}
fn default_frozen_after_s() -> f64 {
    20.0
}

/// `source = { recording = "…" }`
#[derive(Clone, Debug, Deserialize)]
pub struct RecordingConfig {
    /// JSON lines of [`edge_core::Input`], or the same compressed as `.gz`.
    pub recording: PathBuf,
    /// Whether it starts again at its end.
    #[serde(default, rename = "loop")]
    pub repeat: bool,
    /// Width over height of the pictures drawn for stills.
    #[serde(default = "default_aspect")]
    pub aspect: f64,
}

fn default_aspect() -> f64 {
    16.0 / 9.0
}

/// `[camera.calibration]`
#[derive(Clone, Debug, Deserialize)]
pub struct CalibrationConfig {
    /// Surveyed points, four or more.
    #[serde(default)]
    pub points: Vec<SurveyedPoint>,
    /// Or the matrix itself: normalised picture coordinates to metres, row by row.
    pub image_to_ground: Option<[[f64; 3]; 3]>,
    /// Root mean square of the residuals that belong to `image_to_ground`. m.
    pub residual_m: Option<f64>,
}

/// A point that was measured in the picture and on the ground.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct SurveyedPoint {
    /// In the picture, fractions of width and height.
    pub image: Point,
    /// On the ground, metres from any origin, x to the right of y.
    pub ground: [f64; 2],
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
    let (scene_table, shell_table): (Table, Table) = table
        .clone()
        .into_iter()
        .filter(|(key, _)| key != "source")
        .partition(|(key, _)| SceneConfig::KEYS.contains(&key.as_str()));
    let (scene, scene_faults) = SceneConfig::from_table(&scene_table);
    faults.extend(scene_faults.into_iter().map(|fault| ConfigFault {
        line: None,
        path: section::join(at, &fault.path),
        message: fault.message,
    }));
    let keys: Option<CameraKeys> = section::read(&shell_table, at, faults);
    let source = read_source(table.get("source"), &format!("{at}.source"), folder, faults);
    let (keys, source) = (keys?, source?);
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
    if let Some(calibration) = &keys.calibration {
        match (calibration.points.len(), &calibration.image_to_ground) {
            (0, None) => refuse(
                "calibration",
                "give four or more `points` or an `image_to_ground` matrix",
            ),
            (1.., Some(_)) => {
                refuse(
                    "calibration",
                    "give `points` or `image_to_ground`, not both",
                );
            }
            (1..=3, None) => {
                refuse(
                    "calibration.points",
                    "four or more surveyed points are needed",
                );
            }
            _ => {}
        }
    }
    Some(CameraConfig {
        name: keys.name.unwrap_or_else(|| keys.id.to_string()),
        id: keys.id,
        place: keys.place.map(|place| Place {
            name: place.name,
            latitude: place.latitude,
            longitude: place.longitude,
        }),
        simulated: keys.simulated,
        source,
        analysed_fps: keys.analysed_fps,
        calibration: keys.calibration,
        scene,
        digest: Digest(Sha256::digest(table.to_string()).into()),
    })
}

fn read_source(
    value: Option<&toml::Value>,
    at: &str,
    folder: &Path,
    faults: &mut Vec<ConfigFault>,
) -> Option<SourceConfig> {
    let mut refuse = |path: String, message: String| {
        faults.push(ConfigFault {
            line: None,
            path,
            message,
        });
        None
    };
    let Some(toml::Value::Table(table)) = value else {
        let message = "where do the pictures come from? write source = { rtsp = \"rtsp://…\" } \
                       or source = { recording = \"FILE\" }";
        return refuse(at.to_owned(), message.to_owned());
    };
    match (table.contains_key("rtsp"), table.contains_key("recording")) {
        (true, false) => {
            let mut rtsp: RtspConfig = section::read(table, at, faults)?;
            let mut refuse = |key: &str, message: String| {
                faults.push(ConfigFault {
                    line: None,
                    path: format!("{at}.{key}"),
                    message,
                });
            };
            if !rtsp.rtsp.starts_with("rtsp://") && !rtsp.rtsp.starts_with("rtsps://") {
                refuse(
                    "rtsp",
                    format!("`{}` is not rtsp://HOST[:PORT]/PATH", rtsp.rtsp),
                );
            }
            if !(rtsp.silent_after_s >= 0.5 && rtsp.silent_after_s <= 3600.0) {
                refuse("silent_after_s", "between 0.5 and 3600 seconds".into());
            }
            if !(rtsp.frozen_after_s >= 0.0 && rtsp.frozen_after_s <= 86_400.0) {
                refuse(
                    "frozen_after_s",
                    "between 0 (never) and 86400 seconds".into(),
                );
            }
            rtsp.password_file = rtsp.password_file.map(|path| folder.join(path));
            if let Err(message) = rtsp.password() {
                refuse("", message);
            }
            Some(SourceConfig::Rtsp(rtsp))
        }
        (false, true) => {
            let mut recording: RecordingConfig = section::read(table, at, faults)?;
            recording.recording = folder.join(recording.recording);
            if !(recording.aspect > 0.1 && recording.aspect < 10.0) {
                faults.push(ConfigFault {
                    line: None,
                    path: format!("{at}.aspect"),
                    message: "width over height of the picture, for example 1.7778".into(),
                });
            }
            Some(SourceConfig::Recording(recording))
        }
        _ => refuse(
            at.to_owned(),
            "give one of `rtsp` and `recording`".to_owned(),
        ),
    }
}

/// Seconds of configuration as a duration; checked above to be sane.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
