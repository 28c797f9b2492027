//! Signal controllers' messages from the broker to the scenes that watch them.
//!
//! While the broker is gone the lamps may change unheard, so every group that
//! a controller speaks for is unknown from that instant on.

use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};
use edge_uplink::{SignalMessage, SignalNotice, Signals};
use protocol::id::SignalGroupId;
use protocol::signal::SignalSource;
use protocol::{CameraId, EventTime, SignalReading, SignalState};

use super::now;
use super::scene_thread::OnPanic;
use crate::config::CameraConfig;
use crate::controller::{self, Arrival, ControllerFault, Named, Promptness};

/// How long a busy scene is waited for with news that it must not miss.
const PATIENCE: Duration = Duration::from_secs(1);

/// A topic's listeners.
type Routes = BTreeMap<String, Vec<Listener>>;

/// A signal group of a camera's scene.
struct Listener {
    camera: CameraId,
    named: Named,
    promptness: Promptness,
    scene: Sender<SignalReading>,
}

/// Topics that `cameras` listen to.
pub(crate) fn topics(cameras: &[CameraConfig]) -> Vec<String> {
    let mut topics: Vec<String> = cameras
        .iter()
        .flat_map(|camera| &camera.scene.signals)
        .filter_map(|signal| signal.mqtt.as_ref().map(|mqtt| mqtt.topic.clone()))
        .collect();
    topics.sort();
    topics.dedup();
    topics
}

/// Hands messages on until told to stop.
pub(super) fn start(
    cameras: &[CameraConfig],
    scenes: &BTreeMap<CameraId, Sender<SignalReading>>,
    signals: &Signals,
    on_panic: OnPanic,
) -> anyhow::Result<JoinHandle<()>> {
    let mut routes = Routes::new();
    for camera in cameras {
        for signal in &camera.scene.signals {
            if let (Some((topic, named)), Some(scene)) =
                (controller::wanted(signal), scenes.get(&camera.id))
            {
                routes.entry(topic).or_default().push(Listener {
                    camera: camera.id.clone(),
                    named,
                    promptness: Promptness::default(),
                    scene: scene.clone(),
                });
            }
        }
    }
    let signals = signals.clone();
    Ok(std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let held = on_panic;
            while !held.stop_flag().is_set() {
                match signals.recv_timeout(Duration::from_millis(100)) {
                    Ok(SignalNotice::Message(message)) => {
                        count(&signals, hand_on(&mut routes, &message, now()).as_ref());
                    }
                    Ok(SignalNotice::BrokerLost) => all_unknown(&routes, now()),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?)
}

/// Hands one message to its listeners; why one of them refused it, if so.
fn hand_on(
    routes: &mut Routes,
    message: &SignalMessage,
    now: EventTime,
) -> Option<ControllerFault> {
    let topic = &message.topic;
    let mut refused = None;
    let arrival = Arrival {
        at: now,
        is_retained: message.is_retained,
    };
    for listener in routes.get_mut(topic).into_iter().flatten() {
        let Listener {
            camera,
            named,
            promptness,
            scene,
        } = listener;
        let group = &named.group;
        match controller::read(&message.payload, arrival, &named.wanted(), promptness) {
            Ok(Some(reading)) => {
                // A lost reading becomes a stale signal, on which nobody is accused.
                if scene.try_send(reading).is_err() {
                    tracing::warn!(%camera, %group, "scene is behind; a signal message was dropped");
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%camera, %group, topic, %error, "signal message refused");
                refused = Some(error);
                // The lamps may have changed, and whoever publishes on change
                // only does not say so twice.
                if !message.is_retained && scene.try_send(unknown(group, now)).is_err() {
                    tracing::warn!(%camera, %group, "scene is behind; its signal becomes unknown only when it is stale");
                }
            }
        }
    }
    refused
}

/// Once per message, however many groups listen to its topic.
fn count(signals: &Signals, refused: Option<&ControllerFault>) {
    match refused {
        None => {}
        Some(ControllerFault::UndatedRetained) => signals.count_undated(),
        Some(_) => signals.count_refused(),
    }
}

/// Tells every scene that its controllers' last word no longer counts.
fn all_unknown(routes: &Routes, now: EventTime) {
    tracing::warn!(
        "the broker is gone; signals that controllers report are unknown until they report again"
    );
    for listener in routes.values().flatten() {
        let (camera, group) = (&listener.camera, &listener.named.group);
        let reading = unknown(group, now);
        if listener.scene.send_timeout(reading, PATIENCE).is_err() {
            tracing::warn!(%camera, %group, "scene is behind; its signal becomes unknown only when it is stale");
        }
    }
}

/// That a controller's last word no longer counts.
fn unknown(group: &SignalGroupId, now: EventTime) -> SignalReading {
    SignalReading {
        group: group.clone(),
        state: SignalState::Unknown,
        time: now,
        confidence: 1.0,
        source: SignalSource::Mqtt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Receiver, bounded};

    const NOW: EventTime = EventTime::from_micros(10_000_000);

    /// Two groups on one topic and a third on its own.
    fn routes() -> (Routes, Receiver<SignalReading>) {
        let (scene, readings) = bounded(8);
        let listener = |group: &str| Listener {
            camera: CameraId::new("cam-1").unwrap(),
            named: Named {
                group: SignalGroupId::new(group).unwrap(),
                signal_group: None,
                intersection: None,
            },
            promptness: Promptness::default(),
            scene: scene.clone(),
        };
        let routes = Routes::from([
            ("j/1".to_owned(), vec![listener("north"), listener("south")]),
            ("j/2".to_owned(), vec![listener("east")]),
        ]);
        (routes, readings)
    }

    fn message(payload: &str, is_retained: bool) -> SignalMessage {
        SignalMessage {
            topic: "j/1".to_owned(),
            payload: payload.as_bytes().to_vec(),
            is_retained,
        }
    }

    #[test]
    fn a_message_reaches_the_groups_of_its_topic_and_a_kept_one_without_time_reaches_nobody() {
        let (mut routes, readings) = routes();
        assert_eq!(
            hand_on(&mut routes, &message(r#"{"state":"red"}"#, false), NOW),
            None
        );
        let groups: Vec<_> = readings.try_iter().map(|r| r.group.to_string()).collect();
        assert_eq!(groups, ["north", "south"]);
        assert_eq!(
            hand_on(&mut routes, &message(r#"{"state":"red"}"#, true), NOW),
            Some(ControllerFault::UndatedRetained)
        );
        assert_eq!(readings.try_iter().count(), 0);
    }

    /// Of a message that cannot be read nobody knows whether it said green.
    #[test]
    fn after_a_message_that_cannot_be_read_its_groups_are_unknown() {
        for payload in ["what?", r#"{"state":"red","time":"1970-01-01T01:00:00Z"}"#] {
            let (mut routes, readings) = routes();
            assert!(hand_on(&mut routes, &message(payload, false), NOW).is_some());
            let said: Vec<_> = readings.try_iter().map(|r| (r.state, r.time)).collect();
            assert_eq!(said, [(SignalState::Unknown, NOW); 2], "{payload}");
        }
    }

    /// A red that outlived its broker would accuse everybody who drives on green.
    #[test]
    fn when_the_broker_is_gone_every_controllers_group_is_unknown_from_then_on() {
        let (routes, readings) = routes();
        all_unknown(&routes, NOW);
        let said: Vec<_> = readings.try_iter().collect();
        let groups: Vec<_> = said.iter().map(|r| r.group.to_string()).collect();
        assert_eq!(groups, ["north", "south", "east"]);
        assert!(said.iter().all(|reading| {
            (reading.state, reading.time, reading.source)
                == (SignalState::Unknown, NOW, SignalSource::Mqtt)
        }));
    }
}
