//! `edge-agent rules`: what can be watched for.

use std::fmt::Write as _;

use case_bundle::files::said;
use edge_core::rule_catalogue;
use edge_core::rules::RuleGroup;

/// Prints the list of kinds, or the guide and the keys of one.
pub fn tell(kind: Option<&str>) -> anyhow::Result<()> {
    let text = match kind {
        None => list(),
        Some(kind) => about(kind)?,
    };
    said::text(&text);
    Ok(())
}

fn list() -> String {
    let mut text = String::new();
    for group in RuleGroup::ALL {
        let entries = || rule_catalogue().iter().filter(|e| e.group() == group);
        if entries().next().is_none() {
            continue;
        }
        let (vi, en) = group.title();
        line(&mut text, &format!("{en} / {vi}"));
        for entry in entries() {
            let (vi, en) = entry.summary;
            line(&mut text, &format!("  {:<26} {en}", entry.kind));
            line(&mut text, &format!("  {:<26} {vi}", ""));
        }
        line(&mut text, "");
    }
    line(
        &mut text,
        "`edge-agent rules KIND` tells what a kind sees, what it needs, how it errs, and its keys.",
    );
    text
}

fn about(kind: &str) -> anyhow::Result<String> {
    let Some(entry) = rule_catalogue().iter().find(|entry| entry.kind == kind) else {
        anyhow::bail!("{}", edge_core::rules::unknown_kind(kind));
    };
    let mut text = String::new();
    line(&mut text, entry.guide.trim_end());
    line(&mut text, "");
    line(&mut text, "Keys:");
    for param in entry.params {
        line(
            &mut text,
            &format!(
                "  {:<26} {}  ({})",
                param.key,
                param.meaning,
                param.form.in_words()
            ),
        );
    }
    line(
        &mut text,
        "and those of every rule: id, kind, title, severity, hours, days.",
    );
    Ok(text)
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("text takes text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_kind_in_both_languages() {
        let text = list();
        for entry in rule_catalogue() {
            let (vi, en) = entry.summary;
            for part in [entry.kind, vi, en] {
                assert!(text.contains(part), "{part} is missing");
            }
        }
    }

    #[test]
    fn a_kind_tells_its_guide_and_its_keys() {
        let text = about("custom").unwrap();
        for part in ["# `custom`", "| `speed_kmh` |", "when  ", "release_s"] {
            assert!(text.contains(part), "{part} is missing");
        }
    }

    #[test]
    fn an_unknown_kind_says_where_the_known_ones_are() {
        let error = about("costum").unwrap_err().to_string();
        assert!(error.contains("did you mean `custom`?"), "{error}");
    }
}
