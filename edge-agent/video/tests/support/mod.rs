//! A reader of a live stream, and cameras for it.

#![allow(dead_code)] // each test program uses a part

use std::time::{Duration, Instant};

use edge_video::{CameraStream, Frame, LossReason, Notice, RtspSettings, StreamCounters};
use rtsp_camera::{Camera, CameraSettings, Clip, Mount, TestPattern};

/// Far more than anything here takes, on a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What a test pattern looks like as a clip.
pub(crate) fn clip(pattern: TestPattern) -> Clip {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    pattern.write(&path).unwrap();
    Clip::load(&path).unwrap()
}

/// A camera on loopback.
pub(crate) fn serve(mounts: Vec<Mount>) -> Camera {
    edge_video::init().unwrap();
    Camera::start(CameraSettings::loopback(mounts)).unwrap()
}

/// A camera with one mount, `gate`.
pub(crate) fn gate(pattern: TestPattern) -> Camera {
    serve(vec![Mount::new("gate", clip(pattern))])
}

/// Quick to give up and quick to come back: tests wait for both.
pub(crate) fn settings(url: &str) -> RtspSettings {
    RtspSettings {
        connect_within: Duration::from_secs(5),
        silent_after: Duration::from_secs(4),
        frozen_after: Duration::from_secs(1),
        retry_first: Duration::from_millis(50),
        retry_most: Duration::from_millis(200),
        retry_refused: Duration::from_millis(100),
        ..RtspSettings::new(url)
    }
}

/// A reader that follows a stream.
pub(crate) struct Reader {
    pub(crate) stream: CameraStream,
    pub(crate) woken: crossbeam_channel::Receiver<()>,
}

impl Reader {
    pub(crate) fn start(settings: RtspSettings) -> Self {
        edge_video::init().unwrap();
        let (wake, woken) = crossbeam_channel::bounded(1);
        Self {
            stream: CameraStream::start("gate", settings, wake),
            woken,
        }
    }

    /// Waits for a notice; whatever comes before is passed over.
    pub(crate) fn wait_for<T>(
        &self,
        what: &str,
        mut wanted: impl FnMut(&Notice) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut before = Vec::new();
        while let Ok(notice) = self.stream.notices().recv_deadline(deadline) {
            if let Some(found) = wanted(&notice) {
                return found;
            }
            before.push(notice);
        }
        panic!(
            "no {what}; instead {before:?}, {:?}",
            self.stream.counters()
        );
    }

    pub(crate) fn connected(&self) -> (String, (u32, u32)) {
        self.wait_for("Connected", |notice| match notice {
            Notice::Connected {
                codec,
                width,
                height,
                ..
            } => Some((codec.clone(), (*width, *height))),
            _ => None,
        })
    }

    pub(crate) fn lost(&self) -> (LossReason, String, Duration) {
        self.wait_for("Lost", |notice| match notice {
            Notice::Lost {
                reason,
                message,
                retry_in,
            } => Some((*reason, message.clone(), *retry_in)),
            _ => None,
        })
    }

    pub(crate) fn frame(&self) -> Frame {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(frame) = self.stream.take_newest() {
                return frame;
            }
            assert!(
                self.woken.recv_deadline(deadline).is_ok(),
                "no frame; {:?}",
                self.stream.counters()
            );
        }
    }

    /// Waits until the counts are as wanted, taking no frames.
    pub(crate) fn counts(
        &self,
        what: &str,
        wanted: impl Fn(&StreamCounters) -> bool,
    ) -> StreamCounters {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let counters = self.stream.counters();
            if wanted(&counters) {
                return counters;
            }
            assert!(Instant::now() < deadline, "never {what}: {counters:?}");
            self.woken.recv_timeout(Duration::from_millis(50)).ok();
        }
    }
}
