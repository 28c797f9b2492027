//! What the process before did not live to finish: events that it had begun,
//! and evidence that it owed. Nobody at the centre shall wait for either.

use anyhow::Context as _;
use case_bundle::Clock;
use edge_uplink::Outbox;
use protocol::event::{Value, Words};
use protocol::evidence::{EvidenceRole, Missing};
use protocol::{Event, EvidenceItem, Phase};

use super::evidence::held;
use crate::case::{Case, Signer};

/// Ends what is open and gives up what is owed. Once, before anything is watched.
///
/// A fault here, a full disk say, is no reason not to watch: it is logged, and
/// the next start tries again.
pub(super) fn settle(outbox: &Outbox, signer: &Signer) {
    if let Err(error) = try_settle(outbox, signer) {
        tracing::error!("what was left by the last run stays open: {error:#}");
    }
}

fn try_settle(outbox: &Outbox, signer: &Signer) -> anyhow::Result<()> {
    let now = super::now();
    // The lists come a thousand at a time.
    loop {
        let open = outbox
            .open_events()
            .context("open events could not be read")?;
        if open.is_empty() {
            break;
        }
        for event in open {
            let event = ended(event);
            tracing::warn!(
                camera = %event.camera, kind = %event.kind, id = %event.id,
                "the agent was killed while this went on; it is ended here"
            );
            outbox
                .append_event(&event, now)
                .context("an open event could not be ended")?;
        }
    }
    loop {
        let owed = outbox
            .evidence_outstanding()
            .context("owed evidence could not be read")?;
        if owed.is_empty() {
            held::clear(outbox.dir());
            return Ok(());
        }
        for due in owed {
            // What was stored before the kill is in the case, what was not never will be.
            let items = held::of(outbox.dir(), due.event);
            tracing::warn!(
                camera = %due.camera, id = %due.event, files = items.len(),
                "the agent was killed before the evidence was complete; the case says what is missing"
            );
            let event = outbox
                .owed_event(due.event)
                .context("owed evidence could not be read")?;
            // An event without stills is a case all the same: its number is in the chain.
            let given_up = if let Some(event) = event {
                let missing = missing(&items);
                let clock = Clock {
                    quality: event.time_quality,
                    // Measured by the process that was killed.
                    uncertainty_s: None,
                };
                let case = Case {
                    event: &event,
                    items,
                    missing,
                    clock,
                };
                signer.append(outbox, case, now)
            } else {
                let whose = (&due.site, &due.box_id, &due.camera);
                outbox.give_up_evidence(whose, due.event, now)
            };
            given_up.context("owed evidence could not be given up")?;
        }
    }
}

/// What a kill has left undone.
fn missing(items: &[EvidenceItem]) -> Vec<Missing> {
    let has = |role| items.iter().any(|item| item.role == role);
    [EvidenceRole::StillAnnotated, EvidenceRole::Clip]
        .into_iter()
        .filter(|role| !has(*role))
        .map(|role| Missing {
            role,
            at: None,
            reason: Words::new(
                "phần mềm trên thiết bị bị ngắt trước khi lưu",
                "the agent was killed before it was stored",
            ),
        })
        .collect()
}

/// The last revision of an event that nobody watched to its end.
///
/// It says only what was seen: it was over at the last moment that was told of.
fn ended(mut event: Event) -> Event {
    event.revision += 1;
    event.phase = Phase::End;
    event.ended = Some(event.decided.time);
    event
        .facts
        .insert("end_reason".to_owned(), Value::from("agent_restarted"));
    event
}
