//! What the process before did not live to finish: events that it had begun,
//! and stills that it owed. Nobody at the centre shall wait for either.

use anyhow::Context as _;
use edge_uplink::Outbox;
use protocol::event::Value;
use protocol::{Event, Phase};

use crate::case::Signer;

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
            return Ok(());
        }
        for due in owed {
            tracing::warn!(
                camera = %due.camera, id = %due.event,
                "the agent was killed before the stills were stored; this event has none"
            );
            let event = outbox
                .owed_event(due.event)
                .context("owed evidence could not be read")?;
            // An event without stills is a case all the same: its number is in the chain.
            let given_up = if let Some(event) = event {
                signer.append(outbox, &event, Vec::new(), now)
            } else {
                let whose = (&due.site, &due.box_id, &due.camera);
                outbox.give_up_evidence(whose, due.event, now)
            };
            given_up.context("owed evidence could not be given up")?;
        }
    }
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
