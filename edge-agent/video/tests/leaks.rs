//! Reconnecting for weeks must cost nothing: threads and files stay as they were.
//!
//! Alone in its file, because it counts what the whole process has open.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

use std::time::{Duration, Instant};

use edge_video::{CameraStream, Notice, RtspSettings};
use rtsp_camera::{Camera, CameraSettings, Clip, Mount, TestPattern};

const PATIENCE: Duration = Duration::from_secs(30);

/// Threads and open files of this process.
fn held() -> (usize, usize) {
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[test]
fn twenty_reconnects_leave_no_thread_and_no_file_behind() {
    edge_video::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    TestPattern::default().write(&path).unwrap();
    let camera = Camera::start(CameraSettings::loopback(vec![Mount::new(
        "gate",
        Clip::load(&path).unwrap(),
    )]))
    .unwrap();
    let (wake, _woken) = crossbeam_channel::bounded(1);
    let stream = CameraStream::start(
        "gate",
        RtspSettings {
            retry_first: Duration::from_millis(20),
            retry_most: Duration::from_millis(20),
            ..RtspSettings::new(&camera.url("gate"))
        },
        wake,
    );
    let connected = || {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(notice) = stream.notices().recv_deadline(deadline) {
            if matches!(notice, Notice::Connected { .. }) {
                return;
            }
        }
        panic!("not connected again: {:?}", stream.counters());
    };
    let reconnect = || {
        camera.disconnect_all();
        connected();
    };
    connected();
    // Pools and caches fill in the first rounds.
    for _ in 0..3 {
        reconnect();
    }
    let before = held();
    for _ in 0..20 {
        reconnect();
    }
    // The camera's side of the last connections ends a little later.
    let deadline = Instant::now() + PATIENCE;
    let mut after = held();
    while (after.0 > before.0 + 2 || after.1 > before.1 + 4) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        after = held();
    }
    assert!(
        after.0 <= before.0 + 2,
        "threads: {} then {}",
        before.0,
        after.0
    );
    assert!(
        after.1 <= before.1 + 4,
        "files: {} then {}",
        before.1,
        after.1
    );
    assert!(stream.counters().reconnects >= 23);
    stream.stop();
}
