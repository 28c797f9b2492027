#![allow(clippy::needless_raw_string_hashes)] // as `UPDATE_EXPECT` writes them

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use protocol::evidence::EvidenceRole;
use protocol::{BoxId, EventTime, EvidenceItem, SiteId};
use uuid::Uuid;

use super::*;
use crate::key::BoxKey;
use crate::manifest::{AgentVersion, ChainLink, Clock};
use crate::ring::KeyRing;

/// An event as it travels, with everything that an event can have.
const EVENT: &str =
    include_str!("../../../protocol/tests/wire/v1/event-stopped-vehicle-1-start.json");

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) struct Shelf(pub(crate) Files);

impl MediaSource for Shelf {
    fn names(&mut self) -> Result<Vec<String>, String> {
        Ok(self
            .0
            .keys()
            .filter(|name| *name != CASE_FILE)
            .cloned()
            .collect())
    }

    fn open<'a>(&'a mut self, name: &str) -> io::Result<Option<Box<dyn Read + 'a>>> {
        Ok(self
            .0
            .get(name)
            .map(|bytes| Box::new(&bytes[..]) as Box<dyn Read>))
    }
}

pub(crate) fn key() -> BoxKey {
    BoxKey::from_seed(&[1; 32])
}

pub(crate) fn trust() -> Trust {
    let mut trust = Trust::default();
    trust.add_key(key().public());
    trust
}

pub(crate) fn manifest(chain: ChainLink, stills: &[&[u8]]) -> CaseManifest {
    let envelope: protocol::Envelope<protocol::Event> = serde_json::from_str(EVENT).unwrap();
    let event = envelope.data;
    let items: Vec<EvidenceItem> = stills
        .iter()
        .map(|bytes| EvidenceItem {
            role: EvidenceRole::StillClean,
            sha256: canonical::sha256(bytes),
            length: bytes.len() as u64,
            media_type: "image/jpeg".to_owned(),
            captured: event.decided.time,
            until: None,
            asked: None,
            note: None,
        })
        .collect();
    CaseManifest {
        schema: CASE_SCHEMA.to_owned(),
        clock: Clock {
            quality: event.time_quality,
            uncertainty_s: Some(0.25),
        },
        agent: AgentVersion {
            version: "1.2.3".to_owned(),
            sha256: Some(Digest([3; 32])),
        },
        media: CaseMedia::of(&items),
        missing: Vec::new(),
        chain,
        sealed: event.decided.time,
        key: key().public().id(),
        fingerprints: BTreeMap::new(),
        event,
    }
}

/// A sound bundle with two stills.
pub(crate) fn bundle(chain: ChainLink) -> Files {
    let stills: [&[u8]; 2] = [b"\xff\xd8 clean", b"\xff\xd8 annotated"];
    let manifest = manifest(chain, &stills);
    let mut files: Files = manifest
        .media
        .iter()
        .zip(stills)
        .map(|(item, bytes)| (item.name.clone(), bytes.to_vec()))
        .collect();
    files.insert(
        CASE_FILE.to_owned(),
        Sealed::seal(&manifest, &key()).unwrap(),
    );
    files
}

pub(crate) fn examine(files: Files, trust: &Trust) -> Report {
    let case = files.get(CASE_FILE).cloned().unwrap_or_default();
    verify(&case, trust, &mut Shelf(files))
}

fn sound() -> Files {
    bundle(ChainLink::genesis(Uuid::from_u128(1)))
}

/// What is told of a bundle after `change`.
#[allow(clippy::needless_pass_by_value)] // as everywhere with `expect!`
fn check(change: impl FnOnce(&mut Files), expected: Expect) {
    let mut files = sound();
    change(&mut files);
    let told: String = examine(files, &trust())
        .faults
        .iter()
        .map(|fault| fault.words().en + "\n")
        .collect();
    expected.assert_eq(&told);
}

/// Writes the manifest anew, as somebody would who has no key.
fn rewrite(files: &mut Files, change: impl FnOnce(&mut Value)) {
    let case = &files[CASE_FILE];
    let sealed = Sealed::open(case).unwrap();
    let mut value: Value = serde_json::from_slice(sealed.manifest).unwrap();
    change(&mut value);
    let mut file = b"{\"manifest\":".to_vec();
    file.extend(canonical::bytes_of(&value).unwrap());
    file.extend_from_slice(&case[case.len() - 144..]);
    files.insert(CASE_FILE.to_owned(), file);
}

/// Signs what no honest box would sign.
fn sign(files: &mut Files, change: impl FnOnce(&mut CaseManifest)) {
    let case = files[CASE_FILE].clone();
    let sealed = Sealed::open(&case).unwrap();
    let mut manifest: CaseManifest = serde_json::from_slice(sealed.manifest).unwrap();
    change(&mut manifest);
    files.insert(
        CASE_FILE.to_owned(),
        Sealed::seal(&manifest, &key()).unwrap(),
    );
}

#[test]
fn a_sound_bundle_has_no_fault() {
    check(|_| (), expect![""]);
}

/// What whoever keeps the case says of files that retention removed.
fn removed(shas: &[&str]) -> Vec<u8> {
    let list: Vec<Removal> = shas
        .iter()
        .map(|sha256| Removal {
            sha256: sha256.parse().unwrap(),
            at: "2027-11-26T00:00:00Z".parse().unwrap(),
            class: "still".to_owned(),
            days: 366.0,
        })
        .collect();
    serde_json::to_vec_pretty(&list).unwrap()
}

/// A list of removed files explains and never excuses, and speaks of nothing
/// that the case never had.
#[test]
fn what_retention_removed_is_said_instead_of_missing() {
    let gone = canonical::sha256(b"\xff\xd8 annotated").to_string();
    let other = canonical::sha256(b"another").to_string();
    check(
        |files| {
            files.remove("02-still_clean.jpg");
            files.insert("removed.json".to_owned(), removed(&[&gone]));
        },
        expect![[r#"
            file 02-still_clean.jpg was removed by retention on 2027-11-26T00:00:00.000000Z (`still`), as whoever handed the case over says: there is nothing to examine
        "#]],
    );
    for list in [removed(&[&gone, &other]), b"{}".to_vec(), Vec::new()] {
        check(
            |files| {
                files.remove("02-still_clean.jpg");
                files.insert("removed.json".to_owned(), list);
            },
            expect![[r#"
                file 02-still_clean.jpg is missing
                file removed.json does not belong to the case
            "#]],
        );
    }
    // A changed file is changed, whatever is said of it.
    check(
        |files| {
            files.get_mut("02-still_clean.jpg").unwrap().push(0);
            files.insert("removed.json".to_owned(), removed(&[&gone]));
        },
        expect![[r#"
            file 02-still_clean.jpg is longer; 12 bytes were signed
            file removed.json does not belong to the case
        "#]],
    );
}

/// The list is the one file of a bundle that nobody signed: a list of nothing,
/// or of files that are there, made room for anybody's words in a sound case.
#[test]
fn the_list_of_removed_files_says_nothing_else() {
    let gone = canonical::sha256(b"\xff\xd8 annotated").to_string();
    let present = canonical::sha256(b"\xff\xd8 clean").to_string();
    let text = |list: Vec<u8>| String::from_utf8(list).unwrap();
    let of_gone = text(removed(&[&gone]));
    let extra = "file removed.json does not belong to the case";
    let missing = "file 02-still_clean.jpg is missing";
    let whole: &[&str] = &[extra];
    let cut: &[&str] = &[missing, extra];
    for (is_cut, list, expected) in [
        (false, "[]".to_owned(), whole),
        (false, text(removed(&[&present])), whole),
        (false, of_gone.clone(), whole),
        (true, "[]".to_owned(), cut),
        (true, text(removed(&[&gone, &present])), cut),
        (true, text(removed(&[&gone, &gone])), cut),
        (
            true,
            of_gone.replace("\"days\"", "\"why\":\"he paid\",\"days\""),
            cut,
        ),
        (
            true,
            of_gone.replace("\"still\"", "\"He paid, let him go\""),
            cut,
        ),
        (
            true,
            of_gone.replace("\"still\"", &format!("\"{}\"", "x".repeat(33))),
            cut,
        ),
        (true, of_gone.clone() + "\n\n", cut),
        (
            true,
            of_gone.clone(),
            &[
                "file 02-still_clean.jpg was removed by retention on 2027-11-26T00:00:00.000000Z (`still`), as whoever handed the case over says: there is nothing to examine",
            ],
        ),
    ] {
        let mut files = sound();
        if is_cut {
            files.remove("02-still_clean.jpg");
        }
        files.insert("removed.json".to_owned(), list.clone().into_bytes());
        let faults = examine(files, &trust()).faults;
        let told: Vec<String> = faults.iter().map(|fault| fault.words().en).collect();
        assert_eq!(told, expected, "{list}");
    }
}

#[test]
fn a_changed_missing_longer_shorter_or_extra_file_is_named() {
    check(
        |files| files.get_mut("01-still_clean.jpg").unwrap()[3] ^= 1,
        expect![[r#"
            file 01-still_clean.jpg was changed: its SHA-256 is 2853189ea3ece28ccaa7d60a629b7bcdb4ccf0e08c52725980b1a0da8385ef70, and f918bbb1ce858fa624cdbaae7f9eeb1cc9914bf70c7a4e3d05715fa36d295aa5 was signed
        "#]],
    );
    check(
        |files| _ = files.remove("02-still_clean.jpg"),
        expect![[r#"
            file 02-still_clean.jpg is missing
        "#]],
    );
    check(
        |files| files.get_mut("01-still_clean.jpg").unwrap().push(0),
        expect![[r#"
            file 01-still_clean.jpg is longer; 8 bytes were signed
        "#]],
    );
    check(
        |files| _ = files.get_mut("01-still_clean.jpg").unwrap().pop(),
        expect![[r#"
            file 01-still_clean.jpg has only 7 bytes; 8 bytes were signed
        "#]],
    );
    check(
        |files| drop(files.insert("../../etc/cron.d/x".to_owned(), Vec::new())),
        expect![[r#"
            file ../../etc/cron.d/x does not belong to the case
        "#]],
    );
    check(
        |files| _ = files.remove(CASE_FILE),
        expect![[r#"
        case.json does not have its form: the part `{"manifest":` is damaged
    "#]],
    );
}

#[test]
fn a_changed_field_is_named_whoever_wrote_the_manifest_anew() {
    check(
        |files| rewrite(files, |value| value["event"]["kind"] = "red_light".into()),
        expect![[r#"
            field /event/kind was changed after it was signed
        "#]],
    );
    check(
        |files| {
            rewrite(files, |value| {
                value["media"][0]["length"] = 7.into();
                value["event"]["place"]["name"] = "elsewhere".into();
            });
        },
        expect![[r#"
            field /event/place was changed after it was signed
            field /media/0 was changed after it was signed
            file 01-still_clean.jpg is longer; 7 bytes were signed
        "#]],
    );
    // Also when the marks were made to agree: then only the signature tells.
    check(
        |files| {
            rewrite(files, |value| {
                value["event"]["kind"] = "red_light".into();
                let marks = canonical::fingerprints(value);
                value["fingerprints"] = serde_json::to_value(marks).unwrap();
            });
        },
        expect![[r#"
            the signature is not by the key 34750f98bd59fcfc946da45aaabe933b over this manifest: /signature was changed, or somebody else signed
        "#]],
    );
    check(
        |files| rewrite(files, |value| value["key"] = "00".repeat(16).into()),
        expect![[r#"
            field /key was changed after it was signed
            it is signed with the key 00000000000000000000000000000000, which is none of those given (34750f98bd59fcfc946da45aaabe933b); get the public key of the box itself
        "#]],
    );
    check(
        |files| {
            // White space changes no value, and is seen all the same.
            let text = String::from_utf8(files[CASE_FILE].clone()).unwrap();
            let spaced = text.replace("\"media\":[", "\"media\": [");
            files.insert(CASE_FILE.to_owned(), spaced.into_bytes());
        },
        expect![[r#"
            case.json is not canonical (RFC 8785) from field /media on (byte 2823): somebody wrote it anew
            the signature is not by the key 34750f98bd59fcfc946da45aaabe933b over this manifest: /signature was changed, or somebody else signed
        "#]],
    );
}

/// Cases of before have no places, and others may have: both are what was signed.
#[test]
fn places_of_road_users_are_signed_like_everything_else() {
    let place = |x: f64| protocol::NormBox {
        x,
        y: 0.25,
        width: 1.0 / 3.0,
        height: 0.1,
    };
    let mut files = sound();
    sign(&mut files, |manifest| {
        manifest.media[0].actors = vec![place(0.1), place(0.7)];
    });
    let report = examine(files.clone(), &trust());
    assert_eq!(report.faults, []);
    let media = report.manifest.unwrap().media;
    assert_eq!(media[0].actors, [place(0.1), place(0.7)]);
    assert_eq!(media[1].actors, []);
    rewrite(&mut files, |value| {
        value["media"][0]["actors"][0][0] = 0.2.into();
    });
    let faults = examine(files, &trust()).faults;
    let field = "/media/0".to_owned();
    assert_eq!(faults, [Fault::Changed { field }]);
}

#[test]
fn a_hostile_manifest_leads_nowhere_even_when_it_is_signed() {
    check(
        |files| {
            sign(files, |manifest| {
                manifest.media[0].name = "../../etc/passwd".to_owned();
                manifest.media[1].length = u64::MAX >> 12;
            });
        },
        expect![[r#"
            the case lists a file `../../etc/passwd`, a name that is not allowed or stands there twice: refused
            file 02-still_clean.jpg is said to have 4503599627370495 bytes, at most 1073741824 are taken: refused
            file 01-still_clean.jpg does not belong to the case
        "#]],
    );
    check(
        |files| {
            sign(files, |manifest| {
                manifest.media[1].name = manifest.media[0].name.clone();
            });
        },
        expect![[r#"
            the case lists a file `01-still_clean.jpg`, a name that is not allowed or stands there twice: refused
            file 02-still_clean.jpg does not belong to the case
        "#]],
    );
    check(
        |files| {
            sign(files, |manifest| {
                manifest.media = vec![manifest.media[0].clone(); MAX_MEDIA + 1];
            });
        },
        expect![[r#"
            the case lists 257 files, at most 256 are taken: refused
        "#]],
    );
    check(
        |files| sign(files, |manifest| manifest.chain.number = 2),
        expect![[r#"
            field /chain of case number 2 contradicts itself
        "#]],
    );
    check(
        |files| {
            sign(files, |manifest| {
                manifest.schema = "vn.ngatu.case.v9".to_owned();
            });
        },
        expect![[r#"
            the case is of version `vn.ngatu.case.v9`, which this program does not know; use a newer one
        "#]],
    );
    check(
        |files| drop(files.insert(CASE_FILE.to_owned(), vec![b' '; 1 << 20])),
        expect![[r#"
            case.json has 1048576 bytes, at most 524288 are taken: refused
        "#]],
    );
}

#[test]
fn keys_of_others_of_another_box_and_of_another_time_are_told_apart() {
    let told = |trust: &Trust| -> Vec<String> {
        let report = examine(sound(), trust);
        report.faults.iter().map(|fault| fault.words().en).collect()
    };
    let mut stranger = Trust::default();
    stranger.add_key(BoxKey::from_seed(&[9; 32]).public());
    expect!["it is signed with the key 34750f98bd59fcfc946da45aaabe933b, which is none of those given (dbc298251c51321b7266e78d1c151c2b); get the public key of the box itself"].assert_eq(&told(&stranger).join("\n"));

    let case = examine(sound(), &trust()).manifest.unwrap();
    let (site, box_id) = (&case.event.site, &case.event.box_id);
    let day = |days: i64| case.sealed + Seconds(days as f64 * 86_400.0);
    let of = |owner: (&SiteId, &BoxId), until: Option<EventTime>| {
        let mut ring = KeyRing::begin(owner, &key(), day(-30));
        if let Some(until) = until {
            ring.rotate(&key(), &BoxKey::from_seed(&[2; 32]), until)
                .unwrap();
        }
        let mut trust = Trust::default();
        trust.add_ring(&ring);
        trust
    };
    let other = BoxId::new("box-9").unwrap();
    let mut both = of((site, &other), None);
    both.add_ring(&KeyRing::begin((site, box_id), &key(), day(-30)));
    expect!["the key 34750f98bd59fcfc946da45aaabe933b stands in the lists of both hanoi/box-9 and hanoi/nga-tu-so-1: one of the lists is false, or two boxes share a key"].assert_eq(&told(&both).join("\n"));
    expect!["the key 34750f98bd59fcfc946da45aaabe933b is of box hanoi/box-9, and the case is of hanoi/nga-tu-so-1"].assert_eq(&told(&of((site, &other), None)).join("\n"));
    assert_eq!(
        told(&of((site, box_id), Some(day(1)))),
        [""; 0],
        "rotated after"
    );
    expect!["the key 34750f98bd59fcfc946da45aaabe933b did not hold office when this was signed at 2026-11-22T01:00:40.200000Z (it did … – 2026-11-19T01:00:40.200000Z)"].assert_eq(&told(&of((site, box_id), Some(day(-3)))).join("\n"));
}

#[test]
fn a_sound_bundle_of_another_event_is_found_out() {
    let mut report = examine(sound(), &trust());
    report.expect_event(EventId(Uuid::nil()));
    assert!(
        matches!(report.faults[..], [Fault::AnotherEvent { .. }]),
        "{:?}",
        report.faults
    );
}

fn names_file(fault: &Fault, name: &str) -> bool {
    match fault {
        Fault::Hash { file, .. } | Fault::Length { file, .. } => file == name,
        // Everything else that a flipped bit can cause is in the manifest.
        _ => name == CASE_FILE,
    }
}

#[test]
fn every_single_flipped_bit_of_every_file_is_found_and_its_file_named() {
    let files = sound();
    for (name, bytes) in &files {
        // Every byte, and over three bytes every bit of it: all of them take three times as long.
        for bit in (0..bytes.len() * 8).step_by(3) {
            let mut changed = files.clone();
            changed.get_mut(name).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let faults = examine(changed, &trust()).faults;
            assert!(
                !faults.is_empty() && faults.iter().any(|fault| names_file(fault, name)),
                "bit {bit} of {name}: {faults:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let report = verify(&bytes, &trust(), &mut Shelf(Files::new()));
        prop_assert!(!report.is_sound());
    }

    #[test]
    fn a_manifest_with_bytes_put_in_cut_out_or_moved_is_refused_without_a_panic(
        at in 0_usize..4000, cut in 0_usize..40, put in prop::collection::vec(any::<u8>(), 0..40)
    ) {
        let mut files = sound();
        let case = files.get_mut(CASE_FILE).unwrap();
        let (at, whole) = (at.min(case.len()), case.clone());
        let end = (at + cut).min(case.len());
        case.splice(at..end, put);
        prop_assume!(*case != whole);
        prop_assert!(!examine(files, &trust()).is_sound());
    }
}
