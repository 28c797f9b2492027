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
//!
//! That key picture may forget nothing, and be whole all the same (an open group). What is sent
//! behind it and shown before it refers to what is not there; all else is right, if the decoder
//! begins with it as a new one would. So it is to forget what it has, and the numbers that it is
//! told have no gap ([`Renumbering`]): libav fills one with pictures that it makes up, and inside
//! GStreamer's element loses the key picture itself over that.

use std::collections::VecDeque;

use gstreamer as gst;

use crate::encoded::frame_number::{FrameNumbers, Told};
use crate::encoded::parameters::are_of_whole;
use crate::encoded::picture_order::{PictureOrder, Placed};
use crate::encoded::renumbered::Renumbering;
use crate::encoded::unit::{nal_behind_length, nal_units};

/// Cameras that refresh slowly send no key picture for minutes; by then most of a
/// picture has been sent anew (µs).
const SPOILT_FOR: i64 = 4_000_000;
/// Where key pictures come regularly one is waited for, but no longer (µs).
const MOST_BETWEEN_KEYS: i64 = 30_000_000;
/// Key pictures whose distances are remembered.
const DISTANCES: usize = 4;
/// No picture is overtaken by more: what is sent behind a key picture with times before it is
/// then no part of an open group, but stamped by a clock that was set back.
const MOST_LEADING: u8 = 16;
/// More of those that were skipped last, and of those that are whole behind a gap, need not be
/// remembered.
const MOST_REMEMBERED: usize = 64;

/// Follows what goes into one decoder, in the order of sending.
#[derive(Debug, Default)]
pub(crate) struct Continuity {
    /// The caps by which units are read, and how.
    form: Option<(gst::Caps, Form)>,
    numbers: FrameNumbers,
    /// How the pictures are counted that go into the decoder.
    counting: Renumbering,
    order: PictureOrder,
    run: Run,
    /// Packets were lost before the next one.
    is_torn: bool,
    /// Whether buffers say that packets were lost before them. Those of a file say much.
    tells_gaps: bool,
    has_begun: bool,
    /// Media times of pictures that were not decoded because the box is behind.
    skipped: VecDeque<i64>,
    /// The same of those that are whole though packets were lost right before them.
    whole: VecDeque<i64>,
}

/// How a stream's units are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// H.264, each unit behind its length of so many bytes, or behind a start code.
    H264 { length_size: Option<usize> },
    /// H.265, in the same ways. A decoder itself leaves out what it cannot show, where it begins.
    H265 { length_size: Option<usize> },
    /// What refers to other pictures in another way.
    Other,
    /// Each picture for itself.
    Alone,
}

/// What has become of a picture that goes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// It may refer to one that never came.
    pub(crate) is_broken: bool,
    /// From it on all is right, whatever was before.
    pub(crate) is_clean: bool,
    /// It is shown before the key picture that it was sent behind, and nobody who begins with
    /// that one can decode it.
    pub(crate) leads: Option<Leads>,
    /// The decoder is to forget what it has: all is right for who begins here, and not for who
    /// goes on.
    pub(crate) begins: bool,
}

/// What a picture refers to that is shown before the key picture that it was sent behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    /// To what was sent before the first key picture: nobody is ever shown it.
    First,
    /// To what was skipped, because the box is behind.
    Skipped,
    /// To what never came.
    Broken,
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

    /// The picture of this media time is not decoded, because the box is behind.
    pub(crate) fn skip(&mut self, media: i64) {
        keep(&mut self.skipped, media);
    }

    /// Packets are missing before the picture of this media time, and none of its own.
    pub(crate) fn is_whole_behind_gap(&mut self, media: i64) {
        keep(&mut self.whole, media);
    }

    /// Packets are missing that may be of the picture of this media time.
    pub(crate) fn is_hurt_itself(&mut self, media: i64) {
        self.whole.retain(|whole| *whole != media);
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
        let mut leads_alone = false;
        let told = match form {
            Form::Alone => {
                return Passed {
                    is_clean: true,
                    ..Passed::default()
                };
            }
            Form::Other => Told::default(),
            Form::H265 { length_size } => {
                let placed = self.place(buffer, length_size);
                leads_alone = placed.leads_alone;
                Told {
                    left_out: u32::from(placed.misses_one),
                    begins_anew: placed.begins_anew,
                    ..Told::default()
                }
            }
            Form::H264 { length_size } => {
                buffer
                    .map_readable()
                    .map_or(Told::default(), |bytes| match length_size {
                        Some(size) => self.numbers.heed(nal_behind_length(&bytes, size), is_key),
                        None => self.numbers.heed(nal_units(&bytes), is_key),
                    })
            }
        };
        let is_behind_skipped = is_key && self.passes_skipped(media);
        let is_whole_itself = media.is_some_and(|media| self.whole.contains(&media));
        let passed = self.run.sent(Sent {
            media,
            is_key,
            is_torn,
            // libav says what a key picture of H.264 lacks; of others it need not.
            is_key_doubted: match form {
                Form::H265 { .. } => !is_whole_itself,
                Form::Other => true,
                Form::H264 { .. } | Form::Alone => false,
            },
            is_behind_skipped,
            leads_alone,
            told,
        });
        let is_whole = passed.begins
            && match form {
                Form::H264 { .. } => is_whole(form, buffer),
                Form::H265 { .. } => true,
                Form::Alone | Form::Other => false,
            };
        // libav that has forgotten all believes nothing of H.264 but what is said to be whole. Who
        // has decoded nothing has nothing to forget.
        let is_believed = match form {
            Form::H264 { .. } => told.recovers_after.is_some(),
            _ => true,
        };
        let begins = is_whole && is_believed && !is_first;
        self.count(told, begins || (is_whole && is_first));
        Passed { begins, ..passed }
    }

    /// Whether pictures were skipped between the key picture before and the one of this media
    /// time. Those skipped later may wait behind what is fed now.
    fn passes_skipped(&mut self, media: Option<i64>) -> bool {
        let Some(media) = media else { return false };
        let last = self.run.last_key;
        let is_between = |it: &i64| *it < media && last.is_none_or(|last| *it > last);
        let passes = self.skipped.iter().any(is_between);
        self.skipped.retain(|it| *it >= media);
        passes
    }

    /// What a picture of H.265 says of its place among the others.
    fn place(&mut self, buffer: &gst::BufferRef, length_size: Option<usize>) -> Placed {
        let Ok(bytes) = buffer.map_readable() else {
            return Placed::default();
        };
        match length_size {
            Some(size) => self.order.heed(nal_behind_length(&bytes, size)),
            None => self.order.heed(nal_units(&bytes)),
        }
    }

    /// The same picture as the decoder is to be told of it; none where that is as it came.
    pub(crate) fn counted(&self, buffer: &gst::BufferRef) -> Option<gst::Buffer> {
        let Some((_, Form::H264 { length_size })) = &self.form else {
            return None;
        };
        if self.counting == Renumbering::default() {
            return None;
        }
        let bytes = buffer.map_readable().ok()?;
        let counted = self
            .counting
            .of_picture_in(&self.numbers, &bytes, *length_size)?;
        let mut counted = gst::Buffer::from_slice(counted);
        let metadata = gst::BUFFER_COPY_METADATA;
        buffer.copy_into(counted.get_mut()?, metadata, ..).ok()?;
        Some(counted)
    }

    /// What the decoder is told is counted from zero where it begins with a whole picture, and has
    /// no gap after that: what is behind a gap is broken, and what is right again refers to nothing
    /// before it. A slow refresh that a decoder begins with refers to what libav fills the gap
    /// with; without that its first picture would not be decoded.
    fn count(&mut self, told: Told, begins: bool) {
        let Some(number) = told.number else { return };
        self.counting.by = if told.begins_anew {
            0
        } else if begins {
            number
        } else {
            self.counting.by.wrapping_add(told.left_out)
        };
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

    /// Parameter sets may be in the caps instead of the stream (avcC and hvcC, ISO/IEC 14496-15).
    fn read_form(&mut self, caps: &gst::CapsRef) -> Form {
        let Some(structure) = caps.structure(0) else {
            return Form::Other;
        };
        match structure.name().as_str() {
            "video/x-h264" => {}
            "video/x-h265" => return self.read_h265_form(structure),
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

    fn read_h265_form(&mut self, structure: &gst::StructureRef) -> Form {
        let data = structure.get::<gst::Buffer>("codec_data").ok();
        let data = data.as_ref().and_then(|data| data.map_readable().ok());
        let length_size = data.as_ref().and_then(|data| {
            let (head, mut rest) = data.split_first_chunk::<23>()?;
            // Arrays of sets of one kind.
            let mut sets = Vec::new();
            for _ in 0..head[22] {
                let (array, after) = rest.split_first_chunk::<3>()?;
                rest = after;
                for _ in 0..u16::from_be_bytes([array[1], array[2]]) {
                    let (length, after) = rest.split_first_chunk::<2>()?;
                    let length = usize::from(u16::from_be_bytes(*length));
                    let (set, after) = after.split_at_checked(length)?;
                    sets.push(set);
                    rest = after;
                }
            }
            self.order.heed(sets.into_iter());
            Some(usize::from(head[21] & 3) + 1)
        });
        Form::H265 { length_size }
    }
}

/// Whether a picture of H.264 shows all of the scene by itself.
fn is_whole(form: Form, buffer: &gst::BufferRef) -> bool {
    let (Form::H264 { length_size }, Ok(bytes)) = (form, buffer.map_readable()) else {
        return false;
    };
    match length_size {
        Some(size) => are_of_whole(nal_behind_length(&bytes, size)),
        None => are_of_whole(nal_units(&bytes)),
    }
}

/// With the latest of those that are remembered.
fn keep(remembered: &mut VecDeque<i64>, media: i64) {
    if remembered.len() == MOST_REMEMBERED {
        remembered.pop_front();
    }
    remembered.push_back(media);
}

/// A picture that goes in.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is known of a picture by itself
struct Sent {
    media: Option<i64>,
    is_key: bool,
    /// Packets were lost before it, or in it.
    is_torn: bool,
    /// Nobody says what a torn key picture lacks.
    is_key_doubted: bool,
    /// Others were skipped before it, because the box is behind.
    is_behind_skipped: bool,
    /// It refers to nothing that was sent before its key picture, though it is shown before that.
    leads_alone: bool,
    told: Told,
}

/// Pictures in the order of sending, as far as they refer to each other.
#[derive(Debug, Default)]
struct Run {
    broken: Option<Broken>,
    /// Pictures that are sent now may refer to what was broken before the last key picture.
    leading: Option<Leading>,
    has_key: bool,
    last_key: Option<i64>,
    between_keys: VecDeque<i64>,
}

/// What is sent behind a key picture, and shown before it.
#[derive(Clone, Copy, Debug)]
struct Leading {
    /// When the key picture is shown (µs).
    before: i64,
    leads: Leads,
    /// So many more at the most.
    left: u8,
    /// What is shown behind the key picture may refer to one that leads: its encoder does not
    /// say that it does not.
    is_doubted: bool,
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
            let begins = self.begins_with(sent);
            if sent.is_torn && sent.is_key_doubted {
                self.break_at(sent.media);
            }
            return Passed {
                is_broken: self.broken.is_some(),
                is_clean: self.broken.is_none(),
                leads: None,
                begins: begins && self.broken.is_none(),
            };
        }
        // A slow refresh goes on from what was before it; of a gap there its number alone tells.
        let misses_one = sent.told.misses_one || (sent.is_key && sent.told.left_out > 0);
        let is_clean = sent.is_key && self.broken.is_none() && !sent.is_torn && !misses_one;
        let has_recovered = self.recovers(sent);
        if sent.is_torn || misses_one {
            self.break_at(sent.media);
        } else if has_recovered || self.is_over(sent.media) {
            self.broken = None;
        }
        if sent.is_key
            && let Some(broken) = &mut self.broken
        {
            broken.recovers_after = sent.told.recovers_after;
        }
        let leads = self.leads(sent);
        Passed {
            is_broken: self.broken.is_some() || leads.is_some(),
            is_clean: is_clean || (has_recovered && self.broken.is_none()),
            leads,
            begins: false,
        }
    }

    /// A picture is whole; whether a decoder is to begin with it, because it has not been given
    /// what comes before.
    fn begins_with(&mut self, key: Sent) -> bool {
        let is_first = !std::mem::replace(&mut self.has_key, true);
        let was_broken = self.broken.take().is_some();
        let is_lacking = was_broken || key.is_torn;
        let is_hurt = is_lacking || key.told.left_out > 0 || key.is_behind_skipped;
        // Before others everything is forgotten.
        let is_open = !key.told.begins_anew;
        let leads = if is_first && key.told.number.is_some() {
            Some(Leads::First)
        } else if !is_lacking && key.is_behind_skipped {
            Some(Leads::Skipped)
        } else {
            is_hurt.then_some(Leads::Broken)
        };
        self.leading = match (leads, key.media) {
            (Some(leads), Some(before)) if is_open => Some(Leading {
                before,
                leads,
                left: MOST_LEADING,
                is_doubted: key.told.number.is_some() && !key.told.is_sure_beginning,
            }),
            _ => None,
        };
        is_open && (is_first || is_hurt)
    }

    /// Whether a picture behind a key picture refers to what is not there.
    fn leads(&mut self, sent: Sent) -> Option<Leads> {
        let leading = self.leading.as_mut()?;
        if sent.leads_alone || sent.media? >= leading.before {
            return None;
        }
        let Some(left) = leading.left.checked_sub(1) else {
            self.leading = None;
            return None;
        };
        leading.left = left;
        let (leads, is_doubted) = (leading.leads, leading.is_doubted);
        if is_doubted && sent.told.is_reference {
            self.break_at(sent.media);
        }
        Some(leads)
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
