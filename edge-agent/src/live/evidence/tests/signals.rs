//! What is said of the signals in a still of the moment of the decision.

use edge_core::{Identity, Input, Scene, SceneConfig};
use protocol::event::Provenance;
use protocol::id::SignalGroupId;
use protocol::signal::SignalSource;
use protocol::{Detections, SignalReading, SignalState};

use super::*;

/// A scene with one signal group.
fn scene(event: &Event) -> Scene {
    let keys = "[[signal]]\ngroup = 'main'\nmqtt = { topic = 'a/b' }\nstale_after_s = 60.0\n";
    let (config, faults) = SceneConfig::from_table(&keys.parse().unwrap());
    assert!(faults.is_empty(), "{faults:?}");
    let identity = Identity {
        site: event.site.clone(),
        box_id: event.box_id.clone(),
        camera: event.camera.clone(),
        place: None,
        simulated: false,
        provenance: Provenance::default(),
    };
    Scene::new(identity, config, None).unwrap()
}

/// The still of what a second look decided said "red" under the green lamp of its picture:
/// the signal was red when the answer came.
#[test]
fn a_still_says_what_the_signals_showed_in_its_picture_and_not_what_they_show_now() {
    let site = Site::new();
    let trail = SharedTrail::new(&site.config.cameras[0].clip);
    let mut scene = scene(&site.event);
    let decided = site.event.decided.time;
    for (second, state) in [(0.0, SignalState::Green), (1.0, SignalState::Red)] {
        let time = decided + Seconds(second);
        let reading = SignalReading {
            group: SignalGroupId::new("main").unwrap(),
            state,
            time,
            confidence: 1.0,
            source: SignalSource::Mqtt,
        };
        let detections = Detections {
            frame: 0,
            time,
            time_quality: TimeQuality::Rtcp,
            aspect: 1.5,
            believed_from: 0.5,
            camera_motion: None,
            is_followed: false,
            items: Vec::new(),
        };
        scene.handle(Input::Signal(reading), &mut Vec::new());
        scene.handle(Input::Detections(detections), &mut Vec::new());
        let at = FrameTime { frame: 0, time };
        trail.lock().note(at, Vec::new(), &scene);
    }
    let publisher = site.publisher();
    let proof = Proof {
        publisher: &publisher,
        trail: &trail,
        desk: None,
        scene: &scene,
        aspect: 1.5,
    };
    let shown = |second: f64| {
        let moment = proof.moment(
            &Event {
                decided: FrameTime {
                    frame: 0,
                    time: decided + Seconds(second),
                },
                ..site.event.clone()
            },
            decided + Seconds(second),
        );
        let states = moment.signals.iter().map(|(_, state)| state.as_str());
        states.collect::<Vec<_>>().join(" ")
    };
    // Of a moment between frames that were looked at nobody knows; passing time decides now.
    let then = [-1.0, 0.0, 0.5, 1.0, 2.0].map(shown);
    assert_eq!(then, ["", "green", "", "red", "red"]);
}
