//! Reads a recorded clip: every frame, in order, as fast as the machine allows.
//!
//! Which pictures are too damaged to judge by is found out as it is of a camera's, by the
//! same code: a replay is to say what the box would have said.

mod opening;

use std::path::PathBuf;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use protocol::units::Seconds;
use protocol::{EventTime, TimeQuality};

use super::error::ClipError;
use super::media_time::MediaTime;
use super::streams::Streams;
use super::waiting::{Next, wait};
use crate::decoder::screen::{Flaw, marked};
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
    /// The file ends before its own end.
    is_cut: bool,
    warnings: Vec<String>,
    streams: Arc<Streams>,
    /// Why not all of its pictures were read.
    unread: Option<String>,
}

/// Threads of the decoder. More cost a sixth more per picture, what they make of a damaged picture depends
/// on their race, and the detector is slower than one of them.
pub(super) const THREADS: i32 = 1;

impl ClipReader {
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

    /// Why not all of its pictures were read, once
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
            Some(Flaw::Spoilt | Flaw::Early | Flaw::Skipped) => return Some(false),
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
        if self.is_cut {
            self.unread = Some(format!(
                "the file is cut off, it announces more than there is of it: reading ended {at}; \
                 where it is whole elsewhere, copy it again"
            ));
        } else if let Some(error) = error {
            self.unread = Some(format!("reading ended with an error {at}: {error}"));
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
                "reading ended {at}, but the file announces {:.1} s; it may be truncated, or have more sound",
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
