//! A message that is larger than the broker takes, made small enough.
//!
//! The centre receipts up to the first hole, so a message that cannot be sent
//! would hold up every later one. It is therefore sent with less in it, under
//! its own id and sequence: that something happened, where and when, comes
//! first; how it looked on the way comes last. What was left out stands in the
//! event's facts. The row in the outbox is not touched: a broker that takes
//! more gets the whole message.

use protocol::envelope::{EVENT_TYPE, EVIDENCE_TYPE};
use protocol::event::{Provenance, Value, Words};
use protocol::evidence::{EvidenceRole, Missing};
use protocol::{Envelope, Event, EvidenceManifest};
use serde::Serialize;
use serde_json::value::RawValue;

/// Fact of an event that says what was left out.
const LEFT_OUT: &str = "left_out";

type Step = (&'static str, fn(&mut Event));

/// What an event can do without, the least important first.
const STEPS: [Step; 4] = [
    ("paths", |event| {
        for actor in &mut event.actors {
            actor.path.clear();
        }
    }),
    ("actors", |event| event.actors.clear()),
    ("facts, explanation", |event| {
        event.facts.clear();
        event.explanation.clear();
        event.looks.clear();
        event.provenance = Provenance::default();
    }),
    ("texts", |event| {
        event.place = None;
        event.title = Words::new(
            "Sự kiện quá lớn đối với máy chủ MQTT",
            "Event too large for the broker",
        );
    }),
];

/// The message in at most `room` bytes; `None` when there is no such form.
pub(crate) fn shorten(payload: &[u8], room: usize) -> Option<Vec<u8>> {
    let envelope: Envelope<&RawValue> = serde_json::from_slice(payload).ok()?;
    match envelope.kind.as_str() {
        EVENT_TYPE => event(serde_json::from_slice(payload).ok()?, room),
        EVIDENCE_TYPE => manifest(serde_json::from_slice(payload).ok()?, room),
        _ => None,
    }
}

fn event(mut envelope: Envelope<Event>, room: usize) -> Option<Vec<u8>> {
    let mut left_out = String::new();
    for (name, step) in STEPS {
        step(&mut envelope.data);
        if !left_out.is_empty() {
            left_out.push_str(", ");
        }
        left_out.push_str(name);
        let said = Value::from(left_out.as_str());
        envelope.data.facts.insert(LEFT_OUT.to_owned(), said);
        if let Some(payload) = fitting(&envelope, room) {
            return Some(payload);
        }
    }
    None
}

/// Fewer files announced than there are; the others arrive, but join no alert. What
/// is said of the files goes first, the longest of it before the rest, and in its place
/// it is said that the case has it; then pictures that the box has drawn in, then
/// from the end what is left; the signed case, which names every file, goes last.
/// What is gone is told as missing, where there is room for that.
fn manifest(mut envelope: Envelope<EvidenceManifest>, room: usize) -> Option<Vec<u8>> {
    let length = |words: &Words| words.en.len() + words.vi.len();
    let instead = Words::new("xem hồ sơ đã ký", "see the signed case");
    let items = envelope.data.items.iter().enumerate();
    let mut notes: Vec<(usize, usize)> = items
        .filter_map(|(place, item)| Some((length(item.note.as_ref()?), place)))
        .filter(|(bytes, _)| *bytes > length(&instead))
        .collect();
    notes.sort_unstable();
    for (_, place) in notes.into_iter().rev() {
        envelope.data.items[place].note = Some(instead.clone());
        if let Some(payload) = fitting(&envelope, room) {
            return Some(payload);
        }
    }
    for item in &mut envelope.data.items {
        item.note = None;
    }
    let mut gone: Vec<(EvidenceRole, usize)> = Vec::new();
    loop {
        if let Some(payload) = fitting(&envelope, room) {
            envelope.data.missing.extend(gone.into_iter().map(missing));
            return Some(fitting(&envelope, room).unwrap_or(payload));
        }
        let items = &mut envelope.data.items;
        let last = |is: fn(EvidenceRole) -> bool| items.iter().rposition(|item| is(item.role));
        let next = last(|role| role == EvidenceRole::StillAnnotated)
            .or_else(|| last(|role| role != EvidenceRole::CaseManifest))
            .or_else(|| last(|_| true))?;
        let role = items.remove(next).role;
        match gone.iter_mut().find(|(known, _)| *known == role) {
            Some((_, files)) => *files += 1,
            None => gone.push((role, 1)),
        }
    }
}

fn missing((role, files): (EvidenceRole, usize)) -> Missing {
    Missing {
        role,
        at: None,
        reason: Words {
            en: format!(
                "not announced, {files} in all: the broker's limit on the size of a message"
            ),
            vi: format!(
                "không được thông báo, tổng cộng {files}: giới hạn kích thước thông điệp của broker"
            ),
        },
    }
}

fn fitting<T: Serialize>(envelope: &Envelope<T>, room: usize) -> Option<Vec<u8>> {
    serde_json::to_vec(envelope)
        .ok()
        .filter(|payload| payload.len() <= room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::envelope::Delivery;
    use uuid::Uuid;

    use crate::envelope;
    use crate::outbox::samples::{at, box_id, camera, event, site};

    fn sealed<T: Serialize>(envelope: &Envelope<T>) -> Vec<u8> {
        let delivery = Delivery {
            outbox: Uuid::nil(),
            sequence: 7,
            sequencefloor: 3,
        };
        envelope::seal(&serde_json::to_string(envelope).unwrap(), delivery).unwrap()
    }

    fn long_event() -> Event {
        let mut event = event(1);
        event.title.vi = "ngã tư ".repeat(300);
        event
    }

    #[test]
    fn the_least_important_goes_first_and_what_is_gone_is_said() {
        let whole = sealed(&envelope::of_event(&long_event(), at(1)));
        let mut seen = Vec::new();
        for room in (0..=whole.len()).rev().step_by(50) {
            let Some(short) = shorten(&whole, room) else {
                continue;
            };
            let short: Envelope<Event> = serde_json::from_slice(&short).unwrap();
            let Value::Text(left_out) = &short.data.facts[LEFT_OUT] else {
                panic!("{:?}", short.data.facts);
            };
            if seen.last() != Some(left_out) {
                seen.push(left_out.clone());
            }
        }
        assert_eq!(
            seen,
            [
                "paths",
                "paths, actors",
                "paths, actors, facts, explanation",
                "paths, actors, facts, explanation, texts",
            ]
        );
    }

    #[test]
    fn a_manifest_announces_fewer_files() {
        let item = |n| protocol::EvidenceItem {
            role: protocol::evidence::EvidenceRole::StillClean,
            sha256: protocol::Digest([n; 32]),
            length: 1,
            media_type: "image/jpeg".to_owned(),
            captured: at(1),
            until: None,
            asked: None,
            note: None,
        };
        let manifest = EvidenceManifest {
            event: event(1).id,
            items: (0..20).map(item).collect(),
            missing: Vec::new(),
        };
        let (site, box_id, camera) = (site(), box_id(), camera());
        let whole = sealed(&envelope::of_evidence(
            (&site, &box_id, &camera),
            &manifest,
            at(1),
        ));
        let short = shorten(&whole, 2000).unwrap();
        let short: Envelope<EvidenceManifest> = serde_json::from_slice(&short).unwrap();
        assert!((1..19).contains(&short.data.items.len()));
        assert_eq!(short.data.items[0], item(0));
        assert_eq!(shorten(&whole, 100), None);
    }

    /// All notes once went when one was too long, and nothing said so: that a clip ends
    /// early stood in the case alone.
    #[test]
    fn of_what_is_said_of_files_the_longest_goes_first_and_that_is_said() {
        let item = |n: u8, letters: usize| protocol::EvidenceItem {
            role: EvidenceRole::StillClean,
            sha256: protocol::Digest([n; 32]),
            length: 1,
            media_type: "image/jpeg".to_owned(),
            captured: at(1),
            until: None,
            asked: None,
            note: Some(Words::new("v".repeat(letters), "e".repeat(letters))),
        };
        let manifest = EvidenceManifest {
            event: event(1).id,
            items: vec![item(1, 100), item(2, 1000), item(3, 10)],
            missing: Vec::new(),
        };
        let (site, box_id, camera) = (site(), box_id(), camera());
        let owner = (&site, &box_id, &camera);
        let whole = sealed(&envelope::of_evidence(owner, &manifest, at(1)));
        let said = |room: usize| -> Vec<Option<String>> {
            let short = shorten(&whole, room).unwrap();
            let short: Envelope<EvidenceManifest> = serde_json::from_slice(&short).unwrap();
            let notes = short.data.items.into_iter().map(|item| item.note);
            notes.map(|note| note.map(|words| words.en)).collect()
        };
        let [long, short] = [100, 10].map(|letters| Some("e".repeat(letters)));
        let instead = Some("see the signed case".to_owned());
        let room = whole.len();
        assert_eq!(said(room - 1), [long, instead.clone(), short.clone()]);
        assert_eq!(said(room - 2000), [instead.clone(), instead, short]);
        assert_eq!(said(room - 2200), [None, None, None]);
    }

    /// The case names every file; without it the alert would have no signed case.
    #[test]
    fn the_signed_case_is_announced_as_long_as_anything_is() {
        use EvidenceRole::{CaseManifest, Clip, StillAnnotated, StillClean};
        let item = |n, role| protocol::EvidenceItem {
            role,
            sha256: protocol::Digest([n; 32]),
            length: 1,
            media_type: "image/jpeg".to_owned(),
            captured: at(1),
            until: None,
            asked: None,
            note: Some(Words {
                en: "from the second stream".to_owned(),
                vi: "luồng phụ".to_owned(),
            }),
        };
        let manifest = EvidenceManifest {
            event: event(1).id,
            items: vec![
                item(1, EvidenceRole::Clip),
                item(2, EvidenceRole::StillClean),
                item(3, EvidenceRole::StillAnnotated),
                item(4, EvidenceRole::CaseManifest),
            ],
            missing: Vec::new(),
        };
        let (site, box_id, camera) = (site(), box_id(), camera());
        let owner = (&site, &box_id, &camera);
        let whole = sealed(&envelope::of_evidence(owner, &manifest, at(1)));
        let mut seen: Vec<Vec<EvidenceRole>> = Vec::new();
        for room in (0..whole.len()).rev() {
            let Some(short) = shorten(&whole, room) else {
                continue;
            };
            let short: Envelope<EvidenceManifest> = serde_json::from_slice(&short).unwrap();
            let roles: Vec<_> = short.data.items.iter().map(|i| i.role).collect();
            if !roles.is_empty() && seen.last() != Some(&roles) {
                seen.push(roles);
            }
        }
        assert_eq!(
            seen.first().unwrap(),
            &[Clip, StillClean, StillAnnotated, CaseManifest]
        );
        assert_eq!(seen.last().unwrap(), &[CaseManifest]);
        for roles in &seen {
            assert_eq!(roles.last(), Some(&CaseManifest), "{roles:?}");
            let is_drawn_in = roles.contains(&StillAnnotated);
            assert!(
                !is_drawn_in || roles.len() == 4,
                "the drawn one goes first: {roles:?}"
            );
        }
    }

    #[test]
    fn what_is_neither_event_nor_manifest_has_no_shorter_form() {
        assert_eq!(shorten(b"{}", 1000), None);
        assert_eq!(shorten(b"\xff", 1000), None);
    }

    proptest! {
        /// Whatever the broker's limit: it fits, the centre can read it, and it is
        /// the same message about the same happening.
        #[test]
        fn the_short_form_fits_and_is_the_same_message(room in 0_usize..12_000) {
            let event = long_event();
            let whole = sealed(&envelope::of_event(&event, at(1)));
            if let Some(short) = shorten(&whole, room) {
                prop_assert!(short.len() <= room);
                let (short, whole): (Envelope<Event>, Envelope<Event>) =
                    (serde_json::from_slice(&short).unwrap(), serde_json::from_slice(&whole).unwrap());
                prop_assert_eq!((&short.id, &short.source, short.delivery), (&whole.id, &whole.source, whole.delivery));
                prop_assert_eq!((short.data.id, short.data.revision, short.data.phase), (event.id, event.revision, event.phase));
                prop_assert_eq!((short.data.onset, short.data.decided, short.data.kind), (event.onset, event.decided, event.kind));
            } else {
                prop_assert!(room < 1600, "{} bytes are enough for the smallest form", room);
            }
        }
    }
}
