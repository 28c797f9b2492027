//! `[camera.health]`: when a picture is not good enough to judge by.

use picture_health::Settings;
use serde::Deserialize;

/// Whether and how a camera's picture is watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PictureHealthConfig {
    /// Whether at all.
    pub watch: bool,
    /// By what.
    pub settings: Settings,
}

impl Default for PictureHealthConfig {
    fn default() -> Self {
        Self {
            watch: true,
            settings: Settings::default(),
        }
    }
}

/// As written; what is left out is [`Settings::default`]'s.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PictureHealthKeys {
    watch: Option<bool>,
    onset_s: Option<f64>,
    clear_s: Option<f64>,
    dark_luma: Option<f64>,
    blocked_share: Option<f64>,
    defocused_ratio: Option<f64>,
    moved_shift: Option<f64>,
}

impl PictureHealthKeys {
    /// The settings; each number that is out of its range is told to `refuse` with its key.
    pub(super) fn read(&self, mut refuse: impl FnMut(&str, &str)) -> PictureHealthConfig {
        let usual = Settings::default();
        let mut number = |key, value: Option<f64>, default, (least, most): (f64, f64)| match value {
            None => default,
            Some(value) if (least..=most).contains(&value) => value,
            Some(_) => {
                let message = format!("is between {least} and {most}; {default} is usual");
                refuse(&format!("health.{key}"), &message);
                default
            }
        };
        let settings = Settings {
            onset_s: number("onset_s", self.onset_s, usual.onset_s, (5.0, 600.0)),
            clear_s: number("clear_s", self.clear_s, usual.clear_s, (2.0, 600.0)),
            dark_luma: number("dark_luma", self.dark_luma, usual.dark_luma, (0.0, 255.0)),
            blocked_share: number(
                "blocked_share",
                self.blocked_share,
                usual.blocked_share,
                (0.1, 1.0),
            ),
            defocused_ratio: number(
                "defocused_ratio",
                self.defocused_ratio,
                usual.defocused_ratio,
                (0.01, 0.9),
            ),
            moved_shift: number(
                "moved_shift",
                self.moved_shift,
                usual.moved_shift,
                (0.01, 0.12),
            ),
        };
        PictureHealthConfig {
            watch: self.watch.unwrap_or(true),
            settings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::camera::testing::camera;

    const SOURCE: &str = "source = { rtsp = 'rtsp://h/x' }\n";

    #[test]
    fn a_picture_is_watched_unless_somebody_says_otherwise() {
        let health = |keys: &str| camera(&format!("{SOURCE}{keys}")).unwrap().health;
        assert!(health("").watch);
        assert!(!health("health = { watch = false }").watch);
        let tuned = health("health = { moved_shift = 0.05 }");
        assert!(tuned.watch);
        assert_eq!(tuned.settings.moved_shift, 0.05);
        assert_eq!(tuned.settings.onset_s, 20.0);
    }

    #[test]
    fn every_number_out_of_its_range_is_a_fault_with_its_key() {
        let keys = "health = { onset_s = 1.0, dark_luma = 300.0, blokced_share = 0.5 }";
        let faults = camera(&format!("{SOURCE}{keys}")).unwrap_err();
        for part in [
            "health.onset_s: is between 5 and 600; 20 is usual",
            "health.dark_luma: is between 0 and 255",
            "health.blokced_share: no such key",
        ] {
            assert!(faults.contains(part), "{faults}");
        }
    }
}
