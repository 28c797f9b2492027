//! A scene from a camera's configuration: identity, calibration, rules.

use edge_core::{Calibration, Identity, Scene};
use protocol::Digest;
use protocol::event::Provenance;
use protocol::units::Metres;
use sha2::{Digest as _, Sha256};

use crate::config::{BoxIdentity, CalibrationConfig, CameraConfig};

/// The detector that feeds a scene, as written on its events.
#[derive(Clone, Debug)]
pub struct DetectorIdentity {
    /// Its name in the catalogue.
    pub model: protocol::id::ModelId,
    /// SHA-256 of its file.
    pub digest: Digest,
}

/// Why a camera cannot have a scene.
#[derive(Debug, thiserror::Error)]
pub enum SceneSetupError {
    /// The surveyed points do not make a calibration.
    #[error("camera {camera}: calibration: {reason}")]
    Calibration {
        /// Which camera.
        camera: protocol::CameraId,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The rules do not fit the calibration or each other.
    #[error("camera {camera}: {faults}")]
    Rules {
        /// Which camera.
        camera: protocol::CameraId,
        /// All that is wrong.
        faults: String,
    },
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
    let calibration = camera
        .calibration
        .as_ref()
        .map(|config| calibrate(config, aspect))
        .transpose()
        .map_err(|reason| SceneSetupError::Calibration {
            camera: camera.id.clone(),
            reason,
        })?;
    let provenance = Provenance {
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        configuration: Some(camera.digest),
        calibration: calibration.as_ref().map(digest_of),
        model: detector.map(|d| d.model.clone()),
        model_digest: detector.map(|d| d.digest),
    };
    let identity = Identity {
        site: identity.site.clone(),
        box_id: identity.id.clone(),
        camera: camera.id.clone(),
        place: camera.place.clone(),
        simulated: camera.simulated,
        provenance,
    };
    Scene::new(identity, camera.scene.clone(), calibration).map_err(|faults| {
        let faults: Vec<String> = faults
            .iter()
            .map(|fault| format!("{}: {}", fault.path, fault.message))
            .collect();
        SceneSetupError::Rules {
            camera: camera.id.clone(),
            faults: faults.join("; "),
        }
    })
}

/// The calibration that a camera's table describes.
pub fn calibrate(config: &CalibrationConfig, aspect: f64) -> Result<Calibration, String> {
    match config.image_to_ground {
        Some(image_to_ground) => Ok(Calibration {
            image_to_ground,
            residual_m: Metres(config.residual_m.unwrap_or_default()),
            points: 0,
        }),
        None => from_points(config, aspect),
    }
}

#[cfg(feature = "cv")]
fn from_points(config: &CalibrationConfig, aspect: f64) -> Result<Calibration, String> {
    let points: Vec<edge_stills::Survey> = config
        .points
        .iter()
        .map(|point| edge_stills::Survey {
            image: point.image,
            ground: point.ground,
        })
        .collect();
    let homography =
        edge_stills::estimate_homography(&points, aspect).map_err(|error| error.to_string())?;
    Ok(Calibration {
        image_to_ground: homography.matrix,
        residual_m: homography.residual_m,
        points: points.len(),
    })
}

#[cfg(not(feature = "cv"))]
fn from_points(_: &CalibrationConfig, _: f64) -> Result<Calibration, String> {
    Err(
        "this agent was built without OpenCV (feature `cv`) and cannot estimate a homography \
         from points; give `image_to_ground` instead, or install the full build"
            .to_owned(),
    )
}

fn digest_of(calibration: &Calibration) -> Digest {
    let mut hash = Sha256::new();
    for value in calibration.image_to_ground.iter().flatten() {
        hash.update(value.to_le_bytes());
    }
    Digest(hash.finalize().into())
}
