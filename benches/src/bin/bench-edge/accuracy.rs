//! Whether the detector still sees what its authors' decoding sees: person AP50 on labelled pictures.
//!
//! The labels may not be shipped; where they do not lie beside the repository this is left out. The
//! reference is the authors' decoding in Python, scored by pycocotools on the same pictures
//! (`benches/RESULTS.md`).

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::process::run;
use crate::setting::Setting;
use crate::table::{Bar, Row};

/// A labelled set, and what the reference reaches on it with YOLOX-nano at 416×416.
struct Set {
    name: &'static str,
    labels: &'static str,
    /// Beside the repository, or in `.local`.
    pictures: &'static str,
    more: &'static [&'static str],
    reference: f64,
}

const SETS: [Set; 2] = [
    Set {
        name: "vtest",
        labels: "../shared/data/labels/PETS09-S2L1_gt.txt",
        pictures: ".local/clips/vtest.mp4",
        more: &["--every", "5"],
        reference: 0.8926,
    },
    Set {
        name: "MOT17-mini",
        labels: "../shared/data/labels/mot17mini",
        pictures: "../shared/data/labels/mot17mini",
        more: &[],
        reference: 0.4339,
    },
];

pub(crate) fn steps() -> u64 {
    SETS.len() as u64
}

pub(crate) fn measure(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    if setting.model.id.as_str() != "yolox-nano" {
        let why = "the reference is of yolox-nano, which is not installed here";
        return Ok(vec![Row::skipped("accuracy", why)]);
    }
    let mut rows = Vec::new();
    for set in &SETS {
        setting.progress.step(&format!("accuracy: {}", set.name));
        let labels = setting.root.join(set.labels);
        rows.push(if labels.exists() {
            set.measure(setting, &labels)
                .with_context(|| set.name.to_owned())?
        } else {
            Row::skipped("accuracy", format!("{} is not there", labels.display()))
        });
    }
    Ok(rows)
}

impl Set {
    fn measure(&self, setting: &Setting, labels: &Path) -> anyhow::Result<Row> {
        let mut command = Command::new(&setting.agent);
        command.current_dir(&setting.root);
        command.env("NGATU_MODELS", &setting.model.folder);
        command.args(["--log", "error", "models", "evaluate"]);
        command.args([setting.model.id.as_str(), "--alone", "--json"]);
        command.arg("--labels").arg(labels);
        command
            .arg("--pictures")
            .arg(setting.root.join(self.pictures))
            .args(self.more);
        let printed = run(&mut command)?.printed;
        let report: serde_json::Value = serde_json::from_str(&printed)
            .with_context(|| format!("models evaluate printed {printed}"))?;
        let ap50 = find(&report, "ap50").context("no AP50 in the report")?;
        Ok(Row::new(
            "accuracy",
            format!("{}: person AP50, away from the reference", self.name),
            (ap50 - self.reference).abs(),
            "",
        )
        .bar(Bar::AtMost(0.005))
        .note(format!("{ap50:.4}, reference {:.4}", self.reference)))
    }
}

/// The first number of this name, wherever it stands.
fn find(value: &serde_json::Value, key: &str) -> Option<f64> {
    match value {
        serde_json::Value::Object(map) => map
            .get(key)
            .and_then(serde_json::Value::as_f64)
            .or_else(|| map.values().find_map(|inner| find(inner, key))),
        serde_json::Value::Array(list) => list.iter().find_map(|inner| find(inner, key)),
        _ => None,
    }
}
