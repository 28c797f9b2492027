//! Many looks of one track: what they agree on.
//!
//! Every look votes at every place of its plate, with the recogniser's
//! confidence; a look that may be two plates divides its votes between them, and
//! the recogniser's second choices vote against its first. Votes are counted
//! apart for each number of characters, because a look that lost one says
//! nothing of the places behind it.
//!
//! A character is stated when enough looks read it with confidence and nearly all
//! of the votes *and* of the looks are for it; otherwise it is `?`: three sure looks
//! do not outvote four that were unsure. The plate is stated when all its characters
//! are, together are one, and enough looks read this very plate without another coming
//! near. Sums are whole millionths, so that the order of looks changes nothing, and
//! memory is bounded by what plates are made of.
//!
//! Looks must be worth a vote each: taken some frames apart, because neighbouring
//! frames repeat each other's mistakes.

use std::collections::BTreeMap;

use crate::grammar::Grammar;
use crate::reading::{Candidate, Circumstances, Reading};

/// When a plate is stated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quorum {
    /// How many looks must have read a character as their likeliest, and how many
    /// must have read the plate without doubt ([`Reading::decided`]).
    pub looks: u64,
    /// Share of all votes at its place that it must have, and of all looks, more than a half.
    pub agreement: f64,
    /// Mean confidence that looks must have in it as they read it.
    pub confidence: f64,
    /// The same of looks that read another, which the form has no room for.
    pub corrected: f64,
}

impl Default for Quorum {
    /// Three looks, since two can err alike and a third alone cannot outvote
    /// them; four fifths, so that one in five may err. A confidence of a half, as
    /// for a single look: looks taken in one blur err alike, and an H read as B
    /// has 0.1 to 0.3 in each of them. Of a correction a quarter, which a sure O
    /// has as a 0, but no guess.
    fn default() -> Self {
        Self {
            looks: 3,
            agreement: 0.8,
            confidence: 0.5,
            corrected: 0.25,
        }
    }
}

/// Different plates of which decided looks are counted: more than anybody takes looks of one track.
const MOST_TEXTS: usize = 256;

/// Votes for one track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ballot {
    groups: BTreeMap<usize, Group>,
    refused: u64,
}

/// Votes for plates of one number of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    looks: u64,
    /// Of those that no other plate came near in, how many read what.
    decided: BTreeMap<String, u64>,
    corrected: u64,
    places: Vec<BTreeMap<char, Votes>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Votes {
    /// Millionths of a vote.
    weight: u64,
    /// Looks that read it as their likeliest, and their confidence in it, in millionths.
    looks: u64,
    confidence: u64,
    /// Those of them that had read something else there.
    corrected: u64,
}

/// One place of a plate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The character; `None`: not stated.
    pub symbol: Option<char>,
    /// The one with most votes, stated or not.
    pub leading: char,
    /// Mean confidence of the looks that read it, 0 to 1.
    pub confidence: f64,
    /// Its share of the votes, 0 to 1.
    pub share: f64,
    /// Looks that read it, corrected ones included.
    pub looks: u64,
    /// Looks that had read something else there, which the grammar excludes.
    pub corrected: u64,
}

/// Why a plate is not stated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unstated {
    /// No look showed a plate.
    #[error("no look showed a plate")]
    NoReading,
    /// Not enough looks.
    #[error("{have} looks showed a plate, {need} are needed")]
    TooFewLooks {
        /// Looks of the most common length.
        have: u64,
        /// By the quorum.
        need: u64,
    },
    /// Looks differ in how many characters there are.
    #[error("looks disagree on how many characters the plate has")]
    LengthsDisagree,
    /// Looks differ or are unsure at some places.
    #[error("looks disagree on {0} of its characters or are unsure of them")]
    SymbolsDisagree(usize),
    /// Looks agree, but in most of them another plate was nearly as likely.
    #[error("{have} looks showed this plate and no other near it, {need} are needed")]
    Doubtful {
        /// Decided looks that read it.
        have: u64,
        /// By the quorum.
        need: u64,
    },
    /// What the looks agree on place by place is no plate.
    #[error("what looks agree on is no plate of such a vehicle")]
    NoPlate,
    /// Its form is not certain enough to accuse anybody by.
    #[error("plates of this form are left to a person")]
    UnverifiedForm,
}

/// What the looks say together.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Normal form, with `?` for what is not stated.
    pub text: String,
    /// The same as it is shown: `29-B1 1?3.45`.
    pub display: String,
    /// Its places.
    pub places: Vec<Place>,
    /// Place in [`Grammar::forms`] of its form, the most common of those possible.
    pub form: Option<usize>,
    /// Looks that showed a plate of this length.
    pub looks: u64,
    /// All looks, those that showed none included.
    pub of: u64,
    /// Looks of this length whose likeliest plate needed a correction.
    pub corrected: u64,
    /// Whether it may be what is left of a longer plate ([`Grammar::may_be_cut`]):
    /// a reason for a person to count the characters, no reason not to state it.
    pub may_be_cut: bool,
    /// Why it is not stated; `None`: it is.
    pub unstated: Option<Unstated>,
}

impl Verdict {
    /// The plate in normal form, if it may be stated.
    pub fn stated(&self) -> Option<&str> {
        self.unstated.is_none().then_some(&*self.text)
    }
}

impl Ballot {
    /// A look that shows no plate.
    pub fn add_refused(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }

    /// A look. The grammar is the one it was read by.
    pub fn add(&mut self, grammar: &Grammar, reading: &Reading) {
        let Some(best) = reading.best() else {
            return self.add_refused();
        };
        let length = best.symbols.len();
        if length > grammar.longest() {
            return self.add_refused();
        }
        let group = self.groups.entry(length).or_default();
        group.places.resize(length, BTreeMap::new());
        group.looks = group.looks.saturating_add(1);
        if let Some(decided) = reading.decided()
            && (group.decided.len() < MOST_TEXTS || group.decided.contains_key(&decided.text))
        {
            let looks = group.decided.entry(decided.text.clone()).or_default();
            *looks = looks.saturating_add(1);
        }
        group.corrected = group
            .corrected
            .saturating_add(u64::from(!best.corrections.is_empty()));
        let odds = |candidate: &Candidate| libm::exp(best.cost - candidate.cost);
        // All candidates of a look are as long as it is; odds are at most 1 each.
        let total: f64 = reading.candidates.iter().map(odds).sum();
        for (rank, candidate) in reading.candidates.iter().enumerate() {
            let share = odds(candidate) / total;
            let form = candidate
                .forms
                .first()
                .and_then(|form| grammar.forms().get(*form));
            for (place, (votes, glyph)) in
                group.places.iter_mut().zip(&candidate.symbols).enumerate()
            {
                let vote = votes.entry(glyph.symbol).or_default();
                vote.weight = vote
                    .weight
                    .saturating_add(millionths(share * glyph.confidence));
                if rank == 0 {
                    vote.looks = vote.looks.saturating_add(1);
                    let is_corrected = candidate.corrections.iter().any(|c| c.position == place);
                    vote.corrected = vote.corrected.saturating_add(u64::from(is_corrected));
                    vote.confidence = vote.confidence.saturating_add(millionths(glyph.confidence));
                }
                // A second choice that the form has no room for is no rival.
                let slot = form.and_then(|form| form.slots.get(place));
                if let (Some((rival, confidence)), Some(slot)) = (glyph.runner_up, slot)
                    && rival != glyph.symbol
                    && slot.fits(rival)
                {
                    let vote = votes.entry(rival).or_default();
                    vote.weight = vote.weight.saturating_add(millionths(share * confidence));
                }
            }
        }
    }

    /// What the looks so far say.
    pub fn verdict(&self, grammar: &Grammar, known: Circumstances, quorum: Quorum) -> Verdict {
        let agreement = quorum.agreement.clamp(0.5 + 1e-6, 1.0);
        let quorum = Quorum {
            agreement,
            ..quorum
        };
        let all: u64 = self.groups.values().map(|group| group.looks).sum();
        // The longer one of equals; they are not stated anyway.
        let Some((_, group)) = self
            .groups
            .iter()
            .max_by_key(|(length, group)| (group.looks, **length))
        else {
            return Verdict::none(self.refused);
        };
        let is_one_length = group.looks as f64 >= agreement * all as f64;
        let mut places: Vec<Place> = group
            .places
            .iter()
            .map(|votes| place(votes, group.looks, quorum))
            .collect();
        if !is_one_length {
            unstate(&mut places);
        }
        let open = places.iter().filter(|place| place.symbol.is_none()).count();
        let mut form = form_of(grammar, &places, known);
        if form.is_none() {
            unstate(&mut places);
            form = form_of(grammar, &places, known);
        }
        let text = text(&places);
        let unstated = if group.looks < quorum.looks {
            Some(Unstated::TooFewLooks {
                have: group.looks,
                need: quorum.looks,
            })
        } else if !is_one_length {
            Some(Unstated::LengthsDisagree)
        } else if open > 0 {
            Some(Unstated::SymbolsDisagree(open))
        } else {
            match form.map(|form| &grammar.forms()[form]) {
                Some(form) if form.fits(&text) && !form.is_verified => {
                    Some(Unstated::UnverifiedForm)
                }
                Some(form) if form.fits(&text) => {
                    let have = group.decided.get(&text).copied().unwrap_or_default();
                    let need = quorum.looks;
                    (have < need).then_some(Unstated::Doubtful { have, need })
                }
                _ => Some(Unstated::NoPlate),
            }
        };
        Verdict {
            display: form.map_or_else(|| text.clone(), |form| grammar.forms()[form].display(&text)),
            text,
            places,
            form,
            looks: group.looks,
            of: all.saturating_add(self.refused),
            corrected: group.corrected,
            may_be_cut: form.is_some_and(|form| grammar.may_be_cut(&grammar.forms()[form])),
            unstated,
        }
    }
}

impl Verdict {
    fn none(looks: u64) -> Self {
        Self {
            text: String::new(),
            display: String::new(),
            places: Vec::new(),
            form: None,
            looks: 0,
            of: looks,
            corrected: 0,
            may_be_cut: false,
            unstated: Some(Unstated::NoReading),
        }
    }
}

fn place(votes: &BTreeMap<char, Votes>, all: u64, quorum: Quorum) -> Place {
    let total: u64 = votes.values().map(|vote| vote.weight).sum();
    // Of equals the first; neither is stated.
    let leading = votes
        .iter()
        .max_by_key(|(symbol, vote)| (vote.weight, core::cmp::Reverse(**symbol)));
    let (symbol, vote) = leading.map_or(('?', Votes::default()), |(symbol, vote)| (*symbol, *vote));
    let share = vote.weight as f64 / total.max(1) as f64;
    let looks = vote.looks.max(1) as f64;
    let confidence = vote.confidence as f64 / 1e6 / looks;
    let corrected = vote.corrected as f64 / looks;
    let needed = quorum.corrected * corrected + quorum.confidence * (1.0 - corrected);
    let is_agreed = share >= quorum.agreement && vote.looks as f64 >= quorum.agreement * all as f64;
    let is_stated = vote.looks >= quorum.looks.max(1) && is_agreed && confidence >= needed;
    Place {
        symbol: is_stated.then_some(symbol),
        leading: symbol,
        confidence,
        share,
        looks: vote.looks,
        corrected: vote.corrected,
    }
}

fn unstate(places: &mut [Place]) {
    for place in places {
        place.symbol = None;
    }
}

fn text(places: &[Place]) -> String {
    places
        .iter()
        .map(|place| place.symbol.unwrap_or('?'))
        .collect()
}

/// The most common form that what is stated may be of.
fn form_of(grammar: &Grammar, places: &[Place], known: Circumstances) -> Option<usize> {
    let text = text(places);
    (grammar.forms().iter()).position(|form| form.may_be(&text) && known.allow_text(form, &text))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 10⁶
fn millionths(part: f64) -> u64 {
    libm::round(part.clamp(0.0, 1.0) * 1e6) as u64
}

#[cfg(test)]
mod tests;
