//! Models that take second looks on trial: who is charged when the program ends, who
//! takes whose place, and who is left alone.

#![allow(clippy::unwrap_used)] // also in what the tests share

#[allow(dead_code)] // the other test uses more of it
#[path = "support/folder.rs"]
mod folder;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use edge_inference::{
    Action, AtWork, AtWorkMark, ModelStore, SecondTrial, StartFault, Started, StoreError,
};

use folder::{actions, add, edit, id, place, store, version};

/// A start of the program: who was at work before is charged, then the model is begun.
/// `broken` versions do not pass their self-test.
fn start(folder: &Path, model: &str, broken: &[&str]) -> (AtWork, Result<SecondTrial, StoreError>) {
    let store: ModelStore = store(folder);
    let at_work = store.watch_over();
    let begun = store.begin_second(
        (&id(model), None),
        (&at_work, &[]),
        |candidate, _, file, _| {
            assert!(file.is_file());
            if broken.contains(&&*candidate.to_string()) {
                return Err(StartFault::Model("its self-test fails".to_owned()));
            }
            Ok(((), None))
        },
    );
    (at_work, begun.map(|((), trial)| trial))
}

fn at_work(folder: &Path, model: &str, broken: &[&str]) -> String {
    match start(folder, model, broken).1 {
        Ok(trial) => trial.candidate.to_string(),
        Err(error) => error.to_string(),
    }
}

fn prove(folder: &Path, model: &str) {
    start(folder, model, &[]).1.unwrap().prove();
}

/// The program ends while `model` looks.
fn crash_of(folder: &Path, model: &str) {
    let (at_work, begun) = start(folder, model, &[]);
    let mark = AtWorkMark::looking([&begun.unwrap().candidate]);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        at_work.while_at_work(&mark, || panic!("as a provider may"));
    }));
    assert!(ended.is_err());
}

#[test]
fn a_version_that_fails_its_self_test_gives_way_to_the_last_good_one_of_the_same_model() {
    let folder = place(&["roads"]);
    version(folder.path(), "helmets", 1);
    assert_eq!(at_work(folder.path(), "helmets", &[]), "helmets@1");
    prove(folder.path(), "helmets");
    version(folder.path(), "helmets", 2);
    let (_, begun) = start(folder.path(), "helmets", &["helmets@2"]);
    let trial = begun.unwrap();
    assert_eq!(trial.candidate.to_string(), "helmets@1");
    assert!(!trial.is_on_trial);
    let why = trial.instead.unwrap();
    assert!(why.contains("helmets@2: its self-test fails"), "{why}");
    // From now on without another try …
    assert_eq!(at_work(folder.path(), "helmets", &[]), "helmets@1");
    let done = actions(folder.path());
    for action in [Action::Failed, Action::Returned] {
        assert!(done.contains(&(action, "helmets".to_owned())), "{done:?}");
    }
    // … until somebody says otherwise.
    store(folder.path()).forgive(&id("helmets"), None).unwrap();
    assert_eq!(at_work(folder.path(), "helmets", &[]), "helmets@2");
}

#[test]
fn one_without_a_good_version_is_left_out_and_nobody_takes_its_place() {
    let folder = place(&["roads", "helmets"]);
    for _ in 0..2 {
        let said = at_work(folder.path(), "helmets", &["helmets"]);
        assert!(said.contains("helmets does not start"), "{said}");
    }
    let said = at_work(folder.path(), "helmets", &[]);
    assert!(
        said.contains("`edge-agent models forgive helmets` has it tried again"),
        "{said}"
    );
    assert_eq!(at_work(folder.path(), "roads", &[]), "roads");
}

#[test]
fn whoever_is_at_work_when_the_program_ends_is_charged_and_nobody_else() {
    let folder = place(&["roads", "helmets", "flames"]);
    // A detector on trial, whose start is counted whenever the program ends.
    let detector = || {
        let begun = store(folder.path()).begin(None, |_, _, _| Ok(()));
        assert_eq!(begun.unwrap().1.candidate.model, id("roads"));
    };
    for crash in 1..=3 {
        detector();
        assert_eq!(at_work(folder.path(), "flames", &[]), "flames");
        crash_of(folder.path(), "helmets");
        let ledger = {
            store(folder.path()).watch_over();
            store(folder.path()).trials()
        };
        assert_eq!(ledger.attempts, 0, "the detector is not blamed");
        assert!(!ledger.second.contains_key(&id("flames")));
        let helmets = &ledger.second[&id("helmets")];
        let is_given_up = crash == 3;
        assert_eq!(helmets.attempts, if is_given_up { 0 } else { crash });
        assert_eq!(ledger.failed.len(), usize::from(is_given_up));
    }
    let said = at_work(folder.path(), "helmets", &[]);
    assert!(
        said.contains("the program ended 3 times while the model was at work"),
        "{said}"
    );
    assert_eq!(at_work(folder.path(), "flames", &[]), "flames");
}

#[test]
fn an_end_while_a_model_loads_counts_and_one_while_nobody_is_at_work_does_not() {
    let folder = place(&["helmets"]);
    for _ in 0..5 {
        assert_eq!(at_work(folder.path(), "helmets", &[]), "helmets");
    }
    for _ in 0..3 {
        let store = store(folder.path());
        let at_work = store.watch_over();
        let load = || {
            store.begin_second(
                (&id("helmets"), None),
                (&at_work, &[]),
                |_, _, _, _| -> Started<()> { panic!("as a file may") },
            )
        };
        assert!(catch_unwind(AssertUnwindSafe(load)).is_err());
    }
    let said = at_work(folder.path(), "helmets", &[]);
    assert!(said.contains("ended 3 times"), "{said}");
}

#[test]
fn a_stop_while_a_model_loads_is_no_failure_of_it_though_the_program_is_killed() {
    let folder = place(&["helmets"]);
    for _ in 1..=5 {
        let stop = Arc::<AtomicBool>::default();
        let store = store(folder.path()).until(Arc::clone(&stop));
        let at_work = store.watch_over();
        let noted = || fs::read_to_string(folder.path().join("at-work.0")).unwrap();
        let load = || {
            store.begin_second(
                (&id("helmets"), None),
                (&at_work, &[]),
                |_, _, _, _| -> Started<()> {
                    assert!(noted().contains("helmets"));
                    stop.store(true, Ordering::Relaxed);
                    let since = Instant::now();
                    while !noted().starts_with('-') && since.elapsed() < Duration::from_secs(20) {
                        thread::yield_now();
                    }
                    panic!("as by SIGKILL")
                },
            )
        };
        assert!(catch_unwind(AssertUnwindSafe(load)).is_err());
    }
    assert_eq!(at_work(folder.path(), "helmets", &[]), "helmets");
}

#[test]
fn one_that_has_proven_itself_is_not_given_up_and_one_that_has_not_goes_back_to_it() {
    let folder = place(&["roads"]);
    version(folder.path(), "helmets", 1);
    prove(folder.path(), "helmets");
    for _ in 0..5 {
        crash_of(folder.path(), "helmets");
    }
    assert_eq!(at_work(folder.path(), "helmets", &[]), "helmets@1");
    version(folder.path(), "helmets", 2);
    for _ in 0..3 {
        crash_of(folder.path(), "helmets");
    }
    assert_eq!(at_work(folder.path(), "helmets", &[]), "helmets@1");
}

#[test]
fn a_version_that_is_current_without_a_line_gets_one_when_it_starts() {
    let folder = place(&["roads"]);
    version(folder.path(), "helmets", 1);
    version(folder.path(), "helmets", 2);
    // As if the program that went back to it had been killed.
    fs::write(folder.path().join("helmets/current"), "1").unwrap();
    for _ in 1..=2 {
        assert_eq!(at_work(folder.path(), "helmets", &[]), "helmets@1");
    }
    let journal = store(folder.path()).journal().into_iter();
    let used = journal.filter(|line| line.action == Action::Used);
    let used: Vec<Option<u64>> = used.map(|line| line.version).collect();
    assert_eq!(used, [1, 2, 1].map(Some));
}

/// A shadow looks on a thread of its own, while others look.
#[test]
fn a_shadow_at_work_in_three_ends_is_left_out_and_nothing_takes_its_place() {
    let folder = place(&["roads"]);
    version(folder.path(), "street", 1);
    prove(folder.path(), "street");
    version(folder.path(), "street", 2);
    // A start of the program; `other` looks at the same time as the shadow when it ends.
    let start = |other: Option<&str>| -> Result<(), String> {
        let store = store(folder.path());
        let mut other = other.map(|other| {
            let at_work = store.watch_over();
            let begun = store.begin_second((&id(other), None), (&at_work, &[]), |_, _, _, _| {
                Ok(((), None))
            });
            (at_work, AtWorkMark::looking([&begun.unwrap().1.candidate]))
        });
        let beside = store.watch_over();
        let begun = store.begin_shadow((&id("street"), Some(2)), (&beside, &[]), |_, _, _, _| {
            Ok(((), None))
        });
        let detector = store.begin(Some(&id("roads")), |_, _, _| Ok(()));
        assert_eq!(detector.unwrap().1.candidate.model, id("roads"));
        let ((), trial) = begun.map_err(|error| error.to_string())?;
        let mark = AtWorkMark::beside(&trial.candidate);
        let end = || beside.while_at_work(&mark, || panic!("as a driver may"));
        let ended = catch_unwind(AssertUnwindSafe(|| match other.take() {
            Some((at_work, mark)) => at_work.while_at_work(&mark, end),
            None => end(),
        }));
        assert!(ended.is_err());
        Ok(())
    };
    let attempts = || {
        store(folder.path()).watch_over();
        store(folder.path()).trials().attempts
    };
    add(folder.path(), "helmets", 9);
    for other in [None, Some("helmets"), None] {
        assert_eq!(start(other), Ok(()));
        assert_eq!(attempts(), 0, "the detector is suspected last");
    }
    let ledger = store(folder.path()).trials();
    assert_eq!(ledger.failed[0].candidate.to_string(), "street@2");
    // Who looked at the same time is suspected as well.
    assert_eq!(ledger.second[&id("helmets")].attempts, 1);
    let said = start(None).unwrap_err();
    for words in [
        "street does not start: it failed here: the program ended 3 times",
        "`edge-agent models forgive street@2` has it tried again",
    ] {
        assert!(said.contains(words), "{said}");
    }
    // From now on each end is the detector's, as long as that is on trial.
    assert_eq!(attempts(), 1);
    store(folder.path())
        .forgive(&id("street"), Some(2))
        .unwrap();
    assert_eq!(start(None), Ok(()));
}

/// `models rollback` took a version that had only been compared for one that had been in use.
#[test]
fn the_journal_tells_who_was_only_compared_from_who_has_judged() {
    let folder = place(&["shade"]);
    let store = store(folder.path());
    let beside = store.watch_over();
    let begun = store.begin_shadow((&id("shade"), None), (&beside, &[]), |_, _, _, _| {
        Ok(((), None))
    });
    begun.unwrap().1.prove();
    assert_eq!(
        actions(folder.path()),
        [(Action::Compared, "shade".to_owned())]
    );
}

/// A shadow that has proven itself takes the blame from nobody: a detector that ends
/// the program is given up though the shadow is at work each time.
#[test]
fn a_proven_shadow_does_not_excuse_the_detector() {
    let folder = place(&["new", "good", "shade"]);
    prove(folder.path(), "shade");
    let begin = || {
        let store = store(folder.path());
        let beside = store.watch_over();
        let begun = store.begin_shadow((&id("shade"), None), (&beside, &[]), |_, _, _, _| {
            Ok(((), None))
        });
        let shade = begun.unwrap().1;
        assert!(!shade.is_on_trial);
        let ((), detector) = store.begin(None, |_, _, _| Ok(())).unwrap();
        let mark = AtWorkMark::beside(&shade.candidate);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            beside.while_at_work(&mark, || panic!("as a driver may"));
        }));
        assert!(ended.is_err());
        detector.candidate.model
    };
    let at_work: Vec<_> = (0..4).map(|_| begin()).collect();
    assert_eq!(at_work, ["new", "new", "new", "good"].map(id));
}

#[test]
fn a_program_that_still_runs_is_not_taken_for_one_that_has_ended() {
    let folder = place(&["helmets"]);
    let (first, begun) = start(folder.path(), "helmets", &[]);
    let mark = AtWorkMark::looking([&begun.unwrap().candidate]);
    first.while_at_work(&mark, || {
        // Another one on the same folder has a place of its own.
        let (second, _) = start(folder.path(), "helmets", &[]);
        second.while_at_work(&mark, || store(folder.path()).watch_over());
    });
    assert!(store(folder.path()).trials().second.is_empty());
    // When nobody is on trial any more nothing is noted.
    first.end();
    first.while_at_work(&mark, || {
        let noted = fs::read_to_string(folder.path().join("at-work.0")).unwrap();
        assert!(noted.starts_with('-'), "{noted}");
    });
}

/// A ledger and a note of an agent that did not know of manifests yet.
#[test]
fn what_an_older_agent_noted_counts_for_the_manifest_that_stands_here() {
    let folder = place(&["roads", "helmets"]);
    let sha256 = store(folder.path()).find(&id("helmets")).unwrap().0.sha256;
    let entry = format!("model = \"helmets\"\nsha256 = \"{sha256}\"\n");
    let ledger = format!("[second.helmets]\nattempts = 2\n[second.helmets.trial]\n{entry}");
    fs::write(folder.path().join("trial.toml"), ledger).unwrap();
    let line = format!(
        "{{\"doing\":\"looking\",\"who\":[{{\"model\":\"helmets\",\"sha256\":\"{sha256}\"}}]}}\n"
    );
    fs::write(folder.path().join("at-work.0"), line).unwrap();
    // The third end is charged to it; it is not tried as it is …
    for _ in 0..2 {
        let said = at_work(folder.path(), "helmets", &[]);
        assert!(said.contains("ended 3 times"), "{said}");
        assert!(said.contains("mend its manifest"), "{said}");
    }
    // … and with another manifest it is another model.
    edit(folder.path(), "helmets", "high = 0.35", "high = 0.5");
    let (_, begun) = start(folder.path(), "helmets", &[]);
    let mut trial = begun.unwrap();
    assert!(trial.is_on_trial && trial.instead.is_none());
    trial.prove();
    assert!(!start(folder.path(), "helmets", &[]).1.unwrap().is_on_trial);
    edit(folder.path(), "helmets", "high = 0.5", "high = 0.6");
    assert!(start(folder.path(), "helmets", &[]).1.unwrap().is_on_trial);
}

#[test]
fn trials_stand_in_the_folder_that_is_written_also_when_another_has_some() {
    let (packages, own) = (place(&["new", "good"]), tempfile::tempdir().unwrap());
    // What a package or root left there; this account cannot write it.
    fs::write(
        packages.path().join("trial.toml"),
        "attempts = 2\nfailed = []\n",
    )
    .unwrap();
    fs::create_dir(packages.path().join(".lock")).unwrap();
    let folders = vec![packages.path().to_owned(), own.path().to_owned()];
    let store = || ModelStore::open(folders.clone()).unwrap();
    let start = |wanted| {
        store()
            .begin(Some(&id(wanted)), |_, _, _| Ok(()))
            .unwrap()
            .1
    };
    start("good").prove();
    for attempt in 1..=3 {
        assert_eq!(start("new").candidate.model, id("new"));
        assert_eq!(store().trials().attempts, attempt);
    }
    assert_eq!(start("new").candidate.model, id("good"));
    assert!(store().cannot_keep_trials().is_none());
    let closed = ModelStore::open(vec![packages.path().to_owned()]).unwrap();
    assert!(closed.cannot_keep_trials().is_some());
    // Who can write none of them is still told.
    assert_eq!(closed.trials().attempts, 2);
}
