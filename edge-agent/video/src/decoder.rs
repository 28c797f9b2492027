//! Which decoder: GStreamer's best-ranked one that works on this machine.
//!
//! Nothing here knows a hardware decoder by name. An operator who prefers
//! another one says so with GStreamer's own `GST_PLUGIN_FEATURE_RANK`.

use std::collections::BTreeSet;

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::elements::make;

/// No decoder for a codec works here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoDecoder {
    /// As people call it.
    pub codec: String,
}

impl NoDecoder {
    /// What to install; libav decodes nearly everything.
    pub(crate) const REMEDY: &str = "install gstreamer1.0-libav";
}

/// Creates the best decoder for a format, with its number of threads (0 = as many as it likes).
///
/// `rejected` names decoders that have already failed on this source.
pub(crate) fn make_decoder(
    caps: &gst::CapsRef,
    threads: i32,
    rejected: &BTreeSet<String>,
) -> Result<gst::Element, NoDecoder> {
    let mut candidates: Vec<gst::ElementFactory> = gst::ElementFactory::factories_with_type(
        gst::ElementFactoryType::DECODER,
        gst::Rank::MARGINAL,
    )
    .into_iter()
    .filter(|factory| factory.can_sink_any_caps(caps) && gives_pictures(factory))
    .collect();
    // The name makes the choice between equals the same on every start.
    candidates.sort_by(|a, b| {
        (std::cmp::Reverse(a.rank()), a.name()).cmp(&(std::cmp::Reverse(b.rank()), b.name()))
    });
    candidates
        .iter()
        .filter(|factory| !rejected.contains(factory.name().as_str()))
        .chain(
            candidates
                .iter()
                .filter(|f| rejected.contains(f.name().as_str())),
        )
        .find_map(|factory| started(factory, threads))
        .ok_or_else(|| NoDecoder {
            codec: codec_name(caps),
        })
}

fn gives_pictures(factory: &gst::ElementFactory) -> bool {
    factory.static_pad_templates().iter().any(|template| {
        template.direction() == gst::PadDirection::Src
            && template
                .caps()
                .iter()
                .any(|structure| structure.name() == "video/x-raw")
    })
}

/// A decoder whose device is missing or busy fails here, and the next one is tried.
fn started(factory: &gst::ElementFactory, threads: i32) -> Option<gst::Element> {
    let decoder = factory.create().build().ok()?;
    let is_int = |name: &str| {
        decoder
            .find_property(name)
            .is_some_and(|p| p.value_type() == i32::static_type())
    };
    if is_int("max-threads") {
        decoder.set_property("max-threads", threads);
    }
    let is_ready = decoder.set_state(gst::State::Ready).is_ok();
    decoder.set_state(gst::State::Null).ok();
    if !is_ready {
        tracing::warn!(decoder = %factory.name(), "decoder does not start; trying the next");
    }
    is_ready.then_some(decoder)
}

/// The converter to I420, which lets I420 pass untouched, and the filter behind it.
pub(crate) fn to_i420() -> Result<[gst::Element; 2], gst::glib::BoolError> {
    let convert = make("videoconvert")?;
    // Ten bits to eight: noise added for the eye would be noise for the detector.
    convert.set_property_from_str("dither", "none");
    let filter = make("capsfilter")?;
    filter.set_property(
        "caps",
        gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .build(),
    );
    Ok([convert, filter])
}

/// A codec as people call it.
pub(crate) fn codec_name(caps: &gst::CapsRef) -> String {
    let Some(structure) = caps.structure(0) else {
        return "unknown".to_owned();
    };
    let version = |field: &str| structure.get::<i32>(field).unwrap_or(0);
    match structure.name().as_str() {
        "video/x-h264" => "H.264".to_owned(),
        "video/x-h265" => "H.265".to_owned(),
        "image/jpeg" => "MJPEG".to_owned(),
        "image/png" => "PNG".to_owned(),
        "video/x-msmpeg" => format!("MS-MPEG-4 v{}", version("msmpegversion") % 10),
        "video/mpeg" => format!("MPEG-{} video", version("mpegversion")),
        // The same bits under another name.
        "video/x-divx" if version("divxversion") == 3 => "MS-MPEG-4 v3".to_owned(),
        "video/x-divx" => format!("DivX {}", version("divxversion")),
        "video/x-wmv" => format!("WMV {}", version("wmvversion")),
        "video/x-xvid" => "Xvid".to_owned(),
        "video/x-vp8" => "VP8".to_owned(),
        "video/x-vp9" => "VP9".to_owned(),
        "video/x-av1" => "AV1".to_owned(),
        "video/x-raw" => "uncompressed".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(text: &str) -> gst::Caps {
        text.parse().unwrap()
    }

    #[test]
    fn codecs_have_the_names_that_people_use() {
        crate::init().unwrap();
        for (text, name) in [
            ("video/x-h264", "H.264"),
            ("video/x-msmpeg,msmpegversion=43", "MS-MPEG-4 v3"),
            ("video/x-divx,divxversion=3", "MS-MPEG-4 v3"),
            ("video/mpeg,mpegversion=4", "MPEG-4 video"),
            ("video/x-rare", "video/x-rare"),
        ] {
            assert_eq!(codec_name(&caps(text)), name);
        }
    }

    #[test]
    fn a_decoder_that_failed_comes_last_but_is_not_forgotten() {
        crate::init().unwrap();
        let format = caps("video/x-h264,stream-format=byte-stream,alignment=au");
        let name = |rejected: &BTreeSet<String>| {
            let decoder = make_decoder(&format, 1, rejected).unwrap();
            decoder.factory().unwrap().name().to_string()
        };
        let best = name(&BTreeSet::new());
        let mut rejected = BTreeSet::from([best.clone()]);
        let second = name(&rejected);
        // A machine with one decoder keeps it: a bad one is better than none.
        let others = gst::ElementFactory::factories_with_type(
            gst::ElementFactoryType::DECODER,
            gst::Rank::MARGINAL,
        );
        rejected.extend(others.iter().map(|f| f.name().to_string()));
        assert_eq!(name(&rejected), best);
        assert!(second != best || others.len() == 1, "{second}");
    }

    #[test]
    fn a_codec_without_decoder_is_named() {
        crate::init().unwrap();
        let error = make_decoder(&caps("video/x-nobody-decodes-this"), 1, &BTreeSet::new());
        assert_eq!(error.unwrap_err().codec, "video/x-nobody-decodes-this");
    }
}
