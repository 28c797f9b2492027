//! Whether the pictures that go into a decoder refer to what has gone in before.
//!
//! A picture that was lost whole is missed by nobody: the decoder puts another in its place
//! and goes on, and what follows is drawn onto the wrong ground. So it is found out
//! before the decoder: by packets that are missing (live), and by the numbers of H.264's
//! pictures ([`FrameNumbers`]), wherever these come from. Pictures that nobody refers to may
//! be left out, and are not missed.
//!
//! From there to the next key picture all that is sent is broken. Where a stream has
//! none for long, most of a picture has been sent anew after some seconds.

use std::collections::VecDeque;

use gstreamer as gst;

use crate::encoded::frame_number::{FrameNumbers, Told};
use crate::encoded::unit::{nal_behind_length, nal_units};

/// Cameras that refresh slowly send no key picture for minutes; by then most of a
/// picture has been sent anew (µs).
const SPOILT_FOR: i64 = 4_000_000;
/// Where key pictures come regularly one is waited for, but no longer (µs).
const MOST_BETWEEN_KEYS: i64 = 30_000_000;
/// Key pictures whose distances are remembered.
const DISTANCES: usize = 4;

/// Follows what goes into one decoder, in the order of sending.
#[derive(Debug, Default)]
pub(crate) struct Continuity {
    /// The caps by which units are read, and how.
    form: Option<(gst::Caps, Form)>,
    numbers: FrameNumbers,
    run: Run,
    /// Packets were lost before the next one.
    is_torn: bool,
    /// Whether buffers say that packets were lost before them. Those of a file say much.
    tells_gaps: bool,
    has_begun: bool,
}

/// How a stream's units are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// H.264, each unit behind its length of so many bytes, or behind a start code.
    H264 { length_size: Option<usize> },
    /// What refers to other pictures in another way.
    Other,
    /// Each picture for itself.
    Alone,
}

/// What has become of a picture that goes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// It may refer to one that never came.
    pub(crate) is_broken: bool,
    /// From it on all is right, whatever was before.
    pub(crate) is_clean: bool,
}

impl Continuity {
    /// Of a camera: buffers say where packets were lost.
    pub(crate) fn of_packets() -> Self {
        Self {
            tells_gaps: true,
            ..Self::default()
        }
    }

    /// Packets were lost before the next picture, or in it.
    pub(crate) fn tear(&mut self) {
        self.is_torn = true;
    }

    /// Whether what was sent last may refer to what never came.
    pub(crate) fn is_broken(&self) -> bool {
        self.run.broken.is_some()
    }

    /// For how long pictures are spoilt where no key picture comes (µs).
    pub(crate) fn spoilt_for(&self) -> i64 {
        self.run.spoilt_for()
    }

    /// The next picture goes in.
    pub(crate) fn heed(
        &mut self,
        caps: Option<&gst::Caps>,
        buffer: &gst::BufferRef,
        media: Option<i64>,
    ) -> Passed {
        let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let form = self.form(caps);
        // The first one follows nothing.
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let is_marked = self.tells_gaps && buffer.flags().contains(gst::BufferFlags::DISCONT);
        let is_torn = std::mem::take(&mut self.is_torn) || (is_marked && !is_first);
        let told = match form {
            Form::Alone => {
                return Passed {
                    is_broken: false,
                    is_clean: true,
                };
            }
            Form::Other => Told::default(),
            Form::H264 { length_size } => {
                buffer
                    .map_readable()
                    .map_or(Told::default(), |bytes| match length_size {
                        Some(size) => self.numbers.heed(nal_behind_length(&bytes, size), is_key),
                        None => self.numbers.heed(nal_units(&bytes), is_key),
                    })
            }
        };
        self.run.sent(Sent {
            media,
            is_key,
            is_torn,
            // libav says what a key picture of H.264 lacks; of others it need not.
            is_key_doubted: form == Form::Other,
            told,
        })
    }

    fn form(&mut self, caps: Option<&gst::Caps>) -> Form {
        match (&self.form, caps) {
            (Some((known, form)), Some(caps)) if known == caps => *form,
            (_, Some(caps)) => {
                let form = self.read_form(caps);
                self.form = Some((caps.clone(), form));
                form
            }
            (_, None) => Form::Other,
        }
    }

    /// Parameter sets may be in the caps instead of the stream (avcC, ISO/IEC 14496-15).
    fn read_form(&mut self, caps: &gst::CapsRef) -> Form {
        let Some(structure) = caps.structure(0) else {
            return Form::Other;
        };
        match structure.name().as_str() {
            "video/x-h264" => {}
            "image/jpeg" => return Form::Alone,
            _ => return Form::Other,
        }
        let data = structure.get::<gst::Buffer>("codec_data").ok();
        let data = data.as_ref().and_then(|data| data.map_readable().ok());
        let length_size = data.as_ref().and_then(|data| {
            let sets = |count: u8, rest: &mut &[u8], numbers: &mut FrameNumbers| {
                for _ in 0..count {
                    let (length, after) = rest.split_first_chunk::<2>()?;
                    let set = after.get(..usize::from(u16::from_be_bytes(*length)))?;
                    numbers.heed(std::iter::once(set), true);
                    *rest = &after[set.len()..];
                }
                Some(())
            };
            let (head, mut rest) = data.split_first_chunk::<6>()?;
            if sets(head[5] & 31, &mut rest, &mut self.numbers).is_some()
                && let Some((count, mut rest)) = rest.split_first()
            {
                sets(*count, &mut rest, &mut self.numbers);
            }
            Some(usize::from(head[4] & 3) + 1)
        });
        Form::H264 { length_size }
    }
}

/// A picture that goes in.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    media: Option<i64>,
    is_key: bool,
    /// Packets were lost before it, or in it.
    is_torn: bool,
    /// Nobody says what a torn key picture lacks.
    is_key_doubted: bool,
    told: Told,
}

/// Pictures in the order of sending, as far as they refer to each other.
#[derive(Debug, Default)]
struct Run {
    broken: Option<Broken>,
    /// Shown before this time (µs): they were sent after a key picture and may refer to
    /// what was broken before that.
    leading: Option<i64>,
    last_key: Option<i64>,
    between_keys: VecDeque<i64>,
}

/// A picture never came.
#[derive(Clone, Copy, Debug)]
struct Broken {
    /// The media time of the picture that missed it (µs), where the stream has times.
    since: Option<i64>,
    /// So many references more, and all has been sent anew.
    recovers_after: Option<u32>,
}

impl Run {
    fn spoilt_for(&self) -> i64 {
        let usual = self.between_keys.iter().copied().max();
        usual.map_or(SPOILT_FOR, |usual| {
            usual.saturating_add(usual / 4).max(SPOILT_FOR)
        })
    }

    fn sent(&mut self, sent: Sent) -> Passed {
        let is_whole_at_once = sent.told.recovers_after.unwrap_or(0) == 0;
        if sent.is_key {
            self.note_key(sent.media);
            self.leading = None;
        }
        if sent.is_key && is_whole_at_once {
            if self.broken.take().is_some() {
                self.leading = sent.media;
            }
            if sent.is_torn && sent.is_key_doubted {
                self.break_at(sent.media);
            }
            return Passed {
                is_broken: self.broken.is_some(),
                is_clean: self.broken.is_none(),
            };
        }
        let is_clean = sent.is_key && self.broken.is_none() && !sent.is_torn;
        let has_recovered = self.recovers(sent);
        if sent.is_torn || sent.told.misses_one {
            self.break_at(sent.media);
        } else if has_recovered || self.is_over(sent.media) {
            self.broken = None;
        }
        if sent.is_key
            && let Some(broken) = &mut self.broken
        {
            broken.recovers_after = sent.told.recovers_after;
        }
        let is_leading = match (self.leading, sent.media) {
            (Some(key), Some(media)) => media < key,
            _ => false,
        };
        Passed {
            is_broken: self.broken.is_some() || is_leading,
            is_clean: is_clean || (has_recovered && self.broken.is_none()),
        }
    }

    /// Counts a reference after a recovery point; whether it is the last that was to come.
    fn recovers(&mut self, sent: Sent) -> bool {
        let left = self.broken.as_mut().and_then(|b| b.recovers_after.as_mut());
        let Some(left) = left else { return false };
        *left = left.saturating_sub(u32::from(sent.told.is_reference));
        *left == 0
    }

    fn break_at(&mut self, media: Option<i64>) {
        self.broken = Some(Broken {
            since: media,
            recovers_after: None,
        });
    }

    fn is_over(&self, media: Option<i64>) -> bool {
        match (self.broken.and_then(|broken| broken.since), media) {
            (Some(since), Some(media)) => (media - since).abs() >= self.spoilt_for(),
            _ => false,
        }
    }

    fn note_key(&mut self, media: Option<i64>) {
        if let (Some(last), Some(media)) = (self.last_key, media) {
            let passed = media.saturating_sub(last);
            if (1..=MOST_BETWEEN_KEYS).contains(&passed) {
                if self.between_keys.len() == DISTANCES {
                    self.between_keys.pop_front();
                }
                self.between_keys.push_back(passed);
            } else {
                self.between_keys.clear();
            }
        }
        self.last_key = media.or(self.last_key);
    }
}

#[cfg(test)]
mod tests;
