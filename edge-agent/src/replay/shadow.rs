//! The model of `[detector.shadow]` on a clip: shown what it would be shown on a box, compared
//! by the same rule, and as silent.
//!
//! A clip waits for it, so that no picture passes it by. What it sees changes no event.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use edge_inference::{Agreement, Detector, Look};
use edge_video::Frame;
use protocol::CameraId;
use serde::Serialize;

use super::outputs::EventLines;
use crate::comparison::{self, Sight};
use crate::config::{DetectorConfig, ShadowConfig};
use crate::models_command;
use crate::perception::Seen;

/// A second model that looks at some of a clip's pictures.
pub(super) struct Shadow {
    detector: Detector,
    /// It is compared with itself.
    is_the_first: bool,
    /// The first detector believes in what it gives a score of so much.
    believed_from: f64,
    compared: Compared,
    /// The first failure, with its frame.
    failed: Option<(u64, String)>,
}

/// How far a second model saw what the detector saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// Which.
    pub model: String,
    /// It was shown one of so many looks.
    pub every: u32,
    /// What both saw.
    pub agreement: Agreement,
    /// Pictures that it failed on.
    pub failures: u64,
    /// Answers of it that are no numbers.
    pub broken: usize,
}

/// One class, as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    pictures: u64,
    class: &'a str,
    matched: u64,
    class_differs: u64,
    only_current: u64,
    only_shadow: u64,
}

impl Shadow {
    /// Loads it beside the `first` detector, where one is configured.
    pub(super) fn load(config: &DetectorConfig, first: &Detector) -> anyhow::Result<Option<Self>> {
        let Some(ShadowConfig { model, every }) = &config.shadow else {
            return Ok(None);
        };
        let detector = models_command::load_shadow(config, model)?;
        Ok(Some(Self {
            is_the_first: detector.manifest() == first.manifest(),
            detector,
            believed_from: first.manifest().thresholds.high,
            compared: Compared {
                model: model.clone(),
                every: *every,
                ..Compared::default()
            },
            failed: None,
        }))
    }

    /// The first detector saw this in a part of `frame`.
    pub(super) fn show(&mut self, camera: &CameraId, frame: &Frame, (part, seen): &Seen) {
        let compared = &mut self.compared;
        if !comparison::is_chosen(camera, frame.number, u64::from(compared.every)) {
            return;
        }
        let looks = [Look::crop(frame.view(), *part)];
        let answer = self.detector.detect_batch(&looks).pop();
        match answer.expect("one answer for one look") {
            Ok(answers) => {
                compared.broken += answers.broken;
                let ours = Sight {
                    seen,
                    believed_from: self.believed_from,
                };
                let its = Sight {
                    seen: &answers.found,
                    believed_from: self.detector.manifest().thresholds.high,
                };
                comparison::compare(&mut compared.agreement, ours, its);
            }
            Err(error) => {
                compared.failures += 1;
                self.failed
                    .get_or_insert_with(|| (frame.number, error.to_string()));
            }
        }
    }

    /// What came of it, and what speaks against that.
    pub(super) fn end(self) -> (Compared, Vec<String>) {
        let Self {
            compared,
            failed,
            is_the_first,
            ..
        } = self;
        let mut doubts = Vec::new();
        if is_the_first {
            doubts.push(comparison::ITSELF.to_owned());
        }
        if let Some((frame, error)) = failed {
            doubts.push(format!(
                "the shadow model failed on {} pictures, first on frame {frame}: {error}",
                compared.failures
            ));
        }
        if compared.broken > 0 {
            doubts.push(format!(
                "{} answers of the shadow model were no numbers and were passed over",
                compared.broken
            ));
        }
        (compared, doubts)
    }
}

impl Compared {
    /// One line of JSON for each class.
    pub(super) fn write(&self, lines: &mut EventLines) -> anyhow::Result<()> {
        for (class, of_class) in &self.agreement.classes {
            lines.write(&Line {
                model: &self.model,
                pictures: self.agreement.pictures,
                class: class.as_str(),
                matched: of_class.matched,
                class_differs: of_class.class_differs,
                only_current: of_class.only_current,
                only_shadow: of_class.only_other,
            })?;
        }
        Ok(())
    }

    /// The table; empty text when neither saw anything.
    pub fn table(&self) -> String {
        if self.agreement.classes.is_empty() {
            return String::new();
        }
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(vec![
            "class",
            "agree",
            "both",
            "as another class",
            "only the detector",
            "only the shadow",
        ]);
        for (class, of_class) in &self.agreement.classes {
            table.add_row(vec![
                class.to_string(),
                format!("{:.1} %", 100.0 * of_class.share()),
                of_class.matched.to_string(),
                of_class.class_differs.to_string(),
                of_class.only_current.to_string(),
                of_class.only_other.to_string(),
            ]);
        }
        for column in 1..=5 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }
}

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { model, every, .. } = self;
        let (pictures, total) = (self.agreement.pictures, self.agreement.total());
        if pictures == 0 {
            return write!(
                f,
                "shadow model {model}: nothing was compared, it is shown one of {every} looks; for a short clip set \
                 `every = 1` under [detector.shadow]"
            );
        }
        let of = match every {
            1 => "all".to_owned(),
            every => format!("one of {every}"),
        };
        write!(
            f,
            "shadow model {model}: it agrees with the detector in {:.1} % of {} things in {pictures} pictures, {of} that \
             were looked at",
            100.0 * total.share(),
            total.things()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_inference::ClassAgreement;
    use expect_test::expect;
    use protocol::ObjectClass;

    #[test]
    fn what_two_models_saw_is_told_by_class_and_together() {
        let mut compared = Compared {
            model: "next".to_owned(),
            every: 10,
            ..Compared::default()
        };
        assert!(compared.table().is_empty());
        expect!["shadow model next: nothing was compared, it is shown one of 10 looks; for a short clip set `every = 1` under [detector.shadow]"]
            .assert_eq(&compared.to_string());
        compared.agreement.pictures = 3;
        let classes = &mut compared.agreement.classes;
        classes.insert(
            ObjectClass::Person,
            ClassAgreement {
                matched: 6,
                class_differs: 1,
                only_current: 2,
                only_other: 1,
            },
        );
        classes.insert(
            ObjectClass::Car,
            ClassAgreement {
                matched: 2,
                ..ClassAgreement::default()
            },
        );
        expect!["shadow model next: it agrees with the detector in 66.7 % of 12 things in 3 pictures, one of 10 that were looked at"]
            .assert_eq(&compared.to_string());
        compared.every = 1;
        expect!["shadow model next: it agrees with the detector in 66.7 % of 12 things in 3 pictures, all that were looked at"]
            .assert_eq(&compared.to_string());
        let table = compared.table();
        assert!(table.contains("│ person ┆  60.0 % ┆    6 ┆                1 ┆                 2 ┆               1 │"), "{table}");
    }
}
