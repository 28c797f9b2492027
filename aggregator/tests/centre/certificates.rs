//! Certificates of boxes at the front door: whose they are, and which are refused.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use aggregator::config::{Tls, Uploads};
use aggregator::tls::certificates;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::announced;
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
        let tls = self.tls(has_list);
        Running::with(|config| config.mqtt.as_mut().unwrap().tls = Some(tls))
    }

    /// Of a door for this authority's boxes.
    fn tls(&self, has_list: bool) -> Tls {
        let (server, key) = self.issue("centre", |params| {
            params.subject_alt_names =
                vec![rcgen::SanType::DnsName("localhost".try_into().unwrap())];
        });
        Tls {
            cert_file: self.write("server.pem", &server),
            key_file: self.write("server.key", &key),
            client_ca_file: Some(self.folder.path().join("ca.pem")),
            crl_file: has_list.then(|| self.revoke(1, &[])),
        }
    }

    /// What a client that shows this certificate, and trusts this authority, is set up with.
    fn client(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
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
        );
        Arc::new(config.unwrap())
    }

    /// The status of an answer at the door for evidence.
    fn ask(
        &self,
        door: SocketAddr,
        identity: Option<&Identity>,
        request: &str,
        body: &[u8],
    ) -> std::io::Result<String> {
        let name = "localhost".try_into().unwrap();
        let client = ClientConnection::new(self.client(identity), name);
        let socket = TcpStream::connect(door)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        let mut stream = StreamOwned::new(client.map_err(std::io::Error::other)?, socket);
        let head = format!(
            "{request} HTTP/1.1\r\nhost: centre.example\r\ncontent-type: image/jpeg\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat())?;
        let mut status = String::new();
        if BufReader::new(stream).read_line(&mut status)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(status.split(' ').nth(1).unwrap_or_default().to_owned())
    }

    /// Delivers an event of `speaker`, showing this certificate.
    fn deliver(
        &self,
        centre: &Running,
        speaker: &Speaker,
        identity: Option<&Identity>,
    ) -> Result<(), String> {
        let mut options = rumqttc::v5::MqttOptions::new("box", "localhost", centre.mqtt.port());
        options.set_transport(rumqttc::Transport::tls_with_config(
            rumqttc::TlsConfiguration::Rustls(self.client(identity)),
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

/// The API has no login, so boxes have a door of their own for evidence, with the
/// certificates of the front door.
#[test]
fn evidence_comes_by_https_from_boxes_only_and_nothing_else_is_served_there() {
    let authority = Authority::new();
    let centre = Running::with(|config| {
        config.uploads = Some(Uploads {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: authority.tls(true),
        });
    });
    let door = centre.uploads.unwrap();
    let (bytes, none): (&[u8], &[u8]) = (b"\xff\xd8 a still", &[]);
    let path = announced::path(bytes);
    let own = authority.issue("hanoi.b1", |params| {
        params.serial_number = Some(SerialNumber::from(7_u64));
    });
    let ask = |request: &str, body: &[u8]| authority.ask(door, Some(&own), request, body);
    for (request, body, expected) in [
        (format!("HEAD {path}"), none, "404"),
        (format!("PUT {path}"), bytes, "201"),
        (format!("PUT {path}"), bytes, "200"),
        (format!("HEAD {path}"), none, "200"),
        (format!("GET {path}"), none, "405"),
        ("GET /".to_owned(), none, "404"),
        // The guard of names stands before it, as at the API.
        ("GET /api/v1/alerts".to_owned(), none, "403"),
        ("GET /metrics".to_owned(), none, "404"),
    ] {
        assert_eq!(ask(&request, body).unwrap(), expected, "{request}");
    }
    assert_eq!(centre.api().get(&path).body, bytes);

    let expired = authority.issue("hanoi.b1", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let stranger = Authority::new().issue("hanoi.b1", |_| {});
    let request = format!("HEAD {path}");
    for identity in [None, Some(&expired), Some(&stranger)] {
        let told = authority.ask(door, identity, &request, none);
        assert!(told.is_err(), "{told:?}");
    }
    authority.revoke(2, &[7]);
    eventually("the stolen box is refused", || ask(&request, none).err());
    let other = authority.issue("hanoi.b1", |_| {});
    let told = authority.ask(door, Some(&other), &request, none);
    assert_eq!(told.unwrap(), "200");
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
