//! Vietnamese street pictures, through both networks, against what people read.
//!
//! Needs ONNX Runtime (`NGATU_ONNXRUNTIME`), the models `ppocr-v4-det` and
//! `ppocr-v4-rec`, and the pictures of `truth/README.md`, which may not be passed
//! on and so are beside the repository. So the suite runs it only where they are.

use std::error::Error;
use std::path::Path;

use edge_inference::{DetectorSettings, ModelStore, Runtime, Still};
use plate_reader::score::{self, Outcome, Tally};
use plate_reader::{PlateReader, ReaderSettings, Region, truth};
use plates::Circumstances;

#[test]
#[ignore = "needs pictures of streets, which may not be passed on"]
fn most_plates_are_read_and_none_is_read_as_another() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("../../../shared/data/plates/mrzaizai2k/images");
    let runtime = Runtime::load(None)?;
    let store = ModelStore::open(ModelStore::default_dirs())?;
    let networks = DetectorSettings::default();
    let mut reader = PlateReader::load(&runtime, &store, &networks, ReaderSettings::default())?;
    let text = std::fs::read_to_string(here.join("truth/vn-streets.jsonl"))?;
    let mut tally = Tally::default();
    // Every fourth picture: the whole set is for `edge-agent plates score`.
    for picture in truth::parse(&text)?.iter().step_by(4) {
        let still = Still::open(&folder.join(&picture.picture))?;
        for plate in &picture.plates {
            let known = Circumstances {
                vehicle: Some(plate.vehicle),
                colour: None,
            };
            let looks = (reader.read(&still.view(), Region::Plate(plate.bounds), known)?).found;
            let result = score::result(plate, &looks);
            let is_another = matches!(result.outcome, Outcome::Wrong(_));
            assert!(
                !is_another,
                "{} {}: {result:?}",
                picture.picture, plate.text
            );
            tally.add(plate, &result);
        }
    }
    println!("{}", tally.exact());
    assert!(
        tally.plates > 15 && 3 * tally.right > 2 * tally.plates,
        "{tally:?}"
    );
    Ok(())
}
