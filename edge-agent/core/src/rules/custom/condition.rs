//! A condition after it was checked: typed, without text to parse, without
//! anything to allocate. Its cost is its number of nodes, its value depends on
//! the facts alone.
//!
//! What nobody knows is unknown, and so is what is made of it; only `false &&`
//! and `true ||` are known all the same (the logic of CEL with errors, which is
//! Kleene's). An event needs `true`.

use protocol::Predicate;
use protocol::event::Comparison;
use protocol::id::SignalGroupId;
use protocol::signal::SignalState;

use super::facts::{Fact, Known, Look, MomentLook, Sort};
use crate::observation::FrameView;
use crate::rules::explain::{self, Span};

/// Something that is looked up once per evaluation, by its place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(pub(super) usize);

/// What stands in a slot.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Fact(&'static Fact),
    Signal(SignalGroupId),
}

impl Source {
    pub(super) fn key(&self) -> String {
        match self {
            Self::Fact(fact) => fact.key.to_owned(),
            Self::Signal(group) => format!("signal.{group}"),
        }
    }
}

/// A part of a condition that is true, false or unknown.
#[derive(Clone, Debug)]
pub(super) enum Truth {
    Constant(bool),
    Fact(Slot),
    IsKnown(Slot),
    Not(Box<Truth>),
    All(Vec<Truth>),
    Any(Vec<Truth>),
    Compare(Amount, Relation, Amount),
    AmongNumbers(Amount, Vec<f64>),
    AmongWords(Slot, Vec<&'static str>),
}

/// A part of a condition that is a number or unknown.
#[derive(Clone, Debug)]
pub(super) enum Amount {
    Literal(f64),
    Fact(Slot),
    Negative(Box<Amount>),
    Sum(Box<Amount>, Box<Amount>),
    Difference(Box<Amount>, Box<Amount>),
    Product(Box<Amount>, Box<Amount>),
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Unequal,
}

impl Relation {
    /// The same with its sides exchanged.
    pub(super) fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::More,
            Self::AtMost => Self::AtLeast,
            Self::More => Self::Less,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }

    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::More => left > right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }

    fn comparison(self) -> Option<Comparison> {
        Some(match self {
            Self::Less => Comparison::LessThan,
            Self::AtMost => Comparison::AtMost,
            Self::More => Comparison::MoreThan,
            Self::AtLeast => Comparison::AtLeast,
            Self::Equal => Comparison::Is,
            Self::Unequal => return None,
        })
    }
}

impl Truth {
    pub(super) fn value(&self, values: &[Known]) -> Option<bool> {
        match self {
            Self::Constant(truth) => Some(*truth),
            Self::Fact(slot) => match values[slot.0] {
                Known::Truth(truth) => Some(truth),
                _ => None,
            },
            Self::IsKnown(slot) => Some(values[slot.0] != Known::Unknown),
            Self::Not(part) => part.value(values).map(|truth| !truth),
            Self::All(parts) => absorbing(parts, values, false),
            Self::Any(parts) => absorbing(parts, values, true),
            Self::Compare(left, relation, right) => {
                let (left, right) = (left.value(values)?, right.value(values)?);
                Some(relation.holds(left, right))
            }
            Self::AmongNumbers(amount, list) => Some(list.contains(&amount.value(values)?)),
            Self::AmongWords(slot, list) => match values[slot.0] {
                Known::Word(word) => Some(list.contains(&word)),
                _ => None,
            },
        }
    }

    /// Whether it is unknown whenever one of these slots is.
    fn hangs_on(&self, is_meant: &dyn Fn(Slot) -> bool) -> bool {
        match self {
            Self::Constant(_) | Self::IsKnown(_) => false,
            Self::Fact(slot) | Self::AmongWords(slot, _) => is_meant(*slot),
            Self::Not(part) => part.hangs_on(is_meant),
            Self::All(parts) | Self::Any(parts) => parts.iter().all(|p| p.hangs_on(is_meant)),
            Self::Compare(left, _, right) => left.hangs_on(is_meant) || right.hangs_on(is_meant),
            Self::AmongNumbers(amount, _) => amount.hangs_on(is_meant),
        }
    }
}

/// `&&` (absorbed by false) and `||` (absorbed by true), whatever the order.
fn absorbing(parts: &[Truth], values: &[Known], absorbed_by: bool) -> Option<bool> {
    let mut all = Some(!absorbed_by);
    for part in parts {
        match part.value(values) {
            Some(truth) if truth == absorbed_by => return Some(absorbed_by),
            Some(_) => {}
            None => all = None,
        }
    }
    all
}

impl Amount {
    /// Its value where it asks for no fact.
    pub(super) fn constant(&self) -> Option<f64> {
        match self {
            Self::Literal(number) => Some(*number),
            Self::Negative(part) => Some(-part.constant()?),
            _ => None,
        }
    }

    fn value(&self, values: &[Known]) -> Option<f64> {
        let of = |part: &Self| part.value(values);
        let value = match self {
            Self::Literal(number) => *number,
            Self::Fact(slot) => match values[slot.0] {
                Known::Number(number) => number,
                _ => return None,
            },
            Self::Negative(part) => -of(part)?,
            Self::Sum(a, b) => of(a)? + of(b)?,
            Self::Difference(a, b) => of(a)? - of(b)?,
            Self::Product(a, b) => of(a)? * of(b)?,
        };
        value.is_finite().then_some(value)
    }

    fn hangs_on(&self, is_meant: &dyn Fn(Slot) -> bool) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Fact(slot) => is_meant(*slot),
            Self::Negative(part) => part.hangs_on(is_meant),
            Self::Sum(a, b) | Self::Difference(a, b) | Self::Product(a, b) => {
                a.hangs_on(is_meant) || b.hangs_on(is_meant)
            }
        }
    }
}

/// One of the parts that `&&` joins at the top, with its text.
#[derive(Clone, Debug)]
pub(super) struct Conjunct {
    pub(super) truth: Truth,
    pub(super) text: String,
}

/// A checked condition.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) conjuncts: Vec<Conjunct>,
    pub(super) sources: Vec<Source>,
}

impl Condition {
    /// Whether it asks for the fact of this name.
    pub(super) fn asks(&self, key: &str) -> bool {
        self.sources
            .iter()
            .any(|source| matches!(source, Source::Fact(fact) if fact.key == key))
    }

    /// Looks up everything that it asks for.
    pub(super) fn look_up(
        &self,
        frame: &FrameView<'_>,
        look: Look<'_>,
        moment: &MomentLook,
        into: &mut Vec<Known>,
    ) {
        into.clear();
        into.extend(self.sources.iter().map(|source| match source {
            Source::Fact(fact) => fact.read(look, moment),
            Source::Signal(group) => match frame.signals.at(group, frame.at.time).state {
                SignalState::Unknown => Known::Unknown,
                state => Known::Word(state.as_str()),
            },
        }));
    }

    /// `None`: unknown.
    pub(super) fn value(&self, values: &[Known]) -> Option<bool> {
        let mut all = Some(true);
        for conjunct in &self.conjuncts {
            match conjunct.truth.value(values) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => all = None,
            }
        }
        all
    }

    /// Whether it cannot be true while the meant slots are unknown.
    pub(super) fn needs(&self, is_meant: impl Fn(&Source) -> bool) -> bool {
        let is_meant = |slot: Slot| is_meant(&self.sources[slot.0]);
        self.conjuncts
            .iter()
            .any(|conjunct| conjunct.truth.hangs_on(&is_meant))
    }

    /// A predicate for each conjunct: a fact against a number or a word where
    /// it is that, else that it is true.
    pub(super) fn explain(&self, values: &[Known], span: Span) -> Vec<Predicate> {
        let mut predicates: Vec<Predicate> = Vec::with_capacity(self.conjuncts.len());
        for conjunct in &self.conjuncts {
            let mut predicate = self.explain_one(conjunct, values, span);
            let same = |p: &&Predicate| {
                p.name == predicate.name || p.name.starts_with(&format!("{}#", predicate.name))
            };
            let count = predicates.iter().filter(same).count();
            if count > 0 {
                predicate.name = format!("{}#{}", predicate.name, count + 1);
            }
            predicates.push(predicate);
        }
        predicates
    }

    fn explain_one(&self, conjunct: &Conjunct, values: &[Known], span: Span) -> Predicate {
        let found = match &conjunct.truth {
            Truth::Compare(Amount::Fact(slot), relation, Amount::Literal(number)) => {
                self.compared((*slot, *relation, *number), values, span)
            }
            Truth::Compare(Amount::Literal(number), relation, Amount::Fact(slot)) => {
                self.compared((*slot, relation.mirrored(), *number), values, span)
            }
            Truth::Fact(slot) => Some(self.known(*slot, true, values, span)),
            Truth::Not(part) => match part.as_ref() {
                Truth::Fact(slot) => Some(self.known(*slot, false, values, span)),
                _ => None,
            },
            Truth::AmongWords(slot, words) => Some(self.word(*slot, words, values, span)),
            _ => None,
        };
        found.unwrap_or_else(|| {
            let holds = conjunct.truth.value(values);
            let name = (
                "condition",
                format!("Điều kiện: {}", conjunct.text),
                format!("Condition: {}", conjunct.text),
            );
            match holds {
                Some(truth) => explain::is(name, truth, true, span),
                None => unknown(name, "true", span),
            }
        })
    }

    fn name<'n>(&self, slot: Slot, key: &'n str) -> explain::Name<'n> {
        let (vi, en) = match &self.sources[slot.0] {
            Source::Fact(fact) => (fact.label.0.to_owned(), fact.label.1.to_owned()),
            Source::Signal(group) => (format!("Đèn tín hiệu {group}"), format!("Signal {group}")),
        };
        (key, vi, en)
    }

    fn compared(
        &self,
        (slot, relation, number): (Slot, Relation, f64),
        values: &[Known],
        span: Span,
    ) -> Option<Predicate> {
        let comparison = relation.comparison()?;
        let source = &self.sources[slot.0];
        let key = source.key();
        let name = self.name(slot, &key);
        let unit = match source {
            Source::Fact(fact) => match fact.sort {
                Sort::Number { unit, .. } => unit,
                _ => "",
            },
            Source::Signal(_) => "",
        };
        Some(match values[slot.0] {
            Known::Number(value) => explain::number(name, (value, comparison, number), unit, span),
            _ => unknown(name, &number.to_string(), span),
        })
    }

    fn known(&self, slot: Slot, wanted: bool, values: &[Known], span: Span) -> Predicate {
        let key = self.sources[slot.0].key();
        let name = self.name(slot, &key);
        match values[slot.0] {
            Known::Truth(truth) => explain::is(name, truth, wanted, span),
            _ => unknown(name, if wanted { "true" } else { "false" }, span),
        }
    }

    fn word(&self, slot: Slot, words: &[&str], values: &[Known], span: Span) -> Predicate {
        let key = self.sources[slot.0].key();
        let name = self.name(slot, &key);
        let wanted = words.join(", ");
        match values[slot.0] {
            Known::Word(word) => {
                let mut predicate = explain::is(name, word.to_owned(), wanted, span);
                predicate.holds = words.contains(&word);
                predicate
            }
            _ => unknown(name, &wanted, span),
        }
    }
}

/// What nobody can say does not hold.
fn unknown(name: explain::Name<'_>, wanted: &str, span: Span) -> Predicate {
    let mut predicate = explain::is(name, "unknown".to_owned(), wanted.to_owned(), span);
    predicate.holds = false;
    predicate
}
