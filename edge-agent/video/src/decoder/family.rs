//! Families of decoders, and which of them an operator wants.

use std::fmt;
use std::str::FromStr;

use gstreamer as gst;
use gstreamer::prelude::*;
use serde::{Deserialize, Serialize};

/// What a decoder runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Intel and AMD graphics, by VA-API.
    Va,
    /// Nvidia cards and Jetson.
    Nvdec,
    /// Decoders of ARM boards, by the kernel's V4L2: stateful and stateless.
    V4l2,
    /// Other hardware that GStreamer knows, for example Quick Sync or Rockchip MPP.
    OtherHardware,
    /// The processor.
    Software,
}

impl Family {
    /// The word, as in configuration and in a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Va => "va",
            Self::Nvdec => "nvdec",
            Self::V4l2 => "v4l2",
            Self::OtherHardware => "other_hardware",
            Self::Software => "software",
        }
    }

    /// By the factory's class, which every decoder states, and its name.
    ///
    /// Names of one plug-in differ from machine to machine (`vah264dec`,
    /// `varenderD129h264dec`), their beginning does not.
    pub(crate) fn of(factory: &gst::ElementFactory) -> Self {
        let name = factory.name();
        let class = factory.metadata("klass").unwrap_or_default();
        if !class.split('/').any(|part| part == "Hardware") {
            return Self::Software;
        }
        if name.starts_with("va") {
            Self::Va
        } else if name.starts_with("nv") {
            Self::Nvdec
        } else if name.starts_with("v4l2") {
            Self::V4l2
        } else {
            Self::OtherHardware
        }
    }
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
            Self::Family(wanted) => *wanted == family,
            Self::Element(wanted) => wanted == name,
        }
    }

    /// The element that is named and is not on this machine; GStreamer must have been started.
    pub fn missing(&self) -> Option<&str> {
        match self {
            Self::Element(name) if gst::ElementFactory::find(name).is_none() => Some(name),
            _ => None,
        }
    }
}

impl FromStr for DecoderChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let families = [
            Family::Va,
            Family::Nvdec,
            Family::V4l2,
            Family::OtherHardware,
            Family::Software,
        ];
        if text == "auto" {
            return Ok(Self::Auto);
        }
        if let Some(family) = families.into_iter().find(|f| f.as_str() == text) {
            return Ok(Self::Family(family));
        }
        let is_name = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if is_name && !text.is_empty() {
            return Ok(Self::Element(text.to_owned()));
        }
        Err(format!(
            "`{text}` is no decoder; write auto, va, nvdec, v4l2, other_hardware, software or the \
             name of a GStreamer element, for example avdec_h264"
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
        for text in ["auto", "va", "nvdec", "v4l2", "software", "avdec_h264"] {
            let choice: DecoderChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
        }
        for text in ["", "avdec_h264 ! filesink", "va;"] {
            let refusal = text.parse::<DecoderChoice>().unwrap_err();
            assert!(refusal.contains("write auto, va"), "{refusal}");
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
}
