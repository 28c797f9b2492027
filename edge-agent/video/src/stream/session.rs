//! One connection to one camera: its pipeline, from rtspsrc to the slot.
//!
//! `rtspsrc ! depayloader ! parser ! queue ! decoder ! videoconvert ! appsink`,
//! built element by element: address and password are properties, never text
//! of a launch line. The queue never drops by itself, because a missing encoded
//! picture spoils all until the next key picture; when decoding cannot keep up
//! it is a probe that drops, up to the next key picture, and counts.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use protocol::TimeQuality;

use super::backlog::Backlog;
use super::clock::{Now, Timeline};
use super::delivery::{Introduction, watch_decoder};
use super::diet::Intake;
use super::feeding::{Feeding, feed};
use super::judge::Judge;
use super::lack::LackWatch;
use super::loss::Loss;
use super::notice::LossReason;
use super::pace::Pace;
use super::packets::watch_packets;
use super::rhythm::Rhythm;
use super::rtp_time::RtpTime;
use super::settings::{RtspSettings, Transport};
use super::slot::Slot;
use super::stillness::Stillness;
use super::tap;
use crate::decoder::screen::Screen;
use crate::decoder::{
    DecoderInUse, Family, MadeDecoder, Selection, codec_name, make_decoder, to_frames,
};
use crate::elements::make;
use crate::frame::Loans;

/// What outlives a connection.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) timeline: Timeline,
    pub(super) pace: Pace,
    pub(super) stillness: Stillness,
    pub(super) lacking: LackWatch,
    pub(super) quality: Option<TimeQuality>,
    pub(super) size: Option<(u32, u32)>,
    /// How often the clock has leapt.
    pub(super) clock_steps: u32,
    origin: Instant,
}

impl Memory {
    pub(super) fn new(settings: &RtspSettings) -> Self {
        Self {
            timeline: Timeline::new(settings.max_clock_difference),
            pace: Pace::new(settings.analysed_fps),
            stillness: Stillness::new(settings.frozen_after, settings.frozen_tolerance),
            lacking: LackWatch::default(),
            quality: None,
            size: None,
            clock_steps: 0,
            origin: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Now {
        let micros = |d: std::time::Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        Now {
            monotonic: micros(self.origin.elapsed()),
            wall: match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => micros(since),
                Err(before) => -micros(before.duration()),
            },
        }
    }
}

/// Shared by the callbacks of one connection.
pub(super) struct Wiring {
    pub(super) slot: Arc<Slot>,
    pub(super) memory: Arc<Mutex<Memory>>,
    pub(super) progress: Arc<Progress>,
    /// Whether pictures are decoded at all.
    pub(super) is_watched: bool,
    pub(super) judge: Mutex<Judge>,
    pub(super) rhythm: Mutex<Rhythm>,
    /// Encoded pictures that had been skipped over the connections before.
    pub(super) skipped_before: u64,
    analysed_fps: Option<f64>,
    pub(super) screen: Mutex<Screen>,
}

/// What the watchdog looks at.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    /// ms since `began`, + 1; 0 = never.
    pub(super) packet: AtomicU64,
    pub(super) picture: AtomicU64,
    /// Lost packets.
    pub(super) gap: AtomicU64,
    /// The first key picture since anything came out of the decoder.
    pub(super) unanswered: AtomicU64,
    /// Since when a decoder is looked for, or the one that was found is built in.
    pub(super) attaching: AtomicU64,
    /// What is behind the camera's packets is there.
    attached: AtomicU64,
    /// A fault found by a callback, for the supervisor.
    pub(super) fault: Mutex<Option<Loss>>,
    decoder: Mutex<Option<DecoderInUse>>,
    /// What pushes into it: knows how that went the last time.
    feeder: glib::WeakRef<gst::Pad>,
    /// Hung up: what still comes of it, comes from a thread that did not let go.
    pub(super) is_over: AtomicBool,
}

impl Progress {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            packet: AtomicU64::new(0),
            picture: AtomicU64::new(0),
            gap: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            attaching: AtomicU64::new(0),
            attached: AtomicU64::new(0),
            fault: Mutex::new(None),
            decoder: Mutex::new(None),
            feeder: glib::WeakRef::new(),
            is_over: AtomicBool::new(false),
        }
    }

    pub(super) fn mark(&self, what: &AtomicU64) {
        what.store(self.now(), Ordering::Relaxed);
    }

    /// Something is to come out of the decoder.
    fn ask(&self) {
        let (never, now) = (0, self.now());
        // It has been asked already: since then counts.
        let _asked =
            self.unanswered
                .compare_exchange(never, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Something has come out of the decoder.
    pub(super) fn answer(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    pub(super) fn age(&self, what: &AtomicU64) -> Option<std::time::Duration> {
        let ms = what.load(Ordering::Relaxed).checked_sub(1)?;
        Some(
            self.began
                .elapsed()
                .saturating_sub(std::time::Duration::from_millis(ms)),
        )
    }

    /// Since the last packet with pictures; none has come if absent.
    pub(super) fn packet_age(&self) -> Option<std::time::Duration> {
        self.age(&self.packet)
    }

    /// Since the last decoded picture; none has come if absent.
    pub(super) fn picture_age(&self) -> Option<std::time::Duration> {
        self.age(&self.picture)
    }

    /// For how long the camera alone has been waited for: not while a decoder was started.
    pub(super) fn waited(&self) -> std::time::Duration {
        let attached = self.age(&self.attached);
        attached.unwrap_or_else(|| self.age_of_connection())
    }

    /// Since the connection was begun.
    pub(super) fn age_of_connection(&self) -> std::time::Duration {
        self.began.elapsed()
    }

    pub(super) fn take_fault(&self) -> Option<Loss> {
        locked(&self.fault).take()
    }

    /// Whether the decoder stands still because nothing behind it takes its pictures in the
    /// form in which it gives them, or it does not take the stream in its own.
    pub(super) fn agrees_with_nobody(&self) -> bool {
        let last = self.feeder.upgrade().map(|pad| pad.last_flow_result());
        last == Some(Err(gst::FlowError::NotNegotiated))
    }

    /// What decodes, once it is known.
    pub(super) fn decoder(&self) -> Option<DecoderInUse> {
        locked(&self.decoder).clone()
    }
}

/// A running connection; dropping it hangs up, which takes as long as its threads do
/// (see [`hang_up`](super::hang_up)).
#[derive(Debug)]
pub(super) struct Session {
    pipeline: gst::Pipeline,
    pub(super) bus: gst::Bus,
    pub(super) progress: Arc<Progress>,
}

impl Session {
    pub(super) fn start(
        settings: &RtspSettings,
        slot: &Arc<Slot>,
        memory: &Arc<Mutex<Memory>>,
        selection: &Selection,
    ) -> Result<Self, Loss> {
        let failed = |error: glib::BoolError| Loss::with_detail(LossReason::Failed, error.message);
        {
            let mut memory = locked(memory);
            memory.timeline.reconnect();
            memory.pace.restart();
            memory.stillness.restart();
            memory.lacking.restart();
        }
        let pipeline = gst::Pipeline::new();
        let source = source(settings).map_err(failed)?;
        pipeline.add(&source).map_err(failed)?;
        let progress = Arc::new(Progress::new());
        let wiring = Arc::new(Wiring {
            slot: Arc::clone(slot),
            memory: Arc::clone(memory),
            progress: Arc::clone(&progress),
            is_watched: settings.is_watched,
            judge: Mutex::new(Judge::new(true)),
            rhythm: Mutex::default(),
            skipped_before: slot.counts.dropped_backlog.load(Ordering::Relaxed),
            analysed_fps: settings.analysed_fps,
            screen: Mutex::new(Screen::of_packets(false)),
        });
        if let Some(ring) = &slot.ring {
            ring.interrupt();
        }
        select_first_video(&source);
        let weak = pipeline.downgrade();
        let selection = selection.clone();
        source.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade() else {
                return;
            };
            let progress = &wiring.progress;
            progress.mark(&progress.attaching);
            if let Err(loss) = attach(&pipeline, pad, &wiring, &selection) {
                locked(&progress.fault).get_or_insert(loss);
            }
            progress.mark(&progress.attached);
            progress.attaching.store(0, Ordering::Relaxed);
        });
        let bus = pipeline
            .bus()
            .ok_or_else(|| Loss::new(LossReason::Failed))?;
        let session = Self {
            pipeline,
            bus,
            progress,
        };
        session
            .pipeline
            .set_state(gst::State::Playing)
            .map_err(|_| Loss::new(LossReason::Failed))?;
        Ok(session)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!("a camera's pipeline does not stop cleanly");
        }
        // Messages hold elements, which hold the pipeline.
        self.bus.set_flushing(true);
    }
}

fn source(settings: &RtspSettings) -> Result<gst::Element, glib::BoolError> {
    let source = make("rtspsrc")?;
    source.set_property("location", &settings.url);
    if let Some(user) = &settings.user {
        source.set_property("user-id", user);
    }
    if let Some(password) = &settings.password {
        source.set_property("user-pw", password);
    }
    source.set_property("latency", settings.latency_ms);
    // Off: many cameras begin with a burst, the last key picture and all since,
    // and this would drop just the key picture. Our own queue takes the burst.
    source.set_property("drop-on-latency", false);
    source.set_property("add-reference-timestamp-meta", true);
    source.set_property("do-retransmission", false);
    source.set_property_from_str(
        "protocols",
        match settings.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Auto => "udp+tcp",
        },
    );
    let within = u64::try_from(settings.connect_within.as_micros()).unwrap_or(u64::MAX);
    source.set_property("tcp-timeout", within);
    Ok(source)
}

/// Sound and metadata are not even asked for.
fn select_first_video(source: &gst::Element) {
    let selected = AtomicI64::new(-1);
    source.connect("select-stream", false, move |values| {
        let number = values.get(1).and_then(|v| v.get::<u32>().ok());
        let caps = values.get(2).and_then(|v| v.get::<gst::Caps>().ok());
        let is_video = caps.is_some_and(|caps| {
            caps.structure(0)
                .and_then(|s| s.get::<&str>("media").ok())
                .is_some_and(|media| media == "video")
        });
        let number = i64::from(number.unwrap_or(0));
        // Asked about again after a fall-back to TCP: the same answer.
        let is_ours = is_video
            && match selected.compare_exchange(-1, number, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => true,
                Err(first) => first == number,
            };
        Some(is_ours.to_value())
    });
}

/// Depayloader, parser and format of an RTP encoding.
pub(super) fn handlers(encoding: &str) -> Option<(&'static str, Option<&'static str>, gst::Caps)> {
    let stream = |name: &str| gst::Caps::builder(name).field("alignment", "au").build();
    match encoding {
        "H264" => Some(("rtph264depay", Some("h264parse"), stream("video/x-h264"))),
        "H265" => Some(("rtph265depay", Some("h265parse"), stream("video/x-h265"))),
        "JPEG" => Some((
            "rtpjpegdepay",
            None,
            gst::Caps::new_empty_simple("image/jpeg"),
        )),
        _ => None,
    }
}

fn attach(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    wiring: &Arc<Wiring>,
    selection: &Selection,
) -> Result<(), Loss> {
    if !wiring.is_watched {
        return tap::attach(pipeline, pad, wiring);
    }
    let failed = |error: glib::BoolError| Loss::with_detail(LossReason::Failed, error.message);
    let rtp = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let encoding = rtp
        .structure(0)
        .and_then(|s| s.get::<String>("encoding-name").ok())
        .unwrap_or_default();
    let (depayloader, parser, format) = handlers(&encoding)
        .ok_or_else(|| Loss::with_detail(LossReason::Unsupported, format!("RTP {encoding}")))?;
    // One thread: two cost a tenth more per picture, and there are many cameras.
    let MadeDecoder {
        element: decoder,
        behind,
        in_use,
        is_last,
    } = make_decoder(&format, 1, selection)
        .map_err(|none| Loss::with_detail(LossReason::Unsupported, none.advice()))?;
    // Hardware wants to know more of a JPEG picture than its packets say.
    let parser = match in_use.family {
        Family::Software => parser,
        _ => parser.or(Some("jpegparse")),
    };
    *locked(&wiring.judge) = Judge::new(is_last);
    let is_software = in_use.family == Family::Software;
    *locked(&wiring.screen) = Screen::of_packets(is_software);
    *locked(&wiring.slot.decoder) = Some(in_use.clone());
    *locked(&wiring.progress.decoder) = Some(in_use.clone());
    // Here begins what the decoder that was found is answerable for.
    wiring.progress.mark(&wiring.progress.attaching);

    let depayloader = make(depayloader).map_err(failed)?;
    tap::keep(&depayloader, &format, wiring);
    let queue = make("queue").map_err(failed)?;
    for limit in ["max-size-buffers", "max-size-bytes"] {
        queue.set_property(limit, 0_u32);
    }
    queue.set_property("max-size-time", 0_u64);
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .qos(false)
        // Nor keeps the sink a buffer for whoever might ask.
        .enable_last_sample(false)
        .max_buffers(1)
        .drop(true)
        .build();
    let mut chain = vec![depayloader, tap::byte_stream(&format).map_err(failed)?];
    if let Some(parser) = parser {
        chain.push(make(parser).map_err(failed)?);
    }
    let before_queue = chain.last().cloned();
    chain.push(queue.clone());
    let mut from_decoder = vec![decoder.clone()];
    from_decoder.extend(behind);
    from_decoder.extend(to_frames().map_err(failed)?);
    from_decoder.push(sink.clone().upcast());
    if let Some(feeder) = queue.static_pad("src") {
        wiring.progress.feeder.set(Some(&feeder));
    }

    let rate = rtp
        .structure(0)
        .and_then(|s| s.get::<i32>("clock-rate").ok())
        .unwrap_or_default();
    watch_packets(pad, wiring, &encoding, RtpTime::new(rate));
    let backlog = Arc::new(Mutex::new(Backlog::default()));
    guard_backlog(before_queue.as_ref(), &queue, wiring, &backlog);
    let feeding = Feeding::new(Mutex::new(Intake::new(wiring.analysed_fps)));
    feed(&queue, &decoder, wiring, &feeding, backlog);
    watch_decoder(&decoder, wiring, feeding);
    let introduction = Introduction {
        codec: codec_name(&format),
        decoder: in_use,
        is_made: AtomicBool::new(false),
        loans: Loans::default(),
        number: wiring.slot.counts.reconnects.load(Ordering::Relaxed),
    };
    let on_sample = Arc::clone(wiring);
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                on_sample.deliver(&sample, &introduction);
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    build_in(pipeline, &chain, &from_decoder)?;
    join(pad, &chain)
}

/// Puts a chain of elements behind a pad of a pipeline that is at work.
pub(super) fn plug(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    chain: &[gst::Element],
) -> Result<(), Loss> {
    let failed = |error: glib::BoolError| Loss::with_detail(LossReason::Failed, error.message);
    pipeline.add_many(chain).map_err(failed)?;
    gst::Element::link_many(chain).map_err(failed)?;
    for element in chain.iter().rev() {
        element.sync_state_with_parent().map_err(failed)?;
    }
    join(pad, chain)
}

/// What comes out of the pad goes into the chain from here on.
fn join(pad: &gst::Pad, chain: &[gst::Element]) -> Result<(), Loss> {
    let input = chain.first().and_then(|first| first.static_pad("sink"));
    let input = input.ok_or_else(|| Loss::new(LossReason::Failed))?;
    pad.link(&input)
        .map(|_| ())
        .map_err(|error| Loss::with_detail(LossReason::Failed, error.to_string()))
}

/// Links what stands before the decoder, and what begins with it, and starts all of it.
fn build_in(
    pipeline: &gst::Pipeline,
    before: &[gst::Element],
    from_decoder: &[gst::Element],
) -> Result<(), Loss> {
    let failed = |error: glib::BoolError| Loss::with_detail(LossReason::Failed, error.message);
    pipeline.add_many(before).map_err(failed)?;
    pipeline.add_many(from_decoder).map_err(failed)?;
    // What a decoder says of itself in the registry and on its pads may differ.
    gst::Element::link_many(from_decoder).map_err(|_| Loss::of_no_agreement())?;
    let as_far_as_decoder = before.iter().chain(from_decoder.first());
    gst::Element::link_many(as_far_as_decoder).map_err(failed)?;
    for element in before.iter().chain(from_decoder).rev() {
        element.sync_state_with_parent().map_err(failed)?;
    }
    Ok(())
}

/// On the pad before the queue: what a probe on the queue's own drops, GStreamer
/// 1.22 complains about.
fn guard_backlog(
    before: Option<&gst::Element>,
    queue: &gst::Element,
    wiring: &Arc<Wiring>,
    backlog: &Arc<Mutex<Backlog>>,
) {
    let Some(pad) = before.and_then(|before| before.static_pad("src")) else {
        return;
    };
    let wiring = Arc::clone(wiring);
    let weak = queue.downgrade();
    let backlog = Arc::clone(backlog);
    let last = AtomicI64::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let (Some(queue), Some(buffer)) = (weak.upgrade(), info.buffer()) else {
            return gst::PadProbeReturn::Ok;
        };
        let waiting = queue.property::<u32>("current-level-buffers");
        let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if is_key {
            wiring.progress.ask();
        }
        // Without a time it belongs to the picture before.
        let media = (buffer.pts()).map_or(last.load(Ordering::Relaxed), micros);
        last.store(media, Ordering::Relaxed);
        if locked(&backlog).skips(waiting, is_key, Instant::now()) {
            wiring.skip(media);
            gst::PadProbeReturn::Drop
        } else {
            gst::PadProbeReturn::Ok
        }
    });
}

pub(super) fn micros(time: gst::ClockTime) -> i64 {
    i64::try_from(time.useconds()).unwrap_or(i64::MAX)
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking thread left is still a count or a time.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
