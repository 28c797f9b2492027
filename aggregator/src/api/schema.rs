//! The protocol's types as the description of the API shows them.
//!
//! `protocol` knows nothing of OpenAPI, which is for this program alone. These
//! are its twins for the description, and never hold a value; a test holds them
//! against what the real ones write.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::view::{PlaceView, WordsView};

/// What a camera's box says of it (`protocol::status::CameraStatus`).
#[derive(ToSchema)]
#[schema(as = CameraStatus)]
#[allow(dead_code)] // described, never made
pub(super) struct CameraStatusSchema {
    /// Installation.
    site: String,
    /// Box.
    #[schema(rename = "box")]
    box_id: String,
    /// Camera.
    camera: String,
    /// As people call it.
    name: String,
    /// Where it stands.
    #[schema(nullable = false)]
    place: Option<PlaceView>,
    /// Whether it is a simulation; left out when not.
    #[schema(required = false)]
    simulated: bool,
    /// Whether it is watching.
    health: CameraHealthSchema,
    /// Why not, and what to do.
    #[schema(nullable = false)]
    reason: Option<WordsView>,
    /// Since when `health` is what it is.
    #[schema(format = DateTime)]
    since: String,
    /// When this was written.
    #[schema(format = DateTime)]
    at: String,
    /// Reconnections since the box started.
    retries: u64,
    /// Frames received since the box started.
    frames_received: u64,
    /// Frames given to the rules since the box started.
    frames_analysed: u64,
    /// Frames not looked at, all reasons together.
    frames_dropped: u64,
    /// Frames analysed per second, over the last ten seconds.
    analysed_fps: f64,
    /// Clock of the last frame.
    #[schema(nullable = false)]
    time_quality: Option<TimeQualitySchema>,
    /// The detector at work.
    #[schema(nullable = false)]
    model: Option<String>,
    /// How long each rule was watching since the box started; left out by older boxes.
    #[schema(required = false)]
    coverage: Vec<RuleCoverageSchema>,
    /// Rules beyond those of `coverage`; left out when none.
    #[schema(required = false)]
    coverage_left_out: u64,
    /// How the stream is that evidence is made of; left out where it is the one
    /// that is looked at.
    #[schema(nullable = false)]
    evidence_stream: Option<StreamStatusSchema>,
    /// How the recording of inputs goes; left out where none is asked for.
    #[schema(nullable = false)]
    recording: Option<RecordingStatusSchema>,
    /// What makes pictures of the stream; left out where there is none.
    #[schema(nullable = false)]
    decoder: Option<DecoderStatusSchema>,
    /// The detector at work, where it is not as configured.
    #[schema(nullable = false)]
    detector: Option<DetectorStatusSchema>,
    /// The models that look beside the detector; left out when none.
    #[schema(required = false)]
    second_models: Vec<SecondModelStatusSchema>,
}

/// What makes pictures of a camera's stream.
#[derive(ToSchema)]
#[schema(as = DecoderStatus)]
#[allow(dead_code)] // described, never made
pub(super) struct DecoderStatusSchema {
    /// Its name in GStreamer.
    name: String,
    /// What it runs on: `va`, `nvdec`, `mpp`, `v4l2`, … or `software`.
    family: String,
    /// Those that would come first but are not used, and why; left out when none.
    #[schema(required = false)]
    refused: Vec<String>,
}

/// How long a rule was watching since the box started.
#[derive(ToSchema)]
#[schema(as = RuleCoverage)]
#[allow(dead_code)] // described, never made
pub(super) struct RuleCoverageSchema {
    /// Which rule.
    rule: String,
    /// Seconds in which it was watching.
    watched_s: f64,
    /// Seconds in which it was not, by reason; left out when none.
    #[schema(required = false)]
    unwatched_s: BTreeMap<String, f64>,
}

/// What computes for a camera's detector.
#[derive(ToSchema)]
#[schema(as = DetectorStatus)]
#[allow(dead_code)] // described, never made
pub(super) struct DetectorStatusSchema {
    /// What computes, for example `cpu`, `openvino`, `cuda`; `none` where the model is not at work.
    provider: String,
    /// Whether it was looked at that it does: `proved` or `unproven`; left out by older agents.
    #[schema(required = false)]
    placement: String,
    /// Why another model than the wanted one is at work, or none, and what to do.
    #[schema(nullable = false)]
    instead: Option<WordsView>,
    /// Those that come before it by configuration and do not compute.
    #[schema(required = false)]
    refused: Vec<RefusedProviderSchema>,
    /// Times that a provider was lost at work; left out when none.
    #[schema(required = false)]
    losses: u64,
    /// Looks on which the model failed; left out when none.
    #[schema(required = false)]
    failures: u64,
    /// Answers that were no numbers; left out when none.
    #[schema(required = false)]
    broken: u64,
}

/// A model that looks beside the detector.
#[derive(ToSchema)]
#[schema(as = SecondModelStatus)]
#[allow(dead_code)] // described, never made
pub(super) struct SecondModelStatusSchema {
    /// Its name, `plates` for the reader of number plates.
    model: String,
    /// What for: `cascade`, where rules rest on it, or `shadow`.
    job: String,
    /// Looks that it took, of all cameras.
    looks: u64,
    #[schema(inline)]
    #[serde(flatten)]
    fares: DetectorStatusSchema,
}

/// A provider that was asked for and does not compute.
#[derive(ToSchema)]
#[schema(as = RefusedProvider)]
#[allow(dead_code)] // described, never made
pub(super) struct RefusedProviderSchema {
    /// Which.
    provider: String,
    /// Why not, and what to do.
    reason: WordsView,
}

/// One of a camera's streams.
#[derive(ToSchema)]
#[schema(as = StreamStatus)]
#[allow(dead_code)] // described, never made
pub(super) struct StreamStatusSchema {
    /// Whether its pictures come.
    health: CameraHealthSchema,
    /// Why not, and what to do.
    #[schema(nullable = false)]
    reason: Option<WordsView>,
    /// Since when `health` is what it is.
    #[schema(value_type = String, format = DateTime)]
    since: String,
}

/// How the recording of a camera's inputs goes.
#[derive(ToSchema)]
#[schema(as = RecordingStatus)]
#[allow(dead_code)] // described, never made
pub(super) struct RecordingStatusSchema {
    /// Whether inputs are being recorded now.
    is_recording: bool,
    /// Times that they could not be, since the box started.
    failures: u64,
    /// Why not, and what to do.
    #[schema(nullable = false)]
    reason: Option<WordsView>,
}

/// Whether a camera is watching.
#[derive(ToSchema)]
#[schema(as = CameraHealth, rename_all = "snake_case")]
#[allow(dead_code)] // described, never made
pub(super) enum CameraHealthSchema {
    /// Trying for the first time, or again.
    Connecting,
    /// Frames come and are looked at.
    Watching,
    /// Frames come, but something is wrong with them.
    Degraded,
    /// No frames.
    Lost,
    /// Not running, on purpose.
    Stopped,
    /// A word of a later version.
    Unknown,
}

/// Which clock a time came from, best first.
#[derive(ToSchema)]
#[schema(as = TimeQuality, rename_all = "snake_case")]
#[allow(dead_code)] // described, never made
pub(super) enum TimeQualitySchema {
    /// The camera's own.
    Rtcp,
    /// The box's, when the picture arrived.
    Arrival,
    /// Media time of a recorded clip.
    Media,
    /// A word of a later version.
    Unknown,
}

/// What a box or its last will says (`protocol::status::BoxStatus`).
#[derive(ToSchema)]
#[schema(as = BoxStatus)]
#[allow(dead_code)] // described, never made
pub(super) struct BoxStatusSchema {
    /// Installation.
    site: String,
    /// Box.
    #[schema(rename = "box")]
    box_id: String,
    /// Whether it is connected.
    online: bool,
    /// Version of the agent.
    version: String,
    /// When this connection was made.
    #[schema(format = DateTime)]
    at: String,
    /// Messages not yet receipted by the centre.
    outbox_waiting: u64,
    /// Something the operator of the box must mend.
    #[schema(nullable = false)]
    trouble: Option<WordsView>,
    /// Where its outbox stands.
    #[schema(nullable = false)]
    outbox: Option<OutboxPositionSchema>,
}

/// Which agent speaks for a box (`protocol::status::OutboxPosition`).
#[derive(ToSchema)]
#[schema(as = OutboxPosition)]
#[allow(dead_code)] // described, never made
pub(super) struct OutboxPositionSchema {
    /// Which outbox.
    #[schema(format = Uuid)]
    id: String,
    /// Which start of the agent.
    #[schema(format = Uuid)]
    run: String,
    /// Lowest sequence that the box still holds.
    floor: u64,
    /// Everything up to here was receipted.
    receipted: u64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use protocol::event::{Place, Words};
    use protocol::id::ModelId;
    use protocol::status::{
        BoxStatus, CameraHealth, CameraStatus, DecoderStatus, DetectorStatus, OutboxPosition,
        RecordingStatus, RefusedProvider, RuleCoverage, SecondModelStatus,
    };
    use protocol::{BoxId, CameraId, EventTime, RuleId, SiteId, TimeQuality};
    use serde_json::Value;
    use utoipa::PartialSchema;
    use uuid::Uuid;

    use super::*;

    fn keys(value: &Value) -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    fn described<T: PartialSchema>() -> Value {
        serde_json::to_value(T::schema()).unwrap()
    }

    fn second_model() -> SecondModelStatus {
        SecondModelStatus {
            model: "plates".to_owned(),
            job: "cascade".to_owned(),
            looks: 7,
            fares: DetectorStatus {
                provider: "cpu".to_owned(),
                placement: "unproven".to_owned(),
                instead: Some(Words::new("a", "b")),
                refused: Vec::new(),
                losses: 0,
                failures: 1,
                broken: 0,
            },
        }
    }

    fn camera() -> CameraStatus {
        CameraStatus {
            site: SiteId::new("hanoi").unwrap(),
            box_id: BoxId::new("b1").unwrap(),
            camera: CameraId::new("c1").unwrap(),
            name: "C1".to_owned(),
            place: Some(Place {
                name: "Ngã tư Sở".to_owned(),
                latitude: None,
                longitude: None,
            }),
            simulated: true,
            health: CameraHealth::Watching,
            reason: Some(Words::new("a", "b")),
            since: EventTime::from_micros(0),
            at: EventTime::from_micros(0),
            retries: 0,
            frames_received: 0,
            frames_analysed: 0,
            frames_dropped: 0,
            analysed_fps: 0.0,
            time_quality: Some(TimeQuality::Rtcp),
            model: Some(ModelId::new("yolox-nano").unwrap()),
            coverage: vec![RuleCoverage {
                rule: RuleId::new("red").unwrap(),
                watched_s: 1.0,
                unwatched_s: BTreeMap::from([("no_model".to_owned(), 1.0)]),
            }],
            coverage_left_out: 1,
            evidence_stream: Some(protocol::status::StreamStatus {
                health: CameraHealth::Lost,
                reason: Some(Words::new("a", "b")),
                since: EventTime::from_micros(0),
            }),
            recording: Some(RecordingStatus {
                is_recording: false,
                failures: 1,
                reason: Some(Words::new("a", "b")),
            }),
            detector: Some(DetectorStatus {
                provider: "cpu".to_owned(),
                placement: "proved".to_owned(),
                instead: Some(Words::new("a", "b")),
                refused: vec![RefusedProvider {
                    provider: "cuda".to_owned(),
                    reason: Words::new("a", "b"),
                }],
                losses: 1,
                failures: 1,
                broken: 1,
            }),
            second_models: vec![second_model()],
            decoder: Some(DecoderStatus {
                name: "avdec_h264".to_owned(),
                family: "software".to_owned(),
                refused: vec!["vah264dec hangs".to_owned()],
            }),
        }
    }

    #[test]
    fn statuses_are_described_as_they_are_written() {
        let status = BoxStatus {
            site: SiteId::new("hanoi").unwrap(),
            box_id: BoxId::new("b1").unwrap(),
            online: true,
            version: "1".to_owned(),
            at: EventTime::from_micros(0),
            outbox_waiting: 0,
            trouble: Some(Words::new("a", "b")),
            outbox: Some(OutboxPosition {
                id: Uuid::nil(),
                run: Uuid::nil(),
                floor: 1,
                receipted: 0,
            }),
        };
        for (written, described) in [
            (
                serde_json::to_value(camera()),
                described::<CameraStatusSchema>(),
            ),
            (serde_json::to_value(status), described::<BoxStatusSchema>()),
        ] {
            assert_eq!(keys(&written.unwrap()), keys(&described["properties"]));
        }
        // What may be left out is not required.
        let mut bare = camera();
        (bare.place, bare.reason, bare.time_quality, bare.model) = (None, None, None, None);
        bare.simulated = false;
        (bare.coverage, bare.coverage_left_out, bare.recording) = (Vec::new(), 0, None);
        bare.decoder = None;
        bare.detector = None;
        bare.second_models = Vec::new();
        bare.evidence_stream = None;
        let bare = keys(&serde_json::to_value(bare).unwrap());
        let required: BTreeSet<String> =
            serde_json::from_value(described::<CameraStatusSchema>()["required"].clone()).unwrap();
        assert_eq!(bare, required);
    }

    #[test]
    fn words_are_described_as_they_are_written() {
        let health = [
            CameraHealth::Connecting,
            CameraHealth::Watching,
            CameraHealth::Degraded,
            CameraHealth::Lost,
            CameraHealth::Stopped,
            CameraHealth::Unknown,
        ];
        let quality = [
            TimeQuality::Rtcp,
            TimeQuality::Arrival,
            TimeQuality::Media,
            TimeQuality::Unknown,
        ];
        assert_eq!(
            serde_json::to_value(health).unwrap(),
            described::<CameraHealthSchema>()["enum"]
        );
        assert_eq!(
            serde_json::to_value(quality).unwrap(),
            described::<TimeQualitySchema>()["enum"]
        );
    }
}
