//! The same pictures as a camera sends them and as a file has them: one case.

use case_bundle::manifest::{CaseManifest, CaseMedia, Clock};
use protocol::evidence::EvidenceRole;
use protocol::units::Seconds;
use protocol::{Digest, Envelope};
use rtsp_camera::{Clip, ClipCodec, TestPattern};

use super::*;
use crate::live::evidence::Wish;

const EVENT: &str = include_str!("../../../../protocol/tests/wire/v1/event-wrong-way.json");
/// The clip's first picture is taken so long before the decision, s.
const BEFORE: f64 = 12.0;

/// A box, and one event of it.
struct Site {
    folder: tempfile::TempDir,
    publisher: Publisher,
    camera: CameraConfig,
    event: Event,
    trail: SharedTrail,
}

impl Site {
    fn new() -> Self {
        edge_video::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let text = "[box]\nsite = 'hanoi'\nid = 'nga-tu-so-1'\n[store]\ndir = 'store'\n\
                    [[camera]]\nid = 'east'\nsource = { rtsp = 'rtsp://h/x' }\n";
        let config = AgentConfig::parse(text, &folder.path().join("box.toml")).unwrap();
        let outbox = Outbox::open(&config.store.dir, DiskBudget::new(NO_BUDGET)).unwrap();
        let event: Envelope<Event> = serde_json::from_str(EVENT).unwrap();
        let mut event = event.data;
        event.ended = Some(event.decided.time + Seconds(1.0));
        outbox.append_event(&event, event.decided.time).unwrap();
        let camera = config.cameras[0].clone();
        let state = Arc::new(CameraState::new(&config, &camera, None));
        let signer = Signer::open(&config).unwrap();
        let origin = Words::new("từ tệp", "of a file");
        let publisher = Publisher::of_clip(camera.scene.clone(), outbox, state, signer, origin);
        Self {
            folder,
            publisher,
            trail: SharedTrail::new(&camera.clip),
            camera,
            event,
        }
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::new(Ring::new(self.camera.clip.limits().unwrap()))
    }

    fn wish(&self) -> Box<Wish> {
        let decided = self.event.decided;
        let earlier = FrameTime {
            frame: decided.frame - 10,
            time: decided.time - Seconds(2.03),
        };
        Box::new(Wish {
            event: self.event.clone(),
            at: vec![earlier, decided],
            early: Vec::new(),
            clock: Clock {
                quality: TimeQuality::Media,
                uncertainty_s: None,
            },
        })
    }

    /// When a picture of the clip was taken.
    fn time(&self, media: i64) -> EventTime {
        let start = self.event.decided.time - Seconds(BEFORE);
        EventTime::from_micros(start.as_micros() + media)
    }

    /// As the box does it: the ring is filled by a camera, and a thread makes the case.
    fn live(&self, path: &Path) -> Case {
        let ring = self.ring();
        let made = Desk::by_hand(
            self.camera.clip,
            Rings::one(&ring),
            self.publisher.clone(),
            &self.trail,
        );
        let desk = Desk::start(made, None).unwrap();
        let mut clip = EncodedClip::open(path).unwrap();
        for bytes in Clip::load(path).unwrap().sent() {
            let picture = clip.next_picture().unwrap().unwrap();
            let stamp = (self.time(picture.media.unwrap()), TimeQuality::Media);
            ring.push(clip.codec(), &bytes, picture.media, stamp);
        }
        assert!(desk.wish(self.wish()).is_ok());
        desk.finish();
        self.case()
    }

    /// As a replay does it.
    fn replayed(&self, path: &Path) -> Case {
        let clip = EncodedClip::open(path).unwrap();
        let ring = self.ring();
        ring.describe(clip.codec(), clip.parameters());
        let (desk, bench) = Desk::by_hand(
            self.camera.clip,
            Rings::one(&ring),
            self.publisher.clone(),
            &self.trail,
        );
        let mut film = Film {
            clip,
            ring,
            desk,
            bench,
            next: None,
        };
        for tenth in 0..220 {
            let now = tenth * 100_000;
            film.roll(now + AHEAD_US, |media| self.time(media)).unwrap();
            if self.time(now) == self.event.decided.time {
                assert!(film.desk.wish(self.wish()).is_ok());
            }
            film.bench.step();
        }
        film.bench.finish(&clip_ended());
        self.case()
    }

    fn case(&self) -> Case {
        let out = tempfile::tempdir().unwrap();
        let store = self.folder.path().join("store");
        let folders = export::export_all(&store, out.path()).unwrap();
        let [folder] = &folders[..] else {
            panic!("{folders:?}")
        };
        let sealed = fs::read(folder.join("case.json")).unwrap();
        let sealed = case_bundle::Sealed::open(&sealed).unwrap();
        let manifest: CaseManifest = serde_json::from_slice(sealed.manifest).unwrap();
        let is_clip = |media: &&CaseMedia| media.role == EvidenceRole::Clip;
        let clip = manifest.media.iter().find(is_clip).expect("no clip");
        let mut file = EncodedClip::open(&folder.join(&clip.name)).unwrap();
        let mut pictures = Vec::new();
        while let Some(picture) = file.next_picture().unwrap() {
            pictures.push(own(file.codec(), &picture.bytes));
        }
        Case { manifest, pictures }
    }
}

struct Case {
    manifest: CaseManifest,
    /// The clip's, what a parser may add left out.
    pictures: Vec<Vec<Vec<u8>>>,
}

impl Case {
    /// All that is the same however the pictures came. Stills by their bytes.
    fn said(&self) -> Vec<String> {
        let media = self.manifest.media.iter().map(|media| {
            let is_clip = media.role == EvidenceRole::Clip;
            let digest = (!is_clip).then_some(media.sha256);
            let seconds = |at: EventTime| at.since(self.manifest.event.decided.time).0;
            format!(
                "{:?} {:.3} {:?} {:?} {:?}",
                media.role,
                seconds(media.captured),
                media.until.map(seconds),
                media.note.as_ref().map(|note| &note.en),
                digest.map(|digest: Digest| digest.to_string()),
            )
        });
        let missing = self.manifest.missing.iter().map(|it| format!("{it:?}"));
        media.chain(missing).collect()
    }
}

/// The NAL units of a picture without delimiters and parameter sets: those a parser
/// of the test's camera adds.
fn own(codec: edge_video::encoded::Codec, bytes: &[u8]) -> Vec<Vec<u8>> {
    use edge_video::encoded::{Codec, unit::nal_units};
    let is_own = |unit: &&[u8]| match codec {
        Codec::H264 => !matches!(unit[0] & 31, 7..=9),
        Codec::H265 => !matches!(unit[0] >> 1 & 63, 32..=35),
        Codec::Mjpeg => true,
    };
    if codec == Codec::Mjpeg {
        return vec![bytes.to_vec()];
    }
    nal_units(bytes)
        .filter(is_own)
        .map(<[u8]>::to_vec)
        .collect()
}

#[test]
fn a_clip_gives_the_case_that_a_camera_gives_which_sends_the_same_pictures() {
    for (codec, file, b_pictures) in [
        (ClipCodec::H264, "clip.mp4", 0),
        (ClipCodec::H264, "clip.mkv", 2),
        (ClipCodec::H265, "clip.mp4", 0),
        (ClipCodec::Mjpeg, "clip.mkv", 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        let pattern = TestPattern {
            codec,
            fps: 10,
            pictures: 220,
            b_pictures,
            ..TestPattern::default()
        };
        pattern.write(&path).unwrap();
        let (live, replayed) = (Site::new().live(&path), Site::new().replayed(&path));
        let said = replayed.said();
        assert_eq!(live.said(), said, "{codec:?} in {file}");
        assert!(replayed.manifest.missing.is_empty(), "{said:?}");
        // Clip, and clean and annotated of two moments.
        assert_eq!(said.len(), 5, "{said:?}");
        assert!(said.iter().all(|line| line.contains("of a file")));
        assert_eq!(live.pictures, replayed.pictures, "{codec:?} in {file}");
        // And these are the file's own, in a row.
        let mut source = EncodedClip::open(&path).unwrap();
        let mut all = Vec::new();
        while let Some(picture) = source.next_picture().unwrap() {
            all.push(own(source.codec(), &picture.bytes));
        }
        let taken = &replayed.pictures;
        let is_run = all.windows(taken.len()).any(|run| run == taken.as_slice());
        assert!(is_run, "{codec:?} in {file}: {} pictures", taken.len());
        assert!(taken.len() > 130, "{}", taken.len());
    }
}
