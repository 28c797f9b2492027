//! Waiting for a pipeline that reads a file: a picture, the end, or why nothing comes.

use std::path::Path;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer_app as gst_app;

use super::error::ClipError;

pub(super) const POLL: gst::ClockTime = gst::ClockTime::from_mseconds(20);
/// Longest wait for one picture: a disk that has to wake up needs ten seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// After an error, for pictures still in the decoder.
pub(super) const DRAIN: Duration = Duration::from_millis(500);

/// What came of waiting for a picture.
pub(super) enum Next {
    Sample(gst::Sample),
    End,
    Failed(String),
}

/// Waits for one picture, the end or an error.
pub(super) fn wait(
    path: &Path,
    sink: &gst_app::AppSink,
    bus: &gst::Bus,
) -> Result<Next, ClipError> {
    let began = Instant::now();
    let mut failed: Option<(String, Instant)> = None;
    loop {
        if let Some(sample) = sink.try_pull_sample(POLL) {
            return Ok(Next::Sample(sample));
        }
        if sink.is_eos() {
            return Ok(match failed.or_else(|| error_on(bus)) {
                Some((detail, _)) => Next::Failed(detail),
                None => Next::End,
            });
        }
        failed = failed.or_else(|| error_on(bus));
        // An error need not be followed by an end of stream.
        if let Some((detail, since)) = &failed
            && since.elapsed() > DRAIN
        {
            return Ok(Next::Failed(detail.clone()));
        }
        if began.elapsed() > PATIENCE {
            return Err(ClipError::Stalled {
                path: path.to_owned(),
                waited_s: PATIENCE.as_secs(),
            });
        }
    }
}

pub(super) fn error_on(bus: &gst::Bus) -> Option<(String, Instant)> {
    let message = bus.pop_filtered(&[gst::MessageType::Error])?;
    said(&message)
}

/// The words of an error message, and when they were read.
pub(super) fn said(message: &gst::MessageRef) -> Option<(String, Instant)> {
    match message.view() {
        gst::MessageView::Error(error) => Some((
            error.error().message().trim_end_matches('.').to_owned(),
            Instant::now(),
        )),
        _ => None,
    }
}
