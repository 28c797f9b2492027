//! `[camera.clip]`: the clip of an event, and what is kept for it.

use edge_video::encoded::RingLimits;
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
}

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
        }
    }
}

impl ClipConfig {
    /// How much is kept of a stream; nothing where no clips are made.
    pub fn limits(&self) -> Option<RingLimits> {
        self.make.then_some(RingLimits {
            seconds: self.ring_s,
            bytes: self.ring_mb as usize * 1_000_000,
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
    ring_mb: Option<u32>,
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
            ring_s: number("ring_s", self.ring_s, usual.ring_s, (5.0, 600.0)),
            ring_mb: usual.ring_mb,
        };
        if let Some(mb) = self.ring_mb {
            if (2..=2048).contains(&mb) {
                clip.ring_mb = mb;
            } else {
                let message = format!(
                    "is between 2 and 2048 megabytes; {} is usual",
                    usual.ring_mb
                );
                refuse("clip.ring_mb", &message);
            }
        }
        if clip.ring_s < clip.pre_s + LATE_S {
            let message = format!(
                "is too short for clips that begin {} s before the onset: an onset is known some \
                 seconds later, so keep {} s or more",
                clip.pre_s,
                clip.pre_s + LATE_S
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
        assert_eq!(clip("clip = { make = false }").limits(), None);
        assert_eq!(clip("clip = { pre_s = 10, ring_s = 40 }").ring_s, 40.0);
    }

    #[test]
    fn a_ring_that_could_not_reach_back_is_refused_with_what_would_do() {
        let keys = "clip = { pre_s = 20, ring_s = 10, ring_mb = 1, longst_s = 3 }";
        let faults = camera(&format!("{SOURCE}{keys}")).unwrap_err();
        for part in [
            "clip.ring_s: is too short for clips that begin 20 s before the onset",
            "keep 24 s or more",
            "clip.ring_mb: is between 2 and 2048 megabytes",
            "clip.longst_s: no such key",
        ] {
            assert!(faults.contains(part), "{faults}");
        }
    }
}
