//! A second model looks at the same pictures, live and in a replay, and raises nothing.

use std::fs;

use crate::roadside::{Roadside, agent, metrics};
use crate::support::{Camera, eventually, installed, start_agent};

#[test]
fn a_model_that_works_is_proven_and_its_shadow_is_compared_and_raises_nothing() {
    let here = Roadside::new();
    let camera = Camera::start(here.path(), &installed("clips/vtest.mp4"), "127.0.0.1:0");
    let (config, port) = here.config(
        &camera.url,
        "model = \"new\"\ntrial_min = 0.02\n[detector.shadow]\nmodel = \"good\"\nevery = 2\n",
    );
    let agent = start_agent(here.path(), &config);
    eventually("the model to be proven", || {
        let proven = here
            .trials()
            .get("proven")?
            .get("sha256")?
            .as_str()?
            .to_owned();
        (proven == here.digest("new")).then_some(())
    });
    let of = |text: &str, line: &str| -> Option<f64> {
        let line = text.lines().find(|l| l.starts_with(line))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let text = eventually("people seen by both", || {
        let text = metrics(port);
        let line = "edge_shadow_things_total{model=\"good\",class=\"person\",outcome=\"matched\"}";
        (of(&text, line)? > 5.0).then_some(text)
    });
    // The same network: they can only agree.
    assert!(
        of(&text, "edge_shadow_pictures_total").unwrap() > 0.0,
        "{text}"
    );
    for outcome in ["class_differs", "only_current", "only_shadow"] {
        let line = format!(
            "edge_shadow_things_total{{model=\"good\",class=\"person\",outcome=\"{outcome}\"}}"
        );
        assert_eq!(of(&text, &line), Some(0.0), "{text}");
    }
    let looked = of(&text, "edge_frames_analysed_total").unwrap();
    assert!(
        of(&text, "edge_shadow_pictures_total").unwrap() <= looked / 2.0 + 2.0,
        "{text}"
    );
    let log = here.path().join("agent.log");
    assert_eq!(agent.terminate(), Some(0));
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("shadow model compared"), "{log}");
}

/// Recorded clips are where two models are compared, and a replay did not even say that it
/// passes the second one over.
#[test]
fn a_replay_compares_the_shadow_as_a_box_does_and_its_events_stay_the_same() {
    const RULE: &str = "[[camera.zone]]\nid = \"yard\"\npoints = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]\n\
                        [[camera.rule]]\nid = \"people\"\nkind = \"intrusion\"\nzone = \"yard\"\n";
    let here = Roadside::new();
    let clip = installed("clips/vtest.mp4");
    let file = here.path().join("agreement.jsonl");
    let replay = |shadow: &str, more: &[&str]| {
        let detector = format!("model = \"new\"\n{shadow}");
        let (config, _) = here.config("rtsp://127.0.0.1/none", &detector);
        let text = fs::read_to_string(&config).unwrap();
        fs::write(
            &config,
            text.replace("[detector]\n", &format!("{RULE}[detector]\n")),
        )
        .unwrap();
        let words = ["replay", clip.to_str().unwrap(), "--analysed-fps", "2"];
        let config = ["--config", config.to_str().unwrap()];
        let output = agent(&[&words[..], &config, more].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), output.stdout, told)
    };
    let (code, alone, told) = replay("", &[]);
    assert_eq!((code, told.contains("shadow")), (Some(0), false), "{told}");
    assert!(!alone.is_empty(), "{told}");

    let shadow = "[detector.shadow]\nmodel = \"good\"\nevery = 4\n";
    let to = ["--shadow", file.to_str().unwrap()];
    let (code, beside, told) = replay(shadow, &to);
    assert_eq!(code, Some(0), "{told}");
    assert!(alone == beside, "the shadow changes events: {told}");
    // The same network: they can only agree.
    assert!(
        told.contains("shadow model good: it agrees with the detector in 100.0 % of "),
        "{told}"
    );
    let lines = fs::read_to_string(&file).unwrap();
    let people = lines
        .lines()
        .find(|line| line.contains("\"person\""))
        .unwrap();
    let people: serde_json::Value = serde_json::from_str(people).unwrap();
    assert!(people["matched"].as_u64() > Some(20), "{people}");
    for outcome in ["class_differs", "only_current", "only_shadow"] {
        assert_eq!(people[outcome], 0, "{people}");
    }
    // One of four of a hundred and sixty looks, as if by lot.
    let pictures = people["pictures"].as_u64().unwrap();
    assert!((20..=60).contains(&pictures), "{people}");

    let none = "[detector.shadow]\nmodel = \"nobody\"\n";
    let (code, without, told) = replay(none, &[]);
    assert_eq!((code, alone == without), (Some(0), true), "{told}");
    assert!(
        told.contains("warning: no model is compared in the shadow: "),
        "{told}"
    );
    let (code, _, told) = replay(none, &to);
    assert_eq!((code, told.contains("--shadow")), (Some(1), true), "{told}");
    let (code, _, told) = replay("", &to);
    assert_eq!(
        (code, told.contains("[detector.shadow]")),
        (Some(2), true),
        "{told}"
    );
}
