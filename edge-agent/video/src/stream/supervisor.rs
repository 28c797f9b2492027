//! Connects, watches, waits, and connects again, until told to stop.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use gstreamer as gst;
use gstreamer::prelude::*;

use super::backoff::Backoff;
use super::decoders::{Circumstances, Decoders};
use super::delivery::EXCUSED;
use super::hang_up::hang_up;
use super::loss::Loss;
use super::notice::{LossReason, Notice};
use super::session::{Memory, Session};
use super::settings::RtspSettings;
use super::slot::{Slot, count};
use crate::decoder::{DecoderInUse, Family, HANGS};

/// How often the watchdog looks.
const TICK: gst::ClockTime = gst::ClockTime::from_mseconds(50);
/// Pictures for so long: the connection was good, and the back-off starts again.
const GOOD: Duration = Duration::from_secs(5);
/// A camera with a "smart" codec sends a key picture every 10 s or more; until
/// the first one nothing can be decoded. Then it is connected to again, and no
/// decoder is blamed for that.
const FIRST_KEY_WITHIN: Duration = Duration::from_secs(20);

/// A decoder that has made nothing of a key picture by then makes nothing of it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

enum End {
    Stopped,
    Lost(Loss),
}

/// Watches a camera until `stop` has a word.
pub(super) fn run(slot: &Arc<Slot>, settings: &RtspSettings, stop: &Receiver<()>) {
    let mut memory = Arc::new(Mutex::new(Memory::new(settings)));
    let mut backoff = Backoff::default();
    let mut decoders = Decoders::new(settings);
    let mut attempt = 0;
    loop {
        attempt += 1;
        if attempt > 1 {
            count(&slot.counts.reconnects);
        }
        slot.notify(Notice::Connecting { attempt });
        let (end, session) = connection(slot, settings, &memory, &mut decoders, &mut backoff);
        let End::Lost(loss) = end else {
            // Whoever stops waits for this thread, and not for a driver.
            if let Some(session) = session {
                hang_up(session, slot);
            }
            return;
        };
        let retry_in = backoff.next(settings, loss.reason, fastrand::f64());
        slot.notify(Notice::Lost {
            reason: loss.reason,
            message: loss.message(&slot.name, settings),
            retry_in,
        });
        // Told first: hanging up takes as long as the connection's threads do.
        let decoder = session
            .as_ref()
            .and_then(|session| session.progress.decoder());
        if let Some(session) = session
            && !hang_up(session, slot)
        {
            // Whoever hangs may hold it.
            memory = Arc::new(Mutex::new(Memory::new(settings)));
            // Whatever was noticed first: what hangs holds a thread each time.
            if let Some(decoder) = decoder
                && let Some(reason) = decoders.hangs(&decoder)
            {
                reject(slot, decoder.name, reason);
            }
        }
        if stop.recv_timeout(retry_in) != Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn reject(slot: &Slot, decoder: String, reason: String) {
    count(&slot.counts.decoders_rejected);
    slot.notify(Notice::DecoderRejected { decoder, reason });
}

/// One connection from beginning to end, which has still to be hung up.
fn connection(
    slot: &Arc<Slot>,
    settings: &RtspSettings,
    memory: &Arc<Mutex<Memory>>,
    decoders: &mut Decoders,
    backoff: &mut Backoff,
) -> (End, Option<Session>) {
    if let Some(fault) = settings.url_fault() {
        return (
            End::Lost(Loss::with_detail(LossReason::BadAddress, fault)),
            None,
        );
    }
    decoders.forgive(Instant::now());
    let session = match Session::start(settings, slot, memory, &decoders.selection) {
        Ok(session) => session,
        Err(loss) => return (End::Lost(loss), None),
    };
    let mut end = watch(slot, settings, &session);
    let seen = circumstances(&session);
    if seen.had_pictures && session.progress.age_of_connection() >= GOOD {
        backoff.reset();
    }
    let had_packets = session.progress.packet_age().is_some();
    if let End::Lost(loss) = &mut end
        && loss.reason == LossReason::Failed
        && !had_packets
        && let Some(found) = Loss::of_no_connection(settings)
    {
        *loss = found;
    }
    if let (End::Lost(loss), Some(decoder)) = (&end, session.progress.decoder())
        && let Some(reason) = decoders.blame(loss, &decoder, seen, Instant::now())
    {
        reject(slot, decoder.name, reason);
    }
    (end, Some(session))
}

fn circumstances(session: &Session) -> Circumstances {
    let progress = &session.progress;
    let unanswered = progress.age(&progress.unanswered);
    let gap = progress.age(&progress.gap);
    Circumstances {
        had_pictures: progress.picture_age().is_some(),
        is_stuck: unanswered.is_some_and(|age| age >= ANSWERS_WITHIN),
        has_lost_packets: gap.is_some_and(|age| age < EXCUSED),
    }
}

fn watch(slot: &Arc<Slot>, settings: &RtspSettings, session: &Session) -> End {
    loop {
        if slot.is_stopping.load(Ordering::Relaxed) {
            return End::Stopped;
        }
        if let Some(loss) = session.progress.take_fault() {
            return End::Lost(loss);
        }
        if let Some(message) = session.bus.timed_pop(TICK)
            && let Some(loss) = heard(slot, session, &message)
        {
            // What a callback found is the cause; the pipeline knows only that it stopped.
            return End::Lost(session.progress.take_fault().unwrap_or(loss));
        }
        if let Some(loss) = overdue(settings, session) {
            return End::Lost(loss);
        }
    }
}

/// What a message on the bus means; most mean nothing.
fn heard(slot: &Slot, session: &Session, message: &gst::Message) -> Option<Loss> {
    match message.view() {
        // A camera has no end: an end of stream is a hang-up.
        gst::MessageView::Eos(_) => Some(Loss::new(LossReason::Closed)),
        gst::MessageView::Error(error) => {
            tracing::debug!(camera = %slot.name, error = %error.error(), debug = ?error.debug(), "pipeline");
            let mut loss = Loss::of_error(error);
            if is_from_decoder(message, session) {
                loss.reason = LossReason::Decode;
            } else if is_disagreement(session) {
                loss = Loss::of_no_agreement();
            } else if loss.reason == LossReason::Failed && session.progress.picture_age().is_some()
            {
                // It did work: the connection broke, whatever the words.
                loss.reason = LossReason::Closed;
            }
            Some(loss)
        }
        _ => None,
    }
}

/// Before any picture, and so no fault of the camera's. It is told by whoever pushes, which
/// is the source, with words that name no decoder.
fn is_disagreement(session: &Session) -> bool {
    let progress = &session.progress;
    progress.picture_age().is_none() && progress.agrees_with_nobody()
}

fn is_from_decoder(message: &gst::Message, session: &Session) -> bool {
    message
        .src()
        .and_then(|source| source.downcast_ref::<gst::Element>())
        .and_then(ElementExt::factory)
        .is_some_and(|f| {
            session
                .progress
                .decoder()
                .is_some_and(|d| d.name == f.name().as_str())
        })
}

/// The watchdog: rtspsrc itself never notices a camera that says nothing.
fn overdue(settings: &RtspSettings, session: &Session) -> Option<Loss> {
    let progress = &session.progress;
    let (packet, picture) = (progress.packet_age(), progress.picture_age());
    // No packet is looked at before a decoder is there, and that one is not the camera's.
    if let Some(age) = progress.age(&progress.attaching) {
        let is_hardware = |decoder: DecoderInUse| decoder.family != Family::Software;
        // While it is chosen each step has a limit of its own.
        let hangs = age > HANGS && progress.decoder().is_some_and(is_hardware);
        return hangs.then(Loss::of_hanging_start);
    }
    match (packet, picture) {
        (None, _) => {
            let limit = settings.connect_within.max(settings.silent_after);
            (progress.waited() > limit).then(|| Loss::new(LossReason::TimedOut))
        }
        (Some(packet), _) if packet > settings.silent_after => Some(Loss::new(LossReason::Silent)),
        (Some(_), Some(picture)) => (picture > settings.silent_after.max(FIRST_KEY_WITHIN))
            .then(|| Loss::new(LossReason::Decode)),
        (Some(_), None) => (progress.waited() > settings.connect_within + FIRST_KEY_WITHIN)
            .then(|| Loss::new(LossReason::Decode)),
    }
}
