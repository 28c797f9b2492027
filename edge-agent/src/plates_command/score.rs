//! `plates score`: plates as they are read, against a transcription.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use case_bundle::files::said;
use case_bundle::say;
use clap::{Args, ValueEnum};
use plate_reader::score::{self, Outcome, Tally};
use plate_reader::truth::{self, Half, Light, Picture, Plate};
use plate_reader::{PlateLook, PlateReader, Region};
use plates::votes::{Ballot, Quorum};
use plates::{Circumstances, Grammar};
use protocol::{Digest, NormBox, ObjectClass};
use sha2::Digest as _;

use super::{Paint, reader, sound, still};
use crate::config::DetectorConfig;

/// Shown below `--help`.
pub(super) const HELP: &str = "\
\x20 edge-agent plates score --truth edge-agent/plate-reader/truth/vn-streets.jsonl --pictures pictures/
  edge-agent plates score --truth my-street.jsonl --pictures stills/ --from vehicle --list

TRUTH has one JSON object per line and picture; edge-agent/plate-reader/truth/README.md tells its keys.

One look is measured. A plate is right when it is stated and equals the truth in every character; wrong when
it is stated and does not; else refused, or not found. Behind each share stands its interval of 95 % (Wilson),
as if every look were of another plate. `votes`: all looks of one clip at one plate, taken together as the
agent does; stated by three looks that agree, else not.

Exit codes: 0 measured, 1 failed, 2 faulty command line.";

/// `plates score`
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// What the plates say.
    #[arg(long, value_name = "TRUTH.jsonl")]
    truth: PathBuf,
    /// The folder with the pictures that it names.
    #[arg(long, value_name = "DIR")]
    pictures: PathBuf,
    /// Where plates are looked for; left out, all three.
    #[arg(long, value_enum)]
    from: Option<From>,
    /// Longer side at which text is looked for, in pixels.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(64..=1920))]
    long_side: Option<u32>,
    /// Name each plate that is not right, and why.
    #[arg(long)]
    list: bool,
}

/// Where a plate is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// In its own box.
    Plate,
    /// In a box three times as wide and four times as high, as a vehicle's is around it.
    Vehicle,
    /// In the whole picture, without the vehicle's class.
    Picture,
}

impl From {
    const ALL: [Self; 3] = [Self::Plate, Self::Vehicle, Self::Picture];

    const fn word(self) -> &'static str {
        match self {
            Self::Plate => "from the plate's box",
            Self::Vehicle => "from a vehicle's box",
            Self::Picture => "from the whole picture",
        }
    }
}

/// Whether a plate of a picture belongs to a group.
type Belongs = fn(&Picture, &Plate) -> bool;

/// What is counted apart.
const GROUPS: [(&str, Belongs); 8] = [
    ("all", |_, _| true),
    ("readable to people", |_, plate| plate.readable),
    ("one row", |_, plate| plate.rows == 1),
    ("two rows", |_, plate| plate.rows == 2),
    ("day", |picture, _| picture.light == Light::Day),
    ("dark", |picture, _| picture.light == Light::Dark),
    ("half that was tuned on", |_, plate| {
        plate.half == Half::Tuned
    }),
    ("half that was held out", |_, plate| {
        plate.half == Half::HeldOut
    }),
];

/// All looks of one clip at one plate.
type Tracks = BTreeMap<(String, String), (Ballot, ObjectClass)>;

#[derive(Default)]
struct Measured {
    tallies: [Tally; GROUPS.len()],
    tracks: Tracks,
    looks: u32,
    took: Duration,
    /// Plates stated where none is labelled: of the truth's texts, and others.
    elsewhere: (usize, Vec<String>),
    faults: Vec<String>,
}

pub(super) fn score(config: &DetectorConfig, args: &ScoreArgs) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&args.truth).with_context(|| {
        format!(
            "{}: give --truth a file as `plates score --help` tells",
            args.truth.display()
        )
    })?;
    let pictures = truth::parse(&text).with_context(|| args.truth.display().to_string())?;
    if pictures.is_empty() {
        bail!("{}: there is no picture in it", args.truth.display());
    }
    let mut reader = reader(config, args.long_side)?;
    let paint = Paint::of_output();
    for from in From::ALL {
        if args.from.is_none_or(|only| only == from) {
            let measured = measure(&mut reader, from, &pictures, args)?;
            print(&measured, from, reader.grammar(), paint);
            if args.list {
                for fault in &measured.faults {
                    say!("    {fault}");
                }
            }
        }
    }
    Ok(())
}

fn measure(
    reader: &mut PlateReader,
    from: From,
    pictures: &[Picture],
    args: &ScoreArgs,
) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    let whole = NormBox::from([0.0, 0.0, 1.0, 1.0]);
    for picture in pictures {
        let path = args.pictures.join(&picture.picture);
        let bytes = std::fs::read(&path).with_context(|| {
            format!(
                "{}: give --pictures the folder in which the pictures of {} lie",
                path.display(),
                args.truth.display()
            )
        })?;
        if Digest(sha2::Sha256::digest(&bytes).into()) != picture.sha256 {
            bail!(
                "{}: its SHA-256 is not the one in {}; it is another picture of that name",
                path.display(),
                args.truth.display()
            );
        }
        let still = still(&path)?;
        let mut look = |region, known| -> anyhow::Result<Vec<PlateLook>> {
            let begin = Instant::now();
            let looks = sound(reader.read(&still.view(), region, known)?);
            measured.took += begin.elapsed();
            measured.looks += 1;
            Ok(looks)
        };
        let all = if from == From::Picture {
            look(Region::Vehicle(whole), Circumstances::default())?
        } else {
            Vec::new()
        };
        let mut seen = Vec::new();
        for plate in &picture.plates {
            let known = Circumstances {
                vehicle: Some(plate.vehicle),
                colour: None,
            };
            seen.push(match from {
                From::Plate => look(Region::Plate(plate.bounds), known)?,
                From::Vehicle => look(Region::Vehicle(vehicle(&plate.bounds)), known)?,
                From::Picture => all.clone(),
            });
        }
        for text in score::elsewhere(&picture.plates, &all) {
            let is_known =
                (pictures.iter().flat_map(|p| &p.plates)).any(|plate| plate.normal_form() == text);
            if is_known {
                measured.elsewhere.0 += 1;
            } else {
                let other = format!("{text} ({})", picture.picture);
                measured.elsewhere.1.push(other);
            }
        }
        for (plate, looks) in picture.plates.iter().zip(&seen) {
            measured.take(reader.grammar(), (picture, plate), looks);
        }
    }
    Ok(measured)
}

/// As a vehicle's box lies around its plate: low in the middle of it.
fn vehicle(plate: &NormBox) -> NormBox {
    NormBox {
        x: plate.x - plate.width,
        y: plate.y - 2.0 * plate.height,
        width: 3.0 * plate.width,
        height: 4.0 * plate.height,
    }
}

impl Measured {
    fn take(
        &mut self,
        grammar: &Grammar,
        (picture, plate): (&Picture, &Plate),
        looks: &[PlateLook],
    ) {
        let result = score::result(plate, looks);
        for ((_, is_in), tally) in GROUPS.iter().zip(&mut self.tallies) {
            if is_in(picture, plate) {
                tally.add(plate, &result);
            }
        }
        let track = (picture.clip.clone(), plate.normal_form());
        let (ballot, _) =
            (self.tracks.entry(track)).or_insert_with(|| (Ballot::default(), plate.vehicle));
        match score::at(plate, looks).map(|look| &look.reading) {
            Some(Ok(reading)) => ballot.add(grammar, reading),
            _ => ballot.add_refused(),
        }
        let why = match &result.outcome {
            Outcome::Right => return,
            Outcome::Wrong(_) => "WRONG".to_owned(),
            Outcome::Refused(reason) => format!("refused: {reason}"),
            Outcome::NotFound => "not found".to_owned(),
        };
        let note = plate
            .note
            .as_deref()
            .map_or(String::new(), |n| format!(" ({n})"));
        self.faults.push(format!(
            "{}  {}{note}: read {}, {why}",
            picture.picture, plate.text, result.text
        ));
    }
}

fn print(measured: &Measured, from: From, grammar: &Grammar, paint: Paint) {
    let each = measured.took.as_secs_f64() * 1e3 / f64::from(measured.looks.max(1));
    let head = paint.paint("1", from.word());
    said::text(&format!("{head}   {each:.0} ms a look\n"));
    let columns = [
        "",
        "exact",
        "of those stated",
        "wrong",
        "refused",
        "not found",
        "wrong characters",
    ];
    let line = |cells: [&str; 7]| {
        let [group, counts @ ..] = cells;
        let [exact, stated, wrong, refused, missed, characters] = counts;
        say!("  {group:<24}{exact:<29}{stated:<29}{wrong:<7}{refused:<9}{missed:<11}{characters}");
    };
    line(columns);
    for ((name, _), tally) in GROUPS.iter().zip(&measured.tallies) {
        if tally.plates == 0 {
            continue;
        }
        line([
            name,
            &tally.exact().to_string(),
            &tally.precision().to_string(),
            &tally.wrong.to_string(),
            &tally.refused.to_string(),
            &tally.not_found.to_string(),
            &format!("{:.1} %", 100.0 * tally.character_errors()),
        ]);
    }
    let (mut right, mut wrong, mut open) = (0, Vec::new(), 0);
    for ((clip, truth), (ballot, class)) in &measured.tracks {
        let known = Circumstances {
            vehicle: Some(*class),
            colour: None,
        };
        let verdict = ballot.verdict(grammar, known, Quorum::default());
        match verdict.stated() {
            Some(text) if text == truth => right += 1,
            Some(text) => wrong.push(format!("{clip}: {truth} as {text}")),
            None => open += 1,
        }
    }
    say!(
        "  votes: {} tracks, {right} stated and right, {} stated and wrong, {open} not stated{}",
        measured.tracks.len(),
        wrong.len(),
        listed(&wrong)
    );
    if from == From::Picture {
        say!(
            "  where no plate is labelled: {} stated that are in the truth elsewhere, {} that are not{}",
            measured.elsewhere.0,
            measured.elsewhere.1.len(),
            listed(&measured.elsewhere.1)
        );
    }
}

/// `: one, another` behind a count, nothing where there are none.
fn listed(names: &[String]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!(": {}", names.join(", "))
    }
}
