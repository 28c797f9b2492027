//! The two things that a message can be: a letter, or a dead letter.

use bytes::Bytes;
use protocol::envelope::{Delivery, MAX_ENVELOPE_BYTES};
use protocol::status::{BoxStatus, CameraStatus};
use protocol::{BoxId, CameraId, Event, EventTime, EvidenceManifest, SiteId, topic};

/// What a message turned out to be.
#[derive(Debug)]
pub enum Judged {
    /// It is understood.
    Letter(Box<Letter>),
    /// It is not; it is kept with the reason.
    Dead(Box<DeadLetter>),
    /// An empty retained message: somebody cleared the topic. Nothing to keep.
    Nothing,
}

/// A message that the centre understands.
#[derive(Debug)]
pub struct Letter {
    /// Installation, from the topic.
    pub site: SiteId,
    /// Box, from the topic.
    pub box_id: BoxId,
    /// CloudEvents `source`; with `id` it tells a resend from a new message.
    pub source: String,
    /// CloudEvents `id`.
    pub id: String,
    /// Its place in the box's outbox; absent on status messages.
    pub delivery: Option<Delivery>,
    /// What it says.
    pub content: Content,
    /// The bytes as received: what a signature is over.
    pub body: Bytes,
    /// When it came, by the centre's clock.
    pub received: EventTime,
}

impl Letter {
    /// Where it was published.
    pub fn topic(&self) -> String {
        let (site, box_id) = (&self.site, &self.box_id);
        match &self.content {
            Content::Event(event) => topic::event(site, box_id, &event.camera),
            Content::Evidence(camera, _) => topic::event(site, box_id, camera),
            Content::Camera(status) => topic::camera_state(site, box_id, &status.camera),
            Content::Box(_) => topic::box_state(site, box_id),
        }
    }

    /// The dead letter that it becomes when the store cannot take it.
    pub fn refused(&self, reason: Reason, detail: String) -> DeadLetter {
        DeadLetter {
            topic: self.topic(),
            owner: Some((self.site.clone(), self.box_id.clone())),
            reason,
            detail,
            body: self.body.clone(),
            due: None,
            delivery: self.delivery,
            received: self.received,
        }
    }
}

/// What a [`Letter`] says.
#[derive(Debug)]
pub enum Content {
    /// Something happened in front of a camera.
    Event(Box<Event>),
    /// Which files belong to an event; of which camera.
    Evidence(CameraId, EvidenceManifest),
    /// A camera, now.
    Camera(Box<CameraStatus>),
    /// A box, now.
    Box(BoxStatus),
}

impl Content {
    /// The word for metrics and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Event(_) => "event",
            Self::Evidence(..) => "evidence",
            Self::Camera(_) => "camera_status",
            Self::Box(_) => "box_status",
        }
    }
}

/// Why a message could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The bytes are not JSON.
    NotJson,
    /// Longer than [`protocol::envelope::MAX_ENVELOPE_BYTES`].
    TooLarge,
    /// JSON, but not an envelope of version 1.0.
    NotAnEnvelope,
    /// An envelope of a type that this version does not know.
    UnknownType,
    /// The content does not fit the envelope's type.
    WrongContent,
    /// The envelope or its content names another source than the topic does.
    WrongSource,
    /// Captured later than the centre's clock plus the tolerance.
    FromTheFuture,
    /// A topic that no box may publish on.
    UnknownTopic,
    /// The database would not take it although others go in.
    RefusedByStore,
}

impl Reason {
    /// Every reason, so that each has a metric from the start.
    pub const ALL: [Self; 9] = [
        Self::NotJson,
        Self::TooLarge,
        Self::NotAnEnvelope,
        Self::UnknownType,
        Self::WrongContent,
        Self::WrongSource,
        Self::FromTheFuture,
        Self::UnknownTopic,
        Self::RefusedByStore,
    ];

    /// Whether what is wrong may be with this centre or with the hour, and not
    /// with the message: a box that is newer than the centre says things that
    /// only the next version of the centre understands.
    pub const fn may_be_mended(self) -> bool {
        match self {
            Self::UnknownType
            | Self::WrongContent
            | Self::FromTheFuture
            | Self::UnknownTopic
            | Self::RefusedByStore => true,
            Self::NotJson | Self::TooLarge | Self::NotAnEnvelope | Self::WrongSource => false,
        }
    }

    /// The word in the database, in metrics and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::TooLarge => "too_large",
            Self::NotAnEnvelope => "not_an_envelope",
            Self::UnknownType => "unknown_type",
            Self::WrongContent => "wrong_content",
            Self::WrongSource => "wrong_source",
            Self::FromTheFuture => "from_the_future",
            Self::UnknownTopic => "unknown_topic",
            Self::RefusedByStore => "refused_by_store",
        }
    }
}

/// A message that the centre cannot take, as it is kept.
#[derive(Debug)]
pub struct DeadLetter {
    /// Where it was published.
    pub topic: String,
    /// Whose it is, where the topic says so.
    pub owner: Option<(SiteId, BoxId)>,
    /// Why it was not taken.
    pub reason: Reason,
    /// What exactly is wrong.
    pub detail: String,
    /// The bytes as received; what is kept of them is for
    /// [`DeadLetter::head`] and [`DeadLetter::may_be_mended`] to say.
    pub body: Bytes,
    /// From when on it is not from the future any more, where that is the reason.
    pub due: Option<EventTime>,
    /// Its place in the outbox, where that much could be read.
    pub delivery: Option<Delivery>,
    /// When it came, by the centre's clock.
    pub received: EventTime,
}

impl DeadLetter {
    /// How much of every dead letter is kept for the engineer, in bytes.
    pub const HEAD: usize = 4096;

    /// Its beginning.
    pub fn head(&self) -> &[u8] {
        &self.body[..self.body.len().min(Self::HEAD)]
    }

    /// Whether a newer centre, a later hour or a healed database may take it,
    /// so that the whole of it is kept and judged again. Never a state: the
    /// next one says more than the last.
    pub fn may_be_mended(&self) -> bool {
        self.reason.may_be_mended()
            && self.body.len() <= MAX_ENVELOPE_BYTES
            && !self.topic.ends_with("/state")
    }
}
