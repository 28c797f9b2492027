//! What speaks against a picture that comes out of a decoder, by the decoder's own words and
//! by what is missing among those that went in: the same for a camera and for a recording, so that a replay judges by the pictures
//! that the box would have judged by.
//!
//! And has a decoder begin anew where it could not go on rightly (see [`continuity`](super::continuity)).
//!
//! Looks at what is said of pictures, not at them; that does
//! [`garbage`](crate::stream::garbage).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;

use super::continuity::{Continuity, Leads};
use super::said::{self, Damage};

/// Why a picture is not to be judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Some of it is made up.
    Damaged,
    /// It refers to one of which much was made up, or that never came.
    Spoilt,
    /// It refers to what was sent before the first key picture, and is shown before that one:
    /// nothing is wrong with it, and nobody can ever see it.
    Early,
    /// It refers to what was skipped because the box is behind: nothing is wrong with it.
    Skipped,
}

/// Looks at what comes out of one decoder, in order.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// Pictures refer to one that was made up.
    spoilt: Option<Spoilt>,
    /// Media times of key pictures that went in and have not come out. What comes out does
    /// not say that it is one: GStreamer keeps that mark for encoded pictures.
    keys: VecDeque<Option<i64>>,
    /// What goes in.
    continuity: Continuity,
    /// Media times of pictures that went in and refer to what never came.
    broken: VecDeque<i64>,
    /// The same of those that were sent behind a key picture and are shown before it.
    leading: VecDeque<(i64, Leads)>,
    /// Pictures go in without a time.
    is_bare: bool,
    /// What the decoder says now is about this.
    about: About,
    /// What it said of the one before, if nothing has come out since.
    owed: Option<Damage>,
    /// A decoder of libav's: what it makes of the beginning of a stream is known.
    is_software: bool,
}

/// What a decoder's words are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum About {
    /// Nothing has gone in yet: a stream for which the same thread worked before.
    #[default]
    AnotherStream,
    Picture,
    /// One that leads a key picture, of which it is known that it cannot be decoded.
    Leading,
}

/// Pictures refer to one of which much was made up.
#[derive(Clone, Copy, Debug)]
struct Spoilt {
    /// Its media time (µs), where the stream has times.
    since: Option<i64>,
}

/// More key pictures than these are in no decoder, nor more pictures at all.
const MOST_KEYS: usize = 64;

impl Screen {
    /// Of a camera, whose packets get lost.
    pub(crate) fn of_packets(is_software: bool) -> Self {
        Self {
            continuity: Continuity::of_packets(),
            is_software,
            ..Self::default()
        }
    }

    /// Of a recording, which software decodes.
    pub(crate) fn of_recording() -> Self {
        Self {
            is_software: true,
            ..Self::default()
        }
    }

    /// A picture that packets were lost before was left out: they are missing before the
    /// next one.
    pub(crate) fn tear(&mut self) {
        self.continuity.tear();
    }

    /// The picture of this media time (µs) is not decoded, because the box is behind.
    pub(crate) fn skip(&mut self, media: i64) {
        self.continuity.skip(media);
    }

    /// Packets are missing before the picture of this media time (µs), and none of its own.
    pub(crate) fn is_whole_behind_gap(&mut self, media: i64) {
        self.continuity.is_whole_behind_gap(media);
    }

    /// Packets are missing that may be of the picture of this media time (µs).
    pub(crate) fn is_hurt_itself(&mut self, media: i64) {
        self.continuity.is_hurt_itself(media);
    }

    /// A picture goes into the decoder, on `pad` and on this thread, as the decoder is to be told
    /// of it. Whether it is to [`forget`] before that what it has.
    #[must_use]
    pub(crate) fn fed(&mut self, pad: &gst::Pad, buffer: &mut gst::Buffer) -> bool {
        let said = said::take();
        // Threads are used again: what was said of another stream is not of this one.
        if self.about == About::Picture {
            self.owed = said.or(self.owed);
        }
        let media = media_time(buffer);
        self.is_bare = media.is_none();
        let caps = pad.current_caps();
        let passed = self.continuity.heed(caps.as_ref(), buffer, media);
        self.about = if passed.leads.is_some() {
            About::Leading
        } else {
            About::Picture
        };
        match (passed.leads, media) {
            (Some(leads), Some(media)) => keep(&mut self.leading, (media, leads)),
            (None, Some(media)) if passed.is_broken => keep(&mut self.broken, media),
            _ => {}
        }
        if passed.is_clean {
            keep(&mut self.keys, media);
        }
        if !self.is_software {
            return false;
        }
        if let Some(counted) = self.continuity.counted(buffer) {
            *buffer = counted;
        }
        passed.begins
    }

    /// What the picture of this media time refers to, where it is shown before the key picture
    /// that it was sent behind.
    fn leads(&self, media: Option<i64>) -> Option<Leads> {
        let it = self.leading.iter().find(|(led, _)| Some(*led) == media);
        it.map(|(_, leads)| *leads)
    }

    /// Whether what comes out with this media time refers to what never came. Those of bare
    /// streams are taken for what went in last.
    fn is_broken(&self, media: Option<i64>) -> bool {
        let Some(media) = media.filter(|_| !self.is_bare) else {
            return self.continuity.is_broken();
        };
        // For a missing picture libav may give out another one twice.
        self.broken.contains(&media)
    }

    /// Whether what comes out with this media time is a key picture. Pictures come out in
    /// the order in which they are shown. Those of bare streams go in without a time: of them
    /// the next one is taken for it.
    fn is_key(&mut self, media: Option<i64>) -> bool {
        let is_key = self.keys.iter().any(|key| key.is_none() || *key == media);
        self.keys.retain(|key| media.is_some() && *key > media);
        is_key
    }

    /// What speaks against the picture that comes out of `pad` now, on this thread.
    pub(crate) fn look(&mut self, pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<Flaw> {
        let said = said::take().filter(|_| self.about != About::Leading);
        let said = said.or(self.owed.take());
        if let Some(leads) = self.leads(media_time(buffer)) {
            // Of the key picture behind it, which comes out after it.
            self.owed = said;
            return Some(match leads {
                Leads::First => Flaw::Early,
                Leads::Skipped => Flaw::Skipped,
                Leads::Broken => Flaw::Spoilt,
            });
        }
        let made_up = said.map(|damage| is_heavy(damage, pad));
        let is_spoilt = self.is_spoilt(buffer, made_up) | self.is_broken(media_time(buffer));
        if made_up.is_some() || buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
            Some(Flaw::Damaged)
        } else {
            is_spoilt.then_some(Flaw::Spoilt)
        }
    }

    /// Whether a picture refers to one of which much was made up: from there to the
    /// next key picture, or for some seconds where none comes.
    ///
    /// `made_up`: the decoder has filled in what it did not know, heavily or a little.
    fn is_spoilt(&mut self, buffer: &gst::BufferRef, made_up: Option<bool>) -> bool {
        let media = media_time(buffer);
        let is_key = self.is_key(media);
        let is_over = match (self.spoilt.and_then(|spoilt| spoilt.since), media) {
            (Some(since), Some(media)) => {
                !(0..self.continuity.spoilt_for()).contains(&(media - since))
            }
            _ => false,
        };
        if is_key || is_over {
            self.spoilt = None;
        }
        if made_up == Some(true) {
            self.spoilt.get_or_insert(Spoilt { since: media });
        }
        self.spoilt.is_some()
    }
}

/// With the latest of those that there may be at all.
fn keep<T>(kept: &mut VecDeque<T>, it: T) {
    if kept.len() == MOST_KEYS {
        kept.pop_front();
    }
    kept.push_back(it);
}

fn media_time(buffer: &gst::BufferRef) -> Option<i64> {
    let pts = buffer.pts()?;
    i64::try_from(pts.useconds()).ok()
}

/// Whether much of the picture that comes out of `pad` was made up.
fn is_heavy(damage: Damage, pad: &gst::Pad) -> bool {
    let caps = pad.current_caps();
    let structure = caps.as_ref().and_then(|caps| caps.structure(0));
    let side = |name: &str| structure.and_then(|s| s.get::<i32>(name).ok());
    match (side("width"), side("height")) {
        (Some(width), Some(height)) => damage.is_heavy(width, height),
        _ => true,
    }
}

/// The decoder behind `pad` gives out what it holds, and forgets what it has decoded.
///
/// GStreamer's decoders do so where a still picture begins, as on a DVD: the one word for it that
/// leaves the pipeline as it is. (Flushing takes away what others have not looked at yet; a
/// discontinuity changes nothing in 1.22.)
pub(crate) fn forget(pad: &gst::Pad) {
    let event = gst_video::StillFrameEvent::builder(true).build();
    // Refused by who is being shut down.
    let _is_taken = pad.send_event(event);
}

/// What a [`Flaw`] is on its way through elements, which keep flags and know no flaws.
fn marks(flaw: Flaw) -> gst::BufferFlags {
    match flaw {
        Flaw::Damaged => gst::BufferFlags::CORRUPTED,
        Flaw::Spoilt | Flaw::Early | Flaw::Skipped => {
            gst::BufferFlags::CORRUPTED | gst::BufferFlags::DROPPABLE
        }
    }
}

/// Marks what comes out of `decoder`, for who asks [`marked`] further on.
pub(crate) fn mark(decoder: &gst::Element) {
    let (Some(input), Some(output)) = (decoder.static_pad("sink"), decoder.static_pad("src"))
    else {
        return;
    };
    let screen = Arc::new(Mutex::new(Screen::of_recording()));
    let fed = Arc::clone(&screen);
    input.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(buffer) = info.buffer_mut() {
            let begins = locked(&fed).fed(pad, buffer);
            if begins {
                forget(pad);
            }
        }
        gst::PadProbeReturn::Ok
    });
    output.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(buffer) = info.buffer_mut() {
            let flaw = locked(&screen).look(pad, buffer);
            match flaw {
                Some(Flaw::Early) => return gst::PadProbeReturn::Drop,
                Some(flaw) => buffer.make_mut().set_flags(marks(flaw)),
                None => {}
            }
        }
        gst::PadProbeReturn::Ok
    });
}

fn locked(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What [`mark`] found.
pub(crate) fn marked(buffer: &gst::BufferRef) -> Option<Flaw> {
    [Flaw::Spoilt, Flaw::Damaged]
        .into_iter()
        .find(|flaw| buffer.flags().contains(marks(*flaw)))
}
