//! `docs/rules/`: an index of all kinds and one page for each topic, from the catalogue.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use edge_core::rules::RuleGroup;
use edge_core::{RuleEntry, SceneConfig};

use crate::{check, page};

const FOLDER: &str = "docs/rules";

/// More lines than this are two topics.
const LONGEST_PAGE: usize = 300;

/// A page: kinds that somebody looks for at the same time.
struct Topic {
    /// Its file, without `.md`.
    file: &'static str,
    title: &'static str,
    /// What it is about, and where its neighbours are.
    about: &'static str,
    kinds: &'static [&'static str],
}

const TOPICS: &[Topic] = &[
    Topic {
        file: "signals-and-junctions",
        title: "Signals and junctions",
        about: "How a rule learns what a traffic light shows: [signals.md](../signals.md).",
        kinds: &["red_light", "stop_line", "blocking_junction"],
    },
    Topic {
        file: "lanes",
        title: "Lanes and markings",
        about: "Who drives against the traffic is on [directions-and-turns.md](directions-and-turns.md).",
        kinds: &[
            "wrong_lane",
            "solid_line",
            "overtaking",
            "emergency_lane",
            "sidewalk_driving",
        ],
    },
    Topic {
        file: "directions-and-turns",
        title: "Directions and turns",
        about: "Which way a vehicle may go, where it may turn, and where it may not enter.",
        kinds: &[
            "wrong_way",
            "wrong_way_driver",
            "reversing",
            "illegal_turn",
            "illegal_uturn",
            "no_entry",
        ],
    },
    Topic {
        file: "stopping-and-parking",
        title: "Stopping and parking",
        about: "The three kinds measure the same; they differ in what is forbidden and for how long. \
                Who stands beyond a stop line or in a junction is on [signals-and-junctions.md](signals-and-junctions.md).",
        kinds: &["stopped_vehicle", "illegal_stop", "illegal_parking"],
    },
    Topic {
        file: "speed",
        title: "Speed",
        about: "How a road is measured for it: [calibration.md](../calibration.md).",
        kinds: &["speeding"],
    },
    Topic {
        file: "riders-drivers-and-plates",
        title: "Riders, drivers and plates",
        about: "Most of these need a second model that looks closer: [cascades.md](../cascades.md). \
                How plates are read: [plates.md](../plates.md).",
        kinds: &[
            "no_helmet",
            "riders_three_plus",
            "riders_two",
            "abreast",
            "phone_use",
            "seat_belt",
            "plate_obscured",
        ],
    },
    Topic {
        file: "people-and-animals",
        title: "People and animals",
        about: "People on foot, and animals, where they should not be, for too long, or too many.",
        kinds: &[
            "pedestrian_on_carriageway",
            "pedestrian_crossing",
            "intrusion",
            "loitering",
            "crowd",
            "animal",
        ],
    },
    Topic {
        file: "traffic-and-incidents",
        title: "Traffic and incidents",
        about: "Somebody should look now, whoever is to blame. A stopped vehicle is on \
                [stopping-and-parking.md](stopping-and-parking.md), a wrong-way driver on \
                [directions-and-turns.md](directions-and-turns.md).",
        kinds: &["queue", "congestion", "crash", "debris", "fire", "smoke"],
    },
    Topic {
        file: "camera",
        title: "The camera itself",
        about: "The picture is not good enough to judge by.",
        kinds: &[
            "camera_blocked",
            "camera_dark",
            "camera_defocused",
            "camera_frozen",
            "camera_lost",
            "camera_moved",
        ],
    },
    Topic {
        file: "custom",
        title: "Conditions of your own",
        about: "Worked examples, and what each fact means: [custom-rules.md](../custom-rules.md).",
        kinds: &["custom"],
    },
];

const INDEX: &str = "\
# Rules

A rule watches one camera for one thing, and tells an event when it has seen it.
A test writes these pages from the program's own catalogue of rules, which also reads the configuration: what stands here is what the program does.
`edge-agent rules` lists the kinds; `edge-agent rules KIND` prints a kind's chapter.
How to write a condition that no kind covers: [custom-rules.md](../custom-rules.md). How a rule is built: [design/rules.md](../design/rules.md).

## A rule in the configuration

A rule names the places that it watches; zones and lines are drawn in fractions of the picture, from the top left corner.

```toml
[[camera.zone]]
id = \"bus-lane\"
points = [[0.10, 0.95], [0.40, 0.35], [0.60, 0.35], [0.95, 0.95]]

[[camera.rule]]
id = \"cars-in-bus-lane\"
kind = \"wrong_lane\"
zone = \"bus-lane\"
classes = [\"car\", \"truck\"]
hours = [\"06:30-09:00\", \"16:00-19:00\"]
days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]
```

`edge-agent check FILE` says what is wrong with it, or what it lacks.

Every rule has these keys, besides its kind's own:

| key | what | meaning |
|---|---|---|
| `id` | a name; needed | which rule, on its events |
| `kind` | one of the kinds below; needed | what it watches for |
| `title` | text, or `{ vi = \"...\", en = \"...\" }` | what its events are called instead of the kind's title |
| `severity` | `info`, `minor`, `major`, `critical` | how much its events matter, instead of the kind's severity |
| `hours` | for example `[\"06:30-09:00\", \"22:00-05:00\"]` | when it is at work, in local time; always by default |
| `days` | of `mon` to `sun` | on which days; a span over midnight belongs to the day on which it begins |

## How to read a chapter

**Sees** says what must be true for an event, **Needs** what the rule cannot do without, **Errs** where it is wrong, and in whose favour.
The table of keys gives each key's default and then its range: `60 s; 1 to 86400`.
Many lengths and speeds have two keys, of which a camera uses one: metres or km/h where it is calibrated, otherwise heights of the road user's own box in the picture (`box heights`).
";

/// One line for each kind, by topic.
fn index() -> String {
    let mut text = INDEX.to_owned();
    for topic in TOPICS {
        let Topic { file, title, .. } = topic;
        writeln!(
            text,
            "\n## {title}\n\nAll about them: [{file}.md]({file}.md).\n"
        )
        .unwrap();
        text.push_str("| kind | is | severity | what it watches for |\n|---|---|---|---|\n");
        for entry in entries(topic) {
            let (vi, en) = entry.summary;
            writeln!(
                text,
                "| [`{0}`]({file}.md#{0}) | {1} | {2} | {en}. *{vi}.* |",
                entry.kind,
                in_one_word(entry.group()),
                severity(entry)
            )
            .unwrap();
        }
    }
    text
}

/// The page of a topic.
fn topic_page(topic: &Topic) -> String {
    let mut text = format!(
        "# {}\n\n{}\nKeys that every rule has, and how to read a chapter: [README.md](README.md).\n\n",
        topic.title, topic.about
    );
    let mut told = Vec::new();
    for entry in entries(topic) {
        chapter(&mut text, entry, &told);
        told.push(entry);
    }
    format!("{}\n", text.trim_end())
}

fn entries(topic: &Topic) -> impl Iterator<Item = &'static RuleEntry> {
    topic.kinds.iter().map(|kind| {
        let entry = edge_core::rule_catalogue().iter().find(|e| e.kind == *kind);
        entry.unwrap_or_else(|| panic!("{kind} is a topic's, but no kind"))
    })
}

fn in_one_word(group: RuleGroup) -> &'static str {
    match group {
        RuleGroup::Violations => "violation",
        RuleGroup::Incidents => "incident or statistics",
        RuleGroup::Camera => "camera",
        RuleGroup::Custom => "your own",
    }
}

fn severity(entry: &RuleEntry) -> String {
    let severity = serde_json::to_value(entry.severity).unwrap();
    severity.as_str().unwrap().to_owned()
}

/// One kind. `told`: the kinds before it on its page. Kinds that share a mechanism share
/// a guide, which the first one has.
fn chapter(text: &mut String, entry: &RuleEntry, told: &[&RuleEntry]) {
    let (vi, en) = entry.title;
    writeln!(text, "## `{}`\n", entry.kind).unwrap();
    writeln!(text, "*{vi}* · *{en}* · severity `{}`\n", severity(entry)).unwrap();
    if let Some(first) = told.iter().find(|other| other.guide == entry.guide) {
        writeln!(
            text,
            "See [`{0}`](#{0}), whose chapter is of this kind as well.\n",
            first.kind
        )
        .unwrap();
    } else {
        // The guide begins with its kinds as a heading.
        let (_, rest) = entry.guide.trim_end().split_once('\n').unwrap();
        text.push_str(&guide(rest.trim()));
        text.push_str("\n\n");
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
    text.push_str(&keys(entry, told));
}

/// A guide as a page has it: with links to other pages, and without the table of facts,
/// which `custom-rules.md` has.
fn guide(text: &str) -> String {
    let text = text
        .split("`docs/")
        .enumerate()
        .map(|(number, part)| match (number, part.split_once('`')) {
            (1.., Some((file, rest))) => format!("[{file}](../{file}){rest}"),
            _ => part.to_owned(),
        })
        .collect::<String>();
    match text.find("| fact |") {
        Some(start) => format!(
            "{}\n\nThe table of facts: [custom-rules.md](../custom-rules.md#facts).",
            text[..start].trim_end()
        ),
        None => text,
    }
}

/// A kind's own keys. Where another kind of the page has the same ones, only those of
/// which the default, the range or the meaning is another.
fn keys(entry: &RuleEntry, told: &[&RuleEntry]) -> String {
    let rows = rows(entry);
    if rows.is_empty() {
        return String::new();
    }
    let names = |entry: &RuleEntry| entry.params.iter().map(|p| p.key).collect::<Vec<_>>();
    let like = told
        .iter()
        .filter(|other| names(other) == names(entry))
        .map(|other| {
            let theirs = self::rows(other);
            let own: Vec<&String> = rows.iter().filter(|row| !theirs.contains(row)).collect();
            (other.kind, own)
        })
        .find(|(_, own)| own.len() * 3 <= rows.len());
    let shared_guide = told.iter().any(|other| other.guide == entry.guide);
    let (before, rows) = match like {
        Some((_, own)) if own.is_empty() && shared_guide => return String::new(),
        Some((kind, own)) if own.is_empty() => {
            return format!("Its keys are those of [`{kind}`](#{kind}).\n\n");
        }
        Some((kind, own)) => (
            format!("Its keys are those of [`{kind}`](#{kind}), but for:\n\n"),
            own,
        ),
        None => (String::new(), rows.iter().collect()),
    };
    let mut text = before + "| key | what | meaning |\n|---|---|---|\n";
    for row in rows {
        text.push_str(row);
    }
    text.push('\n');
    text
}

fn rows(entry: &RuleEntry) -> Vec<String> {
    let row = |param: &edge_core::rules::Param| {
        let (key, meaning) = (param.key, param.meaning);
        format!("| `{key}` | {} | {meaning} |\n", param.form.in_words())
    };
    entry.params.iter().map(row).collect()
}

/// Every page by its name.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::from([("README.md".to_owned(), index())]);
    for topic in TOPICS {
        pages.insert(format!("{}.md", topic.file), topic_page(topic));
    }
    pages
}

#[test]
fn the_reference_of_rules_is_that_of_the_catalogue() {
    let pages = pages();
    for (name, text) in &pages {
        check(&page(&format!("{FOLDER}/{name}")), text);
    }
    let mut found: Vec<String> = std::fs::read_dir(page(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, pages.into_keys().collect::<Vec<_>>());
}

#[test]
fn every_kind_is_on_exactly_one_page() {
    let mut on_pages: Vec<&str> = TOPICS.iter().flat_map(|t| t.kinds).copied().collect();
    let catalogue = edge_core::rule_catalogue().iter();
    let mut kinds: Vec<&str> = catalogue.map(|entry| entry.kind).collect();
    on_pages.sort_unstable();
    kinds.sort_unstable();
    assert_eq!(on_pages, kinds);
}

#[test]
fn every_key_of_every_kind_is_on_its_page() {
    for topic in TOPICS {
        let text = topic_page(topic);
        for entry in entries(topic) {
            for param in entry.params {
                let row = format!("| `{}` |", param.key);
                assert!(text.contains(&row), "{}: {row}", entry.kind);
            }
        }
    }
}

#[test]
fn no_page_of_the_reference_is_too_long_to_read() {
    for (name, text) in pages() {
        let lines = text.lines().count();
        assert!(lines < LONGEST_PAGE, "{name}: {lines} lines");
    }
}

#[test]
fn every_link_of_the_reference_leads_somewhere() {
    let pages = pages();
    for (name, text) in &pages {
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| Some(rest.split_once(')')?.0)) {
            let (file, chapter) = link.split_once('#').unwrap_or((link, ""));
            let target = match (file, pages.get(file)) {
                ("", _) | (_, Some(_)) => pages.get(file).unwrap_or(text).clone(),
                _ => std::fs::read_to_string(page(&format!("{FOLDER}/{file}")))
                    .unwrap_or_else(|error| panic!("{name}: {link}: {error}")),
            };
            let heads = |line: &str| {
                let title = line.trim_start_matches('#').trim().trim_matches('`');
                line.starts_with("##") && title.to_lowercase().replace(' ', "-") == chapter
            };
            assert!(
                chapter.is_empty() || target.lines().any(heads),
                "{name}: {link}"
            );
        }
    }
}

#[test]
fn the_example_of_a_rule_passes_the_check() {
    let example = INDEX.split("```toml\n").nth(1).unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let table: toml::Table = example.replace("[[camera.", "[[").parse().unwrap();
    let (config, faults) = SceneConfig::from_table(&table);
    assert_eq!(faults, []);
    assert_eq!(config.rules.len(), 1);
}
