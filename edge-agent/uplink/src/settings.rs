//! Where to send, as whom, and how patiently.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use protocol::{BoxId, SiteId};

/// Where to send and as whom.
#[derive(Clone)]
pub struct UplinkSettings {
    /// Broker or the centre's own front door: `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]`.
    pub url: String,
    /// MQTT user, where the broker wants one.
    pub user: Option<String>,
    /// MQTT password.
    pub password: Option<String>,
    /// PEM file with the authorities to trust for broker and centre; without it the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file with this box's certificate chain; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM file with its private key.
    pub key_file: Option<PathBuf>,
    /// Whether the broker may be spoken to in TLS 1.2, too. Evidence always goes in 1.3.
    pub allow_tls12: bool,
    /// The centre, for example `https://centre.example`; evidence goes to
    /// `/api/v1/evidence/<sha256>` there. Empty: evidence stays on the box.
    pub evidence_url: String,
    /// Bearer token for the upload.
    pub evidence_token: Option<String>,
    /// Most that evidence may take of the line, 1000 bits per second, all uploads
    /// together; none: no limit.
    pub evidence_kbit_s: Option<u32>,
    /// Installation.
    pub site: SiteId,
    /// Box.
    pub box_id: BoxId,
    /// Version of the agent, for the box's status.
    pub version: String,
    /// Topics on the same broker whose messages [`crate::Uplink::signals`] hands out.
    pub signal_topics: Vec<String>,
    /// How patiently.
    pub pace: Pace,
}

impl UplinkSettings {
    /// No credentials, the system's authorities, no evidence upload, no signals.
    pub fn new(url: impl Into<String>, site: SiteId, box_id: BoxId) -> Self {
        Self {
            url: url.into(),
            user: None,
            password: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            allow_tls12: false,
            evidence_url: String::new(),
            evidence_token: None,
            evidence_kbit_s: None,
            site,
            box_id,
            version: String::new(),
            signal_topics: Vec::new(),
            pace: Pace::default(),
        }
    }

    pub(crate) fn broker(&self) -> Result<Broker, UplinkError> {
        Broker::parse(&self.url)
    }

    /// Base of the evidence URLs; `None` when nothing is uploaded.
    pub(crate) fn evidence_base(&self) -> Result<Option<String>, UplinkError> {
        let base = self.evidence_url.trim_end_matches('/');
        let base = base.strip_suffix("/api/v1/evidence").unwrap_or(base);
        if base.is_empty() {
            return Ok(None);
        }
        let host = base
            .strip_prefix("http://")
            .or_else(|| base.strip_prefix("https://"));
        match host {
            Some(host) if !host.is_empty() && !host.starts_with('/') => {
                Ok(Some(format!("{base}/api/v1/evidence")))
            }
            _ => Err(UplinkError::Url {
                url: without_user_info(&self.evidence_url),
                expected: "http://HOST[:PORT] or https://HOST[:PORT]",
            }),
        }
    }

    /// A text for people, without the user info of the evidence address: an
    /// error of the HTTP client may repeat the address.
    pub(crate) fn redacted(&self, text: &str) -> String {
        match user_info(&self.evidence_url) {
            Some(secret) if !secret.is_empty() => text.replace(&format!("{secret}@"), "…@"),
            _ => text.to_owned(),
        }
    }
}

/// An address as it may be shown: `https://me:secret@host` is `https://…@host`.
pub fn without_user_info(url: &str) -> String {
    let (scheme, rest) = split_scheme(url);
    rest.rsplit_once('@')
        .map_or_else(|| url.to_owned(), |(_, host)| format!("{scheme}…@{host}"))
}

/// What stands before the `@`. The last one counts: a password that was not
/// percent-encoded may have any character in it, and showing too little of an
/// odd address is better than showing a secret.
fn user_info(url: &str) -> Option<&str> {
    split_scheme(url)
        .1
        .rsplit_once('@')
        .map(|(secret, _)| secret)
}

/// `https://` and the rest.
fn split_scheme(url: &str) -> (&str, &str) {
    url.split_at(url.find("://").map_or(0, |colon| colon + 3))
}

/// Whether this is a broker's address, which only a connection would find out otherwise.
///
/// # Errors
///
/// What is expected instead.
pub fn check_broker_address(url: &str) -> Result<(), UplinkError> {
    Broker::parse(url).map(drop)
}

// By hand, so that no secret reaches a log.
impl fmt::Debug for UplinkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "…");
        f.debug_struct("UplinkSettings")
            .field("url", &without_user_info(&self.url))
            .field("user", &self.user)
            .field("password", &hidden(&self.password))
            .field("ca_file", &self.ca_file)
            .field("cert_file", &self.cert_file)
            .field("key_file", &self.key_file)
            .field("allow_tls12", &self.allow_tls12)
            .field("evidence_url", &without_user_info(&self.evidence_url))
            .field("evidence_token", &hidden(&self.evidence_token))
            .field("evidence_kbit_s", &self.evidence_kbit_s)
            .field("site", &self.site)
            .field("box_id", &self.box_id)
            .field("version", &self.version)
            .field("signal_topics", &self.signal_topics)
            .field("pace", &self.pace)
            .finish()
    }
}

/// How patiently. The defaults suit a mobile network; tests are more hasty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// First and shortest delay before a reconnection.
    pub reconnect_shortest: Duration,
    /// Longest delay before a reconnection.
    pub reconnect_longest: Duration,
    /// Time for TCP, TLS and the broker's answer together; whole seconds.
    pub connect: Duration,
    /// MQTT keep-alive; whole seconds, at least 5.
    pub keep_alive: Duration,
    /// Without an acknowledgement by the broker for this long the connection
    /// is given up and made anew, whatever the client library believes.
    pub acknowledgement: Duration,
    /// Without a receipt by the centre for this long what was sent is sent
    /// again; doubles while that does not help, up to five minutes.
    pub receipt: Duration,
    /// Messages sent and not yet receipted, at most.
    pub window: u64,
    /// First and shortest delay after a failed upload.
    pub upload_shortest: Duration,
    /// Longest delay after a failed upload.
    pub upload_longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            reconnect_shortest: Duration::from_millis(250),
            reconnect_longest: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            keep_alive: Duration::from_secs(15),
            acknowledgement: Duration::from_secs(20),
            receipt: Duration::from_secs(20),
            window: 500,
            upload_shortest: Duration::from_secs(1),
            upload_longest: Duration::from_mins(2),
        }
    }
}

/// Why the uplink cannot work as configured, or does not work now.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// Not an address.
    #[error("`{url}` is not an address; write {expected}")]
    Url {
        /// What was written.
        url: String,
        /// What to write.
        expected: &'static str,
    },
    /// A file of certificates or keys cannot be used.
    #[error("{path}: {reason}; give a PEM file that the agent may read")]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Only one of certificate and key.
    #[error("`cert_file` and `key_file` belong together; give both or none")]
    HalfAPair,
    /// The material does not make a working TLS client.
    #[error("tls: {0}; check that `key_file` belongs to `cert_file`")]
    Tls(String),
    /// The outbox failed.
    #[error(transparent)]
    Outbox(#[from] crate::outbox::OutboxError),
    /// The machine refused a thread or a runtime.
    #[error("cannot start the uplink: {0}; the machine is out of threads or memory")]
    Start(std::io::Error),
    /// The broker cannot be used now.
    #[error("broker {url}: {reason}")]
    Broker {
        /// Which.
        url: String,
        /// What happened and what to do.
        reason: String,
    },
    /// The centre takes no evidence now.
    #[error("evidence {url}: {reason}")]
    Evidence {
        /// Which.
        url: String,
        /// What happened and what to do.
        reason: String,
    },
}

/// A broker's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
}

impl Broker {
    fn parse(url: &str) -> Result<Self, UplinkError> {
        let fault = |expected| UplinkError::Url {
            url: without_user_info(url),
            expected,
        };
        let wanted = "mqtt://HOST[:PORT] or mqtts://HOST[:PORT]";
        let (is_tls, rest) = match url.split_once("://") {
            Some(("mqtt" | "tcp", rest)) => (false, rest),
            Some(("mqtts" | "ssl", rest)) => (true, rest),
            _ => return Err(fault(wanted)),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(fault(
                "user and password into `user` and `password`, not into the address",
            ));
        }
        if rest.contains(['/', '?', '#', ' ']) {
            return Err(fault(wanted));
        }
        // An IPv6 address stands in brackets, which the resolver understands.
        let colon = rest.rfind(':').filter(|at| !rest[*at..].contains(']'));
        let (host, port) = match colon {
            Some(at) => (
                &rest[..at],
                rest[at + 1..].parse().map_err(|_| fault(wanted))?,
            ),
            None => (rest, if is_tls { 8883 } else { 1883 }),
        };
        if host.is_empty() || port == 0 || (host.contains(':') && !host.starts_with('[')) {
            return Err(fault(wanted));
        }
        if is_tls && host.starts_with('[') {
            return Err(fault("a host name: certificates are checked against it"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            is_tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_nonsense_is_named() {
        for (url, host, port, is_tls) in [
            ("mqtt://broker", "broker", 1883, false),
            ("mqtt://10.0.0.1:11883/", "10.0.0.1", 11883, false),
            ("mqtts://broker.example", "broker.example", 8883, true),
            ("mqtt://[::1]:1884", "[::1]", 1884, false),
            ("mqtt://[::1]", "[::1]", 1883, false),
        ] {
            let host = host.to_owned();
            assert_eq!(
                Broker::parse(url).unwrap(),
                Broker { host, port, is_tls },
                "{url}"
            );
        }
        for bad in [
            "",
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt://:1883",
            "mqtt://b:port",
            "mqtt://b:0",
            "mqtt://b/path",
            "mqtt://::1",
            "mqtts://[::1]",
        ] {
            assert!(
                matches!(Broker::parse(bad), Err(UplinkError::Url { .. })),
                "{bad} was taken"
            );
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        let error = Broker::parse("mqtt://me:secret@broker")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("secret"), "{error}");
        assert!(error.contains("`password`"), "{error}");
        let mut settings = UplinkSettings::new(
            "mqtt://b",
            SiteId::new("s").unwrap(),
            BoxId::new("b").unwrap(),
        );
        settings.password = Some("secret".to_owned());
        settings.evidence_token = Some("secret".to_owned());
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn user_info_of_an_address_is_never_shown() {
        for (url, shown) in [
            ("https://me:secret@c:1/x", "https://…@c:1/x"),
            ("https://secret@c", "https://…@c"),
            ("https://me:secret/@secret@c", "https://…@c"),
            ("me:secret@c", "…@c"),
            ("https://@c", "https://…@c"),
            ("https://h@c", "https://…@c"),
            ("https://c/x", "https://c/x"),
            ("", ""),
        ] {
            assert_eq!(without_user_info(url), shown);
        }
        let mut settings = UplinkSettings::new(
            "mqtt://me:secret@b",
            SiteId::new("s").unwrap(),
            BoxId::new("b").unwrap(),
        );
        settings.evidence_url = "ftp://me:secret@c".to_owned();
        let error = settings.evidence_base().unwrap_err().to_string();
        assert!(error.contains("`ftp://…@c`"), "{error}");
        for shown in [
            format!("{settings:?}"),
            settings.redacted("bad uri ftp://me:secret@c/x"),
        ] {
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn the_evidence_address_may_be_the_centre_or_the_full_path() {
        let mut settings = UplinkSettings::new(
            "mqtt://b",
            SiteId::new("s").unwrap(),
            BoxId::new("b").unwrap(),
        );
        for (url, base) in [
            ("", None),
            ("http://c:1", Some("http://c:1/api/v1/evidence")),
            ("https://c/", Some("https://c/api/v1/evidence")),
            (
                "https://c/api/v1/evidence/",
                Some("https://c/api/v1/evidence"),
            ),
            ("https://c/city", Some("https://c/city/api/v1/evidence")),
        ] {
            settings.evidence_url = url.to_owned();
            assert_eq!(settings.evidence_base().unwrap().as_deref(), base, "{url}");
        }
        for bad in ["centre", "ftp://c", "http://", "http:///x"] {
            settings.evidence_url = bad.to_owned();
            assert!(settings.evidence_base().is_err(), "{bad} was taken");
        }
    }
}
