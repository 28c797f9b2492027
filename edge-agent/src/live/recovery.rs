//! What the process before did not live to finish: events that it had begun,
//! and evidence that it owed. Nobody at the centre shall wait for either.

use std::collections::BTreeSet;

use case_bundle::Clock;
use case_bundle::manifest::ActorPlaces;
use edge_uplink::{EvidenceDue, Outbox, OutboxError};
use protocol::event::{Value, Words};
use protocol::{Event, EventId, EventTime, Phase};

use super::evidence::held::{self, Held};
use super::evidence::owed::not_made;
use crate::case::{Case, Signer};

/// Ends what is open and gives up what is owed. Once, before anything is watched.
///
/// A fault here, a full disk say, is no reason not to watch: it is logged. What
/// waits in memory then is written as soon as the disk takes it, and of the rest
/// the next start tries each again.
pub(super) fn settle(outbox: &Outbox, signer: &Signer) {
    let now = super::now();
    end_open(outbox, |event| outbox.append_event(event, now));
    let is_owed = each(
        "evidence that the last run owed",
        || outbox.evidence_outstanding(),
        |due| due.event,
        |due| give_up(outbox, signer, &due, now),
    );
    if !is_owed {
        held::clear(outbox.dir());
    }
}

/// Ends the events that the last run left open.
fn end_open(outbox: &Outbox, mut append: impl FnMut(&Event) -> Result<u64, OutboxError>) {
    each(
        "an event that the last run left open",
        || outbox.open_events(),
        |event| event.id,
        |event| {
            let mut event = ended(event);
            tracing::warn!(
                camera = %event.camera, kind = %event.kind, id = %event.id,
                "the agent was killed while this went on; it is ended here"
            );
            match append(&event) {
                Err(OutboxError::TooLarge { .. }) => {
                    // It just fitted before its end was added. Paths are for drawing.
                    for actor in &mut event.actors {
                        actor.path.clear();
                    }
                    append(&event)
                }
                done => done,
            }
        },
    );
}

/// Deals with each of a list, which comes a thousand at a time and grows shorter
/// by what is dealt with. One that fails does not hold up the others. Whether
/// anything is still to come, on the disk or at all.
fn each<T>(
    what: &str,
    list: impl Fn() -> Result<Vec<T>, OutboxError>,
    id: impl Fn(&T) -> EventId,
    mut deal: impl FnMut(T) -> Result<u64, OutboxError>,
) -> bool {
    let mut tried = BTreeSet::new();
    let mut is_left = false;
    loop {
        let mut found = match list() {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "{what}: the list cannot be read; the next start tries again");
                return true;
            }
        };
        found.retain(|one| tried.insert(id(one)));
        if found.is_empty() {
            return is_left;
        }
        for one in found {
            let event = id(&one);
            let Err(error) = deal(one) else {
                continue;
            };
            is_left = true;
            if error.is_kept() {
                tracing::warn!(%event, %error, "{what} is dealt with, and written when the disk takes it");
            } else {
                tracing::error!(%event, %error, "{what} stays as it is; the next start tries again");
            }
        }
    }
}

/// Signs the case of an event with the files that were stored before the kill.
fn give_up(
    outbox: &Outbox,
    signer: &Signer,
    due: &EvidenceDue,
    now: EventTime,
) -> Result<u64, OutboxError> {
    // What was stored before the kill is in the case, what was not never will be.
    let Held { items, at, .. } = held::of(outbox.dir(), due.event);
    tracing::warn!(
        camera = %due.camera, id = %due.event, files = items.len(),
        "the agent was killed before the evidence was complete; the case says what is missing"
    );
    // An event without stills is a case all the same: its number is in the chain.
    let Some(event) = outbox.owed_event(due.event)? else {
        let whose = (&due.site, &due.box_id, &due.camera);
        return outbox.give_up_evidence(whose, due.event, now);
    };
    let missing = not_made(&event, at.as_deref(), &items, &killed());
    let clock = Clock {
        quality: event.time_quality,
        // Measured by the process that was killed.
        uncertainty_s: None,
    };
    let case = Case {
        event: &event,
        items,
        places: ActorPlaces::new(),
        missing,
        clock,
    };
    signer.append(outbox, case, now)
}

fn killed() -> Words {
    Words::new(
        "phần mềm trên thiết bị bị ngắt trước khi lưu",
        "the agent was killed before it was stored",
    )
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use edge_uplink::DiskBudget;
    use protocol::Envelope;
    use uuid::Uuid;

    use super::*;

    const EVENT: &str = include_str!("../../../protocol/tests/wire/v1/event-wrong-way.json");

    /// An outbox with four events that go on.
    fn left() -> (tempfile::TempDir, Outbox, Vec<EventId>) {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(dir.path(), DiskBudget::default()).unwrap();
        let letter: Envelope<Event> = serde_json::from_str(EVENT).unwrap();
        let ids: Vec<EventId> = (1..=4).map(|n| EventId(Uuid::from_u128(n))).collect();
        for id in &ids {
            let event = Event {
                id: *id,
                phase: Phase::Start,
                ended: None,
                ..letter.data.clone()
            };
            outbox.append_event(&event, event.decided.time).unwrap();
        }
        (dir, outbox, ids)
    }

    fn full(kept: bool) -> OutboxError {
        let path = PathBuf::from("outbox.db");
        OutboxError::DiskFull { path, kept }
    }

    fn too_large(event: &Event) -> OutboxError {
        OutboxError::TooLarge {
            id: event.id.to_string(),
            bytes: 1 << 20,
        }
    }

    /// The first event that went into memory, because the disk was full, was taken
    /// for one that could not be ended, and all behind it stayed open.
    #[test]
    fn one_event_that_cannot_be_ended_does_not_leave_the_others_open() {
        let (_dir, outbox, ids) = left();
        let mut tried = Vec::new();
        end_open(&outbox, |event| {
            tried.push((event.id, event.actors[0].path.is_empty()));
            match event.id {
                id if id == ids[0] => Err(full(true)),
                // Its paths are what makes it too large.
                id if id == ids[1] && event.actors[0].path.is_empty() => {
                    outbox.append_event(event, event.decided.time)
                }
                id if id == ids[1] || id == ids[2] => Err(too_large(event)),
                _ => outbox.append_event(event, event.decided.time),
            }
        });
        let with_path = ids.iter().map(|id| (*id, false));
        let mut expected: Vec<(EventId, bool)> = with_path.collect();
        expected.insert(2, (ids[1], true));
        expected.insert(4, (ids[2], true));
        assert_eq!(
            tried, expected,
            "each once, and again only without its path"
        );
        let open = outbox.open_events().unwrap();
        let open: Vec<EventId> = open.iter().map(|event| event.id).collect();
        assert_eq!(open, [ids[0], ids[2]]);
    }

    #[test]
    fn notes_of_stills_stay_until_their_cases_are_on_the_disk() {
        let list = || Ok(vec![1_u128, 2]);
        let id = |n: &u128| EventId(Uuid::from_u128(*n));
        assert!(each("it", list, id, |n| if n == 1 {
            Err(full(true))
        } else {
            Ok(2)
        }));
        assert!(!each("it", list, id, |_| Ok(1)));
        assert!(each("it", || Err(full(false)), id, |_: u128| Ok(1)));
    }
}
