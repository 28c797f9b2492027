//! The configuration: a TOML file, and flags that overrule it.
//!
//! Unknown keys are refused with their line, because a misspelt key that is
//! ignored is a setting that the operator believes in.

mod check;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use protocol::Digest;
use serde::{Deserialize, Deserializer, de};

use crate::retention::Retention;

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of the database and the evidence.
    pub data_dir: PathBuf,
    /// The API and the screen.
    pub http: Http,
    /// Where boxes put evidence by HTTPS. Left out, they do at the API's address.
    pub uploads: Option<Uploads>,
    /// The front door. Left out, it is open on loopback unless there is a broker.
    pub mqtt: Option<Mqtt>,
    /// A broker that boxes use instead of the front door, or as well.
    pub broker: Option<Broker>,
    /// How messages are taken in.
    pub inbox: Inbox,
    /// How long evidence is kept.
    pub retention: Retention,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("ngatu-centre"),
            http: Http::default(),
            uploads: None,
            mqtt: None,
            broker: None,
            inbox: Inbox::default(),
            retention: Retention::default(),
        }
    }
}

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Names under which browsers may come, besides `localhost` and addresses.
    pub hosts: Vec<String>,
    /// File with the token that an upload of evidence needs.
    pub evidence_token_file: Option<PathBuf>,
    /// Largest file of evidence, in MiB.
    pub max_evidence_mb: u64,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Files of evidence that are checked and stored at a time.
    pub max_uploads: usize,
    /// How long what came of a file of evidence waits for the rest, in hours.
    pub keep_parts_h: u64,
    /// How long a caller may be silent in the middle of a request or between
    /// two, in seconds.
    pub idle_s: f64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: loopback(8800),
            hosts: Vec::new(),
            evidence_token_file: None,
            max_evidence_mb: 64,
            max_connections: 1000,
            max_uploads: 32,
            keep_parts_h: 24,
            idle_s: 20.0,
        }
    }
}

/// `[uploads]`: a door for evidence alone. The API has no login, so boxes on the
/// other side of a network must not have to reach it to put their pictures.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uploads {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// TLS, with certificates of boxes as at the front door.
    pub tls: Tls,
}

/// `[mqtt]`: the front door.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Most clients at a time.
    pub max_connections: usize,
    /// TLS.
    pub tls: Option<Tls>,
    /// `"<site>/<box>" = "<SHA-256 of its password>"`.
    #[serde(deserialize_with = "passwords")]
    pub passwords: Passwords,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            listen: loopback(1883),
            max_connections: 10_000,
            tls: None,
            passwords: Passwords::new(),
        }
    }
}

/// `<site>/<box>` → SHA-256 of its password.
///
/// A plain hash is enough for a secret that a machine made (`openssl rand -hex
/// 32`); the configuration's documentation says so.
pub type Passwords = BTreeMap<String, Digest>;

/// Reads the hashes. What is none is not repeated: it may be the password itself.
fn passwords<'de, D: Deserializer<'de>>(from: D) -> Result<Passwords, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(from)?;
    texts
        .into_iter()
        .map(|(name, text)| match text.parse() {
            Ok(hash) => Ok((name, hash)),
            Err(_) => Err(de::Error::custom(format!(
                "what stands for `{name}` is no SHA-256 of a password; make a password with \
                 `openssl rand -hex 32` and its hash with `printf %s \"$PASSWORD\" | sha256sum`"
            ))),
        })
        .collect()
}

impl Mqtt {
    /// Whether whoever comes in has proven which box they are.
    pub fn asks_for_proof(&self) -> bool {
        !self.passwords.is_empty()
            || self
                .tls
                .as_ref()
                .is_some_and(|tls| tls.client_ca_file.is_some())
    }
}

/// `[mqtt.tls]` and `[uploads.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate of the centre, PEM, with intermediates.
    pub cert_file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
    /// Authority of the boxes' certificates; with it, a box needs one, and is
    /// who its common name `<site>/<box>` says.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
    /// Revocation list of that authority, PEM; read again when the file changes.
    #[serde(default)]
    pub crl_file: Option<PathBuf>,
}

/// `[broker]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]`.
    pub url: String,
    /// User name.
    #[serde(default)]
    pub user: Option<String>,
    /// File with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Authority of the broker's certificate; the system's when left out.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Our certificate for the broker.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    /// Its key.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Whether a broker that knows nothing newer may be spoken to in TLS 1.2.
    #[serde(default)]
    pub allow_tls12: bool,
    /// Name of the shared subscription: copies of the centre with the same
    /// name share the events.
    #[serde(default = "default_group")]
    pub group: String,
}

fn default_group() -> String {
    "ngatu".to_owned()
}

impl Broker {
    /// A broker with nothing but an address.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            user: None,
            password_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            allow_tls12: false,
            group: default_group(),
        }
    }
}

/// `[inbox]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inbox {
    /// How far ahead of the centre's clock a capture time may be, in seconds.
    pub future_tolerance_s: f64,
    /// Most dead letters kept.
    pub dead_letters: u32,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            future_tolerance_s: 3600.0,
            dead_letters: 10_000,
        }
    }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration {file}: {source}; give the path of a file that this user can read", file = file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not understood.
    #[error("configuration {file}: {fault}", file = file.display())]
    NotUnderstood {
        /// Which.
        file: PathBuf,
        /// Where and why.
        fault: String,
    },
    /// The settings make no sense.
    #[error("{0}")]
    Senseless(String),
}

impl Config {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Unreadable {
            file: file.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|error: toml::de::Error| ConfigError::NotUnderstood {
            file: file.to_owned(),
            fault: error.to_string().trim_end().to_owned(),
        })
    }

    /// Which front door to open: the configured one; the default one when
    /// there is no broker either.
    pub fn front_door(&self) -> Option<Mqtt> {
        match (&self.mqtt, &self.broker) {
            (Some(mqtt), _) => Some(mqtt.clone()),
            (None, None) => Some(Mqtt::default()),
            (None, Some(_)) => None,
        }
    }
}

/// Reads a secret: the first line of a file.
pub fn secret(file: &Path) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Unreadable {
        file: file.to_owned(),
        source,
    })?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(ConfigError::NotUnderstood {
            file: file.to_owned(),
            fault: "its first line is empty; the secret must stand there".to_owned(),
        });
    }
    Ok(line.to_owned())
}

/// The hash by which a secret is compared.
pub fn hash(secret: &str) -> Digest {
    use sha2::{Digest as _, Sha256};
    Digest(Sha256::digest(secret.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("centre.toml");
        std::fs::write(&file, text).unwrap();
        let config = Config::read(&file).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = read("data_dir = \"/tmp/x\"\n\n[http]\nlisten = \"127.0.0.1:0\"\nport = 80\n")
            .unwrap_err();
        assert!(error.contains("line 5"), "{error}");
        assert!(error.contains("unknown field `port`"), "{error}");
        assert!(error.contains("listen"), "known keys are named: {error}");
    }

    #[test]
    fn the_front_door_is_open_unless_a_broker_takes_its_place() {
        let door = |text: &str| read(text).unwrap().front_door().map(|door| door.listen);
        assert_eq!(door(""), Some(loopback(1883)));
        assert_eq!(door("[broker]\nurl = \"mqtt://b\"\n"), None);
        assert_eq!(
            door("[mqtt]\nlisten = \"0.0.0.0:2883\"\n[broker]\nurl = \"mqtt://b\"\n"),
            Some("0.0.0.0:2883".parse().unwrap())
        );
    }

    #[test]
    fn the_example_in_the_documentation_is_understood() {
        let page = include_str!("../../docs/design/centre.md");
        let example = page
            .split("```toml\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next())
            .unwrap();
        // As it stands it opens no door: everybody can read the page.
        let error = read(example).unwrap_err();
        assert!(error.contains("hanoi/box-1"), "{error}");
        assert!(error.contains("sha256sum"), "says how to make one: {error}");
        let own = hash("a password of one's own").to_string();
        let (before, rest) = example.split_once("\"hanoi/box-1\" = \"").unwrap();
        let (_, after) = rest.split_once('"').unwrap();
        let config = read(&format!("{before}\"hanoi/box-1\" = \"{own}\"{after}")).unwrap();
        assert!(config.front_door().unwrap().asks_for_proof());
        assert_eq!(config.http.listen, Http::default().listen);
    }

    #[test]
    fn a_period_of_retention_is_never_or_a_day_at_least() {
        assert!(read("[retention]\nclip_days = 0\nstill_days = 1\n").is_ok());
        for days in ["0.5", "-1", "40000", "nan"] {
            let error = read(&format!("[retention]\ndismissed_days = {days}\n")).unwrap_err();
            assert!(
                error.contains("retention.dismissed_days must be"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_password_in_the_place_of_its_hash_is_not_repeated() {
        let error = read("[mqtt.passwords]\n\"hanoi/box-1\" = \"correct horse\"\n").unwrap_err();
        assert!(error.contains("is no SHA-256"), "{error}");
        assert!(!error.contains("correct horse"), "{error}");
    }

    #[test]
    fn a_secret_is_the_first_line_and_never_empty() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "s3cret \nmore\n").unwrap();
        assert_eq!(secret(&file).unwrap(), "s3cret");
        std::fs::write(&file, "\n").unwrap();
        assert!(secret(&file).is_err());
    }
}
