//! Signs what this box saw.

use std::fs::File;
use std::io;
use std::path::Path;

use case_bundle::manifest::{ActorPlaces, AgentVersion};
use case_bundle::{BoxKey, Clock};
use edge_uplink::{CaseDraft, Outbox, OutboxError};
use protocol::evidence::Missing;
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

/// What there is of an event.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The event as it was told last.
    pub event: &'a Event,
    /// Its files; none because there will be none.
    pub items: Vec<EvidenceItem>,
    /// Where its road users are in them.
    pub places: ActorPlaces,
    /// What should be among them and is not.
    pub missing: Vec<Missing>,
    /// How good the event's clock is.
    pub clock: Clock,
}

impl Signer {
    /// Takes the box's key, and makes one on the first start.
    pub fn open(config: &AgentConfig) -> anyhow::Result<Self> {
        Self::with(&KeyStore::of(config))
    }

    /// Takes the key that is in office there.
    pub fn with(keys: &KeyStore) -> anyhow::Result<Self> {
        let (key, _) = keys.open(crate::live::now())?;
        let sha256 = hash_of_this_program();
        if let Err(error) = &sha256 {
            tracing::warn!(%error, "cases will not say which file made them: this program cannot be read");
        }
        tracing::info!(key = %key.public().id(), "cases are signed");
        Ok(Self {
            key,
            agent: AgentVersion {
                version: crate::VERSION.to_owned(),
                sha256: sha256.ok(),
            },
        })
    }

    /// Signs a case and announces it.
    pub fn append(
        &self,
        outbox: &Outbox,
        case: Case<'_>,
        observed: EventTime,
    ) -> Result<u64, OutboxError> {
        let event = case.event;
        let draft = CaseDraft {
            event,
            items: case.items,
            places: case.places,
            missing: case.missing,
            clock: case.clock,
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
                    missing: draft.missing,
                };
                outbox.append_evidence(whose, &manifest, observed)
            }
            done => done,
        }
    }
}

/// The file that runs, also when a newer one has taken its name since.
fn hash_of_this_program() -> io::Result<Digest> {
    hash_of(Path::new("/proc/self/exe"))
}

/// The SHA-256 of a file.
pub(crate) fn hash_of(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(Digest(hash.finalize().into())),
            read => hash.update(&buffer[..read]),
        }
    }
}
