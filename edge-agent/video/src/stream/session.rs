//! One connection to one camera: its pipeline, from rtspsrc to the slot.
//!
//! `rtspsrc ! depayloader ! parser ! queue ! decoder ! videoconvert ! appsink`,
//! built element by element: address and password are properties, never text
//! of a launch line. The queue never drops by itself, because a missing encoded
//! picture spoils all until the next key picture; when decoding cannot keep up
//! it is a probe that drops, up to the next key picture, and counts.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use protocol::TimeQuality;

use super::backlog::Backlog;
use super::clock::{Now, Stamp, Timeline};
use super::garbage::Garbage;
use super::judge::{Judge, Verdict};
use super::ledger::Ledger;
use super::loss::Loss;
use super::notice::{LossReason, Notice};
use super::pace::Pace;
use super::rtp_time::{RtpTime, timestamp};
use super::settings::{RtspSettings, Transport};
use super::slot::{Slot, count};
use super::stillness::{Change, Luma, Stillness};
use super::tap;
use crate::decoder::{
    DecoderInUse, Family, MadeDecoder, Selection, codec_name, make_decoder, to_i420,
};
use crate::elements::make;
use crate::frame::{Frame, Label};

/// What outlives a connection.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) timeline: Timeline,
    pub(super) pace: Pace,
    pub(super) stillness: Stillness,
    quality: Option<TimeQuality>,
    size: Option<(u32, u32)>,
    origin: Instant,
}

impl Memory {
    pub(super) fn new(settings: &RtspSettings) -> Self {
        Self {
            timeline: Timeline::new(settings.max_clock_difference),
            pace: Pace::new(settings.analysed_fps),
            stillness: Stillness::new(settings.frozen_after, settings.frozen_tolerance),
            quality: None,
            size: None,
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
    judge: Mutex<Judge>,
}

/// What is told of a connection with its first good picture.
struct Introduction {
    codec: String,
    decoder: DecoderInUse,
    is_made: AtomicBool,
}

/// What the watchdog looks at.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    /// ms since `began`, + 1; 0 = never.
    packet: AtomicU64,
    pub(super) picture: AtomicU64,
    /// Lost packets.
    gap: AtomicU64,
    /// A fault found by a callback, for the supervisor.
    fault: Mutex<Option<Loss>>,
    decoder: Mutex<Option<DecoderInUse>>,
}

impl Progress {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            packet: AtomicU64::new(0),
            picture: AtomicU64::new(0),
            gap: AtomicU64::new(0),
            fault: Mutex::new(None),
            decoder: Mutex::new(None),
        }
    }

    pub(super) fn mark(&self, what: &AtomicU64) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        what.store(ms + 1, Ordering::Relaxed);
    }

    fn age(&self, what: &AtomicU64) -> Option<std::time::Duration> {
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

    /// Since the connection was begun.
    pub(super) fn age_of_connection(&self) -> std::time::Duration {
        self.began.elapsed()
    }

    pub(super) fn take_fault(&self) -> Option<Loss> {
        locked(&self.fault).take()
    }

    /// What decodes, once it is known.
    pub(super) fn decoder(&self) -> Option<DecoderInUse> {
        locked(&self.decoder).clone()
    }
}

/// A running connection; dropping it hangs up.
#[derive(Debug)]
pub(super) struct Session {
    pipeline: gst::Pipeline,
    pub(super) bus: gst::Bus,
    pub(super) progress: Arc<Progress>,
}

/// Packets lost so long ago excuse damaged pictures: longer than most cameras take
/// to the next key picture.
const EXCUSED: std::time::Duration = std::time::Duration::from_secs(10);

/// From 1900 (NTP) to 1970, in seconds.
const NTP_TO_UNIX: u64 = 2_208_988_800;

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
            if let Err(loss) = attach(&pipeline, pad, &wiring, &selection) {
                locked(&wiring.progress.fault).get_or_insert(loss);
            }
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
    *locked(&wiring.slot.decoder) = Some(in_use.clone());
    *locked(&wiring.progress.decoder) = Some(in_use.clone());

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
        .max_buffers(1)
        .drop(true)
        .build();
    let mut chain = vec![depayloader, tap::byte_stream(&format).map_err(failed)?];
    if let Some(parser) = parser {
        chain.push(make(parser).map_err(failed)?);
    }
    chain.extend([queue.clone(), decoder.clone()]);
    chain.extend(to_i420().map_err(failed)?);
    chain.push(sink.clone().upcast());

    let rate = rtp
        .structure(0)
        .and_then(|s| s.get::<i32>("clock-rate").ok())
        .unwrap_or_default();
    watch_packets(pad, wiring, RtpTime::new(rate));
    guard_backlog(&queue, wiring);
    watch_decoder(&decoder, wiring);
    let introduction = Introduction {
        codec: codec_name(&format),
        decoder: in_use,
        is_made: AtomicBool::new(false),
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

    pipeline.add_many(&chain).map_err(failed)?;
    gst::Element::link_many(&chain).map_err(failed)?;
    for element in chain.iter().rev() {
        element.sync_state_with_parent().map_err(failed)?;
    }
    let input = chain[0]
        .static_pad("sink")
        .ok_or_else(|| Loss::new(LossReason::Failed))?;
    pad.link(&input)
        .map(|_| ())
        .map_err(|error| Loss::with_detail(LossReason::Failed, error.to_string()))
}

/// Media time, times of arrival, and the camera's clock once its first sender report came.
///
/// Read here and not at the sink: each packet has the meta after the first
/// report, whatever decoder or converter loses it later.
pub(super) fn watch_packets(pad: &gst::Pad, wiring: &Arc<Wiring>, rtp_time: RtpTime) {
    let wiring = Arc::clone(wiring);
    let rtp_time = Mutex::new(rtp_time);
    let previous = AtomicI64::new(i64::MIN);
    let on_packet = move |buffer: &mut gst::BufferRef| {
        let is_first = wiring.progress.packet_age().is_none();
        wiring.progress.mark(&wiring.progress.packet);
        if !is_first && buffer.flags().contains(gst::BufferFlags::DISCONT) {
            count(&wiring.slot.counts.packet_gaps);
            wiring.progress.mark(&wiring.progress.gap);
        }
        let Some(first) = buffer.pts() else {
            return;
        };
        // A packet without a header is the depayloader's to refuse.
        let written = buffer
            .map_readable()
            .ok()
            .and_then(|bytes| timestamp(&bytes));
        let media = written.map_or(first, |written| {
            let first = i64::try_from(first.nseconds()).unwrap_or(i64::MAX);
            let nanos = locked(&rtp_time).media(written, first);
            gst::ClockTime::from_nseconds(nanos.unsigned_abs())
        });
        buffer.set_pts(media);
        let media = micros(media);
        // One picture is many packets; the first is the least delayed.
        if previous.swap(media, Ordering::Relaxed) == media {
            return;
        }
        let mut memory = locked(&wiring.memory);
        let now = memory.now();
        memory.timeline.packet(media, reported(buffer), now);
        let disagreement = memory.timeline.disagreement().unwrap_or(-1);
        let told = &wiring.slot.clock_disagreement;
        told.store(disagreement, Ordering::Relaxed);
    };
    pad.add_probe(
        gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
        move |_, info| {
            match &mut info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => on_packet(buffer.make_mut()),
                Some(gst::PadProbeData::BufferList(list)) => {
                    list.make_mut().foreach_mut(|mut buffer, _| {
                        on_packet(buffer.make_mut());
                        ControlFlow::Continue(Some(buffer))
                    });
                }
                _ => {}
            }
            gst::PadProbeReturn::Ok
        },
    );
}

/// The camera's UTC for a packet (µs).
fn reported(buffer: &gst::BufferRef) -> Option<i64> {
    buffer
        .iter_meta::<gst::ReferenceTimestampMeta>()
        .find(|meta| {
            meta.reference()
                .structure(0)
                .is_some_and(|s| s.name() == "timestamp/x-ntp")
        })
        .map(|meta| micros(meta.timestamp()) - micros(gst::ClockTime::from_seconds(NTP_TO_UNIX)))
}

fn guard_backlog(queue: &gst::Element, wiring: &Arc<Wiring>) {
    let Some(pad) = queue.static_pad("sink") else {
        return;
    };
    let wiring = Arc::clone(wiring);
    let weak = queue.downgrade();
    let backlog = Mutex::new(Backlog::default());
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let (Some(queue), Some(buffer)) = (weak.upgrade(), info.buffer()) else {
            return gst::PadProbeReturn::Ok;
        };
        let waiting = queue.property::<u32>("current-level-buffers");
        let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if locked(&backlog).skips(waiting, is_key) {
            count(&wiring.slot.counts.dropped_backlog);
            gst::PadProbeReturn::Drop
        } else {
            gst::PadProbeReturn::Ok
        }
    });
}

/// Counts what goes in and comes out, and drops what need not be converted.
fn watch_decoder(decoder: &gst::Element, wiring: &Arc<Wiring>) {
    let (Some(input), Some(output)) = (decoder.static_pad("sink"), decoder.static_pad("src"))
    else {
        return;
    };
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let before = (Arc::clone(wiring), Arc::clone(&ledger));
    input.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        let (wiring, ledger) = &before;
        let lost = locked(ledger).encoded();
        wiring.count_lost(lost);
        gst::PadProbeReturn::Ok
    });
    let wiring = Arc::clone(wiring);
    output.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        match info.buffer() {
            Some(buffer) if !wiring.keeps(buffer, &ledger) => gst::PadProbeReturn::Drop,
            _ => gst::PadProbeReturn::Ok,
        }
    });
}

impl Wiring {
    fn count_lost(&self, pictures: u64) {
        let errors = &self.slot.counts.decode_errors;
        errors.fetch_add(pictures, Ordering::Relaxed);
    }

    /// Counts a decoded picture; whether it goes on to the reader.
    fn keeps(&self, buffer: &gst::BufferRef, ledger: &Mutex<Ledger>) -> bool {
        let counts = &self.slot.counts;
        count(&counts.received);
        let media = buffer.pts().map(micros);
        let lost = locked(ledger).decoded();
        self.count_lost(lost);
        // A grey picture with moving shreds is worse than none.
        if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
            count(&counts.decode_errors);
            count(&counts.dropped_corrupt);
            let gap = self.progress.age(&self.progress.gap);
            let is_excused = gap.is_some_and(|age| age < EXCUSED);
            let verdict = locked(&self.judge).flagged(is_excused);
            self.heed(verdict, "pictures that it calls damaged itself");
            return false;
        }
        self.progress.mark(&self.progress.picture);
        let is_wanted = media.is_none_or(|media| locked(&self.memory).pace.keeps(media));
        if !is_wanted {
            count(&counts.dropped_rate);
        }
        is_wanted
    }

    /// Acts on what the judge said; whether the picture is good.
    fn heed(&self, verdict: Verdict, what: &'static str) -> bool {
        match verdict {
            Verdict::Good => return true,
            Verdict::Recovered => {
                self.slot.notify(Notice::GarbageOver);
                return true;
            }
            Verdict::Bad => {}
            Verdict::ChangeDecoder => {
                let loss = Loss::with_detail(LossReason::Garbage, what);
                locked(&self.progress.fault).get_or_insert(loss);
            }
            Verdict::BlameStream => self.slot.notify(Notice::Garbage { what }),
        }
        false
    }

    /// Tells what has become of the clock with this picture.
    fn tell_times(&self, memory: &mut Memory, stamp: Stamp) {
        if let Some(from) = stamp.step_from {
            memory.stillness.restart();
            self.slot.notify(Notice::ClockStep {
                from,
                to: stamp.time,
            });
        }
        if memory.quality.replace(stamp.quality) != Some(stamp.quality) {
            self.slot.notify(Notice::TimeQualityChanged(stamp.quality));
        }
    }

    /// A picture that shall be looked at.
    fn deliver(&self, sample: &gst::Sample, introduction: &Introduction) {
        let mut memory = locked(&self.memory);
        let now = memory.now();
        let media = sample
            .buffer()
            .and_then(gst::BufferRef::pts)
            .map_or(now.monotonic, micros);
        let stamp = memory.timeline.stamp(media, now);
        if let Some(ring) = &self.slot.ring {
            ring.stamp(media, stamp.time, stamp.quality);
        }
        let counts = &self.slot.counts;
        // No queue between decoder and here: the count is this picture's.
        let number = counts.received.load(Ordering::Relaxed).saturating_sub(1)
            + counts.dropped_backlog.load(Ordering::Relaxed);
        let label = Label {
            number,
            time: stamp.time,
            time_quality: stamp.quality,
        };
        let Some(frame) = Frame::of_sample(sample, &label) else {
            count(&counts.decode_errors);
            count(&counts.dropped_corrupt);
            return;
        };
        let (garbage, verdict) = locked(&self.judge).look(frame.time, frame.planes());
        if !self.heed(verdict, garbage.map_or("", Garbage::words)) {
            count(&counts.dropped_corrupt);
            if let Some(garbage) = garbage {
                count(&counts.garbage[garbage as usize]);
            }
            self.tell_times(&mut memory, stamp);
            return;
        }
        let size = (frame.width, frame.height);
        let is_resized = memory.size.replace(size).is_some_and(|old| old != size);
        if !introduction.is_made.swap(true, Ordering::Relaxed) {
            self.slot.notify(Notice::Connected {
                codec: introduction.codec.clone(),
                decoder: Some(introduction.decoder.clone()),
                width: frame.width,
                height: frame.height,
            });
        }
        if is_resized {
            self.slot.notify(Notice::PictureChanged {
                width: frame.width,
                height: frame.height,
            });
        }
        self.tell_times(&mut memory, stamp);
        let luma = Luma {
            bytes: frame.y(),
            stride: frame.y_stride(),
            width: frame.width as usize,
            height: frame.height as usize,
        };
        match memory.stillness.look(frame.time, luma) {
            Some(Change::Frozen(since)) => self.slot.notify(Notice::Frozen { since }),
            Some(Change::Thawed) => self.slot.notify(Notice::Thawed),
            None => {}
        }
        drop(memory);
        self.slot.put(frame);
    }
}

pub(super) fn micros(time: gst::ClockTime) -> i64 {
    i64::try_from(time.useconds()).unwrap_or(i64::MAX)
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking thread left is still a count or a time.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
