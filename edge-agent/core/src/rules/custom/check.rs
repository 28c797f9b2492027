//! From the text of a condition to a [`Condition`], with every fault on the way.
//!
//! What CEL leaves to run time is decided here: which names there are, their types, their units
//! and their ranges. Of CEL's operators those are taken whose cost is plain;
//! there are no functions, no loops (`exists`, `map` …), no regular
//! expressions and no division, so nothing can fail or run long.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, SourceInfo, operators};
use protocol::id::SignalGroupId;

use super::condition::{Amount, Condition, Conjunct, Relation, Slot, Source, Truth};
use super::facts::{Fact, SIGNAL_WORDS, Sort, Subject, facts};
use super::syntax::{self, call, is_signal, relation};
use crate::config::{SignalGroup, listed, nearest};

/// Most operators, facts and literals.
const MOST_NODES: usize = 80;

/// What a condition may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'s> {
    pub(super) subject: Subject,
    pub(super) signals: &'s [SignalGroup],
}

/// Reads a condition; the faults say where and what to do.
pub(super) fn check(text: &str, scope: Scope<'_>) -> Result<Condition, Vec<String>> {
    let (root, places) = syntax::parse(text).map_err(|fault| vec![fault])?;
    let mut checker = Checker {
        text,
        scope,
        places,
        sources: Vec::new(),
        faults: Vec::new(),
        nodes: 0,
    };
    let mut conjuncts = Vec::new();
    checker.conjuncts(&root, &mut conjuncts);
    if checker.nodes > MOST_NODES {
        checker.faults.push(format!(
            "has more than {MOST_NODES} parts; split it into two rules"
        ));
    }
    if checker.faults.is_empty() && checker.sources.is_empty() {
        let fault = "asks for no fact, so it is always the same; name a fact of the table in \
                     `edge-agent rules custom`";
        checker.faults.push(fault.to_owned());
    }
    if checker.faults.is_empty() {
        Ok(Condition {
            conjuncts,
            sources: checker.sources,
        })
    } else {
        Err(checker.faults)
    }
}

/// The unit of a number: what is written as a number goes with every unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Any,
    Of(&'static str),
}

impl Unit {
    fn words(self) -> String {
        match self {
            Self::Any | Self::Of("") => "a plain number".to_owned(),
            Self::Of(unit) => format!("a number in {unit}"),
        }
    }
}

enum Typed {
    Truth(Truth),
    Amount(Amount, Unit),
    Word(Slot, &'static [&'static str]),
    Text(String),
    Null,
}

impl Typed {
    fn words(&self) -> String {
        match self {
            Self::Truth(_) => "true or false".to_owned(),
            Self::Amount(_, unit) => unit.words(),
            Self::Word(..) => "a word".to_owned(),
            Self::Text(_) => "a text".to_owned(),
            Self::Null => "null".to_owned(),
        }
    }
}

struct Checker<'c> {
    text: &'c str,
    scope: Scope<'c>,
    places: SourceInfo,
    sources: Vec<Source>,
    faults: Vec<String>,
    nodes: usize,
}

impl Checker<'_> {
    /// Notes a fault of a part of the text.
    fn fault<T>(&mut self, part: &IdedExpr, message: impl AsRef<str>) -> Option<T> {
        let (start, stop) = syntax::span(self.text, &self.places, part);
        let text = self.text.get(start..stop).unwrap_or_default();
        self.faults.push(format!(
            "at character {}, `{text}`: {}",
            start + 1,
            message.as_ref()
        ));
        None
    }

    fn source(&mut self, source: Source) -> Slot {
        let key = source.key();
        let known = self.sources.iter().position(|other| other.key() == key);
        Slot(known.unwrap_or_else(|| {
            self.sources.push(source);
            self.sources.len() - 1
        }))
    }

    fn conjuncts(&mut self, expr: &IdedExpr, into: &mut Vec<Conjunct>) {
        if let Some((operators::LOGICAL_AND, [left, right])) = call(expr) {
            self.nodes += 1;
            self.conjuncts(left, into);
            self.conjuncts(right, into);
            return;
        }
        if let Some(truth) = self.truth(expr) {
            let (start, stop) = syntax::span(self.text, &self.places, expr);
            let text = self.text.get(start..stop).unwrap_or_default();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            into.push(Conjunct { truth, text });
        }
    }

    fn truth(&mut self, expr: &IdedExpr) -> Option<Truth> {
        match self.typed(expr)? {
            Typed::Truth(truth) => Some(truth),
            other => {
                let words = other.words();
                self.fault(
                    expr,
                    format!("is {words}, not true or false; compare it with something"),
                )
            }
        }
    }

    fn amount(&mut self, expr: &IdedExpr) -> Option<(Amount, Unit)> {
        match self.typed(expr)? {
            Typed::Amount(amount, unit) => Some((amount, unit)),
            other => {
                let words = other.words();
                self.fault(expr, format!("is {words}, but a number is needed here"))
            }
        }
    }

    fn typed(&mut self, expr: &IdedExpr) -> Option<Typed> {
        self.nodes += 1;
        if let Some((function, arguments)) = call(expr) {
            return self.call(expr, function, arguments);
        }
        match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal),
            Expr::Ident(name) => self.fact(expr, name),
            Expr::Select(select) if !select.test && is_signal(&select.operand) => {
                self.signal(expr, &select.field)
            }
            Expr::Select(_) => self.fault(
                expr,
                "is not known; only `signal` has parts, by signal group",
            ),
            Expr::Comprehension(_) => self.fault(
                expr,
                "goes through a list, which conditions cannot; use the counts of a zone",
            ),
            Expr::List(_) => self.fault(expr, "is a list, which may only stand after `in`"),
            _ => self.fault(
                expr,
                "is not part of conditions; compare facts with numbers and words",
            ),
        }
    }

    fn literal(&mut self, expr: &IdedExpr, literal: &LiteralValue) -> Option<Typed> {
        #[allow(clippy::cast_precision_loss)] // what people write is far below 2^52
        let number = match literal {
            LiteralValue::Boolean(truth) => return Some(Typed::Truth(Truth::Constant(**truth))),
            LiteralValue::String(text) => return Some(Typed::Text(text.inner().to_owned())),
            LiteralValue::Null => return Some(Typed::Null),
            LiteralValue::Double(number) => **number,
            LiteralValue::Int(number) => **number as f64,
            LiteralValue::UInt(number) => **number as f64,
            LiteralValue::Bytes(_) => {
                return self.fault(expr, "is a list of bytes; write a text in quotes");
            }
        };
        if !number.is_finite() || number.abs() > 1e9 {
            return self.fault(expr, "is larger than any fact can be");
        }
        Some(Typed::Amount(Amount::Literal(number), Unit::Any))
    }

    fn fact(&mut self, expr: &IdedExpr, name: &str) -> Option<Typed> {
        let subject = self.scope.subject;
        let Some(fact) = facts().iter().find(|fact| fact.key == name) else {
            if name == "signal" {
                return self.fault(expr, "needs its group; write for example signal.north");
            }
            let known: Vec<&str> = facts()
                .iter()
                .filter(|fact| fact.is_of(subject))
                .map(|fact| fact.key)
                .collect();
            let hint = nearest(name, &known).map_or_else(
                || format!("known are {}", listed(&known)),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("there is no such fact of a {}; {hint}", subject.as_str());
            return self.fault(expr, message);
        };
        if !fact.is_of(subject) {
            let other = match subject {
                Subject::Track => Subject::Zone,
                Subject::Zone => Subject::Track,
            };
            return self.fault(
                expr,
                format!(
                    "is a fact of a {0}, and the rule is about a {1}; write subject = \"{0}\" or \
                     use a fact of a {1}",
                    other.as_str(),
                    subject.as_str()
                ),
            );
        }
        let slot = self.source(Source::Fact(fact));
        Some(match fact.sort {
            Sort::Number { unit, .. } => Typed::Amount(Amount::Fact(slot), Unit::Of(unit)),
            Sort::Truth => Typed::Truth(Truth::Fact(slot)),
            Sort::Word(words) => Typed::Word(slot, words),
        })
    }

    fn signal(&mut self, expr: &IdedExpr, group: &str) -> Option<Typed> {
        let mut signals = self.scope.signals.iter();
        let found = signals.find(|signal| signal.group.as_str() == group);
        let Some(found) = found else {
            let known = self.scope.signals.iter().map(|s| s.group.as_str());
            let known: Vec<&str> = known.collect();
            let hint = if known.is_empty() {
                "there is none; add a [[signal]]".to_owned()
            } else {
                format!("known are {}", listed(&known))
            };
            return self.fault(expr, format!("there is no signal group `{group}`: {hint}"));
        };
        let group: SignalGroupId = found.group.clone();
        let slot = self.source(Source::Signal(group));
        Some(Typed::Word(slot, &SIGNAL_WORDS))
    }

    fn call(&mut self, expr: &IdedExpr, function: &str, arguments: &[IdedExpr]) -> Option<Typed> {
        match (function, arguments) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                let (left, right) = (self.truth(left), self.truth(right));
                let parts = vec![left?, right?];
                Some(Typed::Truth(if function == operators::LOGICAL_AND {
                    Truth::All(parts)
                } else {
                    Truth::Any(parts)
                }))
            }
            (operators::LOGICAL_NOT, [part]) => {
                let part = self.truth(part)?;
                Some(Typed::Truth(Truth::Not(Box::new(part))))
            }
            (operators::NEGATE, [part]) => {
                let (amount, unit) = self.amount(part)?;
                Some(Typed::Amount(Amount::Negative(Box::new(amount)), unit))
            }
            (operators::ADD | operators::SUBSTRACT | operators::MULTIPLY, [left, right]) => {
                self.arithmetic(expr, function, (left, right))
            }
            (operators::IN, [item, list]) => self.among(expr, item, list),
            (operators::INDEX, [operand, key]) if is_signal(operand) => match &key.expr {
                Expr::Literal(LiteralValue::String(group)) => self.signal(expr, group.inner()),
                _ => self.fault(key, "is no name of a signal group; write it in quotes"),
            },
            (_, [left, right]) => match relation(function) {
                Some(relation) => self.comparison(expr, relation, (left, right)),
                None => self.not_known(expr, function),
            },
            _ => self.not_known(expr, function),
        }
    }

    fn not_known(&mut self, expr: &IdedExpr, function: &str) -> Option<Typed> {
        let message = match function {
            operators::DIVIDE | operators::MODULO => {
                "divides; multiply the other side instead".to_owned()
            }
            operators::CONDITIONAL => "chooses with `?`; write it with && and ||".to_owned(),
            operators::INDEX => "only `signal` has parts, by signal group".to_owned(),
            name => format!(
                "conditions have no function `{name}`; compare facts with numbers and words"
            ),
        };
        self.fault(expr, message)
    }

    fn arithmetic(
        &mut self,
        expr: &IdedExpr,
        operator: &str,
        (left, right): (&IdedExpr, &IdedExpr),
    ) -> Option<Typed> {
        let (left, right) = (self.amount(left), self.amount(right));
        let ((left, of_left), (right, of_right)) = (left?, right?);
        let unit = if operator == operators::MULTIPLY {
            match (of_left, of_right) {
                (Unit::Any | Unit::Of(""), unit) | (unit, Unit::Any | Unit::Of("")) => unit,
                _ => {
                    let (a, b) = (of_left.words(), of_right.words());
                    return self.fault(
                        expr,
                        format!("multiplies {a} by {b}; one must be a plain number"),
                    );
                }
            }
        } else {
            self.same_unit(expr, of_left, of_right)?
        };
        let (left, right) = (Box::new(left), Box::new(right));
        let amount = match operator {
            operators::ADD => Amount::Sum(left, right),
            operators::SUBSTRACT => Amount::Difference(left, right),
            _ => Amount::Product(left, right),
        };
        Some(Typed::Amount(amount, unit))
    }

    fn same_unit(&mut self, expr: &IdedExpr, left: Unit, right: Unit) -> Option<Unit> {
        match (left, right) {
            (Unit::Any, unit) | (unit, Unit::Any) => Some(unit),
            (left, right) if left == right => Some(left),
            _ => {
                let (a, b) = (left.words(), right.words());
                self.fault(
                    expr,
                    format!("puts {a} with {b}; both must have the same unit"),
                )
            }
        }
    }

    fn comparison(
        &mut self,
        expr: &IdedExpr,
        relation: Relation,
        (left, right): (&IdedExpr, &IdedExpr),
    ) -> Option<Typed> {
        let is_equality = matches!(relation, Relation::Equal | Relation::Unequal);
        let (of_left, of_right) = (self.typed(left), self.typed(right));
        let truth = match (of_left?, of_right?) {
            (Typed::Amount(a, of_a), Typed::Amount(b, of_b)) => {
                self.same_unit(expr, of_a, of_b)?;
                match (&a, &b) {
                    (Amount::Fact(slot), Amount::Literal(number))
                    | (Amount::Literal(number), Amount::Fact(slot)) => {
                        self.in_range(expr, *slot, *number)?;
                    }
                    _ => {}
                }
                return Some(Typed::Truth(Truth::Compare(a, relation, b)));
            }
            (Typed::Word(slot, words), Typed::Text(text))
            | (Typed::Text(text), Typed::Word(slot, words))
                if is_equality =>
            {
                Truth::AmongWords(slot, vec![self.word(expr, words, &text)?])
            }
            (Typed::Truth(part), Typed::Truth(Truth::Constant(constant)))
            | (Typed::Truth(Truth::Constant(constant)), Typed::Truth(part))
                if is_equality =>
            {
                if constant {
                    part
                } else {
                    Truth::Not(Box::new(part))
                }
            }
            (
                Typed::Word(slot, _)
                | Typed::Truth(Truth::Fact(slot))
                | Typed::Amount(Amount::Fact(slot), _),
                Typed::Null,
            )
            | (
                Typed::Null,
                Typed::Word(slot, _)
                | Typed::Truth(Truth::Fact(slot))
                | Typed::Amount(Amount::Fact(slot), _),
            ) if is_equality => Truth::Not(Box::new(Truth::IsKnown(slot))),
            (a, b) => {
                let (a, b) = (a.words(), b.words());
                let message = if is_equality {
                    format!("compares {a} with {b}; both must be of one type")
                } else {
                    format!("compares {a} with {b}; only numbers are smaller or larger")
                };
                return self.fault(expr, message);
            }
        };
        Some(Typed::Truth(match (relation, truth) {
            (Relation::Unequal, Truth::Not(part)) => *part,
            (Relation::Unequal, truth) => Truth::Not(Box::new(truth)),
            (_, truth) => truth,
        }))
    }

    /// A threshold that no value reaches is mostly one in another unit.
    fn in_range(&mut self, expr: &IdedExpr, slot: Slot, number: f64) -> Option<()> {
        let Source::Fact(Fact {
            key,
            sort: Sort::Number { unit, min, max, .. },
            ..
        }) = self.sources[slot.0]
        else {
            return Some(());
        };
        if (*min..=*max).contains(&number) {
            return Some(());
        }
        let unit = if unit.is_empty() {
            String::new()
        } else {
            format!(" {unit}")
        };
        self.fault(
            expr,
            format!("`{key}` goes from {min} to {max}{unit}; write a number in that range"),
        )
    }

    fn word(
        &mut self,
        expr: &IdedExpr,
        words: &'static [&'static str],
        text: &str,
    ) -> Option<&'static str> {
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_some() {
            return found;
        }
        let hint = match nearest(text, words) {
            Some(near) => format!("did you mean '{near}'? known are {}", listed(words)),
            None => format!("known are {}", listed(words)),
        };
        self.fault(expr, format!("there is no '{text}' here; {hint}"))
    }

    fn among(&mut self, expr: &IdedExpr, item: &IdedExpr, list: &IdedExpr) -> Option<Typed> {
        let Expr::List(elements) = &list.expr else {
            return self.fault(
                list,
                "is no list; write for example class in ['bus', 'truck']",
            );
        };
        self.nodes += elements.elements.len();
        if elements.elements.is_empty() {
            return self.fault(
                expr,
                "looks in an empty list, in which nothing is; name what is meant, for example \
                 class in ['bus', 'truck']",
            );
        }
        match self.typed(item)? {
            Typed::Word(slot, words) => {
                let mut wanted = Vec::new();
                for element in &elements.elements {
                    let Expr::Literal(LiteralValue::String(text)) = &element.expr else {
                        return self.fault(element, "is no text in quotes");
                    };
                    wanted.push(self.word(element, words, text.inner())?);
                }
                Some(Typed::Truth(Truth::AmongWords(slot, wanted)))
            }
            Typed::Amount(amount, _) => {
                let mut wanted = Vec::new();
                for element in &elements.elements {
                    let (Amount::Literal(number), _) = self.amount(element)? else {
                        return self.fault(element, "is no number");
                    };
                    if let Amount::Fact(slot) = amount {
                        self.in_range(element, slot, number)?;
                    }
                    wanted.push(number);
                }
                Some(Typed::Truth(Truth::AmongNumbers(amount, wanted)))
            }
            other => {
                let words = other.words();
                self.fault(
                    expr,
                    format!("looks for {words} in a list; only words and numbers can be"),
                )
            }
        }
    }
}
