//! `docs/heads.md` beside what is read: whoever describes a network of his own copies from there.

use std::collections::BTreeSet;

use models::Manifest;
use protocol::ObjectClass;

const PAGE: &str = include_str!("../../../docs/heads.md");
const PART: &str = "\n## What stands under `[head]`\n";

/// Kinds of the first table, each with its `task`.
fn kinds() -> Vec<(&'static str, &'static str)> {
    let code = |cell: &'static str| cell.trim().strip_prefix('`')?.strip_suffix('`');
    PAGE.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix("| ")?.split('|').collect();
            let &[kind, _, _, task, _] = &cells[..] else {
                return None;
            };
            Some((code(kind)?, code(task)?))
        })
        .filter(|(kind, _)| *kind != "kind")
        .collect()
}

/// The part of the page, up to the next one.
fn part() -> &'static str {
    let (_, part) = PAGE.split_once(PART).expect("the page has this part");
    part.split_once("\n## ").map_or(part, |(part, _)| part)
}

/// A manifest around what stands under `[head]`.
fn manifest(task: &str, head: &str) -> String {
    let classes = match task {
        "text_detection" | "text_recognition" => "",
        "faces" => "[classes]\ncount = 1\nface = [0]\n",
        _ => "[classes]\ncount = 3\nface = [1]\n",
    };
    format!(
        "id = 'mine'\ntitle = 'Mine'\ntask = '{task}'\nrank = 1\nfile = 'net.onnx'\nsha256 = '{}'\n\
         licence = 'MIT'\norigin = 'a test'\nobtain = 'Ask for it.'\n\
         [input]\ntensor = 'images'\nwidth = 640\nheight = 640\nlayout = 'nchw'\ncolour = 'rgb'\n\
         mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\nfit = 'stretch'\npad = [0.0, 0.0, 0.0]\n\
         {head}\n{classes}[thresholds]\nlow = 0.1\nhigh = 0.4\nnms = 0.5\n",
        "0".repeat(64)
    )
}

/// Whoever had a network whose head no model of the catalogue has found its keys in our sources only.
#[test]
fn what_stands_under_head_is_on_the_page_for_every_kind_and_is_read() {
    let kinds = kinds();
    let mut shown = BTreeSet::new();
    for head in part().split("```toml\n").skip(1) {
        let (head, _) = head.split_once("```").expect("it ends");
        let (_, kind) = head.split_once("kind = \"").expect("it has a kind");
        let (kind, _) = kind.split_once('"').expect("it ends");
        let task = kinds.iter().find(|(known, _)| *known == kind);
        let (_, task) = task.unwrap_or_else(|| panic!("{kind} is not in the table"));
        let read = Manifest::parse(&manifest(task, head));
        let read = read.unwrap_or_else(|error| panic!("{head}\n{error}"));
        assert_eq!(read.head.kind(), kind);
        shown.insert(kind);
    }
    let in_table: BTreeSet<&str> = kinds.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(shown, in_table);
    // The program's own list is in its refusal.
    let refusal = Manifest::parse(&manifest("detection", "[head]\nkind = 'none'")).unwrap_err();
    let refusal = refusal.to_string();
    let (_, known) = refusal.split_once("expected one of ").expect("the list");
    let known: BTreeSet<&str> = known
        .split(", ")
        .map(|kind| kind.trim_matches('`'))
        .collect();
    assert_eq!(in_table, known);
}

#[test]
fn the_words_of_classes_are_on_the_page() {
    for class in ObjectClass::ALL {
        assert!(part().contains(&format!("`{class}`")), "{class}");
    }
}
