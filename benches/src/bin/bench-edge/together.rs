//! Decoding and inference in one process by turns, which any agent must do, and nothing else.
//!
//! Alone, decoder and network each keep what they use in the processor's caches; by turns they
//! take it from each other. No agent can avoid that, however little it does itself, so what
//! the whole agent costs beyond this is what is its own. Here are bare pipelines, which hand their
//! pictures over in a slot for one, and one thread with the detector (letterbox, network, head).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use edge_inference::Detector;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use models::{ColourMatrix, ColourRange, I420View};
use nix::sys::resource::UsageWho;

use crate::floors::{Cost, WARM_UP, chain};
use crate::process::cpu_s;

/// Longest wait for a picture.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(30);

/// Decodes `pictures` of all `sources` together and looks at each, or so many times a second at
/// the newest of each source in turn.
pub(crate) fn run(
    sources: &[String],
    pictures: u64,
    mut detector: Detector,
    per_second: Option<f64>,
) -> anyhow::Result<Cost> {
    gst::init()?;
    let pipeline = gst::Pipeline::new();
    // Who looks at each picture makes the decoder wait; who looks at the newest lets the others go.
    let slot = if per_second.is_some() {
        "appsink max-buffers=1 drop=true"
    } else {
        "appsink max-buffers=1"
    };
    let decoded = Arc::new(AtomicU64::new(0));
    let mut slots = Vec::new();
    for source in sources {
        let chain = chain(source, slot)?;
        pipeline.add(&chain)?;
        let last = chain.by_name("last").context("the sink of the chain")?;
        let decoded = Arc::clone(&decoded);
        let pad = last.static_pad("sink").context("its pad")?;
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            decoded.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        let last = last.downcast::<gst_app::AppSink>();
        slots.push(last.ok().context("the sink is an appsink")?);
    }
    pipeline.set_state(gst::State::Playing)?;
    let pause = per_second.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
    let warm = WARM_UP * sources.len() as u64;
    let (mut looks, mut due) = (0, Instant::now());
    // CPU time, decoded pictures and looks when it was warm.
    let mut began = None;
    let mut turns = slots.iter().cycle();
    let cost = loop {
        let now = decoded.load(Ordering::Relaxed);
        match began {
            None if now >= warm => began = Some((cpu_s(UsageWho::RUSAGE_SELF)?, now, looks)),
            Some((cpu, pictures_before, looks_before)) if now >= pictures_before + pictures => {
                break Cost {
                    cpu_s: cpu_s(UsageWho::RUSAGE_SELF)? - cpu,
                    pictures: now - pictures_before,
                    looks: looks - looks_before,
                };
            }
            _ => {}
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due += pause;
        let slot = turns.next().context("there is a source")?;
        let sample = slot.try_pull_sample(PATIENCE);
        let sample = sample.with_context(|| format!("no picture came after {now}"))?;
        look(&mut detector, &sample)?;
        looks += 1;
    };
    pipeline.set_state(gst::State::Null)?;
    Ok(cost)
}

fn look(detector: &mut Detector, sample: &gst::Sample) -> anyhow::Result<()> {
    let info = gst_video::VideoInfo::from_caps(sample.caps().context("a sample has caps")?)?;
    ensure!(
        info.format() == gst_video::VideoFormat::I420,
        "the decoder gives {:?}; this measures with I420",
        info.format()
    );
    let buffer = sample.buffer().context("a sample has a buffer")?;
    let picture = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)?;
    let stride = |plane: usize| usize::try_from(picture.plane_stride()[plane]);
    detector.detect(&I420View {
        width: info.width(),
        height: info.height(),
        y: picture.plane_data(0)?,
        y_stride: stride(0)?,
        u: picture.plane_data(1)?,
        u_stride: stride(1)?,
        v: picture.plane_data(2)?,
        v_stride: stride(2)?,
        // The clips do not say; which it is costs the same.
        matrix: ColourMatrix::Bt709,
        range: ColourRange::Limited,
    })?;
    Ok(())
}
