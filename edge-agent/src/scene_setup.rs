//! A scene from a camera's configuration: identity, calibration, rules.

use std::collections::BTreeSet;

use edge_core::calibration::{Sigmas, SurveyedPoint, fit_points};
use edge_core::{Calibration, Fault, Identity, Scene};
use protocol::event::Provenance;
use protocol::units::Metres;
use protocol::{Digest, ObjectClass};
use sha2::{Digest as _, Sha256};

use crate::calibrate::CalibrationFile;
use crate::config::{BoxIdentity, CalibrationConfig, CameraConfig, CascadeConfig};

/// The detector that feeds a scene, as written on its events.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorIdentity {
    /// Its name in the catalogue.
    pub model: protocol::id::ModelId,
    /// SHA-256 of its file.
    pub digest: Digest,
    /// Every class that it can give, where that is known.
    pub classes: Option<Vec<ObjectClass>>,
}

impl DetectorIdentity {
    /// Of the detector that this manifest describes.
    pub fn of(manifest: &models::Manifest) -> Self {
        // Several of the model's numbers may mean one class.
        let classes: BTreeSet<ObjectClass> = manifest.classes.named().map(|(_, c)| c).collect();
        Self {
            model: manifest.id.clone(),
            digest: manifest.sha256,
            classes: Some(classes.into_iter().collect()),
        }
    }
}

/// Why a camera cannot have a scene: all that is wrong with its rules and calibration.
#[derive(Debug, thiserror::Error)]
#[error("camera {camera}: {}", in_one_line(faults))]
pub struct SceneSetupError {
    /// Which camera.
    pub camera: protocol::CameraId,
    /// Keys relative to the camera's table, and what to do.
    pub faults: Vec<Fault>,
}

fn in_one_line(faults: &[Fault]) -> String {
    let faults: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}: {}", fault.path, fault.message))
        .collect();
    faults.join("; ")
}

/// A camera's calibration, and what speaks against trusting it.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrated {
    /// What rules measure by.
    pub calibration: Calibration,
    /// For people; empty when nothing does.
    pub doubts: Vec<String>,
}

/// Makes the scene of `camera`.
///
/// `aspect` is the picture's width over height, needed to weigh surveyed points.
pub fn scene(
    identity: &BoxIdentity,
    camera: &CameraConfig,
    detector: Option<&DetectorIdentity>,
    aspect: f64,
) -> Result<Scene, SceneSetupError> {
    let failed = |faults| SceneSetupError {
        camera: camera.id.clone(),
        faults,
    };
    let calibration = camera
        .calibration
        .as_ref()
        .map(|config| calibrate(config, aspect))
        .transpose()
        .map_err(|fault| failed(vec![fault]))?
        .map(|calibrated| calibrated.calibration);
    let provenance = Provenance {
        agent: crate::VERSION.to_owned(),
        configuration: Some(camera.digest),
        calibration: calibration.as_ref().map(digest_of),
        model: detector.map(|d| d.model.clone()),
        model_digest: detector.map(|d| d.digest),
        // An event names those whose looks counted for it.
        second: Vec::new(),
    };
    let identity = Identity {
        site: identity.site.clone(),
        box_id: identity.id.clone(),
        camera: camera.id.clone(),
        place: camera.place.clone(),
        simulated: camera.simulated,
        provenance,
    };
    let mut scene = Scene::new(identity, camera.scene.clone(), calibration).map_err(failed)?;
    // A recording of an old agent does not say which detector made it.
    if let Some(classes) = detector.and_then(|detector| detector.classes.as_ref()) {
        scene.expect_classes(classes.iter().copied());
    }
    if !camera.cascades.is_empty() {
        let used = camera.cascades.iter().map(CascadeConfig::used);
        scene.expect_second_looks(used.collect());
    }
    Ok(scene)
}

/// The calibration that a camera's table describes, or the key that hinders it.
pub fn calibrate(config: &CalibrationConfig, aspect: f64) -> Result<Calibrated, Fault> {
    if let Some(file) = &config.loaded {
        return from_file(file, aspect);
    }
    match (config.image_to_ground, config.residual_m) {
        (Some(image_to_ground), Some(residual_m)) => Ok(Calibrated {
            calibration: Calibration {
                image_to_ground,
                residual_m: Metres(residual_m),
                points: 0,
                ..Calibration::default()
            },
            doubts: Vec::new(),
        }),
        (Some(_), None) => Err(Fault::new(
            "calibration.residual_m",
            "is missing; without it nobody knows how good `image_to_ground` is",
        )),
        (None, _) => from_points(config, aspect),
    }
}

/// What `edge-agent calibrate` has written, for pictures of the same shape.
fn from_file(file: &CalibrationFile, aspect: f64) -> Result<Calibrated, Fault> {
    if (file.aspect() / aspect - 1.0).abs() > 0.01 {
        let [width, height] = file.picture;
        return Err(Fault::new(
            "calibration.file",
            format!(
                "was made in pictures of {width} by {height}, and the camera's are {aspect:.3} times as \
                 wide as high; calibrate in a still of the stream that is analysed"
            ),
        ));
    }
    if file.calibration.is_mirrored() {
        return Err(Fault::new("calibration.file", MIRRORED));
    }
    Ok(Calibrated {
        calibration: file.calibration,
        doubts: Vec::new(),
    })
}

/// Why a survey is refused that is left-handed as seen from above.
pub const MIRRORED: &str = "the ground is mirrored: points that go round clockwise in the picture go \
     round the other way on the ground, and a camera cannot see the road from below; write east (or \
     right) before north (or ahead) in `ground`, or look for two points that are swapped";

/// A click is good for this, in picture heights: two pixels of 1080.
const CLICK: f64 = 0.002;
/// A place on the ground is good for this, m: a tape along the kerb.
const TAPE_M: f64 = 0.05;

fn from_points(config: &CalibrationConfig, aspect: f64) -> Result<Calibrated, Fault> {
    let fault = |message: String| Fault::new("calibration.points", message);
    let points: Vec<SurveyedPoint> = config
        .points
        .iter()
        .map(|point| SurveyedPoint {
            image: point.image,
            ground: point.ground,
        })
        .collect();
    // OpenCV's side names the points that coincide or lie in line.
    #[cfg(feature = "cv")]
    {
        let survey: Vec<edge_stills::Survey> = points
            .iter()
            .map(|point| edge_stills::Survey {
                image: point.image,
                ground: point.ground,
            })
            .collect();
        edge_stills::estimate_homography(&survey, aspect)
            .map_err(|error| fault(error.to_string()))?;
    }
    let sigmas = Sigmas {
        click: CLICK,
        ground_m: TAPE_M,
    };
    let fitted =
        fit_points(&points, aspect, None, sigmas).map_err(|error| fault(error.to_string()))?;
    if fitted.calibration.is_mirrored() {
        return Err(fault(MIRRORED.to_owned()));
    }
    let mut doubts = Vec::new();
    if fitted.misfit.is_none() {
        doubts.push(
            "four points fit exactly, also when one was measured wrongly; survey a fifth"
                .to_owned(),
        );
    }
    Ok(Calibrated {
        calibration: fitted.calibration,
        doubts,
    })
}

/// What events say that they were measured by: the matrix and how good it is.
fn digest_of(calibration: &Calibration) -> Digest {
    let mut hash = Sha256::new();
    for value in calibration.image_to_ground.iter().flatten() {
        hash.update(value.to_le_bytes());
    }
    hash.update(calibration.residual_m.0.to_le_bytes());
    hash.update((calibration.points as u64).to_le_bytes());
    // Version 1 had no more, and its digests stay what they were.
    if let Some(lens) = &calibration.lens {
        let lens = [
            lens.fx, lens.fy, lens.cx, lens.cy, lens.k1, lens.k2, lens.p1, lens.p2, lens.k3,
        ];
        for value in lens {
            hash.update(value.to_le_bytes());
        }
    }
    if let Some(uncertainty) = &calibration.uncertainty {
        let at = [uncertainty.at.x, uncertainty.at.y];
        for value in at.iter().chain(uncertainty.covariance.as_flattened()) {
            hash.update(value.to_le_bytes());
        }
    }
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calibration_of_another_quality_has_another_digest() {
        let one = Calibration {
            image_to_ground: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            residual_m: Metres(0.1),
            points: 6,
            ..Calibration::default()
        };
        let worse = Calibration {
            residual_m: Metres(0.2),
            ..one
        };
        let (moved, fewer) = (
            Calibration {
                image_to_ground: [[1.0, 0.0, 0.1], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
                ..one
            },
            Calibration { points: 5, ..one },
        );
        for other in [worse, moved, fewer] {
            assert_ne!(digest_of(&other), digest_of(&one), "{other:?}");
        }
    }

    #[cfg(feature = "cv")]
    #[test]
    fn doubts_about_a_survey_are_told() {
        let survey = |points: &[([f64; 2], [f64; 2])]| CalibrationConfig {
            points: points
                .iter()
                .map(|(image, ground)| crate::config::SurveyedPoint {
                    image: protocol::Point {
                        x: image[0],
                        y: image[1],
                    },
                    ground: *ground,
                })
                .collect(),
            image_to_ground: None,
            residual_m: None,
            file: None,
            loaded: None,
        };
        let doubts = |points: &[([f64; 2], [f64; 2])]| {
            calibrate(&survey(points), 16.0 / 9.0).unwrap().doubts
        };
        let five = [
            ([0.2, 0.9], [0.0, 0.0]),
            ([0.8, 0.9], [6.0, 0.0]),
            ([0.8, 0.3], [6.0, 12.0]),
            ([0.2, 0.3], [0.0, 12.0]),
            ([0.5, 0.6], [3.0, 6.0]),
        ];
        assert_eq!(doubts(&five), Vec::<String>::new());
        let exact = doubts(&five[..4]);
        assert!(
            exact.len() == 1 && exact[0].contains("survey a fifth"),
            "{exact:?}"
        );
        let northing_first = five.map(|(image, [x, y])| (image, [y, x]));
        let mirrored = calibrate(&survey(&northing_first), 16.0 / 9.0).unwrap_err();
        assert!(mirrored.message.contains("mirrored"), "{mirrored:?}");

        let line = five.map(|(image, [x, _])| (image, [x, 0.0]));
        let fault = calibrate(&survey(&line), 16.0 / 9.0).unwrap_err();
        assert_eq!(fault.path, "calibration.points");
    }
}
