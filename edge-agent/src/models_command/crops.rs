//! `models evaluate` of what cascades use: a classifier on labelled crops, and a detector on
//! the parts of pictures that its cascade shows it.
//!
//! Parts are those of [`CropArgs`], which are cut as they are live. What lies in no part is
//! passed over: live it would not be seen either.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use case_bundle::files::said;
use case_bundle::{aside, say};
use edge_inference::evaluate::confusion::{Cell, ClassFigures, Confusion, Word};
use edge_inference::evaluate::labels::{LabelledPicture, class_of};
use edge_inference::evaluate::{LabelSet, NIGHT_LUMA};
use edge_inference::still::mean_luma;
use edge_inference::{Answered, Look, ModelStore, Network, Runtime, Still};
use models::PictureView;
use protocol::{Detection, NormBox, ObjectClass};
use serde::Serialize;

use super::parts::{CropArgs, PassedOver, User, Users, in_fractions, is_middle_in};
use super::{listing, pictures};
use crate::config::{DetectorConfig, named_version};
use crate::live::StopFlag;

/// Two boxes of one class that overlap by this were seen in two parts, and are one.
const SAME: f64 = 0.5;

/// What a detector sees in the parts of a picture, each thing once.
pub(super) fn look_at_parts(
    network: &mut Network,
    view: &PictureView<'_>,
    parts: &[NormBox],
) -> anyhow::Result<Vec<Detection>> {
    let looks: Vec<Look<'_>> = parts.iter().map(|part| Look::part(*view, part)).collect();
    let mut seen = Vec::new();
    for answer in network.answer_batch(&looks) {
        match answer? {
            Answered::Detections(answers) => seen.extend(answers.found),
            _ => bail!("{} is no detector", network.manifest().id),
        }
    }
    seen.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::new();
    for detection in seen {
        let is_known = |known: &Detection| {
            known.class == detection.class && known.bounds.iou(&detection.bounds) >= SAME
        };
        if !kept.iter().any(is_known) {
            kept.push(detection);
        }
    }
    Ok(kept)
}

/// The marks of a picture that lie in one of the parts, for the most; and how many do not.
pub(super) fn in_parts(
    picture: &LabelledPicture,
    parts: &[NormBox],
    size: (u32, u32),
) -> (LabelledPicture, usize) {
    let mut shown = picture.clone();
    shown.labels.retain(|(class, truth)| {
        let bounds = in_fractions(picture, &truth.bounds, size);
        let is_in = |part: &NormBox| is_middle_in(part, &bounds);
        edge_core::marks::is_mark(*class) && parts.iter().any(is_in)
    });
    let marks = picture
        .labels
        .iter()
        .filter(|(c, _)| edge_core::marks::is_mark(*c));
    let beyond = marks.count() - shown.labels.len();
    (shown, beyond)
}

/// A crop whose word is known.
struct Labelled {
    file: PathBuf,
    truth: Word,
    is_night: Option<bool>,
    /// Which picture of the labels and which label on it; `None`: all of the file.
    of: Option<(usize, usize)>,
}

#[derive(Serialize)]
struct Report {
    model: String,
    sha256: protocol::Digest,
    is_reference: bool,
    ms_per_crop: f64,
    crops: u64,
    by_night: u64,
    classes: Vec<ClassFigures>,
    confusion: Vec<Cell>,
}

/// A classifier under measurement.
struct Contestant {
    name: String,
    is_reference: bool,
    network: Network,
    confusion: Confusion,
    took: Duration,
}

/// What is measured with.
pub(super) struct Set<'a> {
    pub(super) pictures: &'a Path,
    pub(super) labels: Option<&'a LabelSet>,
    pub(super) every: usize,
    /// Once it is set, no further crop is looked at.
    pub(super) stop: &'a StopFlag,
}

/// Measures classifiers.
pub(super) fn classify(
    (config, runtime, store): (&DetectorConfig, &Runtime, &ModelStore),
    names: &[(String, bool)],
    (set, crop): (&Set<'_>, &CropArgs),
    as_json: bool,
) -> anyhow::Result<()> {
    let mut contestants = Vec::new();
    for (name, is_reference) in names {
        let (model, version) = named_version(name).map_err(anyhow::Error::msg)?;
        let (manifest, file) = match version {
            Some(version) => store.find_version(&model, version)?,
            None => store.find(&model)?,
        };
        contestants.push(Contestant {
            name: name.clone(),
            is_reference: *is_reference,
            network: Network::load(runtime, manifest, &file, &config.settings())?,
            confusion: Confusion::default(),
            took: Duration::ZERO,
        });
    }
    let mut passed_over = PassedOver::default();
    for crop_of in labelled(set)?.into_iter().step_by(set.every) {
        if set.stop.is_set() {
            bail!("broken off");
        }
        let still = Still::open(&crop_of.file)?;
        let view: PictureView<'_> = (&still.view()).into();
        let look = match crop_of.of {
            None => Look::whole(view),
            Some((picture, label)) => {
                let picture = &set.labels.context("labels")?.pictures[picture];
                let size = (view.width(), view.height());
                let (class, truth) = &picture.labels[label];
                let bounds = in_fractions(picture, &truth.bounds, size);
                let users = Users::by_answers(picture, size);
                match crop.shown(User::new(Some(*class), bounds), &users, size.1) {
                    Ok(part) => Look::part(view, &part),
                    Err(why) => {
                        passed_over.count(why);
                        continue;
                    }
                }
            }
        };
        let is_night = (crop_of.is_night).unwrap_or_else(|| mean_luma(view) < NIGHT_LUMA);
        for contestant in &mut contestants {
            let began = Instant::now();
            let answer = contestant.network.answer_batch(&[look]).remove(0)?;
            contestant.took += began.elapsed();
            let believed_from = contestant.network.manifest().thresholds.high;
            let Answered::Labels(answers) = answer else {
                bail!(
                    "{} is no classifier; measure detectors by themselves",
                    contestant.name
                );
            };
            let believed = answers.found.iter().filter(|l| l.score >= believed_from);
            let said: Vec<ObjectClass> = believed.filter_map(|label| label.class).collect();
            contestant.confusion.add(crop_of.truth, &said, is_night);
        }
    }
    passed_over.tell(crop.min_height_px);
    let reports: Vec<Report> = contestants.iter().map(report).collect();
    if reports.iter().any(|report| report.crops == 0) {
        bail!("there was no crop to look at in {}", set.pictures.display());
    }
    if as_json {
        said::json(&serde_json::to_string_pretty(&reports)?);
    } else {
        print(&reports);
    }
    Ok(())
}

/// All crops, in their order: boxes of the labels, or the files of a folder for each class.
fn labelled(set: &Set<'_>) -> anyhow::Result<Vec<Labelled>> {
    let Some(labels) = set.labels else {
        return in_folders(set.pictures);
    };
    let mut crops = Vec::new();
    let mut missing = 0;
    for (number, picture) in labels.pictures.iter().enumerate() {
        let Some(file) = picture.file.as_deref() else {
            bail!("a classifier is measured with COCO labels, or a folder for each class");
        };
        let file = set.pictures.join(file);
        if !file.is_file() {
            missing += 1;
            continue;
        }
        for (label, (class, truth)) in picture.labels.iter().enumerate() {
            if !truth.is_crowd {
                crops.push(Labelled {
                    file: file.clone(),
                    truth: Some(*class),
                    is_night: picture.is_night,
                    of: Some((number, label)),
                });
            }
        }
    }
    if missing > 0 {
        aside!(
            "note: {missing} labelled picture(s) are not in {}",
            set.pictures.display()
        );
    }
    Ok(crops)
}

/// `CLASS/*.jpg`, and below it `day/` and `night/` where somebody parted them. A folder whose name
/// is no word here (`cannot_tell`) is of crops of which nothing should be said.
fn in_folders(pictures: &Path) -> anyhow::Result<Vec<Labelled>> {
    let folders = |of: &Path| -> anyhow::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(of).with_context(|| of.display().to_string())?;
        let mut folders: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        Ok(folders)
    };
    let name = |folder: &Path| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default().to_owned()
    };
    let mut crops = Vec::new();
    for folder in folders(pictures)? {
        let truth = class_of(&name(&folder));
        if truth.is_none() {
            aside!(
                "note: of crops in `{}` nothing should be said; this program has no such word",
                name(&folder)
            );
        }
        let mut parts = vec![(folder.clone(), None)];
        for below in folders(&folder)? {
            let is_night = match name(&below).as_str() {
                "night" => true,
                "day" => false,
                _ => bail!(
                    "{}: a class has crops, or folders `day` and `night` with them",
                    below.display()
                ),
            };
            parts.push((below, Some(is_night)));
        }
        let only_parts = parts.len() > 1;
        for (place, is_night) in parts {
            // A class may have nothing but its folders `day` and `night`.
            let files = match pictures::in_folder(&place) {
                Err(_) if only_parts && is_night.is_none() => continue,
                files => files?,
            };
            crops.extend(files.into_iter().map(|file| Labelled {
                file,
                truth,
                is_night,
                of: None,
            }));
        }
    }
    if crops.is_empty() {
        bail!(
            "{}: there is no folder for each class in it (helmet/, no_helmet/); or give --labels",
            pictures.display()
        );
    }
    Ok(crops)
}

fn report(of: &Contestant) -> Report {
    let (crops, by_night) = of.confusion.crops();
    Report {
        model: of.name.clone(),
        sha256: of.network.manifest().sha256,
        is_reference: of.is_reference,
        ms_per_crop: of.took.as_secs_f64() * 1e3 / crops.max(1) as f64,
        crops,
        by_night,
        classes: of.confusion.classes(),
        confusion: of.confusion.cells(),
    }
}

fn print(reports: &[Report]) {
    let reference = reports.iter().find(|report| report.is_reference);
    for report in reports {
        let other = reference.filter(|_| !report.is_reference);
        let beside = match other {
            Some(other) => format!(", beside {}", other.model),
            None if report.is_reference => ", the current one".to_owned(),
            None => String::new(),
        };
        say!(
            "{}{beside}: {} crops ({} by night), {:.1} ms each",
            report.model,
            report.crops,
            report.by_night,
            report.ms_per_crop
        );
        say!("{}", matrix(&report.confusion));
        let mut table = listing::table(vec![
            "class",
            "crops",
            "precision",
            "recall",
            "precision day",
            "night",
            "recall day",
            "night",
        ]);
        for class in &report.classes {
            let known = other.and_then(|other| {
                let mut classes = other.classes.iter();
                classes.find(|known| known.class == class.class)
            });
            let figure =
                |of: fn(&ClassFigures) -> Option<f64>| match (of(class), known.and_then(of)) {
                    (None, _) => "-".to_owned(),
                    (Some(value), None) => format!("{value:.3}"),
                    (Some(value), Some(other)) => format!("{value:.3} ({:+.3})", value - other),
                };
            table.add_row(vec![
                class.class.to_string(),
                class.crops.to_string(),
                figure(|c| c.precision),
                figure(|c| c.recall),
                figure(|c| c.precision_day),
                figure(|c| c.precision_night),
                figure(|c| c.recall_day),
                figure(|c| c.recall_night),
            ]);
        }
        say!("{table}");
    }
}

/// A row for what is there, a column for what was said.
fn matrix(cells: &[Cell]) -> String {
    let word = |word: Word| word.map_or("nothing", ObjectClass::as_str);
    let mut words: Vec<Word> = cells.iter().flat_map(|c| [c.truth, c.said]).collect();
    // Nothing stands last.
    words.sort_unstable_by_key(|word| (word.is_none(), *word));
    words.dedup();
    let mut head = vec!["is \\ said"];
    head.extend(words.iter().map(|said| word(*said)));
    let mut table = listing::table(head);
    for truth in words
        .iter()
        .filter(|word| cells.iter().any(|c| c.truth == **word))
    {
        let mut row = vec![word(*truth).to_owned()];
        row.extend(words.iter().map(|said| {
            let mut of = cells
                .iter()
                .filter(|c| c.truth == *truth && c.said == *said);
            of.next().map_or(0, |cell| cell.crops).to_string()
        }));
        table.add_row(row);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use edge_cascade::Crop;

    use super::*;

    const RIDERS: &str = r#"{
        "images": [{"id": 1, "file_name": "a.png", "width": 1000, "height": 1000, "night": true}],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "no_helmet"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [100, 100, 100, 200]},
            {"image_id": 1, "category_id": 1, "bbox": [700, 100, 20, 50]},
            {"image_id": 1, "category_id": 2, "bbox": [130, 100, 40, 40]},
            {"image_id": 1, "category_id": 2, "bbox": [700, 700, 40, 40]}]}"#;

    fn crop(part: Crop) -> CropArgs {
        CropArgs {
            crop: Some(part),
            margin: 0.0,
            min_height_px: 48.0,
            on: Vec::new(),
        }
    }

    #[test]
    fn parts_are_cut_as_the_cascade_cuts_them_and_marks_beyond_are_passed_over() {
        let labels = LabelSet::parse(RIDERS).unwrap();
        let picture = &labels.pictures[0];
        let size = (1000, 1000);
        // From the hips up, and the far rider is too small: 60 % of 50 pixels.
        let mut passed_over = PassedOver::default();
        let parts = crop(Crop::Riders).parts_of(picture, size, &mut passed_over);
        assert_eq!((passed_over.small, passed_over.cut), (1, 0));
        assert_eq!(parts, [NormBox::from([0.1, 0.1, 0.1, 0.12])]);
        assert_eq!(parts, Crop::Riders.parts(&parts_box(), &[parts_box()], 0.0));
        let (shown, beyond) = in_parts(picture, &parts, size);
        let classes: Vec<_> = shown.labels.iter().map(|(class, _)| *class).collect();
        assert_eq!((classes, beyond), (vec![ObjectClass::NoHelmet], 1));
        // Of another class than is looked at there is no part.
        let of_cars = CropArgs {
            on: vec![ObjectClass::Car],
            ..crop(Crop::Driver)
        };
        assert_eq!(of_cars.parts_of(picture, size, &mut passed_over), []);
    }

    fn parts_box() -> NormBox {
        NormBox::from([0.1, 0.1, 0.1, 0.2])
    }

    #[test]
    fn a_folder_for_each_class_is_read_with_day_and_night_and_what_has_no_word() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "helmet/night/a.png",
            "no_helmet/b.jpg",
            "cannot_tell/day/c.png",
        ] {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let crops = in_folders(folder.path()).unwrap();
        let told: Vec<_> = crops.iter().map(|c| (c.truth, c.is_night)).collect();
        assert_eq!(
            told,
            [
                (None, Some(false)),
                (Some(ObjectClass::Helmet), Some(true)),
                (Some(ObjectClass::NoHelmet), None),
            ]
        );
        std::fs::create_dir(folder.path().join("helmet/old")).unwrap();
        let refused = in_folders(folder.path()).map(|crops| crops.len());
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("`day` and `night`")
        );
    }
}
