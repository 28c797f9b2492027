//! What no type can check: numbers, names, and the machine that it is to run on.
//!
//! Every fault is told at once. What is only unwise is a warning: the program
//! runs, and its operator has been told.

use std::fs::OpenOptions;
use std::io;
use std::net::Ipv6Addr;
use std::path::Path;

use super::{Config, ConfigError, Tls, secret};
use crate::broker;
use crate::frontdoor::parse_name;
use crate::tls;

/// More connections than any machine has ports for help nobody.
const MOST_CONNECTIONS: usize = 1_000_000;
/// The largest file of evidence that can be set, in MiB: 64 GiB.
const MOST_EVIDENCE_MB: u64 = 64 * 1024;
/// Each file that is being stored takes a few megabytes of memory.
const MOST_UPLOADS: usize = 1024;
/// A month, in hours.
const LONGEST_PARTS_H: u64 = 720;
/// The most dead letters, of 4 KiB each.
const MOST_DEAD_LETTERS: u32 = 10_000_000;
/// A year, in seconds.
const LONGEST_TOLERANCE_S: f64 = 365.0 * 86_400.0;

/// A period shorter than a day is a slip: nobody would have looked at the alert.
const SHORTEST_DAYS: f64 = 1.0;
/// A hundred years.
const LONGEST_DAYS: f64 = 36_525.0;

/// A fault unless `value` is within `range`.
fn within<T: PartialOrd + std::fmt::Display>(
    key: &str,
    value: &T,
    range: std::ops::RangeInclusive<T>,
) -> Option<String> {
    (!range.contains(value)).then(|| {
        format!(
            "{key} must be from {} to {}, not {value}",
            range.start(),
            range.end()
        )
    })
}

impl Config {
    /// Checks the settings by themselves; all faults at once.
    pub fn check(&self) -> Result<(), ConfigError> {
        told(&self.faults())
    }

    /// Checks the settings and what they name on this machine: folders,
    /// certificates, secrets. Changes nothing; all faults at once.
    pub fn check_machine(&self) -> Result<(), ConfigError> {
        let mut faults = self.faults();
        faults.extend(self.machine_faults());
        told(&faults)
    }

    fn faults(&self) -> Vec<String> {
        let http = &self.http;
        let mut faults: Vec<String> = [
            within(
                "inbox.future_tolerance_s",
                &self.inbox.future_tolerance_s,
                0.0..=LONGEST_TOLERANCE_S,
            ),
            within(
                "inbox.dead_letters",
                &self.inbox.dead_letters,
                1..=MOST_DEAD_LETTERS,
            ),
            within(
                "http.max_evidence_mb",
                &http.max_evidence_mb,
                1..=MOST_EVIDENCE_MB,
            ),
            within(
                "http.max_connections",
                &http.max_connections,
                1..=MOST_CONNECTIONS,
            ),
            within("http.max_uploads", &http.max_uploads, 1..=MOST_UPLOADS),
            within("http.keep_parts_h", &http.keep_parts_h, 1..=LONGEST_PARTS_H),
            within("http.idle_s", &http.idle_s, 0.1..=3600.0),
        ]
        .into_iter()
        .flatten()
        .collect();
        for (_, key, days) in self.retention.periods() {
            if days != 0.0 && !(SHORTEST_DAYS..=LONGEST_DAYS).contains(&days) {
                faults.push(format!(
                    "retention.{key} must be 0 (for ever) or from {SHORTEST_DAYS} to {LONGEST_DAYS}, not {days}"
                ));
            }
        }
        faults.extend(http.hosts.iter().filter_map(|host| host_fault(host)));
        if let Some(uploads) = &self.uploads {
            faults.extend(revocation_fault("uploads.tls", &uploads.tls));
            let others = [
                Some(http.listen),
                self.mqtt.as_ref().map(|mqtt| mqtt.listen),
            ];
            if uploads.listen.port() != 0 && others.contains(&Some(uploads.listen)) {
                faults.push(format!(
                    "uploads.listen is {} like http.listen or mqtt.listen; give each a port of its own",
                    uploads.listen
                ));
            }
        }
        if let Some(mqtt) = &self.mqtt {
            faults.extend(within(
                "mqtt.max_connections",
                &mqtt.max_connections,
                1..=MOST_CONNECTIONS,
            ));
            for name in mqtt.passwords.keys() {
                if parse_name(name).is_none() {
                    faults.push(format!(
                        "mqtt.passwords: `{name}` is no box; write \"<site>/<box>\""
                    ));
                }
            }
            let tls = mqtt.tls.as_ref();
            faults.extend(tls.and_then(|tls| revocation_fault("mqtt.tls", tls)));
            if mqtt.listen == http.listen && mqtt.listen.port() != 0 {
                faults.push(format!(
                    "http.listen and mqtt.listen are both {}; give each a port of its own",
                    mqtt.listen
                ));
            }
        }
        if let Some(broker) = &self.broker {
            if broker.cert_file.is_some() != broker.key_file.is_some() {
                faults.push("broker.cert_file and broker.key_file belong together".to_owned());
            }
            if broker.group.is_empty() || broker.group.contains(['/', '+', '#', '$']) {
                faults.push("broker.group must be a word without `/`, `+`, `#` and `$`".to_owned());
            }
            if let Err(fault) = broker::Address::parse(&broker.url) {
                faults.push(fault);
            }
        }
        faults
    }

    fn machine_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(error) = writable(&self.data_dir) {
            faults.push(format!(
                "data_dir: {error}; choose a folder that this user can write to, here or with --data-dir"
            ));
        }
        if let Some(file) = &self.http.evidence_token_file
            && let Err(error) = secret(file)
        {
            faults.push(format!("http.evidence_token_file: {error}"));
        }
        let of_mqtt = self.mqtt.as_ref().and_then(|mqtt| mqtt.tls.as_ref());
        let of_uploads = self.uploads.as_ref().map(|uploads| &uploads.tls);
        for (key, tls) in [("mqtt.tls", of_mqtt), ("uploads.tls", of_uploads)] {
            if let Some(tls) = tls
                && let Err(error) = tls::acceptor(tls)
            {
                faults.push(format!("{key}: {error}"));
            }
        }
        if let Some(broker) = &self.broker
            // A wrong address has been told already.
            && broker::Address::parse(&broker.url).is_ok()
            && let Err(error) = broker::Link::prepare(broker)
        {
            faults.push(format!("broker: {error}"));
        }
        faults
    }

    /// What is allowed and unwise.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let http = &self.http;
        if !http.listen.ip().is_loopback() {
            warnings.push(format!(
                "the API listens on {} and has no login: whoever reaches it sees every alert and \
                 decides about it; let it listen on 127.0.0.1 and put a proxy with TLS and a login \
                 in front",
                http.listen
            ));
            if http.evidence_token_file.is_none() {
                warnings.push(format!(
                    "whoever reaches {} can store evidence; set http.evidence_token_file",
                    http.listen
                ));
            }
        }
        if let Some(uploads) = &self.uploads
            && uploads.tls.client_ca_file.is_none()
            && http.evidence_token_file.is_none()
        {
            warnings.push(format!(
                "whoever reaches {} can store evidence; set uploads.tls.client_ca_file or \
                 http.evidence_token_file",
                uploads.listen
            ));
        }
        if let Some(mqtt) = self.front_door()
            && !mqtt.listen.ip().is_loopback()
            && !mqtt.asks_for_proof()
        {
            warnings.push(format!(
                "the front door on {} is open to other machines and nobody proves which box they \
                 are; set mqtt.tls.client_ca_file or [mqtt.passwords]",
                mqtt.listen
            ));
        }
        warnings
    }
}

fn told(faults: &[String]) -> Result<(), ConfigError> {
    if faults.is_empty() {
        Ok(())
    } else {
        Err(ConfigError::Senseless(faults.join("\n")))
    }
}

/// A list of revoked certificates where none is asked for.
fn revocation_fault(key: &str, tls: &Tls) -> Option<String> {
    (tls.crl_file.is_some() && tls.client_ca_file.is_none()).then(|| {
        format!(
            "{key}.crl_file is a list of revoked certificates of boxes; set {key}.client_ca_file, \
             or boxes need no certificate at all"
        )
    })
}

/// A name that no browser will ever send as the name of a host.
fn host_fault(host: &str) -> Option<String> {
    let wish = match host {
        _ if host.parse::<Ipv6Addr>().is_ok() => return None,
        _ if host.contains("://") || host.contains('/') => "write the name only, without a scheme",
        _ if host.contains(':') => "write the name without its port; every port counts",
        _ if host.is_empty() || host.contains(char::is_whitespace) || host.contains('*') => {
            "write one whole name, as in the browser's address line"
        }
        _ => return None,
    };
    Some(format!("http.hosts: `{host}` is no name of a host; {wish}"))
}

/// Whether files can be made in `folder`, or in the nearest one above it that
/// is there. Leaves nothing behind.
fn writable(folder: &Path) -> Result<(), String> {
    let mut place = folder;
    loop {
        match place.metadata() {
            Ok(found) if found.is_dir() => break,
            Ok(_) => return Err(format!("{} is no folder", place.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                place = match place.parent() {
                    Some(above) if !above.as_os_str().is_empty() => above,
                    _ => Path::new("."),
                };
            }
            Err(error) => return Err(format!("{}: {error}", place.display())),
        }
    }
    let trial = place.join(format!(".ngatu-check-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&trial);
    made.and_then(|_| std::fs::remove_file(&trial))
        .map_err(|error| format!("cannot write in {}: {error}", place.display()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn all_senseless_settings_are_told_at_once() {
        let error = config(
            "[http]\nmax_evidence_mb = 0\nmax_connections = 0\nidle_s = nan\n\
             max_uploads = 0\nkeep_parts_h = 0\n\
             hosts = [\"centre.example:8800\", \"http://x\", \"\", \"::1\", \"good.example\"]\n\
             [mqtt]\nmax_connections = 0\nlisten = \"127.0.0.1:8800\"\n\
             [broker]\nurl = \"http://x\"\ncert_file = \"c\"\n\
             [inbox]\nfuture_tolerance_s = -1.0\ndead_letters = 0\n",
        )
        .check()
        .unwrap_err()
        .to_string();
        for part in [
            "http.max_evidence_mb",
            "http.max_connections",
            "http.idle_s",
            "http.max_uploads",
            "http.keep_parts_h",
            "`centre.example:8800`",
            "without its port",
            "`http://x` is no name",
            "`` is no name",
            "mqtt.max_connections",
            "both 127.0.0.1:8800",
            "belong together",
            "mqtt://",
            "inbox.future_tolerance_s",
            "inbox.dead_letters",
        ] {
            assert!(error.contains(part), "{part} is missing in: {error}");
        }
        assert!(!error.contains("good.example") && !error.contains("`::1`"));
    }

    #[test]
    fn numbers_have_an_upper_end() {
        for (key, text) in [
            (
                "http.max_evidence_mb",
                "[http]\nmax_evidence_mb = 9223372036854775807",
            ),
            (
                "http.max_connections",
                "[http]\nmax_connections = 9223372036854775807",
            ),
            ("http.max_uploads", "[http]\nmax_uploads = 1025"),
            ("http.keep_parts_h", "[http]\nkeep_parts_h = 721"),
            ("http.idle_s", "[http]\nidle_s = 1e300"),
            (
                "mqtt.max_connections",
                "[mqtt]\nmax_connections = 9223372036854775807",
            ),
            (
                "inbox.future_tolerance_s",
                "[inbox]\nfuture_tolerance_s = inf",
            ),
            ("inbox.dead_letters", "[inbox]\ndead_letters = 4294967295"),
        ] {
            let error = config(text).check().unwrap_err().to_string();
            assert!(error.starts_with(key), "{key}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn what_the_machine_lacks_is_told_at_once_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "\n").unwrap();
        let name = file.display();
        let broken = config(&format!(
            "data_dir = \"{name}/data\"\n[http]\nevidence_token_file = \"{name}\"\n\
             [mqtt.tls]\ncert_file = \"{name}\"\nkey_file = \"/nowhere/centre.key\"\n\
             [broker]\nurl = \"mqtt://b\"\npassword_file = \"/nowhere/password\"\n"
        ));
        let error = broken.check_machine().unwrap_err().to_string();
        for part in [
            "data_dir: ",
            "http.evidence_token_file: ",
            "mqtt.tls: /nowhere/centre.key",
            "broker: configuration /nowhere/password",
        ] {
            assert!(error.contains(part), "{part} is missing in: {error}");
        }
        let good = Config {
            data_dir: folder.path().join("not/yet/there"),
            ..Config::default()
        };
        good.check_machine().unwrap();
        let left: Vec<PathBuf> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(left, [file]);
    }

    #[test]
    fn a_door_to_others_without_a_lock_is_warned_of() {
        for (text, expected) in [
            ("", [false; 3]),
            ("[http]\nlisten = \"0.0.0.0:8800\"", [true, true, false]),
            (
                "[http]\nlisten = \"[::]:8800\"\nevidence_token_file = \"t\"",
                [true, false, false],
            ),
            ("[mqtt]\nlisten = \"10.0.0.1:1883\"", [false, false, true]),
        ] {
            let warnings = config(text).warnings().join("\n");
            let found = ["has no login", "http.evidence_token_file", "front door"]
                .map(|part| warnings.contains(part));
            assert_eq!(found, expected, "{text}: {warnings}");
        }
    }
}
