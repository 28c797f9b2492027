//! Hardware decoders that fail as real ones do, and what becomes of the stream.
//!
//! There is no graphics card here. So decoders are registered in this process that
//! decode with libav and then do what drivers do: green pictures, pictures that
//! repeat, damaged marks, errors, nothing, and threads that never come back. GStreamer takes them for hardware, and
//! everything between camera and frame is real.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edge_video::{
    CameraStream, DecoderInUse, Family, Frame, LossReason, Notice, RtspSettings, StreamCounters,
    probe,
};
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use rtsp_camera::{Camera, CameraSettings, Clip, Mount, TestPattern};

/// Far more than anything here takes, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a decoder does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
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
    /// This change of state never ends, from the instance of this number on.
    Hangs(gst::StateChange, u32),
}

impl Fault {
    /// Waits in a driver, where `nth` of these decoders does.
    fn wait(self, transition: gst::StateChange, nth: u32) {
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
struct Stuck;

impl Stuck {
    fn new() -> Self {
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

/// Registers a type of bin around `avdec_h264` with a fault of its own.
macro_rules! faulty_decoder {
    ($module:ident, $name:literal, $fault:expr) => {
        mod $module {
            use super::*;

            /// How many there have been.
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
                    super::build(bin.upcast_ref(), $fault);
                }
            }
            impl GstObjectImpl for Imp {}
            impl BinImpl for Imp {}
            impl ElementImpl for Imp {
                fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
                    Some(super::metadata())
                }
                fn pad_templates() -> &'static [gst::PadTemplate] {
                    super::pad_templates()
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

faulty_decoder!(good, "NgatuGoodDecoder", Fault::None);
faulty_decoder!(green, "NgatuGreenDecoder", Fault::Green(0));
faulty_decoder!(green_later, "NgatuGreenLaterDecoder", Fault::Green(40));
faulty_decoder!(torn_later, "NgatuTornLaterDecoder", Fault::Torn(40));
faulty_decoder!(
    flagged_later,
    "NgatuFlaggedLaterDecoder",
    Fault::Flagged(40)
);
faulty_decoder!(error_later, "NgatuErrorLaterDecoder", Fault::Error(40));
faulty_decoder!(nv12, "NgatuNv12Decoder", Fault::Nv12);
faulty_decoder!(silent, "NgatuSilentDecoder", Fault::Silent);
faulty_decoder!(slow, "NgatuSlowDecoder", Fault::Slow(80));
faulty_decoder!(
    hangs_at_once,
    "NgatuHangsAtOnceDecoder",
    Fault::Hangs(gst::StateChange::NullToReady, 0)
);
faulty_decoder!(
    hangs_later,
    "NgatuHangsLaterDecoder",
    Fault::Hangs(gst::StateChange::NullToReady, 1)
);
faulty_decoder!(
    hangs_in_place,
    "NgatuHangsInPlaceDecoder",
    Fault::Hangs(gst::StateChange::ReadyToPaused, 1)
);

fn metadata() -> &'static gst::subclass::ElementMetadata {
    static METADATA: std::sync::OnceLock<gst::subclass::ElementMetadata> =
        std::sync::OnceLock::new();
    METADATA.get_or_init(|| {
        gst::subclass::ElementMetadata::new(
            "A decoder with a fault",
            "Codec/Decoder/Video/Hardware",
            "Decodes like libav, then fails like a driver",
            "Ngã Tư",
        )
    })
}

fn pad_templates() -> &'static [gst::PadTemplate] {
    static TEMPLATES: std::sync::OnceLock<Vec<gst::PadTemplate>> = std::sync::OnceLock::new();
    TEMPLATES.get_or_init(|| {
        let template = |name, direction, caps: &str| {
            let caps: gst::Caps = caps.parse().unwrap();
            gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).unwrap()
        };
        vec![
            template(
                "sink",
                gst::PadDirection::Sink,
                "video/x-h264,stream-format=byte-stream,alignment=au",
            ),
            template("src", gst::PadDirection::Src, "video/x-raw"),
        ]
    })
}

fn build(bin: &gst::Bin, fault: Fault) {
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
    let ends = [("sink", &inner), ("src", &last)];
    for ((name, element), template) in ends.into_iter().zip(pad_templates()) {
        let inside = element.static_pad(name).unwrap();
        let pad = gst::GhostPad::builder_from_template_with_target(template, &inside)
            .unwrap()
            .name(name)
            .build();
        bin.add_pad(&pad).unwrap();
    }
}

/// One at a time: what is registered is there for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// A decoder that GStreamer knows until this is dropped.
struct Registered {
    name: &'static str,
    _alone: MutexGuard<'static, ()>,
}

impl Registered {
    fn new(name: &'static str, type_: glib::Type) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        edge_video::init().unwrap();
        gst::Element::register(None, name, gst::Rank::PRIMARY + 100, type_).unwrap();
        Self {
            name,
            _alone: alone,
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(factory) = gst::ElementFactory::find(self.name) {
            gst::Registry::get().remove_feature(&factory);
        }
    }
}

fn camera() -> Camera {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    TestPattern::default().write(&path).unwrap();
    let clip = Clip::load(&path).unwrap();
    Camera::start(CameraSettings::loopback(vec![Mount::new("gate", clip)])).unwrap()
}

fn settings(camera: &Camera) -> RtspSettings {
    RtspSettings {
        retry_first: Duration::from_millis(50),
        retry_most: Duration::from_millis(200),
        ..RtspSettings::new(&camera.url("gate"))
    }
}

struct Reader {
    stream: CameraStream,
    woken: crossbeam_channel::Receiver<()>,
    heard: Vec<Notice>,
}

impl Reader {
    fn start(settings: RtspSettings) -> Self {
        let (wake, woken) = crossbeam_channel::bounded(1);
        Self {
            stream: CameraStream::start("gate", settings, wake),
            woken,
            heard: Vec::new(),
        }
    }

    /// Takes frames until `is_enough`; none of them is garbage.
    fn read_until(&mut self, what: &str, is_enough: impl Fn(&[Notice], &StreamCounters) -> bool) {
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

    fn connected_with(&mut self, wanted: impl Fn(&DecoderInUse) -> bool) {
        self.read_until("connected", |heard, _| {
            heard.iter().any(
                |notice| matches!(notice, Notice::Connected { decoder: Some(decoder), .. } if wanted(decoder)),
            )
        });
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
fn is_colourful(frame: &Frame) -> bool {
    let [u, _] = frame.chroma();
    let is_torn = {
        let row = |n: usize| &frame.y()[n * frame.y_stride()..][..frame.width as usize];
        (144..240).all(|n| row(n) == row(n - 16))
    };
    let (across, down) = (frame.width as usize / 2, frame.height as usize / 2);
    let levels = (0..down).flat_map(|y| (0..across).map(move |x| u.at(x, y)));
    levels.clone().any(|level| level < 100) && levels.clone().any(|level| level > 150) && !is_torn
}

fn is_software(decoder: &DecoderInUse) -> bool {
    decoder.family == Family::Software
}

#[test]
fn hardware_that_decodes_the_sample_comes_before_software() {
    let registered = Registered::new("nvtestgooddec", good::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader.connected_with(|decoder| decoder.name == registered.name);
    let in_use = reader.stream.decoder().unwrap();
    assert_eq!(
        (in_use.family, in_use.refused.len()),
        (Family::Nvdec, 0),
        "{in_use:?}"
    );
    let shown = probe("gate", &settings(&camera), PATIENCE).unwrap();
    assert_eq!(shown.decoder, in_use);
    // Unless the operator says otherwise.
    let forced = RtspSettings {
        decoder: "software".parse().unwrap(),
        ..settings(&camera)
    };
    Reader::start(forced).connected_with(is_software);
}

#[test]
fn pictures_whose_chroma_lies_by_turns_come_through_as_they_are() {
    let registered = Registered::new("vatestnv12dec", nv12::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader.connected_with(|decoder| decoder.name == registered.name);
    // Each is looked at for its colours on the way.
    reader.read_until("pictures", |_, counters| counters.received >= 10);
    let shown = probe("gate", &settings(&camera), PATIENCE).unwrap();
    let frame = shown.frame;
    assert!(
        matches!(frame.view(), models::PictureView::Nv12(_)),
        "{frame:?}"
    );
    assert!(is_colourful(&frame));
}

#[test]
fn hardware_that_fails_on_the_sample_is_never_tried_on_a_camera() {
    for (name, type_, reason) in [
        (
            "vatestgreendec",
            green::Decoder::static_type(),
            "not as encoded",
        ),
        (
            "v4l2testsilentdec",
            silent::Decoder::static_type(),
            "gives 0 of 4 pictures",
        ),
    ] {
        let registered = Registered::new(name, type_);
        let camera = camera();
        let mut reader = Reader::start(settings(&camera));
        reader.connected_with(is_software);
        let refused = reader.stream.decoder().unwrap().refused;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0].name, registered.name);
        assert!(refused[0].reason.contains(reason), "{refused:?}");
        assert_eq!(reader.stream.counters().reconnects, 0);
        // Forced, there is nothing else, and that is said.
        let forced = RtspSettings {
            decoder: name.parse().unwrap(),
            ..settings(&camera)
        };
        let (why, message) = probe("gate", &forced, PATIENCE).unwrap_err();
        assert_eq!(why, LossReason::Unsupported, "{message}");
        assert!(
            message.contains(reason) && message.contains("take `decoder` out"),
            "{message}"
        );
    }
}

#[test]
fn hardware_that_turns_to_garbage_is_replaced_and_no_garbage_comes_through() {
    for (name, type_, reason) in [
        (
            "nvtestgreendec",
            green_later::Decoder::static_type(),
            "makes green pictures",
        ),
        (
            "nvtesttorndec",
            torn_later::Decoder::static_type(),
            "makes pictures torn",
        ),
        (
            "nvtestflagdec",
            flagged_later::Decoder::static_type(),
            "makes damaged pictures",
        ),
    ] {
        let registered = Registered::new(name, type_);
        let camera = camera();
        let mut reader = Reader::start(settings(&camera));
        reader.connected_with(|decoder| decoder.name == registered.name);
        reader.connected_with(is_software);
        let [(decoder, said)] = reader.rejections().try_into().unwrap();
        assert_eq!(decoder, registered.name);
        assert!(said.contains(reason), "{said}");
        let counters = reader.stream.counters();
        assert!(counters.dropped_corrupt >= 12, "{counters:?}");
        assert_eq!(counters.decoders_rejected, 1);
        let refused = reader.stream.decoder().unwrap().refused;
        assert_eq!(refused.len(), 1, "{refused:?}");
        // And it stays so.
        let before = counters.reconnects;
        reader.read_until("100 more", |_, now| now.received >= counters.received + 100);
        assert_eq!(reader.stream.counters().reconnects, before);
    }
}

#[test]
fn hardware_that_fails_twice_is_replaced() {
    let registered = Registered::new("vatesterrordec", error_later::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader.connected_with(is_software);
    let [(decoder, said)] = reader.rejections().try_into().unwrap();
    assert_eq!(decoder, registered.name);
    assert!(said.contains("failed 2 times on this stream"), "{said}");
    assert_eq!(reader.stream.counters().reconnects, 2);
}

#[test]
fn garbage_of_a_forced_decoder_is_dropped_and_told_of_the_stream() {
    let registered = Registered::new("nvtestlatedec", green_later::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(RtspSettings {
        decoder: registered.name.parse().unwrap(),
        ..settings(&camera)
    });
    reader.read_until("blamed", |heard, _| {
        heard.contains(&Notice::Garbage {
            what: "green pictures",
        })
    });
    reader.read_until("100 dropped", |_, now| now.garbage.green >= 100);
    let blamed = |notice: &&Notice| matches!(notice, Notice::Garbage { .. });
    assert_eq!(reader.heard.iter().filter(blamed).count(), 1);
    assert_eq!(reader.stream.counters().reconnects, 0);
}

/// A camera that waits less long than a driver hangs.
fn impatient(camera: &Camera) -> RtspSettings {
    RtspSettings {
        connect_within: Duration::from_secs(6),
        silent_after: Duration::from_secs(6),
        ..settings(camera)
    }
}

fn losses(reader: &Reader) -> Vec<&Notice> {
    let is_loss = |notice: &&Notice| matches!(notice, Notice::Lost { .. });
    reader.heard.iter().filter(is_loss).collect()
}

/// Once the camera was said not to answer, and was hung up: at its sample, because its
/// time ran while the proof of it and of other cameras' was waited for; and at a later
/// start each time anew, with another thread that was left behind.
#[test]
fn hardware_that_hangs_when_it_is_started_is_no_camera_that_does_not_answer() {
    for (name, type_, made, when) in [
        (
            "vatesthangdec",
            hangs_at_once::Decoder::static_type(),
            &hangs_at_once::MADE,
            "hangs on a sample",
        ),
        (
            "nvtesthangdec",
            hangs_later::Decoder::static_type(),
            &hangs_later::MADE,
            "hangs while it is started",
        ),
    ] {
        let registered = Registered::new(name, type_);
        let _stuck = Stuck::new();
        let camera = camera();
        let mut readers = [(); 2].map(|()| Reader::start(impatient(&camera)));
        for reader in &mut readers {
            reader.connected_with(is_software);
            assert!(losses(reader).is_empty(), "{:?}", reader.heard);
            let refused = reader.stream.decoder().unwrap().refused;
            assert_eq!(refused.len(), 1, "{refused:?}");
            assert_eq!(refused[0].name, registered.name);
            assert!(refused[0].reason.starts_with(when), "{refused:?}");
        }
        // And nobody tries it again.
        let before = made.load(Ordering::Relaxed);
        Reader::start(impatient(&camera)).connected_with(is_software);
        assert_eq!(made.load(Ordering::Relaxed), before);
    }
}

/// Once that was a camera that does not answer as well, for ever.
#[test]
fn hardware_that_hangs_when_it_is_built_in_is_given_up() {
    let registered = Registered::new("v4l2testhangdec", hangs_in_place::Decoder::static_type());
    let _stuck = Stuck::new();
    let camera = camera();
    let mut reader = Reader::start(impatient(&camera));
    reader.connected_with(is_software);
    let [
        Notice::Lost {
            reason, message, ..
        },
    ] = losses(&reader)[..]
    else {
        panic!("{:?}", reader.heard);
    };
    assert_eq!(*reason, LossReason::Decode);
    assert!(message.contains("does not get ready"), "{message}");
    let [(decoder, said)] = reader.rejections().try_into().unwrap();
    assert_eq!(decoder, registered.name);
    assert!(said.contains("hangs while it is started"), "{said}");
    // Its sample, and the one that hangs.
    assert_eq!(hangs_in_place::MADE.load(Ordering::Relaxed), 2);
}

/// Half as fast as the camera. Fifty pictures once waited before any was skipped, and
/// what came through was four seconds old.
#[test]
fn what_a_slow_decoder_makes_is_not_old_and_what_it_cannot_do_is_counted() {
    let registered = Registered::new("vatestslowdec", slow::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader.connected_with(|decoder| decoder.name == registered.name);
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(since.as_micros()).unwrap()
    };
    let deadline = Instant::now() + PATIENCE;
    let (mut waited, mut last) = (Vec::new(), None::<Frame>);
    while reader.stream.counters().dropped_backlog < 100 {
        let counters = reader.stream.counters();
        assert!(Instant::now() < deadline, "{counters:?}");
        reader.woken.recv_timeout(Duration::from_millis(50)).ok();
        if let Some(frame) = reader.stream.take_newest() {
            waited.push(now() - frame.time.as_micros());
            // Each tells what was skipped before it, and is numbered as if nothing were.
            if let Some(last) = last.filter(|last| last.skipped < frame.skipped) {
                let skipped = frame.skipped - last.skipped;
                assert!(frame.number > last.number + skipped, "{frame:?}, {last:?}");
            }
            last = Some(frame);
        }
    }
    assert!(last.is_some_and(|last| last.skipped > 0));
    // Half of them: the machine may stand still for a while.
    waited.sort_unstable();
    let age_s = waited[waited.len() / 2] as f64 / 1e6;
    assert!(age_s < 2.5, "{age_s} s; {:?}", reader.stream.counters());
    assert_eq!(reader.stream.counters().reconnects, 0);
}
