//! When making evidence takes long, or fails.

use super::*;
use crate::live::StopFlag;
use crate::live::scene_thread::{OnPanic, Whose};

/// Ten vehicles run one red light. One wish was taken a round, and a round took as long as
/// one clip is made: the ring had forgotten the beginnings of the last ones when it was
/// their turn.
#[test]
fn what_was_asked_for_at_once_is_kept_for_all_while_each_takes_seconds() {
    const SIZE: (u32, u32) = (160, 120);
    let site = Site::new();
    let limits = RingLimits {
        seconds: 20.0,
        ..LONG
    };
    let clip = site.config.cameras[0].clip;
    let ring = site.limited_ring(SIZE, (-10.0, 9.0), limits);
    let trail = SharedTrail::new(&clip);
    let rings = rings(Arc::clone(&ring), None);
    let (desk, mut bench) = Desk::by_hand(clip, rings, site.publisher(), &trail);
    // Each takes so long that four seconds of pictures come meanwhile.
    let (decided, onset, pictures) = (site.event.decided.time, site.event.onset, sent(160, 120));
    let mut newest = 9.0;
    bench.on_make = Box::new(move |_| {
        for bytes in &pictures {
            newest += 0.2;
            let time = decided + Seconds(newest);
            let media = time.as_micros() - onset.as_micros() + 3_600_000_000;
            ring.push(Codec::H264, bytes, Some(media), (time, TimeQuality::Rtcp));
        }
    });
    for number in 1..=8 {
        let event = Event {
            id: EventId(uuid::Uuid::from_u128(number)),
            ..site.event.clone()
        };
        site.outbox.append_event(&event, decided).unwrap();
        let wish = Wish {
            event,
            ..site.wish()
        };
        assert!(desk.wish(Box::new(wish)).is_ok());
    }
    drop(desk);
    bench.live();
    let said: Vec<String> = site.all_made().iter().map(said).collect();
    let whole = "2 clean, 2 annotated; -9.0 to 7.0, whole: ; []";
    assert_eq!(said, [whole; 8]);
}

/// Each decoded the same group of pictures from its key picture for itself.
#[test]
fn what_waiting_events_want_of_one_group_of_pictures_is_decoded_once() {
    // Moments of the second before the decision, in which a group begins.
    let moments = [vec![0.8], vec![0.4], vec![0.8]];
    let alone = |before: &Vec<f64>| {
        let mut site = Site::new();
        site.before.clone_from(before);
        let case = site.case(site.ring((320, 240), (-10.0, 9.0)), None);
        stills_of(&case)
    };
    let alone: Vec<_> = moments.iter().map(alone).collect();
    assert_ne!(alone[0], alone[1]);

    let site = Site::new();
    let clip = site.config.cameras[0].clip;
    let rings = rings(site.ring((320, 240), (-10.0, 9.0)), None);
    let trail = SharedTrail::new(&clip);
    let (desk, mut bench) = Desk::by_hand(clip, rings, site.publisher(), &trail);
    for (number, before) in (1..).zip(&moments) {
        let mut wish = site.wish();
        wish.event.id = EventId(uuid::Uuid::from_u128(number));
        wish.at[0].time = site.event.decided.time - Seconds(before[0]);
        site.outbox
            .append_event(&wish.event, wish.event.decided.time)
            .unwrap();
        assert!(desk.wish(Box::new(wish)).is_ok());
    }
    bench.take_in();
    let is_there = |bench: &Bench, one: &Pending| {
        let pictures = bench.maker.pictures(one);
        assert_eq!(pictures.len(), 2);
        let there = pictures.iter().map(|it| bench.ahead.find(it).is_some());
        there.collect::<Vec<bool>>()
    };
    let mut made = 0;
    while let Some(one) = bench.pending.pop_front() {
        // The first is decoded, and what the others want with it.
        let expected = vec![made > 0; 2];
        assert_eq!(is_there(&bench, &one), expected, "{made}");
        bench.make(one, None);
        made += 1;
        for waiting in &bench.pending {
            assert_eq!(is_there(&bench, waiting), [true, true]);
        }
    }
    assert_eq!(made, 3);
    // Nothing is kept for nobody.
    let mut last = Pending::new(site.wish(), None);
    last.take_in(&bench.maker.rings, &clip);
    assert!(!is_there(&bench, &last).contains(&true));
    let mut together: Vec<_> = site.all_made().iter().map(stills_of).collect();
    let mut alone = alone;
    together.sort();
    alone.sort();
    assert_eq!(together, alone, "the same stills, byte for byte");
}

/// What is shown: when, and the file.
fn stills_of(case: &CaseManifest) -> Vec<(EventTime, String)> {
    let stills = case.media.iter();
    let stills = stills.filter(|media| media.role == EvidenceRole::StillClean);
    stills
        .map(|media| (media.captured, media.sha256.to_string()))
        .collect()
}

/// Its cases were lost until the next start, and every later event was said to be one of
/// too many at the same time.
#[test]
fn a_panic_while_evidence_is_made_ends_the_program_and_is_told_as_what_it_is() {
    let site = Site::new();
    let clip = site.config.cameras[0].clip;
    let ring = site.ring((160, 120), (-30.0, 9.0));
    let trail = SharedTrail::new(&clip);
    let (desk, mut bench) = Desk::by_hand(clip, rings(ring, None), site.publisher(), &trail);
    bench.on_make = Box::new(|_| panic!("a fault"));
    let stop = StopFlag::default();
    let camera = &site.event.camera;
    let on_panic = OnPanic::new(Whose::Evidence, Some(camera), site.folder.path(), &stop);
    let desk = Desk::start((desk, bench), Some(on_panic)).unwrap();
    assert!(!desk.has_ended());
    assert!(desk.wish(Box::new(site.wish())).is_ok());
    let begun = Instant::now();
    while !desk.has_ended() {
        assert!(begun.elapsed() < Duration::from_mins(1), "goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
    let fault = stop.fault().unwrap().to_string();
    assert!(fault.contains("evidence of camera east"), "{fault}");
    // Where the program goes on without it, each event says so.
    let (_, reason) = desk.wish(Box::new(site.wish())).err().unwrap();
    assert_eq!(reason, no_evidence());
}
