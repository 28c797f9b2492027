//! TLS with certificates on both sides.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use edge_uplink::{UplinkError, UplinkSettings, probe};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::broker::Mosquitto;
use crate::{append, open, settings, start, until};

/// An authority, and a folder to write PEM files into.
struct Authority {
    dir: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A leaf with its issuer's name would pass for self-signed.
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { dir, issuer }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes `<name>.pem` and `<name>.key`.
    fn issue(&self, name: &str, host: &str) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![host.to_owned()])
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        fs::write(self.file(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// Asks every client for a certificate.
fn strict_broker(authority: &Authority) -> Mosquitto {
    authority.issue("broker", "localhost");
    let file = |name| authority.file(name).display().to_string();
    Mosquitto::with(&format!(
        "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
        file("ca.pem"),
        file("broker.pem"),
        file("broker.key")
    ))
}

fn box_settings(broker: &Mosquitto, authority: &Authority) -> UplinkSettings {
    authority.issue("box", "box-1");
    let mut settings = settings(&format!("mqtts://localhost:{}", broker.port));
    settings.ca_file = Some(authority.file("ca.pem"));
    settings.cert_file = Some(authority.file("box.pem"));
    settings.key_file = Some(authority.file("box.key"));
    settings
}

#[test]
fn a_box_with_a_certificate_delivers() {
    let authority = Authority::new();
    let broker = strict_broker(&authority);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    append(&outbox, 1..=50);
    let uplink = start(box_settings(&broker, &authority), &outbox);
    until("all is sent", || uplink.status().sent >= 50);
    assert!(uplink.status().connected);
    assert_eq!(uplink.status().failures, 0);
}

#[test]
fn a_stranger_authority_and_a_missing_certificate_are_named() {
    let authority = Authority::new();
    let broker = strict_broker(&authority);
    let good = box_settings(&broker, &authority);
    let fault = |settings: &UplinkSettings| {
        let report = probe(settings, Duration::from_secs(3)).unwrap();
        report.broker.unwrap_err().to_string()
    };

    let mut stranger = good.clone();
    let other = Authority::new();
    stranger.ca_file = Some(other.file("ca.pem"));
    let text = fault(&stranger);
    assert!(text.contains("check `ca_file`"), "{text}");

    let mut nameless = good.clone();
    (nameless.cert_file, nameless.key_file) = (None, None);
    let text = fault(&nameless);
    assert!(
        text.contains("CertificateRequired") && text.contains("`cert_file`"),
        "{text}"
    );

    let mut elsewhere = good;
    elsewhere.url = format!("mqtts://127.0.0.1:{}", broker.port);
    let text = fault(&elsewhere);
    assert!(
        text.contains("the name in the broker's certificate"),
        "{text}"
    );
}

#[test]
fn files_that_do_not_belong_together_are_refused_at_the_start() {
    let authority = Authority::new();
    let broker = strict_broker(&authority);
    let good = box_settings(&broker, &authority);
    let dir = tempfile::tempdir().unwrap();
    let refusal = |settings: UplinkSettings| {
        edge_uplink::Uplink::start(settings, open(&dir.path().join("outbox")))
            .err()
            .unwrap()
    };

    let mut half = good.clone();
    half.key_file = None;
    assert!(matches!(refusal(half), UplinkError::HalfAPair));

    let mut mixed = good.clone();
    mixed.key_file = Some(authority.file("broker.key"));
    let error = refusal(mixed);
    assert!(matches!(error, UplinkError::Tls(_)), "{error}");

    let mut wrong = good;
    wrong.ca_file = Some(authority.file("box.key"));
    let error = refusal(wrong);
    assert!(
        error.to_string().contains("no certificate in it"),
        "{error}"
    );
}
