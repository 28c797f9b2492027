//! The tracker on sequences in the MOT text format, scored elsewhere.
//!
//! Reads `DATA_DIR/<sequence>/seqinfo.ini` and `det/det.txt`
//! (`frame,-1,x,y,w,h,score,class,…`, frames from 1, pixels, score 0 to 1),
//! gives them to the tracker frame by frame as the agent would, and writes
//! `OUT_DIR/<sequence>.txt` (`frame,id,x,y,w,h,score,class,-1,-1`). What a frame
//! gets is decided at that frame: nothing is filled in or smoothed afterwards.
//!
//! Timed is what the tracker costs: canonical order and rounding of the
//! detections, the step, and picking out what this frame shows. Reading and
//! writing files is not.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use edge_core::TrackerConfig;
use edge_core::tracker::{Moment, Track, Tracker};
use protocol::event::FrameTime;
use protocol::units::Seconds;
use protocol::{Detection, Detections, EventTime, NormBox, ObjectClass, TimeQuality, TrackId};

/// Runs the tracker over sequences in MOT text format and says how fast it was.
#[derive(Parser)]
struct Cli {
    /// Folder with one folder per sequence: seqinfo.ini and det/det.txt.
    data_dir: PathBuf,
    /// Folder for the results, one text file per sequence; made if missing.
    out_dir: PathBuf,
    /// From this score on a detection is believed alone, 0 to 1.
    #[arg(long, default_value_t = 0.45)]
    believed_from: f64,
    /// Runs over each sequence; the fastest counts, because noise only ever adds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    ensure!(
        (0.0..=1.0).contains(&cli.believed_from),
        "--believed-from is {}; write a number from 0 to 1",
        cli.believed_from
    );
    let folders = sequences(&cli.data_dir)?;
    fs::create_dir_all(&cli.out_dir)
        .with_context(|| format!("cannot make the folder {}", cli.out_dir.display()))?;
    println!(
        "{:24} {:>8} {:>10} {:>7} {:>10}",
        "sequence", "frames", "detections", "tracks", "frames/s"
    );
    let mut total = Cost::default();
    for folder in folders {
        let sequence = Sequence::read(&folder, cli.believed_from)?;
        let (result, cost) = follow(&sequence, cli.rounds);
        let path = cli.out_dir.join(format!("{}.txt", sequence.name));
        fs::write(&path, sequence.as_text(&result))
            .with_context(|| format!("cannot write {}", path.display()))?;
        cost.print(&sequence.name);
        total.add(&cost);
    }
    total.print("total");
    Ok(())
}

/// The sequences of a folder, in order of name.
fn sequences(data_dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(data_dir)
        .with_context(|| format!("cannot read the folder {}", data_dir.display()))?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read the folder {}", data_dir.display()))?
            .path();
        if path.join("seqinfo.ini").is_file() {
            folders.push(path);
        } else if path.join("det").is_dir() {
            bail!("{} has detections but no seqinfo.ini", path.display());
        }
    }
    folders.sort();
    if folders.is_empty() {
        bail!(
            "{} holds no sequence, that is no folder with a seqinfo.ini",
            data_dir.display()
        );
    }
    Ok(folders)
}

/// The detections of one clip.
struct Sequence {
    name: String,
    width: f64,
    height: f64,
    frames: Vec<Detections>,
}

/// More frames than any clip has: a number beyond is a slip of the pen.
const MOST_FRAMES: usize = 10_000_000;

impl Sequence {
    fn read(folder: &Path, believed_from: f64) -> anyhow::Result<Self> {
        let info = folder.join("seqinfo.ini");
        let text =
            fs::read_to_string(&info).with_context(|| format!("cannot read {}", info.display()))?;
        let number = |key: &str| -> anyhow::Result<f64> {
            let value = text
                .lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| name.trim() == key)
                .map(|(_, value)| value.trim())
                .with_context(|| format!("{} has no {key}", info.display()))?;
            let number: f64 = value
                .parse()
                .with_context(|| format!("{}: {key} is {value:?}", info.display()))?;
            ensure!(
                number > 0.0 && number.is_finite(),
                "{}: {key} is {value}; it must be greater than 0",
                info.display()
            );
            Ok(number)
        };
        let (width, height) = (number("imWidth")?, number("imHeight")?);
        let (fps, length) = (number("frameRate")?, number("seqLength")?);
        ensure!(
            length.fract() == 0.0 && length <= MOST_FRAMES as f64,
            "{}: seqLength is {length}; it must be a whole number up to {MOST_FRAMES}",
            info.display()
        );
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked above
        let length = length as u32;
        let mut frames: Vec<Detections> = (0..length)
            .map(|frame| Detections {
                frame: frame.into(),
                time: EventTime::EPOCH + Seconds(f64::from(frame) / fps),
                time_quality: TimeQuality::Media,
                aspect: width / height,
                believed_from,
                camera_motion: None,
                is_followed: false,
                items: Vec::new(),
            })
            .collect();
        let path = folder.join("det").join("det.txt");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let (frame, detection) = parse(line, width, height, frames.len())
                .with_context(|| format!("{}, line {}", path.display(), index + 1))?;
            frames[frame - 1].items.push(detection);
        }
        let name = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .with_context(|| format!("{} has no name", folder.display()))?;
        Ok(Self {
            name,
            width,
            height,
            frames,
        })
    }

    /// The result in MOT text format, ids from 1 in order of birth.
    fn as_text(&self, result: &[Shown]) -> String {
        let mut ids: Vec<TrackId> = result.iter().map(|shown| shown.track).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut text = String::new();
        for shown in result {
            let id = ids.partition_point(|id| *id < shown.track) + 1;
            let b = shown.bounds;
            writeln!(
                text,
                "{},{id},{:.2},{:.2},{:.2},{:.2},{:.4},{},-1,-1",
                shown.frame + 1,
                b.x * self.width,
                b.y * self.height,
                b.width * self.width,
                b.height * self.height,
                shown.score,
                mot_class(shown.class),
            )
            .expect("a String takes whatever is written");
        }
        text
    }
}

/// Reads `frame,id,x,y,w,h,score,class,…`; the frame is within 1 to `frames`.
fn parse(line: &str, width: f64, height: f64, frames: usize) -> anyhow::Result<(usize, Detection)> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    ensure!(
        fields.len() >= 7,
        "has {} fields; it must be frame,-1,x,y,w,h,score,class",
        fields.len()
    );
    let number = |index: usize, name: &str| -> anyhow::Result<f64> {
        let value: f64 = fields[index]
            .parse()
            .with_context(|| format!("{name} is {:?}", fields[index]))?;
        ensure!(value.is_finite(), "{name} is {value}");
        Ok(value)
    };
    let frame = fields[0]
        .parse::<usize>()
        .with_context(|| format!("frame is {:?}", fields[0]))?;
    ensure!(
        (1..=frames).contains(&frame),
        "frame is {frame}; the sequence has frames 1 to {frames}"
    );
    let (x, y) = (number(2, "x")?, number(3, "y")?);
    let (w, h) = (number(4, "width")?, number(5, "height")?);
    let score = number(6, "score")?;
    ensure!(
        (0.0..=1.0).contains(&score),
        "score is {score}; scores must be calibrated to 0 to 1"
    );
    // Official files of pedestrians carry −1 or nothing here.
    let class = if fields.len() > 7 {
        object_class(number(7, "class")?)
    } else {
        ObjectClass::Person
    };
    let bounds = NormBox {
        x: x / width,
        y: y / height,
        width: w / width,
        height: h / height,
    };
    Ok((
        frame,
        Detection {
            class,
            score,
            bounds,
        },
    ))
}

/// The classes of MOT annotations in our words.
fn object_class(class: f64) -> ObjectClass {
    match class {
        // Pedestrian, person on a vehicle, static person; −1 where nothing else occurs.
        -1.0 | 1.0 | 2.0 | 7.0 => ObjectClass::Person,
        3.0 | 8.0 => ObjectClass::Car,
        4.0 | 5.0 => ObjectClass::Motorcycle,
        6.0 => ObjectClass::Truck,
        _ => ObjectClass::Other,
    }
}

fn mot_class(class: ObjectClass) -> u8 {
    match class {
        ObjectClass::Person => 1,
        ObjectClass::Car => 3,
        ObjectClass::Motorcycle | ObjectClass::Bicycle => 4,
        ObjectClass::Truck | ObjectClass::Bus => 6,
        _ => 13,
    }
}

/// One road user at one frame.
struct Shown {
    frame: u64,
    track: TrackId,
    bounds: NormBox,
    score: f64,
    class: ObjectClass,
}

impl Shown {
    fn new(frame: u64, track: &Track) -> Self {
        Self {
            frame,
            track: track.id,
            bounds: track.bounds,
            score: track.score(),
            class: track.class(),
        }
    }
}

/// Runs the tracker, several times for the time it takes.
fn follow(sequence: &Sequence, rounds: u32) -> (Vec<Shown>, Cost) {
    let mut result = Vec::new();
    let mut least = Duration::MAX;
    for _ in 0..rounds {
        let frames = sequence.frames.clone();
        let mut tracker = Tracker::new(TrackerConfig::default());
        result.clear();
        let start = Instant::now();
        for frame in frames {
            let frame = frame.canonical();
            let moment = Moment {
                at: FrameTime {
                    frame: frame.frame,
                    time: frame.time,
                },
                watched: frame.time.since(EventTime::EPOCH).0,
                aspect: frame.aspect,
                is_followed: false,
            };
            tracker.step(&moment, frame.believed_from, &frame.items);
            let shown = tracker
                .tracks()
                .iter()
                .filter(|track| track.is_confirmed && track.seen == moment.at);
            result.extend(shown.map(|track| Shown::new(frame.frame, track)));
        }
        least = least.min(start.elapsed());
    }
    let mut tracks: Vec<TrackId> = result.iter().map(|shown| shown.track).collect();
    tracks.sort_unstable();
    tracks.dedup();
    let cost = Cost {
        frames: sequence.frames.len(),
        detections: sequence.frames.iter().map(|frame| frame.items.len()).sum(),
        tracks: tracks.len(),
        time: least,
    };
    (result, cost)
}

/// What a sequence took.
#[derive(Default)]
struct Cost {
    frames: usize,
    detections: usize,
    tracks: usize,
    time: Duration,
}

impl Cost {
    fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.detections += other.detections;
        self.tracks += other.tracks;
        self.time += other.time;
    }

    fn print(&self, name: &str) {
        println!(
            "{name:24} {:>8} {:>10} {:>7} {:>10.0}",
            self.frames,
            self.detections,
            self.tracks,
            self.frames as f64 / self.time.as_secs_f64().max(1e-9)
        );
    }
}
