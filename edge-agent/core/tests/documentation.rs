//! The pages about rules say what the catalogue says.
//!
//! `UPDATE_EXPECT=1 cargo test -p edge-core --test documentation` writes them anew.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test reads and writes pages

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use edge_core::rules::{RuleGroup, facts, facts_table};
use edge_core::{RuleEntry, SceneConfig};

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name)
}

/// Compares a page with what it should be, or writes it.
fn check(path: &Path, expected: &str) {
    let found = std::fs::read_to_string(path).unwrap_or_default();
    if found == expected {
        return;
    }
    if std::env::var("UPDATE_EXPECT").is_ok() {
        std::fs::write(path, expected).unwrap();
        return;
    }
    panic!(
        "{} is not what the code says; `UPDATE_EXPECT=1 cargo test -p edge-core --test \
         documentation` writes it anew, then read the difference",
        path.display()
    );
}

/// A page in which the table of facts, which ends it, is replaced by the code's.
fn with_facts(text: &str) -> String {
    let head = text.find("| fact |").map_or(text, |start| &text[..start]);
    format!("{}\n\n{}", head.trim_end(), facts_table())
}

#[test]
fn the_tables_of_facts_are_those_of_the_checker() {
    for name in [
        "edge-agent/core/src/rules/custom/README.md",
        "docs/custom-rules.md",
    ] {
        let path = page(name);
        let text = std::fs::read_to_string(&path).unwrap();
        check(&path, &with_facts(&text));
    }
}

#[test]
fn every_example_of_a_custom_rule_passes_the_check() {
    let places = r#"
        zone = [
            { id = "lane", points = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]] },
            { id = "square", points = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]] },
        ]
        signal = [{ group = "north", recorded = true }]
    "#;
    let text = std::fs::read_to_string(page("docs/custom-rules.md")).unwrap();
    let guide = edge_core::rule_catalogue()
        .iter()
        .find(|e| e.kind == "custom");
    let both = format!("{text}\n{}", guide.unwrap().guide);
    let fenced = both.split("```").skip(1).step_by(2);
    let examples: Vec<&str> = fenced
        .filter_map(|block| block.strip_prefix("toml\n"))
        .collect();
    assert!(examples.len() > 5, "{examples:?}");
    for example in examples {
        let table: toml::Table = format!("{places}\n{example}").parse().unwrap();
        let (config, faults) = SceneConfig::from_table(&table);
        assert_eq!(faults, [], "{example}");
        assert!(!config.rules.is_empty(), "{example}");
    }
}

#[test]
fn every_fact_is_in_the_guide() {
    let guide = edge_core::rule_catalogue()
        .iter()
        .find(|e| e.kind == "custom");
    for fact in facts() {
        let row = format!("| `{}` |", fact.key);
        assert!(guide.unwrap().guide.contains(&row), "{row}");
    }
}

const BEFORE: &str = "\
# Every kind of rule

This page is written by a test from the catalogue of rules, which also reads the configuration: what stands here is what the program does.
`edge-agent rules` lists the kinds, `edge-agent rules KIND` prints one of these chapters.
How a rule is built is told in [design/rules.md](design/rules.md), how to write one's own condition in [custom-rules.md](custom-rules.md).

Every rule has, besides its own keys:

| key | what | meaning |
|---|---|---|
| `id` | a name; needed | which rule, on its events |
| `kind` | one of the kinds below; needed | what it watches for |
| `title` | text, or `{ vi = \"...\", en = \"...\" }` | what its events are called instead of the kind's title |
| `severity` | `info`, `minor`, `major`, `critical` | how much its events matter, instead of the kind's severity |
| `hours` | for example `[\"06:30-09:00\", \"22:00-05:00\"]` | when it is at work, in local time; always by default |
| `days` | of `mon` to `sun` | on which days; a span over midnight belongs to the day on which it begins |

";

fn chapter(text: &mut String, entry: &RuleEntry) {
    // The guide begins with the kind as a heading; here it is one of many.
    let guide = entry.guide.trim_end();
    let guide = guide
        .strip_prefix("# ")
        .expect("a guide begins with its kind");
    let severity = serde_json::to_value(entry.severity).unwrap();
    let (heading, rest) = guide.split_once('\n').unwrap_or((guide, ""));
    writeln!(text, "### {heading}\n").unwrap();
    writeln!(
        text,
        "*{}* · *{}* · severity `{}`",
        entry.title.0,
        entry.title.1,
        severity.as_str().unwrap()
    )
    .unwrap();
    writeln!(text, "\n{}\n", rest.trim()).unwrap();
    if !entry.needs.is_empty() {
        let needs: Vec<&str> = entry.needs.iter().map(|class| class.as_str()).collect();
        writeln!(
            text,
            "Needs a model that gives: `{}`.\n",
            needs.join("`, `")
        )
        .unwrap();
    }
    if entry.params.is_empty() {
        return;
    }
    text.push_str("| key | what | meaning |\n|---|---|---|\n");
    for param in entry.params {
        let (key, meaning) = (param.key, param.meaning);
        writeln!(text, "| `{key}` | {} | {meaning} |", param.form.in_words()).unwrap();
    }
    text.push('\n');
}

#[test]
fn the_reference_of_rules_is_that_of_the_catalogue() {
    let mut text = BEFORE.to_owned();
    for group in RuleGroup::ALL {
        let entries = || {
            let catalogue = edge_core::rule_catalogue().iter();
            catalogue.filter(move |entry| entry.group() == group)
        };
        if entries().next().is_none() {
            continue;
        }
        let (vi, en) = group.title();
        writeln!(text, "## {en} ({vi})\n").unwrap();
        text.push_str("| kind | what it watches for |\n|---|---|\n");
        for entry in entries() {
            let (vi, en) = entry.summary;
            writeln!(text, "| [`{0}`](#{0}) | {en}. *{vi}.* |", entry.kind).unwrap();
        }
        text.push('\n');
        for entry in entries() {
            chapter(&mut text, entry);
        }
    }
    let text = format!("{}\n", text.trim_end());
    check(&page("docs/rules.md"), &text);
}

#[test]
fn guides_say_what_a_rule_sees_what_it_needs_and_how_it_errs() {
    for entry in edge_core::rule_catalogue() {
        let guide = entry.guide;
        // Kinds that share a mechanism share a guide.
        let title = guide.lines().next().unwrap_or_default();
        assert!(
            title.starts_with("# `") && title.contains(&format!("`{}`", entry.kind)),
            "{}: {title}",
            entry.kind
        );
        for part in ["**Sees**", "**Needs**", "**Errs**"] {
            assert!(guide.contains(part), "{} has no {part}", entry.kind);
        }
    }
}
