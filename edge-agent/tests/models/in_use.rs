//! `models use`: who detects is chosen, and changes for nothing else.

use std::fs;
use std::path::Path;

use crate::roadside::{Roadside, agent};

/// A second model for a cascade, which sees road users as well, comes in and goes back.
#[test]
fn what_is_installed_or_rolled_back_never_changes_who_detects() {
    let here = Roadside::new();
    let file = |name: &str| here.path().join(name).to_str().unwrap().to_owned();
    let (models, public) = (file("box"), file("maker.pub"));
    let run = |models: &str, arguments: &[&str]| {
        let command = ["--log", "error", "models", "--models-dir", models];
        let done = agent(&[&command[..], arguments].concat());
        assert!(done.status.success(), "{arguments:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(
        agent(&["models", "keygen", &file("maker")])
            .status
            .success()
    );
    let bundle = |model: &str, as_what: &str, version: &str| {
        let (key, out) = (file("maker.key"), file(&format!("{as_what}-{version}.tar")));
        let words = ["bundle", model, "--rename", as_what, "--version", version];
        let rest = ["--sign", &key, "--out", &out];
        run(&file("models"), &[&words[..], &rest].concat());
        out
    };
    let install = |bundle: &str| run(&models, &["install", bundle, "--key", &public]);
    let in_use = || {
        let list: serde_json::Value =
            serde_json::from_str(&run(&models, &["list", "--json"])).unwrap();
        let listed = list.as_array().unwrap().iter();
        let mut used = listed.filter(|model| model["state"] == "in_use");
        used.next().unwrap()["model"].as_str().unwrap().to_owned()
    };
    let (street, first, second) = (
        bundle("good", "street", "1"),
        bundle("new", "a-helmets", "1"),
        bundle("good", "a-helmets", "2"),
    );
    // The first that comes is taken.
    install(&street);
    assert_eq!(in_use(), "street");
    // By rank and name the other would come first, chosen or not.
    for is_chosen in [true, false] {
        if !is_chosen {
            fs::remove_file(Path::new(&models).join("use.toml")).unwrap();
            fs::remove_dir_all(Path::new(&models).join("a-helmets")).unwrap();
            // Which remembers that its second version was here.
            fs::remove_file(Path::new(&models).join("journal.jsonl")).unwrap();
        }
        let said = install(&first);
        assert!(said.contains("street goes on as the detector"), "{said}");
        assert_eq!(in_use(), "street");
        install(&second);
        assert_eq!(in_use(), "street");
        run(&models, &["rollback", "a-helmets"]);
        assert_eq!(in_use(), "street");
    }
    run(&models, &["use", "a-helmets@2"]);
    assert_eq!(in_use(), "a-helmets");
    // Its own versions come and go without a word more.
    run(&models, &["rollback"]);
    assert_eq!(in_use(), "a-helmets");
    run(&models, &["use", "street"]);
    assert_eq!(in_use(), "street");
}
