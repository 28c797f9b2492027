//! Reads a recorded clip: every frame, in order, as fast as the machine allows.
//!
//! Which pictures are too damaged to judge by is found out as it is of a camera's, by the
//! same code: a replay is to say what the box would have said.

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
use crate::decoder::screen::{self, Flaw, marked};
use crate::decoder::{Selection, codec_name, make_decoder, to_frames};
use crate::frame::{Frame, Label};
use crate::stream::garbage::Garbage;
use crate::stream::judge::{Judge, Verdict};
use crate::stream::lack::LackWatch;
use crate::stream::pace::Pace;
use crate::stream::rhythm::Rhythm;

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

/// One picture of a clip.
#[derive(Clone, Debug)]
pub enum ClipPicture {
    /// To judge by.
    Sound(Frame),
    /// Of a camera it would have been dropped.
    Damaged(Frame),
}

impl ClipPicture {
    /// It, whatever it is like.
    pub fn into_frame(self) -> Frame {
        let (Self::Sound(frame) | Self::Damaged(frame)) = self;
        frame
    }
}

/// Pictures that are too damaged to judge by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipDamage {
    /// How many.
    pub pictures: u64,
    /// Of so many that were decoded.
    pub of: u64,
    /// The number of the first, counted from 0.
    pub first: u64,
    /// Where it is, from the clip's beginning.
    pub at: Seconds,
}

impl std::fmt::Display for ClipDamage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            pictures,
            of,
            first,
            at,
        } = self;
        let at = at.0;
        write!(
            f,
            "{pictures} of {of} pictures are damaged and were left out, the first is frame {first} at {at:.1} s"
        )
    }
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
    /// When the last frame that was given out is shown (µs).
    shown: Option<i64>,
    start: EventTime,
    /// Pictures that came out of the decoder.
    given: u64,
    judge: Judge,
    rhythm: Rhythm,
    lacking: LackWatch,
    /// What the stream is blamed for.
    garbage: Option<&'static str>,
    damage: Option<ClipDamage>,
    size: (u32, u32),
    /// How often the size changed, and the first time in words.
    resized: Option<(u64, String)>,
    pace: Pace,
    /// Pictures that a folder has.
    promised: Option<u64>,
    has_ended: bool,
    warnings: Vec<String>,
    streams: Arc<Streams>,
    /// Why pictures that are there were not read.
    unread: Option<String>,
}

/// A frame waits for the reader, not the other way round. More would cost time: decoders copy
/// each picture out, and the fewer are on their way, the sooner the memory of one is
/// written again while it is still in the processor's cache.
const AHEAD: u32 = 1;
/// Threads of the decoder. More cost a sixth more per picture, what they make of a damaged picture depends
/// on their race, and the detector is slower than one of them.
pub(super) const THREADS: i32 = 1;
pub(super) const POLL: gst::ClockTime = gst::ClockTime::from_mseconds(20);
/// Longest wait for one picture: a disk that has to wake up needs ten seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// After an error, for pictures still in the decoder.
const DRAIN: Duration = Duration::from_millis(500);
/// Nothing moves for so long while opening: nothing ever will.
const IDLE: Duration = Duration::from_secs(2);
/// What a stream without a rate is taken for.
const USUAL_FPS: f64 = 25.0;

/// What came of waiting for a picture.
pub(super) enum Next {
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
        if metadata.is_file() && metadata.len() == 0 {
            return Err(ClipError::NotMedia {
                path: path.to_owned(),
                detail: "the file is empty".to_owned(),
            });
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
        Opening {
            path: path.to_owned(),
            pipeline,
            sink,
            streams,
        }
        .reader(start)
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
            let decoder = make_decoder(&caps, THREADS, &Selection::software())?.element;
            screen::mark(&decoder);
            let mut chain = vec![source.clone().upcast(), decoder];
            chain.extend(to_frames()?);
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
        streams.is_attached.store(true, Ordering::Release);
        *lock(&streams.codec) = Some(codec_name(&caps));
        *lock(&streams.container) = Some("folder of pictures".to_owned());
        let mut reader = Opening {
            path: folder.to_owned(),
            pipeline,
            sink,
            streams,
        }
        .reader(start)?;
        reader.promised = Some(promised);
        reader.info.frames_estimate = Some(promised);
        reader.info.fps = Some(fps);
        reader.info.duration = Some(Seconds(promised as f64 / fps));
        reader.time = MediaTime::new(start, fps, false);
        Ok(reader)
    }

    /// What is known of the clip.
    pub fn info(&self) -> &ClipInfo {
        &self.info
    }

    /// What was wrong with the clip; complete once [`next_frame`](Self::next_frame) gave `None`.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// When the frame that was given out last is shown, from the clip's beginning, as
    /// the file says (µs).
    pub fn shown(&self) -> Option<i64> {
        self.shown
    }

    /// Why pictures that are there were not read, once
    /// [`next_picture`](Self::next_picture) gave `None`.
    pub fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    /// Which pictures are too damaged to judge by; complete once
    /// [`next_picture`](Self::next_picture) gave `None`.
    pub fn damage(&self) -> Option<ClipDamage> {
        self.damage.map(|damage| ClipDamage {
            of: self.given,
            ..damage
        })
    }

    /// What so many pictures are that a camera would be called lost for it, until a second
    /// of them is good.
    pub fn garbage(&self) -> Option<&'static str> {
        self.garbage
    }

    /// Sound pictures come at this pace from now on; the others are left out, as a camera's are.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// The next picture to judge by; `None` at the end, and at a fault after which nothing
    /// comes.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ClipError> {
        loop {
            match self.next_picture()? {
                Some(ClipPicture::Damaged(_)) => {}
                Some(ClipPicture::Sound(frame)) => return Ok(Some(frame)),
                None => return Ok(None),
            }
        }
    }

    /// The next picture, whatever it is like; `None` as of [`next_frame`](Self::next_frame).
    pub fn next_picture(&mut self) -> Result<Option<ClipPicture>, ClipError> {
        while !self.has_ended {
            let next = match self.pending.take() {
                Some(sample) => Next::Sample(sample),
                None => wait(&self.path, &self.sink, &self.bus)?,
            };
            match next {
                Next::Sample(sample) => {
                    if let Some(picture) = self.picture(&sample) {
                        return Ok(Some(picture));
                    }
                }
                Next::End => self.end(None),
                Next::Failed(detail) => self.end(Some(&detail)),
            }
        }
        Ok(None)
    }

    fn picture(&mut self, sample: &gst::Sample) -> Option<ClipPicture> {
        let buffer = sample.buffer()?;
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
        self.shown = media;
        let time = self.time.next(media);
        let step = self.rhythm.step(time.as_micros());
        self.lacking.missing(step.missing_us);
        let label = Label {
            number: self.given,
            time,
            time_quality: TimeQuality::Media,
            own_time: None,
            clock_steps: 0,
            connection: 0,
            skipped: 0,
        };
        self.given += 1;
        let Some(mut frame) = Frame::of_sample(sample, &label) else {
            self.lacking.garbage(time.as_micros());
            self.leave_out(label.number, label.time);
            return None;
        };
        self.note_size(&frame);
        let flaw = marked(buffer);
        if flaw.is_some() {
            self.lacking.damaged(step.own_us);
        }
        if self.is_sound(flaw, &frame)? {
            let wanted_us = self.pace.interval();
            frame.lack = self.lacking.sound(time.as_micros(), wanted_us);
            Some(ClipPicture::Sound(frame))
        } else {
            if flaw.is_none() {
                self.lacking.garbage(time.as_micros());
            }
            self.leave_out(frame.number, frame.time);
            Some(ClipPicture::Damaged(frame))
        }
    }

    /// Judges a picture in the order in which a camera's is judged; `None` for one that is
    /// not due. Nothing is lost on the way from a file: nothing excuses damage.
    fn is_sound(&mut self, flaw: Option<Flaw>, frame: &Frame) -> Option<bool> {
        let at = Some(frame.time.as_micros());
        let (what, verdict) = match flaw {
            Some(Flaw::Spoilt | Flaw::Early) => return Some(false),
            Some(Flaw::Damaged) => ("damaged pictures", self.judge.flagged(at, false)),
            None if !self.pace.keeps(frame.time.as_micros()) => return None,
            None => {
                let (garbage, verdict) = self.judge.look(frame.time, at, frame.planes(), false);
                (garbage.map_or("", Garbage::words), verdict)
            }
        };
        match verdict {
            Verdict::Recovered => self.garbage = None,
            // Software decodes, and there is no other to change to.
            Verdict::ChangeDecoder | Verdict::BlameStream => self.garbage = Some(what),
            Verdict::Good | Verdict::Bad => {}
        }
        Some(matches!(verdict, Verdict::Good | Verdict::Recovered))
    }

    fn note_size(&mut self, frame: &Frame) {
        let (old, new) = (self.size, (frame.width, frame.height));
        if old == new {
            return;
        }
        self.size = new;
        let (number, at) = (frame.number, frame.time.since(self.start).0);
        let first = || {
            format!(
                "from frame {number} ({at:.1} s) on they are {}×{} instead of {}×{}",
                new.0, new.1, old.0, old.1
            )
        };
        self.resized.get_or_insert_with(|| (0, first())).0 += 1;
    }

    fn leave_out(&mut self, number: u64, time: EventTime) {
        let at = time.since(self.start);
        let damage = self.damage.get_or_insert(ClipDamage {
            pictures: 0,
            of: 0,
            first: number,
            at,
        });
        damage.pictures += 1;
    }

    fn end(&mut self, error: Option<&str>) {
        self.has_ended = true;
        self.pipeline.set_state(gst::State::Null).ok();
        let length = self.time.length() as f64 / 1e6;
        let at = format!("after {} frames ({length:.1} s)", self.given);
        if let Some(error) = error {
            self.warnings
                .push(format!("reading ended with an error {at}: {error}"));
        } else if let Some(other) = self.streams.unread() {
            let codec = &self.info.codec;
            self.unread = Some(format!(
                "from {length:.1} s on the pictures are {other} instead of {codec}, and were not read; \
                 put each codec into a file of its own"
            ));
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
        if let Some((changes, first)) = &self.resized {
            let often = match changes {
                1 => String::new(),
                changes => format!(", the first of {changes} changes"),
            };
            self.warnings.push(format!(
                "the pictures change their size: {first}{often}; zones are fractions of a picture, and fit \
                 all sizes only where these show the same"
            ));
        }
        if self.time.mended() > 0 {
            self.warnings.push(format!(
                "{} of {} frames had no usable time; theirs is counted from the frame before",
                self.time.mended(),
                self.given
            ));
        }
    }
}

impl Drop for ClipReader {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).ok();
    }
}

/// Whether the first chunk of an AVI announces more than the file has.
///
/// The demuxer mends its index in silence; nothing else tells that it is cut.
fn is_cut_avi(path: &Path) -> bool {
    let mut head = [0; 12];
    let is_read = std::fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head))
        .is_ok();
    let announced = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])) + 8;
    is_read
        && head.starts_with(b"RIFF")
        && head.ends_with(b"AVI ")
        && std::fs::metadata(path).is_ok_and(|metadata| metadata.len() < announced)
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
pub(super) fn wait(
    path: &Path,
    sink: &gst_app::AppSink,
    bus: &gst::Bus,
) -> Result<Next, ClipError> {
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

pub(super) fn error_on(bus: &gst::Bus) -> Option<(String, Instant)> {
    let message = bus.pop_filtered(&[gst::MessageType::Error])?;
    said(&message)
}

/// The words of an error message, and when they were read.
fn said(message: &gst::MessageRef) -> Option<(String, Instant)> {
    match message.view() {
        gst::MessageView::Error(error) => Some((
            error.error().message().trim_end_matches('.').to_owned(),
            Instant::now(),
        )),
        _ => None,
    }
}

/// A pipeline on its way to the first picture; it stops if it does not get there.
struct Opening {
    path: PathBuf,
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
    streams: Arc<Streams>,
}

impl Opening {
    fn reader(self, start: EventTime) -> Result<ClipReader, ClipError> {
        self.first_then(start).inspect_err(|_| {
            self.pipeline.set_state(gst::State::Null).ok();
        })
    }

    fn first_then(&self, start: EventTime) -> Result<ClipReader, ClipError> {
        let bus = self.pipeline.bus().ok_or_else(|| self.not_started())?;
        let first = self.first(&bus)?;
        let codec = lock(&self.streams.codec).clone().unwrap_or_default();
        let container = lock(&self.streams.container).clone();
        let format = first
            .caps()
            .and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok())
            .ok_or_else(|| ClipError::NoFrames {
                path: self.path.clone(),
                detail: "the decoder names no format".to_owned(),
            })?;
        let fps = Some(format.fps())
            .filter(|rate| rate.numer() > 0 && rate.denom() > 0)
            .map(|rate| f64::from(rate.numer()) / f64::from(rate.denom()));
        let mut warnings = Vec::new();
        let is_bare = container.is_none();
        if is_bare {
            warnings.push(format!(
                "a bare {codec} stream has no times; its pictures are counted at {} per second",
                fps.unwrap_or(USUAL_FPS)
            ));
        }
        if is_cut_avi(&self.path) {
            warnings.push("the file ended before its announced length; it is truncated".to_owned());
        }
        let duration = Some(&self.pipeline)
            .filter(|_| !is_bare)
            .and_then(ElementExtManual::query_duration::<gst::ClockTime>)
            .map(|duration| Seconds(duration.seconds_f64()));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
        let frames_estimate = duration
            .zip(fps)
            .map(|(duration, fps)| (duration.0 * fps).round() as u64);
        Ok(ClipReader {
            info: ClipInfo {
                duration,
                frames_estimate,
                fps,
                width: format.width(),
                height: format.height(),
                codec,
                container: container.unwrap_or_else(|| "bare stream".to_owned()),
            },
            path: self.path.clone(),
            time: MediaTime::new(start, fps.unwrap_or(USUAL_FPS), is_bare),
            pipeline: self.pipeline.clone(),
            bus,
            sink: self.sink.clone(),
            pending: Some(first),
            shown: None,
            start,
            given: 0,
            judge: Judge::new(true),
            rhythm: Rhythm::default(),
            lacking: LackWatch::default(),
            garbage: None,
            damage: None,
            size: (format.width(), format.height()),
            resized: None,
            pace: Pace::new(None),
            promised: None,
            has_ended: false,
            warnings,
            streams: Arc::clone(&self.streams),
            unread: None,
        })
    }

    fn first(&self, bus: &gst::Bus) -> Result<gst::Sample, ClipError> {
        if self.pipeline.set_state(gst::State::Playing).is_err() {
            return Err(self.not_started());
        }
        let began = Instant::now();
        let mut moved = began;
        let mut failed: Option<(String, Instant)> = None;
        loop {
            let is_read = self.streams.is_attached.load(Ordering::Acquire);
            if is_read && let Some(sample) = self.sink.try_pull_sample(POLL) {
                return Ok(sample);
            }
            if let Some(fault) = lock(&self.streams.fault).take() {
                return Err(fault_error(&self.path, fault));
            }
            // One look for both: looking for one kind throws the other away.
            let patience = if is_read { gst::ClockTime::ZERO } else { POLL };
            let mut has_ended = is_read && self.sink.is_eos();
            if let Some(message) =
                bus.timed_pop_filtered(patience, &[gst::MessageType::Eos, gst::MessageType::Error])
            {
                match said(&message) {
                    Some(error) => failed = failed.or(Some(error)),
                    None => has_ended = true,
                }
            }
            if is_read || !self.streams.is_idle() {
                moved = Instant::now();
            } else if moved.elapsed() > IDLE {
                failed.get_or_insert_with(|| ("nothing in it can be read".to_owned(), moved));
            }
            let is_complete = self.streams.is_complete.load(Ordering::Acquire);
            let is_given_up = failed
                .as_ref()
                .is_some_and(|(_, since)| !is_read || since.elapsed() > DRAIN);
            if is_given_up || (is_read && has_ended) {
                return Err(self.no_picture(is_read, failed.map(|(detail, _)| detail)));
            }
            // Asked last: the stream may have come meanwhile.
            if (has_ended || is_complete) && lock(&self.streams.codec).is_none() {
                return Err(ClipError::NoVideo(self.path.clone()));
            }
            if began.elapsed() > PATIENCE {
                return Err(ClipError::Stalled {
                    path: self.path.clone(),
                    waited_s: PATIENCE.as_secs(),
                });
            }
        }
    }

    fn no_picture(&self, is_read: bool, detail: Option<String>) -> ClipError {
        let path = self.path.clone();
        let detail = detail.unwrap_or_else(|| "the stream is empty".to_owned());
        if is_read {
            ClipError::NoFrames { path, detail }
        } else {
            ClipError::NotMedia { path, detail }
        }
    }

    /// The state change failed at once; the bus may know why.
    fn not_started(&self) -> ClipError {
        let said = self.pipeline.bus().and_then(|bus| error_on(&bus));
        ClipError::Pipeline {
            path: self.path.clone(),
            detail: said.map_or_else(|| "the pipeline does not start".to_owned(), |(d, _)| d),
        }
    }
}
