//! `edge-agent explain EVENT --inputs FILE`: why did the box say that?
//!
//! Plays the recorded inputs again, finds the event, tells it in sentences, and
//! draws who did it where on a still: on the clip's own picture where there is
//! the clip, otherwise on a schematic of zones, lines and boxes.

pub mod sentences;
mod words;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use case_bundle::aside;
use edge_core::{NearMiss, Output, Scene};
use edge_video::{ClipReader, Frame};
use protocol::evidence::EvidenceRole;
use protocol::{CameraId, Event, EventTime, NormBox, ObjectClass, Phase};

use crate::config::AgentConfig;
use crate::live::StopFlag;
use crate::replay::Player;
use crate::stills::{self, Canvas};
use sentences::{Language, Teller};

/// Events listed when the one that was asked for is not there.
const MOST_LISTED: usize = 12;
/// A frame of the clip farther from the decision than this is another clip's, s.
const NEAR_S: f64 = 1.0;

/// What to explain.
#[derive(Debug)]
pub struct ExplainRequest {
    /// An event's id, or its beginning.
    pub event: String,
    /// A recording of inputs, or a folder of them.
    pub inputs: PathBuf,
    /// Configuration with the camera's zones and rules.
    pub config: PathBuf,
    /// Which camera of it.
    pub camera: Option<CameraId>,
    /// In which language.
    pub language: Language,
    /// Also what else the same road users nearly did.
    pub near_misses: bool,
    /// Where a still goes.
    pub still: Option<PathBuf>,
    /// The clip from which the inputs were made.
    pub clip: Option<PathBuf>,
    /// The instant of the clip's first frame.
    pub start: EventTime,
}

/// What was found of an event.
struct Case {
    revisions: Vec<Event>,
    /// Everybody in sight when it was decided.
    road_users: Vec<(NormBox, ObjectClass)>,
    aspect: f64,
}

/// An explanation.
#[derive(Debug)]
pub struct Explained {
    /// In sentences.
    pub text: String,
    /// Which parts of the recording cannot be read; empty when it is whole.
    pub damage: Vec<String>,
}

/// Explains, as far as the recording can be read.
pub fn explain(request: &ExplainRequest, stop: &StopFlag) -> anyhow::Result<Explained> {
    let wanted = request.event.to_ascii_lowercase();
    if wanted.is_empty() {
        bail!("which event? give its id, or the beginning of it");
    }
    let config = AgentConfig::load(&request.config)?;
    let mut player = Player::open(&request.inputs, &config, request.camera.as_ref())?;
    player.endure_damage();
    let camera = player.camera();
    let mut others: Vec<Event> = Vec::new();
    let mut cases: Vec<Case> = Vec::new();
    let mut misses: Vec<NearMiss> = Vec::new();
    let mut outputs = Vec::new();
    let mut aspect = 16.0 / 9.0;
    while let Some(scene) = player.next_scene()? {
        scene.tell_near_misses();
        while let Some((scene, input)) = player.next_input()? {
            if stop.is_set() {
                bail!("stopped before the end of the recording");
            }
            if let edge_core::Input::Detections(frame) = &input {
                aspect = frame.aspect;
            }
            scene.handle(input, &mut outputs);
            for output in outputs.drain(..) {
                match output {
                    Output::Event(event) if event.id.to_string().starts_with(&wanted) => {
                        take(&mut cases, event, scene, aspect);
                    }
                    Output::Event(event) if event.phase == Phase::Start => others.push(event),
                    Output::NearMiss(miss) => misses.push(miss),
                    _ => {}
                }
            }
        }
    }
    let pass = player.finish(true);
    for warning in &pass.warnings {
        aside!("warning: {warning}");
    }
    let damage = pass.damage;
    let case = match cases.as_slice() {
        [case] => case,
        [] if !damage.is_empty() => bail!(
            "{}\nparts of the recording cannot be read, and it may be in one of them:\n  {}",
            not_found(&request.event, &others),
            damage.join("\n  ")
        ),
        [] => bail!("{}", not_found(&request.event, &others)),
        several => {
            let ids: Vec<String> = several
                .iter()
                .map(|case| outline(&case.revisions[0]))
                .collect();
            bail!(
                "`{}` is the beginning of several events; write more of it:\n{}",
                request.event,
                ids.join("\n")
            )
        }
    };
    let teller = Teller {
        language: request.language,
        utc_offset_min: camera.scene.utc_offset_min,
    };
    let mut text = teller.event(&case.revisions);
    if request.near_misses {
        let event = &case.revisions[0];
        let of_same = |miss: &&NearMiss| event.actors.iter().any(|a| a.track == miss.subject);
        let mut of_same = misses.iter().filter(of_same).peekable();
        if of_same.peek().is_none() {
            text.push('\n');
            text.push_str(teller.no_near_misses());
        }
        for miss in of_same {
            text.push('\n');
            text.push_str(&teller.near_miss(miss));
        }
    }
    if let Some(path) = &request.still {
        draw(path, case, request, &camera.scene, &teller)?;
    }
    Ok(Explained { text, damage })
}

fn take(cases: &mut Vec<Case>, event: Event, scene: &Scene, aspect: f64) {
    let known = cases
        .iter_mut()
        .find(|case| case.revisions[0].id == event.id);
    if let Some(case) = known {
        case.revisions.push(event);
        return;
    }
    let road_users = scene
        .tracks()
        .filter(|track| track.is_seen)
        .map(|track| (track.bounds, track.class))
        .collect();
    cases.push(Case {
        revisions: vec![event],
        road_users,
        aspect,
    });
}

fn outline(event: &Event) -> String {
    format!(
        "  {}  {}  {} ({})",
        event.id, event.onset, event.kind, event.rule
    )
}

fn not_found(wanted: &str, events: &[Event]) -> String {
    if events.is_empty() {
        return format!(
            "there is no event `{wanted}` in the recording, nor any other; is it the recording of \
             that camera and time, with the configuration of then?"
        );
    }
    // Ids differ wholly when site, box, camera or rule has another name, so the
    // nearest in time help more than the nearest in spelling.
    let mut text = format!(
        "there is no event `{wanted}` in the recording; there are {} others",
        events.len()
    );
    if let (Some(first), Some(last)) = (events.first(), events.last()) {
        let _ok = write!(text, ", from {} to {}", first.onset, last.onset);
    }
    text.push(':');
    for event in events.iter().take(MOST_LISTED) {
        text.push('\n');
        text.push_str(&outline(event));
    }
    if events.len() > MOST_LISTED {
        text.push_str("\n  … (`edge-agent replay --inputs` lists all)");
    }
    text
}

fn draw(
    path: &Path,
    case: &Case,
    request: &ExplainRequest,
    scene: &edge_core::SceneConfig,
    teller: &Teller,
) -> anyhow::Result<()> {
    let event = &case.revisions[0];
    let frame = request
        .clip
        .as_deref()
        .map(|clip| frame_at(clip, request.start, event.decided.time))
        .transpose()?;
    let canvas = match &frame {
        Some(frame) => Canvas::Frame(frame),
        None => Canvas::Schematic {
            aspect: case.aspect,
            road_users: case
                .road_users
                .iter()
                .map(|(bounds, class)| (*bounds, teller.class(*class).to_owned()))
                .collect(),
        },
    };
    let stills = stills::draw(event, None, scene, &canvas, teller)?;
    let still = stills
        .iter()
        .find(|still| still.role == EvidenceRole::StillAnnotated)
        .context("there is no still")?;
    std::fs::write(path, &still.jpeg).with_context(|| {
        format!(
            "cannot write {}; check that its folder exists",
            path.display()
        )
    })
}

/// The frame of the clip that is nearest to `at`.
fn frame_at(clip: &Path, start: EventTime, at: EventTime) -> anyhow::Result<Frame> {
    edge_video::init()?;
    let mut reader = ClipReader::open(clip, start)?;
    let mut nearest: Option<Frame> = None;
    let distance = |frame: &Frame| frame.time.since(at).0.abs();
    while let Some(frame) = reader.next_frame()? {
        if nearest
            .as_ref()
            .is_some_and(|best| distance(best) <= distance(&frame))
        {
            break;
        }
        nearest = Some(frame);
    }
    let near = nearest.filter(|frame| distance(frame) <= NEAR_S);
    near.with_context(|| {
        format!(
            "{} shows nothing of {at}; give the clip that the inputs were made from, and its \
             --start as then",
            clip.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_not_there_is_answered_with_those_that_are() {
        assert!(not_found("abc", &[]).contains("nor any other"));
        let line = r#"{"id":"c9d8b87e-32f2-5469-978d-0293e1c17075","revision":1,"phase":"start","kind":"k","rule":"r","site":"s","box":"b","camera":"c","severity":"minor","title":{"vi":"","en":""},"onset":"2026-01-01T00:00:00Z","decided":{"frame":1,"time":"2026-01-01T00:00:00Z"},"time_quality":"media","explanation":[]}"#;
        let event: Event = serde_json::from_str(line).unwrap();
        let text = not_found("abc", &vec![event; 20]);
        assert!(
            text.contains("c9d8b87e") && text.contains("20 others"),
            "{text}"
        );
        assert_eq!(text.matches("c9d8b87e").count(), MOST_LISTED);
    }
}
