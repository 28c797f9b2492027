//! A look at a plate, for people and for programs.

use plate_reader::{PlateLook, SURE};
use plates::{Candidate, Cause, Correction, Glyph, Grammar, PlateColour};
use serde::Serialize;

use super::Paint;

/// A look as JSON.
#[derive(Serialize)]
pub(super) struct LookJson<'l> {
    /// Left, top, width and height in fractions of the picture.
    r#box: protocol::NormBox,
    corners: [protocol::Point; 4],
    /// As it is shown; null: refused.
    plate: Option<String>,
    normal_form: Option<&'l str>,
    /// Whether one look states it.
    stated: bool,
    refused: Option<String>,
    /// As it was read, row by row.
    rows: Vec<Vec<Symbol>>,
    /// Characters of the plate, corrected.
    symbols: Vec<Symbol>,
    corrections: Vec<CorrectionJson>,
    colour: Option<&'static str>,
    row_height_px: f64,
    sharpness: f64,
}

#[derive(Serialize)]
struct Symbol {
    #[serde(rename = "symbol")]
    shown: char,
    confidence: f64,
    runner_up: Option<char>,
    runner_up_confidence: Option<f64>,
}

#[derive(Serialize)]
struct CorrectionJson {
    position: usize,
    read: char,
    taken: char,
    cause: &'static str,
    cost_nats: f64,
}

/// Three digits are more than any network knows of itself.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl From<&Glyph> for Symbol {
    fn from(glyph: &Glyph) -> Self {
        Self {
            shown: glyph.symbol,
            confidence: rounded(glyph.confidence),
            runner_up: glyph.runner_up.map(|(symbol, _)| symbol),
            runner_up_confidence: glyph.runner_up.map(|(_, p)| rounded(p)),
        }
    }
}

/// As it is written on the plate, by the most common of its forms.
pub(super) fn display(grammar: &Grammar, candidate: &Candidate) -> String {
    let form = candidate.forms.first().map(|form| &grammar.forms()[*form]);
    form.map_or_else(
        || candidate.text.clone(),
        |form| form.display(&candidate.text),
    )
}

fn cause(correction: &Correction) -> &'static str {
    match correction.cause {
        Cause::Confusable => "it looks like it",
        Cause::RunnerUp => "the recogniser's second choice",
        Cause::Stroke => "the recogniser's alphabet may lack Đ",
    }
}

fn colour(colour: PlateColour) -> &'static str {
    match colour {
        PlateColour::White => "white",
        PlateColour::Yellow => "yellow",
        PlateColour::Blue => "blue",
        PlateColour::Red => "red",
    }
}

/// As the grammar read them; the pieces, where they are no two rows.
fn rows(look: &PlateLook) -> Vec<&[Glyph]> {
    look.rows.as_ref().map_or_else(
        || look.pieces.iter().map(|piece| &*piece.glyphs).collect(),
        |rows| {
            let lower = rows.lower.as_deref();
            std::iter::once(&*rows.upper).chain(lower).collect()
        },
    )
}

/// For programs.
pub(super) fn json<'l>(grammar: &Grammar, look: &'l PlateLook) -> LookJson<'l> {
    let best = look.best();
    LookJson {
        r#box: look.bounds,
        corners: look.corners,
        plate: best.map(|best| display(grammar, best)),
        normal_form: best.map(|best| &*best.text),
        stated: look.stated().is_some(),
        refused: look.refused(),
        rows: rows(look)
            .iter()
            .map(|row| row.iter().map(Symbol::from).collect())
            .collect(),
        symbols: best.map_or_else(Vec::new, |best| {
            best.symbols.iter().map(Symbol::from).collect()
        }),
        corrections: best.map_or_else(Vec::new, |best| {
            (best.corrections.iter())
                .map(|correction| CorrectionJson {
                    position: correction.position,
                    read: correction.read,
                    taken: correction.taken,
                    cause: cause(correction),
                    cost_nats: rounded(correction.cost),
                })
                .collect()
        }),
        colour: look.colour.map(colour),
        row_height_px: rounded(look.row_height_px),
        sharpness: rounded(look.sharpness),
    }
}

/// For people: one block per look.
pub(super) fn text(grammar: &Grammar, look: &PlateLook, paint: Paint) -> String {
    let mut out = String::new();
    let ground = look.colour.map_or("colour unknown", colour);
    let size = format!(
        "rows {:.0} pixels high, sharpness {:.2}, {ground}",
        look.row_height_px, look.sharpness
    );
    let refused = look.refused();
    let head = match (look.best(), &refused) {
        (Some(best), None) => paint.paint("32", &display(grammar, best)),
        (Some(best), Some(_)) => paint.paint("33", &format!("{} ?", display(grammar, best))),
        (None, _) => paint.paint("31", "refused"),
    };
    let province = look.best().and_then(Candidate::province);
    let province = province.map_or(String::new(), |name| format!("{name}, "));
    let mut line = |text: String| {
        out.push_str("  ");
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("{head}   {province}{size}"));
    if let Some(reason) = refused {
        line(format!("  why: {reason}"));
    }
    match look.best() {
        None => line(format!("  read: {}", look.raw_text())),
        Some(best) => {
            let symbols: Vec<String> = best
                .symbols
                .iter()
                .map(|glyph| {
                    let text = format!("{} {:.2}", glyph.symbol, glyph.confidence);
                    let doubt = (glyph.confidence < SURE)
                        .then_some(glyph.runner_up)
                        .flatten();
                    let text = doubt.map_or(text.clone(), |(other, p)| {
                        format!("{text} ({other} {p:.2})")
                    });
                    if glyph.confidence < SURE {
                        paint.paint("33", &text)
                    } else {
                        text
                    }
                })
                .collect();
            line(format!("  each: {}", symbols.join("  ")));
            for correction in &best.corrections {
                line(format!(
                    "  corrected: character {} was read as {}, taken as {}: {} (cost {:.1} nats)",
                    correction.position + 1,
                    correction.read,
                    correction.taken,
                    cause(correction),
                    correction.cost
                ));
            }
        }
    }
    out
}
