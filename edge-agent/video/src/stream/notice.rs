//! What a stream tells besides its frames.

use std::time::Duration;

use protocol::{EventTime, TimeQuality};
use serde::Serialize;

use super::garbage::Garbage;
use crate::decoder::DecoderInUse;

/// Why there are no pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LossReason {
    /// The host is there, but nobody listens on the port.
    Refused,
    /// The address is right, but the path is not.
    NotFound,
    /// The user or the password is wrong, or is not allowed.
    Unauthorised,
    /// No answer in time.
    TimedOut,
    /// Connected, but nothing comes.
    Silent,
    /// The camera ended the stream or the connection.
    Closed,
    /// Packets come, but no picture can be made of them.
    Decode,
    /// The camera sends a codec that cannot be read here.
    Unsupported,
    /// The URL is not one.
    BadAddress,
    /// The decoder makes garbage of the stream; another one is tried at once.
    Garbage,
    /// The camera began its timestamps anew in the middle of a connection.
    TimesRestarted,
    /// The camera sends another codec than the session was told of: somebody has changed it.
    CodecChanged,
    /// Anything else; the message has the words of the layer that failed.
    Failed,
}

impl LossReason {
    /// The word, as a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NotFound => "not_found",
            Self::Unauthorised => "unauthorised",
            Self::TimedOut => "timed_out",
            Self::Silent => "silent",
            Self::Closed => "closed",
            Self::Decode => "decode",
            Self::Unsupported => "unsupported",
            Self::BadAddress => "bad_address",
            Self::Garbage => "garbage",
            Self::TimesRestarted => "times_restarted",
            Self::CodecChanged => "codec_changed",
            Self::Failed => "failed",
        }
    }
}

/// Something the operator, or the scene, should know.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Trying for the `attempt`th time since the start, from 1.
    Connecting {
        /// From 1.
        attempt: u64,
    },
    /// The first picture of a connection is there.
    Connected {
        /// As people call it, for example `H.264`.
        codec: String,
        /// What makes pictures of it; none where it is only kept.
        decoder: Option<DecoderInUse>,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// No pictures any more, or still none. Ends a [`Frozen`](Self::Frozen).
    Lost {
        /// Which kind of fault.
        reason: LossReason,
        /// What failed and what to do.
        message: String,
        /// When the next attempt is made.
        retry_in: Duration,
    },
    /// Pictures come, but always the same one.
    Frozen {
        /// Time of the first of them.
        since: EventTime,
    },
    /// The picture moves again.
    Thawed,
    /// The stream's time has jumped: what lies between is not known.
    ///
    /// Forward (`to` > `from`) or back (`to` < `from`); frames go on from `to`.
    ClockStep {
        /// Time of the last frame before.
        from: EventTime,
        /// Time of the first frame after.
        to: EventTime,
    },
    /// A decoder is not used any more for this camera.
    DecoderRejected {
        /// GStreamer's name of it.
        decoder: String,
        /// What it did: "makes green pictures of this stream".
        reason: String,
    },
    /// Pictures come, but no decoder makes anything good of them: it is the stream.
    Garbage {
        /// What they are: "green pictures".
        what: &'static str,
    },
    /// Pictures are good again.
    GarbageOver,
    /// Another clock is now behind the frames' times.
    TimeQualityChanged(TimeQuality),
    /// The picture has another size than before.
    PictureChanged {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}

/// Counts since the stream was started, over all connections.
///
/// `received` = `analysed` + all `dropped_*` except `dropped_backlog`, + 1 if
/// a frame is waiting. What is left out is not received either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamCounters {
    /// Decoded pictures.
    pub received: u64,
    /// Frames taken.
    pub analysed: u64,
    /// A newer frame came before this one was taken.
    pub dropped_overwritten: u64,
    /// More than `analysed_fps`.
    pub dropped_rate: u64,
    /// Damaged: the decoder said so, or it is [`garbage`](Self::garbage).
    pub dropped_corrupt: u64,
    /// The part of `dropped_corrupt` that no camera sends, by what it was.
    pub garbage: GarbageCounters,
    /// Encoded pictures skipped because decoding could not keep up, and what refers to those.
    pub dropped_backlog: u64,
    /// Decoded before it was known when they were taken: a moment at the beginning of each
    /// connection, and all of the burst that it began with. So are those that refer to what
    /// was sent before the connection and are shown before its first key picture.
    pub dropped_undated: u64,
    /// Encoded pictures of which the decoder made none, or one that it calls
    /// damaged. Decoders hide small damage and call it nothing.
    pub decode_errors: u64,
    /// Encoded pictures that no other refers to, left out for `analysed_fps`.
    pub left_out_unreferenced: u64,
    /// Encoded pictures between key pictures, left out while nothing happened.
    pub left_out_idle: u64,
    /// Places where packets were lost on the way; pictures may be damaged from
    /// there to the next key picture.
    pub packet_gaps: u64,
    /// Times that several pictures in a row were missing, though nobody left them out.
    pub holes: u64,
    /// Pictures with times that cannot be, because the camera's clock was set back or
    /// it stamps them wrongly: what is measured up to them is wrong.
    pub times_wrong: u64,
    /// Connections tried after the first.
    pub reconnects: u64,
    /// Decoders given up on this stream.
    pub decoders_rejected: u64,
}

/// Pictures that were garbage, by what they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GarbageCounters {
    /// Chroma of zero.
    pub green: u64,
    /// The middle of all planes.
    pub grey: u64,
    /// One strong colour.
    pub chroma: u64,
    /// A lower part that repeats.
    pub torn: u64,
}

impl GarbageCounters {
    /// All of them with their words, as labels of a metric.
    pub const fn by_reason(&self) -> [(&'static str, u64); 4] {
        [
            (Garbage::Green.as_str(), self.green),
            (Garbage::Grey.as_str(), self.grey),
            (Garbage::Chroma.as_str(), self.chroma),
            (Garbage::Torn.as_str(), self.torn),
        ]
    }

    /// All together.
    pub const fn total(&self) -> u64 {
        self.green + self.grey + self.chroma + self.torn
    }
}

impl StreamCounters {
    /// Frames not looked at, all reasons together.
    pub const fn dropped(&self) -> u64 {
        self.dropped_overwritten
            + self.dropped_rate
            + self.dropped_corrupt
            + self.dropped_backlog
            + self.dropped_undated
    }
}
