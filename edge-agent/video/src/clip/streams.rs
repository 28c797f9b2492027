//! From a parsed file to its one video stream, decoded.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::reader::THREADS;
use super::upright::upright;
use crate::decoder::{NoDecoder, Selection, codec_name, make_decoder, screen, to_frames};
use crate::elements::make;

/// What parsing has found so far.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Codec of the video stream that is read.
    pub(super) codec: Mutex<Option<String>>,
    pub(super) container: Mutex<Option<String>>,
    pub(super) fault: Mutex<Option<StreamFault>>,
    /// The video stream runs into the sink. Until then the sink, not yet
    /// started, would claim to be at its end.
    pub(super) is_attached: AtomicBool,
    /// All streams are known.
    pub(super) is_complete: AtomicBool,
    /// Codecs that were met, and those of streams that were there from the beginning on.
    met: Mutex<BTreeSet<String>>,
    given_out: Mutex<BTreeSet<String>>,
    /// Something has come of the stream that is read.
    has_begun: Arc<AtomicBool>,
    /// Pads that may be what drives the file through.
    drives: Mutex<Vec<glib::WeakRef<gst::Pad>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StreamFault {
    NoDecoder(String),
    Pipeline(String),
}

impl From<NoDecoder> for StreamFault {
    fn from(no: NoDecoder) -> Self {
        Self::NoDecoder(no.codec)
    }
}

impl From<glib::BoolError> for StreamFault {
    fn from(error: glib::BoolError) -> Self {
        Self::Pipeline(error.message.to_string())
    }
}

impl Streams {
    /// `filesrc ! parsebin`, its first video stream decoded into `sink`.
    pub(super) fn of_file(
        pipeline: &gst::Pipeline,
        path: &std::path::Path,
        sink: &gst_app::AppSink,
    ) -> Result<Arc<Self>, StreamFault> {
        let streams = Arc::new(Self::default());
        let source = make("filesrc")?;
        source.set_property("location", path);
        let parsebin = make("parsebin")?;
        pipeline.add_many([&source, &parsebin])?;
        source.link(&parsebin)?;

        let seen = Arc::clone(&streams);
        seen.note_drives(&source);
        if let Some(bin) = parsebin.downcast_ref::<gst::Bin>() {
            bin.connect_element_added(move |_, element| {
                seen.note_drives(element);
                if let Some(factory) = element.factory() {
                    seen.note_container(&factory);
                    seen.note_codec(&factory);
                }
            });
        }
        let all = Arc::clone(&streams);
        parsebin.connect_no_more_pads(move |_| all.is_complete.store(true, Ordering::Release));
        let seen = Arc::clone(&streams);
        let weak = pipeline.downgrade();
        let sink = sink.clone();
        parsebin.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade() else {
                return;
            };
            if let Err(fault) = seen.attach(&pipeline, pad, &sink) {
                lock(&seen.fault).get_or_insert(fault);
            }
        });
        Ok(streams)
    }

    fn note_drives(&self, element: &gst::Element) {
        lock(&self.drives).extend(element.pads().iter().map(ObjectExt::downgrade));
    }

    /// Whether nothing moves any more.
    ///
    /// An error that a demuxer posts at once is lost: parsebin holds back
    /// messages of an element while it is being plugged in. What remains to be
    /// seen of the error is that no thread runs.
    pub(super) fn is_idle(&self) -> bool {
        !lock(&self.drives)
            .iter()
            .filter_map(glib::WeakRef::upgrade)
            .any(|pad| pad.task_state() == gst::TaskState::Started)
    }

    fn note_container(&self, factory: &gst::ElementFactory) {
        let is_container = factory
            .metadata(gst::ELEMENT_METADATA_KLASS)
            .is_some_and(|class| class.contains("Demux"));
        if !is_container {
            return;
        }
        let name = match factory.name().as_str() {
            "qtdemux" => "MP4".to_owned(),
            "matroskademux" => "Matroska".to_owned(),
            "avidemux" => "AVI".to_owned(),
            "tsdemux" => "MPEG-TS".to_owned(),
            "flvdemux" => "FLV".to_owned(),
            "asfdemux" => "ASF".to_owned(),
            "oggdemux" => "Ogg".to_owned(),
            other => factory
                .metadata(gst::ELEMENT_METADATA_LONGNAME)
                .unwrap_or(other)
                .to_owned(),
        };
        lock(&self.container).get_or_insert(name);
    }

    fn note_codec(&self, factory: &gst::ElementFactory) {
        let codec = match factory.name().as_str() {
            "h264parse" => "H.264",
            "h265parse" => "H.265",
            _ => return,
        };
        lock(&self.met).insert(codec.to_owned());
    }

    /// What pictures that were not read are: of a transport stream whose table changes in the
    /// middle parsebin ends what it gave out, and gives out the rest anew, or not at all.
    pub(super) fn unread(&self) -> Option<String> {
        let given_out = lock(&self.given_out);
        let met = lock(&self.met);
        met.iter()
            .find(|codec| !given_out.contains(*codec))
            .cloned()
    }

    fn attach(
        &self,
        pipeline: &gst::Pipeline,
        pad: &gst::Pad,
        sink: &gst_app::AppSink,
    ) -> Result<(), StreamFault> {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let name = caps
            .structure(0)
            .map(|s| s.name().to_string())
            .unwrap_or_default();
        let is_video = name.starts_with("video/") || name.starts_with("image/");
        let mut codec = lock(&self.codec);
        // A file may have several streams side by side, all of them given out before anything
        // comes of one. What is given out later is what that one has become.
        if is_video && !self.has_begun.load(Ordering::Acquire) {
            lock(&self.given_out).insert(codec_name(&caps));
        }
        if !is_video || codec.is_some() {
            drop(codec);
            return discard(pipeline, pad);
        }
        *codec = Some(codec_name(&caps));
        drop(codec);
        let has_begun = Arc::clone(&self.has_begun);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            has_begun.store(true, Ordering::Release);
            gst::PadProbeReturn::Remove
        });

        let mut chain = Vec::new();
        if name != "video/x-raw" {
            // A decoder may want another form of the same stream.
            match name.as_str() {
                "video/x-h264" => chain.push(make("h264parse")?),
                "video/x-h265" => chain.push(make("h265parse")?),
                _ => {}
            }
            let decoder = make_decoder(&any_form(&caps), THREADS, &Selection::software())?;
            screen::mark(&decoder.element);
            chain.push(decoder.element);
        }
        chain.extend(to_frames()?);
        chain.extend(upright());
        chain.push(sink.clone().upcast());
        pipeline.add_many(&chain)?;
        gst::Element::link_many(&chain)?;
        for element in chain.iter().rev() {
            element.sync_state_with_parent()?;
        }
        let input = chain[0]
            .static_pad("sink")
            .ok_or_else(|| StreamFault::Pipeline("an element without input".to_owned()))?;
        pad.link(&input)
            .map_err(|error| StreamFault::Pipeline(error.to_string()))?;
        self.is_attached.store(true, Ordering::Release);
        Ok(())
    }
}

/// The format without the details that a parser can change.
fn any_form(caps: &gst::Caps) -> gst::Caps {
    let mut caps = caps.clone();
    for structure in caps.make_mut().iter_mut() {
        if ["video/x-h264", "video/x-h265"].contains(&structure.name().as_str()) {
            structure.remove_fields(["stream-format", "alignment", "codec_data"]);
        }
    }
    caps
}

fn discard(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), StreamFault> {
    let sink = make("fakesink")?;
    sink.set_property("async", false);
    sink.set_property("sync", false);
    pipeline.add(&sink)?;
    sink.sync_state_with_parent()?;
    if let Some(input) = sink.static_pad("sink") {
        pad.link(&input)
            .map_err(|error| StreamFault::Pipeline(error.to_string()))?;
    }
    Ok(())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
