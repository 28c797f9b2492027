//! New models on trial: proven, given up, and the way back to the last good one.

#![allow(clippy::unwrap_used)] // also in what the tests share

#[path = "support/folder.rs"]
mod folder;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use edge_inference::{Action, ModelStore, OnTrial, StartFault, StoreError};

use folder::{actions, copy, edit, id, place, store, version};

/// A start of the agent; `broken` models do not load. A crash is the loss of what this returns.
fn start(folder: &Path, wanted: Option<&str>, broken: &[&str]) -> Result<OnTrial, StoreError> {
    let wanted = wanted.map(id);
    let (name, trial) = store(folder).begin(wanted.as_ref(), |candidate, manifest, file| {
        assert!(file.is_file());
        assert_eq!(manifest.id, candidate.model);
        if broken.contains(&candidate.model.as_str()) {
            Err(StartFault::Model("its self-test fails".to_owned()))
        } else {
            Ok(candidate.model.clone())
        }
    })?;
    assert_eq!(name, trial.candidate.model);
    Ok(trial)
}

fn at_work(folder: &Path, wanted: Option<&str>, broken: &[&str]) -> String {
    start(folder, wanted, broken)
        .unwrap()
        .candidate
        .model
        .to_string()
}

#[test]
fn a_model_that_works_for_long_enough_is_proven_and_stays() {
    let folder = place(&["good"]);
    let mut trial = start(folder.path(), None, &[]).unwrap();
    assert!(trial.is_on_trial && trial.instead.is_none());
    trial.prove();
    trial.prove();
    assert_eq!(
        actions(folder.path()),
        [(Action::Proven, "good".to_owned())]
    );
    // Ten crashes later it is still the one: they are not its novelty's fault.
    for _ in 0..10 {
        assert!(!start(folder.path(), None, &[]).unwrap().is_on_trial);
    }
    assert_eq!(store(folder.path()).trials().attempts, 0);
}

#[test]
fn a_model_that_ends_the_process_three_times_gives_way_to_the_last_good_one() {
    let folder = place(&["new", "good"]);
    start(folder.path(), Some("good"), &[]).unwrap().prove();
    for attempt in 1..=3 {
        assert_eq!(at_work(folder.path(), Some("new"), &[]), "new");
        assert_eq!(store(folder.path()).trials().attempts, attempt);
    }
    let trial = start(folder.path(), Some("new"), &[]).unwrap();
    assert_eq!(trial.candidate.model, id("good"));
    assert!(!trial.is_on_trial);
    let why = trial.instead.unwrap();
    assert!(
        why.contains("new") && why.contains("ended 3 times"),
        "{why}"
    );
    // And so from now on, without another try; who asks before is told.
    let by = store(folder.path()).stand_in(Some(&id("new"))).unwrap();
    assert_eq!(by.candidate.model, id("good"));
    assert!(
        by.why
            .contains("new failed here: the program ended 3 times"),
        "{by:?}"
    );
    assert_eq!(at_work(folder.path(), Some("new"), &[]), "good");
    let failed = store(folder.path()).trials().failed;
    assert_eq!(failed[0].candidate.model, id("new"));
    // Until somebody says otherwise.
    store(folder.path()).choose(&id("new")).unwrap();
    assert_eq!(at_work(folder.path(), None, &[]), "new");
}

/// `check` and `models list` named the wanted model while another watched.
#[test]
fn who_would_watch_in_place_of_the_wanted_model_is_known_without_a_start() {
    let folder = place(&["new", "good"]);
    let instead_of = |wanted: Option<&str>| {
        let by = store(folder.path()).stand_in(wanted.map(id).as_ref());
        by.map(|by| (by.candidate.to_string(), by.why))
    };
    assert_eq!(instead_of(None), None);
    start(folder.path(), Some("good"), &[]).unwrap().prove();
    assert_eq!(instead_of(Some("new")), None);
    // Which was chosen cannot be read.
    let choice = folder.path().join("use.toml");
    fs::write(&choice, "model =").unwrap();
    let (who, why) = instead_of(None).unwrap();
    assert!(who == "good" && why.contains("use.toml"), "{who}: {why}");
    fs::remove_file(&choice).unwrap();
    // It is gone.
    fs::remove_file(folder.path().join("new/net.onnx")).unwrap();
    let (who, why) = instead_of(Some("new")).unwrap();
    assert!(
        who == "good" && why.contains("not installed"),
        "{who}: {why}"
    );
    // Nobody else is there: it goes on trying.
    start(folder.path(), Some("good"), &["good"]).unwrap_err();
    assert_eq!(instead_of(Some("good")), None);
}

/// By this the agent tells a name that was mistyped from a file that was lost, at each start after that.
#[test]
fn a_model_that_was_begun_here_is_remembered_when_it_is_lost() {
    let folder = place(&["good", "broken", "short", "other", "idle"]);
    let names = ["good", "broken", "short", "other", "idle", "nosuch"];
    let has_had = |model: &str| store(folder.path()).has_had(&id(model));
    assert_eq!(names.map(has_had), [false; 6]);
    start(folder.path(), Some("good"), &[]).unwrap().prove();
    start(folder.path(), Some("broken"), &["broken"]).unwrap();
    // It worked for a moment, and the next takes its place on trial.
    start(folder.path(), Some("short"), &[]).unwrap();
    for lost in ["good", "broken", "short"] {
        fs::remove_dir_all(folder.path().join(lost)).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(at_work(folder.path(), Some("short"), &[]), "other");
        assert_eq!(names.map(has_had), [true, true, true, true, false, false]);
    }
}

/// The ordinary first upgrade: a loose file has proven itself, and a bundle of its name comes.
#[test]
fn a_loose_file_is_the_way_back_from_a_bundle_of_its_name() {
    let folder = place(&["street"]);
    let loose = folder.path().join("street/net.onnx");
    start(folder.path(), None, &[]).unwrap().prove();
    version(folder.path(), "street", 1);
    let start = || {
        let begun = store(folder.path()).begin(None, |_, _, file| Ok(file.to_owned()));
        let (file, trial) = begun.unwrap();
        (file, trial.candidate.version)
    };
    for _ in 1..=3 {
        let (file, version) = start();
        assert_eq!((file == loose, version), (false, Some(1)));
    }
    for _ in 1..=3 {
        assert_eq!(start(), (loose.clone(), None));
    }
    // Another file in its place is not the one that was proven.
    fs::write(&loose, "another network").unwrap();
    assert_eq!(start().1, Some(1));
}

/// Thresholds, classes and the head stand in the manifest: who edits it has another model.
#[test]
fn a_proven_network_behind_an_edited_manifest_has_to_prove_itself() {
    let folder = place(&["street", "other"]);
    start(folder.path(), None, &[]).unwrap().prove();
    edit(folder.path(), "street", "high = 0.35", "high = 0.2");
    for _ in 1..=3 {
        let trial = start(folder.path(), None, &[]).unwrap();
        assert_eq!(trial.candidate.model, id("street"));
        assert!(trial.is_on_trial && trial.instead.is_none());
    }
    assert_eq!(at_work(folder.path(), None, &[]), "other");
    // As it was, it is the one that was proven.
    edit(folder.path(), "street", "high = 0.2", "high = 0.35");
    let trial = start(folder.path(), None, &[]).unwrap();
    assert_eq!(trial.candidate.model, id("street"));
    assert!(!trial.is_on_trial);
}

#[test]
fn a_model_that_failed_for_its_manifest_is_tried_again_when_that_is_mended() {
    let folder = place(&["new", "good"]);
    start(folder.path(), Some("good"), &[]).unwrap().prove();
    assert_eq!(at_work(folder.path(), Some("new"), &["new"]), "good");
    let trial = start(folder.path(), Some("new"), &[]).unwrap();
    assert_eq!(trial.candidate.model, id("good"));
    let why = trial.instead.unwrap();
    for words in [
        "new failed here: its self-test fails; mend its manifest or install another file",
        "`edge-agent models forgive new` has it tried again as it is",
    ] {
        assert!(why.contains(words), "{why}");
    }
    assert_eq!(store(folder.path()).failed_here().len(), 1);
    edit(folder.path(), "new", "high = 0.35", "high = 0.5");
    assert!(store(folder.path()).failed_here().is_empty());
    let trial = start(folder.path(), Some("new"), &[]).unwrap();
    assert_eq!(trial.candidate.model, id("new"));
    assert!(trial.is_on_trial && trial.instead.is_none());
}

/// Files that agents have written that did not know of manifests.
#[test]
fn an_older_ledger_counts_for_the_manifests_that_stand_here() {
    let with = |entries: &[(&str, &str)], attempts: u32, failed: &str| {
        let folder = place(&["new", "good"]);
        let entry = |model: &str| {
            let sha256 = store(folder.path()).find(&id(model)).unwrap().0.sha256;
            format!("model = \"{model}\"\nsha256 = \"{sha256}\"\n")
        };
        let mut text = vec![format!("attempts = {attempts}\n")];
        for (key, model) in entries {
            text.push(format!("[{key}]\n{}", entry(model)));
        }
        if !failed.is_empty() {
            let rest = "reason = \"its self-test fails\"\nat = \"2026-11-20T07:00:00.000000Z\"\n";
            text.push(format!("[[failed]]\n{}{rest}", entry(failed)));
        }
        fs::write(folder.path().join("trial.toml"), text.concat()).unwrap();
        folder
    };
    // Proven is proven, as often as it starts …
    let proven = with(&[("proven", "new")], 0, "");
    for _ in 0..5 {
        let trial = start(proven.path(), None, &[]).unwrap();
        assert_eq!(trial.candidate.model, id("new"));
        assert!(!trial.is_on_trial);
    }
    // … with the manifest that it had at the first start.
    edit(proven.path(), "new", "high = 0.35", "high = 0.5");
    assert!(start(proven.path(), None, &[]).unwrap().is_on_trial);

    // Starts that were counted are not forgotten: no box begins anew with a model that ends it.
    let tried = with(&[("proven", "good"), ("trial", "new")], 3, "");
    for _ in 0..2 {
        assert_eq!(at_work(tried.path(), Some("new"), &[]), "good");
    }

    // What failed is not tried as it is, and is when its manifest is changed.
    let failed = with(&[("proven", "good")], 0, "new");
    for _ in 0..2 {
        assert_eq!(at_work(failed.path(), Some("new"), &[]), "good");
    }
    edit(failed.path(), "new", "high = 0.35", "high = 0.5");
    assert_eq!(at_work(failed.path(), Some("new"), &[]), "new");

    // Also when the operator's word comes before the first start.
    let forgiven = with(&[("proven", "good")], 0, "new");
    store(forgiven.path()).choose(&id("new")).unwrap();
    assert_eq!(at_work(forgiven.path(), None, &[]), "new");
}

/// A disk that hiccups says nothing of the model: it stays the last good one.
#[test]
fn a_fault_that_may_pass_costs_a_model_nothing_but_this_start() {
    let folder = place(&["good", "other"]);
    start(folder.path(), None, &[]).unwrap().prove();
    let begun = store(folder.path()).begin(None, |candidate, _, _| {
        if candidate.model == id("good") {
            return Err(StartFault::Passing("it cannot be read".to_owned()));
        }
        Ok(())
    });
    let ((), trial) = begun.unwrap();
    assert_eq!(trial.candidate.model, id("other"));
    assert!(trial.instead.unwrap().contains("it cannot be read"));
    let ledger = store(folder.path()).trials();
    assert_eq!(ledger.proven.unwrap().model, id("good"));
    assert!(ledger.failed.is_empty());
    assert_eq!(at_work(folder.path(), None, &[]), "good");
}

#[test]
fn a_stop_on_purpose_is_no_failed_start() {
    let folder = place(&["new", "good"]);
    start(folder.path(), Some("good"), &[]).unwrap().prove();
    for _ in 0..10 {
        let trial = start(folder.path(), Some("new"), &[]).unwrap();
        assert_eq!(trial.candidate.model, id("new"));
        trial.stop();
    }
}

/// An engine was being made, which takes minutes: systemd killed the program that it had asked to stop, and
/// after three restarts the model was given up.
#[test]
fn a_stop_while_a_model_is_loaded_is_no_failed_start_though_the_program_is_killed() {
    let folder = place(&["new", "good"]);
    start(folder.path(), Some("good"), &[]).unwrap().prove();
    let attempts = || store(folder.path()).trials().attempts;
    // A start during which somebody asks the program to stop.
    let stopped = |is_killed: bool| {
        let stop = Arc::<AtomicBool>::default();
        let store = store(folder.path()).until(Arc::clone(&stop));
        let begin = || {
            store.begin(Some(&id("new")), |candidate, _, _| {
                assert_eq!(candidate.model, id("new"));
                let before = attempts();
                stop.store(true, Ordering::Relaxed);
                let since = Instant::now();
                while attempts() == before && since.elapsed() < Duration::from_secs(20) {
                    thread::yield_now();
                }
                assert!(!is_killed, "as by SIGKILL");
                Ok(())
            })
        };
        match catch_unwind(AssertUnwindSafe(begin)) {
            Ok(started) => started.unwrap().1.stop(),
            Err(_) => assert!(is_killed),
        }
    };
    for _ in 1..=5 {
        stopped(true);
        assert_eq!(attempts(), 0);
    }
    // An end that was not asked for counts, and no stop takes it back.
    assert_eq!(at_work(folder.path(), Some("new"), &[]), "new");
    for is_killed in [false, true] {
        stopped(is_killed);
        assert_eq!(attempts(), 1);
    }
}

#[test]
fn a_model_that_fails_its_self_test_gives_way_at_once() {
    let folder = place(&["new", "good", "third"]);
    start(folder.path(), Some("good"), &[]).unwrap().prove();
    let trial = start(folder.path(), Some("new"), &["new"]).unwrap();
    assert_eq!(trial.candidate.model, id("good"));
    assert!(trial.instead.unwrap().contains("self-test fails"));
    assert!(actions(folder.path()).contains(&(Action::Failed, "new".to_owned())));
    assert!(actions(folder.path()).contains(&(Action::Returned, "good".to_owned())));
    // The last good one may fail, too: then whatever is there.
    assert_eq!(
        at_work(folder.path(), Some("new"), &["new", "good"]),
        "third"
    );
    // And with nothing left the first fault is told.
    let message = start(folder.path(), Some("new"), &["new", "good", "third"])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("does not start: its self-test fails"),
        "{message}"
    );
}

#[test]
fn without_a_last_good_one_the_next_best_takes_over_from_a_model_that_ends_the_process() {
    let folder = place(&["crashes", "second"]);
    for _ in 0..3 {
        assert_eq!(at_work(folder.path(), None, &[]), "crashes");
    }
    assert_eq!(at_work(folder.path(), None, &[]), "second");
}

#[test]
fn the_same_network_under_another_name_has_to_prove_itself() {
    let folder = place(&["good"]);
    start(folder.path(), None, &[]).unwrap().prove();
    copy(folder.path(), "good", "twin", 2);
    let trial = start(folder.path(), Some("twin"), &[]).unwrap();
    assert!(trial.is_on_trial);
    // And when it fails, the other one is still the last good one.
    drop(trial);
    assert_eq!(at_work(folder.path(), Some("twin"), &["twin"]), "good");
    let ledger = store(folder.path()).trials();
    assert_eq!(ledger.proven.unwrap().model, id("good"));
    assert_eq!(ledger.failed.len(), 1);
}

#[test]
fn a_detector_that_knows_no_road_users_is_never_taken_unasked() {
    let folder = place(&["roads"]);
    copy(folder.path(), "roads", "helmets", 1);
    let manifest = folder.path().join("helmets/model.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let (before, _) = text.split_once("[classes]").unwrap();
    let (_, after) = text.split_once("[thresholds]").unwrap();
    let classes = "[classes]\ncount = 80\nhelmet = [0]\nno_helmet = [1]\n\n[thresholds]";
    fs::write(&manifest, format!("{before}{classes}{after}")).unwrap();
    assert_eq!(at_work(folder.path(), None, &[]), "roads");
    // Not even when nothing else works.
    assert!(start(folder.path(), None, &["roads"]).is_err());
    // Who names it gets it.
    assert_eq!(at_work(folder.path(), Some("helmets"), &[]), "helmets");
}

#[test]
fn a_box_with_one_model_goes_on_trying() {
    let folder = place(&["only"]);
    for _ in 0..10 {
        assert_eq!(at_work(folder.path(), None, &[]), "only");
    }
}

#[test]
fn what_is_not_the_models_fault_is_no_attempt_of_it() {
    let folder = place(&["new", "good"]);
    start(folder.path(), Some("good"), &[]).unwrap().prove();
    for _ in 0..5 {
        let error = store(folder.path())
            .begin(Some(&id("new")), |_, _, _| {
                Err::<(), _>(StartFault::Other(StoreError::NoFolder))
            })
            .unwrap_err();
        assert!(matches!(error, StoreError::NoFolder));
    }
    assert_eq!(store(folder.path()).trials().attempts, 0);
    assert_eq!(at_work(folder.path(), Some("new"), &[]), "new");
}

/// Each start of the first, which could not be read, was counted and taken back, and with it went the
/// count of the second: that ended the program for ever.
#[test]
fn starts_of_a_model_are_counted_though_another_cannot_be_read_at_each_of_them() {
    let folder = place(&["unread", "crashes", "good"]);
    let start = || {
        let begun = store(folder.path()).begin(None, |candidate, _, _| {
            if candidate.model == id("unread") {
                return Err(StartFault::Passing("it cannot be read".to_owned()));
            }
            Ok(())
        });
        begun.unwrap().1.candidate.model
    };
    let at_work = [(); 5].map(|()| start());
    let expected = ["crashes", "crashes", "crashes", "good", "good"];
    assert_eq!(at_work, expected.map(id));
    // The other one is not the worse for it.
    let failed = store(folder.path()).trials().failed;
    let failed: Vec<_> = failed.into_iter().map(|it| it.candidate.model).collect();
    assert_eq!(failed, [id("crashes")]);
}

/// A disk had changed a byte of it, and from then on the best by rank detected, without a word.
#[test]
fn a_choice_that_cannot_be_read_is_said_and_the_last_good_one_goes_on() {
    let folder = place(&["best", "chosen"]);
    store(folder.path()).choose(&id("chosen")).unwrap();
    start(folder.path(), None, &[]).unwrap().prove();
    for rubbish in ["", "model = \"chosen\u{0}\"\n", "model = \"../chosen\"\n"] {
        fs::write(folder.path().join("use.toml"), rubbish).unwrap();
        let trial = start(folder.path(), None, &[]).unwrap();
        assert_eq!(trial.candidate.model, id("chosen"), "{rubbish:?}");
        let why = trial.instead.unwrap();
        for words in ["use.toml: ", "say `edge-agent models use MODEL` again"] {
            assert!(why.contains(words), "{why}");
        }
        // So do commands that ask who detects here.
        let store = store(folder.path());
        assert_eq!(store.used(), Some(id("chosen")));
        assert!(matches!(store.chosen(), Err(StoreError::Choice { .. })));
    }
    // Whoever is written down anew is readable again.
    store(folder.path()).keep(&id("chosen")).unwrap();
    assert!(start(folder.path(), None, &[]).unwrap().instead.is_none());
}

/// An operator with an account of his own was told that it was in use, and restarted the agent.
#[test]
fn a_choice_that_another_accounts_comes_before_is_refused() {
    let (packages, own) = (place(&["first", "second"]), tempfile::tempdir().unwrap());
    store(packages.path()).choose(&id("first")).unwrap();
    // From now on this account cannot write there.
    fs::remove_file(packages.path().join(".lock")).unwrap();
    fs::create_dir(packages.path().join(".lock")).unwrap();
    let folders = vec![packages.path().to_owned(), own.path().to_owned()];
    let store = || ModelStore::open(folders.clone()).unwrap();
    let refused = store().choose(&id("second")).unwrap_err().to_string();
    for words in ["model second is not in use", "use.toml comes first"] {
        assert!(refused.contains(words), "{refused}");
    }
    assert_eq!(store().used(), Some(id("first")));
    assert!(!own.path().join("use.toml").exists());
    store().choose(&id("first")).unwrap();
}

/// The program that made it current was killed before it wrote the line: nobody could tell later since when
/// it was at work, and a way back passed it over.
#[test]
fn a_version_that_is_current_without_a_line_gets_one_when_it_starts() {
    let folder = place(&["other"]);
    version(folder.path(), "street", 1);
    version(folder.path(), "street", 2);
    fs::write(folder.path().join("street/current"), "1").unwrap();
    let used = || -> Vec<(u64, String)> {
        let lines = store(folder.path()).journal().into_iter();
        let used = lines.filter(|line| line.action == Action::Used);
        used.map(|line| (line.version.unwrap(), line.detail))
            .collect()
    };
    assert_eq!(used().len(), 2);
    for _ in 1..=3 {
        let trial = start(folder.path(), Some("street"), &[]).unwrap();
        assert_eq!(trial.candidate.version, Some(1));
        trial.stop();
    }
    let found = "found in use at a start; no line told since when".to_owned();
    assert_eq!(used()[2..], [(1, found)]);
}

/// A box that is started anew each ten seconds wrote a line each time, for weeks.
#[test]
fn why_another_is_at_work_is_written_once_and_not_at_each_start() {
    let folder = place(&["new", "good"]);
    start(folder.path(), Some("good"), &[]).unwrap().prove();
    let returned = || {
        let told = actions(folder.path()).into_iter();
        told.filter(|(action, _)| *action == Action::Returned)
            .count()
    };
    let counts = [(); 4].map(|()| {
        assert_eq!(at_work(folder.path(), Some("new"), &["new"]), "good");
        returned()
    });
    // As it fails, and that it had failed.
    assert_eq!(counts, [1, 2, 2, 2]);
}

#[test]
fn a_model_may_have_the_name_of_a_version_or_of_their_folder() {
    let folder = place(&["other"]);
    for name in ["7", "versions"] {
        version(folder.path(), name, 7);
        assert_eq!(store(folder.path()).version_of(&id(name)), Some(7));
        assert_eq!(at_work(folder.path(), Some(name), &[]), name);
    }
}

/// Nothing that may compute took the new one, whose operators the accelerator does not know: the box ended
/// at each start, and the last good one was never asked.
#[test]
fn a_new_model_that_nothing_computes_gives_way_to_the_last_good_one_and_to_no_other() {
    let folder = place(&["new", "good", "third"]);
    let begin = |refused: &[&str]| {
        let begun = store(folder.path()).begin(Some(&id("new")), |candidate, _, _| {
            if refused.contains(&candidate.model.as_str()) {
                return Err(StartFault::Refused("nothing computes it".to_owned()));
            }
            Ok(())
        });
        begun.map(|((), trial)| trial.candidate.model)
    };
    // Where none is known to be good, it may as well be the device.
    let error = begin(&["new"]).unwrap_err().to_string();
    assert!(error.contains("new does not start: nothing"), "{error}");
    start(folder.path(), Some("good"), &[]).unwrap().prove();
    assert_eq!(begin(&["new"]).unwrap(), id("good"));
    // A device that is gone.
    let error = begin(&["new", "good"]).unwrap_err().to_string();
    assert!(error.contains("good does not start: nothing"), "{error}");
    let ledger = store(folder.path()).trials();
    assert_eq!((ledger.failed.len(), ledger.attempts), (0, 0));
}

#[test]
fn a_damaged_ledger_is_begun_anew() {
    let folder = place(&["good"]);
    fs::write(folder.path().join("trial.toml"), "\u{0}rubbish").unwrap();
    assert_eq!(at_work(folder.path(), None, &[]), "good");
    assert_eq!(store(folder.path()).trials().attempts, 1);
}

#[test]
fn a_store_that_cannot_be_written_still_starts_a_model() {
    let folder = place(&["good"]);
    // A file where the folder's lock would be: nothing can be written, whoever we are.
    fs::create_dir(folder.path().join(".lock")).unwrap();
    assert_eq!(at_work(folder.path(), None, &[]), "good");
    assert!(!folder.path().join("trial.toml").exists());
}
