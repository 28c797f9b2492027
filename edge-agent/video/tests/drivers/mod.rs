//! Decoders that fail as real drivers do, a camera to try them on, and its reader.

#![allow(dead_code)] // each test program uses a part of it
#![allow(unreachable_pub)]

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edge_video::{
    CameraStream, DecoderInUse, Family, Frame, LossReason, Notice, RtspSettings, StreamCounters,
};
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use rtsp_camera::{Camera, CameraSettings, Clip, Mount, TestPattern};

/// Far more than anything here takes, on a machine with much else to do.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What a decoder does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// All planes are zero, from this picture on.
    Green(u32),
    /// The lower half is one row of blocks again and again, from this picture on.
    Torn(u32),
    /// Pictures are marked as damaged, from this picture on.
    Flagged(u32),
    /// An error, at this picture.
    Error(u32),
    /// No picture ever.
    Silent,
    /// Nothing, but blue and red difference lie by turns, as hardware gives them.
    Nv12,
    /// Each picture takes it so many ms.
    Slow(u64),
    /// Nothing, but its pictures lie in a memory of the device's, and it says so.
    Elsewhere,
    /// They do so from the instance of this number on, and it says that they do not.
    Disagrees(u32),
    /// This change of state never ends, from the instance of this number on.
    Hangs(gst::StateChange, u32),
}

impl Fault {
    /// Waits in a driver, where `nth` of these decoders does.
    pub fn wait(self, transition: gst::StateChange, nth: u32) {
        if let Self::Hangs(at, from) = self
            && (at, true) == (transition, nth >= from)
        {
            let stuck = STUCK.lock().unwrap_or_else(PoisonError::into_inner);
            drop(LET_GO.wait_while(stuck, |stuck| *stuck));
        }
    }

    fn spoil(self, n: u32, element: &gst::Element, buffer: &mut gst::Buffer) -> bool {
        match self {
            Self::Green(from) if n >= from => {
                let buffer = buffer.make_mut();
                buffer.map_writable().unwrap().fill(0);
            }
            Self::Torn(from) if n >= from => repeat_a_row(buffer.make_mut()),
            Self::Flagged(from) if n >= from => {
                buffer.make_mut().set_flags(gst::BufferFlags::CORRUPTED);
            }
            Self::Error(at) if n == at => {
                gst::element_error!(element, gst::StreamError::Decode, ("the device is gone"));
            }
            Self::Silent => return false,
            Self::Slow(ms) => std::thread::sleep(Duration::from_millis(ms)),
            _ => {}
        }
        true
    }
}

/// Whether drivers hang.
static STUCK: Mutex<bool> = Mutex::new(false);
static LET_GO: Condvar = Condvar::new();

/// Drivers hang until this is dropped: no test leaves a thread behind.
pub struct Stuck;

impl Stuck {
    pub fn new() -> Self {
        *STUCK.lock().unwrap_or_else(PoisonError::into_inner) = true;
        Self
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        *STUCK.lock().unwrap_or_else(PoisonError::into_inner) = false;
        LET_GO.notify_all();
    }
}

/// Of a picture of 320 × 240: the rows of blocks from the eighth on are the last.
fn repeat_a_row(buffer: &mut gst::BufferRef) {
    let stride = buffer
        .meta::<gstreamer_video::VideoMeta>()
        .map_or(320, |meta| usize::try_from(meta.stride()[0]).unwrap());
    let mut map = buffer.map_writable().unwrap();
    let luma = &mut map[..240 * stride];
    let block: Vec<u8> = luma[224 * stride..240 * stride].to_vec();
    for row in luma[128 * stride..].chunks_mut(16 * stride) {
        row.copy_from_slice(&block[..row.len()]);
    }
}

/// Registers a type of bin around `avdec_h264` with a fault of its own. It calls itself
/// hardware, if it is not given another class.
macro_rules! faulty_decoder {
    ($module:ident, $name:literal, $fault:expr) => {
        faulty_decoder!($module, $name, $fault, "Codec/Decoder/Video/Hardware");
    };
    ($module:ident, $name:literal, $fault:expr, $class:literal) => {
        mod $module {
            use std::sync::OnceLock;
            use std::sync::atomic::{AtomicU32, Ordering};

            use gstreamer as gst;
            use gstreamer::glib;
            use gstreamer::prelude::*;
            use gstreamer::subclass::prelude::*;

            #[allow(unused_imports)] // of those without a fault, one
            use super::*;

            /// How many there have been.
            #[allow(dead_code)]
            pub(crate) static MADE: AtomicU32 = AtomicU32::new(0);

            #[derive(Default)]
            pub struct Imp {
                nth: AtomicU32,
            }

            #[glib::object_subclass]
            impl ObjectSubclass for Imp {
                const NAME: &'static str = $name;
                type Type = super::$module::Decoder;
                type ParentType = gst::Bin;
            }

            glib::wrapper! {
                pub struct Decoder(ObjectSubclass<Imp>)
                    @extends gst::Bin, gst::Element, gst::Object;
            }

            impl ObjectImpl for Imp {
                fn constructed(&self) {
                    self.parent_constructed();
                    let nth = MADE.fetch_add(1, Ordering::Relaxed);
                    self.nth.store(nth, Ordering::Relaxed);
                    let bin = self.obj();
                    $crate::drivers::build(bin.upcast_ref(), $fault, nth);
                }
            }
            impl GstObjectImpl for Imp {}
            impl BinImpl for Imp {}
            impl ElementImpl for Imp {
                fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
                    static METADATA: OnceLock<gst::subclass::ElementMetadata> = OnceLock::new();
                    Some(METADATA.get_or_init(|| $crate::drivers::metadata($class)))
                }
                fn pad_templates() -> &'static [gst::PadTemplate] {
                    static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
                    TEMPLATES.get_or_init(|| $crate::drivers::pad_templates($fault))
                }
                fn change_state(
                    &self,
                    transition: gst::StateChange,
                ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
                    $fault.wait(transition, self.nth.load(Ordering::Relaxed));
                    self.parent_change_state(transition)
                }
            }
        }
    };
}

/// Registers a type of element that hands pictures on as lying in another memory.
macro_rules! memory_changer {
    ($module:ident, $name:literal, $takes:literal, $gives:literal, $memory:expr) => {
        pub mod $module {
            use std::sync::OnceLock;

            use gstreamer as gst;
            use gstreamer::glib;
            use gstreamer::prelude::*;
            use gstreamer::subclass::prelude::*;

            pub struct Imp {
                input: gst::Pad,
                output: gst::Pad,
            }

            #[glib::object_subclass]
            impl ObjectSubclass for Imp {
                const NAME: &'static str = $name;
                type Type = super::$module::Changer;
                type ParentType = gst::Element;

                fn with_class(class: &Self::Class) -> Self {
                    let template = |name: &str| class.pad_template(name).unwrap();
                    let input = gst::Pad::builder_from_template(&template("sink"))
                        .chain_function(|_, parent, buffer| {
                            Self::catch_panic_pad_function(
                                parent,
                                || Err(gst::FlowError::Error),
                                |this| this.output.push(buffer),
                            )
                        })
                        .event_function(|pad, parent, event| {
                            Self::catch_panic_pad_function(
                                parent,
                                || false,
                                |this| this.pass(pad, parent, event),
                            )
                        })
                        .build();
                    let output = gst::Pad::builder_from_template(&template("src")).build();
                    Self { input, output }
                }
            }

            impl Imp {
                fn pass(
                    &self,
                    pad: &gst::Pad,
                    parent: Option<&gst::Object>,
                    event: gst::Event,
                ) -> bool {
                    match event.view() {
                        gst::EventView::Caps(caps) => {
                            let mut caps = caps.caps_owned();
                            caps.make_mut().set_features_simple($memory);
                            self.output.push_event(gst::event::Caps::new(&caps))
                        }
                        _ => gst::Pad::event_default(pad, parent, event),
                    }
                }
            }

            glib::wrapper! {
                pub struct Changer(ObjectSubclass<Imp>) @extends gst::Element, gst::Object;
            }

            impl ObjectImpl for Imp {
                fn constructed(&self) {
                    self.parent_constructed();
                    for pad in [&self.input, &self.output] {
                        self.obj().add_pad(pad).unwrap();
                    }
                }
            }
            impl GstObjectImpl for Imp {}
            impl ElementImpl for Imp {
                fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
                    static METADATA: OnceLock<gst::subclass::ElementMetadata> = OnceLock::new();
                    Some(METADATA.get_or_init(|| super::metadata("Filter/Converter/Video")))
                }
                fn pad_templates() -> &'static [gst::PadTemplate] {
                    static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
                    TEMPLATES.get_or_init(|| {
                        vec![
                            super::template("sink", gst::PadDirection::Sink, $takes),
                            super::template("src", gst::PadDirection::Src, $gives),
                        ]
                    })
                }
            }
        }
    };
}

memory_changer!(
    into_nvmm,
    "NgatuIntoNvmm",
    "video/x-raw",
    "video/x-raw(memory:NVMM); video/x-raw",
    Some(gst::CapsFeatures::new(["memory:NVMM"]))
);
memory_changer!(
    out_of_nvmm,
    "NgatuOutOfNvmm",
    "video/x-raw(memory:NVMM)",
    "video/x-raw",
    None
);

pub fn metadata(class: &str) -> gst::subclass::ElementMetadata {
    gst::subclass::ElementMetadata::new(
        "A decoder with a fault",
        class,
        "Decodes like libav, then fails like a driver",
        "Ngã Tư",
    )
}

pub fn template(name: &str, direction: gst::PadDirection, caps: &str) -> gst::PadTemplate {
    let caps: gst::Caps = caps.parse().unwrap();
    gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).unwrap()
}

pub fn pad_templates(fault: Fault) -> Vec<gst::PadTemplate> {
    let gives = match fault {
        Fault::Elsewhere => "video/x-raw(memory:NVMM)",
        _ => "video/x-raw",
    };
    vec![
        template(
            "sink",
            gst::PadDirection::Sink,
            "video/x-h264,stream-format=byte-stream,alignment=au",
        ),
        template("src", gst::PadDirection::Src, gives),
    ]
}

pub fn build(bin: &gst::Bin, fault: Fault, nth: u32) {
    let inner = gst::ElementFactory::make("avdec_h264").build().unwrap();
    inner.set_property("max-threads", 1_i32);
    bin.add(&inner).unwrap();
    let weak = bin.downgrade();
    let count = std::sync::atomic::AtomicU32::new(0);
    let output = inner.static_pad("src").unwrap();
    output.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let (Some(gst::PadProbeData::Buffer(buffer)), Some(bin)) = (&mut info.data, weak.upgrade())
        else {
            return gst::PadProbeReturn::Ok;
        };
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if fault.spoil(n, bin.upcast_ref(), buffer) {
            gst::PadProbeReturn::Ok
        } else {
            gst::PadProbeReturn::Drop
        }
    });
    let mut last = inner.clone();
    if fault == Fault::Nv12 {
        let caps: gst::Caps = "video/x-raw,format=NV12".parse().unwrap();
        let filter = gst::ElementFactory::make("capsfilter").property("caps", caps);
        for made in [
            gst::ElementFactory::make("videoconvert").build(),
            filter.build(),
        ] {
            let next = made.unwrap();
            bin.add(&next).unwrap();
            last.link(&next).unwrap();
            last = next;
        }
    }
    let is_elsewhere = match fault {
        Fault::Elsewhere => true,
        Fault::Disagrees(from) => nth >= from,
        _ => false,
    };
    if is_elsewhere {
        let next: gst::Element = glib::Object::new::<into_nvmm::Changer>().upcast();
        bin.add(&next).unwrap();
        last.link(&next).unwrap();
        last = next;
    }
    let ends = [("sink", &inner), ("src", &last)];
    for ((name, element), template) in ends.into_iter().zip(pad_templates(fault)) {
        let inside = element.static_pad(name).unwrap();
        let pad = gst::GhostPad::builder_from_template_with_target(&template, &inside)
            .unwrap()
            .name(name)
            .build();
        bin.add_pad(&pad).unwrap();
    }
}

/// One at a time: what is registered is there for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// A decoder that GStreamer knows until this is dropped.
pub struct Registered {
    pub name: &'static str,
    beside: Vec<&'static str>,
    _alone: MutexGuard<'static, ()>,
}

impl Registered {
    pub fn new(name: &'static str, type_: glib::Type) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        edge_video::init().unwrap();
        gst::Element::register(None, name, gst::Rank::PRIMARY + 100, type_).unwrap();
        Self {
            name,
            beside: Vec::new(),
            _alone: alone,
        }
    }

    /// And another element, that does not decode.
    pub fn beside(mut self, name: &'static str, type_: glib::Type) -> Self {
        gst::Element::register(None, name, gst::Rank::NONE, type_).unwrap();
        self.beside.push(name);
        self
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        for name in self.beside.iter().chain([&self.name]) {
            if let Some(factory) = gst::ElementFactory::find(name) {
                gst::Registry::get().remove_feature(&factory);
            }
        }
    }
}

pub fn camera() -> Camera {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    TestPattern::default().write(&path).unwrap();
    let clip = Clip::load(&path).unwrap();
    Camera::start(CameraSettings::loopback(vec![Mount::new("gate", clip)])).unwrap()
}

pub fn settings(camera: &Camera) -> RtspSettings {
    RtspSettings {
        retry_first: Duration::from_millis(50),
        retry_most: Duration::from_millis(200),
        ..RtspSettings::new(&camera.url("gate"))
    }
}

pub struct Reader {
    pub stream: CameraStream,
    pub woken: crossbeam_channel::Receiver<()>,
    pub heard: Vec<Notice>,
}

impl Reader {
    pub fn start(settings: RtspSettings) -> Self {
        let (wake, woken) = crossbeam_channel::bounded(1);
        Self {
            stream: CameraStream::start("gate", settings, wake),
            woken,
            heard: Vec::new(),
        }
    }

    /// Takes frames until `is_enough`; none of them is garbage.
    pub fn read_until(
        &mut self,
        what: &str,
        is_enough: impl Fn(&[Notice], &StreamCounters) -> bool,
    ) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.heard.extend(self.stream.notices().try_iter());
            if let Some(frame) = self.stream.take_newest() {
                assert!(
                    is_colourful(&frame),
                    "garbage came through: {frame:?} {:?}",
                    self.heard
                );
            }
            if is_enough(&self.heard, &self.stream.counters()) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "never {what}: {:?} {:?}",
                self.heard,
                self.stream.counters()
            );
            // Nobody is woken for what is dropped.
            self.woken.recv_timeout(Duration::from_millis(50)).ok();
        }
    }

    pub fn connected_with(&mut self, wanted: impl Fn(&DecoderInUse) -> bool) {
        self.read_until("connected", |heard, _| {
            heard.iter().any(
                |notice| matches!(notice, Notice::Connected { decoder: Some(decoder), .. } if wanted(decoder)),
            )
        });
    }

    pub fn connected_by(&mut self, registered: &Registered) {
        self.connected_with(|decoder| decoder.name == registered.name);
    }

    /// Why it was not taken, by what decodes instead; no other was refused.
    pub fn why_refused(&self, registered: &Registered) -> String {
        let refused = self.stream.decoder().unwrap().refused;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0].name, registered.name);
        refused[0].reason.clone()
    }

    /// Why it was given up while it decoded; no other was.
    pub fn why_rejected(&self, registered: &Registered) -> &str {
        let [(decoder, said)] = self.rejections().try_into().unwrap();
        assert_eq!(decoder, registered.name);
        said
    }

    /// What was said when the camera was lost for want of a decoder, the only time that it was.
    pub fn lost_its_decoder(&self) -> &str {
        let [
            Notice::Lost {
                reason, message, ..
            },
        ] = losses(self)[..]
        else {
            panic!("{:?}", self.heard);
        };
        assert_eq!(*reason, LossReason::Decode);
        message
    }

    fn rejections(&self) -> Vec<(&str, &str)> {
        self.heard
            .iter()
            .filter_map(|notice| match notice {
                Notice::DecoderRejected { decoder, reason } => {
                    Some((decoder.as_str(), reason.as_str()))
                }
                _ => None,
            })
            .collect()
    }
}

/// The test pattern has all colours in its upper part, and another lower part.
pub fn is_colourful(frame: &Frame) -> bool {
    let [u, _] = frame.chroma();
    let is_torn = {
        let row = |n: usize| &frame.y()[n * frame.y_stride()..][..frame.width as usize];
        (144..240).all(|n| row(n) == row(n - 16))
    };
    let (across, down) = (frame.width as usize / 2, frame.height as usize / 2);
    let levels = (0..down).flat_map(|y| (0..across).map(move |x| u.at(x, y)));
    levels.clone().any(|level| level < 100) && levels.clone().any(|level| level > 150) && !is_torn
}

pub fn is_software(decoder: &DecoderInUse) -> bool {
    decoder.family == Family::Software
}

/// A camera that waits less long than a driver hangs.
pub fn impatient(camera: &Camera) -> RtspSettings {
    RtspSettings {
        connect_within: Duration::from_secs(6),
        silent_after: Duration::from_secs(6),
        ..settings(camera)
    }
}

pub fn losses(reader: &Reader) -> Vec<&Notice> {
    let is_loss = |notice: &&Notice| matches!(notice, Notice::Lost { .. });
    reader.heard.iter().filter(is_loss).collect()
}
