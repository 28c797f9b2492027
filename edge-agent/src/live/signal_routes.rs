//! Signal controllers' messages from the broker to the scenes that watch them.

use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use protocol::id::SignalGroupId;
use protocol::{CameraId, SignalReading};

use super::{StopFlag, now};
use crate::config::CameraConfig;
use crate::controller;

/// A topic's listeners: a signal group of a camera's scene.
type Routes = BTreeMap<String, Vec<(CameraId, SignalGroupId, Sender<SignalReading>)>>;

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
    messages: &Receiver<(String, Vec<u8>)>,
    stop: StopFlag,
) -> anyhow::Result<JoinHandle<()>> {
    let mut routes = Routes::new();
    for camera in cameras {
        for signal in &camera.scene.signals {
            if let (Some(mqtt), Some(scene)) = (&signal.mqtt, scenes.get(&camera.id)) {
                let listener = (camera.id.clone(), signal.group.clone(), scene.clone());
                routes.entry(mqtt.topic.clone()).or_default().push(listener);
            }
        }
    }
    let messages = messages.clone();
    Ok(std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            while !stop.is_set() {
                match messages.recv_timeout(Duration::from_millis(100)) {
                    Ok((topic, payload)) => hand_on(&routes, &topic, &payload),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?)
}

fn hand_on(routes: &Routes, topic: &str, payload: &[u8]) {
    for (camera, group, scene) in routes.get(topic).into_iter().flatten() {
        match controller::read(payload, group, now()) {
            Ok(Some(reading)) => {
                // A lost reading becomes a stale signal, on which nobody is accused.
                if scene.try_send(reading).is_err() {
                    tracing::warn!(%camera, %group, "scene is behind; a signal message was dropped");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%camera, %group, topic, %error, "signal message refused"),
        }
    }
}
