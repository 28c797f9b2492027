//! What is found in a picture is the same to the bit, alone or in a batch, and
//! whatever stands beside it; on the real runtime.
//!
//! Needs what set-up fetches; without it these tests say so and pass.
#![allow(clippy::unwrap_used)] // what is around the tests is test code, too

#[allow(dead_code)] // other tests use more of it
#[path = "support/onnx.rs"]
mod onnx;
#[allow(dead_code)] // other tests use more of it
#[path = "support/small.rs"]
mod small;
#[allow(dead_code)] // the other tests use more of it
#[path = "support/y4m.rs"]
mod y4m;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use edge_inference::{Detector, DetectorSettings, Look, ModelStore, Runtime};
use edge_scheduler::{Job, Kind, Plan, Region, Scheduler, Settings};
use models::{Crop, I420View, Manifest};
use protocol::{Detection, Detections, EventTime, TimeQuality};

use small::Small;

/// The installed detector, changed so that it takes batches.
fn detector(runtime: &Runtime, batch: usize) -> Detector {
    let store = ModelStore::open(ModelStore::default_dirs()).unwrap();
    // Of those that may be here, the one without a constant of one picture inside.
    let found = store.find(&"centernet-mb3-512".parse().unwrap());
    let (manifest, file) = found.unwrap_or_else(|error| panic!("{error}; run `deploy/setup test`"));
    let opened = onnx::with_open_batch(&std::fs::read(file).unwrap());
    load(runtime, manifest, &opened, batch).unwrap()
}

fn load(
    runtime: &Runtime,
    manifest: Manifest,
    bytes: &[u8],
    batch: usize,
) -> Result<Detector, edge_inference::DetectorError> {
    let settings = DetectorSettings {
        batch,
        ..DetectorSettings::default()
    };
    small::load(runtime, manifest, bytes, &settings, Detector::load)
}

/// A picture of a real clip and one of noise; both of another size.
fn pictures() -> Vec<Picture> {
    let clip = small::clips().join("vtest.mp4");
    let raw = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(clip)
        .args([
            "-vf",
            "select=not(mod(n\\,100))",
            "-vsync",
            "0",
            "-frames:v",
            "5",
        ])
        .args(["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"])
        .output()
        .expect("ffmpeg; run `deploy/setup test` first");
    let mut stream = y4m::Reader::new(raw.stdout.as_slice()).expect("pictures of vtest.mp4");
    let mut pictures = Vec::new();
    while let Some(view) = stream.next_picture().unwrap() {
        pictures.push(Picture::of(&view));
    }
    pictures.push(Picture::noise(641, 359));
    pictures
}

/// A picture with planes of its own.
struct Picture {
    size: (u32, u32),
    planes: [Vec<u8>; 3],
}

impl Picture {
    fn of(view: &I420View<'_>) -> Self {
        Self {
            size: (view.width, view.height),
            planes: [view.y.to_vec(), view.u.to_vec(), view.v.to_vec()],
        }
    }

    fn noise(width: u32, height: u32) -> Self {
        let mut state = 1_u32;
        let mut plane = |width: u32, height: u32| {
            let bytes = (0..width * height).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_le_bytes()[3]
            });
            bytes.collect()
        };
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        Self {
            size: (width, height),
            planes: [
                plane(width, height),
                plane(half_width, half_height),
                plane(half_width, half_height),
            ],
        }
    }

    fn view(&self) -> I420View<'_> {
        let half = self.size.0.div_ceil(2) as usize;
        I420View {
            width: self.size.0,
            height: self.size.1,
            y: &self.planes[0],
            y_stride: self.size.0 as usize,
            u: &self.planes[1],
            u_stride: half,
            v: &self.planes[2],
            v_stride: half,
            matrix: models::ColourMatrix::Bt601,
            range: models::ColourRange::Limited,
        }
    }
}

/// As scenes are told of them, to the last digit.
fn told(items: Vec<Detection>) -> String {
    let detections = Detections {
        frame: 0,
        time: EventTime::EPOCH,
        time_quality: TimeQuality::Media,
        aspect: 1.0,
        believed_from: 0.3,
        camera_motion: None,
        is_followed: false,
        items,
    };
    serde_json::to_string(&detections.canonical()).unwrap()
}

#[test]
fn detections_do_not_depend_on_the_batch_its_order_or_the_pictures_beside() {
    let runtime = small::runtime();
    let pictures = pictures();
    let mut alone = detector(&runtime, 1);
    let views: Vec<_> = pictures.iter().map(Picture::view).collect();
    // Whole pictures and a part of each: 12 looks, some of them like no other.
    let looks: Vec<Look<'_>> = views
        .iter()
        .flat_map(|view| {
            let part = Crop {
                x: view.width / 3,
                y: view.height / 4,
                width: view.width / 2,
                height: view.height / 2,
            };
            [Look::whole(view), Look::crop(view, part)]
        })
        .collect();
    let expected: Vec<Vec<Detection>> = looks
        .iter()
        .map(|look| alone.detect_batch(&[*look]).remove(0).unwrap().found)
        .collect();
    assert!(expected.iter().filter(|found| !found.is_empty()).count() >= 5);
    for batch in [1, 2, 3] {
        let mut detector = detector(&runtime, batch);
        assert_eq!(
            detector.network().batch(),
            batch,
            "{:?}",
            detector.network().batch_limit()
        );
        for step in [5, 7] {
            // Each step is another order, with other neighbours.
            let order: Vec<usize> = (0..looks.len())
                .map(|n| (n * step + batch) % looks.len())
                .collect();
            let shuffled: Vec<_> = order.iter().map(|n| looks[*n]).collect();
            let seen = detector.detect_batch(&shuffled);
            for (number, seen) in order.iter().zip(seen) {
                let seen = seen.unwrap().found;
                // Not only what is published: every bit.
                assert_eq!(
                    seen, expected[*number],
                    "batch {batch}, step {step}, look {number}"
                );
                assert_eq!(told(seen), told(expected[*number].clone()));
            }
        }
    }
}

/// Cameras of a simulated box, whose pictures and tiles the scheduler picks,
/// are told what each picture shows alone, however many they are.
#[test]
fn cameras_beside_each_other_see_what_each_would_see_alone() {
    let runtime = small::runtime();
    let pictures = pictures();
    let mut alone = detector(&runtime, 1);
    let views: Vec<_> = pictures.iter().map(Picture::view).collect();
    let tile = |picture: usize| {
        let view = &views[picture];
        Look::part(view, &protocol::NormBox::from([0.4, 0.3, 0.5, 0.5]))
    };
    let look = |(picture, kind): (usize, Kind)| match kind {
        Kind::Tile => tile(picture),
        _ => Look::whole(&views[picture]),
    };
    let mut expected = BTreeMap::new();
    for picture in 0..views.len() {
        for kind in [Kind::Awake, Kind::Tile] {
            let seen = alone.detect_batch(&[look((picture, kind))]).remove(0);
            expected.insert((picture, kind), told(seen.unwrap().found));
        }
    }
    let mut beside = detector(&runtime, 3);
    for cameras in [1, 2, 4] {
        let plan = Plan {
            interval_us: 100_000,
            heartbeat_us: 1_700_000,
        };
        let mut scheduler = Scheduler::new(Settings::default(), &vec![plan; cameras], &[3]);
        let mut sizes = BTreeSet::new();
        let mut seen_of = vec![0; cameras];
        for round in 0..8_i64 {
            let now = round * 100_000;
            for camera in 0..cameras {
                // Each camera is at another place of the clip.
                let picture = (usize::try_from(round).unwrap() + 2 * camera) % views.len();
                for (kind, region) in [
                    (Kind::Awake, Region::Whole),
                    (Kind::Tile, Region::Part(protocol::NormBox::default())),
                ] {
                    let job = Job {
                        camera,
                        model: 0,
                        kind,
                        region,
                        series: 0,
                        time: EventTime::from_micros(now),
                        picture: (picture, kind),
                    };
                    scheduler.offer(job, now);
                }
            }
            // As many batches as there is time for in a round.
            for batch in 0..2 {
                let chosen = scheduler.pick(now + batch * 40_000);
                let looks: Vec<_> = chosen
                    .iter()
                    .map(|chosen| look(chosen.job.picture))
                    .collect();
                sizes.insert(looks.len());
                for (chosen, seen) in chosen.iter().zip(beside.detect_batch(&looks)) {
                    let found = told(seen.unwrap().found);
                    assert_eq!(found, expected[&chosen.job.picture], "{cameras} cameras");
                    seen_of[chosen.job.camera] += 1;
                }
                scheduler.finished(0, chosen.len().max(1), 40_000, now + (batch + 1) * 40_000);
            }
        }
        assert!(seen_of.iter().all(|looks| *looks >= 3), "{seen_of:?}");
        assert!(
            sizes.last() >= Some(&2),
            "nothing was done together: {sizes:?}"
        );
    }
}

#[test]
fn a_picture_that_is_broken_or_that_the_network_fails_on_spoils_no_other() {
    let runtime = small::runtime();
    let network = Small {
        batch: -1,
        fails_when_bright: true,
        ..Small::default()
    };
    let mut detector = load(&runtime, network.manifest(), &network.file(), 4).unwrap();
    assert_eq!(detector.network().batch(), 4);
    let planes: Vec<Vec<u8>> = [100_u8, 255, 120]
        .iter()
        .map(|grey| vec![*grey; 64 * 64])
        .collect();
    let [dark, bright, grey] = [0, 1, 2].map(|n| small::grey(64, 64, &planes[n]));
    let broken = small::grey(64, 64, &planes[0][1..]);
    let looks = [dark, bright, broken, grey, dark].map(|view| Look::whole(&view));
    let seen = detector.detect_batch(&looks);
    let scores: Vec<Result<f64, String>> = seen
        .into_iter()
        .map(|seen| {
            seen.map(|seen| seen.found[0].score)
                .map_err(|error| error.to_string())
        })
        .collect();
    let [Ok(first), Err(failed), Err(broken), Ok(other), Ok(last)] = &scores[..] else {
        panic!("{scores:?}")
    };
    assert!(failed.contains("inference failed"), "{failed}");
    assert!(broken.contains("plane y"), "{broken}");
    assert_eq!(first, last);
    assert!(other > first);
    let alone = detector.detect(&grey).unwrap()[0].score;
    assert_eq!(*other, alone);
}

#[test]
fn a_batch_that_would_change_what_is_found_is_not_used() {
    let runtime = small::runtime();
    let batch_of = |small: Small| {
        let detector = load(&runtime, small.manifest(), &small.file(), 4).unwrap();
        let network = detector.network();
        (
            network.batch(),
            network.batch_limit().unwrap_or_default().to_owned(),
        )
    };
    let open = Small {
        batch: -1,
        ..Small::default()
    };
    assert_eq!(batch_of(open), (4, String::new()));
    // Its scores rise by a hair with the size of the batch.
    let (batch, reason) = batch_of(Small {
        knows_its_batch: true,
        ..open
    });
    assert!(batch == 1 && reason.contains("other bits"), "{reason}");
    let (batch, reason) = batch_of(Small { batch: 1, ..open });
    assert!(
        batch == 1 && reason.contains("one picture at a time"),
        "{reason}"
    );
}

/// A neighbour has taken an accelerator's memory: eight do not fit any more, one does. Each
/// batch was computed twice for ever, and nobody heard of it.
#[test]
fn batches_that_fail_where_their_pictures_do_not_become_smaller_and_say_why() {
    let small = Small {
        batch: -1,
        fails_when_many_are_bright: true,
        ..Small::default()
    };
    let runtime = small::runtime();
    let mut detector = load(&runtime, small.manifest(), &small.file(), 8).unwrap();
    assert_eq!(detector.network().batch(), 8);
    let planes = [vec![128_u8; 64 * 64], vec![255; 64 * 64]];
    let [dark, bright] = planes.each_ref().map(|plane| small::grey(64, 64, plane));
    let look = |detector: &mut Detector, picture, count: usize| {
        let answers = detector.detect_batch(&vec![Look::whole(picture); count]);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        detector.network().batch()
    };
    // Two in a row may be a bad moment, and small ones are no matter.
    assert_eq!(look(&mut detector, &bright, 8), 8);
    assert_eq!(look(&mut detector, &bright, 8), 8);
    assert_eq!(look(&mut detector, &dark, 8), 8);
    assert_eq!(look(&mut detector, &bright, 4), 8);
    assert_eq!(look(&mut detector, &bright, 8), 8);
    assert_eq!(look(&mut detector, &bright, 6), 8);
    assert_eq!(look(&mut detector, &bright, 8), 4);
    let reason = detector.network().batch_limit().unwrap().to_owned();
    assert!(
        reason.contains("3 batches of 8 in a row failed on cpu"),
        "{reason}"
    );
    for count in [8, 6, 4, 1] {
        assert_eq!(look(&mut detector, &bright, count), 4);
    }
}

#[test]
fn a_network_with_an_open_batch_says_so_wherever_its_shape_stands() {
    let opened = onnx::with_open_batch(&Small::default().file());
    // The input and three outputs.
    assert_eq!(opened.windows(5).filter(|word| word == b"batch").count(), 4);
}
