//! What the gates said and what the detector did, as metrics.

use std::collections::BTreeMap;

use edge_scheduler::Kind;

use super::{Family, Reading, Sample};

impl Reading {
    /// What gates said and what the detector did.
    pub(super) fn looks(&self) -> [Family; 6] {
        let kinds = |counts: &BTreeMap<Kind, u64>| {
            let count = |kind| counts.get(kind).copied().unwrap_or_default();
            let kinds = Kind::ALL.iter();
            kinds.map(|kind| (kind.as_str(), count(kind))).collect()
        };
        [
            (
                "edge_gate_pictures",
                "Pictures that the gate judged, by what it said: rest, or why to look",
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
        ]
    }
}

/// Counts by a word.
fn labelled(label: &'static str, counts: Vec<(&'static str, u64)>) -> Vec<Sample> {
    let counts = counts.into_iter();
    counts
        .map(|(word, count)| (vec![(label, word.to_owned())], count as f64))
        .collect()
}
