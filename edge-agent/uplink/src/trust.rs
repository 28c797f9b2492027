//! Whom to trust and how to prove who we are: the same for broker and centre.
//!
//! Files are read once, when the uplink starts or is probed, so that a wrong
//! one is an error with its name instead of a failed handshake at night.
//!
//! TLS 1.3 is spoken and nothing older, unless the settings say that the broker
//! needs 1.2: in 1.2 the box's certificate crosses the line unencrypted.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{AlertDescription, ClientConfig, PeerIncompatible, RootCertStore, version};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::settings::{Broker, UplinkError, UplinkSettings};

/// Authorities, and our own certificate where there is one.
pub(crate) struct Trust {
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    allow_tls12: bool,
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The same pair as the HTTP client wants it.
    for_https: ClientCert,
}

impl Trust {
    /// What the addresses need: nothing, where neither is one of TLS.
    pub(crate) fn needed(
        settings: &UplinkSettings,
        broker: &Broker,
    ) -> Result<Option<Self>, UplinkError> {
        let is_needed = broker.is_tls || settings.evidence_url.starts_with("https");
        is_needed.then(|| Self::load(settings)).transpose()
    }

    /// For this broker.
    pub(crate) fn for_broker(
        trust: Option<&Self>,
        broker: &Broker,
    ) -> Result<Option<Arc<ClientConfig>>, UplinkError> {
        let trust = trust.filter(|_| broker.is_tls);
        trust.map(Self::for_mqtt).transpose()
    }

    fn load(settings: &UplinkSettings) -> Result<Self, UplinkError> {
        let authorities = if let Some(file) = &settings.ca_file {
            certificates(file)?
        } else {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "an authority of the system cannot be read");
            }
            found.certs
        };
        let identity = match (&settings.cert_file, &settings.key_file) {
            (None, None) => None,
            (Some(chain), Some(key)) => Some(Identity::load(chain, key)?),
            _ => return Err(UplinkError::HalfAPair),
        };
        Ok(Self {
            authorities,
            identity,
            allow_tls12: settings.allow_tls12,
        })
    }

    /// For MQTT.
    fn for_mqtt(&self) -> Result<Arc<ClientConfig>, UplinkError> {
        let mut roots = RootCertStore::empty();
        // The system's store holds some that rustls rightly refuses; a file of ours may not.
        let (taken, _) = roots.add_parsable_certificates(self.authorities.iter().cloned());
        if taken == 0 {
            return Err(UplinkError::Tls(
                "no usable authority; set `ca_file` to the broker's".to_owned(),
            ));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions: &[_] = if self.allow_tls12 {
            &[&version::TLS13, &version::TLS12]
        } else {
            &[&version::TLS13]
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|e| UplinkError::Tls(e.to_string()))?
            .with_root_certificates(roots);
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(own) => builder
                .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
                .map_err(|e| UplinkError::Tls(e.to_string()))?,
        };
        Ok(Arc::new(config))
    }

    /// For HTTPS.
    pub(crate) fn for_https(&self) -> TlsConfig {
        let roots: Vec<_> = self.authorities.iter().map(for_https).collect();
        TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(only_tls13()))
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(self.identity.as_ref().map(|own| own.for_https.clone()))
            .build()
    }
}

/// The HTTP client offers every version for which it is given a cipher suite.
fn only_tls13() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.tls13().is_some());
    provider
}

/// Whether a handshake failed because the other side does not know TLS 1.3.
pub(crate) fn is_of_old_tls(error: &rustls::Error) -> bool {
    use rustls::Error as E;
    matches!(
        error,
        // What OpenSSL, then what a program from before 1.3 says to our greeting.
        E::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure)
            | E::PeerIncompatible(
                PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                    | PeerIncompatible::ServerDoesNotSupportTls12Or13
            )
    )
}

impl Identity {
    fn load(chain_file: &Path, key_file: &Path) -> Result<Self, UplinkError> {
        let chain = certificates(chain_file)?;
        let fault = |reason: String| UplinkError::Pem {
            path: key_file.to_owned(),
            reason,
        };
        let pem = std::fs::read(key_file).map_err(|e| fault(e.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|e| fault(e.to_string()))?;
        let https_key = PrivateKey::from_pem(&pem).map_err(|e| fault(e.to_string()))?;
        is_usable(&chain, &key).map_err(|reason| UplinkError::Pem {
            path: chain_file.to_owned(),
            reason: format!(
                "{reason}; it must be of X.509 version 3 and belong to the key in {}",
                key_file.display()
            ),
        })?;
        let https_chain: Vec<_> = chain.iter().map(for_https).collect();
        Ok(Self {
            for_https: ClientCert::new_with_certs(&https_chain, https_key),
            chain,
            key,
        })
    }
}

/// Whether TLS takes the pair. The HTTP client only finds out at its first request,
/// and then ends the thread.
fn is_usable(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
) -> Result<(), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .with_root_certificates(RootCertStore::empty())
        .with_client_auth_cert(chain.to_vec(), key.clone_key())
        .map(drop)
}

fn for_https(der: &CertificateDer<'static>) -> Certificate<'static> {
    Certificate::from_der(der).to_owned()
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, UplinkError> {
    let found = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| pem_fault(file, &e))?;
    if found.is_empty() {
        return Err(UplinkError::Pem {
            path: file.to_owned(),
            reason: "no certificate in it".to_owned(),
        });
    }
    Ok(found)
}

fn pem_fault(file: &Path, error: &rustls_pki_types::pem::Error) -> UplinkError {
    UplinkError::Pem {
        path: file.to_owned(),
        reason: error.to_string(),
    }
}
