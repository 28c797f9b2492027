//! The box's configuration: one TOML file, read strictly, all faults at once.
//!
//! Unknown keys are refused: a misspelt `min_dwell_s` that silently fell back
//! to its default would fine the wrong people. What a camera's rules may say is
//! edge-core's business ([`edge_core::SceneConfig`]); lines are added here.

mod address;
mod calibration;
mod camera;
mod cascade;
mod clip;
mod detect;
mod detector;
mod faults;
mod health;
mod in_clear;
mod locate;
mod password;
mod record;
mod section;
mod source;

use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::id::{BoxId, SiteId};
use serde::Deserialize;
use toml::Table;

pub use address::redacted;
pub use calibration::{CalibrationConfig, SurveyedPoint};
pub use camera::CameraConfig;
pub use cascade::{CascadeConfig, Looker};
pub use clip::{ClipConfig, LONGEST_RING_S};
pub use detect::{DetectConfig, InferenceConfig, TilesConfig};
pub use detector::{
    DetectorConfig, DeviceWords, PlatesConfig, ShadowConfig, THREADS, named_version,
};
pub use faults::{ConfigFault, ConfigFaults};
pub use health::PictureHealthConfig;
pub use record::{Bytes, RecordConfig};
pub use source::{RecordingConfig, RtspConfig, SourceConfig};

/// A configuration that has been checked as far as text can be.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Where it was read from.
    pub file: PathBuf,
    /// Who this box is.
    pub identity: BoxIdentity,
    /// Where it keeps what must survive.
    pub store: StoreConfig,
    /// Where events go; without it they stay in the outbox.
    pub uplink: Option<UplinkConfig>,
    /// What looks at the pictures.
    pub detector: DetectorConfig,
    /// How it divides its time.
    pub inference: InferenceConfig,
    /// Where numbers about the box can be read.
    pub metrics: Option<MetricsConfig>,
    /// What is kept of what the scenes saw.
    pub record: RecordConfig,
    /// What it watches.
    pub cameras: Vec<CameraConfig>,
}

/// `[box]`
#[derive(Clone, Debug, Deserialize)]
pub struct BoxIdentity {
    /// The installation it belongs to.
    pub site: SiteId,
    /// Its own name, unique within the site.
    pub id: BoxId,
}

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
pub struct StoreConfig {
    /// Folder of the outbox and the evidence.
    #[serde(default = "default_store_dir")]
    pub dir: PathBuf,
    /// Room that evidence may take before the oldest is given up. MiB.
    #[serde(default = "default_budget_mib")]
    pub budget_mib: u64,
    /// How long uploaded evidence stays on the box, for a centre that is restored
    /// from a backup. Hours.
    #[serde(default = "default_keep_h")]
    pub keep_evidence_h: u32,
    /// The same of clips; left out, as `keep_evidence_h`. Hours.
    pub keep_clips_h: Option<u32>,
    /// The same for messages that the centre has receipted. Hours.
    #[serde(default = "default_keep_h")]
    pub keep_receipted_h: u32,
    /// Over how long the questions are spread whether a centre that was opened anew
    /// still has the copies; 0: all at once. Minutes.
    #[serde(default = "default_ask_within_min")]
    pub ask_within_min: u32,
    /// The key that signs cases, PKCS#8 PEM; left out, one is made on the first
    /// start and kept in `keys/` of `dir`.
    pub signing_key_file: Option<PathBuf>,
}

fn default_store_dir() -> PathBuf {
    PathBuf::from("/var/lib/ngatu/edge")
}
fn default_budget_mib() -> u64 {
    4096
}
fn default_keep_h() -> u32 {
    48
}
fn default_ask_within_min() -> u32 {
    60
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            dir: default_store_dir(),
            budget_mib: default_budget_mib(),
            keep_evidence_h: default_keep_h(),
            keep_clips_h: None,
            keep_receipted_h: default_keep_h(),
            ask_within_min: default_ask_within_min(),
            signing_key_file: None,
        }
    }
}

impl StoreConfig {
    /// The same for the outbox.
    pub fn disk_budget(&self) -> edge_uplink::DiskBudget {
        edge_uplink::DiskBudget {
            max_bytes: self.budget_mib.saturating_mul(1024 * 1024),
            keep_uploaded: Duration::from_secs(u64::from(self.keep_evidence_h) * 3600),
            keep_clips: Duration::from_secs(
                u64::from(self.keep_clips_h.unwrap_or(self.keep_evidence_h)) * 3600,
            ),
            keep_receipted: Duration::from_secs(u64::from(self.keep_receipted_h) * 3600),
            ask_within: Duration::from_secs(u64::from(self.ask_within_min) * 60),
            ..edge_uplink::DiskBudget::default()
        }
    }
}

/// `[uplink]`
#[derive(Clone, Deserialize)]
pub struct UplinkConfig {
    /// `mqtt://HOST:PORT` or `mqtts://HOST:PORT`, a broker's or the centre's own.
    pub url: String,
    /// `http(s)://HOST:PORT` of the centre, where evidence is put.
    pub evidence_url: String,
    /// MQTT user name.
    pub user: Option<String>,
    /// MQTT password; `password_file` or `password_env` instead is better.
    password: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    /// PEM file of the authorities that sign the broker's and the centre's certificates.
    pub ca_file: Option<PathBuf>,
    /// PEM file of this box's certificate.
    pub cert_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
    /// Whether a broker that knows nothing newer may be spoken to in TLS 1.2.
    #[serde(default)]
    pub allow_tls12: bool,
    /// File that holds the bearer token for evidence.
    pub evidence_token_file: Option<PathBuf>,
    /// Most that evidence may take of the line, 1000 bits per second; left out: no limit.
    pub evidence_kbit_s: Option<u32>,
}

impl UplinkConfig {
    /// The MQTT password, or why it cannot be had.
    pub fn password(&self) -> Result<Option<String>, String> {
        password::reveal(
            self.password.as_deref(),
            self.password_file.as_deref(),
            self.password_env.as_deref(),
        )
    }
}

impl std::fmt::Debug for UplinkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (url, evidence) = (redacted(&self.url), redacted(&self.evidence_url));
        write!(f, "uplink to {url} and {evidence}")
    }
}

/// `[metrics]`
#[derive(Clone, Debug, Deserialize)]
pub struct MetricsConfig {
    /// Address for `/metrics` and `/healthz`, for example `127.0.0.1:9101`.
    pub listen: std::net::SocketAddr,
}

/// The top level.
const SECTIONS: [&str; 8] = [
    "box",
    "store",
    "uplink",
    "detector",
    "inference",
    "metrics",
    "record",
    "camera",
];

impl AgentConfig {
    /// A fault of `camera` that showed only when its parts were put together:
    /// `path` is relative to the camera's table. The line is read from the file
    /// again; `None` when that has changed meanwhile.
    pub fn camera_fault(&self, camera: &CameraConfig, path: &str, message: &str) -> ConfigFault {
        let path = section::join(&camera.path, path);
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let line = toml_edit::Document::parse(text.as_str())
            .ok()
            .and_then(|document| locate::line_of(&document, &path));
        ConfigFault {
            line,
            path,
            message: message.to_owned(),
        }
    }

    /// Reads `file`.
    pub fn load(file: &Path) -> Result<Self, ConfigFaults> {
        let text = std::fs::read_to_string(file)
            .map_err(|e| ConfigFaults::whole_file(file, format!("cannot be read: {e}")))?;
        Self::parse(&text, file)
    }

    /// Reads `text`; `file` is for messages, and relative paths start at its folder.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigFaults> {
        let document = toml_edit::Document::parse(text).map_err(|error| {
            let line = error.span().map(|span| locate::line_at(text, span.start));
            let message = format!("not TOML: {}", error.message());
            let fault = ConfigFault {
                line,
                path: String::new(),
                message,
            };
            ConfigFaults {
                file: file.to_owned(),
                faults: vec![fault],
            }
        })?;
        let table: Table = text
            .parse()
            // Not the error itself: it quotes the line, which may hold a password.
            .map_err(|e: toml::de::Error| {
                ConfigFaults::whole_file(file, format!("not TOML: {}", e.message()))
            })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut faults = Vec::new();
        let config = read_all(&table, file, folder, &mut faults);
        for fault in &mut faults {
            fault.line = locate::line_of(&document, &fault.path);
        }
        // Stable: what has no line (a missing section) comes first.
        faults.sort_by_key(|fault| fault.line);
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(ConfigFaults {
                file: file.to_owned(),
                faults,
            }),
        }
    }
}

fn read_all(
    table: &Table,
    file: &Path,
    folder: &Path,
    faults: &mut Vec<ConfigFault>,
) -> Option<AgentConfig> {
    let fault = |path: &str, message: String| ConfigFault {
        line: None,
        path: path.to_owned(),
        message,
    };
    for key in table.keys().filter(|key| !SECTIONS.contains(&key.as_str())) {
        let message = format!("no such section; there are {}", SECTIONS.join(", "));
        faults.push(fault(key, message));
    }
    let part = |name: &str, faults: &mut Vec<ConfigFault>| match table.get(name) {
        None => None,
        Some(toml::Value::Table(table)) => Some(table.clone()),
        Some(_) => {
            faults.push(fault(name, format!("this is a section; write [{name}]")));
            None
        }
    };
    let identity =
        part("box", faults).and_then(|table| section::read::<BoxIdentity>(&table, "box", faults));
    if !table.contains_key("box") {
        let message = "the section [box] with `site` and `id` is missing".to_owned();
        faults.push(fault("box", message));
    }
    let mut store = match part("store", faults) {
        Some(table) => section::read(&table, "store", faults).unwrap_or_default(),
        None => StoreConfig::default(),
    };
    store.dir = folder.join(&store.dir);
    store.signing_key_file = store.signing_key_file.map(|path| folder.join(path));
    let uplink = part("uplink", faults)
        .and_then(|table| section::read::<UplinkConfig>(&table, "uplink", faults))
        .map(|uplink| checked_uplink(uplink, folder, faults));
    let mut detector = part("detector", faults)
        .and_then(|table| section::read::<DetectorConfig>(&table, "detector", faults))
        .unwrap_or_default()
        .checked(folder, faults);
    let inference = part("inference", faults)
        .and_then(|table| section::read::<InferenceConfig>(&table, "inference", faults))
        .unwrap_or_default()
        .checked(faults);
    detector.batch = inference.batch();
    let metrics =
        part("metrics", faults).and_then(|table| section::read(&table, "metrics", faults));
    let record = part("record", faults)
        .and_then(|table| section::read::<RecordConfig>(&table, "record", faults))
        .unwrap_or_default()
        .checked(folder, faults);
    let cameras = camera::read_cameras(table, folder, faults);
    Some(AgentConfig {
        file: file.to_owned(),
        identity: identity?,
        store,
        uplink,
        detector,
        inference,
        metrics,
        record,
        cameras,
    })
}

/// Below, the centre takes an upload for one that has stalled.
const EVIDENCE_KBIT_S: std::ops::RangeInclusive<u32> = 32..=10_000_000;

fn checked_uplink(
    mut uplink: UplinkConfig,
    folder: &Path,
    faults: &mut Vec<ConfigFault>,
) -> UplinkConfig {
    let mut refuse = |path: &str, message: String| {
        faults.push(ConfigFault {
            line: None,
            path: path.to_owned(),
            message,
        });
    };
    let (url, evidence) = (&uplink.url, &uplink.evidence_url);
    if url.contains('@') {
        let message = "user and password do not belong into the address, which is written to logs; \
                       give them as `user` and `password_file`";
        refuse("uplink.url", message.to_owned());
    } else if !url.starts_with("mqtt://") && !url.starts_with("mqtts://") {
        let shown = redacted(url);
        let message = format!("`{shown}` is not mqtt://HOST:PORT or mqtts://HOST:PORT");
        refuse("uplink.url", message);
    } else if let Err(error) = edge_uplink::check_broker_address(url) {
        refuse("uplink.url", error.to_string());
    }
    if evidence.contains(['@', '?', '#']) {
        let message = "a password or token does not belong into the address, which is written to \
                       logs; write https://HOST:PORT and give the token as `evidence_token_file`";
        refuse("uplink.evidence_url", message.to_owned());
    } else if !evidence.starts_with("http://") && !evidence.starts_with("https://") {
        let shown = redacted(evidence);
        let message = format!("`{shown}` is not http://HOST:PORT or https://HOST:PORT");
        refuse("uplink.evidence_url", message);
    }
    if let Some(rate) = uplink.evidence_kbit_s
        && !EVIDENCE_KBIT_S.contains(&rate)
    {
        let (least, most) = (EVIDENCE_KBIT_S.start(), EVIDENCE_KBIT_S.end());
        let message = format!(
            "{rate} is not from {least} to {most} (1000 bits per second); leave it out for no limit"
        );
        refuse("uplink.evidence_kbit_s", message);
    }
    if uplink.cert_file.is_some() != uplink.key_file.is_some() {
        refuse(
            "uplink",
            "cert_file and key_file belong together; give both or none".into(),
        );
    }
    for file in [
        &mut uplink.ca_file,
        &mut uplink.cert_file,
        &mut uplink.key_file,
        &mut uplink.evidence_token_file,
        &mut uplink.password_file,
    ] {
        *file = file.take().map(|path| folder.join(path));
    }
    if let Err(message) = uplink.password() {
        refuse("uplink", message);
    }
    uplink
}
