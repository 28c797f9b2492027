//! Providers that fail, compute wrong or lose their engines, in the place of hardware: see
//! [`pretended`].

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use models::I420View;

use crate::detector::Detector;
use crate::error::DetectorError;
use crate::free::FreeNetwork;
use crate::provider::{Provider, ProviderChoice, ProviderOptions};
use crate::session::{DetectorSettings, TOLERANCE, pretended};
use crate::small::{self, Small};

fn listed(providers: &[Provider]) -> DetectorSettings {
    DetectorSettings {
        providers: ProviderChoice::Listed(providers.to_vec()),
        ..DetectorSettings::default()
    }
}

fn load(settings: &DetectorSettings) -> Result<Detector, DetectorError> {
    load_small(Small::default(), settings)
}

fn load_small(small: Small, settings: &DetectorSettings) -> Result<Detector, DetectorError> {
    let (runtime, manifest) = (small::runtime(), small.manifest());
    small::load(&runtime, manifest, &small.file(), settings, Detector::load)
}

fn look(detector: &mut Detector, level: u8) -> Result<usize, DetectorError> {
    let plane = [level; 64 * 64];
    let view: I420View<'_> = small::grey(64, 64, &plane);
    detector.detect(&view).map(|found| found.len())
}

/// The same network, which takes another level for white.
fn with_white(network: &[u8], white: f32) -> Vec<u8> {
    let old = 256.0_f32.to_le_bytes();
    let place = network.windows(4).position(|bytes| bytes == old).unwrap();
    let mut other = network.to_vec();
    other[place..place + 4].copy_from_slice(&white.to_le_bytes());
    other
}

fn have_white(provider: Provider, white: f32) {
    pretended::have(provider, move |network, _| Ok(with_white(network, white)));
}

/// A box judged people by a driver whose convolutions were wrong: it was the first of the list
/// that did the work, and `models bench` alone would have found it out.
#[test]
fn a_provider_that_computes_wrong_is_passed_over_with_the_reason() {
    have_white(Provider::Cuda, 400.0);
    let detector = load(&listed(&[Provider::Cuda, Provider::Cpu])).unwrap();
    assert_eq!(detector.network().computes_on(), Provider::Cpu);
    let [refusal] = detector.refusals() else {
        panic!("{:?}", detector.refusals())
    };
    assert_eq!(refusal.provider, Provider::Cuda);
    assert!(
        refusal
            .reason
            .contains("it computes wrong, and the processor does not: in output `scores`"),
        "{refusal}"
    );
    // Where nothing else may compute it is no model's fault.
    let error = load(&listed(&[Provider::Cuda])).map(drop).unwrap_err();
    assert!(matches!(error, DetectorError::NoProvider { .. }), "{error}");
    // Plates are read by networks that are loaded another way.
    let settings = listed(&[Provider::Cuda, Provider::Cpu]);
    let (runtime, file) = (small::runtime(), Small::default().file());
    let load = FreeNetwork::load;
    let free = small::load(&runtime, Small::classifier(), &file, &settings, load).unwrap();
    assert_eq!(free.computes_on(), Provider::Cpu);
    assert_eq!(free.refusals().len(), 1);
}

#[test]
fn a_provider_of_less_precision_is_taken() {
    // As far off as eight bits are.
    have_white(Provider::Cuda, 257.0);
    let detector = load(&listed(&[Provider::Cuda, Provider::Cpu])).unwrap();
    assert_eq!(detector.network().computes_on(), Provider::Cuda);
    assert!(detector.refusals().is_empty());
}

/// Only what nobody can vouch for is computed twice.
#[test]
fn the_processor_alone_is_compared_with_nothing() {
    let opened = Rc::new(Cell::new(0));
    let count = Rc::clone(&opened);
    pretended::have(Provider::Cpu, move |network, _| {
        count.set(count.get() + 1);
        Ok(network.to_vec())
    });
    load(&listed(&[Provider::Cpu])).unwrap();
    assert_eq!(opened.get(), 1);
    have_white(Provider::Cuda, 256.0);
    load(&listed(&[Provider::Cuda, Provider::Cpu])).unwrap();
    assert_eq!(opened.get(), 2);
}

#[test]
fn answers_that_are_no_numbers_are_the_providers_fault_where_the_processor_has_some() {
    let broken = Small {
        nan_always: true,
        ..Small::default()
    };
    let file = broken.file();
    pretended::have(Provider::Cuda, move |_, _| Ok(file.clone()));
    let error = load(&listed(&[Provider::Cuda])).map(drop).unwrap_err();
    assert!(matches!(error, DetectorError::NoProvider { .. }), "{error}");
    assert!(error.to_string().contains("hold NaN"), "{error}");
    // And the file's where it has none.
    let error = load_small(broken, &listed(&[Provider::Cuda]));
    let error = error.map(drop).unwrap_err();
    assert!(matches!(error, DetectorError::Output { .. }), "{error}");
}

/// TensorRT, which takes whatever engine is there, and cannot read half of one.
fn have_tensorrt(works: bool) {
    pretended::have(Provider::TensorRt, move |network, engines| {
        let engine = engines.unwrap().join("TRTKernel_graph.engine");
        match fs::read_to_string(&engine) {
            Ok(kept) if kept == "whole" => {}
            Ok(_) => return Err("could not deserialize engine from cache".to_owned()),
            Err(_) if works => fs::write(&engine, "whole").unwrap(),
            Err(_) => return Err("no device was found".to_owned()),
        }
        Ok(network.to_vec())
    });
}

fn with_cache(cache: &Path) -> DetectorSettings {
    DetectorSettings {
        options: ProviderOptions {
            engine_cache: Some(cache.to_owned()),
            ..ProviderOptions::default()
        },
        ..listed(&[Provider::TensorRt, Provider::Cpu])
    }
}

/// All engines below a folder.
fn engines(cache: &Path) -> Vec<String> {
    let folders = fs::read_dir(cache).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

/// The mains went while an engine was written: from then on each start failed, and sent the
/// technician to the driver.
#[test]
fn half_an_engine_is_made_anew() {
    let cache = tempfile::tempdir().unwrap();
    let settings = with_cache(cache.path());
    have_tensorrt(true);
    load(&settings).unwrap();
    assert_eq!(engines(cache.path()), ["whole"]);
    let folder = fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap();
    let engine = folder.path().join("TRTKernel_graph.engine");
    fs::write(&engine, "hal").unwrap();
    let detector = load(&settings).unwrap();
    assert_eq!(detector.network().computes_on(), Provider::TensorRt);
    assert_eq!(engines(cache.path()), ["whole"]);

    // Where it fails without engines as well, they are kept for better days.
    fs::write(&engine, "hal").unwrap();
    have_tensorrt(false);
    let detector = load(&settings).unwrap();
    assert_eq!(detector.network().computes_on(), Provider::Cpu);
    let reason = &detector.refusals()[0].reason;
    assert!(reason.contains("no device was found"), "{reason}");
    assert_eq!(engines(cache.path()), ["hal"]);
}

/// The device was there and is not any more: the network stays what it is, and says for how long.
#[test]
fn a_provider_that_never_comes_back_leaves_the_network_forlorn_in_the_end() {
    let is_gone = Rc::new(Cell::new(false));
    let gone = Rc::clone(&is_gone);
    pretended::have(Provider::Cuda, move |network, _| {
        if gone.get() {
            return Err("an illegal memory access was encountered".to_owned());
        }
        Ok(network.to_vec())
    });
    let fails = Small {
        fails_when_bright: true,
        ..Small::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = small::write(folder.path(), &fails.file());
    let manifest = small::of_file(fails.manifest(), &fails.file());
    let settings = listed(&[Provider::Cuda]);
    let mut detector = Detector::load(&small::runtime(), manifest, &file, &settings).unwrap();
    is_gone.set(true);
    for failures in 1..=(3 + 6 + 12) {
        look(&mut detector, 255).unwrap_err();
        let losses = match failures {
            ..3 => 0,
            3..9 => 1,
            9..21 => 2,
            _ => 3,
        };
        assert_eq!(detector.network().losses(), losses, "{failures}");
    }
    // Not yet: so far it took no second.
    assert_eq!(detector.network().forlorn(), None);
    let later = std::time::Instant::now() + std::time::Duration::from_mins(1);
    let reason = detector.network().forlorn_at(later).unwrap();
    assert!(reason.contains("illegal memory access"), "{reason}");
    // It comes back by itself.
    assert_eq!(look(&mut detector, 128).unwrap(), 3);
    assert_eq!(detector.network().forlorn_at(later), None);
}

/// A device whose memory had failed answered with what are no numbers, and was never left nor
/// loaded anew: nothing was watched until a person came.
#[test]
fn no_numbers_at_work_are_a_loss_where_nothing_else_may_compute_as_well() {
    let nan = Small {
        nan_when_bright: 3,
        ..Small::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = small::write(folder.path(), &nan.file());
    pretended::have(Provider::Cuda, |network, _| Ok(network.to_vec()));
    // The processor would compute the same again.
    for (provider, losses) in [(Provider::Cuda, 1), (Provider::Cpu, 0)] {
        let manifest = small::of_file(nan.manifest(), &nan.file());
        let settings = listed(&[provider]);
        let mut detector = Detector::load(&small::runtime(), manifest, &file, &settings).unwrap();
        for _ in 0..3 {
            look(&mut detector, 255).unwrap_err();
        }
        assert_eq!(detector.network().losses(), losses, "{provider}");
        assert_eq!(detector.network().computes_on(), provider);
    }
}

/// Who had a quantised network on an accelerator had no way. What it sees must be known then.
#[test]
fn more_than_usual_is_borne_of_a_model_that_brings_a_self_test_alone() {
    let sound = Small::default();
    let folder = tempfile::tempdir().unwrap();
    let file = small::write(folder.path(), &sound.file());
    let on = |tolerance| {
        let settings = DetectorSettings {
            tolerance,
            ..listed(&[Provider::Cuda, Provider::Cpu])
        };
        let manifest = small::of_file(sound.manifest(), &sound.file());
        let detector = Detector::load(&small::runtime(), manifest, &file, &settings).unwrap();
        let reasons: String = (detector.refusals().iter())
            .map(ToString::to_string)
            .collect();
        (detector.network().computes_on(), reasons)
    };
    // Off by half of what its numbers differ by.
    have_white(Provider::Cuda, 270.0);
    let (provider, reason) = on(TOLERANCE);
    assert_eq!(provider, Provider::Cpu);
    assert!(reason.contains("25 % are borne;"), "{reason}");
    let (provider, reason) = on(0.8);
    assert_eq!(provider, Provider::Cpu);
    assert!(
        reason.contains("25 % are borne. More, as `provider_tolerance` says"),
        "{reason}"
    );
    let test = "[[picture]]\nfile = \"selftest/001.jpg\"\n";
    fs::write(folder.path().join("selftest.toml"), test).unwrap();
    assert_eq!(on(0.8), (Provider::Cuda, String::new()));
    assert_eq!(on(TOLERANCE).0, Provider::Cpu);
    // Less is asked of any.
    have_white(Provider::Cuda, 257.0);
    assert_eq!(on(TOLERANCE).0, Provider::Cuda);
    assert_eq!(on(0.01).0, Provider::Cpu);
}
