//! Which decoder: hardware that proves to work on this machine, else software.
//!
//! What there is says GStreamer. A factory belongs to a [`Family`], and is hardware
//! unless it is known to compute on the processor. Hardware comes before software, and
//! within both the order is GStreamer's rank (`GST_PLUGIN_FEATURE_RANK` changes it); of
//! hardware, what gives pictures in the system's memory comes before what must have them
//! fetched (`memory`). Hardware is proved on a sample before it is trusted (`proof`), and
//! put last for a camera on whose stream it has failed. An operator who knows better sets a
//! [`DecoderChoice`]; then nothing else is used.

pub(crate) mod continuity;
mod family;
mod memory;
mod proof;
pub(crate) mod said;
mod sample;
pub(crate) mod screen;

use std::collections::BTreeMap;

use gstreamer as gst;
use gstreamer::prelude::*;
use serde::Serialize;

use crate::elements::make;
use crate::frame::FORMATS;
use memory::Way;

pub use family::{DecoderChoice, Family};
pub(crate) use proof::{HANGS, doubt};

/// No decoder for a codec works here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoDecoder {
    /// As people call it.
    pub codec: String,
    /// What was wanted.
    pub choice: DecoderChoice,
    /// What was there and does not work.
    pub refused: Vec<RefusedDecoder>,
    /// All that is here for the codec, whatever was wanted.
    pub there: Installed,
}

impl NoDecoder {
    /// What to install; libav decodes nearly everything.
    pub(crate) const REMEDY: &str = "install gstreamer1.0-libav";
    /// How its advice begins.
    pub(crate) const BEGINNING: &str = "no decoder for";

    /// What is missing and what to do.
    pub(crate) fn advice(&self) -> String {
        let codec = &self.codec;
        let refused: Vec<String> = self.refused.iter().map(ToString::to_string).collect();
        let refused = if refused.is_empty() {
            String::new()
        } else {
            format!(" ({})", refused.join("; "))
        };
        match &self.choice {
            DecoderChoice::Auto => {
                let beginning = Self::BEGINNING;
                format!("{beginning} {codec} here{refused}; {}", Self::REMEDY)
            }
            choice => {
                let (beginning, there) = (Self::BEGINNING, &self.there);
                let next = "take `decoder` out of the camera's source for the best that works";
                // What is there and fails is not to be installed once more.
                let mend = if self.refused.is_empty() {
                    format!("or name another; {}", choice.needs())
                } else {
                    "name another, or mend it".to_owned()
                };
                format!(
                    "{beginning} {codec} here that is `{choice}`, as configured{refused}; there is {there}: {next}, {mend}"
                )
            }
        }
    }
}

/// Decoders that are here, by family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Installed(BTreeMap<Family, Vec<String>>);

impl Installed {
    /// For a format; whether they work is not asked.
    fn of(caps: &gst::CapsRef) -> Self {
        let mut installed = Self::default();
        for (family, factory) in candidates(caps, &Selection::default()) {
            let names = installed.0.entry(family).or_default();
            names.push(factory.name().to_string());
        }
        installed
    }

    /// For all that cameras send.
    fn for_cameras() -> Self {
        let mut all = Self::default();
        for codec in ["video/x-h264", "video/x-h265", "image/jpeg"] {
            let format = gst::Caps::new_empty_simple(codec);
            for (family, names) in Self::of(&format).0 {
                let known = all.0.entry(family).or_default();
                let new: Vec<String> = (names.into_iter())
                    .filter(|name| !known.contains(name))
                    .collect();
                known.extend(new);
            }
        }
        all
    }

    /// Whether any of it is what is wanted.
    fn has(&self, choice: &DecoderChoice) -> bool {
        let mut all = self.0.iter();
        all.any(|(family, names)| names.iter().any(|name| choice.allows(name, *family)))
    }
}

impl std::fmt::Display for Installed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told =
            |(family, names): (&Family, &Vec<String>)| format!("`{family}` ({})", names.join(", "));
        let families: Vec<String> = self.0.iter().map(told).collect();
        if families.is_empty() {
            return f.write_str("none at all");
        }
        f.write_str(&families.join(", "))
    }
}

impl DecoderChoice {
    /// Why a camera with this choice stays lost on this machine, whatever its codec, and what to do:
    /// no such decoder is here. GStreamer must have been started.
    pub fn missing(&self) -> Option<String> {
        let there = Installed::for_cameras();
        let (is_here, what) = match self {
            Self::Auto => (true, ""),
            Self::Element(name) => (gst::ElementFactory::find(name).is_some(), ""),
            Self::Family(_) => (there.has(self), "of the family "),
        };
        (!is_here).then(|| {
            format!(
                "there is no decoder {what}`{self}` on this machine; without it the camera stays lost. There is {there}: \
                 name one of these, or \"auto\" for the best that works; {}",
                self.needs()
            )
        })
    }
}

/// A decoder that is there but does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedDecoder {
    /// GStreamer's name of it.
    pub name: String,
    /// What it does instead: "fails: …".
    pub reason: String,
}

impl std::fmt::Display for RefusedDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.reason)
    }
}

/// Which decoder is at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecoderInUse {
    /// GStreamer's name of it.
    pub name: String,
    /// What it runs on.
    pub family: Family,
    /// Hardware that would have come first, but was refused.
    pub refused: Vec<RefusedDecoder>,
}

/// What restricts the choice for one source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// What the operator wants.
    pub choice: DecoderChoice,
    /// Those that have failed on this source, and how: used when there is nothing else.
    pub rejected: BTreeMap<String, String>,
}

impl Selection {
    /// For recordings: their replay is the same on each machine, whatever its drivers.
    pub(crate) fn software() -> Self {
        Self {
            choice: DecoderChoice::Family(Family::Software),
            rejected: BTreeMap::new(),
        }
    }
}

/// A decoder, ready to be built in.
#[derive(Debug)]
pub(crate) struct MadeDecoder {
    pub element: gst::Element,
    /// What is to stand right behind it; nothing behind software.
    pub behind: Vec<gst::Element>,
    pub in_use: DecoderInUse,
    /// Whether nothing better is to be had when this one fails.
    pub is_last: bool,
}

/// Creates the best decoder for a format, with its number of threads (0 = as many as it likes).
///
/// May take as long as drivers do, but each of them has its limit ([`HANGS`]).
pub(crate) fn make_decoder(
    caps: &gst::CapsRef,
    threads: i32,
    selection: &Selection,
) -> Result<MadeDecoder, NoDecoder> {
    let codec = caps
        .structure(0)
        .map(|structure| structure.name().to_string())
        .unwrap_or_default();
    let candidates = candidates(caps, selection);
    let is_rejected = |name: &str| selection.rejected.get(name).cloned();
    let mut refused: Vec<RefusedDecoder> = candidates
        .iter()
        .filter_map(|(_, factory)| {
            let name = factory.name().to_string();
            is_rejected(&name).map(|reason| RefusedDecoder { name, reason })
        })
        .collect();
    for (at, (family, factory)) in candidates.iter().enumerate() {
        let name = factory.name().to_string();
        let made = match family {
            Family::Software => started(factory, threads).map(|element| (element, Vec::new())),
            _ => proof::prove(factory, &codec)
                .and_then(|()| {
                    let start = move |factory: &gst::ElementFactory| started(factory, threads);
                    proof::started_within_limits(factory, &codec, start)
                })
                .and_then(|element| Ok((element, behind(factory)?))),
        };
        match made {
            Ok((element, behind)) => {
                // Software decoders agree with each other: what one makes of a
                // stream, the others do.
                let is_last = *family == Family::Software
                    || candidates[at + 1..]
                        .iter()
                        .all(|(_, other)| is_rejected(&other.name()).is_some());
                let in_use = DecoderInUse {
                    name,
                    family: *family,
                    refused,
                };
                return Ok(MadeDecoder {
                    element,
                    behind,
                    in_use,
                    is_last,
                });
            }
            Err(reason) if is_rejected(&name).is_none() => {
                refused.push(RefusedDecoder { name, reason });
            }
            Err(_) => {}
        }
    }
    Err(NoDecoder {
        codec: codec_name(caps),
        choice: selection.choice.clone(),
        refused,
        there: Installed::of(caps),
    })
}

/// What stands behind a decoder of hardware.
fn behind(factory: &gst::ElementFactory) -> Result<Vec<gst::Element>, String> {
    Way::of(factory)?
        .elements()
        .map_err(|error| format!("cannot be built in: {}", error.message))
}

/// All that may be used, the best first.
fn candidates(caps: &gst::CapsRef, selection: &Selection) -> Vec<(Family, gst::ElementFactory)> {
    // Hardware is often ranked "none", so that players do not take it by accident.
    // Here it is proved first.
    let mut candidates: Vec<(Family, gst::ElementFactory)> =
        gst::ElementFactory::factories_with_type(gst::ElementFactoryType::DECODER, gst::Rank::NONE)
            .into_iter()
            .filter(|factory| factory.can_sink_any_caps(caps) && gives_pictures(factory))
            .map(|factory| (Family::of(&factory), factory))
            .filter(|(family, factory)| {
                let name = factory.name();
                let is_named = selection.choice == DecoderChoice::Element(name.to_string());
                let is_ranked =
                    factory.rank() >= gst::Rank::MARGINAL || family.is_a_driver(factory);
                selection.choice.allows(&name, *family) && (is_ranked || is_named)
            })
            .collect();
    // The name makes the choice between equals the same on every start.
    candidates.sort_by_key(|(family, factory)| {
        let name = factory.name().to_string();
        (
            selection.rejected.contains_key(&name),
            *family == Family::Software,
            *family != Family::Software && Way::of(factory) != Ok(Way::Plain),
            std::cmp::Reverse(factory.rank()),
            *family,
            name,
        )
    });
    candidates
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

/// A decoder whose device is missing or busy fails here.
fn started(factory: &gst::ElementFactory, threads: i32) -> Result<gst::Element, String> {
    let decoder = factory
        .create()
        .build()
        .map_err(|error| format!("cannot be made: {}", error.message))?;
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
    if is_ready {
        Ok(decoder)
    } else {
        tracing::warn!(decoder = %factory.name(), "decoder does not start; trying the next");
        Err("does not start; its device is missing or busy".to_owned())
    }
}

/// The converter to what a [`Frame`](crate::Frame) holds, which lets I420 and NV12 pass
/// untouched, and the filter behind it.
pub(crate) fn to_frames() -> Result<[gst::Element; 2], gst::glib::BoolError> {
    let convert = make("videoconvert")?;
    // Ten bits to eight: noise added for the eye would be noise for the detector.
    convert.set_property_from_str("dither", "none");
    let filter = make("capsfilter")?;
    // Apart and in order: what must be converted becomes I420, as it always did.
    let mut caps = gst::Caps::new_empty();
    for format in FORMATS {
        let raw = gst::Structure::builder("video/x-raw").field("format", format.to_str());
        caps.make_mut().append_structure(raw.build());
    }
    filter.set_property("caps", caps);
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

    fn chosen(choice: &str, rejected: &[&str]) -> Result<String, NoDecoder> {
        let format = caps("video/x-h264,stream-format=byte-stream,alignment=au");
        let selection = Selection {
            choice: choice.parse().unwrap(),
            rejected: rejected
                .iter()
                .map(|name| ((*name).to_owned(), "failed".to_owned()))
                .collect(),
        };
        make_decoder(&format, 1, &selection).map(|made| made.in_use.name)
    }

    #[test]
    fn a_decoder_that_failed_comes_last_but_is_not_forgotten() {
        crate::init().unwrap();
        let best = chosen("auto", &[]).unwrap();
        let second = chosen("auto", &[&best]).unwrap();
        let all = gst::ElementFactory::factories_with_type(
            gst::ElementFactoryType::DECODER,
            gst::Rank::MARGINAL,
        );
        let all: Vec<String> = all.iter().map(|f| f.name().to_string()).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        // A machine with one decoder keeps it: a bad one is better than none.
        assert_eq!(chosen("auto", &all).unwrap(), best);
        assert!(second != best || all.len() == 1, "{second}");
    }

    #[test]
    fn a_forced_decoder_is_used_or_missed_and_nothing_else() {
        crate::init().unwrap();
        let software = chosen("software", &[]).unwrap();
        assert_eq!(chosen(&software, &[&software]).unwrap(), software);
        let missing = chosen("nosuchdec", &[]).unwrap_err().advice();
        let begins = "no decoder for H.264 here that is `nosuchdec`, as configured; there is ";
        let there = format!("`software` ({software}");
        let next = ": take `decoder` out of the camera's source for the best that works, or name another; \
                    `gst-inspect-1.0 | grep dec` lists all that is here";
        assert!(missing.starts_with(begins), "{missing}");
        assert!(
            missing.contains(&there) && missing.ends_with(next),
            "{missing}"
        );
    }

    /// It said that there is none, and neither what there is nor what to install.
    #[test]
    fn a_family_that_is_not_here_is_told_with_those_that_are_and_what_to_install() {
        crate::init().unwrap();
        let noted = |choice: &str| choice.parse::<DecoderChoice>().unwrap().missing();
        // On no machine that runs these tests.
        for (family, needs) in [
            ("vt", "decoders of the family `vt` are on macOS only"),
            (
                "imx",
                "decoders of the family `imx` need NXP's own plug-in for GStreamer",
            ),
        ] {
            let advice = chosen(family, &[]).unwrap_err().advice();
            let check = noted(family).unwrap();
            for said in [&advice, &check] {
                assert!(
                    said.contains("`software` (") && said.ends_with(needs),
                    "{said}"
                );
            }
            let begins = format!("there is no decoder of the family `{family}` on this machine; ");
            assert!(check.starts_with(&begins), "{check}");
        }
        for here in ["auto", "software", "avdec_h264"] {
            assert_eq!(noted(here), None, "{here}");
        }
    }

    #[test]
    fn what_is_there_and_does_not_work_is_not_to_be_installed_once_more() {
        let no = NoDecoder {
            codec: "H.264".to_owned(),
            choice: DecoderChoice::Family(Family::Va),
            refused: vec![RefusedDecoder {
                name: "vah264dec".to_owned(),
                reason: "does not start; its device is missing or busy".to_owned(),
            }],
            there: Installed(BTreeMap::from([
                (Family::Va, vec!["vah264dec".to_owned()]),
                (Family::Software, vec!["avdec_h264".to_owned()]),
            ])),
        };
        assert_eq!(
            no.advice(),
            "no decoder for H.264 here that is `va`, as configured (vah264dec does not start; its device is missing or \
             busy); there is `va` (vah264dec), `software` (avdec_h264): take `decoder` out of the camera's source for the \
             best that works, name another, or mend it"
        );
    }

    #[test]
    fn a_codec_without_decoder_is_named() {
        crate::init().unwrap();
        let format = caps("video/x-nobody-decodes-this");
        let error = make_decoder(&format, 1, &Selection::default()).unwrap_err();
        assert_eq!(error.codec, "video/x-nobody-decodes-this");
        assert!(error.advice().ends_with("install gstreamer1.0-libav"));
    }

    #[test]
    fn software_decoders_give_the_samples_by_which_hardware_is_proved() {
        crate::init().unwrap();
        for codec in ["video/x-h264", "video/x-h265", "image/jpeg"] {
            let found = candidates(&caps(codec), &Selection::software());
            assert!(!found.is_empty(), "{codec}");
            for (_, factory) in found {
                let verdict = proof::prove(&factory, codec);
                assert_eq!(verdict, Ok(()), "{} of {codec}", factory.name());
            }
        }
    }
}
