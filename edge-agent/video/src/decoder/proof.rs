//! Whether a decoder decodes: it is given a sample, and its pictures are looked at.
//!
//! A hardware decoder is more than an element that starts: drivers give green
//! pictures, nothing at all, or hang. Each is proved once per process and codec,
//! before it is trusted with a camera; and again after it has failed on one. One that
//! was refused is proved again after minutes, when a camera is connected to: at the
//! start of a box the driver may come up later than the agent, or everything be slow.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use super::sample::{self, Sample};
use super::to_frames;
use crate::elements::make;

/// A driver takes a second to load; on a busy box more.
const PATIENCE: Duration = Duration::from_secs(8);
/// A driver that hangs is left behind with its thread.
const HANGS: Duration = Duration::from_secs(12);
/// First wait before one that was refused is proved again; it doubles each time.
const AGAIN_AFTER: Duration = Duration::from_mins(5);
/// Longest wait: cameras wait for a proof, so they are not to be many.
const AGAIN_AT_MOST: Duration = Duration::from_hours(4);

/// Verdicts by factory and codec.
static PROVED: Mutex<BTreeMap<(String, String), Verdict>> = Mutex::new(BTreeMap::new());

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

/// Whether a decoder gives the sample's pictures; `Err` says what it gives instead.
///
/// A codec without a sample proves nothing and is let pass.
pub(super) fn prove(factory: &gst::ElementFactory, codec: &str) -> Result<(), String> {
    let Some(sample) = sample::of(codec) else {
        return Ok(());
    };
    let key = (factory.name().to_string(), codec.to_owned());
    // Held while it is proved: cameras that start together wait for one proof.
    let mut proved = PROVED.lock().unwrap_or_else(PoisonError::into_inner);
    let before = proved.get(&key);
    if let Some(verdict) = before.filter(|verdict| verdict.stands(Instant::now())) {
        return verdict.words();
    }
    let refusals = before.map_or(0, |verdict| verdict.refusals);
    let outcome = within_limits(factory, sample);
    match &outcome {
        Ok(()) => tracing::info!(decoder = %key.0, codec, "decoder proved on a sample"),
        Err(refusal) => {
            tracing::warn!(decoder = %key.0, codec, "decoder not used: it {}", refusal.reason);
        }
    }
    let verdict = Verdict {
        refusals: outcome.as_ref().map_or(refusals + 1, |()| 0),
        outcome,
        at: Instant::now(),
    };
    let words = verdict.words();
    proved.insert(key, verdict);
    words
}

/// The decoder has failed on a camera: it is proved again before it is used again.
pub(crate) fn doubt(decoder: &str) {
    let mut proved = PROVED.lock().unwrap_or_else(PoisonError::into_inner);
    proved.retain(|(name, _), verdict| name != decoder || verdict.outcome.is_err());
}

/// A hanging driver must not hang the camera.
fn within_limits(factory: &gst::ElementFactory, sample: Sample) -> Result<(), Refusal> {
    let (tell, told) = bounded(1);
    let factory = factory.clone();
    std::thread::Builder::new()
        .name("decoder-proof".to_owned())
        .spawn(move || tell.send(decode(&factory, sample)).ok())
        .map_err(|error| format!("cannot be proved: no thread ({error})"))?;
    match told.recv_timeout(HANGS) {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Refusal {
            reason: "hangs; restart the box and update its driver".to_owned(),
            is_final: true,
        }),
    }
}

fn decode(factory: &gst::ElementFactory, sample: Sample) -> Result<(), String> {
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
        let hanging = Refusal {
            reason: "hangs".to_owned(),
            is_final: true,
        };
        for (refusals, minutes) in [(1, 5), (2, 10), (3, 20), (9, 240), (400, 240)] {
            assert!(stands(refused(), refusals, minutes - 1), "{refusals}");
            assert!(!stands(refused(), refusals, minutes), "{refusals}");
        }
        assert!(stands(Err(hanging), 1, 1_000_000));
        assert!(stands(Ok(()), 0, 1_000_000));
    }
}
