//! `models rollback`: to which version the way back leads.

use std::fs;
use std::path::Path;

use crate::roadside::{Roadside, agent};

/// It was said that the model has no versions here.
#[test]
fn the_way_back_leads_from_a_version_that_lies_damaged_as_well() {
    let here = Roadside::new();
    let file = |name: &str| here.path().join(name).to_str().unwrap().to_owned();
    let run = |models: &str, arguments: &[&str]| {
        let command = ["--log", "error", "models", "--models-dir", models];
        agent(&[&command[..], arguments].concat())
    };
    let (maker, models, public) = (file("models"), file("box"), file("maker.pub"));
    assert!(run(&maker, &["keygen", &file("maker")]).status.success());
    for version in ["1", "2"] {
        let (key, out) = (file("maker.key"), file(&format!("street-{version}.tar")));
        let words = ["bundle", "good", "--rename", "street", "--version", version];
        let made = run(
            &maker,
            &[&words[..], &["--sign", &key, "--out", &out]].concat(),
        );
        assert!(made.status.success(), "{made:?}");
        let taken = run(&models, &["install", &out, "--key", &public]);
        assert!(taken.status.success(), "{taken:?}");
    }
    // Nothing can be read of it any more; its pointer says which it is.
    let street = Path::new(&models).join("street");
    fs::write(street.join("versions/2/bundle.toml"), "x").unwrap();
    let back = run(&models, &["rollback", "street"]);
    let said = String::from_utf8_lossy(&back.stdout);
    assert!(said.contains("from version 2 back to 1"), "{back:?}");
    assert_eq!(fs::read_to_string(street.join("current")).unwrap(), "1");
    fs::write(street.join("current"), "one").unwrap();
    let lost = run(&models, &["rollback", "street"]);
    let said = String::from_utf8_lossy(&lost.stderr);
    assert!(
        said.contains("which version of street is current") && said.contains("one of 1"),
        "{said}"
    );
}

/// The version in between had only been put beside the others, and nobody had ever looked with it.
#[test]
fn the_way_back_leads_to_a_version_that_was_in_use() {
    let here = Roadside::new();
    let file = |name: &str| here.path().join(name).to_str().unwrap().to_owned();
    let (maker, models, public) = (file("models"), file("box"), file("maker.pub"));
    let run = |models: &str, arguments: &[&str]| {
        let command = ["--log", "error", "models", "--models-dir", models];
        let done = agent(&[&command[..], arguments].concat());
        assert!(done.status.success(), "{arguments:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    run(&maker, &["keygen", &file("maker")]);
    for (version, more) in [("1", &[][..]), ("2", &["--no-use"]), ("3", &[])] {
        let (key, out) = (file("maker.key"), file(&format!("street-{version}.tar")));
        let words = ["bundle", "good", "--rename", "street", "--version", version];
        run(
            &maker,
            &[&words[..], &["--sign", &key, "--out", &out]].concat(),
        );
        run(
            &models,
            &[&["install", &out, "--key", &public][..], more].concat(),
        );
    }
    // It was in the shadow as well, and that is no use either.
    let journal = Path::new(&models).join("journal.jsonl");
    let told = fs::read_to_string(&journal).unwrap();
    let line = r#"{"at":"2026-11-26T07:00:00Z","action":"compared","model":"street","version":2,"by":"x"}"#;
    fs::write(&journal, format!("{told}{line}\n")).unwrap();
    let said = run(&models, &["rollback", "street"]);
    assert!(said.contains("from version 3 back to 1"), "{said}");
    // Where it lay here all the while and nobody can tell, the one before it.
    fs::remove_file(Path::new(&models).join("journal.jsonl")).unwrap();
    run(&models, &["use", "street@3"]);
    let said = run(&models, &["rollback", "street"]);
    assert!(said.contains("from version 3 back to 2"), "{said}");
}
