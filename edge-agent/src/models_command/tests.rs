//! Loading for commands that end, with a model that is no network: it sees what it must where it
//! may compute on the processor, and nothing where it computes on anything else.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

use std::cell::RefCell;

use anyhow::Context as _;
use edge_inference::{Answered, ProviderChoice, SELF_TEST};
use models::I420View;
use models::heads::Answers;
use protocol::{Detection, NormBox, ObjectClass};

use super::*;

struct Pretended {
    manifest: Manifest,
    on: Provider,
    is_wrong: bool,
}

impl Examinee for Pretended {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn provider(&self) -> &'static str {
        self.on.name()
    }

    fn answer(&mut self, _: &I420View<'_>) -> Result<Answered, DetectorError> {
        let car = Detection {
            class: ObjectClass::Car,
            score: 0.9,
            bounds: NormBox::from([0.1, 0.1, 0.5, 0.5]),
        };
        let found = if self.is_wrong { Vec::new() } else { vec![car] };
        Ok(Answered::Detections(Answers { found, broken: 0 }))
    }
}

/// Loads such a model with a list of providers, of which `wrong` compute otherwise: on what it
/// computes then, and what was loaded on the way.
fn load(listed: &[Provider], wrong: &[Provider]) -> (anyhow::Result<Provider>, Vec<Provider>) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let picture = include_bytes!("../../video/src/decoder/sample.jpg");
    std::fs::write(at("car.jpg"), picture).unwrap();
    let expected = "[[picture]]\nfile = 'car.jpg'\n\
                    expect = [{ class = 'car', bounds = [0.1, 0.1, 0.5, 0.5], score = 0.9 }]\n";
    std::fs::write(at(SELF_TEST), expected).unwrap();
    let manifest = include_str!("../../../models/catalog/yolox-nano/model.toml");
    let manifest = Manifest::parse(manifest).unwrap();
    let candidate = Candidate {
        model: manifest.id.clone(),
        version: Some(8),
        sha256: manifest.sha256,
        manifest: None,
    };
    let settings = DetectorSettings {
        providers: ProviderChoice::Listed(listed.to_vec()),
        ..DetectorSettings::default()
    };
    let tried = RefCell::new(Vec::new());
    let loaded = load_tested(&settings, (&candidate, &at("net.onnx")), |settings| {
        let is_left = |one: &&Provider| settings.left.iter().any(|left| left.provider == **one);
        let on = listed.iter().find(|one| !is_left(one)).copied();
        let on = on.context("nothing is left to compute on")?;
        tried.borrow_mut().push(on);
        Ok(Pretended {
            manifest: manifest.clone(),
            on,
            is_wrong: wrong.contains(&on),
        })
    });
    let on = loaded.map(|(model, has_test)| {
        assert!(has_test);
        model.on
    });
    (on, tried.into_inner())
}

/// A box ended at each start, and the last good model, which its accelerator takes, was never asked. And a
/// card that gives another byte the second time had a model called bad.
#[test]
fn what_nothing_computes_and_what_is_read_otherwise_is_not_called_bad() {
    let model: protocol::id::ModelId = "street".parse().unwrap();
    let refused = DetectorError::NoProvider {
        model: model.clone(),
        refusals: Vec::new(),
    };
    assert!(matches!(start_fault(refused), StartFault::Refused(_)));
    let differs = DetectorError::Differs {
        model,
        file: PathBuf::from("net.onnx"),
        expected: protocol::Digest([0; 32]),
        found: protocol::Digest([1; 32]),
    };
    assert!(matches!(start_fault(differs), StartFault::Passing(_)));
}

/// `models install` refused a good version for its provider's sake, and the processor, next in the
/// list, was never asked.
#[test]
fn a_version_is_tried_on_the_next_provider_where_it_sees_otherwise_on_an_accelerator() {
    use Provider::{Cpu, Cuda, TensorRt};
    let (on, tried) = load(&[TensorRt, Cuda, Cpu], &[TensorRt, Cuda]);
    assert_eq!(on.unwrap(), Cpu);
    assert_eq!(tried, [TensorRt, Cuda, Cpu]);
    let (on, tried) = load(&[TensorRt, Cuda, Cpu], &[]);
    assert_eq!(on.unwrap(), TensorRt);
    assert_eq!(tried, [TensorRt]);
}

#[test]
fn what_sees_otherwise_on_all_that_may_compute_is_refused_and_that_ends() {
    use Provider::{Cpu, Cuda};
    for (listed, last) in [
        (&[Cuda, Cpu][..], Cpu),
        // Whose fault it is nobody knows then; the last that was asked is named.
        (&[Cuda], Cuda),
        // The processor is believed, whatever stands behind it.
        (&[Cpu, Cuda], Cpu),
    ] {
        let (on, tried) = load(listed, &[Cuda, Cpu]);
        let why = on.unwrap_err().to_string();
        let fails = format!("its self-test fails on {}", last.name());
        assert!(why.contains(&fails), "{why}");
        assert_eq!(tried.last(), Some(&last));
        assert!(tried.len() <= listed.len());
    }
}
