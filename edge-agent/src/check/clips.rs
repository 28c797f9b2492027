//! Which rules decide so late that their clips cannot begin where they should.
//!
//! A clip is asked for when its event is decided. Of a dwell of minutes the ring has
//! let the beginning go by then; stills of it come from the album all the same.

use super::{Finding, Outcome};
use crate::config::{CameraConfig, LONGEST_RING_S};

/// One finding for each camera with such rules.
pub(super) fn look(cameras: &[&CameraConfig]) -> Vec<Finding> {
    cameras.iter().filter_map(|camera| of(camera)).collect()
}

fn of(camera: &CameraConfig) -> Option<Finding> {
    let clip = &camera.clip;
    let late = camera
        .scene
        .rules
        .iter()
        .filter(|rule| clip.make && clip.ring_for(rule.decided_after_s) > clip.ring_s);
    let mut late: Vec<(f64, &str)> = late
        .map(|rule| (rule.decided_after_s, rule.id.as_str()))
        .collect();
    late.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (longest, _) = *late.last()?;
    // Each wait once: a box may have dozens of such rules.
    let named: Vec<String> = late
        .chunk_by(|a, b| a.0 == b.0)
        .map(|alike| {
            let ids: Vec<&str> = alike.iter().map(|(_, id)| *id).collect();
            format!("{} ({} s)", ids.join(", "), alike[0].0)
        })
        .collect();
    let needed = clip.ring_for(longest);
    let way_out = if needed > LONGEST_RING_S {
        format!("no ring reaches so far ({LONGEST_RING_S} s at most)")
    } else {
        let megabytes = (f64::from(clip.ring_mb) * needed / clip.ring_s).ceil();
        format!(
            "to have it whole: clip.ring_s = {needed}, for which clip.ring_mb and clip.largest_mb = {megabytes} \
             hold what {} MB hold of {} s, and http.max_evidence_mb at the centre as much",
            clip.ring_mb, clip.ring_s
        )
    };
    Some(Finding {
        part: format!("clips of camera {}", camera.id),
        outcome: Outcome::Noted(format!(
            "rules decide so long after the onset: {}; the ring (clip.ring_s = {}) has let that go by then, so \
             their clips begin late and say so, and the arrival is in stills only, of the album (clip.album_s = \
             {}); {way_out}",
            named.join("; "),
            clip.ring_s,
            clip.album_s
        )),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::AgentConfig;

    #[test]
    fn rules_whose_clips_cannot_begin_in_time_are_named_with_what_would_do() {
        const ZONE: &str =
            "[[camera.zone]]\nid = 'kerb'\npoints = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]\n";
        let said = |clip: &str, rules: &[(&str, &str, &str)]| {
            let rules: String = rules
                .iter()
                .map(|(id, kind, more)| {
                    format!(
                        "[[camera.rule]]\nid = '{id}'\nkind = '{kind}'\nzone = 'kerb'\n{more}\n"
                    )
                })
                .collect::<Vec<_>>()
                .concat();
            let text = format!(
                "[box]\nsite = 's'\nid = 'b'\n[[camera]]\nid = 'c'\n\
                 source = {{ rtsp = 'rtsp://h/x' }}\n{clip}\n{ZONE}{rules}"
            );
            let config = AgentConfig::parse(&text, Path::new("box.toml")).unwrap();
            look(&[&config.cameras[0]])
                .pop()
                .map(|finding| match finding.outcome {
                    Outcome::Noted(words) => words,
                    other => format!("{other:?}"),
                })
        };
        let short = ("quick", "illegal_stop", "min_dwell_s = 10");
        let (stop, park) = (
            ("stop", "illegal_stop", "min_dwell_s = 60"),
            ("park", "illegal_parking", ""),
        );
        assert_eq!(said("", &[short]), None);
        assert_eq!(said("clip = { make = false }", &[stop]), None);
        assert_eq!(said("clip = { ring_s = 70 }", &[stop]), None);
        let told = said("", &[short, stop, park]).unwrap();
        assert!(
            told.contains("after the onset: stop (60 s); park (300 s);"),
            "{told}"
        );
        assert!(
            told.contains("clip.ring_s = 310, for which clip.ring_mb and clip.largest_mb = 331"),
            "{told}"
        );
        let told = said("", &[("park", "illegal_parking", "min_dwell_s = 900")]).unwrap();
        assert!(
            told.contains("no ring reaches so far (600 s at most)"),
            "{told}"
        );
    }
}
