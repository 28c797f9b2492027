//! An event and a near miss in sentences, in Vietnamese or English: who, what,
//! when, where, and each predicate with its value, threshold, margin and frames.
//!
//! Pure: the same event gives the same text. It says what the event says and
//! nothing that the event does not.

use std::fmt::Write as _;

use edge_core::NearMiss;
use protocol::event::{Actor, Comparison, FrameTime, Phase, Value, Words};
use protocol::units::Seconds;
use protocol::{Event, EventTime, NumberPlate, ObjectClass, Predicate, TimeQuality};

use super::words;
use crate::stills::Moment;

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

    fn value(&self, value: &Value) -> String {
        match value {
            Value::Flag(true) => self.language.pick("có", "yes").to_owned(),
            Value::Flag(false) => self.language.pick("không", "no").to_owned(),
            Value::Number(number) => self.number(*number),
            // Also lists of words: the classes concerned.
            Value::Text(text) => {
                let words: Vec<&str> = text.split(", ").map(|word| self.word(word)).collect();
                words.join(", ")
            }
        }
    }

    fn word<'t>(&self, text: &'t str) -> &'t str {
        self.language.pick(words::value(text), text)
    }

    /// With a space before it; nothing when there is none.
    fn unit(&self, unit: &str) -> String {
        match self.language.pick(words::unit(unit), unit) {
            "" => String::new(),
            unit => format!(" {unit}"),
        }
    }

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

    fn number(&self, number: f64) -> String {
        let text = format!("{number}");
        match self.language {
            Language::Vi => text.replace('.', ","),
            Language::En => text,
        }
    }

    fn frame(&self, at: FrameTime) -> String {
        format!("{} ({})", at.frame, self.clock(at.time))
    }

    /// Day and time of day, with the offset.
    fn time(&self, at: EventTime) -> String {
        let (text, offset) = (self.local(at), self.utc_offset_min);
        let (day, clock) = text.split_once('T').unwrap_or(("", &text));
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
        format!("{day} {} ({sign}{hours:02}:{minutes:02})", short(clock))
    }

    /// Time of day.
    fn clock(&self, at: EventTime) -> String {
        let text = self.local(at);
        short(
            text.split_once('T')
                .map_or(text.as_str(), |(_, clock)| clock),
        )
    }

    fn local(&self, at: EventTime) -> String {
        (at + Seconds(self.utc_offset_min as f64 * 60.0)).to_string()
    }
}

/// To the millisecond, without the zone.
fn short(clock: &str) -> String {
    clock.trim_end_matches('Z').chars().take(12).collect()
}

fn line(text: &mut String, words: &str) {
    text.push_str("  ");
    text.push_str(words);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const EVENT: &str = r#"{"id":"c9d8b87e-32f2-5469-978d-0293e1c17075","revision":1,"phase":"start","kind":"red_light","rule":"red","site":"hanoi","box":"box-01","camera":"gate","place":{"name":"Ngã tư Sở","latitude":21.0034,"longitude":105.8201},"severity":"major","title":{"vi":"Vượt đèn đỏ","en":"Red-light running"},"onset":"2026-11-26T00:00:00.388741Z","decided":{"frame":5,"time":"2026-11-26T00:00:00.600000Z"},"ended":"2026-11-26T00:00:00.600000Z","time_quality":"rtcp","zone":"stop-line","actors":[{"track":"t80000000000186a0.0","class":"motorcycle","score":0.679,"box":[0.5,0.7,0.06,0.12]}],"facts":{"class":"motorcycle","red_for_s":0.289},"explanation":[{"name":"signal_at_crossing","label":{"vi":"Trạng thái đèn khi vượt vạch dừng","en":"Signal when the stop line was crossed"},"value":"red","comparison":"=","threshold":"red","holds":true,"first":{"frame":2,"time":"2026-11-26T00:00:00.300000Z"},"last":{"frame":5,"time":"2026-11-26T00:00:00.600000Z"}},{"name":"red_for_at_crossing","label":{"vi":"Đèn đã đỏ trước khi vượt vạch","en":"Red for, before the crossing"},"value":0.289,"comparison":">=","threshold":0.1,"margin":0.189,"unit":"s","holds":true,"first":{"frame":2,"time":"2026-11-26T00:00:00.300000Z"},"last":{"frame":5,"time":"2026-11-26T00:00:00.600000Z"}},{"name":"class","label":{"vi":"Loại đối tượng","en":"Class by vote"},"value":"motorcycle","comparison":"=","threshold":"car, motorcycle","holds":true,"first":{"frame":5,"time":"2026-11-26T00:00:00.600000Z"},"last":{"frame":5,"time":"2026-11-26T00:00:00.600000Z"}}],"provenance":{"agent":"0.1.0","model":"yolox-nano"}}"#;

    const MISS: &str = r#"{"rule":"stopped","kind":"stopped_vehicle","zone":"road","subject":"t80000000000186a0.0","onset":"2026-11-26T00:00:00Z","nearest":{"frame":90,"time":"2026-11-26T00:00:09Z"},"actors":[],"failed":["dwell"],"explanation":[{"name":"dwell","label":{"vi":"Thời gian dừng","en":"Stood for"},"value":9.0,"comparison":">=","threshold":10.0,"margin":-1.0,"unit":"s","holds":false,"first":{"frame":0,"time":"2026-11-26T00:00:00Z"},"last":{"frame":90,"time":"2026-11-26T00:00:09Z"}}]}"#;

    fn check(language: Language, event: &Expect, miss: &Expect) {
        let teller = Teller {
            language,
            utc_offset_min: 420,
        };
        event.assert_eq(&teller.event(&[serde_json::from_str(EVENT).unwrap()]));
        miss.assert_eq(&teller.near_miss(&serde_json::from_str(MISS).unwrap()));
    }

    #[test]
    fn in_english() {
        check(
            Language::En,
            &expect![[r"
            Red-light running
              Event: c9d8b87e-32f2-5469-978d-0293e1c17075
              Who: motorcycle (detector's score 68 %), track t80000000000186a0.0.
              What: Red-light running (red_light, rule `red`).
              When: began 2026-11-26 07:00:00.388 (+07:00); decided at frame 5 (07:00:00.600); over 07:00:00.600 (0.2 s). Times are by the camera's clock.
              Where: Ngã tư Sở (21.0034, 105.8201), camera gate, box hanoi/box-01, zone or line `stop-line`.
              Why (each of these had to be true, and was):
                1. Signal when the stop line was crossed: red, as needed. [frames 2–5, 07:00:00.300–07:00:00.600 (0.3 s)]
                2. Red for, before the crossing: 0.289 s; needed: at least 0.1 s; 0.189 s to spare. [frames 2–5, 07:00:00.300–07:00:00.600 (0.3 s)]
                3. Class by vote: motorcycle; needed: one of car, motorcycle. [frame 5 (07:00:00.600)]
              Facts:
                  class (class) = motorcycle
                  red for, s (red_for_s) = 0.289
              Made by: edge-agent 0.1.0, model yolox-nano.
        "]],
            &expect![[r"
            Nearly an event (stopped_vehicle, rule `stopped`)
              Who: nobody in particular.
              When: 2026-11-26 07:00:00.000 (+07:00); nearest at frame 90 (07:00:09.000).
              What failed: dwell.
                1. Stood for: 9 s; needed: at least 10 s; 1 s missing (FAILED). [frames 0–90, 07:00:00.000–07:00:09.000 (9 s)]
        "]],
        );
    }

    #[test]
    fn in_vietnamese() {
        check(
            Language::Vi,
            &expect![[r"
            Vượt đèn đỏ
              Mã sự kiện: c9d8b87e-32f2-5469-978d-0293e1c17075
              Ai: xe máy (độ tin cậy 68 %), vết t80000000000186a0.0.
              Việc gì: Vượt đèn đỏ (red_light, luật `red`).
              Khi nào: bắt đầu 2026-11-26 07:00:00.388 (+07:00); được xác định ở khung hình 5 (07:00:00.600); kết thúc 07:00:00.600 (0,2 s). Giờ theo đồng hồ camera.
              Ở đâu: Ngã tư Sở (21.0034, 105.8201), camera gate, thiết bị hanoi/box-01, vùng hoặc vạch `stop-line`.
              Vì sao (mọi điều dưới đây đều phải đúng, và đều đúng):
                1. Trạng thái đèn khi vượt vạch dừng: đỏ, đúng như yêu cầu. [khung hình 2–5, 07:00:00.300–07:00:00.600 (0,3 s)]
                2. Đèn đã đỏ trước khi vượt vạch: 0,289 s; cần ít nhất 0,1 s; dư 0,189 s. [khung hình 2–5, 07:00:00.300–07:00:00.600 (0,3 s)]
                3. Loại đối tượng: xe máy; cần một trong ô tô con, xe máy. [khung hình 5 (07:00:00.600)]
              Số liệu:
                  loại đối tượng (class) = xe máy
                  đèn đã đỏ, s (red_for_s) = 0,289
              Được tính bởi: edge-agent 0.1.0, mô hình yolox-nano.
        "]],
            &expect![[r"
            Suýt là sự kiện (stopped_vehicle, luật `stopped`)
              Ai: không ai cụ thể.
              Khi nào: 2026-11-26 07:00:00.000 (+07:00); gần nhất ở khung hình 90 (07:00:09.000).
              Không đạt: dwell.
                1. Thời gian dừng: 9 s; cần ít nhất 10 s; thiếu 1 s (KHÔNG ĐẠT). [khung hình 0–90, 07:00:00.000–07:00:09.000 (9 s)]
        "]],
        );
    }

    #[test]
    fn a_plate_is_told_with_its_doubts_and_corrections() {
        let mut event: Event = serde_json::from_str(EVENT).unwrap();
        let plate = r#"{"text":"29B1?345","display":"29-B1 ?345","is_stated":false,"is_final":true,
            "characters":[{"symbol":"2","leading":"2","confidence":0.97,"share":1.0,"looks":4},
                          {"symbol":"?","leading":"8","confidence":0.55,"share":0.6,"looks":3}],
            "looks":4,"of":5,
            "corrections":[{"position":2,"read":"8","taken":"B","cause":"confusable","looks":1}],
            "reason":{"vi":"chưa thống nhất về 1 ký tự","en":"looks disagree on 1 character"}}"#;
        event.actors[0].plate = Some(serde_json::from_str(plate).unwrap());
        let told = |language| {
            let teller = Teller {
                language,
                utc_offset_min: 420,
            };
            let text = teller.event(std::slice::from_ref(&event));
            let about_it = text
                .lines()
                .skip_while(|line| !line.contains("29-B1"))
                .take_while(|line| !line.contains("edge-agent"));
            let legend = teller.legend(&event, None);
            let shown = [&teller.beside(&event.actors[0]), &legend[legend.len() - 1]];
            let lines = about_it.chain(shown.map(String::as_str));
            lines.collect::<Vec<_>>().join("\n")
        };
        expect![[r"
              Plate (motorcycle): 29-B1 ?345; looks disagree on 1 character.
                  confidence of each character: 2 97 %, 8 55 %
                  character 3: read as 8, taken for B (in 1 looks)
            motorcycle 68 % · 29-B1 ?345
            Plate (motorcycle): 29-B1 ?345 (looks disagree on 1 character)"]]
        .assert_eq(&told(Language::En));
        expect![[r"
              Biển số (xe máy): 29-B1 ?345; chưa thống nhất về 1 ký tự.
                  độ tin cậy từng ký tự: 2 97 %, 8 55 %
                  ký tự 3: máy đọc là 8, hiểu là B (1 lần nhìn)
            xe máy 68 % · 29-B1 ?345
            Biển số (xe máy): 29-B1 ?345 (chưa thống nhất về 1 ký tự)"]]
        .assert_eq(&told(Language::Vi));
    }

    #[test]
    fn the_legend_of_a_still_speaks_one_language_and_local_time() {
        let mut event: Event = serde_json::from_str(EVENT).unwrap();
        event.explanation[1].unit = "box heights".into();
        let legend = |language| {
            let utc_offset_min = 420;
            let teller = Teller {
                language,
                utc_offset_min,
            };
            (
                teller.beside(&event.actors[0]),
                teller.legend(&event, None).join("\n"),
            )
        };
        let (beside, text) = legend(Language::Vi);
        assert_eq!(beside, "xe máy 68 %");
        expect![[r"
            Vượt đèn đỏ
            2026-11-26 07:00:00.600 (+07:00). Giờ theo đồng hồ camera. hanoi gate Ngã tư Sở
            Trạng thái đèn khi vượt vạch dừng: đỏ = đỏ
            Đèn đã đỏ trước khi vượt vạch: 0,289 ≥ 0,1 chiều cao khung
            Loại đối tượng: xe máy (một trong ô tô con, xe máy)"]]
        .assert_eq(&text);
        let (beside, text) = legend(Language::En);
        assert_eq!(beside, "motorcycle 68 %");
        expect![[r"
            Red-light running
            2026-11-26 07:00:00.600 (+07:00). Times are by the camera's clock. hanoi gate Ngã tư Sở
            Signal when the stop line was crossed: red = red
            Red for, before the crossing: 0.289 ≥ 0.1 box heights
            Class by vote: motorcycle (one of car, motorcycle)"]]
        .assert_eq(&text);
    }
}
