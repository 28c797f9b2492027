use super::*;

/// Seconds after a day of November 2026.
fn at(second: i64) -> EventTime {
    EventTime::from_micros((1_795_000_000 + second) * 1_000_000)
}

fn store(dir: &Path) -> KeyStore {
    KeyStore {
        store: dir.to_owned(),
        folder: dir.join(FOLDER),
        configured: None,
        owner: BoxIdentity {
            site: "hanoi".parse().unwrap(),
            id: "box-1".parse().unwrap(),
        },
    }
}

fn given(at: EventTime) -> Vouched {
    Vouched {
        at,
        although_cases_will_not_verify: false,
    }
}

fn message<T: std::fmt::Debug>(result: anyhow::Result<T>) -> String {
    format!("{:#}", result.unwrap_err())
}

#[test]
fn the_first_start_makes_a_key_that_only_its_owner_reads_and_the_next_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let (key, ring) = store(dir.path()).open(at(1)).unwrap();
    let file = dir.path().join("keys/box-ed25519.pem");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (again, same) = store(dir.path()).open(at(2)).unwrap();
    assert_eq!((again.public(), same), (key.public(), ring));
    // Another box has another one.
    let other = tempfile::tempdir().unwrap();
    let (other, _) = store(other.path()).open(at(1)).unwrap();
    assert_ne!(other.public(), key.public());
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path()).open(at(1)).unwrap();
    let file = dir.path().join("keys/box-ed25519.pem");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let told = message(store(dir.path()).open(at(2)));
    assert!(told.contains("mode 640"), "{told}");
    assert!(
        told.contains(&format!("chmod 600 {}", file.display())),
        "{told}"
    );
}

#[test]
fn a_lost_key_an_exchanged_one_and_another_boxs_are_refused_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path()).open(at(1)).unwrap();
    let file = dir.path().join("keys/box-ed25519.pem");
    let mut renamed = store(dir.path());
    renamed.owner.id = "box-2".parse().unwrap();
    assert!(message(renamed.open(at(2))).contains("another box"));
    fs::remove_file(&file).unwrap();
    let told = message(store(dir.path()).open(at(2)));
    assert!(told.contains("restore the key"), "{told}");
    create_private(&file, &BoxKey::from_seed(&[1; 32])).unwrap();
    let told = message(store(dir.path()).open(at(2)));
    assert!(told.contains("keys rotate"), "{told}");
}

#[test]
fn rotation_vouches_for_the_new_key_and_a_crash_in_it_is_finished_or_undone() {
    let dir = tempfile::tempdir().unwrap();
    let keys = store(dir.path());
    let (first, _) = keys.open(at(1)).unwrap();
    let ring = keys.rotate(None, Some(given(at(100))), at(100)).unwrap();
    let (second, _) = keys.open(at(101)).unwrap();
    assert_eq!(ring.present(), Some(second.public()));
    assert_eq!(ring.periods()[0].public, first.public());

    // Killed before the list named the next key: as if nothing had been.
    create_private(
        &dir.path().join("keys").join(NEXT),
        &BoxKey::from_seed(&[3; 32]),
    )
    .unwrap();
    let (same, _) = keys.open(at(102)).unwrap();
    assert_eq!(same.public(), second.public());
    assert!(!dir.path().join("keys").join(NEXT).exists());

    // Killed after it: the next key is the present one.
    let third = BoxKey::from_seed(&[3; 32]);
    let mut ring = keys.ring().unwrap().unwrap();
    ring.rotate(&second, &third, at(200)).unwrap();
    create_private(&dir.path().join("keys").join(NEXT), &third).unwrap();
    keys.write_ring(&ring).unwrap();
    assert_eq!(keys.open(at(201)).unwrap().0.public(), third.public());
}

#[test]
fn the_operators_own_key_is_used_and_rotated_by_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.pem");
    let mut keys = store(dir.path());
    keys.configured = Some(file.clone());
    assert!(message(keys.open(at(1))).contains("openssl genpkey"));
    create_private(&file, &BoxKey::from_seed(&[1; 32])).unwrap();
    assert_eq!(
        keys.open(at(1)).unwrap().0.public(),
        BoxKey::from_seed(&[1; 32]).public()
    );
    assert!(message(keys.rotate(None, Some(given(at(2))), at(2))).contains("--to"));
    let next = dir.path().join("next.pem");
    create_private(&next, &BoxKey::from_seed(&[2; 32])).unwrap();
    keys.rotate(Some(&next), Some(given(at(2))), at(2)).unwrap();
    // Until the configuration names the new file, nothing is signed.
    assert!(message(keys.open(at(3))).contains("keys rotate"));
    keys.configured = Some(next);
    keys.open(at(3)).unwrap();
}

/// A box without a battery has the wrong time just when it is offline for
/// maintenance. The key changed at any time, and every case that the old key had
/// signed "after" it was lost for good, or every one of the new key.
#[test]
fn keys_change_only_at_a_time_that_agrees_with_what_the_box_did_last() {
    const DAY: i64 = 86_400;
    let dir = tempfile::tempdir().unwrap();
    let keys = store(dir.path());
    keys.open(at(0)).unwrap();
    let before = keys.ring().unwrap();
    let told = message(keys.rotate(None, None, at(5)));
    assert!(told.contains("can be judged"), "{told}");

    // The last that it did was ten days after its first start.
    let last = 10 * DAY;
    let outbox = Outbox::open(dir.path(), edge_uplink::DiskBudget::default()).unwrap();
    let camera = "c1".parse().unwrap();
    let whose = (&keys.owner.site, &keys.owner.id, &camera);
    let event = protocol::EventId(uuid::Uuid::from_u128(1));
    for observed in [at(last), at(DAY)] {
        outbox.give_up_evidence(whose, event, observed).unwrap();
    }
    drop(outbox);
    for (what, now, words) in [
        (
            "not set since power was lost",
            EventTime::from_micros(5),
            "signed or heard",
        ),
        ("some days slow", at(7 * DAY), "signed or heard"),
        ("ten years ahead", at(3650 * DAY), "ahead"),
    ] {
        let told = message(keys.rotate(None, None, now));
        assert!(
            told.contains(words) && told.contains("--at"),
            "{what}: {told}"
        );
        assert_eq!(keys.ring().unwrap(), before, "{what}");
    }
    let forced = |at| {
        Some(Vouched {
            although_cases_will_not_verify: true,
            ..given(at)
        })
    };
    let told = message(keys.rotate(None, forced(at(-1)), at(last)));
    assert!(told.contains("holds office since"), "{told}");
    // A year that is mistyped, in either direction.
    for (time, words) in [
        (at(last - 365 * DAY), "0 of those that the box holds"),
        (at(last - 2 * DAY), "will not verify any more"),
        (at(last + 365 * DAY), "that the new key signs"),
    ] {
        let told = message(keys.rotate(None, Some(given(time)), at(last)));
        assert!(told.contains(words), "{told}");
        assert!(told.contains("--although-cases-will-not-verify"), "{told}");
        assert_eq!(keys.ring().unwrap(), before);
    }

    // A clock that runs on, and one that the operator vouches against.
    let ring = keys.rotate(None, None, at(last + DAY)).unwrap();
    assert_eq!(ring.periods()[1].from, at(last + DAY));
    let right = at(last + 40 * DAY);
    let ring = keys
        .rotate(None, Some(given(right)), EventTime::from_micros(5))
        .unwrap();
    assert_eq!(ring.periods()[2].from, right);
    assert_eq!(keys.open(right).unwrap().1, ring);
    // Whoever says so may, as after a clock that was years ahead.
    let ahead = at(last + 400 * DAY);
    keys.rotate(None, forced(ahead), right).unwrap();
    assert_eq!(keys.ring().unwrap().unwrap().periods()[3].from, ahead);
}
