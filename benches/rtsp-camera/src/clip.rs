//! A clip, parsed once into the access units that a camera would send.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

/// What RTSP cameras send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipCodec {
    /// H.264, byte stream.
    H264,
    /// H.265, byte stream.
    H265,
    /// Motion JPEG (RFC 2435: at most 2040 × 2040).
    Mjpeg,
}

impl ClipCodec {
    fn of(caps: &gst::CapsRef) -> Option<Self> {
        match caps.structure(0)?.name().as_str() {
            "video/x-h264" => Some(Self::H264),
            "video/x-h265" => Some(Self::H265),
            "image/jpeg" => Some(Self::Mjpeg),
            _ => None,
        }
    }

    /// The pipeline behind one mount; constant text, nothing from outside enters it.
    pub(crate) const fn launch(self) -> &'static str {
        // config-interval=0: the access units already carry their parameter
        // sets. Repeating them in front of each slice would split a picture in
        // two at the receiver.
        match self {
            Self::H264 => "( appsrc name=source ! rtph264pay name=pay0 pt=96 config-interval=0 )",
            Self::H265 => "( appsrc name=source ! rtph265pay name=pay0 pt=96 config-interval=0 )",
            Self::Mjpeg => "( appsrc name=source ! rtpjpegpay name=pay0 pt=26 )",
        }
    }

    const fn parser(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::H264 => Some((
                "h264parse",
                "video/x-h264,stream-format=byte-stream,alignment=au",
            )),
            Self::H265 => Some((
                "h265parse",
                "video/x-h265,stream-format=byte-stream,alignment=au",
            )),
            Self::Mjpeg => None,
        }
    }
}

/// One encoded picture with its place in the clip.
#[derive(Clone, Debug)]
pub(crate) struct AccessUnit {
    /// Bytes; copies of the buffer share them.
    pub buffer: gst::Buffer,
    /// When to send it, from the clip's start.
    pub send_at: gst::ClockTime,
    /// When to show it, from the clip's start.
    pub show_at: gst::ClockTime,
    pub is_key: bool,
}

/// An encoded clip in memory, shared by all mounts and clients that play it.
#[derive(Clone, Debug)]
pub struct Clip {
    pub(crate) codec: ClipCodec,
    pub(crate) caps: gst::Caps,
    pub(crate) units: Arc<[AccessUnit]>,
    pub(crate) length: gst::ClockTime,
}

/// Longest time to parse a clip; only a broken demuxer needs it.
const PARSE_LIMIT: Duration = Duration::from_mins(1);

/// Longest time to find the stream: parsebin loses the first error of a demuxer.
const FIND_LIMIT: Duration = Duration::from_secs(5);

impl Clip {
    /// Reads and parses a clip of any container; nothing is decoded.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        ensure!(
            path.is_file(),
            "clip {}: no such file; check the path",
            path.display()
        );
        gst::init().context("GStreamer does not start; is it installed?")?;
        let (codec, samples) = parse(path).with_context(|| format!("clip {}", path.display()))?;
        from_samples(codec, &samples).with_context(|| format!("clip {}", path.display()))
    }

    /// How it is encoded.
    pub fn codec(&self) -> ClipCodec {
        self.codec
    }

    /// Pictures in one round.
    pub fn pictures(&self) -> usize {
        self.units.len()
    }

    /// What is sent of one round, picture by picture, in the order of sending.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        self.units
            .iter()
            .map(|unit| {
                let bytes = unit.buffer.map_readable();
                bytes.map(|bytes| bytes.to_vec()).unwrap_or_default()
            })
            .collect()
    }

    /// When each of these is shown, from the clip's start.
    pub fn shown(&self) -> Vec<Duration> {
        let shown = self.units.iter().map(|unit| unit.show_at.into());
        shown.collect()
    }

    /// The clip from the key picture on that comes next at `now`, where it is played round and
    /// round since 1970, and how soon.
    pub(crate) fn at(&self, now: SystemTime) -> (Self, gst::ClockTime) {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let phase = since.as_nanos() % u128::from(self.length.nseconds().max(1));
        let phase = gst::ClockTime::from_nseconds(u64::try_from(phase).unwrap_or(0));
        let is_next = |unit: &AccessUnit| unit.is_key && unit.send_at >= phase;
        let first = self.units.iter().position(is_next).unwrap_or(0);
        let begins = (self.units.get(first)).map_or(gst::ClockTime::ZERO, |unit| unit.send_at);
        let after = if begins < phase {
            begins + self.length - phase
        } else {
            begins - phase
        };
        let moved = |(at, unit): (usize, &AccessUnit)| {
            let round = if at < first {
                self.length
            } else {
                gst::ClockTime::ZERO
            };
            AccessUnit {
                send_at: unit.send_at + round - begins,
                show_at: (unit.show_at + round).saturating_sub(begins),
                ..unit.clone()
            }
        };
        let mut units: Vec<AccessUnit> = self.units.iter().enumerate().map(moved).collect();
        units.rotate_left(first);
        let clip = Self {
            units: units.into(),
            ..self.clone()
        };
        (clip, after)
    }

    /// Length of one round.
    pub fn length(&self) -> Duration {
        self.length.into()
    }
}

#[derive(Default)]
struct Found {
    codec: Option<ClipCodec>,
    /// A stream that is there but that no camera sends.
    other: Option<String>,
    /// The stream has ended. The pipeline's own word for it may never come:
    /// a sink added while the pipeline runs can end before it plays.
    has_ended: bool,
    samples: Vec<gst::Sample>,
}

fn parse(path: &Path) -> anyhow::Result<(ClipCodec, Vec<gst::Sample>)> {
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("filesrc")
        .property("location", path)
        .build()?;
    let parsebin = gst::ElementFactory::make("parsebin").build()?;
    pipeline.add_many([&source, &parsebin])?;
    source.link(&parsebin)?;

    let found = Arc::new(Mutex::new(Found::default()));
    let sinks = Arc::clone(&found);
    let weak = pipeline.downgrade();
    parsebin.connect_pad_added(move |_, pad| {
        let Some(pipeline) = weak.upgrade() else {
            return;
        };
        if let Err(error) = attach(&pipeline, pad, &sinks) {
            gst::element_error!(pipeline, gst::CoreError::Failed, ("{error:#}"));
        }
    });

    let bus = pipeline.bus().context("a pipeline has a bus")?;
    let outcome = pipeline
        .set_state(gst::State::Playing)
        .map_err(anyhow::Error::from)
        .and_then(|_| run_to_end(&bus, &found));
    pipeline.set_state(gst::State::Null)?;

    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    match (found.codec, found.other.take(), outcome) {
        // A truncated clip still gives what came before the fault.
        (Some(codec), _, _) if !found.samples.is_empty() => {
            Ok((codec, std::mem::take(&mut found.samples)))
        }
        (_, Some(other), Ok(())) => {
            bail!("is {other}; a camera sends H.264, H.265 or MJPEG, so convert it first")
        }
        (_, _, Err(error)) => Err(error.context("cannot be read")),
        (Some(_), None, Ok(())) => bail!("has a video stream without a picture"),
        (None, None, Ok(())) => bail!("has no video"),
    }
}

fn run_to_end(bus: &gst::Bus, found: &Mutex<Found>) -> anyhow::Result<()> {
    let began = Instant::now();
    while began.elapsed() < PARSE_LIMIT {
        let (is_found, has_ended) = {
            let found = found.lock().unwrap_or_else(PoisonError::into_inner);
            (found.codec.is_some(), found.has_ended)
        };
        if has_ended {
            return Ok(());
        }
        if !is_found && began.elapsed() > FIND_LIMIT {
            bail!("nothing in it can be read");
        }
        let Some(message) = bus.timed_pop(gst::ClockTime::from_mseconds(20)) else {
            continue;
        };
        match message.view() {
            gst::MessageView::Eos(_) => return Ok(()),
            gst::MessageView::Error(error) => bail!("{}", error.error()),
            _ => {}
        }
    }
    bail!("not parsed within {} s", PARSE_LIMIT.as_secs())
}

/// Takes the first video stream into memory, and lets every other run dry.
fn attach(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    found: &Arc<Mutex<Found>>,
) -> anyhow::Result<()> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let codec = ClipCodec::of(&caps);
    let mut state = found.lock().unwrap_or_else(PoisonError::into_inner);
    let (Some(codec), None) = (codec, state.codec) else {
        let name = caps.structure(0).map(|s| s.name().to_string());
        if let Some(name) = name.filter(|n| n.starts_with("video/") || n.starts_with("image/")) {
            state.other.get_or_insert(name);
        }
        let sink = gst::ElementFactory::make("fakesink")
            .property("async", false)
            .build()?;
        pipeline.add(&sink)?;
        sink.sync_state_with_parent()?;
        pad.link(
            &sink
                .static_pad("sink")
                .context("a fakesink has a sink pad")?,
        )?;
        return Ok(());
    };
    state.codec = Some(codec);

    let samples = Arc::clone(found);
    let end = Arc::clone(found);
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .callbacks(
            gst_app::AppSinkCallbacks::builder()
                .eos(move |_| {
                    end.lock().unwrap_or_else(PoisonError::into_inner).has_ended = true;
                })
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    samples
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .samples
                        .push(sample);
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        )
        .build();
    let mut chain = Vec::new();
    if let Some((parser, caps)) = codec.parser() {
        // Parameter sets in front of each key picture: whoever joins can decode.
        let parser = gst::ElementFactory::make(parser)
            .property("config-interval", -1_i32)
            .build()?;
        let filter = gst::ElementFactory::make("capsfilter")
            .property("caps", caps.parse::<gst::Caps>()?)
            .build()?;
        chain.extend([parser, filter]);
    }
    chain.push(sink.upcast());
    pipeline.add_many(&chain)?;
    gst::Element::link_many(&chain)?;
    for element in chain.iter().rev() {
        element.sync_state_with_parent()?;
    }
    pad.link(
        &chain[0]
            .static_pad("sink")
            .context("a parser has a sink pad")?,
    )?;
    Ok(())
}

fn from_samples(codec: ClipCodec, samples: &[gst::Sample]) -> anyhow::Result<Clip> {
    let caps = samples
        .first()
        .and_then(|sample| sample.caps_owned())
        .context("has pictures without a format")?;
    let nominal = caps
        .structure(0)
        .and_then(|s| s.get::<gst::Fraction>("framerate").ok())
        .filter(|rate| rate.numer() > 0 && rate.denom() > 0)
        .map_or(40_000_000, |rate| {
            1_000_000_000 * u64::from(rate.denom().unsigned_abs())
                / u64::from(rate.numer().unsigned_abs())
        });

    let mut units: Vec<AccessUnit> = Vec::with_capacity(samples.len());
    for sample in samples {
        let Some(buffer) = sample.buffer_owned() else {
            continue;
        };
        let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if units.is_empty() && !is_key {
            continue; // nobody could decode what comes before the first key picture
        }
        let counted = gst::ClockTime::from_nseconds(nominal * units.len() as u64);
        let show_at = buffer.pts().unwrap_or(counted);
        units.push(AccessUnit {
            send_at: buffer.dts().unwrap_or(show_at),
            show_at,
            is_key,
            buffer,
        });
    }
    ensure!(!units.is_empty(), "has no key picture");

    let first_shown = units.iter().map(|u| u.show_at).min().unwrap_or_default();
    let first_sent = units[0].send_at;
    let mut last_sent = gst::ClockTime::ZERO;
    for unit in &mut units {
        unit.show_at = unit.show_at.saturating_sub(first_shown);
        last_sent = unit.send_at.saturating_sub(first_sent).max(last_sent);
        unit.send_at = last_sent;
    }
    let last_shown = units.iter().map(|u| u.show_at).max().unwrap_or_default();
    Ok(Clip {
        codec,
        caps,
        length: last_shown.max(last_sent) + gst::ClockTime::from_nseconds(nominal),
        units: units.into(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

    use super::*;
    use crate::TestPattern;

    #[test]
    fn by_the_clock_each_picture_comes_at_its_own_time_whenever_a_client_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mkv");
        let pattern = TestPattern {
            pictures: 50,
            key_distance: Some(10),
            ..TestPattern::default()
        };
        pattern.write(&path).unwrap();
        let clip = Clip::load(&path).unwrap();
        assert_eq!(clip.length(), Duration::from_secs(2));
        let original = clip.sent();
        for now_ms in [0, 130, 400, 1_601, 1_999, 1_795_000_000_410] {
            let (moved, after) = clip.at(UNIX_EPOCH + Duration::from_millis(now_ms));
            assert!(after.mseconds() < 400, "{now_ms}: {after}");
            assert!(moved.units[0].is_key);
            for (unit, bytes) in moved.units.iter().zip(moved.sent()) {
                assert_eq!(unit.send_at, unit.show_at);
                let shown_ms = now_ms + (after + unit.show_at).mseconds();
                let place = usize::try_from(shown_ms % 2_000 / 40).unwrap();
                assert_eq!((shown_ms % 40, &bytes), (0, &original[place]), "{now_ms}");
            }
        }
    }
}
