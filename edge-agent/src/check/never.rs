//! Cameras whose configuration can be read and can never work: nothing would ever be
//! watched, or no plate ever be stated.

use plates::Quorum;
use protocol::NormBox;
use protocol::Point;

use super::{Finding, Outcome};
use crate::config::{CameraConfig, Looker};
use crate::live::LEAST_FPS;

/// Pictures farther apart than this were not watched in between, for `edge_core::scene`. s.
const HOLE_S: f64 = 2.0;

/// One finding for each thing that cannot work.
pub(super) fn look(cameras: &[&CameraConfig]) -> Vec<Finding> {
    let looked = cameras.iter().flat_map(|camera| {
        let pace = pace(camera).into_iter();
        pace.chain(out_of_sight(camera)).chain(plates(camera))
    });
    looked.collect()
}

/// Zones and lines outside of what of the picture the detector is shown: nobody is ever seen there.
fn out_of_sight(camera: &CameraConfig) -> Option<Finding> {
    let region = &camera.detect.region;
    let zones = camera.scene.zones.iter();
    let zones = zones.map(|zone| (&zone.id, "zone", zone.points.clone()));
    let lines = camera.scene.lines.iter();
    let lines = lines.map(|line| (&line.id, "line", vec![line.from, line.to]));
    let (mut outside, mut beyond) = (Vec::new(), Vec::new());
    for (id, what, points) in zones.chain(lines) {
        let around = around(&points);
        if !touches(region, &around) {
            outside.push(format!("{what} `{id}`"));
        } else if !holds(region, &around) {
            beyond.push(format!("{what} `{id}`"));
        }
    }
    let part = format!("camera {} detect.roi", camera.id);
    if !outside.is_empty() {
        let outcome = Outcome::Failed(format!(
            "the detector is shown nothing of {}, so nobody is ever seen there; make `roi` larger, or leave it out",
            outside.join(", ")
        ));
        return Some(Finding { part, outcome });
    }
    (!beyond.is_empty()).then(|| Finding {
        part,
        outcome: Outcome::Noted(format!(
            "{} reach beyond it, and nobody is seen there; make `roi` larger where that matters",
            beyond.join(", ")
        )),
    })
}

/// The box around points. Parts of the picture.
fn around(points: &[Point]) -> [f64; 4] {
    points.iter().fold(
        [f64::MAX, f64::MAX, f64::MIN, f64::MIN],
        |[left, top, right, bottom], point| {
            [
                left.min(point.x),
                top.min(point.y),
                right.max(point.x),
                bottom.max(point.y),
            ]
        },
    )
}

fn touches(region: &NormBox, [left, top, right, bottom]: &[f64; 4]) -> bool {
    *left < region.right() && *right > region.x && *top < region.bottom() && *bottom > region.y
}

/// Points at the picture's very edge are often drawn a little beyond it.
const DRAWN_BEYOND: f64 = 0.01;

fn holds(region: &NormBox, [left, top, right, bottom]: &[f64; 4]) -> bool {
    let inside = |at: f64| at.clamp(0.0, 1.0);
    inside(*left) >= region.x - DRAWN_BEYOND
        && inside(*top) >= region.y - DRAWN_BEYOND
        && inside(*right) <= region.right() + DRAWN_BEYOND
        && inside(*bottom) <= region.bottom() + DRAWN_BEYOND
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
