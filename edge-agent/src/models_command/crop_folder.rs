//! `models crops`: the parts that a cascade would show, each as a picture, to train a classifier with.
//!
//! They are cut by what `models evaluate` measures with ([`CropArgs`]), so that a classifier learns
//! from what it will see, and from nothing that it will not. Nothing else is chosen here, nothing is
//! scaled, and no network is loaded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use case_bundle::{aside, say};
use clap::Args;
use edge_core::marks::is_mark;
use edge_inference::evaluate::average_precision::Truth;
use edge_inference::evaluate::labels::{LabelledPicture, class_of};
use edge_inference::evaluate::{LabelSet, NIGHT_LUMA};
use edge_inference::still::{Original, mean_luma};
use models::Crop as Pixels;
use protocol::{Digest, NormBox, ObjectClass};
use serde::Serialize;
use sha2::Digest as _;

use super::parts::{CropArgs, PassedOver, Unshown, User, Users, in_fractions, is_middle_in};
use super::unfinished::Unfinished;
use super::{listing, pictures};
use crate::live::StopFlag;

/// Shown below `--help`.
pub(super) const HELP: &str = "\
\x20 edge-agent models crops --labels train.json --pictures labels/pictures --crop riders --out crops/train
  edge-agent models crops --labels val.json --pictures labels/pictures --crop riders --out crops/val

Labels are COCO's: each box is a road user's, as the detector draws it (with --crop riders a rider's, crown to
shoes), and its category the right answer: helmet, no_helmet. A category for which this program has no word
(cannot_tell) is cut as well: of such crops nothing is to be said. Where road users and what is seen of them have
boxes of their own, --on says whose parts are cut, and the answer is what lies in the part:
  edge-agent models crops --labels train.json --pictures p/ --crop driver --on car,bus,truck --out crops/train
`nothing` where nothing does; a part in which several kinds lie is left out and counted. Answers are categories for
which this program has a word, and cannot_tell; of others --answers says which are, and the rest is passed over.

It writes OUT/CLASS/day/*.png and OUT/CLASS/night/*.png (by the labels, else by the whole picture's luma), which
`models evaluate --pictures OUT` reads, and OUT/crops.json: of which picture, box, camera and day each crop is.
Give the cascade's own `crop` (left out: all of the box), `margin` and `min_height_px`. A part that a cascade would not
show is not cut, and counted: too low, cut off by the picture's edge, behind somebody nearer (not behind who may ride
with them: labels do not say who does). OUT must be new or empty, and holds all or nothing. What a run that was killed
had cut lies beside it as .NAME.NUMBER.part until the next run for the same OUT takes it away.

Whole days of a camera stay on one side: cut train.json and val.json, which `aggregator labels` keeps apart, into
two folders. deploy/workshop/train_classifier.py trains with them, and refuses two that share a picture or a day.
The crops show faces: keep them as you keep evidence.

Exit codes: 0 written, 1 failed, 2 faulty command line, 130 broken off (Ctrl-C, SIGTERM).";

/// The answer where no mark lies in a part.
const NOTHING: &str = "nothing";
/// The answer of who has looked and does not know.
const CANNOT_TELL: &str = "cannot_tell";
/// Longest name of a folder, characters.
const LONGEST_WORD: usize = 40;

/// `models crops`
#[derive(Debug, Args)]
pub struct CropsArgs {
    /// What is on the pictures.
    #[arg(long, value_name = "COCO.json")]
    labels: PathBuf,
    /// Folder of the pictures.
    #[arg(long, value_name = "DIR")]
    pictures: PathBuf,
    #[command(flatten)]
    crop: CropArgs,
    /// Where road users and marks have boxes of their own: which categories for which this program has no
    /// word are answers, beside `cannot_tell`.
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',', requires = "on")]
    answers: Vec<String>,
    /// Folder to write; new, or empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// `crops.json`
#[derive(Serialize)]
struct Index<'a> {
    labels: String,
    labels_sha256: Digest,
    crop: &'static str,
    margin: f64,
    min_height_px: f64,
    on: &'a [ObjectClass],
    crops: &'a [Entry],
}

#[derive(Serialize)]
struct Entry {
    /// In the folder.
    file: String,
    class: String,
    picture: String,
    /// Of the picture: two tasks of a labelling tool number their frames alike.
    picture_sha256: Digest,
    /// The labelled box: left, top, width, height, as labelled.
    bbox: [f64; 4],
    /// What was cut out: left, top, width, height in pixels of the picture.
    pixels: [u32; 4],
    night: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    camera: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
}

/// Where the answer to a crop stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answers {
    /// It is the category of the box that is cut.
    OfTheBox,
    /// It is what lies in the part: marks, and of the categories without a word these.
    OfTheMarks { also: Vec<String> },
}

impl Answers {
    /// Whether a category without a word may be the answer to something that is cut.
    fn include(&self, category: &str, crop: &CropArgs) -> bool {
        match self {
            Self::OfTheBox => crop.on.is_empty(),
            Self::OfTheMarks { also } => also.contains(&word_of(category)),
        }
    }
}

/// `models crops`
pub(super) fn write(args: &CropsArgs, stop: &StopFlag) -> anyhow::Result<()> {
    let out = &args.out;
    let Some(name) = out.file_name() else {
        bail!("--out {} is no name for a new folder", out.display());
    };
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) || out.is_file() {
        bail!(
            "{} is there and not empty; name a new folder, so that crops of two runs do not mix",
            out.display()
        );
    }
    let text = fs::read_to_string(&args.labels)
        .with_context(|| format!("labels {}", args.labels.display()))?;
    let labels = LabelSet::parse(&text).with_context(|| args.labels.display().to_string())?;
    let answers = answers_of(&labels, args)?;
    tell(&labels, &answers, &args.crop);
    let part = Unfinished::beside(out, &name.to_string_lossy())?;
    let mut cutter = Cutter {
        crop: &args.crop,
        answers,
        to: part.path(),
        crops: Vec::new(),
        left_out: LeftOut::default(),
    };
    let written = cutter
        .cut_all(&labels, &args.pictures, stop)
        .and_then(|()| {
            let index = Index {
                labels: args.labels.display().to_string(),
                labels_sha256: Digest(sha2::Sha256::digest(&text).into()),
                crop: args.crop.part_shown().as_str(),
                margin: args.crop.margin,
                min_height_px: args.crop.min_height_px,
                on: &args.crop.on,
                crops: &cutter.crops,
            };
            let index = serde_json::to_string_pretty(&index)? + "\n";
            fs::write(part.path().join("crops.json"), index)?;
            part.finish(out)
        });
    if let Err(error) = written {
        part.discard();
        return Err(error);
    }
    print(args, &cutter);
    Ok(())
}

/// Where the answers stand in these labels; refuses those in which they cannot be told.
fn answers_of(labels: &LabelSet, args: &CropsArgs) -> anyhow::Result<Answers> {
    let crop = &args.crop;
    if labels.pictures.iter().any(|picture| picture.file.is_none()) {
        bail!("crops are cut with COCO labels, which name picture files; these are MOTChallenge's");
    }
    let all = labels.pictures.iter().flat_map(|picture| &picture.labels);
    let mut classes: Vec<ObjectClass> = all.map(|(class, _)| *class).collect();
    classes.sort_unstable();
    classes.dedup();
    let (marks, users): (Vec<ObjectClass>, Vec<ObjectClass>) =
        classes.iter().partition(|class| is_mark(**class));
    let words = |of: &[ObjectClass]| {
        let words: Vec<&str> = of.iter().map(|class| class.as_str()).collect();
        words.join(", ")
    };
    if crop.on.is_empty() {
        if !marks.is_empty() && !users.is_empty() {
            bail!(
                "the labels have boxes of road users ({}) and of what is seen of them ({}); say with --on whose parts are cut",
                words(&users),
                words(&marks)
            );
        }
        return Ok(Answers::OfTheBox);
    }
    if !crop.on.iter().any(|class| users.contains(class)) {
        bail!(
            "no box is of --on {}; the labels have {}",
            words(&crop.on),
            words(&classes)
        );
    }
    if !marks.is_empty() {
        return of_the_marks(labels, &args.answers);
    }
    if !args.answers.is_empty() {
        bail!(
            "no box is of what is seen of a road user, so the category of each box that is cut is its answer; \
             leave --answers out"
        );
    }
    Ok(Answers::OfTheBox)
}

/// Of the categories for which there is no word here nobody but who labelled knows which are answers: a
/// bag in a rider's part is none, and a part with a head in it that is blurred is not one with nothing.
fn of_the_marks(labels: &LabelSet, asked: &[String]) -> anyhow::Result<Answers> {
    let mut also: Vec<String> = asked.iter().map(|answer| word_of(answer)).collect();
    let without_word = labels.passed_over.keys();
    let others: Vec<&String> = without_word
        .filter(|category| word_of(category) != CANNOT_TELL)
        .collect();
    let words = || {
        let words: Vec<&str> = others.iter().map(|category| category.as_str()).collect();
        words.join(", ")
    };
    if asked.is_empty() && !others.is_empty() {
        bail!(
            "the labels have categories for which this program has no word ({}); say with --answers which of them \
             are answers, and the others are passed over; --answers {CANNOT_TELL} where none is",
            words()
        );
    }
    let is_labelled = |word: &str| others.iter().any(|category| word_of(category) == word);
    for (answer, word) in asked.iter().zip(&also) {
        if word != CANNOT_TELL && class_of(answer).is_none() && !is_labelled(word) {
            bail!(
                "no label is of --answers {answer}; those for which this program has no word are of {}",
                if others.is_empty() {
                    "none".to_owned()
                } else {
                    words()
                }
            );
        }
    }
    also.push(CANNOT_TELL.to_owned());
    Ok(Answers::OfTheMarks { also })
}

fn tell(labels: &LabelSet, answers: &Answers, crop: &CropArgs) {
    for (category, count) in &labels.passed_over {
        let then = if answers.include(category, crop) {
            "of such crops nothing is to be said"
        } else {
            "they are passed over"
        };
        aside!("note: for {count} label(s) of `{category}` this program has no word: {then}");
    }
    if labels.incomplete > 0 {
        aside!(
            "note: {} picture(s) say `complete: false` and are passed over; have a person complete them (docs/finetune.md)",
            labels.incomplete
        );
    }
}

/// A box whose part is cut.
struct Asked<'p> {
    category: &'p str,
    /// The same, where this program has the word.
    class: Option<ObjectClass>,
    truth: &'p Truth,
}

/// The boxes of a picture whose parts are cut.
fn boxes_of<'p>(
    picture: &'p LabelledPicture,
    crop: &CropArgs,
    answers: &Answers,
) -> Vec<Asked<'p>> {
    let of_users = picture.labels.iter().filter(|(class, _)| match answers {
        Answers::OfTheBox => crop.on.is_empty() || crop.on.contains(class),
        Answers::OfTheMarks { .. } => crop.on.contains(class),
    });
    let known = of_users.map(|(class, truth)| Asked {
        category: class.as_str(),
        class: Some(*class),
        truth,
    });
    let is_asked = *answers == Answers::OfTheBox && crop.on.is_empty();
    let others = picture.without_word.iter().filter(|_| is_asked);
    let others = others.map(|(name, truth)| Asked {
        category: name,
        class: None,
        truth,
    });
    known
        .chain(others)
        .filter(|asked| !asked.truth.is_crowd)
        .collect()
}

/// What was not written, and why.
#[derive(Default)]
struct LeftOut {
    pictures_missing: usize,
    unshown: PassedOver,
    several: usize,
}

/// Cuts parts of pictures into a folder, and keeps account.
struct Cutter<'a> {
    crop: &'a CropArgs,
    answers: Answers,
    to: &'a Path,
    crops: Vec<Entry>,
    left_out: LeftOut,
}

impl Cutter<'_> {
    fn cut_all(
        &mut self,
        labels: &LabelSet,
        pictures: &Path,
        stop: &StopFlag,
    ) -> anyhow::Result<()> {
        let bar = pictures::progress(labels.pictures.len() as u64)?;
        for picture in &labels.pictures {
            if stop.is_set() {
                bail!("broken off");
            }
            bar.inc(1);
            let boxes = boxes_of(picture, self.crop, &self.answers);
            let file = pictures.join(picture.file.as_deref().unwrap_or_default());
            if !file.is_file() {
                self.left_out.pictures_missing += 1;
            } else if !boxes.is_empty() {
                self.cut(picture, &file, &boxes)?;
            }
        }
        bar.finish_and_clear();
        if self.crops.is_empty() {
            bail!("{}", nothing_to_cut(self, pictures));
        }
        Ok(())
    }

    /// Cuts the parts of one picture.
    fn cut(
        &mut self,
        picture: &LabelledPicture,
        file: &Path,
        boxes: &[Asked<'_>],
    ) -> anyhow::Result<()> {
        let what = file.display().to_string();
        let bytes = fs::read(file).with_context(|| format!("picture {what}"))?;
        let original = Original::read(&bytes, &what)?;
        let picture_sha256 = Digest(sha2::Sha256::digest(&bytes).into());
        let still = original.still();
        let size = still.size();
        let night = picture
            .is_night
            .unwrap_or_else(|| mean_luma(&still.view()) < NIGHT_LUMA);
        let time = if night { "night" } else { "day" };
        let users = match self.answers {
            Answers::OfTheBox => Users::by_answers(picture, size),
            Answers::OfTheMarks { .. } => Users::beside_marks(picture, size),
        };
        for (number, asked) in boxes.iter().enumerate() {
            let truth = asked.truth;
            let user = User::new(asked.class, in_fractions(picture, &truth.bounds, size));
            let shown = self.crop.shown(user, &users, size.1);
            let shown = shown.and_then(|part| {
                let pixels = Pixels::around(&part, size.0, size.1);
                Ok((part, pixels.ok_or(Unshown::Small)?))
            });
            let (part, pixels) = match shown {
                Ok(shown) => shown,
                Err(why) => {
                    self.left_out.unshown.count(why);
                    continue;
                }
            };
            let answer = match self.answers {
                Answers::OfTheBox => Some(asked.category),
                Answers::OfTheMarks { .. } => self.mark_in(&part, picture, size),
            };
            let Some(answer) = answer else {
                self.left_out.several += 1;
                continue;
            };
            let class = folder_of(answer)?;
            let folder = self.to.join(&class).join(time);
            let name = format!("{}-{number}.png", picture.id);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(&name), original.png(&pixels)?)
                .with_context(|| format!("crop {class}/{time}/{name}"))?;
            let (camera, day) = picture.taken.clone().unzip();
            let of = &truth.bounds;
            self.crops.push(Entry {
                file: format!("{class}/{time}/{name}"),
                class,
                picture: picture.file.clone().unwrap_or_default(),
                picture_sha256,
                bbox: [of.x, of.y, of.width, of.height],
                pixels: [pixels.x, pixels.y, pixels.width, pixels.height],
                night,
                camera,
                day,
            });
        }
        Ok(())
    }

    /// The one kind of mark whose middle lies in a part; `None` where there are several.
    fn mark_in<'p>(
        &self,
        part: &NormBox,
        picture: &'p LabelledPicture,
        size: (u32, u32),
    ) -> Option<&'p str> {
        let marks = picture.labels.iter().filter(|(class, _)| is_mark(*class));
        let marks = marks.map(|(class, truth)| (class.as_str(), truth));
        let others = picture.without_word.iter();
        let others = others.filter(|(name, _)| self.answers.include(name, self.crop));
        let others = others.map(|(name, truth)| (name.as_str(), truth));
        let in_it = marks.chain(others).filter(|(_, truth)| {
            !truth.is_crowd && is_middle_in(part, &in_fractions(picture, &truth.bounds, size))
        });
        let mut kinds: Vec<&str> = in_it.map(|(kind, _)| kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        match kinds[..] {
            [] => Some(NOTHING),
            [kind] => Some(kind),
            _ => None,
        }
    }
}

/// A category as a folder is named.
fn word_of(category: &str) -> String {
    category.trim().to_lowercase().replace([' ', '-'], "_")
}

/// The folder of a category. Names come from whoever labelled, and must not lead elsewhere.
fn folder_of(category: &str) -> anyhow::Result<String> {
    let word = word_of(category);
    let is_plain = word.chars().all(|c| c.is_alphanumeric() || c == '_');
    if word.is_empty() || word.chars().count() > LONGEST_WORD || !is_plain {
        bail!("category `{category}` is no name for a folder; rename it: letters, digits and _");
    }
    Ok(word)
}

fn nothing_to_cut(cutter: &Cutter<'_>, pictures: &Path) -> String {
    let left_out = &cutter.left_out;
    let mut why = Vec::new();
    if left_out.pictures_missing > 0 {
        why.push(format!(
            "{} labelled picture(s) are not in {}",
            left_out.pictures_missing,
            pictures.display()
        ));
    }
    why.extend(left_out.unshown.words(cutter.crop.min_height_px));
    if left_out.several > 0 {
        why.push(format!("in {} part(s) several kinds lie", left_out.several));
    }
    if why.is_empty() {
        why.push("no box is labelled".to_owned());
    }
    format!("there is nothing to cut: {}", why.join("; "))
}

fn print(args: &CropsArgs, cutter: &Cutter<'_>) {
    let left_out = &cutter.left_out;
    if left_out.pictures_missing > 0 {
        aside!(
            "note: {} labelled picture(s) are not in {}",
            left_out.pictures_missing,
            args.pictures.display()
        );
    }
    left_out.unshown.tell(args.crop.min_height_px);
    if left_out.several > 0 {
        aside!(
            "note: {} part(s) in which several kinds lie are left out: a classifier says one thing",
            left_out.several
        );
    }
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for crop in &cutter.crops {
        let (all, by_night) = counts.entry(&crop.class).or_default();
        *all += 1;
        *by_night += usize::from(crop.night);
    }
    say!("{}: {} crops", args.out.display(), cutter.crops.len());
    let mut table = listing::table(vec!["class", "crops", "by night"]);
    for (class, (all, by_night)) in counts {
        table.add_row(vec![
            class.to_owned(),
            all.to_string(),
            by_night.to_string(),
        ]);
    }
    say!("{table}");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// Four riders with bags, of whom the labels say: no helmet, blurred, cannot tell, nothing.
    const STREET: &str = r#"{
        "images": [{"id": 1, "file_name": "1.jpg", "width": 1000, "height": 1000}],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "no_helmet"}, {"id": 27, "name": "backpack"},
            {"id": 28, "name": "Blurred"}, {"id": 29, "name": "cannot tell"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [100, 100, 100, 200]},
            {"image_id": 1, "category_id": 1, "bbox": [300, 100, 100, 200]},
            {"image_id": 1, "category_id": 1, "bbox": [500, 100, 100, 200]},
            {"image_id": 1, "category_id": 1, "bbox": [700, 100, 100, 200]},
            {"image_id": 1, "category_id": 27, "bbox": [110, 130, 60, 60]},
            {"image_id": 1, "category_id": 27, "bbox": [310, 130, 60, 60]},
            {"image_id": 1, "category_id": 27, "bbox": [510, 130, 60, 60]},
            {"image_id": 1, "category_id": 27, "bbox": [710, 130, 60, 60]},
            {"image_id": 1, "category_id": 2, "bbox": [130, 100, 40, 40]},
            {"image_id": 1, "category_id": 28, "bbox": [330, 100, 40, 40]},
            {"image_id": 1, "category_id": 29, "bbox": [530, 100, 40, 40]}]}"#;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: CropsArgs,
    }

    fn typed(more: &[&str]) -> CropsArgs {
        let words = "crops --labels l --pictures p --out o --crop upper --on person";
        Typed::parse_from(words.split(' ').chain(more.iter().copied())).args
    }

    /// What lies in the parts of those of [`STREET`].
    fn answers(more: &[&str]) -> Result<Vec<Option<String>>, String> {
        let labels = LabelSet::parse(STREET).unwrap();
        let args = typed(more);
        let answers = answers_of(&labels, &args).map_err(|error| error.to_string())?;
        let picture = &labels.pictures[0];
        let size = (1000, 1000);
        let boxes = boxes_of(picture, &args.crop, &answers);
        let cutter = Cutter {
            crop: &args.crop,
            answers: answers.clone(),
            to: Path::new("."),
            crops: Vec::new(),
            left_out: LeftOut::default(),
        };
        let users = Users::beside_marks(picture, size);
        let told = boxes.iter().map(|asked| {
            let bounds = in_fractions(picture, &asked.truth.bounds, size);
            let user = User::new(asked.class, bounds);
            let part = args.crop.shown(user, &users, size.1).unwrap();
            cutter.mark_in(&part, picture, size).map(str::to_owned)
        });
        Ok(told.collect())
    }

    /// A bag on the back made crops of the class `backpack`, and of riders whose heads were labelled none.
    #[test]
    fn of_categories_without_a_word_those_are_answers_of_which_it_is_said() {
        let refused = answers(&[]).unwrap_err();
        assert!(
            refused.contains("no word (Blurred, backpack); say with --answers"),
            "{refused}"
        );
        let told = |answer: &str| answers(&["--answers", answer]);
        let words = |words: [&str; 4]| {
            let words = words.map(|word| Some(word.to_owned()));
            Ok::<_, String>(words.to_vec())
        };
        assert_eq!(
            told("blurred"),
            words(["no_helmet", "Blurred", "cannot tell", NOTHING])
        );
        assert_eq!(
            told("cannot_tell"),
            words(["no_helmet", NOTHING, "cannot tell", NOTHING])
        );
        // As it was for all of them before: the bag is said of whoever has nothing else.
        let several = told("backpack,blurred").unwrap();
        assert_eq!(several, [None, None, None, Some("backpack".to_owned())]);
        let refused = told("blured").unwrap_err();
        assert!(
            refused.contains("--answers blured; those for which"),
            "{refused}"
        );
    }

    #[test]
    fn where_each_box_is_its_own_answer_none_is_to_be_named() {
        let labels = LabelSet::parse(
            r#"{"images": [{"id": 1, "file_name": "1.jpg"}], "categories": [{"id": 1, "name": "person"}],
                "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}]}"#,
        )
        .unwrap();
        assert_eq!(answers_of(&labels, &typed(&[])).unwrap(), Answers::OfTheBox);
        let refused = answers_of(&labels, &typed(&["--answers", "blurred"])).unwrap_err();
        assert!(
            refused.to_string().contains("leave --answers out"),
            "{refused}"
        );
    }
}
