//! What libav says of a picture while it decodes it.
//!
//! libav hides damage: it fills missing blocks with what stood there before, and
//! references that never came with grey. GStreamer's element passes the picture on
//! as good. That it did so it says in its log only, and on the thread that decodes;
//! with one thread per decoder that is the thread on which the picture comes out.
//! Where pictures are shown in another order than sent, the picture that is blamed
//! may be a neighbour of the damaged one.
//!
//! So the log of libav is listened to. Nothing more is printed than before: without
//! `GST_DEBUG`, which a developer sets, GStreamer's own printer is taken out.

use std::cell::Cell;
use std::sync::Once;

use gstreamer as gst;

/// What libav did to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// So many macroblocks were made up.
    Concealed(u32),
    /// A picture that it refers to never came.
    MissingReference,
    /// What was read cannot be, and the rest of that part of the picture was left as it was.
    Nonsense,
}

impl Damage {
    /// Whether a quarter of a picture or more is made up: what follows refers to that.
    pub(crate) fn is_heavy(self, width: i32, height: i32) -> bool {
        let pixels = i64::from(width) * i64::from(height);
        match self {
            Self::Concealed(macroblocks) => i64::from(macroblocks) * 256 * 4 >= pixels,
            Self::MissingReference | Self::Nonsense => true,
        }
    }
}

thread_local! {
    static DAMAGE: Cell<Option<Damage>> = const { Cell::new(None) };
}

/// Begins to listen; once for the process.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("GST_DEBUG").is_none() {
            gst::log::remove_default_log_function();
        }
        gst::log::set_threshold_for_name("libav", gst::DebugLevel::Info);
        gst::log::add_log_function(|category, _, _, _, _, _, message| {
            if category.name() == "libav"
                && let Some(damage) = message.get().and_then(|text| damage(&text))
            {
                DAMAGE.set(Some(damage));
            }
        });
    });
}

/// What was done to the picture that comes out now, on this thread.
pub(crate) fn take() -> Option<Damage> {
    DAMAGE.take()
}

fn damage(text: &str) -> Option<Damage> {
    // "concealing 300 DC, 300 AC, 300 MV errors in P frame"
    if let Some(rest) = text.trim_start().strip_prefix("concealing ") {
        let count = rest.split(' ').next().and_then(|n| n.parse().ok());
        return Some(Damage::Concealed(count.unwrap_or(u32::MAX)));
    }
    // H.265: "The cu_qp_delta 47 is outside the valid range [-26, 25]."
    if text.contains("cu_qp_delta") && text.contains("outside the valid range") {
        return Some(Damage::Nonsense);
    }
    let is_missing = text.contains("Could not find ref with POC")
        || text.contains("Missing reference picture, default is");
    is_missing.then_some(Damage::MissingReference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_from_chatter() {
        for (text, expected) in [
            (
                "concealing 300 DC, 300 AC, 300 MV errors in P frame\n",
                Some(Damage::Concealed(300)),
            ),
            (
                "Could not find ref with POC 12\n",
                Some(Damage::MissingReference),
            ),
            (
                "The cu_qp_delta 47 is outside the valid range [-26, 25].\n",
                Some(Damage::Nonsense),
            ),
            ("Reinit context to 320x240, pix_fmt: yuv420p", None),
            ("mmco: unref short failure", None),
            ("", None),
        ] {
            assert_eq!(damage(text), expected, "{text}");
        }
    }

    #[test]
    fn a_quarter_of_a_picture_is_much() {
        assert!(!Damage::Concealed(74).is_heavy(320, 240));
        assert!(Damage::Concealed(75).is_heavy(320, 240));
        assert!(Damage::MissingReference.is_heavy(1920, 1080));
    }
}
