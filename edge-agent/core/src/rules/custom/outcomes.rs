//! What a condition can come to at all, found when the configuration is read:
//! one that is never true would leave its rule silent for ever, and a part that
//! is always true says nothing.
//!
//! Every fact's range is cut at the numbers with which the condition compares
//! it; words and truths are taken one by one, and the unknown where there is
//! that. For every choice of one piece for each fact the condition is asked in
//! intervals. That is bounded, and what is found never to be true certainly is
//! not, within the ranges of the table of facts. Facts are taken as independent
//! of each other (but for riders, whom only two-wheelers have), so what
//! contradicts itself by the nature of the road is not found.

use protocol::ObjectClass;

use super::condition::{Amount, Condition, Relation, Slot, Source, Truth};
use super::facts::{CLASS, HEALTH, RIDERS, SIGNAL_WORDS, Sort};
use crate::rules::params::ROAD_USERS;

/// Most choices that are asked; where there were more, facts are taken whole.
const MOST_CHOICES: usize = 20_000;

/// Which of the three a condition, or a part of it, can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_field_names)] // each is a claim
pub(super) struct Outcomes {
    pub(super) can_be_true: bool,
    pub(super) can_be_false: bool,
    pub(super) can_be_unknown: bool,
}

impl Outcomes {
    const UNKNOWN: Self = Self::new(false, false, true);

    const fn new(can_be_true: bool, can_be_false: bool, can_be_unknown: bool) -> Self {
        Self {
            can_be_true,
            can_be_false,
            can_be_unknown,
        }
    }

    const fn only(truth: bool) -> Self {
        Self::new(truth, !truth, false)
    }

    fn not(self) -> Self {
        Self::new(self.can_be_false, self.can_be_true, self.can_be_unknown)
    }

    /// Kleene's `&&` of whatever one and the other may be.
    fn and(self, other: Self) -> Self {
        let (a, b) = (self, other);
        Self {
            can_be_true: a.can_be_true && b.can_be_true,
            can_be_false: a.can_be_false || b.can_be_false,
            can_be_unknown: a.can_be_unknown && (b.can_be_true || b.can_be_unknown)
                || b.can_be_unknown && a.can_be_true,
        }
    }

    fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    fn join(&mut self, other: Self) {
        self.can_be_true |= other.can_be_true;
        self.can_be_false |= other.can_be_false;
        self.can_be_unknown |= other.can_be_unknown;
    }
}

/// Numbers from `low` to `high`; both ends left out when it is open.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Interval {
    low: f64,
    high: f64,
    is_open: bool,
}

impl Interval {
    const fn closed(low: f64, high: f64) -> Self {
        Self {
            low,
            high,
            is_open: false,
        }
    }

    /// The least and the greatest of some numbers. Where one is too large for
    /// a number, anything.
    fn around(numbers: &[f64]) -> Self {
        if numbers.iter().any(|number| !number.is_finite()) {
            return Self::closed(f64::NEG_INFINITY, f64::INFINITY);
        }
        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self::closed(least, most)
    }

    fn has(self, number: f64) -> bool {
        if self.is_open {
            self.low < number && number < self.high
        } else {
            self.low <= number && number <= self.high
        }
    }

    fn can_equal(self, other: Self) -> bool {
        let (from, to) = (self.low.max(other.low), self.high.min(other.high));
        from < to || (from == to && self.has(from) && other.has(from))
    }

    fn compare(self, relation: Relation, other: Self) -> Outcomes {
        let less = self.low < other.high;
        let more = self.high > other.low;
        let equal = self.can_equal(other);
        let (yes, no) = match relation {
            Relation::Less => (less, more || equal),
            Relation::AtMost => (less || equal, more),
            Relation::More => (more, less || equal),
            Relation::AtLeast => (more || equal, less),
            Relation::Equal => (equal, less || more),
            Relation::Unequal => (less || more, equal),
        };
        Outcomes::new(yes, no, false)
    }
}

/// What a fact may be in one of the choices.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Piece {
    Unknown,
    Truth(bool),
    Word(&'static str),
    Number(Interval),
    /// Any word or truth.
    Any,
}

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Study {
    /// Of the whole condition.
    pub(super) whole: Outcomes,
    /// Of each of its conjuncts.
    pub(super) conjuncts: Vec<Outcomes>,
    /// For each conjunct, those that can be true together with it, as bits.
    together: Vec<u128>,
}

impl Study {
    /// Anything may be.
    fn nothing_found(condition: &Condition) -> Self {
        let anything = Outcomes::new(true, true, true);
        Self {
            whole: anything,
            conjuncts: vec![anything; condition.conjuncts.len()],
            together: vec![u128::MAX; condition.conjuncts.len()],
        }
    }

    /// Two conjuncts that are never true together, though each can be.
    pub(super) fn excluding(&self) -> Option<(usize, usize)> {
        let count = self.conjuncts.len().min(128);
        (0..count)
            .flat_map(|a| (a + 1..count).map(move |b| (a, b)))
            .find(|(a, b)| self.together[*a] >> b & 1 == 0)
    }
}

/// Studies a condition about road users of these classes.
pub(super) fn study(condition: &Condition, classes: &[ObjectClass]) -> Study {
    let mut pieces: Vec<Vec<Piece>> = (0..condition.sources.len())
        .map(|slot| pieces_of(condition, Slot(slot), classes))
        .collect();
    // Too many choices: the fact with the most pieces is taken whole.
    let choices = |pieces: &[Vec<Piece>]| {
        let mut counts = pieces.iter().map(Vec::len);
        counts.try_fold(1_usize, usize::checked_mul)
    };
    while choices(&pieces).is_none_or(|all| all > MOST_CHOICES) {
        let merged = pieces.iter().map(|own| merged(own)).enumerate();
        let widest = merged
            .filter(|(slot, all)| all.len() < pieces[*slot].len())
            .max_by_key(|(slot, _)| pieces[*slot].len());
        let Some((slot, all)) = widest else {
            return Study::nothing_found(condition);
        };
        pieces[slot] = all;
    }
    let slot_of = |key: &str| {
        let mut sources = condition.sources.iter();
        sources.position(|source| matches!(source, Source::Fact(fact) if fact.key == key))
    };
    let (class, riders) = (slot_of(CLASS), slot_of(RIDERS));
    let mut found = Study {
        whole: Outcomes::default(),
        conjuncts: vec![Outcomes::default(); condition.conjuncts.len()],
        together: vec![0; condition.conjuncts.len()],
    };
    let mut turn = vec![0_usize; pieces.len()];
    let mut choice: Vec<Piece> = pieces
        .iter()
        .filter_map(|own| own.first().copied())
        .collect();
    if choice.len() < pieces.len() {
        return found;
    }
    loop {
        let is_possible = match (
            class.map(|slot| choice[slot]),
            riders.map(|slot| choice[slot]),
        ) {
            (Some(Piece::Word(class)), Some(Piece::Number(riders))) => {
                riders.has(0.0) || is_two_wheeler(class)
            }
            _ => true,
        };
        if is_possible {
            ask(condition, &choice, &mut found);
        }
        // The next choice, counted like an odometer.
        let Some(wheel) = (0..turn.len()).find(|slot| turn[*slot] + 1 < pieces[*slot].len()) else {
            return found;
        };
        for slot in 0..=wheel {
            turn[slot] = if slot == wheel { turn[slot] + 1 } else { 0 };
            choice[slot] = pieces[slot][turn[slot]];
        }
    }
}

fn is_two_wheeler(class: &str) -> bool {
    [ObjectClass::Bicycle, ObjectClass::Motorcycle]
        .iter()
        .any(|known| known.as_str() == class)
}

fn ask(condition: &Condition, choice: &[Piece], found: &mut Study) {
    let mut whole = Outcomes::only(true);
    let mut true_ones = 0_u128;
    for (index, conjunct) in condition.conjuncts.iter().enumerate() {
        let own = outcomes(&conjunct.truth, choice);
        found.conjuncts[index].join(own);
        if own.can_be_true && index < 128 {
            true_ones |= 1 << index;
        }
        whole = whole.and(own);
    }
    for (index, together) in found.together.iter_mut().enumerate().take(128) {
        if true_ones >> index & 1 == 1 {
            *together |= true_ones;
        }
    }
    found.whole.join(whole);
}

/// Everything that stands in a slot, in pieces.
fn pieces_of(condition: &Condition, slot: Slot, classes: &[ObjectClass]) -> Vec<Piece> {
    let (sort, may_be_unknown) = match &condition.sources[slot.0] {
        Source::Signal(_) => (Sort::Word(&SIGNAL_WORDS), true),
        Source::Fact(fact) if fact.key == CLASS => {
            return classes.iter().map(|c| Piece::Word(c.as_str())).collect();
        }
        Source::Fact(fact) if counts_another_class(fact.key, classes) => {
            return numbers(&[0.0], true);
        }
        Source::Fact(fact) => {
            let may_be_unknown = fact.needs_ground || matches!(fact.key, HEALTH | "heading_deg");
            (fact.sort, may_be_unknown)
        }
    };
    let mut pieces = match sort {
        Sort::Truth => vec![Piece::Truth(false), Piece::Truth(true)],
        Sort::Word(words) => words.iter().map(|word| Piece::Word(word)).collect(),
        Sort::Number {
            min, max, is_whole, ..
        } => {
            let mut cuts = vec![min, max];
            for conjunct in &condition.conjuncts {
                thresholds(&conjunct.truth, &mut |own, _, number| {
                    if own == slot && min < number && number < max {
                        cuts.push(number);
                    }
                });
            }
            cuts.sort_by(f64::total_cmp);
            cuts.dedup();
            numbers(&cuts, is_whole)
        }
    };
    if may_be_unknown {
        pieces.push(Piece::Unknown);
    }
    pieces
}

/// Whether it counts road users of a class that the rule leaves out.
fn counts_another_class(key: &str, classes: &[ObjectClass]) -> bool {
    key.strip_prefix("count_").is_some_and(|counted| {
        let is_counted = |class: &&ObjectClass| class.as_str() == counted;
        ROAD_USERS.iter().any(|class| is_counted(&class)) && !classes.iter().any(|c| is_counted(&c))
    })
}

/// The cuts and what is between them; of whole numbers only these.
fn numbers(cuts: &[f64], is_whole: bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (index, cut) in cuts.iter().enumerate() {
        if !is_whole || cut.fract() == 0.0 {
            pieces.push(Interval::closed(*cut, *cut));
        }
        let Some(next) = cuts.get(index + 1) else {
            break;
        };
        let between = Interval {
            low: *cut,
            high: *next,
            is_open: true,
        };
        if is_whole {
            let within = Interval::closed(cut.floor() + 1.0, next.ceil() - 1.0);
            pieces.extend((within.low <= within.high).then_some(within));
        } else {
            pieces.push(between);
        }
    }
    pieces.into_iter().map(Piece::Number).collect()
}

/// All pieces as one, besides the unknown.
fn merged(pieces: &[Piece]) -> Vec<Piece> {
    let mut ends = Vec::new();
    for piece in pieces {
        if let Piece::Number(interval) = piece {
            ends.extend([interval.low, interval.high]);
        }
    }
    let whole = if ends.is_empty() {
        Piece::Any
    } else {
        Piece::Number(Interval::around(&ends))
    };
    let unknown = pieces.iter().find(|piece| **piece == Piece::Unknown);
    [whole].into_iter().chain(unknown.copied()).collect()
}

/// Calls `take` for each fact that is compared with a number: as it stands, with the
/// fact on the left.
pub(super) fn thresholds(truth: &Truth, take: &mut impl FnMut(Slot, Relation, f64)) {
    match truth {
        Truth::Not(part) => thresholds(part, take),
        Truth::All(parts) | Truth::Any(parts) => {
            for part in parts {
                thresholds(part, take);
            }
        }
        Truth::Compare(Amount::Fact(slot), relation, other) => {
            if let Some(number) = other.constant() {
                take(*slot, *relation, number);
            }
        }
        Truth::Compare(other, relation, Amount::Fact(slot)) => {
            if let Some(number) = other.constant() {
                take(*slot, relation.mirrored(), number);
            }
        }
        Truth::AmongNumbers(Amount::Fact(slot), list) => {
            for number in list {
                take(*slot, Relation::Equal, *number);
            }
        }
        _ => {}
    }
}

fn outcomes(truth: &Truth, choice: &[Piece]) -> Outcomes {
    match truth {
        Truth::Constant(truth) => Outcomes::only(*truth),
        Truth::Fact(slot) => match choice[slot.0] {
            Piece::Truth(truth) => Outcomes::only(truth),
            Piece::Any => Outcomes::new(true, true, false),
            _ => Outcomes::UNKNOWN,
        },
        Truth::IsKnown(slot) => Outcomes::only(choice[slot.0] != Piece::Unknown),
        Truth::Not(part) => outcomes(part, choice).not(),
        Truth::All(parts) => parts.iter().fold(Outcomes::only(true), |all, part| {
            all.and(outcomes(part, choice))
        }),
        Truth::Any(parts) => parts.iter().fold(Outcomes::only(false), |any, part| {
            any.or(outcomes(part, choice))
        }),
        Truth::Compare(left, relation, right) => {
            match (range(left, choice), range(right, choice)) {
                (Some(left), Some(right)) => {
                    let mut found = left.compare(*relation, right);
                    // Too large for a number is unknown.
                    found.can_be_unknown = !left.high.is_finite() || !right.high.is_finite();
                    found
                }
                _ => Outcomes::UNKNOWN,
            }
        }
        Truth::AmongNumbers(amount, list) => match range(amount, choice) {
            Some(range) => {
                let is_in = list.iter().any(|number| range.has(*number));
                let is_one = range.low == range.high;
                let can_be_unknown = !range.high.is_finite();
                Outcomes::new(is_in, !(is_in && is_one), can_be_unknown)
            }
            None => Outcomes::UNKNOWN,
        },
        Truth::AmongWords(slot, list) => match choice[slot.0] {
            Piece::Word(word) => Outcomes::only(list.contains(&word)),
            Piece::Any => Outcomes::new(!list.is_empty(), true, false),
            _ => Outcomes::UNKNOWN,
        },
    }
}

/// Where a number can be; `None` when it is unknown. Ends that were computed
/// belong to it, because sums are rounded.
fn range(amount: &Amount, choice: &[Piece]) -> Option<Interval> {
    let pair = |a: &Amount, b: &Amount| Some((range(a, choice)?, range(b, choice)?));
    Some(match amount {
        Amount::Literal(number) => Interval::closed(*number, *number),
        Amount::Fact(slot) => match choice[slot.0] {
            Piece::Number(interval) => interval,
            _ => return None,
        },
        Amount::Negative(part) => {
            let part = range(part, choice)?;
            Interval {
                low: -part.high,
                high: -part.low,
                ..part
            }
        }
        Amount::Sum(a, b) => {
            let (a, b) = pair(a, b)?;
            Interval::around(&[a.low + b.low, a.high + b.high])
        }
        Amount::Difference(a, b) => {
            let (a, b) = pair(a, b)?;
            Interval::around(&[a.low - b.high, a.high - b.low])
        }
        Amount::Product(a, b) => {
            let (a, b) = pair(a, b)?;
            Interval::around(&[
                a.low * b.low,
                a.low * b.high,
                a.high * b.low,
                a.high * b.high,
            ])
        }
    })
}

/// What can be said to the author of a condition: that it is of no use at all
/// (`Err`), or what is probably not meant, one sentence each.
pub(super) fn advice(
    condition: &Condition,
    classes: &[ObjectClass],
) -> Result<Vec<String>, String> {
    let study = study(condition, classes);
    let text = |index: usize| condition.conjuncts[index].text.as_str();
    if !study.whole.can_be_true {
        let never = study.conjuncts.iter().position(|part| !part.can_be_true);
        return Err(match (never, study.excluding()) {
            (Some(index), _) => format!(
                "`{}` is never true, whatever the facts are, so the rule would never find anything; \
                 see the words and ranges in `edge-agent rules custom`, and the rule's `classes`",
                text(index)
            ),
            (None, Some((a, b))) => format!(
                "`{}` and `{}` are never true together, so the rule would never find anything; \
                 write || where one of them is enough",
                text(a),
                text(b)
            ),
            (None, None) => "its parts are never true together, so the rule would never find \
                             anything; take parts out until it can be"
                .to_owned(),
        });
    }
    let mut advice = Vec::new();
    for (index, part) in study.conjuncts.iter().enumerate() {
        if !part.can_be_false {
            let where_known = if part.can_be_unknown {
                " wherever its facts are known"
            } else {
                ""
            };
            advice.push(format!(
                "`{}` is always true{where_known}, so it says nothing; take it out, or correct it",
                text(index)
            ));
        }
        thresholds(
            &condition.conjuncts[index].truth,
            &mut |slot, relation, number| {
                advice.extend(doubt_of_number(condition, slot, relation, number));
            },
        );
    }
    advice.dedup();
    Ok(advice)
}

/// What is odd about comparing a fact with this number.
fn doubt_of_number(
    condition: &Condition,
    slot: Slot,
    relation: Relation,
    number: f64,
) -> Option<String> {
    let Source::Fact(fact) = &condition.sources[slot.0] else {
        return None;
    };
    let Sort::Number {
        min, max, is_whole, ..
    } = fact.sort
    else {
        return None;
    };
    let key = fact.key;
    let is_equality = matches!(relation, Relation::Equal | Relation::Unequal);
    if is_whole && number.fract() != 0.0 {
        let meant = match relation {
            Relation::More | Relation::AtLeast => format!(">= {}", number.ceil()),
            Relation::Less | Relation::AtMost => format!("<= {}", number.floor()),
            Relation::Equal | Relation::Unequal => {
                return Some(format!(
                    "`{key}` is a whole number and never {number}; write a whole number"
                ));
            }
        };
        return Some(format!(
            "`{key}` is a whole number, so comparing it with {number} means `{key} {meant}`; write \
             that if it is what you mean"
        ));
    }
    // At the ends of a range values do pile up: nobody there, at rest.
    let is_inside = min < number && number < max;
    (!is_whole && is_equality && is_inside).then(|| {
        format!(
            "`{key}` is measured and hardly ever exactly {number}; write a range with >= and <="
        )
    })
}
