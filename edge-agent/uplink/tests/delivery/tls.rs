//! TLS with certificates on both sides.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use edge_uplink::{UplinkError, UplinkSettings, probe};
use protocol::evidence::EvidenceRole;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::broker::Mosquitto;
use crate::evidence::Server;
use crate::samples::at;
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
    let mut broker = prepare_strict_broker(authority);
    broker.run();
    broker
}

fn prepare_strict_broker(authority: &Authority) -> Mosquitto {
    authority.issue("broker", "localhost");
    let file = |name| authority.file(name).display().to_string();
    Mosquitto::prepare(&format!(
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
    // The first only: no centre is there.
    until("it is sent", || uplink.status().sent >= 1);
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

    // Also where it is the evidence alone that goes over TLS.
    for broker in [good.url.clone(), "mqtt://127.0.0.1:1".to_owned()] {
        let mut mixed = good.clone();
        mixed.url = broker;
        mixed.evidence_url = "https://localhost:1".to_owned();
        mixed.key_file = Some(authority.file("broker.key"));
        let error = refusal(mixed);
        let said = error.to_string();
        assert!(matches!(error, UplinkError::Pem { .. }), "{said}");
        assert!(
            said.contains("box.pem") && said.contains("belong to the key in"),
            "{said}"
        );
    }

    let mut wrong = good;
    wrong.ca_file = Some(authority.file("box.key"));
    let error = refusal(wrong);
    assert!(
        error.to_string().contains("no certificate in it"),
        "{error}"
    );
}

/// A certificate of a box crosses a line in TLS 1.2 for everybody to read.
#[test]
fn a_broker_that_knows_only_tls_1_2_is_refused_in_words_until_it_is_allowed() {
    let authority = Authority::new();
    let mut broker = prepare_strict_broker(&authority);
    broker.forget_tls13();
    broker.run();
    let mut settings = box_settings(&broker, &authority);
    let report = probe(&settings, Duration::from_secs(20)).unwrap();
    let text = report.broker.unwrap_err().to_string();
    assert!(text.contains("`allow_tls12`"), "{text}");

    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    append(&outbox, 1..=5);
    let uplink = start(settings.clone(), &outbox);
    until("the refusal is told", || {
        let error = uplink.status().last_error.unwrap_or_default();
        error.contains("does not take TLS 1.3")
    });
    uplink.stop(Duration::ZERO);
    assert_eq!(outbox.waiting(), 5);

    settings.allow_tls12 = true;
    let uplink = start(settings, &outbox);
    until("it is sent", || uplink.status().sent >= 1);
}

/// In front of an HTTP server, as a centre's web server is.
fn https_before(
    port: u16,
    authority: &Authority,
    version: &'static rustls::SupportedProtocolVersion,
) -> u16 {
    authority.issue("web", "localhost");
    let chain = CertificateDer::pem_file_iter(authority.file("web.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(authority.file("web.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    // Ends with the process of the tests.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(mut near) = acceptor.accept(client).await
                        && let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await
                    {
                        drop(copy_bidirectional(&mut near, &mut far).await);
                    }
                });
            }
        });
    });
    own
}

#[test]
fn evidence_goes_over_tls_1_3_and_never_over_1_2() {
    let authority = Authority::new();
    let broker = Mosquitto::start();
    let server = Server::start();
    let mut settings = settings(&broker.url());
    settings.ca_file = Some(authority.file("ca.pem"));
    // It speaks of the broker only.
    settings.allow_tls12 = true;
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    outbox
        .put_evidence(b"still", EvidenceRole::StillClean, "image/jpeg", at(1))
        .unwrap();
    let mut at_web_server = |version| {
        let port = https_before(server.port, &authority, version);
        settings.evidence_url = format!("https://localhost:{port}");
        settings.clone()
    };

    let old = at_web_server(&rustls::version::TLS12);
    let fault = probe(&old, Duration::from_secs(20)).unwrap().evidence;
    let text = fault.unwrap_err().to_string();
    assert!(text.contains("`ssl_protocols TLSv1.3`"), "{text}");
    let uplink = start(old, &outbox);
    until("the refusal is told", || {
        let error = uplink.status().last_upload_error.unwrap_or_default();
        error.contains("does not take TLS 1.3")
    });
    drop(uplink);
    assert_eq!(server.shelf.lock().unwrap().puts, 0);

    let uplink = start(at_web_server(&rustls::version::TLS13), &outbox);
    until("it is uploaded", || uplink.status().uploads_done == 1);
    assert_eq!(server.shelf.lock().unwrap().puts, 1);
}
