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

use edge_inference::{DetectorSettings, Examinee, FreeNetwork, Network, SelfTest};
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
            assert!(message.contains(words), "{message}");
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
