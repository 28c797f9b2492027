//! When making evidence takes long, or fails.

use super::*;
use crate::live::StopFlag;
use crate::live::scene_thread::{OnPanic, Whose};

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
    let on_panic = OnPanic {
        whose: Whose::Evidence,
        camera: site.event.camera.clone(),
        file: site.folder.path().join("panics"),
        stop: stop.clone(),
    };
    let desk = Desk::start((desk, bench), Some(on_panic)).unwrap();
    assert!(!desk.has_ended());
    assert!(desk.wish(Box::new(site.wish())).is_ok());
    let begun = Instant::now();
    while !desk.has_ended() {
        assert!(begun.elapsed() < Duration::from_secs(60), "goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
    let fault = stop.fault().unwrap();
    assert!(fault.contains("evidence of camera east"), "{fault}");
    // Where the program goes on without it, each event says so.
    let (_, reason) = desk.wish(Box::new(site.wish())).err().unwrap();
    assert_eq!(reason, no_evidence());
}
