//! Certificates of boxes at the front door: whose they are, and which are refused.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use aggregator::config::Tls;
use aggregator::tls::certificates;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::support::{DEADLINE, Running, Speaker, a_box, eventually};

/// An authority of boxes, and a folder for PEM files.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

type Identity = (String, String);

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of boxes");
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    fn issue(&self, common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// The list of what is revoked, in the file that the centre reads.
    fn revoke(&self, number: u64, serials: &[u64]) -> PathBuf {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2999, 1, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from(*serial),
                    revocation_time: date_time_ymd(2025, 1, 1),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).unwrap();
        self.write("boxes.crl", &list.pem().unwrap())
    }

    fn centre(&self, has_list: bool) -> Running {
        let (server, key) = self.issue("centre", |params| {
            params.subject_alt_names =
                vec![rcgen::SanType::DnsName("localhost".try_into().unwrap())];
        });
        let tls = Tls {
            cert_file: self.write("server.pem", &server),
            key_file: self.write("server.key", &key),
            client_ca_file: Some(self.folder.path().join("ca.pem")),
            crl_file: has_list.then(|| self.revoke(1, &[])),
        };
        Running::with(|config| config.mqtt.as_mut().unwrap().tls = Some(tls))
    }

    /// Delivers an event of `speaker`, showing this certificate.
    fn deliver(
        &self,
        centre: &Running,
        speaker: &Speaker,
        identity: Option<&Identity>,
    ) -> Result<(), String> {
        let files = identity.map(|(certificate, key)| {
            (
                self.write("client.pem", certificate),
                self.write("client.key", key),
            )
        });
        let files = files.as_ref();
        let config = aggregator::tls::client(
            Some(&self.folder.path().join("ca.pem")),
            files.map(|(certificate, key)| (certificate.as_path(), key.as_path())),
            false,
        )
        .unwrap();
        let mut options = rumqttc::v5::MqttOptions::new("box", "localhost", centre.mqtt.port());
        options.set_transport(rumqttc::Transport::tls_with_config(
            rumqttc::TlsConfiguration::Rustls(Arc::new(config)),
        ));
        let (client, mut connection) = rumqttc::v5::Client::new(options, 10);
        let letter = speaker.letter(1, 1);
        client
            .publish(speaker.event_topic(), QoS::AtLeastOnce, false, letter)
            .unwrap();
        loop {
            match connection.recv_timeout(DEADLINE).unwrap() {
                Ok(rumqttc::v5::Event::Incoming(Packet::PubAck(_))) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// How often clients were refused for this reason; 0 before the first.
fn refused(centre: &Running, reason: &str) -> f64 {
    let name = format!("aggregator_frontdoor_refused_total{{reason=\"{reason}\"}} ");
    let page = String::from_utf8(centre.api().get("/metrics").body).unwrap();
    let count = page.lines().find_map(|line| line.strip_prefix(&name));
    count.map_or(0.0, |count| count.parse().unwrap())
}

#[test]
fn a_certificate_says_which_box_it_is_and_a_wrong_one_is_refused_with_the_reason() {
    let authority = Authority::new();
    let centre = authority.centre(false);
    let speaker = a_box("b1", 1);
    let expired = authority.issue("hanoi.b1", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let stranger = Authority::new().issue("hanoi.b1", |_| {});
    for (identity, reason) in [
        (None, "certificate_missing"),
        (Some(expired), "certificate_expired"),
        // Of the same name and another key.
        (Some(stranger), "certificate_invalid"),
        (Some(authority.issue("hanoi.b2", |_| {})), "not_authorised"),
        (Some(authority.issue("somebody", |_| {})), "not_authorised"),
    ] {
        let before = refused(&centre, reason);
        authority
            .deliver(&centre, &speaker, identity.as_ref())
            .expect_err(reason);
        eventually(reason, || (refused(&centre, reason) > before).then_some(()));
    }
    assert_eq!(centre.api().alerts().len(), 0);
    let own = authority.issue("hanoi.b1", |_| {});
    authority.deliver(&centre, &speaker, Some(&own)).unwrap();
    assert_eq!(centre.api().alerts().len(), 1);
}

/// A box was stolen. The others notice nothing of its being locked out.
#[test]
fn a_revoked_certificate_is_refused_without_a_restart() {
    let authority = Authority::new();
    let centre = authority.centre(true);
    let speaker = a_box("b1", 1);
    let [stolen, other] = [7_u64, 8].map(|serial| {
        authority.issue("hanoi.b1", |params| {
            params.serial_number = Some(SerialNumber::from(serial));
        })
    });
    authority.deliver(&centre, &speaker, Some(&stolen)).unwrap();
    // A list that cannot be used changes nothing.
    authority.write("boxes.crl", "no list at all");
    eventually("the stolen box is still let in", || {
        authority.deliver(&centre, &speaker, Some(&stolen)).ok()
    });
    authority.revoke(2, &[7]);
    eventually("the stolen box is refused", || {
        authority.deliver(&centre, &speaker, Some(&stolen)).err()
    });
    assert!(refused(&centre, "certificate_revoked") > 0.0);
    authority.deliver(&centre, &speaker, Some(&other)).unwrap();
}

/// Both ends say why; a box of ours never offers less.
#[test]
fn a_client_that_does_not_know_tls_1_3_is_refused_at_both_ends_in_words() {
    let authority = Authority::new();
    let centre = authority.centre(false);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&authority.folder.path().join("ca.pem")).unwrap() {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(centre.mqtt).unwrap();
    let error = client.complete_io(&mut socket).unwrap_err().to_string();
    assert!(error.contains("ProtocolVersion"), "{error}");
    eventually("the refusal is counted by its reason", || {
        (refused(&centre, "tls_too_old") > 0.0).then_some(())
    });
}
