//! One look: from recognised characters to the plates that they may be.
//!
//! A character stays what was read wherever the form has room for it. Where it
//! has none, two things may take its place: the recogniser's own second choice,
//! and the character that looks like it ([`CONFUSABLE`]; small letters have shapes
//! of their own: `b` is a 6, where B is an 8). Each such change is a
//! [`Correction`] in the result, with its cost.
//!
//! Costs are in nats: the logarithm of how many times likelier the recogniser
//! held what it read. Where it named the other one, that is the ratio of both
//! probabilities; where it did not, what it left over, times how alike the two
//! are. Candidates are all plates with few corrections
//! ([`most_corrections`]), the cheapest first. A reading is decided when no other plate comes within a factor of ten
//! ([`DECIDED`]): `29-A5` and `29-AS` are both motorcycles, and only a recogniser
//! that is sure of its 5 is believed.

use protocol::ObjectClass;

use crate::grammar::{Form, Grammar, PlateColour, Slot, folded, is_separator, plain};
use crate::provinces;
use crate::rows::{Glyph, Rows};

/// Characters that look like each other, and what that costs in nats: 1 where
/// whole shapes agree, 2 where a stroke must be lost. The pairs are those of the
/// field (O 0, I 1, Z 2, S 5, B 8, G 6), and D 0, Q 0, A 4, T 7, in which plates'
/// typeface leads to the same mistakes. Both ways.
pub const CONFUSABLE: [(char, char, f64); 12] = [
    ('O', '0', 1.0),
    ('D', '0', 1.0),
    ('Q', '0', 1.0),
    ('I', '1', 1.0),
    ('Z', '2', 1.0),
    ('S', '5', 1.0),
    ('G', '6', 1.0),
    ('B', '8', 1.0),
    ('O', 'D', 1.0),
    ('Đ', '0', 1.0 + STROKE),
    ('A', '4', 2.0),
    ('T', '7', 2.0),
];

/// Small letters of another shape than their capitals, and the digit of that shape: `b` is no
/// B with its two bowls, `g` and `q` have their bowl on top. Each costs 1 nat, as whole shapes do. Plates have capitals only, so what a recogniser reads as a small letter is seldom
/// one; where a letter has room it is taken for that letter all the same.
const SMALL: [(char, char); 8] = [
    ('b', '6'),
    ('g', '9'),
    ('q', '9'),
    ('l', '1'),
    ('i', '1'),
    ('o', '0'),
    ('z', '2'),
    ('s', '5'),
];

/// What a symbol may be taken for by its shape, and the cost. Small letters have shapes of their own.
fn of_its_shape(symbol: char) -> impl Iterator<Item = (char, f64)> {
    let both = CONFUSABLE
        .into_iter()
        .flat_map(|(a, b, likeness)| [(a, b, likeness), (b, a, likeness)]);
    let small = SMALL.into_iter().map(|(a, b)| (a, b, 1.0));
    both.chain(small)
        .filter(move |(read, ..)| *read == symbol)
        .map(|(_, taken, likeness)| (taken, likeness))
}

/// Cost of D for Đ: most alphabets have no Đ, so that a sure D says nothing against it.
pub const STROKE: f64 = 0.5;

/// How many characters of a plate of some length may be corrected: a quarter.
/// More make another plate, not a better reading; of the six of the army's plates
/// two would make one of any remains that begin with `58`.
pub const fn most_corrections(symbols: usize) -> usize {
    symbols / 4
}

/// ln 10: what is ten times likelier than all others is decided.
pub const DECIDED: f64 = core::f64::consts::LN_10;

/// Candidates that are kept.
pub const MOST_CANDIDATES: usize = 8;

/// More characters than plate, dealer and bolts have together.
const MOST_GLYPHS: usize = 64;

/// What is known of a plate besides its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The vehicle that carries it.
    pub vehicle: Option<ObjectClass>,
    /// Its ground.
    pub colour: Option<PlateColour>,
}

impl Circumstances {
    /// Whether a form may be meant.
    pub fn allow(self, form: &Form) -> bool {
        self.vehicle
            .is_none_or(|class| form.carriers.include(class))
            && self
                .colour
                .is_none_or(|colour| form.colours.contains(&colour))
    }

    /// Whether a text of a form may be meant.
    pub(crate) fn allow_text(self, form: &Form, text: &str) -> bool {
        self.allow(form) && (self.colour != Some(PlateColour::Blue) || form.is_blue(text))
    }
}

/// Why a character was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It looks like the one that fits.
    Confusable,
    /// The recogniser's second choice fits.
    RunnerUp,
    /// The recogniser's alphabet may lack Đ.
    Stroke,
}

/// A character that is not what was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correction {
    /// Where, from 0, in the plate's normal form.
    pub position: usize,
    /// What was read, a small letter as such.
    pub read: char,
    /// What was put in its place.
    pub taken: char,
    /// Why.
    pub cause: Cause,
    /// In nats, at least 0.
    pub cost: f64,
}

/// A plate that a look may show.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its normal form.
    pub text: String,
    /// Its characters: confidence is the recogniser's for this very character,
    /// estimated where it was corrected.
    pub symbols: Vec<Glyph>,
    /// Every change, by position.
    pub corrections: Vec<Correction>,
    /// Their costs together, in nats.
    pub cost: f64,
    /// Places in [`Grammar::forms`] of the forms that it may be of, the most common first.
    pub forms: Vec<usize>,
}

/// What one look shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// At least one; cheapest first, equals by text.
    pub candidates: Vec<Candidate>,
    /// Marks at the ends of rows that are no characters, and were left out.
    pub ignored: Vec<char>,
    /// As [`Rows::is_doubtful`].
    pub is_doubtful: bool,
}

impl Candidate {
    /// Whether both correct the same character, each to another one.
    fn mends_otherwise(&self, other: &Self) -> bool {
        self.corrections.iter().any(|mine| {
            let theirs = other.corrections.iter();
            theirs
                .filter(|correction| correction.position == mine.position)
                .any(|correction| correction.taken != mine.taken)
        })
    }
}

impl Reading {
    /// The likeliest plate.
    pub fn best(&self) -> Option<&Candidate> {
        self.candidates.first()
    }

    /// The plate, if no other comes near and the number of its characters is no matter of doubt. One that differs in what a character was
    /// corrected to must be farther: as it was read, that character fits neither.
    pub fn decided(&self) -> Option<&Candidate> {
        let (best, others) = self.candidates.split_first()?;
        let is_alone = others.iter().all(|other| {
            let needed = if best.mends_otherwise(other) {
                2.0 * DECIDED
            } else {
                DECIDED
            };
            other.cost - best.cost >= needed
        });
        (is_alone && !self.is_doubtful).then_some(best)
    }
}

/// Why a look shows no plate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing was read.
    #[error("nothing was read")]
    NoText,
    /// Writing in three or more rows.
    #[error("the writing has more than two rows or falls into too many pieces")]
    TooManyRows,
    /// It reaches the edge of what was looked at.
    #[error(
        "it reaches the edge of the picture or of the vehicle's box, so characters may be missing"
    )]
    Cut,
    /// Writing that is longer than any plate.
    #[error("{symbols} characters are more than any plate has")]
    TooLong {
        /// Characters read.
        symbols: usize,
    },
    /// No form has as many characters in such rows.
    #[error("no plate has {symbols} characters in such rows")]
    NoForm {
        /// Characters read.
        symbols: usize,
    },
    /// It may be a plate, but not of this vehicle or colour.
    #[error("a plate of this form is not on such a vehicle or not of this colour")]
    NotOnThisVehicle,
    /// The characters are those of no plate.
    #[error("the characters fit no plate, corrected ones neither")]
    NothingFits,
}

/// Reads one look.
pub fn read(grammar: &Grammar, rows: &Rows, known: Circumstances) -> Result<Reading, Refusal> {
    let count = rows.upper.len() + rows.lower.as_ref().map_or(0, Vec::len);
    if count > MOST_GLYPHS {
        return Err(Refusal::TooLong { symbols: count });
    }
    let mut ignored = Vec::new();
    let mut glyphs = cleaned(&rows.upper, &mut ignored);
    let upper = glyphs.len();
    let lower = rows.lower.as_ref().map(|row| cleaned(row, &mut ignored));
    let is_two_rows = upper > 0 && lower.as_ref().is_some_and(|row| !row.is_empty());
    glyphs.extend(lower.unwrap_or_default());
    let symbols = glyphs.len();
    if symbols == 0 {
        return Err(Refusal::NoText);
    }
    if symbols > grammar.longest() {
        return Err(Refusal::TooLong { symbols });
    }
    let has_room = |form: &Form| {
        let is_broken_here = !is_two_rows || form.upper_row.is_none_or(|break_| break_ == upper);
        form.slots.len() == symbols && is_broken_here
    };
    if !grammar.forms().iter().any(has_room) {
        return Err(Refusal::NoForm { symbols });
    }
    let mut found: Vec<Candidate> = Vec::new();
    let mut is_elsewhere = false;
    for (place, form) in grammar.forms().iter().enumerate() {
        if !has_room(form) {
            continue;
        }
        for mut candidate in search(form, &glyphs) {
            if !known.allow_text(form, &candidate.text) {
                is_elsewhere = true;
                continue;
            }
            candidate.forms.push(place);
            match found.iter_mut().find(|other| other.text == candidate.text) {
                Some(same) => same.take(candidate),
                None => found.push(candidate),
            }
        }
    }
    found.sort_by(|a, b| a.cost.total_cmp(&b.cost).then_with(|| a.text.cmp(&b.text)));
    found.truncate(MOST_CANDIDATES);
    match (found.is_empty(), is_elsewhere) {
        (false, _) => Ok(Reading {
            candidates: found,
            ignored,
            is_doubtful: rows.is_doubtful,
        }),
        (true, true) => Err(Refusal::NotOnThisVehicle),
        (true, false) => Err(Refusal::NothingFits),
    }
}

impl Candidate {
    /// The same text by another form: the cheaper way to it, and both forms.
    fn take(&mut self, other: Self) {
        let mut forms = core::mem::take(&mut self.forms);
        forms.extend(&other.forms);
        if other.cost < self.cost {
            *self = other;
        }
        self.forms = forms;
    }
}

/// A row in normal form but for small letters, without separators and without marks at its ends. A
/// mark within may hide a character, so it stays and fits nowhere.
fn cleaned(row: &[Glyph], ignored: &mut Vec<char>) -> Vec<Glyph> {
    let mut glyphs: Vec<Glyph> = row
        .iter()
        .filter(|glyph| !is_separator(glyph.symbol))
        .map(|glyph| Glyph {
            symbol: plain(glyph.symbol),
            confidence: probability(glyph.confidence),
            runner_up: glyph.runner_up.map(|(c, p)| (plain(c), probability(p))),
        })
        .collect();
    let is_mark = |glyph: &Glyph| !glyph.symbol.is_alphanumeric();
    while let Some(mark) = glyphs.pop_if(|last| is_mark(last)) {
        ignored.push(mark.symbol);
    }
    let leading = glyphs.iter().take_while(|glyph| is_mark(glyph)).count();
    ignored.extend(glyphs.drain(..leading).map(|mark| mark.symbol));
    glyphs
}

/// NaN counts as no confidence.
fn probability(value: f64) -> f64 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(0.0, 1.0)
    }
}

/// What may stand at a place, and what it costs.
#[derive(Clone, Copy)]
struct Alternative {
    symbol: char,
    confidence: f64,
    change: Option<(Cause, f64)>,
}

fn alternatives(slot: Slot, glyph: &Glyph) -> Vec<Alternative> {
    let as_capital = folded(glyph.symbol);
    if slot.fits(as_capital) {
        return vec![Alternative {
            symbol: as_capital,
            confidence: glyph.confidence,
            change: None,
        }];
    }
    let mut found: Vec<Alternative> = Vec::new();
    let mut offer = |symbol: char, confidence: f64, cause: Cause, cost: f64| {
        if !slot.fits(symbol) {
            return;
        }
        let offered = Alternative {
            symbol,
            confidence,
            change: Some((cause, cost)),
        };
        match found.iter_mut().find(|known| known.symbol == symbol) {
            Some(known) if known.change.is_some_and(|(_, before)| cost < before) => {
                *known = offered;
            }
            Some(_) => {}
            None => found.push(offered),
        }
    };
    let p = glyph.confidence;
    if let Some((symbol, q)) = glyph.runner_up {
        offer(folded(symbol), q, Cause::RunnerUp, times_likelier(p, q));
    }
    for (taken, likeness) in of_its_shape(glyph.symbol) {
        let cost = likeness + times_likelier(p, 1.0 - p);
        offer(taken, p * libm::exp(-likeness), Cause::Confusable, cost);
    }
    // Between a letter and its capital the recogniser did not decide which shape it saw.
    if let Some((other, q)) = glyph.runner_up
        && folded(other) == as_capital
    {
        for (taken, likeness) in of_its_shape(other) {
            let cost = likeness + times_likelier(p, q);
            offer(taken, q * libm::exp(-likeness), Cause::Confusable, cost);
        }
    }
    if as_capital == 'D' {
        offer('Đ', p * libm::exp(-STROKE), Cause::Stroke, STROKE);
    }
    found
}

/// How many times likelier the first is, as a logarithm, at least 0. Recognisers
/// are not calibrated beyond a hundredth, so nothing is more than 100 times likelier.
fn times_likelier(p: f64, q: f64) -> f64 {
    libm::log(p.max(0.01) / q.max(0.01)).max(0.0)
}

/// All texts of a form that the characters may be.
fn search(form: &Form, glyphs: &[Glyph]) -> Vec<Candidate> {
    let choices: Vec<Vec<Alternative>> = (form.slots.iter().zip(glyphs))
        .map(|(slot, glyph)| alternatives(*slot, glyph))
        .collect();
    let changed = choices
        .iter()
        .filter(|c| c.iter().all(|a| a.change.is_some()))
        .count();
    if changed > most_corrections(glyphs.len()) || choices.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    // Only corrected places have more than one choice, so there are few.
    let mut found = vec![Candidate {
        text: String::new(),
        symbols: Vec::new(),
        corrections: Vec::new(),
        cost: 0.0,
        forms: Vec::new(),
    }];
    for ((position, glyph), choices) in glyphs.iter().enumerate().zip(&choices) {
        found = found
            .iter()
            .flat_map(|so_far| choices.iter().map(|c| so_far.with(position, glyph, *c)))
            .collect();
    }
    found.retain(|candidate| form.fits(&candidate.text));
    found
}

impl Candidate {
    fn with(&self, position: usize, glyph: &Glyph, choice: Alternative) -> Self {
        let mut next = self.clone();
        next.text.push(choice.symbol);
        // Against what was corrected, what was read is the rival.
        let rival = match choice.change {
            None => glyph.runner_up.map(|(other, q)| (folded(other), q)),
            Some(_) => Some((glyph.symbol, glyph.confidence)),
        };
        next.symbols.push(Glyph {
            symbol: choice.symbol,
            confidence: choice.confidence,
            runner_up: rival,
        });
        if let Some((cause, cost)) = choice.change {
            next.cost += cost;
            next.corrections.push(Correction {
                position,
                read: glyph.symbol,
                taken: choice.symbol,
                cause,
                cost,
            });
        }
        next
    }

    /// Name of the province or city that issued it, as it is called now.
    pub fn province(&self) -> Option<&'static str> {
        let code = self.text.get(..2)?.parse().ok()?;
        provinces::province(code)
    }
}

#[cfg(test)]
mod tests;
