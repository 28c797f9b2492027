//! In which memory a decoder's pictures lie, and what fetches them from there.
//!
//! Frames are read by the processor. Most plug-ins give pictures in the system's memory,
//! beside a memory of their own for whoever goes on on the device; some give them only
//! there (Jetson's and DeepStream's, the older one of Nvidia's, Vulkan's). Those are taken
//! where an element is installed that copies them out, and passed over where none is:
//! linked as they are, they would agree with nothing behind them, and no picture would come.

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::elements::make;

const RAW: &str = "video/x-raw";

/// A memory that the processor does not read.
struct Foreign {
    /// As caps have it.
    memory: &'static str,
    /// What copies from there into the system's memory, the best first.
    fetchers: &'static [&'static str],
    /// What brings one of them.
    install: &'static str,
}

/// By the plug-ins' own documentation; none of it could be run here.
const FOREIGN: &[Foreign] = &[
    Foreign {
        memory: "memory:NVMM",
        fetchers: &["nvvidconv", "nvvideoconvert"],
        install: "nvidia-l4t-gstreamer on a Jetson (nvvidconv), or DeepStream (nvvideoconvert)",
    },
    Foreign {
        memory: "memory:CUDAMemory",
        fetchers: &["cudadownload"],
        install: "gstreamer1.0-plugins-bad with nvcodec (cudadownload)",
    },
    Foreign {
        memory: "memory:VAMemory",
        fetchers: &["vapostproc"],
        install: "gstreamer1.0-plugins-bad with va (vapostproc)",
    },
    Foreign {
        memory: "memory:VASurface",
        fetchers: &["vaapipostproc"],
        install: "gstreamer1.0-vaapi (vaapipostproc)",
    },
    Foreign {
        memory: "memory:GLMemory",
        fetchers: &["gldownload"],
        install: "gstreamer1.0-gl (gldownload)",
    },
    Foreign {
        memory: "memory:D3D11Memory",
        fetchers: &["d3d11download"],
        install: "GStreamer's d3d11 (d3d11download)",
    },
    Foreign {
        memory: "memory:VulkanImage",
        fetchers: &["vulkandownload"],
        install: "GStreamer's vulkan (vulkandownload)",
    },
    Foreign {
        memory: "memory:DMABuf",
        fetchers: &["vapostproc"],
        install: "gstreamer1.0-plugins-bad with va (vapostproc)",
    },
];

/// How a decoder's pictures come into the system's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// They are there.
    Plain,
    /// This element fetches them.
    By(&'static str),
}

impl Way {
    /// Of a decoder; without any, what it does instead.
    pub(super) fn of(factory: &gst::ElementFactory) -> Result<Self, String> {
        let mut outputs = gst::Caps::new_empty();
        for caps in templates(factory, gst::PadDirection::Src) {
            outputs.merge(caps);
        }
        Self::of_outputs(&outputs, fetches)
    }

    /// From what a decoder says that it gives. `fetches`: whether an element is here that
    /// takes pictures out of that memory.
    fn of_outputs(
        outputs: &gst::CapsRef,
        fetches: impl Fn(&str, &str) -> bool,
    ) -> Result<Self, String> {
        if gives(outputs, None) {
            return Ok(Self::Plain);
        }
        let kinds = FOREIGN.iter().filter(|it| gives(outputs, Some(it.memory)));
        let kinds: Vec<&Foreign> = kinds.collect();
        for kind in &kinds {
            let mut candidates = kind.fetchers.iter();
            if let Some(fetcher) = candidates.find(|name| fetches(name, kind.memory)) {
                return Ok(Self::By(fetcher));
            }
        }
        let Some(kind) = kinds.first() else {
            let mut found: Vec<String> = outputs
                .iter_with_features()
                .map(|(_, features)| features.to_string())
                .collect();
            found.dedup();
            let found = found.join(", ");
            return Err(format!(
                "gives its pictures in a form that the processor does not read ({found})"
            ));
        };
        Err(format!(
            "gives its pictures in {} only, and nothing here fetches them from there; install {}",
            kind.memory, kind.install
        ))
    }

    /// What stands right behind the decoder: whoever has two kinds of output gives the
    /// plain one to that filter.
    pub(super) fn elements(self) -> Result<Vec<gst::Element>, gst::glib::BoolError> {
        let mut elements = Vec::new();
        if let Self::By(fetcher) = self {
            elements.push(make(fetcher)?);
        }
        let filter = make("capsfilter")?;
        filter.set_property("caps", gst::Caps::new_empty_simple(RAW));
        elements.push(filter);
        Ok(elements)
    }
}

/// Whether an element is installed, and takes pictures out of that memory.
fn fetches(name: &str, memory: &str) -> bool {
    gst::ElementFactory::find(name).is_some_and(|factory| {
        let any = |direction, memory| {
            templates(&factory, direction)
                .iter()
                .any(|caps| caps.is_any() || gives(caps, memory))
        };
        any(gst::PadDirection::Sink, Some(memory)) && any(gst::PadDirection::Src, None)
    })
}

fn templates(factory: &gst::ElementFactory, direction: gst::PadDirection) -> Vec<gst::Caps> {
    let templates = factory.static_pad_templates();
    let of_direction = templates.iter().filter(|it| it.direction() == direction);
    of_direction.map(gst::StaticPadTemplate::caps).collect()
}

/// Whether pictures in this memory, or in the system's, are among `caps`.
fn gives(caps: &gst::CapsRef, memory: Option<&str>) -> bool {
    caps.iter_with_features().any(|(structure, features)| {
        structure.name() == RAW
            && match memory {
                Some(memory) => features.contains(memory),
                None => {
                    features.is_any()
                        || features.is_equal(gst::CAPS_FEATURES_MEMORY_SYSTEM_MEMORY.as_ref())
                }
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outputs as the plug-ins' own listings have them.
    #[test]
    fn pictures_that_lie_elsewhere_are_fetched_or_the_decoder_is_passed_over() {
        const NVMM: &str = "video/x-raw(memory:NVMM),format=NV12";
        crate::init().unwrap();
        for (outputs, here, expected) in [
            // Rockchip; and with two kinds of output: Intel's, Nvidia's, Apple's.
            ("video/x-raw,format=NV12", "", Ok(Way::Plain)),
            (
                "video/x-raw(memory:VAMemory),format=NV12; video/x-raw,format=NV12",
                "vapostproc",
                Ok(Way::Plain),
            ),
            (
                "video/x-raw(memory:DMABuf),format=NV12; video/x-raw,format=NV12",
                "",
                Ok(Way::Plain),
            ),
            ("video/x-raw(memory:SystemMemory)", "", Ok(Way::Plain)),
            // Jetson, with its own converter, with DeepStream's, with none.
            (NVMM, "nvvidconv nvvideoconvert", Ok(Way::By("nvvidconv"))),
            (NVMM, "nvvideoconvert", Ok(Way::By("nvvideoconvert"))),
            (NVMM, "vapostproc", Err("install nvidia-l4t-gstreamer")),
            (
                "video/x-raw(memory:VulkanImage),format=NV12",
                "",
                Err("memory:VulkanImage only"),
            ),
            (
                "video/x-raw(memory:DMABuf),format=NV12; video/x-raw(memory:GLMemory)",
                "gldownload",
                Ok(Way::By("gldownload")),
            ),
            // A half of the rows each is no picture.
            (
                "video/x-raw(format:Interlaced),format=NV12",
                "",
                Err("does not read"),
            ),
            ("video/x-raw(memory:Moon)", "vapostproc", Err("memory:Moon")),
        ] {
            let caps: gst::Caps = outputs.parse().unwrap();
            let is_here = |name: &str, _: &str| here.split(' ').any(|it| it == name);
            match (Way::of_outputs(&caps, is_here), expected) {
                (Ok(way), Ok(expected)) => assert_eq!(way, expected, "{outputs}"),
                (Err(why), Err(words)) => assert!(why.contains(words), "{why}"),
                (found, expected) => panic!("{outputs}, {here}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn who_fetches_must_be_here_and_take_it() {
        crate::init().unwrap();
        assert!(!fetches("nosuchdownload", "memory:NVMM"));
        // It is here, and knows nothing of that memory.
        assert!(!fetches("jpegdec", "memory:NVMM"));
    }
}
