//! Cases: an event whose evidence is complete becomes a signed manifest, and the
//! camera's chain moves on by one, in the transaction that announces it.
//!
//! `kill -9` before that transaction leaves nothing; after it, everything: the
//! next start finds the manifest's bytes and makes the file. So no number is
//! given twice and none is left out.

use case_bundle::manifest::{
    ActorPlaces, AgentVersion, CASE_MEDIA_TYPE, CASE_SCHEMA, CaseManifest, CaseMedia, ChainLink,
    Clock,
};
use case_bundle::{BoxKey, Sealed};
use protocol::evidence::{EvidenceRole, Missing};
use protocol::{Event, EventTime, EvidenceItem, EvidenceManifest, topic};

use super::{Outbox, OutboxError, State};
use crate::database::{Message, Stored};
use crate::ledger::{self, Entry, Head};
use crate::{envelope, evidence, locks};

/// What a case is made of.
#[derive(Clone, Debug)]
pub struct CaseDraft<'a> {
    /// The event as it was told last.
    pub event: &'a Event,
    /// Its files, stored with [`Outbox::put_evidence`]. None: there is no
    /// evidence and there will be none.
    pub items: Vec<EvidenceItem>,
    /// Where the event's road users are in them.
    pub places: ActorPlaces,
    /// What should be among them and is not.
    pub missing: Vec<Missing>,
    /// How good the clock of the event's times is.
    pub clock: Clock,
    /// The program.
    pub agent: &'a AgentVersion,
}

impl Outbox {
    /// Signs the case of an event, moves its camera's chain on, and announces
    /// the files with the signed manifest among them; the message's sequence.
    ///
    /// As with [`Self::append_event`]: after an error that says that the message
    /// waits in memory the case is made, and must not be made again.
    pub fn append_case(
        &self,
        draft: &CaseDraft<'_>,
        key: &BoxKey,
        observed: EventTime,
    ) -> Result<u64, OutboxError> {
        let event = draft.event;
        let whose = (&event.site, &event.box_id, &event.camera);
        let camera = format!("{}/{}/{}", whose.0, whose.1, whose.2);
        // From reading the head to storing the next one nobody else may.
        let mut state = self.lock();
        let link = self.next_link(&state, &camera)?;
        let manifest = CaseManifest {
            schema: CASE_SCHEMA.to_owned(),
            event: event.clone(),
            clock: draft.clock,
            agent: draft.agent.clone(),
            media: CaseMedia::placed(&draft.items, &draft.places),
            missing: draft.missing.clone(),
            chain: link,
            sealed: observed,
            key: key.public().id(),
            fingerprints: std::collections::BTreeMap::new(),
        };
        let file = Sealed::seal(&manifest, key).map_err(|source| OutboxError::NotSealed {
            event: event.id,
            source,
        })?;
        let digest = Sealed::digest(&file);
        let mut items = draft.items.clone();
        items.push(EvidenceItem {
            role: EvidenceRole::CaseManifest,
            sha256: digest,
            length: file.len() as u64,
            media_type: CASE_MEDIA_TYPE.to_owned(),
            captured: event.decided.time,
            until: None,
            asked: None,
            note: None,
        });
        let announced = EvidenceManifest {
            event: event.id,
            items,
            missing: draft.missing.clone(),
        };
        let text = Self::written::<_, EvidenceManifest>(&envelope::of_evidence(
            whose, &announced, observed,
        ))
        .inspect_err(|_| state.messages_refused += 1)?;
        let files = draft.items.iter();
        let mut entries: Vec<Entry> = files
            .map(|item| Entry::Of {
                digest: item.sha256,
                camera: camera.clone(),
                event: event.id,
            })
            .collect();
        entries.extend([
            Entry::Settle(event.id),
            Entry::Chain(Head {
                camera,
                link,
                digest,
            }),
            Entry::File(digest, file),
        ]);
        let message = Message {
            stored: Stored {
                topic: topic::event(whose.0, whose.1, whose.2),
                envelope: text,
            },
            entries,
        };
        let sequence = self.append_message(&mut state, message)?;
        drop(state);
        self.inner.appended.notify_one();
        self.inner.stored.notify_one();
        Ok(sequence)
    }

    /// The place of the camera's next case; what waits in memory counts.
    fn next_link(&self, state: &State, camera: &str) -> Result<ChainLink, OutboxError> {
        let waiting = state
            .in_memory
            .iter()
            .rev()
            .flat_map(|message| &message.entries)
            .find_map(|entry| match entry {
                Entry::Chain(head) if head.camera == camera => Some(head.clone()),
                _ => None,
            });
        let head = match waiting {
            Some(head) => Some(head),
            None => self.named(ledger::head(&state.database.connection, camera))?,
        };
        Ok(head.map_or_else(
            || ChainLink::genesis(state.database.id),
            |head| head.link.next(head.digest),
        ))
    }

    /// Makes files of the manifests that are only in the database yet. What
    /// fails now, on a full disk say, is tried again after the next message and
    /// at the next start.
    pub(super) fn file_cases(&self, state: &mut State) {
        if let Err(error) = self.try_file_cases(state) {
            tracing::warn!(%error, "a signed case is kept in the outbox and is not a file yet");
        }
    }

    fn try_file_cases(&self, state: &mut State) -> Result<(), OutboxError> {
        for (digest, bytes) in self.named(ledger::case_files(&state.database.connection))? {
            let length = bytes.len() as u64;
            let path = self.file_path(&digest);
            // With the lock held: some kilobytes, and rarely more than one.
            let is_new = evidence::write(&self.inner.dir, &digest, &bytes)
                .map_err(|error| OutboxError::file(&path, error))?;
            if is_new {
                state.evidence_bytes += length;
            }
            let connection = &state.database.connection;
            let transaction = self.named(connection.unchecked_transaction())?;
            self.named(state.database.queue_file(&digest, length, CASE_MEDIA_TYPE))?;
            // Its row is younger than the message, so it is said here whose it is.
            if let Ok(case) = Sealed::open(&bytes)
                && let Ok(manifest) = serde_json::from_slice::<CaseManifest>(case.manifest)
            {
                let event = &manifest.event;
                let camera = format!("{}/{}/{}", event.site, event.box_id, event.camera);
                let of = locks::file_is_of(connection, &digest, event.id, Some(&camera));
                self.named(of)?;
            }
            self.named(ledger::forget_case_file(&transaction, &digest))?;
            self.named(transaction.commit())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
