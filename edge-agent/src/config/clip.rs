//! `[camera.clip]`: the clip of an event, and what is kept for it.

use edge_video::encoded::{AlbumLimits, RingLimits};
use serde::Deserialize;

/// What of a camera's stream becomes evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipConfig {
    /// Whether clips are made, and pictures kept for them.
    pub make: bool,
    /// From so long before the onset, s.
    pub pre_s: f64,
    /// To so long after the end, s.
    pub post_s: f64,
    /// An event that goes on for longer has a clip of this length, s.
    pub longest_s: f64,
    /// Pictures are kept for so long, s.
    pub ring_s: f64,
    /// And take at most so much memory, MB.
    pub ring_mb: u32,
    /// Of what is older, a key picture each few seconds is kept for so long, s; 0: none.
    pub album_s: f64,
    /// And they take at most so much memory, MB.
    pub album_mb: u32,
    /// A clip is at most so large, MB: what the centre takes.
    pub largest_mb: u32,
}

/// Key pictures are kept not more often than that, s: stills of who stays are ten apart.
const ALBUM_EVERY_S: f64 = 4.0;

/// No ring is longer, s.
pub const LONGEST_RING_S: f64 = 600.0;

/// A clip holds at most as much as so many rings.
const MOST_RINGS: u32 = 2;
/// The centre's `http.max_evidence_mb`, 64 MiB, less what the container takes.
const USUAL_LARGEST_MB: u32 = 64;

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            make: true,
            // What a red light's evidence is asked for.
            pre_s: 6.0,
            post_s: 6.0,
            longest_s: 60.0,
            ring_s: 30.0,
            // 8 Mbit/s for 30 s, and some.
            ring_mb: 32,
            // Twice the longest dwell that is usual.
            album_s: 600.0,
            // Some 80 key pictures of 1080p.
            album_mb: 8,
            largest_mb: USUAL_LARGEST_MB,
        }
    }
}

impl ClipConfig {
    /// Bytes of pictures that one clip may hold.
    pub fn most_bytes(&self) -> usize {
        let of_rings = self.ring_mb.saturating_mul(MOST_RINGS);
        of_rings.min(self.largest_mb) as usize * 1_000_000
    }

    /// A ring that still has the beginning of a clip when its event is decided so long
    /// after the onset, s.
    pub fn ring_for(&self, decided_after_s: f64) -> f64 {
        decided_after_s + self.pre_s + LATE_S
    }

    /// How much is kept of a stream; nothing where no clips are made.
    pub fn limits(&self) -> Option<RingLimits> {
        self.make.then_some(RingLimits {
            seconds: self.ring_s,
            bytes: self.ring_mb as usize * 1_000_000,
            album: (self.album_s > 0.0).then_some(AlbumLimits {
                every: ALBUM_EVERY_S,
                seconds: self.album_s,
                bytes: self.album_mb as usize * 1_000_000,
            }),
        })
    }
}

/// As written; what is left out is [`ClipConfig::default`]'s.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ClipKeys {
    make: Option<bool>,
    pre_s: Option<f64>,
    post_s: Option<f64>,
    longest_s: Option<f64>,
    ring_s: Option<f64>,
    ring_mb: Option<i64>,
    album_s: Option<f64>,
    album_mb: Option<i64>,
    largest_mb: Option<i64>,
}

/// An onset is known later than it was; so much more than `pre_s` must be kept, s.
const LATE_S: f64 = 4.0;

impl ClipKeys {
    /// The settings; each number that is out of its range is told to `refuse` with its key.
    pub(super) fn read(&self, mut refuse: impl FnMut(&str, &str)) -> ClipConfig {
        let usual = ClipConfig::default();
        let mut number = |key, value: Option<f64>, default, (least, most): (f64, f64)| match value {
            None => default,
            Some(value) if (least..=most).contains(&value) => value,
            Some(_) => {
                let message = format!("is between {least} and {most} seconds; {default} is usual");
                refuse(&format!("clip.{key}"), &message);
                default
            }
        };
        let mut clip = ClipConfig {
            make: self.make.unwrap_or(usual.make),
            pre_s: number("pre_s", self.pre_s, usual.pre_s, (0.0, 60.0)),
            post_s: number("post_s", self.post_s, usual.post_s, (0.0, 60.0)),
            longest_s: number("longest_s", self.longest_s, usual.longest_s, (5.0, 300.0)),
            ring_s: number("ring_s", self.ring_s, usual.ring_s, (5.0, LONGEST_RING_S)),
            album_s: number("album_s", self.album_s, usual.album_s, (0.0, 7200.0)),
            ..usual
        };
        let mut megabytes = |key, value: Option<i64>, usual, (least, most): (u32, u32)| {
            let Some(written) = value else { return usual };
            let mb = u32::try_from(written).ok();
            mb.filter(|mb| (least..=most).contains(mb))
                .unwrap_or_else(|| {
                    let message =
                        format!("is between {least} and {most} megabytes; {usual} is usual");
                    refuse(&format!("clip.{key}"), &message);
                    usual
                })
        };
        clip.ring_mb = megabytes("ring_mb", self.ring_mb, usual.ring_mb, (2, 2048));
        clip.album_mb = megabytes("album_mb", self.album_mb, usual.album_mb, (1, 512));
        clip.largest_mb = megabytes("largest_mb", self.largest_mb, usual.largest_mb, (2, 1024));
        if clip.ring_s < clip.ring_for(0.0) {
            let message = format!(
                "is too short for clips that begin {} s before the onset: an onset is known some \
                 seconds later, so keep {} s or more",
                clip.pre_s,
                clip.ring_for(0.0)
            );
            refuse("clip.ring_s", &message);
        }
        clip
    }
}

#[cfg(test)]
mod tests {
    use super::super::camera::testing::camera;

    const SOURCE: &str = "source = { rtsp = 'rtsp://h/x' }\n";

    #[test]
    fn clips_reach_six_seconds_before_and_after_unless_somebody_says_otherwise() {
        let clip = |keys: &str| camera(&format!("{SOURCE}{keys}")).unwrap().clip;
        let usual = clip("");
        assert!(usual.make && usual.pre_s == 6.0 && usual.post_s == 6.0);
        assert_eq!(usual.limits().unwrap().bytes, 32_000_000);
        assert_eq!(usual.limits().unwrap().album.unwrap().bytes, 8_000_000);
        assert_eq!(clip("clip = { make = false }").limits(), None);
        let without = clip("clip = { album_s = 0 }").limits().unwrap();
        assert_eq!(without.album, None);
        assert_eq!(clip("clip = { pre_s = 10, ring_s = 40 }").ring_s, 40.0);
        // However large the ring, a clip is one that the centre takes.
        assert_eq!(usual.most_bytes(), 64_000_000);
        assert_eq!(clip("clip = { ring_mb = 200 }").most_bytes(), 64_000_000);
        assert_eq!(clip("clip = { ring_mb = 8 }").most_bytes(), 16_000_000);
        let larger = clip("clip = { ring_mb = 200, largest_mb = 300 }");
        assert_eq!(larger.most_bytes(), 300_000_000);
    }

    #[test]
    fn a_ring_that_could_not_reach_back_is_refused_with_what_would_do() {
        let keys = "clip = { pre_s = 20, ring_s = 10, ring_mb = 1, album_mb = -8, largest_mb = 4096, \
                    longst_s = 3 }";
        let faults = camera(&format!("{SOURCE}{keys}")).unwrap_err();
        for part in [
            "clip.ring_s: is too short for clips that begin 20 s before the onset",
            "keep 24 s or more",
            "clip.ring_mb: is between 2 and 2048 megabytes; 32 is usual",
            "clip.album_mb: is between 1 and 512 megabytes; 8 is usual",
            "clip.largest_mb: is between 2 and 1024 megabytes; 64 is usual",
            "clip.longst_s: no such key",
        ] {
            assert!(faults.contains(part), "{faults}");
        }
    }
}
