//! Labelled pictures from what people decided: `aggregator labels`.
//!
//! For training a detector on a city's own streets, in COCO's form. What is in
//! it is said plainly, because a wrong label teaches a wrong lesson:
//!
//! - A decision is about an event, not about boxes. Of a *confirmed* event the
//!   accused's box counts as right, since a person saw it drawn into the still
//!   and said that it happened so.
//! - Of a *false alarm*, or one that could not be verified, the box may be right
//!   or wrong (the light may have been green). It goes in as a region to be
//!   ignored (`iscrowd`), neither right nor wrong, until somebody looks.
//! - Nothing else in the picture is labelled, so every picture says `complete:
//!   false`: a trainer must not take the rest for empty street.
//! - A detector's own boxes cannot teach it what it misses. That takes a person
//!   who completes the pictures; this folder is what they start from.
//!
//! Everything here is a function of the store: the same store gives the same
//! bytes, a run that was cut short is finished by the next, and what was deleted
//! from the centre goes from the folder, too.
//!
//! Reading order: [`gather`] (what people decided) → [`picture`] (which stills
//! can be used) → [`coco`] (the file) → here (the folder).

pub mod coco;
pub mod gather;
pub mod picture;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use protocol::{Digest, EventId};

use crate::evidence;
use crate::store::{self, StoreError};
use coco::{Coco, Side};
use gather::Scene;
use picture::{Look, Unfit};

/// What to export.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Only these kinds of events; empty for all.
    pub kinds: Vec<String>,
    /// Only these cameras, as `site/box/camera`; empty for all.
    pub cameras: Vec<String>,
    /// About this part of the days of cameras is kept apart to measure with, 0 to 1.
    pub hold_out: f64,
    /// Local time ahead of UTC, minutes: where a day begins.
    pub utc_offset_min: i32,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            cameras: Vec::new(),
            hold_out: 0.2,
            utc_offset_min: 7 * 60,
        }
    }
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no centre's data.
    #[error("{0} has no centre.db; name the centre's data folder with --data")]
    NoCentre(PathBuf),
    /// The folder is somebody else's.
    #[error(
        "{0} is not empty and was not made by `aggregator labels` (it has no train.json); name a new folder with --out"
    )]
    Taken(PathBuf),
    /// The folder cannot be written.
    #[error("{path}: {source}; look at free disk space and at the rights on the folder")]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two pictures with one number.
    #[error(
        "pictures {0} and {1} begin with the same 48 bits; report it, and leave one camera out"
    )]
    SameNumber(Digest, Digest),
}

/// What was exported, and what was not and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Pictures to train with.
    pub train: Counts,
    /// Pictures to measure with.
    pub val: Counts,
    /// Cameras, and days of cameras.
    pub cameras: usize,
    /// Days of cameras, each on one side.
    pub camera_days: usize,
    /// Alerts and pictures that were left out, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Files that were already there, and right.
    pub kept: usize,
    /// Files of an earlier run that belong no more, removed.
    pub removed: usize,
    /// Files that should be usable and are not: alert, file, what is wrong.
    pub faults: Vec<(EventId, Digest, String)>,
}

/// Of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pictures.
    pub pictures: usize,
    /// Of these, taken at night.
    pub night: usize,
    /// Boxes of confirmed events.
    pub confirmed: usize,
    /// Boxes of which nobody said that they are right; to be ignored.
    pub disputed: usize,
}

/// Writes the labels of a centre's data folder to `out`; the centre may run meanwhile.
pub fn export(data: &Path, wanted: &Wanted, out: &Path) -> Result<Report, LabelsError> {
    if !data.join("centre.db").is_file() {
        return Err(LabelsError::NoCentre(data.to_owned()));
    }
    let pictures = out.join("pictures");
    claim(out, &pictures)?;
    let mut report = Report::default();
    let (decided, undecided) = store::read_decided(data)?;
    if undecided > 0 {
        (report.left_out).insert("alerts that nobody has resolved", undecided);
    }
    let scenes = gather::scenes(decided, wanted, &mut report);
    let mut train = Coco::new(Side::Train);
    let mut val = Coco::new(Side::Val);
    let (mut cameras, mut days) = (BTreeSet::new(), BTreeSet::new());
    for (digest, scene) in &scenes {
        let look = match fetch(data, &pictures, *digest, scene, &mut report) {
            Ok(Some(look)) => look,
            Ok(None) => continue,
            Err((path, source)) => return Err(LabelsError::Write { path, source }),
        };
        cameras.insert(&scene.camera);
        days.insert((&scene.camera, &scene.day));
        let (coco, counts) = match coco::side(&scene.camera, &scene.day, wanted.hold_out) {
            Side::Train => (&mut train, &mut report.train),
            Side::Val => (&mut val, &mut report.val),
        };
        let boxes = coco.add(*digest, scene, &look)?;
        counts.pictures += 1;
        counts.night += usize::from(look.is_night());
        counts.confirmed += boxes.confirmed;
        counts.disputed += boxes.disputed;
    }
    (report.cameras, report.camera_days) = (cameras.len(), days.len());
    // A picture that the centre no longer has must not live on here.
    let known: BTreeSet<&str> = (train.files()).chain(val.files()).collect();
    report.removed = sweep(&pictures, &known).map_err(at(&pictures))?;
    for (name, text) in [
        ("train.json", train.text()),
        ("val.json", val.text()),
        ("README.txt", README.to_owned()),
    ] {
        let path = out.join(name);
        replace(&path, text.as_bytes()).map_err(at(&path))?;
    }
    Ok(report)
}

/// Written beside the labels, for whoever finds the folder.
const README: &str = "\
Labelled pictures from a centre's decisions, made by `aggregator labels`.

These are pictures of identifiable people and plates, taken for enforcement. Keep
them as the evidence is kept, use them for training only where the law and your
office allow it, and delete the folder when it is done with. Run the command again
to let go of what the centre has deleted. Names of officers, notes and plates as
text are not in it.

train.json, val.json  COCO; one side per camera and day (noon to noon), never both
pictures/             the clean stills, named by their SHA-256

annotations: status `confirmed`: a person confirmed the event in which the box was
             drawn; its class is still the detector's word. `disputed` (iscrowd 1):
             a false alarm or not verifiable; neither right nor wrong, ignore it.
images:      `complete` false: nothing but those boxes is labelled, so the rest of
             the picture is unknown, not empty.

A detector's own boxes cannot teach it what it misses. Complete the pictures by
hand first: docs/finetune.md, step 2.
";

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> LabelsError + use<> {
    let path = path.to_owned();
    |source| LabelsError::Write { path, source }
}

/// Makes the folder, or recognises one of an earlier run.
fn claim(out: &Path, pictures: &Path) -> Result<(), LabelsError> {
    let is_used = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if is_used && !out.join("train.json").is_file() {
        return Err(LabelsError::Taken(out.to_owned()));
    }
    if !out.is_dir() {
        make_for_ourselves(out).map_err(at(out))?;
    }
    std::fs::create_dir_all(pictures).map_err(at(pictures))?;
    // First, so that a run that is cut short knows its folder again.
    let train = out.join("train.json");
    if !is_used {
        replace(&train, Coco::new(Side::Train).text().as_bytes()).map_err(at(&train))?;
    }
    Ok(())
}

/// Makes the folder for our account and group alone, as the centre's own is: whatever the shell's mask is, pictures of
/// people are not for everybody on the machine. Whoever wants it otherwise makes it beforehand.
fn make_for_ourselves(out: &Path) -> std::io::Result<()> {
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::DirBuilder::new().mode(0o750).create(out)
}

/// Looks at a still and puts it into the folder; `None` when it cannot be used.
fn fetch(
    data: &Path,
    pictures: &Path,
    digest: Digest,
    scene: &Scene,
    report: &mut Report,
) -> Result<Option<Look>, (PathBuf, std::io::Error)> {
    let source = evidence::path_in(&data.join("evidence"), digest);
    let (look, bytes) = match picture::look(&source, digest) {
        Ok(found) => found,
        Err(unfit) => {
            *report.left_out.entry(unfit.reason()).or_default() += 1;
            if let Unfit::Fault(message) = unfit {
                report.faults.push((scene.events[0].id, digest, message));
            }
            return Ok(None);
        }
    };
    let path = pictures.join(coco::file_name(digest, &scene.media_type));
    // Its name is its hash and it is put in place whole.
    let is_there = std::fs::metadata(&path).is_ok_and(|file| file.len() == bytes.len() as u64);
    if is_there {
        report.kept += 1;
    } else {
        replace(&path, &bytes).map_err(|source| (path, source))?;
    }
    Ok(Some(look))
}

/// Writes a file beside and puts it in place whole.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let mut file = std::fs::File::create(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}

/// Removes pictures (and halves of pictures) that are not `known`; a stranger's files stay.
fn sweep(pictures: &Path, known: &BTreeSet<&str>) -> std::io::Result<usize> {
    let mut removed = 0;
    for entry in std::fs::read_dir(pictures)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let is_ours = name
            .split_once('.')
            .is_some_and(|(hash, _)| hash.parse::<Digest>().is_ok());
        if is_ours && !known.contains(name) {
            std::fs::remove_file(pictures.join(name))?;
            removed += 1;
        }
    }
    Ok(removed)
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} pictures of {} cameras on {} days of cameras",
            self.train.pictures + self.val.pictures,
            self.cameras,
            self.camera_days
        )?;
        for (name, side) in [("train", self.train), ("val", self.val)] {
            writeln!(
                f,
                "  {name:5}  {} pictures ({} by night), {} boxes confirmed, {} to be ignored",
                side.pictures, side.night, side.confirmed, side.disputed
            )?;
        }
        for (reason, count) in &self.left_out {
            writeln!(f, "  left out: {count} {reason}")?;
        }
        write!(
            f,
            "  files: {} already there, {} removed that belong no more",
            self.kept, self.removed
        )
    }
}
