//! Signs what this box saw.

use std::fs::File;
use std::io;

use case_bundle::manifest::AgentVersion;
use case_bundle::{BoxKey, Clock};
use edge_uplink::{CaseDraft, Outbox, OutboxError};
use protocol::{Digest, Event, EventTime, EvidenceItem, EvidenceManifest};
use sha2::{Digest as _, Sha256};

use super::keys::KeyStore;
use crate::config::AgentConfig;

/// The box's key and the name of this program.
#[derive(Debug)]
pub struct Signer {
    key: BoxKey,
    agent: AgentVersion,
}

impl Signer {
    /// Takes the box's key, and makes one on the first start.
    pub fn open(config: &AgentConfig) -> anyhow::Result<Self> {
        let (key, _) = KeyStore::of(config).open(crate::live::now())?;
        let sha256 = hash_of_this_program();
        if let Err(error) = &sha256 {
            tracing::warn!(%error, "cases will not say which file made them: this program cannot be read");
        }
        tracing::info!(key = %key.public().id(), "cases are signed");
        Ok(Self {
            key,
            agent: AgentVersion {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                sha256: sha256.ok(),
            },
        })
    }

    /// Signs the case of `event` with these files, or with none because there
    /// will be none, and announces it.
    pub fn append(
        &self,
        outbox: &Outbox,
        event: &Event,
        items: Vec<EvidenceItem>,
        observed: EventTime,
    ) -> Result<u64, OutboxError> {
        let draft = CaseDraft {
            event,
            items,
            clock: Clock {
                quality: event.time_quality,
                // Nothing on the box measures it yet; a guess would be signed.
                uncertainty_s: None,
            },
            agent: &self.agent,
        };
        match outbox.append_case(&draft, &self.key, observed) {
            Err(error @ OutboxError::NotSealed { .. }) => {
                // Pictures without a signature are worth more than no pictures.
                tracing::error!(camera = %event.camera, id = %event.id, %error, "the case is not signed");
                let whose = (&event.site, &event.box_id, &event.camera);
                let manifest = EvidenceManifest {
                    event: event.id,
                    items: draft.items,
                };
                outbox.append_evidence(whose, &manifest, observed)
            }
            done => done,
        }
    }
}

/// The file that runs, also when a newer one has taken its name since.
fn hash_of_this_program() -> io::Result<Digest> {
    let mut file = File::open("/proc/self/exe")?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(Digest(hash.finalize().into())),
            read => hash.update(&buffer[..read]),
        }
    }
}
