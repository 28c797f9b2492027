//! What stands on a still: beside each box, and below the picture.

use std::fmt::Write as _;

use protocol::event::{Actor, Comparison};
use protocol::{Event, ObjectClass, Predicate};

use super::Teller;
use crate::stills::Moment;

impl Teller {
    /// What a class is called.
    pub fn class(&self, class: ObjectClass) -> &'static str {
        self.language.class(class)
    }

    /// A road user in two words, to stand beside its box.
    pub fn beside(&self, actor: &Actor) -> String {
        let score = self.number(protocol::units::rounded(actor.score * 100.0, 0));
        let mut words = format!("{} {score} %", self.class(actor.class));
        let read = actor.plate.as_ref().filter(|plate| !plate.text.is_empty());
        if let Some(plate) = read {
            let _ok = write!(words, " · {}", plate.display);
        }
        words
    }

    /// The legend of a still: what, when and where, and each predicate in a line.
    /// At another moment than that: how long before or after.
    pub fn legend(&self, event: &Event, moment: Option<&Moment>) -> Vec<String> {
        let place = event.place.as_ref().map_or("", |place| place.name.as_str());
        let at = format!(
            "{}. {}. {} {} {place}",
            self.time(moment.map_or(event.decided.time, |moment| moment.captured)),
            self.quality(event.time_quality),
            event.site,
            event.camera
        );
        let moment = moment.map(|moment| self.moment(event, moment));
        let title = self.language.of(&event.title).to_owned();
        let predicates = event.explanation.iter().map(|p| self.in_short(p));
        let plates = event.actors.iter().filter_map(|actor| {
            let read = actor.plate.as_ref()?;
            let reason = read.reason.as_ref().map(|reason| self.language.of(reason));
            let told = match (read.text.as_str(), reason) {
                ("", reason) => reason.unwrap_or_default().to_owned(),
                (_, None) => read.display.clone(),
                (_, Some(reason)) => format!("{} ({reason})", read.display),
            };
            let what = self.language.pick("Biển số", "Plate");
            Some(format!("{what} ({}): {told}", self.class(actor.class)))
        });
        [title, at]
            .into_iter()
            .chain(moment.filter(|line| !line.is_empty()))
            .chain(predicates)
            .chain(plates)
            .collect()
    }

    /// Which moment of the event a picture shows, and what the signals showed then.
    fn moment(&self, event: &Event, moment: &Moment) -> String {
        let say = |vi, en| self.language.pick(vi, en);
        let after = moment.captured.since(event.decided.time).0;
        let seconds = self.number(protocol::units::rounded(after.abs(), 2));
        let mut parts = Vec::new();
        if after.abs() >= 0.005 {
            let which = if after < 0.0 {
                say("trước lúc kết luận", "before the decision")
            } else {
                say("sau lúc kết luận", "after the decision")
            };
            parts.push(format!("{seconds} s {which}"));
        }
        for (group, state) in &moment.signals {
            let light = say("Đèn", "Signal");
            parts.push(format!("{light} {group}: {}", self.word(state.as_str())));
        }
        parts.join(". ")
    }

    /// One predicate without its margin and frames.
    fn in_short(&self, p: &Predicate) -> String {
        let (value, threshold) = (self.value(&p.value), self.value(&p.threshold));
        let unit = self.unit(&p.unit);
        let label = self.language.of(&p.label);
        let needed = match p.comparison {
            Comparison::AtLeast => "≥",
            Comparison::MoreThan => ">",
            Comparison::AtMost => "≤",
            Comparison::LessThan => "<",
            Comparison::Is if threshold.contains(", ") => {
                let one_of = self.language.pick("một trong", "one of");
                return format!("{label}: {value}{unit} ({one_of} {threshold})");
            }
            Comparison::Is => "=",
        };
        format!("{label}: {value} {needed} {threshold}{unit}")
    }
}
