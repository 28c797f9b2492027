//! Whether the detector still sees what its authors' decoding sees: person AP50 on labelled pictures.
//!
//! `deploy/workshop/accuracy.py` lets both look and has one scorer, pycocotools, judge them. The labels
//! may not be shipped; where they do not lie beside the repository this is left out.

use std::process::Command;

use crate::process::run;
use crate::setting::Setting;
use crate::table::{Bar, Row};

/// Steps of the progress bar.
pub(crate) const STEPS: u64 = 1;

pub(crate) fn measure(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let python = setting.root.join(".local/workshop/bin/python");
    if !python.exists() {
        let why = "its Python is not installed; run `deploy/workshop/setup`";
        return Ok(vec![Row::skipped("accuracy", why)]);
    }
    setting.progress.step("accuracy: vtest and MOT17-mini");
    let mut command = Command::new(python);
    command.current_dir(&setting.root);
    command.env_remove("PYTHONPATH");
    command.args(["-B", "deploy/workshop/accuracy.py", "--agent"]);
    command.arg(&setting.agent);
    command.args(["--models", setting.model.id.as_str(), "--folder"]);
    command.arg(&setting.model.folder);
    // The bar is ours to judge by.
    command.args(["--bar", "1"]);
    let printed = run(&mut command)?.printed;
    let scores: Vec<Score> = printed
        .lines()
        .filter_map(|line| Score::of(line, setting.model.id.as_str()))
        .collect();
    if scores.is_empty() {
        return Ok(vec![Row::skipped("accuracy", printed)]);
    }
    Ok(scores.iter().map(Score::row).collect())
}

/// A line of what `accuracy.py` prints.
#[derive(Debug, PartialEq)]
struct Score {
    set: String,
    pictures: u32,
    agent: f64,
    authors: f64,
}

impl Score {
    fn of(line: &str, model: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        if words.next() != Some(model) {
            return None;
        }
        Some(Self {
            set: words.next()?.to_owned(),
            pictures: words.next()?.parse().ok()?,
            agent: words.next()?.parse().ok()?,
            authors: words.next()?.parse().ok()?,
        })
    }

    fn row(&self) -> Row {
        let Self {
            set,
            pictures,
            agent,
            authors,
        } = self;
        Row::new(
            "accuracy",
            format!("{set}: person AP50, away from the authors' decoding"),
            (agent - authors).abs(),
            "",
        )
        .bar(Bar::AtMost(0.005))
        .note(format!(
            "{agent:.4}, theirs {authors:.4}, {pictures} pictures"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Score;

    #[test]
    fn the_scores_of_the_model_are_read_and_nothing_else() {
        let line = "yolox-nano               vtest            159  0.8938   0.8930 +0.0008";
        let score = Score {
            set: "vtest".to_owned(),
            pictures: 159,
            agent: 0.8938,
            authors: 0.893,
        };
        assert_eq!(Score::of(line, "yolox-nano"), Some(score));
        for other in [
            "model                    set         pictures   agent  authors   apart",
            "yolox-nano-dyn           vtest            159  0.8938   0.8930 +0.0008",
            "largest difference 0.0008, bar 1",
        ] {
            assert_eq!(Score::of(other, "yolox-nano"), None, "{other}");
        }
    }
}
