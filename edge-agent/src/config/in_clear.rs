//! What the uplink would send so that others on the way can read it.
//!
//! No fault: a VPN or a cable of one's own may protect it, and this program
//! cannot see that. But nobody shall do it without knowing.

use std::net::IpAddr;

use super::{UplinkConfig, redacted};

impl UplinkConfig {
    /// What travels in the clear beyond this box, a sentence for each address.
    pub fn in_the_clear(&self) -> Vec<String> {
        let mut told = Vec::new();
        if leaves_in_the_clear(&self.url, "mqtt://") {
            let has_password = self.password.is_some()
                || self.password_file.is_some()
                || self.password_env.is_some();
            let secret = if has_password {
                " and the password, with which anybody can speak as this box"
            } else {
                ""
            };
            told.push(format!(
                "{} is not encrypted: whoever is on the way reads the events{secret}; use mqtts:// \
                 ([mqtt.tls] at the centre), or be sure that a VPN carries it",
                redacted(&self.url)
            ));
        }
        if leaves_in_the_clear(&self.evidence_url, "http://") {
            let secret = if self.evidence_token_file.is_some() {
                " and the token, with which anybody can store evidence"
            } else {
                ""
            };
            told.push(format!(
                "{} is not encrypted: whoever is on the way sees the pictures{secret}; use https:// \
                 ([uploads] at the centre, or a web server before it), or be sure that a VPN carries it",
                redacted(&self.evidence_url)
            ));
        }
        told
    }
}

/// Whether `url` is of this scheme and of another machine.
fn leaves_in_the_clear(url: &str, scheme: &str) -> bool {
    url.strip_prefix(scheme)
        .is_some_and(|rest| !is_loopback(rest))
}

/// Whether `HOST[:PORT][/…]` is this machine.
fn is_loopback(rest: &str) -> bool {
    let place = rest.split('/').next().unwrap_or_default();
    let host = match place.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => place.rsplit_once(':').map_or(place, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(keys: &str) -> Vec<String> {
        toml::from_str::<UplinkConfig>(keys).unwrap().in_the_clear()
    }

    #[test]
    fn what_leaves_this_box_unencrypted_is_told_with_the_secret_that_it_carries() {
        let both = told(
            "url = 'mqtt://centre.example:1883'\nuser = 'b'\npassword_file = 'p'\n\
             evidence_url = 'http://10.0.0.5:8800/'\nevidence_token_file = 't'\n",
        );
        let [events, pictures] = &both[..] else {
            panic!("{both:?}");
        };
        assert!(
            events.contains("centre.example") && events.contains("the password, with which"),
            "{events}"
        );
        assert!(
            pictures.contains("10.0.0.5") && pictures.contains("the token, with which"),
            "{pictures}"
        );
        assert!(pictures.contains("https://"), "{pictures}");
        let plain = told("url = 'mqtt://c'\nevidence_url = 'http://[2001:db8::1]:80'\n");
        assert_eq!(plain.len(), 2);
        assert!(!plain.concat().contains("with which"), "{plain:?}");
    }

    #[test]
    fn what_is_encrypted_or_stays_on_this_machine_is_not_told() {
        for (url, evidence_url) in [
            ("mqtts://c:8883", "https://c"),
            ("mqtt://localhost:1883", "http://LocalHost"),
            ("mqtt://127.0.0.1", "http://127.8.8.8:8800/x"),
            ("mqtt://[::1]:1883", "http://[::1]"),
        ] {
            let found = told(&format!("url = '{url}'\nevidence_url = '{evidence_url}'\n"));
            assert_eq!(found, [""; 0], "{url} {evidence_url}");
        }
    }
}
