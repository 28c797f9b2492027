//! Families of decoders, and which of them an operator wants.
//!
//! Only what is known to compute on the processor is software. What an element says of
//! itself is not enough for that: Rockchip's, NXP's and Nvidia's own plug-ins call their
//! drivers "Codec/Decoder/Video", as libav does. Whatever is not known is hardware, so that
//! it is proved before it is believed, has its limits, and makes no evidence.

use std::fmt;
use std::str::FromStr;

use gstreamer as gst;
use gstreamer::prelude::*;
use serde::{Deserialize, Serialize};

/// What a decoder runs on. In the order in which equals are tried: what a maker wrote for
/// the chip before what is general.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Intel and AMD graphics, by VA-API.
    Va,
    /// Nvidia cards.
    Nvdec,
    /// Jetson, and Nvidia cards with DeepStream.
    Nvv4l2,
    /// Rockchip, by its own library.
    Mpp,
    /// NXP i.MX, by its own library.
    Imx,
    /// Decoders of ARM boards, by the kernel's V4L2: stateful and stateless.
    V4l2,
    /// Intel graphics, by Quick Sync.
    Qsv,
    /// Boards with `OpenMAX`.
    Omx,
    /// Windows graphics, by Direct3D.
    D3d,
    /// AMD graphics, by AMF.
    Amf,
    /// Apple's `VideoToolbox`.
    Vt,
    /// Hardware of none of these, and what nobody knows.
    OtherHardware,
    /// The processor.
    Software,
}

/// All that an operator may name.
const FAMILIES: [Family; 13] = [
    Family::Va,
    Family::Nvdec,
    Family::Nvv4l2,
    Family::Mpp,
    Family::Imx,
    Family::V4l2,
    Family::Qsv,
    Family::Omx,
    Family::D3d,
    Family::Amf,
    Family::Vt,
    Family::OtherHardware,
    Family::Software,
];

/// How names begin. Those of one plug-in differ from machine to machine (`vah264dec`,
/// `varenderD129h264dec`), their beginning does not. The first that fits counts.
const BEGINNINGS: &[(&str, Family)] = &[
    ("va", Family::Va),
    ("nvv4l2", Family::Nvv4l2),
    ("nv", Family::Nvdec),
    ("mpp", Family::Mpp),
    ("imxvpu", Family::Imx),
    ("vpudec", Family::Imx),
    ("v4l2", Family::V4l2),
    ("qsv", Family::Qsv),
    ("msdk", Family::Qsv),
    ("mfx", Family::Qsv),
    ("omx", Family::Omx),
    ("d3d", Family::D3d),
    ("amf", Family::Amf),
    ("vtdec", Family::Vt),
];

/// What computes on the processor, besides libav: the video and picture decoders of
/// GStreamer's own plug-ins (base, good, bad, Rust) that use no device.
const SOFTWARE: &[&str] = &[
    "av1dec",
    "cdgdec",
    "dav1ddec",
    "dvdec",
    "ffv1dec",
    "flxdec",
    "gdkpixbufdec",
    "gifdec",
    "jpegdec",
    "jpegxsdec",
    "libde265dec",
    "mpeg2dec",
    "openexrdec",
    "openh264dec",
    "openjpegdec",
    "pngdec",
    "pnmdec",
    "rsvgdec",
    "schrodec",
    "svtjpegxsdec",
    "theoradec",
    "vmncdec",
    "vp8alphadecodebin",
    "vp8dec",
    "vp9alphadecodebin",
    "vp9dec",
    "webpdec",
];

/// What libav can also have decoded elsewhere: `h264_rkmpp`, `hevc_v4l2m2m`, `mjpeg_qsv`.
const DRIVEN: &[&str] = &[
    "av1",
    "avs2",
    "cavs",
    "h263",
    "h264",
    "h265",
    "hevc",
    "mjpeg",
    "mpeg1",
    "mpeg1video",
    "mpeg2",
    "mpeg2video",
    "mpeg4",
    "mpegvideo",
    "msmpeg4",
    "vc1",
    "vp8",
    "vp9",
    "vvc",
    "wmv3",
];

impl Family {
    /// The word, as in configuration and in a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Va => "va",
            Self::Nvdec => "nvdec",
            Self::Nvv4l2 => "nvv4l2",
            Self::Mpp => "mpp",
            Self::Imx => "imx",
            Self::V4l2 => "v4l2",
            Self::Qsv => "qsv",
            Self::Omx => "omx",
            Self::D3d => "d3d",
            Self::Amf => "amf",
            Self::Vt => "vt",
            Self::OtherHardware => "other_hardware",
            Self::Software => "software",
        }
    }

    pub(crate) fn of(factory: &gst::ElementFactory) -> Self {
        let class = factory.metadata("klass").unwrap_or_default();
        Self::of_words(&factory.name(), class)
    }

    /// Whether it surely is hardware: that is tried whatever its rank, which for many is
    /// "none". What nobody knows is tried where GStreamer itself would.
    pub(crate) fn is_a_driver(self, factory: &gst::ElementFactory) -> bool {
        match self {
            Self::Software => false,
            Self::OtherHardware => says_hardware(factory.metadata("klass").unwrap_or_default()),
            _ => true,
        }
    }

    /// By an element's name, and its class.
    fn of_words(name: &str, class: &str) -> Self {
        if !says_hardware(class) && is_known_software(name) {
            return Self::Software;
        }
        BEGINNINGS
            .iter()
            .find(|(beginning, _)| name.starts_with(beginning))
            .map_or(Self::OtherHardware, |(_, family)| *family)
    }

    /// Whether it had no word of its own once, and was named with all the rest.
    const fn is_of_the_rest(self) -> bool {
        !matches!(
            self,
            Self::Va | Self::Nvdec | Self::Nvv4l2 | Self::V4l2 | Self::Software
        )
    }
}

fn says_hardware(class: &str) -> bool {
    class.split('/').any(|part| part == "Hardware")
}

fn is_known_software(name: &str) -> bool {
    let Some(codec) = name.strip_prefix("avdec_") else {
        return SOFTWARE.contains(&name);
    };
    !DRIVEN.iter().any(|driven| {
        let rest = codec.strip_prefix(driven);
        rest.is_some_and(|rest| rest.starts_with('_'))
    })
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which decoders may be used for a camera.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DecoderChoice {
    /// Whatever hardware proves to work, else software.
    #[default]
    Auto,
    /// Only of this family.
    Family(Family),
    /// Only this GStreamer element.
    Element(String),
}

impl DecoderChoice {
    /// Whether a decoder of this name and family may be used.
    pub fn allows(&self, name: &str, family: Family) -> bool {
        match self {
            Self::Auto => true,
            Self::Family(Family::OtherHardware) => family.is_of_the_rest(),
            Self::Family(wanted) => *wanted == family,
            Self::Element(wanted) => wanted == name,
        }
    }

    /// What must be there for it to be there.
    pub(super) fn needs(&self) -> String {
        let family = match self {
            Self::Auto => Family::Software,
            Self::Family(family) => *family,
            Self::Element(name) => Family::of_words(name, ""),
        };
        let needs = match family {
            Family::OtherHardware => {
                return "`gst-inspect-1.0 | grep dec` lists all that is here".to_owned();
            }
            Family::D3d => "are on Windows only",
            Family::Vt => "are on macOS only",
            Family::Va => {
                "need gstreamer1.0-plugins-bad and the driver of the graphics (intel-media-va-driver, mesa-va-drivers)"
            }
            Family::Nvdec => {
                "need gstreamer1.0-plugins-bad and Nvidia's driver with its decoding library (libnvcuvid.so.1)"
            }
            Family::Nvv4l2 => "need the GStreamer plug-ins of JetPack or DeepStream",
            Family::Mpp => "need Rockchip's own plug-in for GStreamer (gstreamer-rockchip)",
            Family::Imx => "need NXP's own plug-in for GStreamer",
            Family::V4l2 => {
                "need gstreamer1.0-plugins-good and -bad, on a kernel whose driver gives a decoder as /dev/video*"
            }
            Family::Qsv => {
                "need gstreamer1.0-plugins-bad and Intel's runtime (libmfx-gen1.2, for older graphics libmfx1)"
            }
            Family::Omx => "need gstreamer1.0-omx of the board's maker",
            Family::Amf => "need AMD's runtime (AMF) and a GStreamer that was built with it",
            Family::Software => "need gstreamer1.0-libav",
        };
        format!("decoders of the family `{family}` {needs}")
    }
}

/// What people call a family, and no element is called: each would be taken for the name of one, and
/// the camera be lost for it.
const CALLED: &[(&str, Family)] = &[
    ("vaapi", Family::Va),
    ("va-api", Family::Va),
    ("nvidia", Family::Nvdec),
    ("cuda", Family::Nvdec),
    ("cuvid", Family::Nvdec),
    ("nvcodec", Family::Nvdec),
    ("jetson", Family::Nvv4l2),
    ("rkmpp", Family::Mpp),
    ("rockchip", Family::Mpp),
    ("v4l2m2m", Family::V4l2),
    ("quicksync", Family::Qsv),
    ("cpu", Family::Software),
    ("libav", Family::Software),
    ("ffmpeg", Family::Software),
];

impl FromStr for DecoderChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        if let Some(family) = FAMILIES.into_iter().find(|f| f.as_str() == text) {
            return Ok(Self::Family(family));
        }
        if let Some((_, family)) = CALLED.iter().find(|(called, _)| *called == text) {
            return Err(format!(
                "`{text}` is neither a family of decoders nor the name of one; write \"{family}\""
            ));
        }
        let is_name = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if is_name && !text.is_empty() {
            return Ok(Self::Element(text.to_owned()));
        }
        let words = FAMILIES.map(Family::as_str).join(", ");
        Err(format!(
            "`{text}` is no decoder; write auto, {words} or the name of a GStreamer element, for \
             example avdec_h264"
        ))
    }
}

impl TryFrom<String> for DecoderChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DecoderChoice> for String {
    fn from(choice: DecoderChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for DecoderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Family(family) => family.fmt(f),
            Self::Element(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_as_it_is_written() {
        for text in [
            "auto",
            "va",
            "nvdec",
            "v4l2",
            "mpp",
            "software",
            "avdec_h264",
        ] {
            let choice: DecoderChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
        }
        for text in ["", "avdec_h264 ! filesink", "va;"] {
            let refusal = text.parse::<DecoderChoice>().unwrap_err();
            assert!(refusal.contains("write auto, va"), "{refusal}");
        }
    }

    /// `vaapi` was taken for the name of an element, which is on no machine.
    #[test]
    fn what_people_call_a_family_is_refused_with_the_word_for_it() {
        for (called, family) in CALLED {
            let refusal = called.parse::<DecoderChoice>().unwrap_err();
            assert_eq!(
                refusal,
                format!(
                    "`{called}` is neither a family of decoders nor the name of one; write \"{family}\""
                )
            );
        }
    }

    #[test]
    fn a_choice_allows_its_family_or_its_element_only() {
        for (choice, allowed) in [
            ("auto", [true, true, true]),
            ("va", [true, false, false]),
            ("software", [false, false, true]),
            ("nvh264dec", [false, true, false]),
        ] {
            let choice: DecoderChoice = choice.parse().unwrap();
            let found = [
                choice.allows("vah264dec", Family::Va),
                choice.allows("nvh264dec", Family::Nvdec),
                choice.allows("avdec_h264", Family::Software),
            ];
            assert_eq!(found, allowed, "{choice}");
        }
    }

    /// As the makers' own listings have them. Their class says "Hardware" of a few only.
    #[test]
    fn software_is_what_is_known_to_be_and_all_else_is_hardware() {
        const PLAIN: &str = "Codec/Decoder/Video";
        const HARDWARE: &str = "Codec/Decoder/Video/Hardware";
        for (name, class, family) in [
            ("avdec_h264", PLAIN, Family::Software),
            ("avdec_h265", PLAIN, Family::Software),
            ("avdec_mjpeg", PLAIN, Family::Software),
            ("avdec_hq_hqa", PLAIN, Family::Software),
            ("openh264dec", "Decoder/Video", Family::Software),
            ("libde265dec", PLAIN, Family::Software),
            ("jpegdec", "Codec/Decoder/Image", Family::Software),
            ("dav1ddec", PLAIN, Family::Software),
            ("vp8dec", PLAIN, Family::Software),
            ("mppvideodec", "Decoder/Video", Family::Mpp),
            ("mppjpegdec", "Codec/Decoder/Image", Family::Mpp),
            ("nvv4l2decoder", PLAIN, Family::Nvv4l2),
            ("nvjpegdec", "Codec/Decoder/Image", Family::Nvdec),
            ("nvh264dec", HARDWARE, Family::Nvdec),
            ("vah264dec", HARDWARE, Family::Va),
            ("vaapih265dec", PLAIN, Family::Va),
            ("varenderD129h264dec", HARDWARE, Family::Va),
            ("v4l2slh264dec", HARDWARE, Family::V4l2),
            ("v4l2h264dec", PLAIN, Family::V4l2),
            ("vpudec", PLAIN, Family::Imx),
            ("imxvpudec_h264", HARDWARE, Family::Imx),
            ("qsvh264dec", HARDWARE, Family::Qsv),
            ("msdkh265dec", PLAIN, Family::Qsv),
            ("omxh264dec", HARDWARE, Family::Omx),
            ("d3d11h264dec", HARDWARE, Family::D3d),
            ("amfh264dec", HARDWARE, Family::Amf),
            ("vtdec_hw", HARDWARE, Family::Vt),
            (
                "amcviddec-omxgoogleh264decoder",
                PLAIN,
                Family::OtherHardware,
            ),
            ("somebodysdec", PLAIN, Family::OtherHardware),
            // libav as boards' makers build it.
            ("avdec_h264_rkmpp", PLAIN, Family::OtherHardware),
            ("avdec_hevc_v4l2m2m", PLAIN, Family::OtherHardware),
            ("avdec_mjpeg_qsv", PLAIN, Family::OtherHardware),
            // What calls itself hardware is believed that, whatever its name.
            ("jpegdec", HARDWARE, Family::OtherHardware),
        ] {
            assert_eq!(Family::of_words(name, class), family, "{name} {class}");
        }
    }

    /// GStreamer's own decoders, of which none uses a device here.
    #[test]
    fn what_this_machine_decodes_with_is_known() {
        crate::init().unwrap();
        for codec in ["h264", "h265", "mjpeg", "mpeg4", "vp8", "vp9"] {
            let factory = gst::ElementFactory::find(&format!("avdec_{codec}"));
            let family = factory.as_ref().map(Family::of);
            assert!(
                family.is_none_or(|family| family == Family::Software),
                "{codec}"
            );
        }
    }

    #[test]
    fn who_named_the_rest_still_has_what_has_a_word_by_now() {
        let rest: DecoderChoice = "other_hardware".parse().unwrap();
        for (family, is_allowed) in [
            (Family::Mpp, true),
            (Family::Qsv, true),
            (Family::OtherHardware, true),
            (Family::Va, false),
            (Family::Nvv4l2, false),
            (Family::Software, false),
        ] {
            assert_eq!(rest.allows("somedec", family), is_allowed, "{family}");
        }
        let mpp: DecoderChoice = "mpp".parse().unwrap();
        assert!(mpp.allows("mppvideodec", Family::Mpp) && !mpp.allows("qsvh264dec", Family::Qsv));
    }
}
