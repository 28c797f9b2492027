//! Opens a clip: from a path or a folder to the first picture, and what is known by then.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use protocol::EventTime;
use protocol::units::Seconds;

use super::{ClipInfo, ClipReader, THREADS};
use crate::clip::cut::is_cut;
use crate::clip::error::ClipError;
use crate::clip::media_time::MediaTime;
use crate::clip::pictures;
use crate::clip::streams::{StreamFault, Streams, lock};
use crate::clip::waiting::{DRAIN, PATIENCE, POLL, error_on, said};
use crate::decoder::{Selection, codec_name, make_decoder, screen, to_frames};
use crate::stream::judge::Judge;
use crate::stream::lack::LackWatch;
use crate::stream::pace::Pace;
use crate::stream::rhythm::Rhythm;

/// A frame waits for the reader, not the other way round. More would cost time: decoders copy
/// each picture out, and the fewer are on their way, the sooner the memory of one is
/// written again while it is still in the processor's cache.
const AHEAD: u32 = 1;
/// Nothing moves for so long while opening: nothing ever will.
const IDLE: Duration = Duration::from_secs(2);
/// What a stream without a rate is taken for.
const USUAL_FPS: f64 = 25.0;

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
            is_cut: is_cut(&self.path),
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
