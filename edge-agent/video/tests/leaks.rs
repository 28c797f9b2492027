//! Reconnecting for weeks must cost nothing: no GStreamer object, thread, file or
//! picture stays behind.
//!
//! The test is two processes. This one is the cameras; it starts itself anew as the one that
//! watches, so that what is counted is the watcher's alone, under GStreamer's own tracer of
//! leaks and with an allocator that gives pictures back at once. Everything
//! is counted while nobody is connected; nothing depends on how fast that happens.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge_video::encoded::RingLimits;
use edge_video::{CameraStream, Frame, Notice, RtspSettings};
use gstreamer as gst;
use gstreamer::prelude::*;
use rtsp_camera::{Camera, CameraSettings, Clip, Mount, Script, TestPattern};

/// Where the process that watches finds its cameras.
const ADDRESS: &str = "LEAKS_TEST_CAMERA";
/// Between two looks at whether something has come, and how often at most.
const STEP: Duration = Duration::from_millis(20);
const PATIENCE: usize = 3000;
/// Connections until pools and caches are full.
const WARM_UP: usize = 6;
/// Connections that may leave nothing behind.
const ROUNDS: usize = 16;
/// I420, four bytes in six pixels.
const PICTURE_KIB: usize = 640 * 480 * 3 / 2 / 1024;
/// Half a picture for each connection.
const MOST_KIB: usize = ROUNDS * PICTURE_KIB / 2;

/// New threads that may have been started meanwhile, and the like, once for all.
const ONCE: usize = ROUNDS / 2;
const NAME: &str = "reconnects_leave_no_object_no_thread_no_file_and_no_picture_behind";

#[test]
fn reconnects_leave_no_object_no_thread_no_file_and_no_picture_behind() {
    if let Some(address) = std::env::var_os(ADDRESS) {
        return watch(address.to_str().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    let pattern = TestPattern {
        width: 640,
        height: 480,
        ..TestPattern::default()
    };
    pattern.write(&path).unwrap();
    let mount = Mount {
        script: Script {
            // Long enough to have its pictures timed.
            end_after: Some(Duration::from_millis(700)),
            ..Script::default()
        },
        ..Mount::new("gate", Clip::load(&path).unwrap())
    };
    let camera = Camera::start(CameraSettings::loopback(vec![mount])).unwrap();
    let watcher = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(ADDRESS, camera.url("gate"))
        .env("GST_TRACERS", "leaks")
        // One arena, and a picture is a mapping of its own: what is freed is gone.
        .env("MALLOC_ARENA_MAX", "1")
        .env("MALLOC_MMAP_THRESHOLD_", "65536")
        .output()
        .unwrap();
    // Shown when the test fails.
    let said = String::from_utf8_lossy(&watcher.stderr);
    eprintln!("{said}");
    assert!(watcher.status.success(), "the watcher found something");
    assert!(said.contains("leaky"), "the watcher did not watch");
}

/// The other process.
fn watch(address: &str) {
    edge_video::init().unwrap();
    connections(address, WARM_UP, drop);
    let before = Held::now();
    connections(address, ROUNDS, drop);
    let after = Held::at_most(&before);
    eprintln!("before {before}\nafter  {after}");
    let is_new = |object: &&String| !before.objects.contains(object);
    for object in after.objects.iter().filter(is_new).take(100) {
        eprintln!("new: {object}");
    }
    assert!(after.objects.len() < before.objects.len() + ONCE);
    assert!(after.threads < before.threads + ONCE);
    assert!(after.files < before.files + ONCE);
    assert!(after.kib <= before.kib + MOST_KIB);

    // The same counts find a picture that is kept of each connection.
    connections(address, ROUNDS, std::mem::forget);
    let leaky = Held::now();
    eprintln!("leaky  {leaky}");
    assert!(leaky.objects.len() >= before.objects.len() + ROUNDS);
    assert!(leaky.kib > before.kib + MOST_KIB);
}

/// Watches over so many connections, and hangs up. `seen` gets a picture of each.
fn connections(address: &str, count: usize, seen: impl Fn(Frame)) {
    let (wake, _woken) = crossbeam_channel::bounded(1);
    let stream = |is_watched| {
        let settings = RtspSettings {
            retry_first: Duration::from_millis(20),
            retry_most: Duration::from_millis(20),
            keep: Some(RingLimits {
                seconds: 1.0,
                bytes: 1 << 20,
                album: None,
            }),
            is_watched,
            ..RtspSettings::new(address)
        };
        CameraStream::start("gate", settings, wake.clone())
    };
    // And one that is only kept, as the main stream of a camera is.
    let (watched, kept) = (stream(true), stream(false));
    for _ in 0..count {
        connected(&watched);
        // The picture comes just after the word of it.
        seen(patiently(|| watched.take_newest()).expect("a picture"));
    }
    connected(&kept);
    watched.stop();
    kept.stop();
    // On a slow machine hanging up takes longer than whoever stops waits for it.
    let is_over = || !threads().any(|name| name.starts_with("camera-gate"));
    patiently(|| is_over().then_some(())).expect("an end of the connections");
}

/// Waits for the next connection that gives pictures.
fn connected(stream: &CameraStream) {
    let is_connected = |notice| matches!(notice, Notice::Connected { .. });
    patiently(|| stream.notices().try_iter().any(is_connected).then_some(()))
        .expect("a connection");
}

/// Asks again and again. By number, because a machine may sleep meanwhile.
fn patiently<T>(mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    (0..PATIENCE).find_map(|_| {
        let found = probe();
        if found.is_none() {
            std::thread::sleep(STEP);
        }
        found
    })
}

/// The names of all threads.
fn threads() -> impl Iterator<Item = String> {
    let folder = std::fs::read_dir("/proc/self/task").unwrap();
    // One that ends meanwhile has no name any more.
    folder.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok())
}

/// What this process holds.
struct Held {
    /// GStreamer's, as its tracer describes them.
    objects: Vec<String>,
    threads: usize,
    files: usize,
    /// Resident memory that belongs to no file.
    kib: usize,
}

impl Held {
    fn now() -> Self {
        let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = memory.unwrap().split_whitespace().next().unwrap();
        Self {
            objects: objects(),
            threads: count("/proc/self/task"),
            files: count("/proc/self/fd"),
            kib: kib.parse().unwrap(),
        }
    }

    /// What is held once it is no more than `before`. GLib ends idle threads
    /// after a quarter of a minute; what is still held after a minute stays.
    fn at_most(before: &Self) -> Self {
        let settled = patiently(|| {
            let now = Self::now();
            let is_settled = now.objects.len() <= before.objects.len()
                && now.threads <= before.threads
                && now.files <= before.files;
            is_settled.then_some(now)
        });
        settled.unwrap_or_else(Self::now)
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (objects, threads) = (self.objects.len(), self.threads);
        let (files, kib) = (self.files, self.kib);
        write!(
            f,
            "{objects} objects {threads} threads {files} files {kib} KiB"
        )
    }
}

/// Has the tracer write down what lives. (That it also hands out a list is of no
/// use before GStreamer 1.24: it takes one reference too many away.)
fn objects() -> Vec<String> {
    let alive = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&alive);
    gst::log::set_threshold_for_name("GST_TRACER", gst::DebugLevel::Trace);
    let listening = gst::log::add_log_function(move |_, _, _, _, _, _, message| {
        let text = message.get();
        heard.lock().unwrap().extend(
            text.filter(|text| text.starts_with("object-alive"))
                .map(|text| text.to_string()),
        );
    });
    let tracers = gst::active_tracers();
    let mut tracers = tracers.iter();
    let leaks = tracers.find(|tracer| tracer.type_().name() == "GstLeaksTracer");
    let leaks = leaks.expect("GST_TRACERS=leaks was asked for; reinstall libgstreamer1.0-0");
    leaks.emit_by_name::<()>("log-live-objects", &[]);
    gst::log::remove_log_function(listening);
    let mut alive = alive.lock().unwrap();
    std::mem::take(&mut *alive)
}
