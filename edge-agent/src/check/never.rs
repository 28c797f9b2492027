//! Cameras whose configuration can be read and can never work: nothing would ever be
//! watched, or no plate ever be stated.

use plates::Quorum;

use super::{Finding, Outcome};
use crate::config::{CameraConfig, Looker};
use crate::live::LEAST_FPS;

/// Pictures farther apart than this were not watched in between, for `edge_core::scene`. s.
const HOLE_S: f64 = 2.0;

/// One finding for each thing that cannot work.
pub(super) fn look(cameras: &[&CameraConfig]) -> Vec<Finding> {
    let looked = cameras
        .iter()
        .flat_map(|camera| pace(camera).into_iter().chain(plates(camera)));
    looked.collect()
}

/// Looks so rare that each wait for the next is a hole in what was watched.
fn pace(camera: &CameraConfig) -> Option<Finding> {
    let fps = camera.analysed_fps.filter(|fps| *fps < LEAST_FPS)?;
    let part = format!("camera {} analysed_fps", camera.id);
    let outcome = if fps * HOLE_S <= 1.0 {
        Outcome::Failed(format!(
            "with {fps} looks a second no rule ever watches: {HOLE_S} s without a look are time of which nothing \
             is known; raise analysed_fps to {LEAST_FPS} or more, 5 to 10 are usual"
        ))
    } else {
        Outcome::Noted(format!(
            "{fps} looks a second are too few to judge by; rules need {LEAST_FPS} or more, 5 to 10 are usual"
        ))
    };
    Some(Finding { part, outcome })
}

/// Fewer looks at a plate than must agree on it.
fn plates(camera: &CameraConfig) -> Vec<Finding> {
    let need = Quorum::default().looks;
    let readers = camera
        .cascades
        .iter()
        .filter(|cascade| cascade.looker == Looker::Plates && (cascade.looks.most as u64) < need);
    readers
        .map(|cascade| Finding {
            part: format!("camera {} cascade {}", camera.id, cascade.id),
            outcome: Outcome::Failed(format!(
                "takes {} looks at a plate at most, and {need} must agree on it: no plate is ever stated; raise \
                 `most_looks` to {need} or more, or take `looks` and `most_looks` out",
                cascade.looks.most
            )),
        })
        .collect()
}
