//! The pages about rules say what the catalogue says.
//!
//! `UPDATE_EXPECT=1 cargo test -p edge-core --test documentation` writes them anew.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test reads and writes pages

mod reference;

use std::path::{Path, PathBuf};

use edge_core::SceneConfig;
use edge_core::rules::{facts, facts_table};

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
