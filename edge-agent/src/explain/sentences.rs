//! An event and a near miss in sentences, in Vietnamese or English: who, what,
//! when, where, and each predicate with its value, threshold, margin and frames.
//!
//! Pure: the same event gives the same text. It says what the event says and
//! nothing that the event does not.

mod legend;
mod values;

use std::fmt::Write as _;

use edge_core::NearMiss;
use protocol::event::{Actor, Comparison, Phase, Value, Words};
use protocol::{Event, NumberPlate, ObjectClass, Predicate, TimeQuality};

use super::words;

/// In which language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Vietnamese.
    Vi,
    /// English.
    En,
}

impl Language {
    fn pick<'a>(self, vi: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Vi => vi,
            Self::En => en,
        }
    }

    /// What a class is called.
    pub(crate) fn class(self, class: ObjectClass) -> &'static str {
        self.pick(words::class(class.as_str()), class.as_str())
    }

    fn of(self, words: &Words) -> &str {
        self.pick(&words.vi, &words.en)
    }
}

/// Tells in a language, with times of a place.
#[derive(Clone, Copy, Debug)]
pub struct Teller {
    /// In which language.
    pub language: Language,
    /// Local time minus UTC, minutes.
    pub utc_offset_min: i64,
}

impl Teller {
    /// Why there is an event. `revisions` in their order, the first one first.
    pub fn event(&self, revisions: &[Event]) -> String {
        let Some(event) = revisions.first() else {
            return String::new();
        };
        let say = |vi, en| self.language.pick(vi, en);
        let mut text = format!("{}\n", self.language.of(&event.title));
        if event.simulated {
            let warning = say(
                "MÔ PHỎNG: không ai được xử lý theo sự kiện này.",
                "SIMULATION: nobody must act on this.",
            );
            line(&mut text, warning);
        }
        line(
            &mut text,
            &format!("{}: {}", say("Mã sự kiện", "Event"), event.id),
        );
        line(
            &mut text,
            &format!("{}: {}.", say("Ai", "Who"), self.actors(&event.actors)),
        );
        line(
            &mut text,
            &format!(
                "{}: {} ({}, {} `{}`).",
                say("Việc gì", "What"),
                self.language.of(&event.title),
                event.kind,
                say("luật", "rule"),
                event.rule
            ),
        );
        line(&mut text, &self.when(event, revisions));
        line(&mut text, &self.place(event));
        let why = say(
            "Vì sao (mọi điều dưới đây đều phải đúng, và đều đúng):",
            "Why (each of these had to be true, and was):",
        );
        line(&mut text, why);
        self.predicates(&mut text, &event.explanation);
        let facts = revisions.last().unwrap_or(event);
        if !facts.facts.is_empty() {
            line(&mut text, say("Số liệu:", "Facts:"));
            for (name, value) in &facts.facts {
                let name = match words::fact(name) {
                    Some((vi, en)) => format!("{} ({name})", say(vi, en)),
                    None => name.clone(),
                };
                line(&mut text, &format!("    {name} = {}", self.value(value)));
            }
        }
        for actor in &facts.actors {
            if let Some(plate) = &actor.plate {
                self.plate(&mut text, actor, plate);
            }
        }
        let made = &event.provenance;
        let mut by = format!(
            "{}: edge-agent {}",
            say("Được tính bởi", "Made by"),
            made.agent
        );
        for (what, digest) in [
            (say("cấu hình", "configuration"), made.configuration),
            (say("hiệu chuẩn", "calibration"), made.calibration),
        ] {
            if let Some(digest) = digest {
                let digest = digest.to_string();
                // Infallible: it writes into a string.
                let _ok = write!(by, ", {what} {}…", digest.get(..12).unwrap_or(&digest));
            }
        }
        if let Some(model) = &made.model {
            let _ok = write!(by, ", {} {model}", say("mô hình", "model"));
        }
        for (place, second) in made.second.iter().enumerate() {
            let before = if place == 0 {
                say("; được xem lại bằng", "; second looks by")
            } else {
                ","
            };
            let version = second.version.map_or(String::new(), |v| format!("@{v}"));
            let digest = second.model_digest.to_string();
            let digest = digest.get(..12).unwrap_or(&digest);
            let _ok = write!(by, "{before} {}{version} ({digest}…)", second.model);
        }
        line(&mut text, &format!("{by}."));
        text
    }

    /// What nearly was an event, and what was missing.
    pub fn near_miss(&self, miss: &NearMiss) -> String {
        let say = |vi, en| self.language.pick(vi, en);
        let mut text = format!(
            "{} ({}, {} `{}`)\n",
            say("Suýt là sự kiện", "Nearly an event"),
            miss.kind,
            say("luật", "rule"),
            miss.rule
        );
        line(
            &mut text,
            &format!("{}: {}.", say("Ai", "Who"), self.actors(&miss.actors)),
        );
        line(
            &mut text,
            &format!(
                "{}: {}; {} {}.",
                say("Khi nào", "When"),
                self.time(miss.onset),
                say("gần nhất ở khung hình", "nearest at frame"),
                self.frame(miss.nearest)
            ),
        );
        line(
            &mut text,
            &format!(
                "{}: {}.",
                say("Không đạt", "What failed"),
                miss.failed.join(", ")
            ),
        );
        self.predicates(&mut text, &miss.explanation);
        text
    }

    /// Said when the road users of an event did nothing else nearly.
    pub fn no_near_misses(&self) -> &'static str {
        self.language.pick(
            "Không có lần suýt vi phạm nào khác của đối tượng này.\n",
            "There are no near misses of this road user.\n",
        )
    }

    fn predicates(&self, text: &mut String, explanation: &[Predicate]) {
        for (index, predicate) in explanation.iter().enumerate() {
            line(
                text,
                &format!("{:>3}. {}", index + 1, self.predicate(predicate)),
            );
        }
    }

    /// One predicate as a sentence.
    pub fn predicate(&self, p: &Predicate) -> String {
        let say = |vi, en| self.language.pick(vi, en);
        let unit = self.unit(&p.unit);
        let label = self.language.of(&p.label);
        let value = self.value(&p.value);
        let threshold = self.value(&p.threshold);
        let mut text = match (&p.value, p.comparison) {
            (Value::Number(_), comparison) => format!(
                "{label}: {value}{unit}; {} {threshold}{unit}",
                self.needed(comparison)
            ),
            (_, _) if value == threshold => {
                format!("{label}: {value}, {}", say("đúng như yêu cầu", "as needed"))
            }
            (_, _) if threshold.contains(", ") => {
                let one_of = say("cần một trong", "needed: one of");
                format!("{label}: {value}; {one_of} {threshold}")
            }
            (_, _) => format!("{label}: {value}; {} {threshold}", say("cần", "needed:")),
        };
        if let (Some(margin), false) = (p.margin, p.comparison == Comparison::Is) {
            let by = self.number(margin.abs());
            let words = match (p.holds, self.language) {
                (true, Language::En) => format!("{by}{unit} to spare"),
                (true, Language::Vi) => format!("dư {by}{unit}"),
                (false, Language::En) => format!("{by}{unit} missing"),
                (false, Language::Vi) => format!("thiếu {by}{unit}"),
            };
            let _ok = write!(text, "; {words}");
        }
        if !p.holds {
            text.push_str(say(" (KHÔNG ĐẠT)", " (FAILED)"));
        }
        let frames = if p.first == p.last {
            format!("{} {}", say("khung hình", "frame"), self.frame(p.last))
        } else {
            let lasted = protocol::units::rounded(p.last.time.since(p.first.time).0, 3);
            format!(
                "{} {}–{}, {}–{} ({} s)",
                say("khung hình", "frames"),
                p.first.frame,
                p.last.frame,
                self.clock(p.first.time),
                self.clock(p.last.time),
                self.number(lasted)
            )
        };
        format!("{text}. [{frames}]")
    }

    fn needed(&self, comparison: Comparison) -> &'static str {
        let (vi, en) = match comparison {
            Comparison::AtLeast => ("cần ít nhất", "needed: at least"),
            Comparison::MoreThan => ("cần hơn", "needed: more than"),
            Comparison::AtMost => ("cần không quá", "needed: at most"),
            Comparison::LessThan => ("cần dưới", "needed: less than"),
            Comparison::Is => ("cần đúng", "needed: exactly"),
        };
        match self.language {
            Language::Vi => vi,
            Language::En => en,
        }
    }

    /// What was read of a plate, character by character, with what was corrected.
    fn plate(&self, text: &mut String, actor: &Actor, plate: &NumberPlate) {
        let say = |vi, en| self.language.pick(vi, en);
        let mut told = format!(
            "{} ({}): ",
            say("Biển số", "Plate"),
            self.class(actor.class)
        );
        if !plate.text.is_empty() {
            let _ok = write!(told, "{}; ", plate.display);
        }
        let _ok = match &plate.reason {
            Some(reason) => write!(told, "{}", self.language.of(reason)),
            None => write!(
                told,
                "{} {} {} {}",
                say("thống nhất qua", "agreed on in"),
                plate.looks,
                say("trong số lần nhìn", "looks of"),
                plate.of
            ),
        };
        if plate.may_be_cut {
            told += say(
                "; có thể thiếu một ký tự, hãy đếm lại",
                "; a character may be missing, count them",
            );
        }
        line(text, &format!("{told}."));
        let characters = plate.characters.iter().map(|character| {
            let percent = self.number(protocol::units::rounded(character.confidence * 100.0, 0));
            format!("{} {percent} %", character.leading)
        });
        let characters: Vec<String> = characters.collect();
        if !characters.is_empty() {
            let how_sure = say("độ tin cậy từng ký tự", "confidence of each character");
            line(text, &format!("    {how_sure}: {}", characters.join(", ")));
        }
        for change in &plate.corrections {
            let position = change.position + 1;
            let (read, taken) = (change.read, change.taken);
            let corrected = match self.language {
                Language::Vi => format!(
                    "    ký tự {position}: máy đọc là {read}, hiểu là {taken} ({} lần nhìn)",
                    change.looks
                ),
                Language::En => format!(
                    "    character {position}: read as {read}, taken for {taken} (in {} looks)",
                    change.looks
                ),
            };
            line(text, &corrected);
        }
    }

    fn actors(&self, actors: &[Actor]) -> String {
        let each: Vec<String> = actors
            .iter()
            .map(|actor| {
                let score = self.number(protocol::units::rounded(actor.score * 100.0, 0));
                format!(
                    "{} ({} {score} %), {} {}",
                    self.class(actor.class),
                    self.language.pick("độ tin cậy", "detector's score"),
                    self.language.pick("vết", "track"),
                    actor.track
                )
            })
            .collect();
        if each.is_empty() {
            return self
                .language
                .pick("không ai cụ thể", "nobody in particular")
                .to_owned();
        }
        each.join("; ")
    }

    fn when(&self, event: &Event, revisions: &[Event]) -> String {
        let say = |vi, en| self.language.pick(vi, en);
        let mut text = format!(
            "{}: {} {}; {} {}",
            say("Khi nào", "When"),
            say("bắt đầu", "began"),
            self.time(event.onset),
            say("được xác định ở khung hình", "decided at frame"),
            self.frame(event.decided)
        );
        let last = revisions.last().unwrap_or(event);
        match last.ended {
            Some(ended) => {
                let lasted = protocol::units::rounded(ended.since(event.onset).0, 1);
                let _ok = write!(
                    text,
                    "; {} {} ({} s)",
                    say("kết thúc", "over"),
                    self.clock(ended),
                    self.number(lasted)
                );
            }
            None if last.phase != Phase::End => {
                text.push_str(say(
                    "; chưa kết thúc trong bản ghi",
                    "; not over in the recording",
                ));
            }
            None => {}
        }
        let _ok = write!(text, ". {}.", self.quality(event.time_quality));
        text
    }

    fn quality(&self, quality: TimeQuality) -> &'static str {
        let (vi, en) = match quality {
            TimeQuality::Rtcp => ("Giờ theo đồng hồ camera", "Times are by the camera's clock"),
            TimeQuality::Arrival => (
                "Giờ theo lúc hình đến thiết bị",
                "Times are those at which pictures reached the box",
            ),
            TimeQuality::Media => ("Giờ của đoạn phim", "Times are those of the clip"),
            TimeQuality::Unknown => (
                "Không rõ giờ theo đồng hồ nào",
                "Nobody knows by which clock",
            ),
        };
        match self.language {
            Language::Vi => vi,
            Language::En => en,
        }
    }

    fn place(&self, event: &Event) -> String {
        let say = |vi, en| self.language.pick(vi, en);
        let mut text = format!("{}: ", say("Ở đâu", "Where"));
        if let Some(place) = &event.place {
            text.push_str(&place.name);
            if let (Some(latitude), Some(longitude)) = (place.latitude, place.longitude) {
                let _ok = write!(text, " ({latitude}, {longitude})");
            }
            text.push_str(", ");
        }
        let _ok = write!(
            text,
            "camera {}, {} {}/{}",
            event.camera,
            say("thiết bị", "box"),
            event.site,
            event.box_id
        );
        if let Some(zone) = &event.zone {
            let _ok = write!(text, ", {} `{zone}`", say("vùng hoặc vạch", "zone or line"));
        }
        text.push('.');
        text
    }
}

fn line(text: &mut String, words: &str) {
    text.push_str("  ");
    text.push_str(words);
    text.push('\n');
}

#[cfg(test)]
mod tests;
