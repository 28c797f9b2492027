//! Who is new is on trial, and who is lost or given up gives way to the last good one.

use std::fs;
use std::process::Command;

use crate::roadside::{Roadside, agent_text, metrics, page, started};
use crate::support::{Camera, Process, binary, eventually, free_port, installed, start_agent};

#[test]
fn a_new_model_whose_process_is_killed_three_times_gives_way_to_the_last_good_one() {
    let here = Roadside::new();
    here.good_is_proven();
    // Nobody listens there: the camera is lost, the model is at work.
    let camera = format!("rtsp://127.0.0.1:{}/none", free_port());
    let (config, port) = here.config(&camera, "model = \"new\"\n");
    for attempt in 1..=3 {
        let mut agent = started(&config, here.path(), &format!("{attempt}.log"));
        assert_eq!(here.trials()["attempts"].as_integer(), Some(attempt));
        assert!(metrics(port).contains("model=\"new\""));
        agent.kill();
    }
    let agent = started(&config, here.path(), "4.log");
    let log = agent.log_text();
    assert!(log.contains("given up: the program ended 3 times"), "{log}");
    let text = metrics(port);
    assert!(
        text.contains("model=\"good\"") && text.contains("edge_detector_instead{} 1.0"),
        "{text}"
    );
    assert!(text.contains("provider=\"CPUExecutionProvider\""), "{text}");
    assert_eq!(agent.terminate(), Some(0));
    // It loads, and is not what a start takes.
    let checked = crate::roadside::agent(&["check", "--offline", config.to_str().unwrap()]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    for words in [
        "FAILED  model: new failed here: the program ended 3 times",
        "good takes its place",
    ] {
        assert!(checked.contains(words), "{checked}");
    }

    let models = here.models();
    let models = models.to_str().unwrap();
    let journal = agent_text(&["models", "--models-dir", models, "journal", "--json"]);
    let actions: Vec<&str> = journal
        .lines()
        .map(|line| {
            if line.contains("\"failed\"") {
                "failed"
            } else {
                "returned"
            }
        })
        .collect();
    assert_eq!(actions, ["failed", "returned"], "{journal}");
    let list = agent_text(&["models", "--models-dir", models, "list", "--json"]);
    assert!(list.contains("failed here on"), "{list}");
    assert!(list.contains("\"state\": \"failed\""), "{list}");

    // The operator insists; a stop on purpose is then no failed start.
    agent_text(&["models", "--models-dir", models, "use", "new"]);
    for again in 0..4 {
        let agent = started(&config, here.path(), &format!("again-{again}.log"));
        assert_eq!(agent.terminate(), Some(0));
        let trials = here.trials();
        assert_eq!(trials["attempts"].as_integer(), Some(0), "{trials:?}");
    }
}

/// Who mistyped a name had a line in the log, and another model that judged.
#[test]
fn a_model_that_this_box_never_had_is_a_fault_of_the_configuration() {
    let here = Roadside::new();
    here.good_is_proven();
    for (model, why) in [
        ("nosuch", "there is no model called nosuch; known are "),
        // The catalogue knows it, and nobody has installed it.
        ("yolox-nano", "model yolox-nano is not installed"),
    ] {
        let (config, _) = here.config("rtsp://127.0.0.1:1/none", &format!("model = \"{model}\"\n"));
        let mut command = Command::new(binary("edge-agent"));
        command.arg("run").arg(config);
        let log = here.path().join(format!("{model}.log"));
        let code = Process::start(command, log.clone()).end();
        let log = fs::read_to_string(log).unwrap();
        assert_eq!(code, Some(2), "{log}");
        let told =
            format!("error: detector.model: nothing here shows that this box ever had `{model}`");
        assert!(log.contains(&told) && log.contains(why), "{log}");
        assert!(!log.contains("watching"), "{log}");
    }
}

/// A box at the roadside must not go blind for a file, and must not look well either: `/healthz` said
/// `ok` while another model judged than the one that was asked for.
#[test]
fn a_box_that_lost_its_model_watches_on_with_the_last_good_one_and_says_so() {
    let here = Roadside::new();
    here.good_is_proven();
    let camera = Camera::start(here.path(), &installed("clips/vtest.mp4"), "127.0.0.1:0");
    let (config, port) = here.config(&camera.url, "model = \"new\"\n");
    let agent = started(&config, here.path(), "whole.log");
    assert_eq!(agent.terminate(), Some(0));
    let folder = here.models().join("new");
    for (lost, why) in [
        (
            folder.join("centernet_mb3_512.onnx"),
            "model new is not installed",
        ),
        (folder.join("model.toml"), "there is no model called new"),
    ] {
        fs::remove_file(lost).unwrap();
        let agent = start_agent(here.path(), &config);
        let told = format!("campus: degraded: not the wanted model is at work: {why}");
        eventually(&told, || {
            page(port, "healthz").contains(&told).then_some(())
        });
        let text = metrics(port);
        for line in [
            "edge_detector_instead{} 1.0",
            "edge_camera_watching{camera=\"campus\"} 0.0",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(text.contains("edge_detector{model=\"good\""), "{text}");
        assert_eq!(agent.terminate(), Some(0));
    }
}
