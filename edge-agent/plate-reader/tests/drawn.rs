//! Plates that we draw ourselves, through both networks: the whole way from pixels
//! to a plate without anybody's picture.
//!
//! Needs ONNX Runtime (`NGATU_ONNXRUNTIME`) and the models `ppocr-v4-det` and
//! `ppocr-v4-rec` (`deploy/setup plates`). `deploy/setup test` brings them.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[allow(dead_code)] // other tests use more of it
#[path = "../../inference/tests/support/onnx.rs"]
mod onnx;
#[path = "drawn/plate.rs"]
mod plate;

use std::io::Write as _;
use std::process::{Command, Stdio};

use edge_core::second_look::{Found, PlateText, SecondLook};
use edge_inference::{DetectorSettings, FreeNetwork, ModelStore, Network, Runtime, SelfTest};
use plate_reader::{Half, PlateLook, PlateReader, ReaderSettings, Region};
use plates::{Circumstances, PlateColour, Reading, Refusal};
use protocol::event::FrameTime;
use protocol::id::CascadeId;
use protocol::{EventTime, NormBox};
use sha2::Digest as _;

use onnx::{Attribute, Element};
use plate::{BLUE, Drawing, WHITE, YELLOW, above, draw};

fn reader() -> PlateReader {
    let needs = "run `deploy/setup test`, and set NGATU_ONNXRUNTIME and NGATU_MODELS";
    let runtime = Runtime::load(None).unwrap_or_else(|error| panic!("{error}; {needs}"));
    let store = ModelStore::open(ModelStore::default_dirs()).unwrap();
    let networks = DetectorSettings::default();
    PlateReader::load(&runtime, &store, &networks, ReaderSettings::default())
        .unwrap_or_else(|error| panic!("{error}; {needs}"))
}

const WHOLE: [f64; 4] = [0.0, 0.0, 1.0, 1.0];

fn looks(reader: &mut PlateReader, drawing: &Drawing) -> Vec<PlateLook> {
    let picture = draw(drawing);
    let region = Region::Vehicle(NormBox::from(WHOLE));
    let known = Circumstances::default();
    let looks = reader.read(&picture.view(), region, known).unwrap().found;
    for look in looks.iter().filter(|look| look.reading.is_ok()) {
        assert_eq!(of_a_scene(reader, look), look.reading, "{look:?}");
    }
    looks
}

/// What a scene reads when it is told of a look.
fn of_a_scene(reader: &PlateReader, look: &PlateLook) -> Result<Reading, Refusal> {
    let rows = look.rows.as_ref().unwrap();
    let told = SecondLook {
        at: FrameTime {
            frame: 1,
            time: EventTime::EPOCH,
        },
        track: None,
        cascade: CascadeId::new("plates").unwrap(),
        by: Vec::new(),
        main: None,
        bounds: WHOLE.into(),
        found: Found::Plates(vec![PlateText::of(
            look.bounds,
            look.weakest(),
            rows,
            look.colour,
        )]),
    };
    let Found::Plates(heard) = told.canonical().found else {
        unreachable!("plates were told");
    };
    let known = Circumstances {
        vehicle: None,
        colour: heard[0].colour.map(PlateColour::from),
    };
    plates::read(reader.grammar(), &heard[0].rows(), known)
}

fn stated(looks: &[PlateLook]) -> Vec<&str> {
    let stated = looks.iter().filter_map(|look| Some(&*look.stated()?.text));
    stated.collect()
}

#[test]
fn drawn_plates_are_read_in_one_and_two_rows_turned_aslant_small_and_blurred() {
    let mut reader = reader();
    let two = Drawing::of(&["29-K1", "357.92"]);
    let one = Drawing::of(&["30E-463.57"]);
    for (name, drawing, text) in [
        ("two rows", two, "29K135792"),
        ("one row", one, "30E46357"),
        (
            "turned",
            Drawing {
                turned: 12.0,
                ..two
            },
            "29K135792",
        ),
        (
            "turned back",
            Drawing {
                turned: -9.0,
                ..one
            },
            "30E46357",
        ),
        ("from the side", Drawing { aslant: 0.3, ..two }, "29K135792"),
        (
            "small",
            Drawing {
                row_px: 16.0,
                ..two
            },
            "29K135792",
        ),
        ("blurred", Drawing { blur: 2, ..two }, "29K135792"),
    ] {
        let seen = looks(&mut reader, &drawing);
        assert_eq!(stated(&seen), [text], "{name}: {seen:?}");
        let look = &seen[0];
        assert_eq!(look.pieces.len(), drawing.rows.len(), "{name}");
        let middle = look.bounds.centre();
        assert!(
            (middle.x - 0.5).abs() < 0.05 && (middle.y - 0.55).abs() < 0.05,
            "{name}"
        );
        // Regions are a little higher than the letters in them.
        let height = look.row_height_px / f64::from(drawing.row_px);
        assert!((0.6..1.4).contains(&height), "{name}: {height}");
    }
}

#[test]
fn the_ground_has_its_colour() {
    let mut reader = reader();
    for (ground, expected) in [
        (WHITE, PlateColour::White),
        (YELLOW, PlateColour::Yellow),
        (BLUE, PlateColour::Blue),
    ] {
        let drawing = Drawing {
            ground,
            ..Drawing::of(&["29A-463.57"])
        };
        let seen = looks(&mut reader, &drawing);
        assert_eq!(
            seen.first().and_then(|look| look.colour),
            Some(expected),
            "{seen:?}"
        );
    }
}

#[test]
fn a_blurred_plate_is_less_sharp() {
    let mut reader = reader();
    let sharpness = [0, 2, 4].map(|blur| {
        let drawing = Drawing {
            blur,
            ..Drawing::of(&["30E-463.57"])
        };
        looks(&mut reader, &drawing)
            .first()
            .map_or(0.0, |look| look.sharpness)
    });
    assert!(
        sharpness[0] > sharpness[1] && sharpness[1] > sharpness[2],
        "{sharpness:?}"
    );
}

#[test]
fn a_plate_that_the_edge_cuts_is_refused_and_a_scene_without_one_shows_none() {
    let mut reader = reader();
    let cut = Drawing {
        middle: [0.07, 0.5],
        ..Drawing::of(&["29-K1", "357.92"])
    };
    let seen = looks(&mut reader, &cut);
    assert_eq!(stated(&seen), [""; 0], "{seen:?}");
    assert!(
        seen.iter().all(|look| look.reading == Err(Refusal::Cut)),
        "{seen:?}"
    );
    let nothing = Drawing::of(&["", ""]);
    assert_eq!(looks(&mut reader, &nothing), []);
    let writing = Drawing::of(&["XE KHACH", "TAXI"]);
    assert_eq!(looks(&mut reader, &writing), []);
}

/// A reader whose recogniser has no numbers for what is more than half red, as white
/// plates are and blue ones are not.
fn reader_that_fails_on_white() -> PlateReader {
    let runtime = Runtime::load(None).unwrap();
    let store = ModelStore::open(ModelStore::default_dirs()).unwrap();
    let settings = ReaderSettings::default();
    let networks = DetectorSettings::default();
    let (manifest, file) = store.find(&settings.places).unwrap();
    let places = (Half::Places.load(&runtime, manifest, &file, &networks)).unwrap();

    let (mut manifest, file) = store.find(&settings.lines).unwrap();
    let models::heads::Head::Ctc(head) = &mut manifest.head else {
        panic!("another recogniser");
    };
    let mut more = onnx::Network::default();
    more.output("once more", Element::F32, &[-1, -1, -1]);
    let flat = || Attribute::Integer("keepdims", 0);
    let axes = |axes| Attribute::Integers("axes", axes);
    more.node("ReduceMean", &["x"], "colours", &[axes(vec![2, 3]), flat()]);
    more.floats("red of bgr", &[3], &[0.0, 0.0, -1.0]);
    more.node("Mul", &["colours", "red of bgr"], "not red", &[]);
    more.node("ReduceMean", &["not red"], "lack", &[axes(vec![1]), flat()]);
    // The square root of less than nothing.
    more.node("Sqrt", &["lack"], "rooted", &[]);
    more.floats("none", &[1], &[0.0]);
    more.node("Mul", &["rooted", "none"], "nothing", &[]);
    more.node("Add", &[&head.tensor, "nothing"], "once more", &[]);
    "once more".clone_into(&mut head.tensor);
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.onnx");
    std::fs::write(&changed, more.added_to(&std::fs::read(file).unwrap())).unwrap();
    manifest.sha256 =
        protocol::Digest(sha2::Sha256::digest(std::fs::read(&changed).unwrap()).into());
    let lines = (Half::Lines.load(&runtime, manifest, &changed, &networks)).unwrap();
    PlateReader::of(places, lines, settings).unwrap()
}

#[test]
fn a_row_without_numbers_is_refused_by_itself_and_counted() {
    let blue = Drawing {
        ground: BLUE,
        middle: [0.5, 0.75],
        ..Drawing::of(&["80A-463.57"])
    };
    let white = Drawing {
        middle: [0.5, 0.25],
        ..Drawing::of(&["30E-357.92"])
    };
    let read = |reader: &mut PlateReader, picture: &plate::Picture| {
        let region = Region::Vehicle(NormBox::from(WHOLE));
        reader.read(&picture.view(), region, Circumstances::default())
    };
    let (mut sound, mut failing) = (reader(), reader_that_fails_on_white());
    let both = above(&white, &blue);
    let seen = read(&mut sound, &both).unwrap();
    let mut texts = stated(&seen.found);
    texts.sort_unstable();
    assert_eq!((texts, seen.broken), (vec!["30E35792", "80A46357"], 0));

    let seen = read(&mut failing, &both).unwrap();
    assert!(seen.broken > 0);
    let texts: Vec<String> = (seen.found.iter())
        .map(|look| look.reading.as_ref().unwrap().best().unwrap().text.clone())
        .collect();
    assert_eq!(texts, ["80A46357"], "the other row is read as ever");
    assert_eq!(
        stated(&seen.found),
        [""; 0],
        "nobody knows what else stood there"
    );

    // Where nothing has numbers the network is blind, and that is a failure.
    let alone = read(&mut failing, &above(&white, &white));
    let error = alone.unwrap_err().to_string();
    assert!(error.contains("NaN or infinity"), "{error}");
}

/// A drawing as a file, or this part of it (width, height, left, top).
fn png(drawing: &Drawing, part: [u32; 4]) -> Vec<u8> {
    let picture = draw(drawing);
    let view = picture.view();
    let [across, down, left, top] = part;
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "yuvj420p",
    ]);
    command.args(["-s", &format!("{}x{}", view.width, view.height), "-i", "-"]);
    command.args(["-vf", &format!("crop={across}:{down}:{left}:{top}")]);
    command.args(["-frames:v", "1", "-c:v", "png", "-f", "image2pipe", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    for plane in [view.y, view.u, view.v] {
        to.write_all(plane).unwrap();
    }
    drop(to);
    let made = child.wait_with_output().unwrap();
    assert!(made.status.success());
    made.stdout
}

/// What a maker's machine saw is what this one sees, in both ways in which the networks
/// are loaded; not with a contrast of next to nothing.
#[test]
fn both_networks_pass_the_self_test_that_is_made_of_them_and_a_wrong_manifest_does_not() {
    let runtime = Runtime::load(None).unwrap();
    let store = ModelStore::open(ModelStore::default_dirs()).unwrap();
    let usual = ReaderSettings::default();
    let networks = DetectorSettings::default();
    let plate = Drawing::of(&["30E-463.57"]);
    let of_line = [304, 48, 88, 174];
    for (half, model, picture, summary) in [
        (
            Half::Places,
            &usual.places,
            png(&plate, [480, 360, 0, 0]),
            "1 box(es) in 1 picture(s)",
        ),
        (
            Half::Lines,
            &usual.lines,
            png(&plate, of_line),
            "1 line(s) in 1 picture(s)",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("1.png"), &picture).unwrap();
        let (manifest, file) = store.find(model).unwrap();
        let load = |manifest| half.load(&runtime, manifest, &file, &networks).unwrap();
        let mut free: FreeNetwork = load(manifest.clone());
        let pictures = [("1.png".to_owned(), picture)];
        let test = SelfTest::of(&mut free, &pictures).unwrap();
        assert_eq!(test.summary(), summary, "{test:?}");
        assert_eq!(test.run(&mut free, folder.path()), Ok(1));
        let mut network = Network::load(&runtime, manifest.clone(), &file, &networks).unwrap();
        assert_eq!(test.run(&mut network, folder.path()), Ok(1), "{test:?}");
        let mut wrong = manifest.clone();
        wrong.input.std = [2.55e6; 3];
        let failed = test.run(&mut load(wrong), folder.path());
        assert!(failed.is_err(), "{test:?}");
        // The other half of the reader it cannot be.
        let other = match half {
            Half::Places => Half::Lines,
            Half::Lines => Half::Places,
        };
        let refused = other
            .load(&runtime, manifest, &file, &networks)
            .unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("correct its name under [detector.plates]"),
            "{refused}"
        );
    }
}
