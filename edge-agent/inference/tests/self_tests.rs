//! Self-tests of models that answer with a word for the picture, or with boxes,
//! however they are loaded.
//!
//! Needs the runtime that set-up fetches; without it these tests say so and pass.
#![allow(clippy::unwrap_used)] // what is around the tests is test code, too

#[allow(dead_code)] // other tests use more of it
#[path = "support/onnx.rs"]
mod onnx;
#[allow(dead_code)] // other tests use more of it
#[path = "support/small.rs"]
mod small;

use edge_inference::{
    DetectorSettings, Examinee, FreeNetwork, Ground, Network, Provider, SelfTest, SelfTestFault,
    StartFault,
};
use models::{Colour, Manifest};

use small::Small;

/// A picture all of one colour.
fn png(colour: [u8; 3]) -> Vec<u8> {
    let picture = image::RgbImage::from_pixel(64, 64, image::Rgb(colour));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// Reddish, then bluish.
fn pictures() -> [(String, Vec<u8>); 2] {
    let named = |name: &str, colour| (name.to_owned(), png(colour));
    [named("1.png", [200, 60, 20]), named("2.png", [20, 60, 200])]
}

#[test]
fn a_model_passes_what_was_made_of_it_and_fails_with_its_colours_swapped() {
    let runtime = small::runtime();
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in &pictures() {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let small = Small {
        labels: onnx::Element::F32,
        ..Small::default()
    };
    let settings = DetectorSettings::default();
    for (manifest, summary, words) in [
        (
            Small::classifier(),
            "2 word(s) in 2 picture(s)",
            "1.png: class 2 is said instead of class 0",
        ),
        (
            small.manifest(),
            "2 box(es) in 2 picture(s)",
            "1.png: person at 0.000,0.000 size 0.250×0.250 is not seen",
        ),
    ] {
        let network = |manifest: Manifest| {
            small::load(&runtime, manifest, &small.file(), &settings, Network::load).unwrap()
        };
        let free = |manifest: Manifest| {
            let bytes = small.file();
            small::load(&runtime, manifest, &bytes, &settings, FreeNetwork::load).unwrap()
        };
        let mut maker = network(manifest.clone());
        let test = SelfTest::of(&mut maker, &pictures()).unwrap();
        assert_eq!(test.summary(), summary, "{test:?}");
        let mut swapped = manifest.clone();
        swapped.input.colour = Colour::Bgr;
        let run = |model: &mut dyn Examinee| test.run(model, folder.path());
        assert_eq!(run(&mut maker), Ok(2));
        assert_eq!(run(&mut free(manifest.clone())), Ok(2));
        for message in [
            run(&mut network(swapped.clone())).unwrap_err(),
            run(&mut free(swapped)).unwrap_err(),
        ] {
            assert!(
                matches!(&message, SelfTestFault::Failed(why) if why.contains(words)),
                "{message}"
            );
        }
        // Grey is nothing that it is sure of.
        let dark = [("1.png".to_owned(), png([9, 9, 9]))];
        let refused = SelfTest::of(&mut maker, &dark).unwrap_err();
        assert!(
            refused.contains("pictures with something to see"),
            "{refused}"
        );
    }
}

/// A disk that hiccups, a picture that nothing here decodes, a test that is no test: the
/// model is not the worse for it.
#[test]
fn what_cannot_be_tested_is_named_and_not_called_bad() {
    let runtime = small::runtime();
    let folder = tempfile::tempdir().unwrap();
    let settings = DetectorSettings::default();
    let (manifest, bytes) = (
        Small::classifier(),
        Small {
            labels: onnx::Element::F32,
            ..Small::default()
        }
        .file(),
    );
    let mut model = small::load(&runtime, manifest, &bytes, &settings, Network::load).unwrap();
    let ground = Ground::of(&runtime, &settings, Provider::Cpu);
    let test = SelfTest::of(&mut model, &pictures()).unwrap();
    let whole = png([200, 60, 20]);
    for (content, words) in [
        (None, "1.png"),
        (Some(&whole[..40]), "1.png"),
        (Some(&b"RIFF\0\0\0\0WEBPVP8 "[..]), "1.png"),
    ] {
        match content {
            Some(content) => std::fs::write(folder.path().join("1.png"), content).unwrap(),
            None => assert!(!folder.path().join("1.png").exists()),
        }
        let fault = test.run(&mut model, folder.path()).unwrap_err();
        let said = fault.to_string();
        assert!(
            said.contains("could not be tested") && said.contains(words),
            "{said}"
        );
        assert!(matches!(fault.on(&ground), StartFault::Passing(_)));
    }
    let selftest = folder.path().join("selftest.toml");
    for (text, words) in [
        ("picture = []", "it has no picture"),
        ("rubbish", "selftest.toml: "),
        (
            "[[picture]]\nfile = '../1.png'",
            "is not a place within the bundle",
        ),
        (
            "[[picture]]\nfile = '/etc/passwd'",
            "is not a place within the bundle",
        ),
        (
            "[[picture]]\nfile = '1.png'\nlabel = { number = 1, score = nan }",
            "scores are from 0 to 1",
        ),
        (
            "[[picture]]\nfile = '1.png'\nexpect = [{ class = 'car', bounds = [inf, 0.0, 1.0, 1.0], score = 0.5 }]",
            "bounds are numbers",
        ),
    ] {
        std::fs::write(&selftest, text).unwrap();
        let fault = SelfTest::open(folder.path()).unwrap_err();
        assert!(
            matches!(&fault, SelfTestFault::Untested(why) if why.contains(words)),
            "{fault}"
        );
    }
    std::fs::write(&selftest, vec![b'#'; 2 << 20]).unwrap();
    assert!(SelfTest::open(folder.path()).is_err());
}
