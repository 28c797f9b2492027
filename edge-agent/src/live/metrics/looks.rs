//! What the gates said and what the detector did, as metrics.

use std::collections::BTreeMap;

use edge_cascade::Passed;
use edge_scheduler::Kind;
use protocol::id::CascadeId;

use super::super::CameraState;
use super::super::camera_state::SecondLookCounts;
use super::super::main_looks::MainLookCounts;
use super::{Family, Reading, Sample, labelled};

impl Reading {
    /// What gates said and what the detector did.
    pub(super) fn looks(&self) -> [Family; 13] {
        let kinds = |counts: &BTreeMap<Kind, u64>| {
            let count = |kind| counts.get(kind).copied().unwrap_or_default();
            let kinds = Kind::ALL.iter();
            kinds.map(|kind| (kind.as_str(), count(kind))).collect()
        };
        [
            (
                "edge_gate_pictures",
                "Pictures that the gate judged, by what it said: rest, empty (nobody is there, and nothing has moved), or why to look",
                self.per_camera(|camera| {
                    labelled("verdict", camera.looks().verdicts.into_iter().collect())
                }),
            ),
            (
                "edge_pictures_left_out",
                "Encoded pictures that were not decoded: between key pictures while nothing happened, or referred to by nobody and not wanted",
                self.per_camera(|camera| {
                    let (unreferenced, idle) = camera.left_out();
                    labelled(
                        "reason",
                        vec![("unreferenced", unreferenced), ("idle", idle)],
                    )
                }),
            ),
            (
                "edge_pictures_followed",
                "Pictures that nobody looked at, and into which everybody of the last look was followed (detect.look_every)",
                self.per_camera(|camera| vec![(Vec::new(), camera.looks().followed as f64)]),
            ),
            (
                "edge_following_seconds",
                "What following took, on the thread that looks",
                self.per_camera(|camera| vec![(Vec::new(), camera.looks().followed_s)]),
            ),
            (
                "edge_inference_jobs",
                "Looks at pictures and parts of them, by what for",
                self.per_camera(|camera| labelled("kind", kinds(&camera.looks().jobs.chosen))),
            ),
            (
                "edge_inference_jobs_dropped",
                "Looks that were asked for and had no time, by what for",
                self.per_camera(|camera| labelled("kind", kinds(&camera.looks().jobs.dropped))),
            ),
            (
                "edge_inference_unwatched",
                "Times that a camera was looked at too rarely for its rules, because the detector was busy",
                self.per_camera(|camera| vec![(Vec::new(), camera.looks().jobs.unwatched as f64)]),
            ),
            (
                "edge_inference_seconds",
                "Time that the models spent on the camera",
                self.per_camera(|camera| vec![(Vec::new(), camera.looks().inference_s)]),
            ),
            (
                "edge_second_looks_passed",
                "Times that a cascade did not look at somebody in a frame, by why not",
                self.per_camera(|camera| passed_over(&camera.second_looks())),
            ),
            (
                "edge_main_looks",
                "Second looks of cameras with two streams, by what became of them before the models: main, detect (which stream was looked at), late, damaged, absent (no picture), unfit, busy",
                self.per_camera(|camera| {
                    let counts = camera.main_looks().lock().looks.clone();
                    labelled("outcome", counts.into_iter().collect())
                }),
            ),
            (
                "edge_main_pictures_decoded",
                "Pictures of the main stream that were decoded for second looks",
                self.per_camera(|camera| {
                    one_of_two_streams(camera, |counts| counts.decoded as f64)
                }),
            ),
            (
                "edge_main_decode_seconds",
                "Time that took",
                self.per_camera(|camera| {
                    one_of_two_streams(camera, |counts| counts.decoding.as_secs_f64())
                }),
            ),
            (
                "edge_second_looks_ignored",
                "Answers of cascades that counted for nothing, by why not",
                self.per_camera(|camera| {
                    let refused = camera.second_looks().refused;
                    let counts = vec![
                        ("late", refused.second_looks_late),
                        ("gone", refused.second_looks_of_nobody),
                        ("twice", refused.second_looks_twice),
                    ];
                    labelled("reason", counts)
                }),
            ),
        ]
    }
}

/// Nothing for a camera of which no second look was wished for at a main stream.
fn one_of_two_streams(camera: &CameraState, value: impl Fn(&MainLookCounts) -> f64) -> Vec<Sample> {
    let counts = camera.main_looks().lock();
    let has_any = !counts.looks.is_empty();
    has_any
        .then(|| (Vec::new(), value(&counts)))
        .into_iter()
        .collect()
}

fn passed_over(counts: &SecondLookCounts) -> Vec<Sample> {
    let of = |(cascade, passed): (&CascadeId, &Passed)| {
        let reasons = [
            ("small", passed.small),
            ("cut", passed.cut),
            ("covered", passed.covered),
            ("wheels_hidden", passed.wheels_hidden),
            ("turned", passed.turned),
            ("repeats", passed.repeats),
            ("unclear", passed.unclear),
            ("busy", passed.busy),
            // Of all cascades alike: nobody was asked.
            ("waiting", counts.held_up),
        ];
        reasons.map(|(reason, count)| {
            let labels = vec![
                ("cascade", cascade.to_string()),
                ("reason", reason.to_owned()),
            ];
            (labels, count as f64)
        })
    };
    counts.passed.iter().flat_map(of).collect()
}
