//! `models crops`: what is cut, into which class, and that all of it is there or nothing. What a
//! classifier is measured on with it: `models_at_hand`.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::fs;
use std::process::Command;

use support::{Process, agent, binary, eventually, street};

fn run(words: &[&str]) -> (Option<i32>, String) {
    let (code, told, said) = agent(&[&["models"][..], words].concat());
    (code, told + &said)
}

#[test]
fn a_crop_of_a_road_user_is_what_lies_in_it() {
    let street = street();
    let at = |name: &str| street.path().join(name).to_str().unwrap().to_owned();
    // Heads in the upper parts of three people; shoes are in none.
    let labels = r#"{
        "images": [{"id": 1, "file_name": "1.jpg"}],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "helmet"}, {"id": 3, "name": "no_helmet"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [100, 100, 60, 160]},
            {"image_id": 1, "category_id": 3, "bbox": [120, 100, 20, 20]},
            {"image_id": 1, "category_id": 2, "bbox": [120, 240, 20, 20]},
            {"image_id": 1, "category_id": 1, "bbox": [300, 100, 60, 160]},
            {"image_id": 1, "category_id": 2, "bbox": [305, 100, 20, 20]},
            {"image_id": 1, "category_id": 3, "bbox": [335, 100, 20, 20]},
            {"image_id": 1, "category_id": 1, "bbox": [500, 100, 60, 160]}]}"#;
    let file = at("marks.json");
    fs::write(&file, labels).unwrap();
    let (pictures, out) = (at("."), at("crops"));
    let cut = [
        "crops",
        "--labels",
        &file,
        "--pictures",
        &pictures,
        "--crop",
        "upper",
        "--out",
        &out,
    ];
    let (code, said) = run(&cut);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("(person) and of what is seen of them (helmet, no_helmet); say with --on"),
        "{said}"
    );
    let (code, said) = run(&[&cut[..], &["--on", "person"]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("1 part(s) in which several kinds lie are left out"),
        "{said}"
    );
    let there = |name: &str| street.path().join("crops").join(name).is_file();
    assert!(
        there("no_helmet/day/1-0.png") && there("nothing/day/1-2.png"),
        "{said}"
    );
    assert!(
        !there("helmet/day/1-1.png") && !there("no_helmet/day/1-1.png"),
        "{said}"
    );
}

#[test]
fn crops_are_written_wholly_or_not_at_all_and_over_nothing() {
    let street = street();
    let at = |name: &str| street.path().join(name).to_str().unwrap().to_owned();
    let (labels, pictures, out) = (at("labels.json"), at("."), at("new/crops"));
    let others = at("others.json");
    fs::write(
        &others,
        fs::read_to_string(&labels)
            .unwrap()
            .replace("Cannot tell", "../up"),
    )
    .unwrap();
    fs::create_dir_all(street.path().join("full/x")).unwrap();
    let full = at("full");
    for (labels, pictures, out, more, told) in [
        (
            &labels,
            &pictures,
            &full,
            &["--crop", "whole"][..],
            "is there and not empty; name a new folder",
        ),
        (
            &labels,
            &at("new"),
            &out,
            &[],
            "2 labelled picture(s) are not in",
        ),
        (
            &labels,
            &pictures,
            &out,
            &["--min-height-px", "500"],
            "5 part(s) are lower than 500 pixels",
        ),
        (
            &labels,
            &pictures,
            &out,
            &["--on", "bus"],
            "no box is of --on bus; the labels have person, car",
        ),
        (
            &others,
            &pictures,
            &out,
            &[],
            "category `../up` is no name for a folder",
        ),
    ] {
        let words = [
            "crops",
            "--labels",
            labels,
            "--pictures",
            pictures,
            "--out",
            out,
        ];
        let (code, said) = run(&[&words[..], more].concat());
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(told), "{told}: {said}");
        let left = fs::read_dir(street.path().join("new"));
        assert_eq!(left.map_or(0, Iterator::count), 0, "{told}");
    }
    // An empty folder that is there will do.
    fs::create_dir_all(&out).unwrap();
    let words = [
        "crops",
        "--labels",
        &labels,
        "--pictures",
        &pictures,
        "--out",
        &out,
    ];
    let (code, said) = run(&words);
    assert_eq!(code, Some(0), "{said}");
    let left: Vec<_> = fs::read_dir(street.path().join("new")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// What a killed run had cut shows faces, and lay in a hidden folder for ever.
#[test]
fn what_a_killed_run_had_cut_is_taken_away_by_the_next_one() {
    let street = street();
    let at = |name: &str| street.path().join(name).to_str().unwrap().to_owned();
    let image = |id: u32| {
        let (one, same) = (at("1.jpg"), at(&format!("same-{id}.jpg")));
        if !std::path::Path::new(&same).exists() {
            fs::hard_link(one, same).unwrap();
        }
        format!("{{\"id\":{id},\"file_name\":\"same-{id}.jpg\"}}")
    };
    let label =
        |id: u32| format!("{{\"image_id\":{id},\"category_id\":1,\"bbox\":[499,158,31,75]}}");
    let labels = |images: u32| {
        let listed =
            |of: &dyn Fn(u32) -> String| (1..=images).map(of).collect::<Vec<_>>().join(",");
        format!(
            "{{\"images\":[{}],\"categories\":[{{\"id\":1,\"name\":\"person\"}}],\"annotations\":[{}]}}",
            listed(&image),
            listed(&label)
        )
    };
    let file = at("long.json");
    let (pictures, out) = (at("."), at("new/crops"));
    let words = [
        "crops",
        "--labels",
        &file,
        "--pictures",
        &pictures,
        "--out",
        &out,
    ];
    let beside = || -> Vec<String> {
        let entries = fs::read_dir(at("new")).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    };
    let crops_in = |folder: &str| {
        let cut = fs::read_dir(street.path().join("new").join(folder).join("person/day"));
        cut.map_or(0, Iterator::count)
    };
    // It takes minutes to cut them all.
    fs::write(&file, labels(50_000)).unwrap();
    let mut command = Command::new(binary("edge-agent"));
    command.arg("models").args(words);
    let mut run_on = Process::start(command, street.path().join("log"));
    eventually("crops to be cut", || {
        beside()
            .iter()
            .any(|folder| crops_in(folder) > 0)
            .then_some(())
    });
    run_on.kill();
    assert_eq!(beside().len(), 1, "{:?}", beside());
    fs::write(&file, labels(2)).unwrap();
    let (code, said) = run(&words);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("of a killed run is taken away"), "{said}");
    assert_eq!(beside(), ["crops"]);
    assert_eq!(crops_in("crops"), 2);
}
