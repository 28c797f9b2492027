//! `plates read`: what is on the plates of pictures.

use std::path::PathBuf;

use anyhow::Context as _;
use case_bundle::files::said;
use case_bundle::say;
use clap::Args;
use plate_reader::Region;
use plates::Circumstances;
use protocol::{NormBox, ObjectClass};
use serde::Serialize;

use super::shown::{self, LookJson};
use super::{Paint, reader, sound, still};
use crate::config::DetectorConfig;

/// Shown below `--help`.
pub(super) const HELP: &str = "\
\x20 edge-agent plates read gate.jpg
  edge-agent plates read gate.jpg --box 0.30,0.40,0.25,0.50 --class motorcycle
  edge-agent plates read stills/*.jpg --json > plates.jsonl

A box is left, top, width, height in fractions of the picture: a vehicle's, or with --plate that of a plate.
Without one all of the picture is looked at, which finds only large plates: text is looked for at 640 pixels.

Green is a plate that one look states, yellow one that it does not (a character is less likely than not, or
another plate comes as near), red was refused by the grammar. Behind each character stands the recogniser's
probability. A case needs several looks that agree; this shows one.

Exit codes: 0 looked, 1 a picture or a model cannot be read, 2 faulty command line.";

/// `plates read`
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// Pictures (JPEG, PNG).
    #[arg(required = true, value_name = "PICTURE")]
    pictures: Vec<PathBuf>,
    /// Look only here.
    #[arg(long = "box", value_name = "X,Y,W,H", value_parser = parse_box)]
    bounds: Option<NormBox>,
    /// The box is a plate's.
    #[arg(long, requires = "bounds")]
    plate: bool,
    /// What the vehicle is: motorcycle, car, bus, truck. Decides between forms of one text.
    #[arg(long, value_parser = parse_class)]
    class: Option<ObjectClass>,
    /// Longer side at which text is looked for, in pixels.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(64..=1920))]
    long_side: Option<u32>,
    /// As JSON, one line per picture.
    #[arg(long)]
    json: bool,
}

fn parse_box(text: &str) -> Result<NormBox, String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|n| n.trim().parse()).collect();
    let wanted =
        "four numbers x,y,width,height in fractions of the picture, such as 0.3,0.4,0.2,0.5";
    let Ok(&[x, y, width, height]) = numbers.as_deref() else {
        return Err(format!("{wanted} are needed"));
    };
    let is_within = |from: f64, length: f64| {
        (0.0..1.0).contains(&from) && length > 0.0 && from + length <= 1.0 + 1e-9
    };
    if is_within(x, width) && is_within(y, height) {
        Ok(NormBox::from([x, y, width, height]))
    } else {
        Err(format!("the box must lie in the picture: {wanted}"))
    }
}

fn parse_class(text: &str) -> Result<ObjectClass, String> {
    match text {
        "motorcycle" => Ok(ObjectClass::Motorcycle),
        "car" => Ok(ObjectClass::Car),
        "bus" => Ok(ObjectClass::Bus),
        "truck" => Ok(ObjectClass::Truck),
        _ => Err("one of motorcycle, car, bus, truck is needed".to_owned()),
    }
}

#[derive(Serialize)]
struct PictureJson<'l> {
    picture: String,
    looks: Vec<LookJson<'l>>,
}

pub(super) fn read(config: &DetectorConfig, args: &ReadArgs) -> anyhow::Result<()> {
    let mut reader = reader(config, args.long_side)?;
    let paint = Paint::of_output();
    let whole = NormBox::from([0.0, 0.0, 1.0, 1.0]);
    let bounds = args.bounds.unwrap_or(whole);
    let region = if args.plate {
        Region::Plate(bounds)
    } else {
        Region::Vehicle(bounds)
    };
    let known = Circumstances {
        vehicle: args.class,
        colour: None,
    };
    for path in &args.pictures {
        let still = still(path)?;
        let looks = reader
            .read(&still.view(), region, known)
            .with_context(|| path.display().to_string())?;
        let looks = sound(looks);
        let grammar = reader.grammar();
        if args.json {
            let json = PictureJson {
                picture: path.display().to_string(),
                looks: looks
                    .iter()
                    .map(|look| shown::json(grammar, look))
                    .collect(),
            };
            said::json(&serde_json::to_string(&json)?);
            continue;
        }
        say!("{}", path.display());
        for look in &looks {
            said::text(&shown::text(grammar, look, paint));
        }
        if looks.is_empty() {
            say!(
                "  no writing that looks like a plate; give the vehicle's box with --box, or look closer with --long-side 960"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_lie_in_the_picture_or_are_refused_with_an_example() {
        let of = |text| parse_box(text);
        assert_eq!(
            of("0.1, 0.2,0.3,0.4").unwrap(),
            NormBox::from([0.1, 0.2, 0.3, 0.4])
        );
        for bad in [
            "",
            "1,2",
            "0.5,0.5,0.6,0.1",
            "0,0,0,1",
            "nan,0,1,1",
            "a,b,c,d",
        ] {
            assert!(of(bad).unwrap_err().contains("0.3,0.4,0.2,0.5"), "{bad}");
        }
    }
}
