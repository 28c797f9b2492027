//! Cameras whose groups of pictures do not begin with one before which everything is forgotten.

use rtsp_camera::Groups;

use super::*;

/// A ring of five pictures a second, of which each eighth is a key picture, from ten seconds before the
/// decision on.
fn ring(site: &Site, groups: Groups, b_pictures: u32) -> Arc<Ring> {
    let pattern = TestPattern {
        width: 320,
        height: 240,
        fps: 5,
        pictures: 100,
        b_pictures,
        key_distance: Some(8),
        groups,
        ..TestPattern::default()
    };
    let folder = tempfile::tempdir().unwrap();
    // In this one parameter sets stay with their pictures.
    let path = folder.path().join("clip.ts");
    pattern.write(&path).unwrap();
    let clip = Clip::load(&path).unwrap();
    let ring = Ring::new(LONG);
    for (bytes, shown) in clip.sent().iter().zip(clip.shown()) {
        let time = site.event.decided.time + Seconds(shown.as_secs_f64() - 10.0);
        let media = time.as_micros() - site.event.onset.as_micros() + 3_600_000_000;
        ring.push(Codec::H264, bytes, Some(media), (time, TimeQuality::Rtcp));
    }
    ring.end();
    Arc::new(ring)
}

/// One is behind an open key picture, and one is shown just before the next and sent after it.
#[test]
fn an_event_of_a_camera_with_open_groups_has_its_stills() {
    let mut site = Site::new();
    site.before = vec![1.8, 0.6];
    let ring = ring(&site, Groups::Open, 2);
    let clock = ring.clock_of(site.event.decided.time);
    let units = ring.since(None, EventTime::EPOCH, clock);
    let before = units.iter().filter(|unit| {
        let mut led = units
            .iter()
            .rev()
            .filter(|key| key.is_key && key.number < unit.number);
        led.next().is_some_and(|key| unit.time < key.time)
    });
    assert!(before.count() > 5, "no pictures are of two groups");
    let case = site.case(ring, None);
    let stills = shown(&case, EvidenceRole::StillAnnotated);
    assert_eq!(stills, ["-1.8: ", "-0.6: ", "0: "]);
}

/// They cannot be rebuilt for sure, and the camera's encoder is what can be mended.
#[test]
fn of_a_camera_that_sends_no_whole_picture_a_case_says_so() {
    let site = Site::new();
    let case = site.case(ring(&site, Groups::Refreshed, 0), None);
    let said = shown(&case, EvidenceRole::StillAnnotated);
    assert!(!said.is_empty());
    for said in said {
        let (_, reason) = said.split_once(": ").unwrap();
        assert!(
            reason.starts_with("the camera refreshes its picture bit by bit"),
            "{said}"
        );
    }
}
