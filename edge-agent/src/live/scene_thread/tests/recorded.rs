//! What a segment says of the cascades that were at work, and what its replay makes of it.

use edge_core::Output;
use protocol::id::{EventId, ModelId};
use protocol::{Digest, Phase};

use super::*;
use crate::replay::Player;

const BURNING: &str = "[[camera.rule]]\nid = 'burning'\nkind = 'fire'\nmin_duration_s = 3.0\n\
     min_growth_pct = 0.0\n\
     [[camera.cascade]]\nid = 'flames'\nmodel = 'my-fire'\ngives = 'fire'\n";

/// Five seconds of a fire that the detector sees.
fn burn(camera: &mut Camera) {
    for tenth in 0..50 {
        let second = f64::from(tenth) / 10.0;
        let mut work = camera.look(second);
        if let Some(Input::Detections(seen)) = work.inputs.first_mut() {
            seen.items[0].class = ObjectClass::Fire;
        }
        camera.at(second).take(work);
    }
}

/// Of a box whose detector gives fire, with these of its cascades.
fn watching(cascades: Option<&[protocol::id::CascadeId]>) -> Camera {
    let mut camera = Camera::new(BURNING);
    let setup = &mut camera.room.setup;
    if let Some(cascades) = cascades {
        setup.config = setup.config.with_only(cascades);
    }
    setup.detector = Some(DetectorIdentity {
        model: ModelId::new("own").unwrap(),
        digest: Digest([7; 32]),
        classes: Some(vec![ObjectClass::Person, ObjectClass::Fire]),
    });
    burn(&mut camera);
    if let Some(recorder) = &mut camera.room.setup.recorder {
        recorder.finish();
    }
    camera
}

/// Events that the box has published and not ended.
fn published(camera: &Camera) -> Vec<EventId> {
    let events = camera.room.setup.publisher.outbox.open_events().unwrap();
    events.into_iter().map(|event| event.id).collect()
}

/// Events that begin in the replay by the configuration of the box, and what is said of it.
fn replayed(camera: &Camera) -> (Vec<EventId>, Vec<String>) {
    let config = camera.config();
    let inputs = camera.folder.path().join("inputs");
    let mut player = Player::open(&inputs, &config, None).unwrap();
    let (mut outputs, mut begun) = (Vec::new(), Vec::new());
    while player.next_scene().unwrap().is_some() {
        while let Some((scene, input)) = player.next_input().unwrap() {
            scene.handle(input, &mut outputs);
        }
    }
    for output in outputs {
        if let Output::Event(event) = output
            && event.phase == Phase::Start
        {
            begun.push(event.id);
        }
    }
    (begun, player.finish(true).warnings)
}

/// The model of a cascade was left out at the start: by the detector alone there was a fire.
/// The replay had the cascade, which never said a word, and there was none.
#[test]
fn a_replay_is_without_the_cascades_that_could_not_begin() {
    let camera = watching(Some(&[]));
    let fires = published(&camera);
    assert_eq!(fires.len(), 1, "{fires:?}");
    let (again, warnings) = replayed(&camera);
    assert_eq!(again, fires);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let told = "recorded without the cascades flames";
    assert!(warnings[0].starts_with(told), "{warnings:?}");

    // Where it was at work it was waited for, in the replay as well.
    let camera = watching(None);
    assert_eq!(published(&camera), []);
    assert_eq!(replayed(&camera), (Vec::new(), Vec::new()));
}

#[test]
fn what_a_recording_of_an_older_agent_is_taken_for_is_said() {
    let camera = watching(None);
    let inputs = camera.folder.path().join("inputs");
    for file in series(&inputs, None).unwrap() {
        let mut reader = RecordingReader::open(&file).unwrap();
        let mut text = String::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            let line = match entry {
                Entry::Segment(mut head) => {
                    head.cascades = None;
                    serde_json::json!({ "segment": head }).to_string()
                }
                Entry::Input(input) => serde_json::to_string(&input).unwrap(),
                Entry::Head(head) => panic!("{head:?} in a segment"),
            };
            assert!(!line.contains("\"cascades\""), "{line}");
            text += &line;
            text.push('\n');
        }
        std::fs::remove_file(&file).unwrap();
        let plain = file.with_extension("");
        std::fs::write(plain, text).unwrap();
    }
    let (_, warnings) = replayed(&camera);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let told = "does not say which cascades were at work";
    assert!(
        warnings[0].contains(told) && warnings[0].contains("(flames)"),
        "{warnings:?}"
    );
}
