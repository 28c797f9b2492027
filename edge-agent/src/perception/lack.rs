//! Whether it was the stream's fault that nobody looked for a while, live and in a replay.

use edge_core::GapReason;
use edge_video::Lack;
use protocol::units::Seconds;

/// Why a stretch of time was not looked at in which the stream lacked so much; absent where that
/// is not most of it: then pictures were there, and it is the box that did not look.
pub fn lacked(lack: Lack, passed: Seconds) -> Option<GapReason> {
    let lacking_us = lack.damaged_us.saturating_add(lack.missing_us);
    let is_most = 2.0 * lacking_us as f64 > passed.0 * 1e6;
    let why = if lack.damaged_us > 0 {
        GapReason::Corrupt
    } else {
        GapReason::NoPicture
    };
    (lacking_us > 0 && is_most).then_some(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One picture that was lost between two looks of a full box made a lossy line of its overload,
    /// and the operator mended the line instead of taking cameras off the box.
    #[test]
    fn what_a_box_did_not_look_at_is_the_lines_fault_where_most_of_it_never_came() {
        for (damaged_ms, missing_ms, passed_ms, expected) in [
            (0, 0, 1_300, None),
            (0, 120, 1_300, None),
            (40, 0, 1_300, None),
            (600, 0, 1_300, None),
            (0, 700, 1_300, Some(GapReason::NoPicture)),
            (0, 1_260, 1_300, Some(GapReason::NoPicture)),
            (700, 0, 1_300, Some(GapReason::Corrupt)),
            (40, 1_200, 1_300, Some(GapReason::Corrupt)),
            (0, 0, 0, None),
        ] {
            let lack = Lack {
                damaged_us: damaged_ms * 1_000,
                missing_us: missing_ms * 1_000,
            };
            let passed = Seconds(f64::from(passed_ms) / 1e3);
            assert_eq!(lacked(lack, passed), expected, "{lack:?} of {passed:?}");
        }
    }
}
