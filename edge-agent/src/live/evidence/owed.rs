//! What an event's evidence was to have and does not: a case that lacks three
//! stills shall not look like one that was to have one.

use protocol::Event;
use protocol::event::{FrameTime, Words};
use protocol::evidence::{EvidenceRole, Missing};
use protocol::{EventTime, EvidenceItem};

/// What of the clip, the stills of the moments `at`, the plate and the looks is not among
/// `items`, for this reason. Where the moments are not known that is said once.
pub(crate) fn not_made(
    event: &Event,
    at: Option<&[FrameTime]>,
    items: &[EvidenceItem],
    reason: &Words,
) -> Vec<Missing> {
    let missing = |role, at: Option<EventTime>, reason: &Words| Missing {
        role,
        at,
        reason: reason.clone(),
    };
    let of_role = |role| items.iter().filter(move |item| item.role == role);
    let mut all = Vec::new();
    if let Some(at) = at {
        let is_drawn = |time| {
            let mut stills = of_role(EvidenceRole::StillAnnotated);
            stills.any(|still| still.captured == time)
        };
        let owed = at.iter().map(|at| at.time).filter(|time| !is_drawn(*time));
        all.extend(owed.map(|time| missing(EvidenceRole::StillAnnotated, Some(time), reason)));
    } else {
        let others = Words::new(
            format!("có thể thiếu ảnh của các thời điểm khác: {}", reason.vi),
            format!("stills of other moments may be missing: {}", reason.en),
        );
        all.push(missing(EvidenceRole::StillAnnotated, None, &others));
    }
    // A plate that is stated was seen in a picture, which was to be cut out.
    let read = event
        .actors
        .first()
        .and_then(|actor| actor.plate.as_ref()?.best);
    if let Some(view) = read
        && of_role(EvidenceRole::PlateCrop).next().is_none()
    {
        all.push(missing(EvidenceRole::PlateCrop, Some(view.at.time), reason));
    }
    for look in &event.looks {
        let at = look.taken();
        if !of_role(EvidenceRole::FindingCrop).any(|crop| crop.captured == at) {
            all.push(missing(EvidenceRole::FindingCrop, Some(at), reason));
        }
    }
    if of_role(EvidenceRole::Clip).next().is_none() {
        all.push(missing(EvidenceRole::Clip, None, reason));
    }
    all
}
