//! Reads a recorded clip: every frame, in order, as fast as the machine allows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use protocol::units::Seconds;
use protocol::{EventTime, TimeQuality};

use super::error::ClipError;
use super::media_time::MediaTime;
use super::pictures;
use super::streams::{StreamFault, Streams, lock};
use crate::decoder::{codec_name, make_decoder, to_i420};
use crate::frame::{Frame, Label};

/// What is known of a clip before it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipInfo {
    /// As the container says; absent for bare streams.
    pub duration: Option<Seconds>,
    /// Duration times rate; the true number may differ.
    pub frames_estimate: Option<u64>,
    /// Nominal pictures per second, where the file says.
    pub fps: Option<f64>,
    /// Pixels of the first picture.
    pub width: u32,
    /// Pixels of the first picture.
    pub height: u32,
    /// As people call it.
    pub codec: String,
    /// As people call it.
    pub container: String,
}

/// A clip being read; dropping it stops decoding.
#[derive(Debug)]
pub struct ClipReader {
    path: PathBuf,
    pipeline: gst::Pipeline,
    bus: gst::Bus,
    sink: gst_app::AppSink,
    info: ClipInfo,
    time: MediaTime,
    /// Read ahead on opening, to know the size.
    pending: Option<gst::Sample>,
    /// Frames given out.
    given: u64,
    corrupt: u64,
    /// Pictures that a folder has.
    promised: Option<u64>,
    has_ended: bool,
    warnings: Vec<String>,
}

/// A frame waits for the reader, not the other way round; more only costs memory.
const AHEAD: u32 = 4;
const POLL: gst::ClockTime = gst::ClockTime::from_mseconds(20);
/// Longest wait for one picture: a disk that has to wake up needs ten seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// After an error, for pictures still in the decoder.
const DRAIN: Duration = Duration::from_millis(500);
/// What a stream without a rate is taken for.
const USUAL_FPS: f64 = 25.0;

/// What came of waiting for a picture.
enum Next {
    Sample(gst::Sample),
    End,
    Failed(String),
}

impl ClipReader {
    /// Opens a clip of any container and codec that GStreamer decodes.
    ///
    /// The first picture has the time `start`. Needs [`init`](crate::init) first.
    pub fn open(path: &Path, start: EventTime) -> Result<Self, ClipError> {
        let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ClipError::Missing(path.to_owned()),
            _ => ClipError::Unreadable {
                path: path.to_owned(),
                source,
            },
        })?;
        if metadata.is_dir() {
            return Err(ClipError::Folder(path.to_owned()));
        }
        // GStreamer would only say "not found" of a file that is not ours to read.
        std::fs::File::open(path).map_err(|source| ClipError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let pipeline = gst::Pipeline::new();
        let sink = sink();
        let streams =
            Streams::of_file(&pipeline, path, &sink).map_err(|fault| fault_error(path, fault))?;
        let first = Opening {
            path,
            pipeline: &pipeline,
            sink: &sink,
            streams: &streams,
        }
        .first();
        let container = lock(&streams.container).clone();
        let codec = lock(&streams.codec).clone().unwrap_or_default();
        Self::opened(path, pipeline, sink, first, codec, container, start)
    }

    /// Opens a folder of JPEG or PNG pictures as a clip of `fps` pictures per second.
    pub fn open_folder(folder: &Path, fps: f64, start: EventTime) -> Result<Self, ClipError> {
        let files = pictures::listed(folder)?;
        let fps = if fps.is_finite() && fps > 0.0 {
            fps
        } else {
            USUAL_FPS
        };
        let kind = pictures::kind(&files[0]).unwrap_or_default();
        let caps = gst::Caps::new_empty_simple(kind);
        let pipeline = gst::Pipeline::new();
        let sink = sink();
        let source = pictures::source(kind, fps);
        let built = (|| -> Result<(), StreamFault> {
            let decoder = make_decoder(&caps, 0, &std::collections::BTreeSet::new())?;
            let mut chain = vec![source.clone().upcast(), decoder];
            chain.extend(to_i420()?);
            chain.push(sink.clone().upcast());
            pipeline.add_many(&chain)?;
            gst::Element::link_many(&chain)?;
            Ok(())
        })();
        built.map_err(|fault| fault_error(folder, fault))?;
        let promised = files.len() as u64;
        std::thread::Builder::new()
            .name("pictures".to_owned())
            .spawn(move || pictures::feed(&source, &files, fps))
            .map_err(|source| ClipError::Unreadable {
                path: folder.to_owned(),
                source,
            })?;
        let streams = Arc::new(Streams::default());
        let codec = codec_name(&caps);
        *lock(&streams.codec) = Some(codec.clone());
        let first = Opening {
            path: folder,
            pipeline: &pipeline,
            sink: &sink,
            streams: &streams,
        }
        .first();
        let container = Some("folder of pictures".to_owned());
        let mut reader = Self::opened(folder, pipeline, sink, first, codec, container, start)?;
        reader.promised = Some(promised);
        reader.info.frames_estimate = Some(promised);
        reader.info.fps = Some(fps);
        reader.info.duration = Some(Seconds(promised as f64 / fps));
        reader.time = MediaTime::new(start, fps, false);
        Ok(reader)
    }

    fn opened(
        path: &Path,
        pipeline: gst::Pipeline,
        sink: gst_app::AppSink,
        first: Result<gst::Sample, ClipError>,
        codec: String,
        container: Option<String>,
        start: EventTime,
    ) -> Result<Self, ClipError> {
        let stopped = |error| {
            pipeline.set_state(gst::State::Null).ok();
            error
        };
        let no_frames = |detail: &str| ClipError::NoFrames {
            path: path.to_owned(),
            detail: detail.to_owned(),
        };
        let first = first.map_err(stopped)?;
        let bus = pipeline.bus().ok_or_else(|| stopped(no_frames("no bus")))?;
        let format = first
            .caps()
            .and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok())
            .ok_or_else(|| stopped(no_frames("no format")))?;
        let fps = Some(format.fps())
            .filter(|rate| rate.numer() > 0 && rate.denom() > 0)
            .map(|rate| f64::from(rate.numer()) / f64::from(rate.denom()));
        let duration = container
            .as_ref()
            .and_then(|_| pipeline.query_duration::<gst::ClockTime>())
            .map(|duration| Seconds(duration.seconds_f64()));
        let mut warnings = Vec::new();
        let is_bare = container.is_none();
        if is_bare {
            warnings.push(format!(
                "a bare {codec} stream has no times; its pictures are counted at {} per second",
                fps.unwrap_or(USUAL_FPS)
            ));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
        let frames_estimate = duration
            .zip(fps)
            .map(|(duration, fps)| (duration.0 * fps).round() as u64);
        Ok(Self {
            info: ClipInfo {
                duration,
                frames_estimate,
                fps,
                width: format.width(),
                height: format.height(),
                codec,
                container: container.unwrap_or_else(|| "bare stream".to_owned()),
            },
            path: path.to_owned(),
            time: MediaTime::new(start, fps.unwrap_or(USUAL_FPS), is_bare),
            pipeline,
            bus,
            sink,
            pending: Some(first),
            given: 0,
            corrupt: 0,
            promised: None,
            has_ended: false,
            warnings,
        })
    }

    /// What is known of the clip.
    pub fn info(&self) -> &ClipInfo {
        &self.info
    }

    /// What was wrong with the clip; complete once [`next_frame`](Self::next_frame) gave `None`.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The next picture; `None` at the end, and at a fault after which nothing comes.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ClipError> {
        while !self.has_ended {
            let next = match self.pending.take() {
                Some(sample) => Next::Sample(sample),
                None => wait(&self.path, &self.sink, &self.bus)?,
            };
            match next {
                Next::Sample(sample) => {
                    if let Some(frame) = self.frame(&sample) {
                        return Ok(Some(frame));
                    }
                }
                Next::End => self.end(None),
                Next::Failed(detail) => self.end(Some(&detail)),
            }
        }
        Ok(None)
    }

    fn frame(&mut self, sample: &gst::Sample) -> Option<Frame> {
        let buffer = sample.buffer()?;
        if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
            self.corrupt += 1;
        }
        let segment = sample
            .segment()
            .and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
        let media = buffer
            .pts()
            .and_then(|pts| match segment {
                // Edit lists and streams that start at noon are taken out here.
                Some(segment) => segment.to_running_time(pts),
                None => Some(pts),
            })
            .and_then(|time| i64::try_from(time.useconds()).ok());
        let label = Label {
            number: self.given,
            time: self.time.next(media),
            time_quality: TimeQuality::Media,
        };
        self.given += 1;
        let frame = Frame::of_sample(sample, &label);
        if frame.is_none() {
            self.corrupt += 1;
        }
        frame
    }

    fn end(&mut self, error: Option<&str>) {
        self.has_ended = true;
        self.pipeline.set_state(gst::State::Null).ok();
        let length = self.time.length() as f64 / 1e6;
        let at = format!("after {} frames ({length:.1} s)", self.given);
        if let Some(error) = error {
            self.warnings
                .push(format!("reading ended with an error {at}: {error}"));
        } else if let Some(duration) = self.info.duration
            // Half a second, or 2 %: containers round, and sound may be longer.
            && duration.0 - length > (duration.0 * 0.02).max(0.5)
        {
            self.warnings.push(format!(
                "reading ended {at}, but the file announces {:.1} s; it may be truncated",
                duration.0
            ));
        } else if let Some(promised) = self.promised
            && promised > self.given
        {
            self.warnings.push(format!(
                "{} of {promised} pictures could not be decoded and are left out",
                promised - self.given
            ));
        }
        if self.time.mended() > 0 {
            self.warnings.push(format!(
                "{} of {} frames had no usable time; theirs is counted from the frame before",
                self.time.mended(),
                self.given
            ));
        }
        if self.corrupt > 0 {
            self.warnings.push(format!(
                "{} of {} frames are damaged",
                self.corrupt, self.given
            ));
        }
    }
}

impl Drop for ClipReader {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).ok();
    }
}

fn sink() -> gst_app::AppSink {
    gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .qos(false)
        .max_buffers(AHEAD)
        .drop(false)
        .build()
}

fn fault_error(path: &Path, fault: StreamFault) -> ClipError {
    let path = path.to_owned();
    match fault {
        StreamFault::NoDecoder(codec) => ClipError::NoDecoder { path, codec },
        StreamFault::Pipeline(detail) => ClipError::Pipeline { path, detail },
    }
}

/// Waits for one picture, the end or an error.
fn wait(path: &Path, sink: &gst_app::AppSink, bus: &gst::Bus) -> Result<Next, ClipError> {
    let began = Instant::now();
    let mut failed: Option<(String, Instant)> = None;
    loop {
        if let Some(sample) = sink.try_pull_sample(POLL) {
            return Ok(Next::Sample(sample));
        }
        if sink.is_eos() {
            return Ok(match failed.or_else(|| error_on(bus)) {
                Some((detail, _)) => Next::Failed(detail),
                None => Next::End,
            });
        }
        failed = failed.or_else(|| error_on(bus));
        // An error need not be followed by an end of stream.
        if let Some((detail, since)) = &failed
            && since.elapsed() > DRAIN
        {
            return Ok(Next::Failed(detail.clone()));
        }
        if began.elapsed() > PATIENCE {
            return Err(ClipError::Stalled {
                path: path.to_owned(),
                waited_s: PATIENCE.as_secs(),
            });
        }
    }
}

fn error_on(bus: &gst::Bus) -> Option<(String, Instant)> {
    let message = bus.pop_filtered(&[gst::MessageType::Error])?;
    match message.view() {
        gst::MessageView::Error(error) => Some((
            error.error().message().trim_end_matches('.').to_owned(),
            Instant::now(),
        )),
        _ => None,
    }
}

/// A pipeline on its way to the first picture.
struct Opening<'a> {
    path: &'a Path,
    pipeline: &'a gst::Pipeline,
    sink: &'a gst_app::AppSink,
    streams: &'a Streams,
}

impl Opening<'_> {
    fn first(&self) -> Result<gst::Sample, ClipError> {
        let path = self.path.to_owned();
        let Some(bus) = self.pipeline.bus() else {
            return Err(self.not_started());
        };
        if self.pipeline.set_state(gst::State::Playing).is_err() {
            return Err(self.not_started());
        }
        let began = Instant::now();
        let mut failed: Option<(String, Instant)> = None;
        loop {
            let is_read = lock(&self.streams.codec).is_some();
            if is_read && let Some(sample) = self.sink.try_pull_sample(POLL) {
                return Ok(sample);
            }
            if let Some(fault) = lock(&self.streams.fault).take() {
                return Err(fault_error(self.path, fault));
            }
            failed = failed.or_else(|| error_on(&bus));
            let has_ended = is_read && self.sink.is_eos();
            let is_given_up = failed
                .as_ref()
                .is_some_and(|(_, since)| !is_read || since.elapsed() > DRAIN);
            if has_ended || is_given_up {
                let detail = failed.map_or_else(|| "the stream is empty".to_owned(), |(d, _)| d);
                return Err(match (is_read, lock(&self.streams.container).is_some()) {
                    (true, _) => ClipError::NoFrames { path, detail },
                    _ => ClipError::NotMedia { path, detail },
                });
            }
            if !is_read {
                if self.streams.is_complete.load(Ordering::Acquire)
                    && lock(&self.streams.codec).is_none()
                {
                    return Err(ClipError::NoVideo(path));
                }
                if bus
                    .timed_pop_filtered(POLL, &[gst::MessageType::Eos])
                    .is_some()
                {
                    return Err(ClipError::NoVideo(path));
                }
            }
            if began.elapsed() > PATIENCE {
                return Err(ClipError::Stalled {
                    path,
                    waited_s: PATIENCE.as_secs(),
                });
            }
        }
    }

    /// The state change failed at once; the bus may know why.
    fn not_started(&self) -> ClipError {
        let said = self.pipeline.bus().and_then(|bus| error_on(&bus));
        ClipError::Pipeline {
            path: self.path.to_owned(),
            detail: said.map_or_else(|| "the pipeline does not start".to_owned(), |(d, _)| d),
        }
    }
}
