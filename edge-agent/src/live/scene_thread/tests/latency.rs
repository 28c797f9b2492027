//! Of which events it is counted how long they took from the street to the disk.

use protocol::event::Words;

use super::*;

/// Somebody stands for three seconds, a minute ago, and then the scene ends: events that began,
/// and latencies that are known and not.
fn told(change: impl FnOnce(&mut SceneThread)) -> (u64, f64, u64) {
    let mut camera = Camera::new(ZONE);
    camera.begun.time = now() - Seconds(60.0);
    change(&mut camera.room.setup);
    for tenth in 0..30 {
        camera.see(f64::from(tenth) / 10.0);
    }
    // Told once more, as its end.
    camera.at(4.0).end();
    let state = &camera.room.setup.state;
    let latency = state.latency();
    (
        state.events().values().sum(),
        latency.told().iter().map(|(_, count, _)| count).sum(),
        latency.unknown().iter().map(|(_, count)| count).sum(),
    )
}

#[test]
fn the_first_telling_of_an_event_is_timed_and_no_other() {
    assert_eq!(told(|_| {}), (1, 1.0, 0));
}

#[test]
fn what_is_made_of_a_clip_is_not_timed() {
    let of_a_clip = |setup: &mut SceneThread| {
        setup.publisher.origin = Some(Words::new("từ một đoạn phim", "from a clip"));
    };
    assert_eq!(told(of_a_clip), (1, 0.0, 0));
}
