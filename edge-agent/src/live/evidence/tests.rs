//! Real encoded pictures in the rings, a real outbox, and the case that comes out.

mod burst;
mod open_groups;
mod signals;

use std::path::Path;

use case_bundle::Sealed;
use case_bundle::manifest::CaseManifest;
use case_bundle::sealed::SEALED_HEAD;
use edge_uplink::Outbox;
use edge_video::encoded::{Codec, RingLimits};
use protocol::event::Look;
use protocol::evidence::EvidenceRole;
use protocol::plate::{NumberPlate, PlateView};
use protocol::units::Seconds;
use protocol::{Envelope, EventTime, NormBox, ObjectClass, TimeQuality};
use rtsp_camera::{Clip, TestPattern};

use super::*;
use crate::case::Signer;
use crate::config::AgentConfig;
use crate::live::CameraState;

const EVENT: &str = include_str!("../../../../protocol/tests/wire/v1/event-wrong-way.json");

/// What a camera sends: five pictures a second, the first of each second a key picture.
fn sent(width: u32, height: u32) -> Vec<Vec<u8>> {
    let pattern = TestPattern {
        width,
        height,
        fps: 5,
        pictures: 20,
        ..TestPattern::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    pattern.write(&path).unwrap();
    Clip::load(&path).unwrap().sent()
}

/// A ring that holds all that a test puts into it.
const LONG: RingLimits = RingLimits {
    seconds: 600.0,
    bytes: 64 << 20,
    album: None,
};

/// A camera's box, and one event of it.
struct Site {
    folder: tempfile::TempDir,
    config: AgentConfig,
    outbox: Outbox,
    event: Event,
    /// The moments before the decision that the rule named, s.
    before: Vec<f64>,
}

impl Site {
    fn new() -> Self {
        edge_video::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let text = "[box]\nsite = 'hanoi'\nid = 'nga-tu-so-1'\n[store]\ndir = 'store'\n\
                    [[camera]]\nid = 'east'\nsource = { rtsp = 'rtsp://h/x' }\n";
        let config = AgentConfig::parse(text, &folder.path().join("box.toml")).unwrap();
        let outbox = Outbox::open(&config.store.dir, config.store.disk_budget()).unwrap();
        let event: Envelope<Event> = serde_json::from_str(EVENT).unwrap();
        let mut event = event.data;
        event.ended = Some(event.decided.time + Seconds(1.0));
        outbox.append_event(&event, event.decided.time).unwrap();
        Self {
            folder,
            config,
            outbox,
            event,
            before: vec![2.0],
        }
    }

    /// A ring with pictures of this size from `from` to `to`, seconds after the decision.
    fn ring(&self, (width, height): (u32, u32), (from, to): (f64, f64)) -> Arc<Ring> {
        self.limited_ring((width, height), (from, to), LONG)
    }

    fn limited_ring(&self, size: (u32, u32), span: (f64, f64), limits: RingLimits) -> Arc<Ring> {
        self.paced_ring(size, span, limits, (0.2, TimeQuality::Rtcp))
    }

    /// A picture each `every` seconds, of a camera with such a clock.
    fn paced_ring(
        &self,
        (width, height): (u32, u32),
        (from, to): (f64, f64),
        limits: RingLimits,
        (every, quality): (f64, TimeQuality),
    ) -> Arc<Ring> {
        let ring = Ring::new(limits);
        let pictures = sent(width, height);
        let mut after = from;
        for bytes in pictures.iter().cycle() {
            if after > to {
                break;
            }
            let time = self.event.decided.time + Seconds(after);
            let media = time.as_micros() - self.event.onset.as_micros() + 3_600_000_000;
            ring.push(Codec::H264, bytes, Some(media), (time, quality));
            after += every;
        }
        Arc::new(ring)
    }

    /// The case that is made of these rings, and its clip's bytes.
    fn case(&self, main: Arc<Ring>, detect: Option<Arc<Ring>>) -> CaseManifest {
        let (publisher, rings) = (self.publisher(), rings(main, detect));
        let clip = self.config.cameras[0].clip;
        let made = Desk::by_hand(clip, rings, publisher, &SharedTrail::new(&clip));
        let desk = Desk::start(made, None).unwrap();
        assert!(desk.wish(Box::new(self.wish())).is_ok());
        desk.finish();
        self.made()
    }

    fn publisher(&self) -> Publisher {
        let camera = &self.config.cameras[0];
        Publisher {
            scene: camera.scene.clone(),
            outbox: self.outbox.clone(),
            uplink: None,
            state: Arc::new(CameraState::new(&self.config, camera, None)),
            signer: Arc::new(Signer::open(&self.config).unwrap()),
            origin: None,
        }
    }

    fn wish(&self) -> Wish {
        let decided = self.event.decided;
        let earlier = self.before.iter().map(|before| FrameTime {
            frame: decided.frame - 10,
            time: decided.time - Seconds(*before),
        });
        Wish {
            event: self.event.clone(),
            at: earlier.chain([decided]).collect(),
            early: Vec::new(),
            clock: Clock {
                quality: TimeQuality::Rtcp,
                uncertainty_s: Some(0.02),
            },
        }
    }

    fn made(&self) -> CaseManifest {
        let all = self.all_made();
        all.into_iter().next().expect("no case was made")
    }

    fn all_made(&self) -> Vec<CaseManifest> {
        let files = files(self.folder.path());
        let cases = files.iter().filter_map(|bytes| {
            let sealed = Sealed::open(bytes).ok()?;
            serde_json::from_slice(sealed.manifest).ok()
        });
        cases.collect()
    }
}

fn rings(main: Arc<Ring>, detect: Option<Arc<Ring>>) -> Rings {
    Rings {
        main,
        detect,
        notices: None,
    }
}

/// Every stored file of evidence; signed cases among them.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let evidence = folder.join("store/evidence");
    for shelf in std::fs::read_dir(evidence).unwrap() {
        let shelf = shelf.unwrap().path();
        for file in std::fs::read_dir(shelf).into_iter().flatten() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let is_ours = bytes.starts_with(SEALED_HEAD)
                || bytes.starts_with(&[0xff, 0xd8])
                || bytes.starts_with(b"\x89PNG")
                || bytes.get(4..8) == Some(b"ftyp");
            assert!(is_ours, "a file that is neither case, still, crop nor clip");
            found.push(bytes);
        }
    }
    found
}

/// What a case says in short: files by role, the clip's seconds around the
/// decision, its note, and what is missing.
fn said(case: &CaseManifest) -> String {
    let count = |role| case.media.iter().filter(|media| media.role == role).count();
    let decided = case.event.decided.time;
    let clip = case.media.iter().find(|m| m.role == EvidenceRole::Clip);
    let seconds = |at: EventTime| at.since(decided).0;
    let span = clip.map_or_else(
        || "no clip".to_owned(),
        |clip| {
            let until = clip.until.map_or(f64::NAN, seconds);
            let note = clip.note.as_ref().map_or("", |note| &note.en);
            let asked = clip.asked.map_or("whole".to_owned(), |asked| {
                format!(
                    "asked {:.1} to {:.1}",
                    seconds(asked.from),
                    seconds(asked.to)
                )
            });
            format!(
                "{:.1} to {until:.1}, {asked}: {note}",
                seconds(clip.captured)
            )
        },
    );
    let missing: Vec<&str> = case.missing.iter().map(|m| &m.reason.en[..]).collect();
    format!(
        "{} clean, {} annotated; {span}; {missing:?}",
        count(EvidenceRole::StillClean),
        count(EvidenceRole::StillAnnotated)
    )
}

/// A plate that was read so many seconds after the decision.
fn read_plate(event: &Event, second: f64) -> NumberPlate {
    NumberPlate {
        text: "29B112345".to_owned(),
        display: "29-B1 123.45".to_owned(),
        is_stated: true,
        is_final: true,
        characters: Vec::new(),
        looks: 3,
        of: 4,
        corrections: Vec::new(),
        may_be_cut: false,
        reason: None,
        best: Some(PlateView {
            at: FrameTime {
                frame: event.decided.frame + 7,
                time: event.decided.time + Seconds(second),
            },
            bounds: NormBox {
                x: 0.4,
                y: 0.5,
                width: 0.2,
                height: 0.1,
            },
        }),
    }
}

/// Words and crop are of one plate: the picture is the one that was read.
#[test]
fn the_plate_is_cut_out_of_the_look_that_the_vote_was_read_from() {
    for (second, expected) in [(2.0, Some(2.0)), (-3.0, Some(-3.0)), (90.0, None)] {
        let mut site = Site::new();
        let plate = read_plate(&site.event, second);
        site.event.actors[0].plate = Some(plate);
        let case = site.case(site.ring((320, 240), (-30.0, 9.0)), None);
        let crop = case
            .media
            .iter()
            .find(|m| m.role == EvidenceRole::PlateCrop);
        let after = crop.map(|crop| crop.captured.since(case.event.decided.time).0);
        // The ring has five pictures a second.
        let is_that = match (after, expected) {
            (Some(after), Some(expected)) => (after - expected).abs() <= 0.11,
            (after, expected) => after.is_none() && expected.is_none(),
        };
        assert!(is_that, "{after:?} for {second}");
    }
}

/// What a case says of the pictures that show this role, or why there is none: when
/// it was taken after the decision, and its note.
fn shown(case: &CaseManifest, role: EvidenceRole) -> Vec<String> {
    let tenths = |at: EventTime| (at.since(case.event.decided.time).0 * 10.0).round() / 10.0 + 0.0;
    let media = case.media.iter().filter(|media| media.role == role);
    let there = media.map(|media| {
        let note = media.note.as_ref().map_or("", |note| &note.en);
        format!("{}: {note}", tenths(media.captured))
    });
    let gone = case.missing.iter().filter(|missing| missing.role == role);
    let gone = gone.map(|it| format!("not {:?}: {}", it.at.map(tenths), it.reason.en));
    there.chain(gone).collect()
}

/// The crop was cut out of a picture up to half a second from the look that was read:
/// at 40 km/h five metres away, where the plate of the vehicle behind is.
#[test]
fn a_plate_is_cut_out_of_a_picture_of_its_own_moment_or_not_at_all() {
    const LOOKED: &str = "of the sub-stream, because the main stream has no picture of just then";
    const CLOCK: &str =
        "of the sub-stream, because the main stream was timed by another clock then";
    const WHOLE: (f64, f64) = (-30.0, 9.0);
    let check = |(every, quality), is_alone: bool, crop: String, still: String| {
        let mut site = Site::new();
        let plate = read_plate(&site.event, 1.2);
        site.event.actors[0].plate = Some(plate);
        site.before = vec![2.2];
        let main = site.paced_ring((320, 240), WHOLE, LONG, (every, quality));
        let looked = (!is_alone).then(|| site.ring((160, 120), WHOLE));
        let case = site.case(main, looked);
        let what = format!("{every} s {quality:?} {is_alone}");
        assert_eq!(shown(&case, EvidenceRole::PlateCrop), [crop], "{what}");
        let stills = shown(&case, EvidenceRole::StillAnnotated);
        assert_eq!(stills[0], still, "{what}");
    };
    let (rtcp, arrival) = (TimeQuality::Rtcp, TimeQuality::Arrival);
    let (exact, before) = ("1.2: ".to_owned(), "-2.2: ".to_owned());
    check((0.2, rtcp), false, exact.clone(), before.clone());
    check((0.2, rtcp), true, exact, before);
    // Two pictures a second of the main stream.
    let (crop, still) = (format!("1.2: {LOOKED}"), format!("-2.2: {LOOKED}"));
    check((0.5, rtcp), false, crop, still);
    // Its clock is another one: then all is of the sub-stream.
    let (crop, still) = (format!("1.2: {CLOCK}"), format!("-2.2: {CLOCK}"));
    check((0.2, arrival), false, crop, still);
    // No other picture is there.
    let crop = "not Some(1.2): no picture of just the moment at which it was seen was kept";
    let still = "-2: 200 ms from the picture that was looked at";
    check((0.5, rtcp), true, crop.to_owned(), still.to_owned());
}

/// A look at a head so many seconds after the decision; at the main stream's picture
/// where that is named.
fn look_at_head(event: &Event, second: f64, main: Option<f64>) -> Look {
    let time = |second| event.decided.time + Seconds(second);
    Look {
        at: FrameTime {
            frame: event.decided.frame,
            time: time(second),
        },
        class: ObjectClass::NoHelmet,
        score: 0.9,
        part: [0.25, 0.25, 0.2, 0.2].into(),
        bounds: None,
        is_second: true,
        main: main.map(time),
    }
}

/// In a picture of another moment another's head may be in that place: a crop is of the very
/// picture that was looked at, as it is, or it is not there.
#[test]
fn what_a_look_saw_is_cut_out_of_the_picture_that_was_looked_at_or_not_at_all() {
    const GONE: &str = "the picture of then was not kept, or could not be decoded";
    const WHOLE: (f64, f64) = (-30.0, 9.0);
    let check = |looks: &[(f64, Option<f64>)], has_two: bool, expected: &[&str]| {
        let mut site = Site::new();
        let looks = looks
            .iter()
            .map(|(second, main)| look_at_head(&site.event, *second, *main));
        site.event.looks = looks.collect();
        let small = has_two.then(|| site.ring((160, 120), WHOLE));
        let case = site.case(site.ring((320, 240), WHOLE), small);
        assert_eq!(shown(&case, EvidenceRole::FindingCrop), expected);
        case
    };
    let one = "64×48 pixels of a picture of 320×240";
    let case = check(
        &[(-1.0, None), (-0.5, None), (0.0, None)],
        false,
        &[
            &format!("-1: {one}"),
            &format!("0: {one}"),
            &format!("not Some(-0.5): {GONE}"),
        ],
    );
    let crops = |case: &CaseManifest| -> Vec<_> {
        let media = case.media.iter();
        let crops = media.filter(|media| media.role == EvidenceRole::FindingCrop);
        crops
            .map(|it| (it.sha256, it.media_type.clone(), it.captured))
            .collect()
    };
    let one_stream = crops(&case);
    assert_ne!(
        one_stream[0].0, one_stream[1].0,
        "each is of its own picture"
    );
    for (crop, look) in one_stream
        .iter()
        .zip([&case.event.looks[0], &case.event.looks[2]])
    {
        assert_eq!((&*crop.1, crop.2), ("image/png", look.taken()));
    }
    // Of two streams that which was looked at, whatever the other shows.
    let case = check(
        &[(-1.01, Some(-1.0)), (-0.8, None), (-0.6, Some(-0.55))],
        true,
        &[
            &format!("-1: {one}, main stream"),
            "-0.8: 32×24 pixels of a picture of 160×120, sub-stream",
            &format!("not Some(-0.6): {GONE}"),
        ],
    );
    assert_eq!(
        crops(&case)[0].0,
        one_stream[0].0,
        "the same picture of the main stream"
    );
    // A picture from before all that was kept.
    check(
        &[(-90.0, None)],
        false,
        &[&format!("not Some(-90.0): {GONE}")],
    );
}

/// Where packets of a picture were lost the decoder makes something up, and what follows rests
/// on it. A sound one nearby may stand for a still; for what a model judged nothing stands.
#[test]
fn a_look_at_a_damaged_picture_has_no_crop() {
    let mut site = Site::new();
    let ring = Ring::new(LONG);
    let pictures = sent(320, 240);
    for index in 0..20_u32 {
        let after = f64::from(index) * 0.2 - 3.0;
        let time = site.event.decided.time + Seconds(after);
        let media = time.as_micros() - site.event.onset.as_micros() + 3_600_000_000;
        // Its packets were lost.
        if index == 12 {
            ring.tear();
        } else {
            let bytes = &pictures[index as usize % pictures.len()];
            ring.push(Codec::H264, bytes, Some(media), (time, TimeQuality::Rtcp));
        }
    }
    // One of the group before, and the one after the loss.
    site.event.looks = vec![
        look_at_head(&site.event, -1.2, None),
        look_at_head(&site.event, -0.4, None),
    ];
    let case = site.case(Arc::new(ring), None);
    let said = shown(&case, EvidenceRole::FindingCrop);
    assert_eq!(said[0], "-1.2: 64×48 pixels of a picture of 320×240");
    assert!(
        said[1].starts_with("not Some(-0.4): the picture of then was damaged"),
        "{said:?}"
    );
}

/// As a plate that was read: a case that lacks it shall not look like one that had none.
#[test]
fn a_case_in_a_hurry_names_the_looks_that_it_cannot_show() {
    let mut site = Site::new();
    site.event.looks = [(-2.0, None), (-1.0, Some(-0.98))]
        .map(|(second, main)| look_at_head(&site.event, second, main))
        .into();
    let there = site
        .publisher()
        .item(b"x", EvidenceRole::FindingCrop, site.event.looks[0].taken());
    let missing = owed::not_made(&site.event, Some(&[]), &[there], &too_many());
    let crops = missing
        .iter()
        .filter(|it| it.role == EvidenceRole::FindingCrop);
    let at: Vec<_> = crops.map(|it| it.at).collect();
    assert_eq!(at, [Some(site.event.looks[1].taken())]);
}

/// A kill between storing the clip and signing the case left a clip in nobody's case,
/// and a case that said it never was stored.
#[test]
fn what_is_stored_when_the_agent_is_killed_is_in_the_case_of_the_next_start() {
    let mut site = Site::new();
    // Its picture is 50 ms off, and shows it all the same.
    site.before = vec![2.05];
    let clip = site.config.cameras[0].clip;
    let main = site.ring((320, 240), (-30.0, 3.0));
    let made = {
        let trail = SharedTrail::new(&clip);
        let (_desk, bench) = Desk::by_hand(clip, rings(main, None), site.publisher(), &trail);
        let mut pending = Pending::new(site.wish(), None);
        pending.take_in(&bench.maker.rings, &clip);
        bench
            .maker
            .files(&pending, Some(stopped()), &mut Ahead::default());
        // Killed here.
        files(site.folder.path()).len()
    };
    let signer = Signer::open(&site.config).unwrap();
    crate::live::recovery::settle(&site.outbox, &signer);
    let case = site.made();
    assert_eq!(case.media.len(), made);
    let said = said(&case);
    assert!(
        said.starts_with("2 clean, 2 annotated; -9.0 to 2.8, asked"),
        "{said}"
    );
    assert!(said.ends_with("; []"), "{said}");
}

/// The last revisions of an event found no room in the channel, and the case signed an
/// older one: "goes on", of what the box knew to be over.
#[test]
fn a_case_tells_what_was_told_last_however_much_was_told_before() {
    let mut site = Site::new();
    let ended = site.event.ended.take();
    let clip = site.config.cameras[0].clip;
    let ring = site.ring((160, 120), (-1.0, 0.0));
    let trail = SharedTrail::new(&clip);
    let (desk, bench) = Desk::by_hand(clip, rings(ring, None), site.publisher(), &trail);
    // Of another event nothing is kept.
    let other = EventId(uuid::Uuid::from_u128(7));
    desk.told(&Event {
        id: other,
        ..site.event.clone()
    });
    assert!(desk.wish(Box::new(site.wish())).is_ok());
    let last = 2 * u32::try_from(ERRANDS).unwrap();
    for revision in 1..=last {
        let ended = ended.filter(|_| revision == last);
        desk.told(&Event {
            revision,
            ended,
            ..site.event.clone()
        });
    }
    let told = desk.told.clone();
    bench.finish(&stopped());
    assert!(told.lock().is_empty());
    let case = site.made();
    assert_eq!((case.event.revision, case.event.ended), (last, ended));
}

/// A case in a hurry named the clip alone as missing, and looked whole with one of
/// three stills.
#[test]
fn a_case_in_a_hurry_names_every_still_and_the_plate_that_it_lacks() {
    let mut site = Site::new();
    site.before = vec![3.0, 1.0];
    site.event.actors[0].plate = Some(read_plate(&site.event, 1.0));
    let wish = site.wish();
    let early = site
        .publisher()
        .item(b"x", EvidenceRole::StillAnnotated, site.event.decided.time);
    let told = |at: Option<&[FrameTime]>, items: &[EvidenceItem]| {
        let missing = owed::not_made(&site.event, at, items, &too_many());
        let second = |at: EventTime| at.since(site.event.decided.time).0.round() + 0.0;
        let told = missing
            .iter()
            .map(|it| format!("{:?} {:?}", it.role, it.at.map(second)));
        told.collect::<Vec<_>>().join(", ")
    };
    let rest = "PlateCrop Some(1.0), Clip None";
    assert_eq!(
        told(Some(&wish.at), std::slice::from_ref(&early)),
        format!("StillAnnotated Some(-3.0), StillAnnotated Some(-1.0), {rest}")
    );
    assert_eq!(told(None, &[early]), format!("StillAnnotated None, {rest}"));
}

#[test]
fn a_dwell_longer_than_the_ring_is_shown_by_key_pictures_back_to_its_beginning() {
    let stills = |album| {
        let mut site = Site::new();
        site.event.onset = site.event.decided.time - Seconds(101.0);
        site.before = vec![101.0, 61.0, 55.0, 31.0];
        let limits = RingLimits {
            seconds: 10.0,
            bytes: 64 << 20,
            album,
        };
        let ring = site.limited_ring((160, 120), (-120.0, 9.0), limits);
        let case = site.case(ring, None);
        let of_decision = |at: EventTime| at.since(case.event.decided.time).0.round() + 0.0;
        let media = case.media.iter();
        let stills = media.filter(|media| media.role == EvidenceRole::StillClean);
        let stills: Vec<String> = stills
            .map(|still| {
                let note = still.note.as_ref().map_or("", |note| &note.en);
                format!("{}: {note}", of_decision(still.captured))
            })
            .collect();
        (stills, case.missing.len())
    };
    let album = edge_video::encoded::AlbumLimits {
        every: 3.5,
        seconds: 600.0,
        bytes: 8_000_000,
    };
    let kept = |at: &str, off: &str| {
        format!(
            "{at}: the nearest picture that was kept, {off} s from the moment that is asked for"
        )
    };
    // Key pictures come each four seconds, and those shown are as far apart as the moments are.
    let expected = [
        kept("-100", "+1"),
        kept("-64", "-3"),
        kept("-56", "-1"),
        kept("-32", "-1"),
        "0: ".to_owned(),
    ];
    assert_eq!(stills(Some(album)), (expected.to_vec(), 0));
    // Without an album it is said that they are not there.
    assert_eq!(stills(None), (vec!["0: ".to_owned()], 4));
}

#[test]
fn a_case_says_what_it_is_made_of_and_what_is_missing() {
    const LARGE: (u32, u32) = (320, 240);
    const SMALL: (u32, u32) = (160, 120);
    const WIDE: (u32, u32) = (320, 180);
    type Pictures = ((u32, u32), (f64, f64));
    let check = |main: Pictures, detect: Option<Pictures>, wanted: expect_test::Expect| {
        let site = Site::new();
        let ring = |(size, span): Pictures| site.ring(size, span);
        let case = site.case(ring(main), detect.map(ring));
        wanted.assert_eq(&said(&case));
        assert_eq!(case.clock.uncertainty_s, Some(0.02));
    };
    let whole = (-30.0, 9.0);
    check(
        (LARGE, whole),
        None,
        expect_test::expect!["2 clean, 2 annotated; -9.0 to 7.0, whole: ; []"],
    );
    // The ring began too late, and the stream broke off.
    check(
        (LARGE, (-1.0, 3.0)),
        None,
        expect_test::expect![[
            r#"1 clean, 1 annotated; -1.0 to 2.6, asked -8.4 to 7.0: begins late: what came before was not kept any more; the agent was stopped before the pictures after it had come; ["the picture of then was not kept, or could not be decoded"]"#
        ]],
    );
    // Of two streams, the large one; while it is lost the small one.
    check(
        (LARGE, whole),
        Some((SMALL, whole)),
        expect_test::expect!["2 clean, 2 annotated; -9.0 to 7.0, whole: ; []"],
    );
    check(
        (LARGE, (-60.0, -20.0)),
        Some((SMALL, whole)),
        expect_test::expect![
            "2 clean, 2 annotated; -9.0 to 7.0, whole: of the sub-stream, because the main stream was lost; []"
        ],
    );
    // Places would not fit.
    check(
        (WIDE, whole),
        Some((SMALL, whole)),
        expect_test::expect![
            "2 clean, 2 annotated; -9.0 to 7.0, whole: evidence is of the sub-stream (160×120), because the main stream (320×180) has another shape, so places would not fit; give both the same shape at the camera; []"
        ],
    );
}

/// Boxes of a small picture were once drawn on a large one that was up to a second from
/// it, without a word.
#[test]
fn of_two_streams_by_two_clocks_the_one_that_was_looked_at_is_the_evidence() {
    use TimeQuality::{Arrival, Rtcp, Unknown};
    for (main, detect, is_main) in [
        (Rtcp, Rtcp, true),
        (Arrival, Arrival, true),
        (Arrival, Rtcp, false),
        (Rtcp, Arrival, false),
        (Unknown, Rtcp, false),
        (Unknown, Unknown, false),
    ] {
        let site = Site::new();
        let whole = (-30.0, 9.0);
        let large = site.paced_ring((320, 240), whole, LONG, (0.2, main));
        let small = site.paced_ring((160, 120), whole, LONG, (0.2, detect));
        let case = site.case(large, Some(small));
        let is_noted = |note: &Words| note.en.contains("timed by another clock");
        let noted = case
            .media
            .iter()
            .filter(|it| it.note.as_ref().is_some_and(is_noted));
        let all = case.media.len();
        let expected = if is_main { 0 } else { all };
        assert_eq!(noted.count(), expected, "{main:?} {detect:?}: {case:?}");
    }
}
