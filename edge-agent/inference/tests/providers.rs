//! Providers on the real runtime: what it has is proved, what it has not is said.
//!
//! Needs the runtime that set-up fetches (`deploy/setup test`). With `NGATU_ONNXRUNTIME` at a build with OpenVINO, that is tried as well.

use edge_inference::{
    Detector, DetectorSettings, ModelStore, Provider, ProviderChoice, ProviderOptions, Runtime,
    probe,
};

fn runtime() -> Runtime {
    Runtime::load(None).unwrap_or_else(|error| panic!("{error}; run `deploy/setup test` first"))
}

#[test]
fn every_provider_is_proved_or_says_what_to_install() {
    let runtime = runtime();
    for provider in Provider::ALL {
        let probe = probe(&runtime, provider, &DetectorSettings::default());
        println!("{probe:?}");
        match probe.outcome {
            Ok(proof) => {
                assert!(probe.is_in_library, "{provider}");
                let placement = proof.placement.expect("the runtime writes a profile");
                assert!(placement.nodes(provider) > 0, "{placement}");
                assert!(proof.difference < 0.01);
            }
            Err(reason) => {
                assert_ne!(provider, Provider::Cpu, "{reason}");
                assert!(
                    reason.contains("install") || reason.contains("built"),
                    "no next step: {reason}"
                );
                if !probe.is_in_library {
                    assert!(reason.contains("was built without it"), "{reason}");
                }
            }
        }
    }
}

/// Of whatever this machine has; with the processor alone there is little to it.
#[test]
fn what_is_sound_computes_a_real_network_as_the_processor_does_and_keeps_its_engines_by_network() {
    let runtime = runtime();
    let store = ModelStore::open(ModelStore::default_dirs()).unwrap();
    let best = store.best_detector();
    let (manifest, file) = best.unwrap_or_else(|error| panic!("{error}; run `deploy/setup test`"));
    let cache = tempfile::tempdir().unwrap();
    let with_cache = DetectorSettings {
        options: ProviderOptions {
            engine_cache: Some(cache.path().to_owned()),
            ..ProviderOptions::default()
        },
        ..DetectorSettings::default()
    };
    let is_sound = |provider: &Provider| probe(&runtime, *provider, &with_cache).outcome.is_ok();
    let sound: Vec<Provider> = runtime.providers().into_iter().filter(is_sound).collect();
    for provider in &sound {
        let settings = DetectorSettings {
            providers: ProviderChoice::Listed(vec![*provider, Provider::Cpu]),
            ..with_cache.clone()
        };
        // The second time with what the first has compiled.
        for _ in 0..2 {
            let loaded = Detector::load(&runtime, manifest.clone(), &file, &settings).unwrap();
            let on = (loaded.provider(), loaded.refusals());
            assert_eq!(on, (provider.name(), &[][..]));
        }
    }
    let name = &manifest.sha256.to_string()[..16];
    let keeps = |provider: &Provider| matches!(provider, Provider::OpenVino | Provider::TensorRt);
    assert_eq!(cache.path().join(name).is_dir(), sound.iter().any(keeps));
}

#[test]
fn a_provider_that_is_missing_is_passed_over_in_a_list_and_an_error_alone() {
    let runtime = runtime();
    let store = ModelStore::open(ModelStore::default_dirs()).unwrap();
    let best = store.best_detector();
    let (manifest, file) = best.unwrap_or_else(|error| panic!("{error}; run `deploy/setup test`"));
    let load = |providers: Vec<Provider>| {
        let settings = DetectorSettings {
            providers: ProviderChoice::Listed(providers),
            ..DetectorSettings::default()
        };
        Detector::load(&runtime, manifest.clone(), &file, &settings)
    };
    // No machine has both.
    let two = load(vec![Provider::Rknpu, Provider::Cpu]).unwrap();
    assert_eq!(two.provider(), "CPUExecutionProvider");
    let [refusal] = two.refusals() else {
        panic!("{:?}", two.refusals())
    };
    assert_eq!(refusal.provider, Provider::Rknpu);
    assert!(refusal.reason.contains("was built without it"), "{refusal}");

    let message = load(vec![Provider::Rknpu]).unwrap_err().to_string();
    for words in [
        "nothing computes it",
        "rknpu: ",
        "`provider` under [detector]",
    ] {
        assert!(message.contains(words), "{message}");
    }
    let auto = Detector::load(
        &runtime,
        manifest.clone(),
        &file,
        &DetectorSettings::default(),
    );
    assert_eq!(auto.unwrap().provider(), "CPUExecutionProvider");
}
