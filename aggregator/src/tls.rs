//! Certificates and keys from files, for the front door and for the broker.
//!
//! TLS 1.3 is spoken and nothing older; only towards a broker that knows nothing
//! newer may the configuration allow 1.2.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, PeerIncompatible, RootCertStore, ServerConfig, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::Tls;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("{file}: {why}; it must be a PEM file that this user can read", file = file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The parts do not fit together.
    #[error("TLS: {0}; do certificate, key and authority belong together?")]
    Setup(String),
}

/// Certificates of a PEM file, at least one.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |why: String| TlsError::File {
        file: file.to_owned(),
        why,
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| fault(error.to_string()))?;
    if certificates.is_empty() {
        return Err(fault("no certificate in it".to_owned()));
    }
    Ok(certificates)
}

/// Revocation lists of a PEM file, at least one.
fn revocations(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let fault = |why: String| TlsError::File {
        file: file.to_owned(),
        why,
    };
    let lists: Vec<_> = CertificateRevocationListDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| fault(error.to_string()))?;
    if lists.is_empty() {
        return Err(fault("no revocation list (X509 CRL) in it".to_owned()));
    }
    Ok(lists)
}

/// How often it is looked whether the revocation list is another.
const LOOK: Duration = Duration::from_secs(1);

/// TLS of a door for boxes that follows its revocation list: a box that was stolen
/// is to be locked out without a restart that all others notice.
#[derive(Clone)]
pub struct Door {
    files: Tls,
    acceptor: TlsAcceptor,
    revised: Option<SystemTime>,
    looked: Instant,
}

impl Door {
    /// Reads the files.
    pub fn open(files: &Tls) -> Result<Self, TlsError> {
        Ok(Self {
            acceptor: acceptor(files)?,
            revised: revised(files),
            looked: Instant::now(),
            files: files.clone(),
        })
    }

    /// For the next client. A list that cannot be used changes nothing.
    pub(crate) fn acceptor(&mut self) -> TlsAcceptor {
        if self.files.crl_file.is_some() && self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            let now = revised(&self.files);
            if now != self.revised {
                self.revised = now;
                match acceptor(&self.files) {
                    Ok(acceptor) => {
                        self.acceptor = acceptor;
                        tracing::info!("the revocation list was read again");
                    }
                    Err(error) => tracing::error!(
                        security = "revocation_list",
                        %error,
                        "the new revocation list cannot be used; the old one counts"
                    ),
                }
            }
        }
        self.acceptor.clone()
    }
}

fn revised(files: &Tls) -> Option<SystemTime> {
    let file = files.crl_file.as_ref()?;
    std::fs::metadata(file)
        .and_then(|file| file.modified())
        .ok()
}

/// Why a handshake failed, in a word for logs and metrics.
pub(crate) fn refusal(error: &std::io::Error) -> &'static str {
    use rustls::{CertificateError as Why, Error};
    let error = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match error {
        Some(Error::NoCertificatesPresented) => "certificate_missing",
        Some(Error::InvalidCertificate(why)) => match why {
            Why::Expired | Why::ExpiredContext { .. } => "certificate_expired",
            Why::NotValidYet | Why::NotValidYetContext { .. } => "certificate_not_valid_yet",
            Why::Revoked => "certificate_revoked",
            Why::UnknownIssuer => "certificate_of_a_stranger",
            Why::UnknownRevocationStatus => "certificate_of_no_revocation_list",
            _ => "certificate_invalid",
        },
        Some(Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        )) => OLD_TLS,
        _ => "tls_handshake",
    }
}

/// The word for a client that does not know TLS 1.3.
const OLD_TLS: &str = "tls_too_old";

/// What to do about a refusal.
pub(crate) fn advice(refusal: &str) -> &'static str {
    if refusal == OLD_TLS {
        "a client that does not know TLS 1.3 was refused; bring it up to date"
    } else {
        "a TLS handshake failed; does the client have a certificate of our authority that is valid and not revoked?"
    }
}

fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Setup(error.to_string()))?;
    }
    Ok(roots)
}

/// TLS of a door for boxes; with `client_ca_file` a client must show a certificate
/// of that authority, and is who the certificate says, unless `crl_file` has it.
pub fn acceptor(files: &Tls) -> Result<TlsAcceptor, TlsError> {
    let Tls {
        cert_file,
        key_file,
        client_ca_file: client_ca,
        crl_file,
    } = files;
    let setup = |error: &dyn std::fmt::Display| TlsError::Setup(error.to_string());
    let key = private_key(key_file)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| setup(&error))?;
    let builder = match client_ca {
        Some(file) => {
            let mut verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots(file)?), provider);
            if let Some(file) = crl_file {
                // Of the box's certificate only: authorities in between are few
                // and are taken out of `client_ca_file`. A list that is not of
                // the certificate's authority lets nobody in.
                verifier = verifier
                    .with_crls(revocations(file)?)
                    .only_check_end_entity_revocation();
            }
            let verifier = verifier.build().map_err(|error| setup(&error))?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let config = builder
        .with_single_cert(certificates(cert_file)?, key)
        .map_err(|error| setup(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Whether a broker did not shake hands because it does not know TLS 1.3.
pub(crate) fn is_of_old_tls(error: &rumqttc::TlsError) -> bool {
    use rustls::{AlertDescription as Alert, Error as E};
    let error = match error {
        rumqttc::TlsError::TLS(error) => Some(error),
        rumqttc::TlsError::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    matches!(
        error,
        // What OpenSSL, then what a program from before 1.3 says to our greeting.
        Some(
            E::AlertReceived(Alert::ProtocolVersion | Alert::HandshakeFailure)
                | E::PeerIncompatible(
                    PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                        | PeerIncompatible::ServerDoesNotSupportTls12Or13
                )
        )
    )
}

/// TLS towards a broker. Without `ca_file` the system's authorities are trusted.
pub fn client(
    ca_file: Option<&Path>,
    identity: Option<(&Path, &Path)>,
    allow_tls12: bool,
) -> Result<ClientConfig, TlsError> {
    let setup = |error: &dyn std::fmt::Display| TlsError::Setup(error.to_string());
    let roots = ca_file.map_or_else(system_roots, roots)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[_] = if allow_tls12 {
        &[&version::TLS13, &version::TLS12]
    } else {
        &[&version::TLS13]
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| setup(&error))?
        .with_root_certificates(roots);
    match identity {
        Some((cert_file, key_file)) => builder
            .with_client_auth_cert(certificates(cert_file)?, private_key(key_file)?)
            .map_err(|error| setup(&error)),
        None => Ok(builder.with_no_client_auth()),
    }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        return Err(TlsError::Setup(
            "this system has no authorities; install ca-certificates or set broker.ca_file"
                .to_owned(),
        ));
    }
    Ok(roots)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| TlsError::File {
        file: file.to_owned(),
        why: error.to_string(),
    })
}

/// The common name of a certificate that rustls has verified; `None` when it
/// has none, or more than one and it is not clear which counts.
pub fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => name.as_str().ok().map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn certificate(names: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_common_name_is_read_and_a_strange_certificate_has_none() {
        let name = common_name(&certificate(&["hanoi.box-1"]));
        assert_eq!(name.as_deref(), Some("hanoi.box-1"));
        assert_eq!(common_name(&certificate(&[])), None);
        assert_eq!(
            common_name(&CertificateDer::from(vec![0x30, 0x03, 1])),
            None
        );
    }

    #[test]
    fn a_file_that_is_not_pem_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "hello").unwrap();
        let error = certificates(&file).unwrap_err().to_string();
        assert!(error.contains("ca.pem: no certificate in it"), "{error}");
        let error = certificates(Path::new("/nowhere/ca.pem")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
