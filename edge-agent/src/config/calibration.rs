//! `[camera.calibration]`: surveyed points, or a homography from elsewhere.

use std::path::PathBuf;

use protocol::Point;
use serde::Deserialize;
use toml::{Table, Value};

use crate::calibrate::CalibrationFile;

/// `[camera.calibration]`
#[derive(Clone, Debug, Deserialize)]
pub struct CalibrationConfig {
    /// A file that `edge-agent calibrate` has written, beside the configuration.
    pub file: Option<PathBuf>,
    /// What that file holds.
    #[serde(skip)]
    pub loaded: Option<CalibrationFile>,
    /// Surveyed points, four or more.
    #[serde(default)]
    pub points: Vec<SurveyedPoint>,
    /// Or the matrix itself: normalised picture coordinates to metres, row by row.
    pub image_to_ground: Option<[[f64; 3]; 3]>,
    /// Root mean square of the residuals that belong to `image_to_ground`. m.
    pub residual_m: Option<f64>,
}

/// Reads the short form `calibration = "FILE"` as the long one. What belongs into
/// a file and stands in the configuration is taken out; says what to do instead.
pub(super) fn normalise(camera: &mut Table) -> Option<&'static str> {
    match camera.get_mut("calibration")? {
        Value::String(file) => {
            let file = Value::String(std::mem::take(file));
            let long = Table::from_iter([("file".to_owned(), file)]);
            camera.insert("calibration".to_owned(), Value::Table(long));
            None
        }
        Value::Table(keys) => {
            let has = |names: &[&str]| names.iter().any(|name| keys.contains_key(*name));
            let fault = if has(&["calibration", "residual", "expected"]) {
                "is what `edge-agent calibrate` wrote; leave it in its file, and write here \
                 `calibration = { file = \"NAME.calibration.toml\" }`"
            } else if has(&[
                "point",
                "distance",
                "picture",
                "click_sigma_px",
                "ground_sigma_m",
            ]) {
                "is a survey; save it as a file of its own, run `edge-agent calibrate` on that, and \
                 write here the file that it makes: `calibration = { file = \"NAME.calibration.toml\" }`"
            } else {
                return None;
            };
            camera.remove("calibration");
            Some(fault)
        }
        _ => None,
    }
}

impl CalibrationConfig {
    /// The key that is wrong or missing, and what to write.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        const RESIDUAL: &str = "calibration.residual_m";
        let others =
            !self.points.is_empty() || self.image_to_ground.is_some() || self.residual_m.is_some();
        match (self.points.len(), &self.image_to_ground, self.residual_m) {
            _ if self.file.is_some() && others => Some((
                "calibration",
                "give `file`, `points` or `image_to_ground`, only one of them",
            )),
            _ if self.file.is_some() => None,
            (0, None, _) => Some((
                "calibration",
                "give the `file` that `edge-agent calibrate` wrote, four or more `points`, or an \
                 `image_to_ground` matrix",
            )),
            (1.., Some(_), _) => Some((
                "calibration",
                "give `points` or `image_to_ground`, not both",
            )),
            (1..=3, None, _) => Some((
                "calibration.points",
                "four or more surveyed points are needed",
            )),
            (_, None, Some(_)) => Some((
                RESIDUAL,
                "belongs to `image_to_ground`; from `points` it is computed, take it out",
            )),
            // A matrix of unknown quality would count as a perfect one.
            (_, Some(_), None) => Some((
                RESIDUAL,
                "is missing; how far, in metres, does `image_to_ground` put surveyed points from \
                 where they are (root mean square)?",
            )),
            (_, Some(_), Some(residual)) if !(residual.is_finite() && residual >= 0.0) => {
                Some((RESIDUAL, "is a distance in metres, 0 or more"))
            }
            _ => None,
        }
    }
}

/// A point that was measured in the picture and on the ground.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct SurveyedPoint {
    /// In the picture, fractions of width and height.
    pub image: Point,
    /// On the ground, metres from any origin, x to the right of y.
    pub ground: [f64; 2],
}

#[cfg(test)]
mod tests {
    use super::super::camera::testing::camera;

    #[test]
    fn what_belongs_into_a_file_is_told_so_and_a_file_may_be_named_alone() {
        for (keys, fault) in [
            ("{ picture = [1920, 1080], point = [] }", "is a survey"),
            ("{ distance = [] }", "is a survey"),
            ("{ calibration = { version = 2 } }", "leave it in its file"),
            (
                "\"nowhere.toml\"",
                "calibration.file: nowhere.toml cannot be read",
            ),
            ("7", "invalid type"),
        ] {
            let text = format!("source = {{ rtsp = 'rtsp://h/x' }}\ncalibration = {keys}");
            let told = camera(&text).unwrap_err();
            assert!(told.contains(fault), "{keys}: {told}");
            assert!(told.contains("camera[0].calibration"), "{keys}: {told}");
        }
    }

    #[test]
    fn a_calibration_is_complete_and_of_one_kind() {
        const POINT: &str = "{ image = [0.1, 0.1], ground = [0, 0] }";
        const MATRIX: &str = "image_to_ground = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]";
        let four = [POINT; 4].join(", ");
        for (keys, fault) in [
            (String::new(), Some("calibration: give the `file`")),
            (
                format!("points = [{POINT}]"),
                Some("calibration.points: four"),
            ),
            (format!("points = [{four}]"), None),
            (
                format!("points = [{four}], residual_m = 0.1"),
                Some("calibration.residual_m: belongs"),
            ),
            (
                format!("points = [{four}], {MATRIX}"),
                Some("calibration: give"),
            ),
            (
                MATRIX.to_owned(),
                Some("calibration.residual_m: is missing"),
            ),
            (
                format!("{MATRIX}, residual_m = -1"),
                Some("calibration.residual_m: is a"),
            ),
            (
                format!("{MATRIX}, residual_m = nan"),
                Some("calibration.residual_m: is a"),
            ),
            (format!("{MATRIX}, residual_m = 0.2"), None),
        ] {
            let text = format!("source = {{ rtsp = 'rtsp://h/x' }}\ncalibration = {{ {keys} }}");
            match (camera(&text), fault) {
                (Ok(_), None) => {}
                (Err(told), Some(fault)) => {
                    assert!(told.contains(&format!(":7: camera[0].{fault}")), "{told}");
                }
                (got, _) => panic!("{keys}: {got:?}"),
            }
        }
    }
}
