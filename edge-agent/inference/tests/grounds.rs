//! A proven model on what is new to it: another provider, another ONNX Runtime. They are
//! on trial then, and it is they who are left.

#![allow(clippy::unwrap_used)] // also in what the tests share

#[allow(dead_code)] // the other tests use more of it
#[path = "support/folder.rs"]
mod folder;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::thread;

use edge_inference::{
    Action, AtWorkMark, FailedGround, Ground, OnTrial, Provider, SecondTrial, StartFault,
    StoreError,
};

use folder::{actions, id, place, store};

fn on(provider: &str, onnxruntime: &str) -> Ground {
    Ground {
        provider: provider.to_owned(),
        device: None,
        onnxruntime: onnxruntime.to_owned(),
    }
}

/// A start on the first of `grounds` that is not left; on those of `broken` a self-test fails.
fn start(folder: &Path, grounds: &[Ground], broken: &[&Ground]) -> Result<OnTrial, StoreError> {
    let begun = store(folder).begin_on(None, grounds, |_, _, _, left| {
        let is_left = |ground: &&Ground| left.iter().any(|left| left.ground == **ground);
        let ground = grounds.iter().find(|ground| !is_left(ground)).unwrap();
        if broken.contains(&ground) {
            return Err(StartFault::Model("its self-test fails".to_owned()));
        }
        Ok(((), Some(ground.clone())))
    });
    begun.map(|((), trial)| trial)
}

fn proven_on(ground: &Ground) -> tempfile::TempDir {
    let folder = place(&["street", "other"]);
    let mut trial = start(folder.path(), std::slice::from_ref(ground), &[]).unwrap();
    assert!(trial.is_on_trial);
    trial.prove();
    folder
}

#[test]
fn a_new_provider_or_runtime_has_to_prove_itself_with_a_model_that_has() {
    let cpu = on("cpu", "1.24.1");
    let folder = proven_on(&cpu);
    let is_on_trial = |ground: &Ground| {
        let trial = start(folder.path(), std::slice::from_ref(ground), &[]).unwrap();
        let is_on_trial = trial.is_on_trial;
        trial.stop();
        is_on_trial
    };
    assert!(!is_on_trial(&cpu));
    let later = on("cpu", "1.31.1");
    let with_device = Ground {
        device: Some("GPU.1".to_owned()),
        ..on("openvino", "1.24.1")
    };
    for new in [&later, &on("openvino", "1.24.1"), &with_device] {
        assert!(is_on_trial(new), "{new}");
    }
    let mut trial = start(folder.path(), std::slice::from_ref(&later), &[]).unwrap();
    trial.prove();
    // Whoever goes back goes back to what was proven as well.
    assert!(!is_on_trial(&later) && !is_on_trial(&cpu));
    let ledger = store(folder.path()).trials();
    assert!(ledger.on.tried.iter().all(|tried| tried.attempts == 0));
}

#[test]
fn a_provider_that_ends_the_program_is_left_and_the_proven_model_is_not() {
    let cpu = on("cpu", "1.24.1");
    let folder = proven_on(&cpu);
    let openvino = on("openvino", "1.24.1");
    let both = [openvino.clone(), cpu.clone()];
    for _ in 1..=3 {
        let trial = start(folder.path(), &both, &[]).unwrap();
        assert_eq!(trial.on, Some(openvino.clone()));
        assert!(trial.is_on_trial);
        // … and the program ends.
    }
    let trial = start(folder.path(), &both, &[]).unwrap();
    assert_eq!(trial.candidate.model, id("street"));
    assert_eq!((trial.on, trial.instead), (Some(cpu), None));
    assert!(!trial.is_on_trial);
    let ledger = store(folder.path()).trials();
    assert!(ledger.failed.is_empty());
    let left = &ledger.on.failed[0];
    assert_eq!(left.ground, openvino);
    assert!(left.reason.contains("ended 3 times"), "{}", left.reason);
    let refusal = left.refusal().unwrap();
    assert_eq!(refusal.provider.word(), "openvino");
    assert!(actions(folder.path()).contains(&(Action::ProviderLeft, "street".to_owned())));
    // Until somebody says otherwise.
    store(folder.path()).forgive(&id("street"), None).unwrap();
    let trial = start(folder.path(), &both, &[]).unwrap();
    assert_eq!(trial.on, Some(openvino));
}

/// It was tried again with whatever came in next, ended the program three times more, and the model, which
/// was new, was given up for it.
#[test]
fn what_is_chosen_is_not_tried_on_what_ended_the_program_before() {
    let (cpu, openvino) = (on("cpu", "1.24.1"), on("openvino", "1.24.1"));
    let folder = proven_on(&cpu);
    let both = [openvino.clone(), cpu.clone()];
    for _ in 1..=3 {
        let trial = start(folder.path(), &both, &[]).unwrap();
        assert_eq!(trial.on, Some(openvino.clone()));
    }
    assert_eq!(
        start(folder.path(), &both, &[]).unwrap().on,
        Some(cpu.clone())
    );
    store(folder.path()).choose(&id("other")).unwrap();
    let trial = start(folder.path(), &both, &[]).unwrap();
    assert_eq!((trial.candidate.model, trial.on), (id("other"), Some(cpu)));
    // What was left for that model alone is tried again.
    let left = FailedGround {
        ground: on("cuda", "1.24.1"),
        reason: "it sees otherwise".to_owned(),
        at: protocol::EventTime::EPOCH,
        model: store(folder.path()).candidate_of(&id("other")),
    };
    let ledger = folder.path().join("trial.toml");
    let text = fs::read_to_string(&ledger).unwrap();
    let mut noted: edge_inference::TrialLedger = toml::from_str(&text).unwrap();
    noted.on.failed.push(left);
    fs::write(&ledger, toml::to_string(&noted).unwrap()).unwrap();
    let left = || -> Vec<Ground> {
        let failed = store(folder.path()).trials().on.failed.into_iter();
        failed.map(|failed| failed.ground).collect()
    };
    assert_eq!(left(), [openvino.clone(), on("cuda", "1.24.1")]);
    store(folder.path()).choose(&id("other")).unwrap();
    assert_eq!(left(), [openvino]);
    // Whoever has mended it says so.
    store(folder.path()).forgive(&id("other"), None).unwrap();
    assert_eq!(left(), []);
}

/// A start of another model, in between, took back an end that was not its own.
#[test]
fn an_end_on_what_is_new_stays_counted_whoever_is_started_next() {
    let (cpu, openvino) = (on("cpu", "1.24.1"), on("openvino", "1.24.1"));
    let folder = proven_on(&cpu);
    let ended = start(folder.path(), &[openvino, cpu.clone()], &[]).unwrap();
    assert!(ended.is_on_trial);
    drop(ended);
    let other = store(folder.path()).begin_on(
        Some(&id("other")),
        std::slice::from_ref(&cpu),
        |_, _, _, _| Ok(((), Some(cpu.clone()))),
    );
    other.unwrap().1.stop();
    let attempts = store(folder.path()).trials().on.tried[0].attempts;
    assert_eq!(attempts, 1);
}

#[test]
fn a_provider_that_computes_wrong_is_left_and_the_proven_model_is_not() {
    let cpu = on("cpu", "1.24.1");
    let openvino = on("openvino", "1.24.1");
    let folder = proven_on(&cpu);
    let both = [openvino.clone(), cpu.clone()];
    let trial = start(folder.path(), &both, &[&openvino]).unwrap();
    assert_eq!(trial.candidate.model, id("street"));
    assert_eq!(trial.on, Some(cpu.clone()));
    assert!(store(folder.path()).trials().failed.is_empty());
    // Where nothing else may compute, the box says so; nobody is called bad.
    let folder = proven_on(&cpu);
    let only = std::slice::from_ref(&openvino);
    let error = start(folder.path(), only, &[&openvino]).unwrap_err();
    assert!(error.to_string().contains("self-test fails"), "{error}");
    let ledger = store(folder.path()).trials();
    assert!(
        ledger
            .failed
            .iter()
            .all(|f| f.candidate.model != id("street"))
    );
    assert_eq!(ledger.proven.unwrap().model, id("street"));
    assert!(!start(folder.path(), &[cpu], &[]).unwrap().is_on_trial);
}

/// The same, of a model whose self-test fails on those of `wrong`; the other's does not.
fn tested(folder: &Path, grounds: &[Ground], wrong: &[&Ground]) -> Result<OnTrial, StoreError> {
    let begun = store(folder).begin_on(None, grounds, |candidate, _, _, left| {
        let is_left = |ground: &&Ground| left.iter().any(|left| left.ground == **ground);
        let ground = grounds.iter().find(|ground| !is_left(ground)).unwrap();
        if wrong.contains(&ground) && candidate.model == id("street") {
            return Err(StartFault::SelfTest {
                on: ground.clone(),
                reason: "its self-test fails".to_owned(),
            });
        }
        Ok(((), Some(ground.clone())))
    });
    begun.map(|((), trial)| trial)
}

/// A box whose models have proven themselves on a graphics processor and on the processor.
fn proven_on_both() -> (tempfile::TempDir, [Ground; 2]) {
    let (cuda, cpu) = (on("cuda", "1.24.1"), on("cpu", "1.24.1"));
    let folder = proven_on(&cuda);
    let mut trial = start(folder.path(), std::slice::from_ref(&cpu), &[]).unwrap();
    trial.prove();
    (folder, [cuda, cpu])
}

/// A new driver computed wrong, and nothing in the ledger was new: the model was given up, then
/// every other that had a self-test, and the processor was never asked.
#[test]
fn a_proven_model_that_fails_where_it_had_proven_itself_is_shown_to_the_next_provider() {
    let (folder, both) = proven_on_both();
    let [cuda, cpu] = &both;
    let trial = tested(folder.path(), &both, &[cuda]).unwrap();
    assert_eq!(trial.candidate.model, id("street"));
    assert_eq!((trial.on.as_ref(), trial.instead), (Some(cpu), None));
    assert!(!trial.is_on_trial);
    let ledger = store(folder.path()).trials();
    assert!(ledger.failed.is_empty());
    assert_eq!(ledger.on.failed[0].ground, *cuda);
    // It computed right before, and now nobody is to believe it.
    assert_eq!(ledger.on.failed[0].model, None);
    assert_eq!(ledger.proven.unwrap().model, id("street"));
    let told = actions(folder.path());
    assert!(told.contains(&(Action::ProviderLeft, "street".to_owned())));
    assert!(!told.iter().any(|(action, _)| *action == Action::Failed));
}

#[test]
fn a_proven_model_that_fails_on_the_processor_as_well_is_given_up_and_no_provider_is() {
    let (folder, both) = proven_on_both();
    let [cuda, cpu] = &both;
    let trial = tested(folder.path(), &both, &[cuda, cpu]).unwrap();
    assert_eq!(trial.candidate.model, id("other"));
    assert_eq!(trial.on.as_ref(), Some(cuda));
    let ledger = store(folder.path()).trials();
    assert_eq!(ledger.failed[0].candidate.model, id("street"));
    assert!(ledger.on.failed.is_empty(), "{:?}", ledger.on.failed);
}

#[test]
fn where_the_processor_may_not_compute_no_proven_model_is_called_bad() {
    let (folder, [cuda, _]) = proven_on_both();
    let only = std::slice::from_ref(&cuda);
    // The other takes its place for this start.
    let trial = tested(folder.path(), only, &[&cuda]).unwrap();
    assert_eq!(trial.candidate.model, id("other"));
    drop(trial);
    let ledger = store(folder.path()).trials();
    assert!(ledger.failed.is_empty(), "{:?}", ledger.failed);
    assert_eq!(ledger.proven.unwrap().model, id("street"));
}

/// A good model whose numbers the provider's precision moved too far was given up, and the
/// processor, next in the list, was never asked.
#[test]
fn a_new_model_that_fails_its_self_test_on_an_accelerator_is_shown_to_the_processor() {
    let both = [on("cuda", "1.24.1"), on("cpu", "1.24.1")];
    let [cuda, cpu] = &both;
    let folder = place(&["street", "other"]);
    let mut trial = tested(folder.path(), &both, &[cuda]).unwrap();
    assert_eq!(trial.candidate.model, id("street"));
    assert_eq!((trial.on.as_ref(), &trial.instead), (Some(cpu), &None));
    assert!(trial.is_on_trial);
    let ledger = store(folder.path()).trials();
    assert!(ledger.failed.is_empty() && ledger.on.failed.is_empty());

    // Once it is proven on the processor the other is left, for this model alone.
    trial.prove();
    let trial = tested(folder.path(), &both, &[cuda]).unwrap();
    assert_eq!((trial.on.as_ref(), trial.is_on_trial), (Some(cpu), false));
    let ledger = store(folder.path()).trials();
    let [left] = &ledger.on.failed[..] else {
        panic!("{:?}", ledger.on.failed)
    };
    assert_eq!(left.ground, *cuda);
    assert_eq!(left.model.as_ref().unwrap().model, id("street"));
    let other = id("other");
    let begun = store(folder.path()).begin_on(Some(&other), &both, |_, _, _, left| {
        assert!(left.is_empty(), "{left:?}");
        Ok(((), Some(cuda.clone())))
    });
    assert_eq!(begun.unwrap().1.candidate.model, other);

    // What it sees otherwise on the processor as well is its own fault.
    let folder = place(&["street", "other"]);
    let trial = tested(folder.path(), &both, &[cuda, cpu]).unwrap();
    assert_eq!(trial.candidate.model, other);
    assert_eq!(trial.on.as_ref(), Some(cuda));
    let ledger = store(folder.path()).trials();
    assert_eq!(ledger.failed[0].candidate.model, id("street"));
    assert!(ledger.on.failed.is_empty(), "{:?}", ledger.on.failed);

    // Where the processor may not compute nobody knows.
    let folder = place(&["street", "other"]);
    let trial = tested(folder.path(), std::slice::from_ref(cuda), &[cuda]).unwrap();
    assert_eq!(trial.candidate.model, other);
    let why = trial.instead.unwrap();
    assert!(why.contains("nobody knows"), "{why}");
    assert!(store(folder.path()).trials().failed.is_empty());
}

/// The start of `street` as a model for second looks, whose self-test fails on those that are `wrong`.
fn begin_second(
    folder: &Path,
    grounds: &[Ground],
    wrong: &[&Ground],
) -> Result<SecondTrial, StoreError> {
    let store = store(folder);
    let at_work = store.watch_over();
    let which = (&id("street"), None);
    let begun = store.begin_second(which, (&at_work, grounds), |_, _, _, left| {
        let is_left = |ground: &&Ground| left.iter().any(|left| left.ground == **ground);
        let ground = grounds.iter().find(|ground| !is_left(ground)).unwrap();
        if wrong.contains(&ground) {
            return Err(StartFault::SelfTest {
                on: ground.clone(),
                reason: "its self-test fails".to_owned(),
            });
        }
        Ok(((), Some(ground.clone())))
    });
    begun.map(|((), trial)| trial)
}

#[test]
fn so_is_one_that_takes_second_looks() {
    let folder = place(&["other", "street"]);
    let both = [on("cuda", "1.24.1"), on("cpu", "1.24.1")];
    let begin = |grounds: &[Ground], wrong: &[&Ground]| begin_second(folder.path(), grounds, wrong);
    let [cuda, cpu] = &both;
    let trial = begin(&both, &[cuda]).unwrap();
    assert_eq!((trial.on.as_ref(), trial.is_on_trial), (Some(cpu), true));
    let only = std::slice::from_ref(cuda);
    let error = begin(only, &[cuda]).unwrap_err().to_string();
    assert!(error.contains("nobody knows"), "{error}");
    let ledger = store(folder.path()).trials();
    assert!(ledger.failed.is_empty() && ledger.on.failed.is_empty());
    begin(&both, &[cuda, cpu]).unwrap_err();
    let ledger = store(folder.path()).trials();
    assert_eq!(ledger.failed[0].candidate.model, id("street"));
}

/// What took the place of a lost provider was written down with the device of the lost one, and
/// was new again at each start.
#[test]
fn what_takes_the_place_of_a_lost_provider_has_its_own_device() {
    let with = |provider: &str, device: &str| Ground {
        device: Some(device.to_owned()),
        ..on(provider, "1.24.1")
    };
    let all = [with("openvino", "GPU.1"), with("cuda", "1")];
    let folder = place(&["street"]);
    let mut trial = start(folder.path(), &all, &[]).unwrap();
    trial.computes_on(Provider::Cuda);
    assert_eq!(trial.on.as_ref(), Some(&all[1]));
    trial.prove();
    let cuda = std::slice::from_ref(&all[1]);
    assert!(!start(folder.path(), cuda, &[]).unwrap().is_on_trial);
}

#[test]
fn the_same_holds_for_models_that_take_second_looks() {
    let folder = place(&["other", "street"]);
    let both = [on("cuda", "1.24.1"), on("cpu", "1.24.1")];
    let begin = |wrong: &[&Ground]| begin_second(folder.path(), &both, wrong);
    let [cuda, cpu] = &both;
    let mut trial = begin(&[]).unwrap();
    assert_eq!(trial.on.as_ref(), Some(cuda));
    // It was lost meanwhile, and has proven nothing.
    trial.computes_on(Provider::Cpu);
    trial.prove();
    let proven_on = || {
        store(folder.path()).trials().second[&id("street")]
            .on
            .clone()
    };
    assert_eq!(proven_on(), std::slice::from_ref(cpu));
    let mut trial = begin(&[]).unwrap();
    assert!(trial.is_on_trial && trial.on.as_ref() == Some(cuda));
    trial.prove();
    assert_eq!(proven_on(), [cpu.clone(), cuda.clone()]);

    let trial = begin(&[cuda]).unwrap();
    assert_eq!((trial.on.as_ref(), trial.is_on_trial), (Some(cpu), false));
    let ledger = store(folder.path()).trials();
    assert!(ledger.failed.is_empty());
    assert_eq!(ledger.on.failed[0].ground, *cuda);
    begin(&[cuda, cpu]).unwrap_err();
    let ledger = store(folder.path()).trials();
    assert_eq!(ledger.failed[0].candidate.model, id("street"));
}

/// It failed in the fifth minute, the processor looked on, and in the tenth it was written down
/// that the model is proven on what had failed.
#[test]
fn a_provider_that_is_lost_during_its_trial_has_proven_nothing() {
    let both = [on("cuda", "1.24.1"), on("cpu", "1.24.1")];
    let [cuda, cpu] = &both;
    let new_model = place(&["street", "other"]);
    for folder in [new_model, proven_on(cpu)] {
        let mut trial = start(folder.path(), &both, &[]).unwrap();
        assert!(trial.is_on_trial && trial.on.as_ref() == Some(cuda));
        trial.computes_on(Provider::Cpu);
        trial.prove();
        let ledger = store(folder.path()).trials();
        assert_eq!(ledger.proven.unwrap().model, id("street"));
        assert_eq!(ledger.on.proven, std::slice::from_ref(cpu));
        // It did not end the program.
        assert!(ledger.on.tried.iter().all(|tried| tried.attempts == 0));
        let trial = start(folder.path(), &both, &[]).unwrap();
        assert!(trial.is_on_trial && trial.on.as_ref() == Some(cuda));
        trial.stop();
    }
}

#[test]
fn a_box_that_has_only_what_is_new_goes_on_trying_it() {
    let folder = proven_on(&on("cpu", "1.24.1"));
    let later = on("cpu", "1.31.1");
    for _ in 0..6 {
        let trial = start(folder.path(), std::slice::from_ref(&later), &[]).unwrap();
        assert_eq!(trial.candidate.model, id("street"));
    }
    assert!(store(folder.path()).trials().on.failed.is_empty());
}

#[test]
fn a_model_that_is_new_itself_is_charged_as_before() {
    let folder = place(&["street", "other"]);
    let both = [on("openvino", "1.24.1"), on("cpu", "1.24.1")];
    for _ in 1..=3 {
        assert_eq!(
            start(folder.path(), &both, &[]).unwrap().candidate.model,
            id("street")
        );
    }
    let trial = start(folder.path(), &both, &[]).unwrap();
    assert_eq!(trial.candidate.model, id("other"));
}

/// Of an agent that did not note on what a model has proven itself.
#[test]
fn what_an_older_agent_had_proven_was_on_what_is_here_at_the_first_start() {
    let folder = place(&["street"]);
    let proven = store(folder.path()).begin(None, |_, _, _| Ok(()));
    proven.unwrap().1.prove();
    let cpu = on("cpu", "1.24.1");
    let trial = start(folder.path(), std::slice::from_ref(&cpu), &[]).unwrap();
    assert!(!trial.is_on_trial);
    assert_eq!(store(folder.path()).trials().on.proven, [cpu]);
    let later = on("cpu", "1.31.1");
    assert!(start(folder.path(), &[later], &[]).unwrap().is_on_trial);
}

#[test]
fn what_ends_the_program_under_a_proven_model_for_second_looks_is_left_as_well() {
    let folder = place(&["roads", "helmets"]);
    let (cpu, openvino) = (on("cpu", "1.24.1"), on("openvino", "1.24.1"));
    let begin = |grounds: &[Ground]| {
        let store = store(folder.path());
        let at_work = store.watch_over();
        let which = (&id("helmets"), None);
        let begun = store.begin_second(which, (&at_work, grounds), |_, _, _, left| {
            let is_left = |ground: &&Ground| left.iter().any(|left| left.ground == **ground);
            Ok(((), grounds.iter().find(|ground| !is_left(ground)).cloned()))
        });
        (at_work, begun.unwrap().1)
    };
    begin(std::slice::from_ref(&cpu)).1.prove();
    let both = [openvino.clone(), cpu.clone()];
    for _ in 1..=3 {
        let (at_work, trial) = begin(&both);
        assert_eq!(trial.on, Some(openvino.clone()));
        assert!(trial.is_on_trial);
        let mark = AtWorkMark::looking([&trial.candidate]);
        let look = || at_work.while_at_work(&mark, || panic!("as a provider may"));
        assert!(catch_unwind(AssertUnwindSafe(look)).is_err());
    }
    let (_, trial) = begin(&both);
    assert_eq!((trial.on, trial.is_on_trial), (Some(cpu), false));
    let ledger = store(folder.path()).trials();
    assert!(ledger.failed.is_empty());
    assert_eq!(ledger.on.failed[0].ground, openvino);
}

/// The agent notes and the operator forgives at the same time: nothing that one wrote is
/// lost by the other.
#[test]
fn two_who_write_the_ledger_at_once_lose_nothing_of_each_other() {
    let folder = place(&["street", "other"]);
    let mut models = Vec::new();
    for number in 0..8 {
        let name = format!("m{number}");
        folder::add(folder.path(), &name, 10 + number);
        models.push(name);
    }
    let barrier = Arc::new(Barrier::new(models.len() + 1));
    thread::scope(|scope| {
        for name in &models {
            let barrier = barrier.clone();
            let folder = folder.path();
            scope.spawn(move || {
                let store = store(folder);
                let at_work = store.watch_over();
                let which = (&id(name), None);
                let begun = store.begin_second(which, (&at_work, &[]), |_, _, _, _| Ok(((), None)));
                barrier.wait();
                begun.unwrap().1.prove();
            });
        }
        let mut trial = start(folder.path(), &[on("cpu", "1")], &[]).unwrap();
        barrier.wait();
        trial.prove();
        for _ in 0..8 {
            store(folder.path()).forgive(&id("other"), None).unwrap();
        }
    });
    let ledger = store(folder.path()).trials();
    assert_eq!(ledger.proven.unwrap().model, id("street"));
    let proven = ledger
        .second
        .values()
        .filter(|record| record.proven.is_some());
    assert_eq!(proven.count(), models.len());
}

/// A file system of its own, so that "full" is real.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` without the right to mount one.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k", "ngatu-test"])
            .arg(dir.path())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(Self(dir))
    }

    fn fill(&self) {
        fs::write(self.0.path().join("core"), vec![0; 1 << 20]).unwrap_err();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(status.is_ok_and(|it| it.success()) || thread::panicking());
    }
}

/// An update had brought three providers that are new, of which two failed. What was left
/// could not be written, so that each was forgotten with the next: the start went round
/// between the two for ever, and the box never watched.
#[test]
fn on_a_full_disk_a_start_does_not_go_round_between_providers_that_fail() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not run: this user may not mount a tmpfs");
        return;
    };
    let folder = disk.0.path();
    for (rank, name) in ["street", "helmets"].into_iter().enumerate() {
        folder::add(folder, name, rank + 1);
    }
    let begin_second = |grounds: &[Ground], started: &mut Vec<Ground>| {
        let store = store(folder);
        let at_work = store.watch_over();
        let which = (&id("helmets"), None);
        let begun = store.begin_second(which, (&at_work, grounds), |_, _, _, left| {
            try_on(grounds, left, started)
        });
        begun.map(|((), trial)| trial)
    };
    let begin = |grounds: &[Ground], started: &mut Vec<Ground>| {
        let begun = store(folder).begin_on(None, grounds, |_, _, _, left| {
            try_on(grounds, left, started)
        });
        begun.map(|((), trial)| trial)
    };
    let old = on("cpu", "1.24.1");
    let only = std::slice::from_ref(&old);
    begin(only, &mut Vec::new()).unwrap().prove();
    begin_second(only, &mut Vec::new()).unwrap().prove();
    let ledger = store(folder).trials();
    let known = || fs::read(folder.join("trial.toml")).unwrap();
    let written = known();
    disk.fill();

    let new = ["tensorrt", "cuda", "cpu"].map(|provider| on(provider, "1.31.1"));
    let mut started = Vec::new();
    let trial = begin(&new, &mut started).unwrap();
    assert_eq!((&*started, trial.on), (&new[..], Some(new[2].clone())));
    assert!(trial.is_on_trial && trial.instead.is_none());
    let mut started = Vec::new();
    let trial = begin_second(&new, &mut started).unwrap();
    assert_eq!((&*started, trial.on), (&new[..], Some(new[2].clone())));
    // The disk was full indeed, and what had stood there is whole.
    assert_eq!(known(), written);
    assert_eq!(store(folder).trials(), ledger);
}

/// A start on the first of `grounds` that is not left; only `cpu` computes right.
fn try_on(
    grounds: &[Ground],
    left: &[FailedGround],
    started: &mut Vec<Ground>,
) -> Result<((), Option<Ground>), StartFault> {
    let is_left = |ground: &&Ground| left.iter().any(|left| left.ground == **ground);
    let ground = grounds.iter().find(|ground| !is_left(ground)).unwrap();
    started.push(ground.clone());
    assert!(started.len() < 10, "goes round: {started:?}");
    if ground.provider == "cpu" {
        return Ok(((), Some(ground.clone())));
    }
    Err(StartFault::Model("its self-test fails".to_owned()))
}
