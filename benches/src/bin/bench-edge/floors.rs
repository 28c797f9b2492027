//! The parts alone: what decoding, receiving and inference cost with nothing around them.
//!
//! Each is a process of its own that measures itself, from the moment at which
//! it is warm. Decoding is a bare GStreamer pipeline with none of our code in
//! it, one thread, pictures thrown away; inference is the detector (letterbox,
//! network, head) on pictures that are decoded already.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use edge_inference::{Detector, DetectorSettings, ModelStore, Runtime};
use edge_video::{ClipReader, Frame};
use gstreamer as gst;
use gstreamer::prelude::*;
use nix::sys::resource::UsageWho;
use protocol::EventTime;
use serde::{Deserialize, Serialize};

use crate::process::cpu_s;
use crate::together;

/// Pictures before the clock starts: decoders and allocators are warm then.
pub(crate) const WARM_UP: u64 = 20;

/// What a child process of the bench does.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Stage {
    /// Decodes a clip, or streams, with a bare pipeline.
    #[command(hide = true)]
    Decode {
        /// Clips or RTSP addresses, all at once.
        sources: Vec<String>,
        /// Pictures of each.
        #[arg(long)]
        pictures: u64,
    },
    /// Looks at decoded pictures.
    #[command(hide = true)]
    Infer {
        clip: PathBuf,
        #[arg(long)]
        pictures: u64,
        #[arg(long)]
        models: PathBuf,
        #[arg(long)]
        model: protocol::id::ModelId,
        /// Looks a second; as many as possible when absent. A network that rests between
        /// looks finds its weights out of the cache.
        #[arg(long)]
        per_second: Option<f64>,
    },
    /// Decodes and looks in one process, with nothing of the product but the detector.
    #[command(hide = true)]
    Together {
        /// Clips or RTSP addresses, all at once.
        sources: Vec<String>,
        /// Decoded pictures of all sources.
        #[arg(long)]
        pictures: u64,
        #[arg(long)]
        models: PathBuf,
        #[arg(long)]
        model: protocol::id::ModelId,
        /// Looks a second at all sources, at the newest picture; each picture when absent.
        #[arg(long)]
        per_second: Option<f64>,
    },
}

/// What a stage says of itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) cpu_s: f64,
    pub(crate) pictures: u64,
    /// Those of the pictures that a network looked at, where both were done.
    #[serde(default)]
    pub(crate) looks: u64,
}

impl Cost {
    /// CPU time for one picture. ms.
    pub(crate) fn ms(self) -> f64 {
        self.cpu_s * 1000.0 / self.pictures.max(1) as f64
    }
}

impl Stage {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let cost = match self {
            Self::Decode { sources, pictures } => decode(sources, *pictures)?,
            Self::Infer {
                clip,
                pictures,
                models,
                model,
                per_second,
            } => {
                let pause = per_second.map(|rate| Duration::from_secs_f64(1.0 / rate));
                infer(clip, *pictures, (models, model), pause.unwrap_or_default())?
            }
            Self::Together {
                sources,
                pictures,
                models,
                model,
                per_second,
            } => together::run(sources, *pictures, detector(models, model)?, *per_second)?,
        };
        println!("{}", serde_json::to_string(&cost)?);
        Ok(())
    }
}

fn decode(sources: &[String], pictures: u64) -> anyhow::Result<Cost> {
    gst::init()?;
    let pipeline = gst::Pipeline::new();
    let total = (WARM_UP + pictures) * sources.len() as u64;
    let count = Arc::new(AtomicU64::new(0));
    let began = Arc::new(Mutex::new(None));
    let (done, ended) = std::sync::mpsc::sync_channel(1);
    for source in sources {
        let chain = chain(source, "fakesink qos=false")?;
        pipeline.add(&chain)?;
        let sink = chain.by_name("last").context("the sink of the chain")?;
        let pad = sink.static_pad("sink").context("its pad")?;
        let (count, began, done) = (Arc::clone(&count), Arc::clone(&began), done.clone());
        let warm = WARM_UP * sources.len() as u64;
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let seen = count.fetch_add(1, Ordering::Relaxed) + 1;
            if seen == warm {
                *began.lock().unwrap_or_else(PoisonError::into_inner) =
                    cpu_s(UsageWho::RUSAGE_SELF).ok();
            } else if seen == total {
                // The other side waits for one message only.
                done.try_send(cpu_s(UsageWho::RUSAGE_SELF).ok()).ok();
            }
            gst::PadProbeReturn::Ok
        });
    }
    let bus = pipeline.bus().context("a pipeline has a bus")?;
    pipeline.set_state(gst::State::Playing)?;
    let after = loop {
        if let Ok(after) = ended.try_recv() {
            break after;
        }
        let fault = [gst::MessageType::Error, gst::MessageType::Eos];
        if let Some(message) = bus.timed_pop_filtered(gst::ClockTime::from_mseconds(20), &fault) {
            let seen = count.load(Ordering::Relaxed);
            // The last picture and the end come together.
            if seen < total {
                pipeline.set_state(gst::State::Null)?;
                bail!("decoding ended after {seen} of {total} pictures: {message:?}");
            }
        }
    };
    pipeline.set_state(gst::State::Null)?;
    let before = began.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (before, after) = before.zip(after).context("CPU time")?;
    Ok(Cost {
        cpu_s: after - before,
        pictures: total - WARM_UP * sources.len() as u64,
        looks: 0,
    })
}

/// From a source to a sink called `last`. The address is a property, never text of the line.
pub(crate) fn chain(source: &str, sink: &str) -> anyhow::Result<gst::Bin> {
    let reading = if source.starts_with("rtsp://") {
        "rtspsrc name=first protocols=tcp latency=100 ! rtph264depay"
    } else {
        "filesrc name=first ! qtdemux"
    };
    let line = format!(
        "{reading} ! h264parse ! avdec_h264 max-threads=1 ! {sink} name=last sync=false async=false"
    );
    let bin = gst::parse::bin_from_description(&line, false)?;
    bin.by_name("first")
        .context("the source of the chain")?
        .set_property("location", source);
    Ok(bin)
}

fn infer(
    clip: &Path,
    pictures: u64,
    (models, model): (&Path, &protocol::id::ModelId),
    pause: Duration,
) -> anyhow::Result<Cost> {
    edge_video::init()?;
    // Few frames again and again: holding a whole clip would measure the memory.
    let mut few: Vec<Frame> = Vec::new();
    let mut reader = ClipReader::open(clip, EventTime::EPOCH)?;
    while let Some(frame) = reader.next_frame()? {
        if frame.number % 8 == 0 {
            few.push(frame);
        }
        if few.len() == 12 {
            break;
        }
    }
    drop(reader);
    ensure!(!few.is_empty(), "{} has no pictures", clip.display());
    let mut detector = detector(models, model)?;
    let mut before = 0.0;
    let mut due = Instant::now();
    for turn in 0..WARM_UP + pictures {
        if turn == WARM_UP {
            before = cpu_s(UsageWho::RUSAGE_SELF)?;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due += pause;
        detector.detect(few[usize::try_from(turn)? % few.len()].view())?;
    }
    Ok(Cost {
        cpu_s: cpu_s(UsageWho::RUSAGE_SELF)? - before,
        pictures,
        looks: pictures,
    })
}

fn detector(models: &Path, model: &protocol::id::ModelId) -> anyhow::Result<Detector> {
    let runtime = Runtime::load(None)?;
    let store = ModelStore::open(vec![models.to_owned()])?;
    let (manifest, file) = store.find(model)?;
    let settings = DetectorSettings::default();
    Ok(Detector::load(&runtime, manifest, &file, &settings)?)
}
