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

/// One kind under a heading of its own, to which the lists of kinds lead. `told`: the
/// kinds before it. Kinds that share a mechanism share a guide, which the first one has.
fn chapter(text: &mut String, entry: &RuleEntry, told: &[&RuleEntry]) {
    let severity = serde_json::to_value(entry.severity).unwrap();
    writeln!(text, "### `{}`\n", entry.kind).unwrap();
    writeln!(
        text,
        "*{}* · *{}* · severity `{}`\n",
        entry.title.0,
        entry.title.1,
        severity.as_str().unwrap()
    )
    .unwrap();
    let first = told.iter().find(|other| other.guide == entry.guide);
    if let Some(first) = first {
        writeln!(
            text,
            "See [`{0}`](#{0}), whose chapter is of this kind as well.\n",
            first.kind
        )
        .unwrap();
    } else {
        // The guide begins with its kinds as a heading.
        let (_, rest) = entry.guide.trim_end().split_once('\n').unwrap();
        writeln!(text, "{}\n", rest.trim()).unwrap();
    }
    if !entry.needs.is_empty() {
        let needs: Vec<&str> = entry.needs.iter().map(|class| class.as_str()).collect();
        writeln!(
            text,
            "Needs a model that gives: `{}`.\n",
            needs.join("`, `")
        )
        .unwrap();
    }
    let keys = table_of_keys(entry);
    if first.is_none_or(|first| keys != table_of_keys(first)) {
        text.push_str(&keys);
    }
}

/// The table of a kind's own keys.
fn table_of_keys(entry: &RuleEntry) -> String {
    let mut text = String::new();
    if entry.params.is_empty() {
        return text;
    }
    text.push_str("| key | what | meaning |\n|---|---|---|\n");
    for param in entry.params {
        let (key, meaning) = (param.key, param.meaning);
        writeln!(text, "| `{key}` | {} | {meaning} |", param.form.in_words()).unwrap();
    }
    text.push('\n');
    text
}

/// The page about all kinds.
fn reference() -> String {
    let mut text = BEFORE.to_owned();
    let mut told = Vec::new();
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
            chapter(&mut text, entry, &told);
            told.push(entry);
        }
    }
    format!("{}\n", text.trim_end())
}

#[test]
fn the_reference_of_rules_is_that_of_the_catalogue() {
    check(&page("docs/rules.md"), &reference());
}

#[test]
fn every_kind_has_one_chapter_and_every_link_of_the_reference_leads_to_one() {
    let text = reference();
    let chapters: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    let kinds = edge_core::rule_catalogue().iter().map(|entry| entry.kind);
    assert_eq!(sorted(chapters.clone()), sorted(kinds.collect()));
    let links = text.split("](#").skip(1);
    for link in links.filter_map(|rest| Some(rest.split_once(')')?.0)) {
        assert!(chapters.contains(&link), "#{link}");
    }
}

fn sorted(mut words: Vec<&str>) -> Vec<&str> {
    words.sort_unstable();
    words
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
