//! Whether a decoder decodes: it is given a sample, and its pictures are looked at.
//!
//! A hardware decoder is more than an element that starts: drivers give green
//! pictures, nothing at all, or hang. Each is proved once per process and codec,
//! before it is trusted with a camera; and again after it has failed on one. One that
//! was refused is proved again after minutes, when a camera is connected to: at the
//! start of a box the driver may come up later than the agent, or everything be slow.
//!
//! A proof has a thread of its own, and nobody holds a lock while it lasts. Cameras wait
//! for the first one; of a decoder that was refused they know enough to go on without.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use super::memory::Way;
use super::sample::{self, Sample};
use super::to_frames;
use crate::elements::make;

/// A driver takes a second to load; on a busy box more.
const PATIENCE: Duration = Duration::from_secs(8);
/// A driver that hangs is left behind with its thread.
pub(crate) const HANGS: Duration = Duration::from_secs(12);
/// For the proof of one that was refused before a camera waits no longer than a driver
/// that is well takes; what comes later is for the next connection.
const AGAIN_WITHIN: Duration = Duration::from_secs(2);
/// First wait before one that was refused is proved again; it doubles each time.
const AGAIN_AFTER: Duration = Duration::from_mins(5);
/// Longest wait: proofs are not to be many.
const AGAIN_AT_MOST: Duration = Duration::from_hours(4);

static PROOFS: Proofs = Proofs::new(HANGS, AGAIN_WITHIN);

/// A factory and a codec.
type Key = (String, String);

/// What is known of decoders, and what is being found out.
#[derive(Debug)]
struct Proofs {
    known: Mutex<BTreeMap<Key, Proof>>,
    concluded: Condvar,
    hangs: Duration,
    again_within: Duration,
}

#[derive(Debug, Default)]
struct Proof {
    verdict: Option<Verdict>,
    /// Since when it is being proved, if it is.
    running: Option<Instant>,
}

/// What a proof has shown.
#[derive(Clone, Debug)]
struct Verdict {
    outcome: Result<(), Refusal>,
    at: Instant,
    /// Refused so many times in a row, up to now.
    refusals: u32,
}

/// Why a decoder is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    reason: String,
    /// It holds a thread for ever, and would hold another one.
    is_final: bool,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self {
            reason,
            is_final: false,
        }
    }
}

impl Verdict {
    fn stands(&self, now: Instant) -> bool {
        match &self.outcome {
            Ok(()) => true,
            Err(refusal) if refusal.is_final => true,
            Err(_) => {
                let doublings = self.refusals.saturating_sub(1).min(16);
                let wait = AGAIN_AFTER
                    .saturating_mul(1 << doublings)
                    .min(AGAIN_AT_MOST);
                now.saturating_duration_since(self.at) < wait
            }
        }
    }

    fn words(&self) -> Result<(), String> {
        self.outcome.clone().map_err(|refusal| refusal.reason)
    }
}

impl Proof {
    fn conclude(&mut self, (decoder, codec): &Key, outcome: Result<(), Refusal>) {
        match &outcome {
            Ok(()) => tracing::info!(decoder, codec, "decoder proved on a sample"),
            Err(refusal) => {
                tracing::warn!(decoder, codec, "decoder not used: it {}", refusal.reason);
            }
        }
        let refusals = self.verdict.as_ref().map_or(0, |verdict| verdict.refusals);
        self.verdict = Some(Verdict {
            refusals: outcome.as_ref().map_or(refusals + 1, |()| 0),
            outcome,
            at: Instant::now(),
        });
        self.running = None;
    }
}

impl Proofs {
    const fn new(hangs: Duration, again_within: Duration) -> Self {
        Self {
            known: Mutex::new(BTreeMap::new()),
            concluded: Condvar::new(),
            hangs,
            again_within,
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Key, Proof>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known at `now`; without anything that stands, `work` finds it out.
    fn ask(
        &'static self,
        key: &Key,
        now: Instant,
        work: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Result<(), String> {
        let mut proofs = self.locked();
        let proof = proofs.entry(key.clone()).or_default();
        let stands = |verdict: &Verdict| verdict.stands(now);
        if proof.running.is_none() && !proof.verdict.as_ref().is_some_and(stands) {
            let begun = Instant::now();
            let of = key.clone();
            std::thread::Builder::new()
                .name("decoder-proof".to_owned())
                .spawn(move || self.conclude(&of, begun, work()))
                .map_err(|error| format!("cannot be proved: no thread ({error})"))?;
            proof.running = Some(begun);
        }
        let asked = Instant::now();
        loop {
            let proof = proofs.entry(key.clone()).or_default();
            let Some(begun) = proof.running else {
                return proof.verdict.as_ref().map_or(Ok(()), Verdict::words);
            };
            let left = self.hangs.saturating_sub(begun.elapsed());
            if left.is_zero() {
                proof.conclude(key, Err(hangs("on a sample")));
                self.concluded.notify_all();
                continue;
            }
            let left = match &proof.verdict {
                None => left,
                Some(verdict) => {
                    let known_left = self.again_within.saturating_sub(asked.elapsed());
                    if known_left.is_zero() {
                        return verdict.words();
                    }
                    left.min(known_left)
                }
            };
            let waited = self.concluded.wait_timeout(proofs, left);
            proofs = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn conclude(&self, key: &Key, begun: Instant, outcome: Result<(), String>) {
        let mut proofs = self.locked();
        let proof = proofs.entry(key.clone()).or_default();
        // Nobody waits for one that was said to hang.
        if proof.running == Some(begun) {
            proof.conclude(key, outcome.map_err(Refusal::from));
            self.concluded.notify_all();
        }
    }

    fn doubt(&self, decoder: &str) {
        for ((name, _), proof) in self.locked().iter_mut() {
            let worked = |verdict: &mut Verdict| verdict.outcome.is_ok();
            if name == decoder {
                proof.verdict.take_if(worked);
            }
        }
    }
}

/// Whether a decoder gives the sample's pictures; `Err` says what it gives instead.
///
/// A codec without a sample proves nothing and is let pass, where its pictures can be had.
pub(super) fn prove(factory: &gst::ElementFactory, codec: &str) -> Result<(), String> {
    let key = (factory.name().to_string(), codec.to_owned());
    let sample = sample::of(codec);
    let factory = factory.clone();
    PROOFS.ask(&key, Instant::now(), move || {
        let way = Way::of(&factory)?;
        sample.map_or(Ok(()), |sample| decode(&factory, way, sample))
    })
}

/// The decoder has failed on a camera: it is proved again before it is used again.
pub(crate) fn doubt(decoder: &str) {
    PROOFS.doubt(decoder);
}

/// What `start` makes of a decoder, which may hang in its driver: then it is never used again.
pub(super) fn started_within_limits(
    factory: &gst::ElementFactory,
    codec: &str,
    start: impl FnOnce(&gst::ElementFactory) -> Result<gst::Element, String> + Send + 'static,
) -> Result<gst::Element, String> {
    let (tell, told) = bounded(1);
    let starting = factory.clone();
    std::thread::Builder::new()
        .name("decoder-start".to_owned())
        .spawn(move || tell.send(start(&starting)).ok())
        .map_err(|error| format!("cannot be started: no thread ({error})"))?;
    told.recv_timeout(HANGS).unwrap_or_else(|_| {
        let refusal = hangs("while it is started");
        let words = refusal.reason.clone();
        let key = (factory.name().to_string(), codec.to_owned());
        let mut proofs = PROOFS.locked();
        proofs
            .entry(key.clone())
            .or_default()
            .conclude(&key, Err(refusal));
        Err(words)
    })
}

/// It holds a thread for ever, and would hold another one each time.
fn hangs(when: &str) -> Refusal {
    Refusal {
        reason: format!("hangs {when}; restart the box and update its driver"),
        is_final: true,
    }
}

fn decode(factory: &gst::ElementFactory, way: Way, sample: Sample) -> Result<(), String> {
    let cannot = |error: gst::glib::BoolError| format!("cannot be started: {}", error.message);
    let pipeline = gst::Pipeline::new();
    let source = gst_app::AppSrc::builder()
        .caps(&sample.caps.parse::<gst::Caps>().map_err(cannot)?)
        .format(gst::Format::Time)
        .build();
    let sink = gst_app::AppSink::builder().sync(false).build();
    let decoder = factory.create().build().map_err(cannot)?;
    let mut chain = vec![source.clone().upcast()];
    chain.push(make(sample.parser).map_err(cannot)?);
    chain.push(decoder);
    chain.extend(way.elements().map_err(cannot)?);
    chain.extend(to_frames().map_err(cannot)?);
    chain.push(sink.clone().upcast());
    pipeline.add_many(&chain).map_err(cannot)?;
    gst::Element::link_many(&chain).map_err(cannot)?;
    let outcome = run(&pipeline, &source, &sink, sample);
    if pipeline.set_state(gst::State::Null).is_err() && outcome.is_ok() {
        return Err("does not stop cleanly".to_owned());
    }
    outcome
}

fn run(
    pipeline: &gst::Pipeline,
    source: &gst_app::AppSrc,
    sink: &gst_app::AppSink,
    sample: Sample,
) -> Result<(), String> {
    pipeline
        .set_state(gst::State::Playing)
        .map_err(|_| "does not start; its device is missing or busy".to_owned())?;
    let mut buffer = gst::Buffer::from_slice(sample.bytes);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
    }
    // Refused only by a decoder that has failed, which the bus tells better.
    source.push_buffer(buffer).ok();
    source.end_of_stream().ok();
    let bus = pipeline
        .bus()
        .ok_or_else(|| "cannot be watched".to_owned())?;
    let deadline = Instant::now() + PATIENCE;
    let mut pictures = 0;
    while pictures < sample.pictures {
        if let Some(message) = bus.pop_filtered(&[gst::MessageType::Error])
            && let gst::MessageView::Error(error) = message.view()
        {
            return Err(format!("fails: {}", error.error().message()));
        }
        if let Some(found) = sink.try_pull_sample(gst::ClockTime::from_mseconds(20)) {
            judge(pictures, &found)?;
            pictures += 1;
        } else if sink.is_eos() || Instant::now() >= deadline {
            return Err(format!(
                "gives {pictures} of {} pictures of the sample",
                sample.pictures
            ));
        }
    }
    Ok(())
}

fn judge(n: usize, found: &gst::Sample) -> Result<(), String> {
    let picture = || {
        let info = gst_video::VideoInfo::from_caps(found.caps()?).ok()?;
        gst_video::VideoFrame::from_buffer_readable(found.buffer_owned()?, &info).ok()
    };
    let Some(picture) = picture() else {
        return Err("gives pictures that cannot be read".to_owned());
    };
    if sample::is_right(n, &picture) {
        Ok(())
    } else {
        Err(format!(
            "gives a picture of the sample that is not as encoded (the {} of {}×{})",
            ["1st", "2nd", "3rd", "4th"].get(n).unwrap_or(&"next"),
            picture.width(),
            picture.height()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stands_for_minutes_then_longer_and_a_hang_for_ever() {
        let at = Instant::now();
        let stands = |outcome: Result<(), Refusal>, refusals, minutes| {
            let verdict = Verdict {
                outcome,
                at,
                refusals,
            };
            verdict.stands(at + Duration::from_mins(minutes))
        };
        let refused = || Err(Refusal::from("gives 0 of 4 pictures".to_owned()));
        for (refusals, minutes) in [(1, 5), (2, 10), (3, 20), (9, 240), (400, 240)] {
            assert!(stands(refused(), refusals, minutes - 1), "{refusals}");
            assert!(!stands(refused(), refusals, minutes), "{refusals}");
        }
        assert!(stands(Err(hangs("on a sample")), 1, 1_000_000));
        assert!(stands(Ok(()), 0, 1_000_000));
    }

    /// Far more than anything here takes.
    const LONG: Duration = Duration::from_mins(2);

    fn key(name: &str) -> Key {
        (name.to_owned(), "video/x-h264".to_owned())
    }

    fn proofs(hangs: Duration, again_within: Duration) -> &'static Proofs {
        Box::leak(Box::new(Proofs::new(hangs, again_within)))
    }

    /// Once it did, for all codecs and decoders of the box.
    #[test]
    fn a_proof_that_takes_long_holds_up_those_who_ask_for_it_only() {
        let proofs = proofs(LONG, LONG);
        let (begun, has_begun) = bounded(2);
        let (go_on, may_go_on) = bounded::<()>(0);
        let ask = move || {
            let (begun, may_go_on) = (begun.clone(), may_go_on.clone());
            proofs.ask(&key("slow"), Instant::now(), move || {
                begun.send(()).ok();
                may_go_on.recv().ok();
                Err("gives nothing".to_owned())
            })
        };
        let waiting = [ask.clone(), ask].map(std::thread::spawn);
        has_begun.recv().unwrap();
        assert_eq!(proofs.ask(&key("quick"), Instant::now(), || Ok(())), Ok(()));
        proofs.doubt("quick");
        drop(go_on);
        for camera in waiting {
            assert_eq!(camera.join().unwrap(), Err("gives nothing".to_owned()));
        }
        // One for both.
        assert!(has_begun.try_recv().is_err());
    }

    #[test]
    fn nobody_waits_for_what_was_refused_and_is_proved_again() {
        let proofs = proofs(LONG, Duration::from_millis(20));
        let key = key("late");
        let refused = Err("does not start".to_owned());
        let before = refused.clone();
        let now = Instant::now();
        assert_eq!(proofs.ask(&key, now, move || before), refused);
        let later = now + Duration::from_hours(1);
        let (go_on, may_go_on) = bounded::<()>(0);
        let work = move || {
            may_go_on.recv().ok();
            Ok(())
        };
        assert_eq!(proofs.ask(&key, later, work), refused);
        drop(go_on);
        // The next connection has it.
        let deadline = Instant::now() + LONG;
        while proofs.ask(&key, now, || Ok(())).is_err() {
            assert!(Instant::now() < deadline, "it was never proved");
        }
    }

    #[test]
    fn a_proof_that_does_not_end_is_a_hang_whatever_comes_of_it_later() {
        let proofs = proofs(Duration::from_millis(20), LONG);
        let key = key("hangs");
        let (go_on, may_go_on) = bounded::<()>(0);
        let (ended, has_ended) = bounded::<()>(0);
        let work = move || {
            may_go_on.recv().ok();
            drop(ended);
            Ok(())
        };
        let said = proofs.ask(&key, Instant::now(), work).unwrap_err();
        assert!(said.starts_with("hangs on a sample"), "{said}");
        drop(go_on);
        has_ended.recv().ok();
        let much_later = Instant::now() + Duration::from_hours(1_000);
        assert_eq!(proofs.ask(&key, much_later, || Ok(())), Err(said));
    }
}
