//! `models evaluate`: how well models see, on labelled pictures, beside the current one.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use case_bundle::files::said;
use case_bundle::{aside, say};
use clap::Args;
use edge_inference::evaluate::labels::LabelledPicture;
use edge_inference::evaluate::{ClassScores, Evaluation, Evaluator, LabelSet, Look, Scores};
use edge_inference::still::mean_luma;
use edge_inference::{Detector, ModelStore, Network, Runtime, Still};
use edge_video::ClipReader;
use models::{PictureView, heads};
use protocol::{Detection, EventTime, NormBox, ObjectClass};
use serde::Serialize;

use super::crops;
use super::parts::{CropArgs, PassedOver};
use super::{listing, pictures, store};
use crate::config::{DetectConfig, DetectorConfig, named_version};
use crate::live::StopFlag;
use crate::perception::{self, Parts};

/// Shown below `--help`.
pub(super) const HELP: &str = "\
\x20 edge-agent models evaluate my-model@7 --labels val.json --pictures val/
  edge-agent models evaluate yolox-nano --labels gt.txt --pictures clip.mp4 --json > result.json
  edge-agent models evaluate yolox-nano --detect 'tiles = { largest = [0.05, 0.1] }' --labels gt.txt --pictures img1/

Labels are COCO's JSON, or MOTChallenge's text; with the latter picture N is the file of that number, or
frame N of the clip. AP is COCO's: AP50 at an overlap of one half, AP the mean over 0.50 to 0.95; small is
below 32² pixels, large above 96². Precision and recall are of what the agent would believe (score at or
above the manifest's `thresholds.high`). A picture is of the night if the labels say so (`night`,
`timeofday`), else if its mean luma is below 60 of 255. One that is not wholly labelled (`complete`: false)
is passed over.

Models of cascades are measured on what they see live:
  edge-agent models evaluate helmets@2 --pictures crops/              a classifier, on crops in a folder per class
  edge-agent models evaluate helmets@2 --labels riders.json --pictures val/ --crop riders
  edge-agent models evaluate my-drivers --labels val.json --pictures val/ --crop windscreen --on car,bus,truck

Of a classifier crops lie in crops/helmet/, crops/no_helmet/ and so on, day and night in folders day/ and night/
below where you parted them (else by luma); a folder whose name is no class here (cannot_tell/) is of crops of
which nothing should be said. Or labels are COCO's: each box is the road user's, as the detector draws it, its
category the right answer, and --crop cuts it as the cascade does. The table says what was said of what (rows:
what is there); answers below the manifest's `thresholds.high`, and those without a word here, are \"nothing\":
they cost recall, not precision. It is compared with the version of the same model that is current.
With --crop a detector is shown the parts of the labelled road users (--on) and its marks in them are measured;
marks in no part are passed over.

What counts for a box is its own streets: label a few hundred pictures of its cameras, day and night.

Exit codes: 0 measured, 1 failed, 2 faulty command line, 130 broken off (Ctrl-C, SIGTERM).";

/// `models evaluate`
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Models to measure, `MODEL` or `MODEL@VERSION`.
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
    /// What is on the pictures.
    #[arg(long, value_name = "COCO.json|MOT.txt")]
    labels: Option<PathBuf>,
    /// The pictures; for a classifier without --labels a folder with a folder of crops for each class.
    #[arg(long, value_name = "DIR|CLIP")]
    pictures: PathBuf,
    /// Compare with this one instead of the current one.
    #[arg(long, value_name = "MODEL")]
    against: Option<String>,
    /// Compare with none.
    #[arg(long, conflicts_with = "against")]
    alone: bool,
    #[command(flatten)]
    crop: CropArgs,
    /// Scores below are not looked at; AP wants nearly all, so this is below the manifest's.
    #[arg(long, default_value_t = 0.01, value_name = "SCORE")]
    low: f64,
    /// Look as a camera with these keys of [camera.detect] does, for example
    /// `tiles = {}`; what it is compared with looks at whole pictures.
    #[arg(long, value_name = "KEYS", value_parser = DetectConfig::parse)]
    detect: Option<DetectConfig>,
    /// Look at every so many'th picture only.
    #[arg(long, default_value_t = 1, value_name = "N")]
    every: usize,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
    /// Write what the first model saw, in COCO's result format.
    #[arg(long, value_name = "OUT.json")]
    detections: Option<PathBuf>,
}

/// A model under measurement.
struct Contestant {
    name: String,
    is_reference: bool,
    detector: Detector,
    parts: Parts,
    /// What looks at parts, where parts are shown.
    at_parts: Option<Network>,
    evaluator: Evaluator,
    took: Duration,
}

impl Contestant {
    /// What it sees in a picture: in these parts of it, or in all of it as a camera is looked at.
    fn detections(
        &mut self,
        view: &PictureView<'_>,
        parts: Option<&[NormBox]>,
    ) -> anyhow::Result<Vec<Detection>> {
        if let (Some(network), Some(parts)) = (&mut self.at_parts, parts) {
            return crops::look_at_parts(network, view, parts);
        }
        let shown = perception::find(&mut self.detector, view, &mut self.parts)?;
        if let Some(error) = shown.failed_tiles.into_iter().next() {
            return Err(error.into());
        }
        Ok(shown.found)
    }

    fn report(&self, labels: &LabelSet, pictures: usize) -> Report {
        let manifest = self.detector.manifest();
        let high = manifest.thresholds.high;
        Report {
            model: self.name.clone(),
            sha256: manifest.sha256,
            provider: self.detector.provider(),
            is_reference: self.is_reference,
            ms_per_picture: self.took.as_secs_f64() * 1e3 / pictures as f64,
            evaluation: self.evaluator.evaluate(&labels.classes, high),
        }
    }
}

#[derive(Serialize)]
struct Report {
    model: String,
    sha256: protocol::Digest,
    provider: &'static str,
    is_reference: bool,
    /// Mean time of one picture, letterbox and decoding included. ms.
    ms_per_picture: f64,
    #[serde(flatten)]
    evaluation: Evaluation,
}

#[derive(Serialize)]
struct CocoResult {
    image_id: u64,
    category_id: u32,
    bbox: [f64; 4],
    score: f64,
}

/// `models evaluate`
pub(super) fn evaluate(
    config: &DetectorConfig,
    args: &EvaluateArgs,
    stop: &StopFlag,
) -> anyhow::Result<()> {
    if !(args.low > 0.0 && args.low < 1.0) || args.every == 0 {
        bail!("--low is between 0 and 1, --every at least 1");
    }
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    let store = store(config)?;
    let labels = args.labels.as_deref().map(read_labels).transpose()?;
    if is_classifier(args, &store)? {
        let set = crops::Set {
            pictures: &args.pictures,
            labels: labels.as_ref(),
            every: args.every,
            stop,
        };
        let names = classifiers(args, &store)?;
        return crops::classify(
            (config, &runtime, &store),
            &names,
            (&set, &args.crop),
            args.json,
        );
    }
    let Some(labels) = labels else {
        bail!(
            "a detector is measured with --labels; only a classifier with a folder for each class"
        );
    };
    if args.crop.is_given() && args.detect.is_some() {
        bail!("--crop and --detect exclude each other: a cascade looks at parts, not at tiles");
    }
    let mut contestants = contestants(config, args, &runtime, &store)?;
    let mut seen = Vec::new();
    let (mut shown_parts, mut beyond) = (0, 0);
    let mut passed_over = PassedOver::default();
    let pictures = walk(args, &labels, |picture, view| {
        if stop.is_set() {
            bail!("broken off");
        }
        let luma = mean_luma(view);
        let size = (view.width(), view.height());
        let parts = args
            .crop
            .is_given()
            .then(|| args.crop.parts_of(picture, size, &mut passed_over));
        let in_parts = (parts.as_deref()).map(|parts| crops::in_parts(picture, parts, size));
        shown_parts += parts.as_ref().map_or(0, Vec::len);
        beyond += in_parts.as_ref().map_or(0, |(_, beyond)| *beyond);
        let picture = in_parts.as_ref().map_or(picture, |(shown, _)| shown);
        for (index, contestant) in contestants.iter_mut().enumerate() {
            let began = std::time::Instant::now();
            let detections = contestant.detections(view, parts.as_deref())?;
            contestant.took += began.elapsed();
            let look = Look {
                labelled: picture,
                size,
                luma,
                detections: &detections,
            };
            contestant.evaluator.add(&look);
            if index == 0 && args.detections.is_some() {
                seen.extend(results(&look, &detections));
            }
        }
        Ok(())
    })?;
    if args.crop.is_given() {
        aside!(
            "note: {shown_parts} part(s) were shown; {beyond} labelled mark(s) lie in none of them and are passed over"
        );
        passed_over.tell(args.crop.min_height_px);
        if shown_parts == 0 {
            bail!(
                "no labelled road user is large and whole enough: give their classes with --on, or --min-height-px"
            );
        }
    }
    if pictures == 0 {
        bail!(
            "no labelled picture was found in {}; does `file_name` (or the number, for MOT) fit?",
            args.pictures.display()
        );
    }
    if let Some(file) = &args.detections {
        write_results(file, &seen)?;
    }
    let report = |contestant: &Contestant| contestant.report(&labels, pictures);
    let reports: Vec<Report> = contestants.iter().map(report).collect();
    if args.json {
        said::json(&serde_json::to_string_pretty(&reports)?);
    } else {
        print(args, &reports);
    }
    Ok(())
}

fn read_labels(file: &Path) -> anyhow::Result<LabelSet> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("labels {}", file.display()))?;
    let labels = LabelSet::parse(&text).with_context(|| file.display().to_string())?;
    for (category, count) in &labels.passed_over {
        aside!(
            "note: {count} label(s) of `{category}` are passed over; this program has no word for it"
        );
    }
    if labels.incomplete > 0 {
        aside!(
            "note: {} picture(s) say `complete: false` and are passed over; what is unlabelled in them would count as wrong. Have a person complete them (docs/finetune.md)",
            labels.incomplete
        );
    }
    Ok(labels)
}

/// Whether the first model is a classifier.
fn is_classifier(args: &EvaluateArgs, store: &ModelStore) -> anyhow::Result<bool> {
    let Some(name) = args.models.first() else {
        return Ok(false);
    };
    let (model, version) = named_version(name).map_err(anyhow::Error::msg)?;
    let (manifest, _) = match version {
        Some(version) => store.find_version(&model, version)?,
        None => store.find(&model)?,
    };
    Ok(matches!(manifest.head.answer(), heads::Answer::Labels))
}

/// Which classifiers are measured: those that were named, and the version of the first one's
/// model that is current, if that is another.
fn classifiers(args: &EvaluateArgs, store: &ModelStore) -> anyhow::Result<Vec<(String, bool)>> {
    let mut names: Vec<(String, bool)> = args.models.iter().map(|m| (m.clone(), false)).collect();
    if args.alone {
        return Ok(names);
    }
    let current = || -> anyhow::Result<Option<String>> {
        let Some((model, Some(version))) = args
            .models
            .first()
            .map(|name| named_version(name).map_err(anyhow::Error::msg))
            .transpose()?
        else {
            return Ok(None);
        };
        let (asked, _) = store.find_version(&model, version)?;
        let current = store.find(&model).ok();
        Ok(current
            .filter(|(current, _)| current.sha256 != asked.sha256)
            .map(|_| model.to_string()))
    };
    let reference = match &args.against {
        Some(against) => Some(against.clone()),
        None => current()?,
    };
    let reference = reference.filter(|name| !args.models.contains(name));
    names.extend(reference.map(|name| (name, true)));
    Ok(names)
}

fn contestants(
    config: &DetectorConfig,
    args: &EvaluateArgs,
    runtime: &Runtime,
    store: &ModelStore,
) -> anyhow::Result<Vec<Contestant>> {
    let mut names: Vec<(String, bool)> = args.models.iter().map(|m| (m.clone(), false)).collect();
    if !args.alone {
        let reference = args
            .against
            .clone()
            // Who detects road users is no measure for what a cascade looks with.
            .or_else(|| {
                let in_use = listing::in_use(config, store).filter(|_| !args.crop.is_given());
                in_use.map(|model| model.to_string())
            });
        // Nothing is gained by measuring one model twice, unless it looks in another way.
        let is_new = |name: &String| args.detect.is_some() || !args.models.contains(name);
        names.extend(reference.filter(is_new).map(|reference| (reference, true)));
    }
    names
        .into_iter()
        .map(|(name, is_reference)| {
            let (model, version) = named_version(&name).map_err(anyhow::Error::msg)?;
            let (mut manifest, file) = match version {
                Some(version) => store.find_version(&model, version)?,
                None => store.find(&model)?,
            };
            manifest.thresholds.low = args.low.min(manifest.thresholds.high);
            let at_parts = (args.crop.is_given())
                .then(|| Network::load(runtime, manifest.clone(), &file, &config.settings()))
                .transpose()?;
            let detector = Detector::load(runtime, manifest, &file, &config.settings())?;
            let looks = args.detect.filter(|_| !is_reference).unwrap_or_default();
            Ok(Contestant {
                name,
                is_reference,
                detector,
                parts: Parts::new(&looks),
                at_parts,
                evaluator: Evaluator::default(),
                took: Duration::ZERO,
            })
        })
        .collect()
}

/// Shows every picture that is labelled; returns how many there were.
fn walk(
    args: &EvaluateArgs,
    labels: &LabelSet,
    mut look: impl FnMut(&LabelledPicture, &PictureView<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let bar = pictures::progress(labels.pictures.len() as u64)?;
    let by_number: BTreeMap<u64, &LabelledPicture> = labels
        .pictures
        .iter()
        .map(|picture| (picture.id, picture))
        .collect();
    let mut count = 0;
    let nothing_on = |id| LabelledPicture {
        id,
        ..LabelledPicture::default()
    };
    if args.pictures.is_file() {
        if labels.pictures.iter().any(|picture| picture.file.is_some()) {
            bail!("COCO labels name picture files; give their folder as --pictures");
        }
        edge_video::init()?;
        let mut clip = ClipReader::open(&args.pictures, EventTime::from_micros(0))?;
        bar.set_length(labels.pictures.last().map_or(0, |last| last.id));
        while let Some(frame) = clip.next_frame()? {
            // Labels count the damaged pictures, which no model is to be blamed for.
            let number = frame.number + 1;
            bar.set_position(number);
            if !(number - 1).is_multiple_of(args.every as u64) {
                continue;
            }
            let picture = by_number
                .get(&number)
                .copied()
                .cloned()
                .unwrap_or_else(|| nothing_on(number));
            look(&picture, &frame.view())?;
            count += 1;
        }
        if let Some(damage) = clip.damage() {
            aside!("warning: {}: {damage}", args.pictures.display());
        }
    } else {
        let mut missing = 0;
        let files: Vec<(LabelledPicture, PathBuf)> =
            if labels.pictures.iter().any(|picture| picture.file.is_some()) {
                let named = labels.pictures.iter().filter_map(|picture| {
                    let file = args.pictures.join(picture.file.as_deref()?);
                    if file.is_file() {
                        Some((picture.clone(), file))
                    } else {
                        missing += 1;
                        None
                    }
                });
                named.collect()
            } else {
                pictures::in_folder(&args.pictures)?
                    .into_iter()
                    .filter_map(|file| {
                        let number = file.file_stem()?.to_str()?.parse().ok()?;
                        let labelled = by_number.get(&number).copied().cloned();
                        Some((labelled.unwrap_or_else(|| nothing_on(number)), file))
                    })
                    .collect()
            };
        bar.set_length(files.len() as u64);
        for (picture, file) in files.into_iter().step_by(args.every) {
            let still = Still::open(&file)?;
            look(&picture, &(&still.view()).into())?;
            bar.inc(1);
            count += 1;
        }
        if missing > 0 {
            aside!(
                "note: {missing} labelled picture(s) are not in {}",
                args.pictures.display()
            );
        }
    }
    bar.finish_and_clear();
    Ok(count)
}

fn results(look: &Look<'_>, detections: &[Detection]) -> Vec<CocoResult> {
    detections
        .iter()
        .map(|detection| {
            let place = look.rectangle(detection);
            CocoResult {
                image_id: look.labelled.id,
                category_id: detection.class.coco_category(),
                bbox: [place.x, place.y, place.width, place.height],
                score: detection.score,
            }
        })
        .collect()
}

fn write_results(file: &Path, seen: &[CocoResult]) -> anyhow::Result<()> {
    let write = || -> anyhow::Result<()> {
        let mut to = BufWriter::new(std::fs::File::create(file)?);
        serde_json::to_writer(&mut to, seen)?;
        to.flush()?;
        Ok(())
    };
    write().with_context(|| format!("detections {}", file.display()))
}

/// What the others are compared with.
fn compared_with(args: &EvaluateArgs) -> &'static str {
    match args.against {
        Some(_) => "what it is compared with",
        None => "the current one",
    }
}

fn print(args: &EvaluateArgs, reports: &[Report]) {
    let reference = reports.iter().find(|report| report.is_reference);
    for report in reports {
        let evaluation = &report.evaluation;
        let compared = match reference {
            Some(reference) if !report.is_reference => format!(", beside {}", reference.model),
            _ if report.is_reference => format!(", {}", compared_with(args)),
            _ => String::new(),
        };
        say!(
            "{} on {}{compared}: {} pictures ({} by night), {:.1} ms each",
            report.model,
            report.provider,
            evaluation.pictures,
            evaluation.night_pictures,
            report.ms_per_picture
        );
        let mut table = listing::table(vec![
            "class",
            "labels",
            "AP50",
            "AP",
            "AP small",
            "medium",
            "large",
            "AP50 day",
            "night",
            "precision",
            "recall",
        ]);
        for class in &evaluation.classes {
            let other = reference
                .filter(|_| !report.is_reference)
                .and_then(|reference| of_class(&reference.evaluation, class.class));
            table.add_row(row(class, other));
        }
        let other = reference
            .filter(|_| !report.is_reference)
            .map(|r| r.evaluation.mean);
        let mean = &evaluation.mean;
        table.add_row(vec![
            "mean".to_owned(),
            mean.labels.to_string(),
            figure(mean.ap50, other.map(|o| o.ap50)),
            figure(mean.ap50_95, other.map(|o| o.ap50_95)),
        ]);
        say!("{table}");
        for line in unlabelled(evaluation, reference.filter(|_| !report.is_reference)) {
            say!("{line}");
        }
    }
}

/// What is believed of classes of which nothing is labelled: a model that sees buses everywhere loses no precision
/// on pictures without one.
fn unlabelled(evaluation: &Evaluation, reference: Option<&Report>) -> Vec<String> {
    let of = |evaluation: &Evaluation, class| {
        let found = evaluation.unlabelled.iter().find(|of| of.class == class);
        found.map_or(0, |of| of.believed)
    };
    let beside = reference.map(|reference| &reference.evaluation);
    let mut classes: Vec<ObjectClass> = (evaluation.unlabelled.iter())
        .chain(beside.iter().flat_map(|other| &other.unlabelled))
        .map(|of| of.class)
        .collect();
    classes.sort_unstable();
    classes.dedup();
    let line = |class: ObjectClass| {
        let believed = of(evaluation, class);
        let other =
            beside.map_or_else(String::new, |other| format!(", {} there", of(other, class)));
        format!("{class}: none is labelled, and {believed} would be believed{other}")
    };
    classes.into_iter().map(line).collect()
}

fn of_class(evaluation: &Evaluation, class: ObjectClass) -> Option<&ClassScores> {
    evaluation
        .classes
        .iter()
        .find(|scores| scores.class == class)
}

fn row(class: &ClassScores, other: Option<&ClassScores>) -> Vec<String> {
    let part = |of: fn(&ClassScores) -> Option<Scores>, value: fn(&Scores) -> f64| {
        of(class).map_or_else(
            || "-".to_owned(),
            |scores| figure(value(&scores), other.and_then(of).map(|o| value(&o))),
        )
    };
    vec![
        class.class.to_string(),
        class.all.labels.to_string(),
        figure(class.all.ap50, other.map(|o| o.all.ap50)),
        figure(class.all.ap50_95, other.map(|o| o.all.ap50_95)),
        part(|c| c.small, |s| s.ap50_95),
        part(|c| c.medium, |s| s.ap50_95),
        part(|c| c.large, |s| s.ap50_95),
        part(|c| c.day, |s| s.ap50),
        part(|c| c.night, |s| s.ap50),
        figure(class.precision, other.map(|o| o.precision)),
        figure(class.recall, other.map(|o| o.recall)),
    ]
}

/// `0.912 (+0.014)`
fn figure(value: f64, other: Option<f64>) -> String {
    match other {
        Some(other) => format!("{value:.3} ({:+.3})", value - other),
        None => format!("{value:.3}"),
    }
}
