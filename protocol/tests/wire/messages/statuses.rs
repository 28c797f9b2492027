//! What boxes say of themselves and their cameras.

use protocol::event::Words;
use protocol::id::ModelId;
use protocol::status::{
    BoxStatus, CameraHealth, CameraStatus, DecoderStatus, DetectorStatus, RecordingStatus,
    RefusedProvider, RuleCoverage, SecondModelStatus, StreamStatus,
};
use protocol::{RuleId, TimeQuality};

use super::{at, box_id, camera, place, site};

pub(super) fn watching() -> CameraStatus {
    CameraStatus {
        site: site(),
        box_id: box_id(),
        camera: camera(),
        name: "Ngã Tư Sở, hướng đông".to_owned(),
        place: Some(place()),
        simulated: false,
        health: CameraHealth::Watching,
        reason: None,
        since: at(2.0),
        at: at(60.0),
        retries: 1,
        frames_received: 1500,
        frames_analysed: 300,
        frames_dropped: 1200,
        analysed_fps: 5.0,
        time_quality: Some(TimeQuality::Rtcp),
        model: Some(ModelId::new("yolox-nano").unwrap()),
        coverage: Vec::new(),
        coverage_left_out: 0,
        evidence_stream: None,
        recording: None,
        decoder: None,
        detector: None,
        second_models: Vec::new(),
    }
}

/// One whose box has lost its graphics processor.
pub(super) fn on_another_provider() -> CameraStatus {
    CameraStatus {
        detector: Some(DetectorStatus {
            provider: "cpu".to_owned(),
            refused: vec![RefusedProvider {
                provider: "cuda".to_owned(),
                reason: Words::new(
                    "Không tính được trên cuda; hãy kiểm tra trình điều khiển rồi khởi động lại hộp",
                    "it failed at work, 3 times in a row: device lost; check its driver and power, then restart the agent to use it again",
                ),
            }],
            losses: 1,
            failures: 3,
            broken: 12,
            ..DetectorStatus::default()
        }),
        ..watching()
    }
}

/// One whose accelerator is believed without proof, and whose shadow was left out.
pub(super) fn unproven() -> CameraStatus {
    let left_out = Words::new(
        "Không so sánh được: chương trình đã kết thúc 3 lần khi mô hình đang chạy",
        "nothing is compared: the program ended 3 times while the model was at work",
    );
    CameraStatus {
        detector: Some(DetectorStatus {
            provider: "openvino".to_owned(),
            placement: "unproven".to_owned(),
            ..DetectorStatus::default()
        }),
        second_models: vec![SecondModelStatus {
            model: "next@8".to_owned(),
            job: "shadow".to_owned(),
            looks: 0,
            fares: DetectorStatus {
                provider: "none".to_owned(),
                instead: Some(left_out),
                ..DetectorStatus::default()
            },
        }],
        ..watching()
    }
}

/// One whose second model fails on every look.
pub(super) fn with_second_models() -> CameraStatus {
    let second = |model: &str, job: &str, failures, broken| SecondModelStatus {
        model: model.to_owned(),
        job: job.to_owned(),
        looks: 40,
        fares: DetectorStatus {
            provider: "cpu".to_owned(),
            failures,
            broken,
            ..DetectorStatus::default()
        },
    };
    CameraStatus {
        health: CameraHealth::Degraded,
        reason: Some(Words::new(
            "Mô hình helmets không xử lý được lần xem nào; xem nhật ký và chạy edge-agent models verify",
            "model helmets fails on every second look, so rules that rest on it see nothing; read the log and run `edge-agent models verify`",
        )),
        second_models: vec![
            second("helmets", "cascade", 40, 0),
            second("plates", "cascade", 0, 0),
            second("next", "shadow", 0, 3),
        ],
        ..watching()
    }
}

/// One that tells what its rules watched, and that its disk is full.
pub(super) fn covered() -> CameraStatus {
    let rule = |id: &str, watched_s: f64, unwatched: &[(&str, f64)]| RuleCoverage {
        rule: RuleId::new(id).unwrap(),
        watched_s,
        unwatched_s: unwatched
            .iter()
            .map(|(reason, seconds)| ((*reason).to_owned(), *seconds))
            .collect(),
    };
    CameraStatus {
        coverage: vec![
            rule("helmet", 0.0, &[("no_model", 58.0)]),
            rule(
                "red",
                46.2,
                &[("signal_unknown", 9.8), ("stream_lost", 2.0)],
            ),
            rule("stopped", 56.0, &[("stream_lost", 2.0)]),
        ],
        coverage_left_out: 2,
        evidence_stream: Some(StreamStatus {
            health: CameraHealth::Lost,
            reason: Some(Words::new(
                "Mất luồng chính; bằng chứng lấy từ luồng phụ",
                "the main stream is lost; evidence is made of the sub-stream",
            )),
            since: at(40.0),
        }),
        recording: Some(RecordingStatus {
            is_recording: false,
            failures: 3,
            reason: Some(Words::new(
                "Đĩa đầy nên không ghi được dữ liệu đầu vào; hãy giải phóng đĩa",
                "inputs are not recorded, because the disk is full; free disk space",
            )),
        }),
        ..watching()
    }
}

/// One whose graphics card lets it down.
pub(super) fn decoded() -> CameraStatus {
    CameraStatus {
        decoder: Some(DecoderStatus {
            name: "avdec_h264".to_owned(),
            family: "software".to_owned(),
            refused: vec!["vah264dec makes green pictures of this stream".to_owned()],
        }),
        ..watching()
    }
}

pub(super) fn lost() -> CameraStatus {
    CameraStatus {
        place: None,
        simulated: true,
        health: CameraHealth::Lost,
        reason: Some(Words::new(
            "Không có hình 12 giây; hãy kiểm tra nguồn điện và mạng",
            "no frames for 12 s; check power and network",
        )),
        time_quality: None,
        model: None,
        analysed_fps: 0.0,
        ..watching()
    }
}

pub(super) fn online() -> BoxStatus {
    BoxStatus {
        site: site(),
        box_id: box_id(),
        online: true,
        version: "0.1.0".to_owned(),
        at: at(0.5),
        outbox_waiting: 3,
        trouble: Some(Words::new(
            "Đĩa đầy: 2 sự kiện chỉ còn trong bộ nhớ; hãy giải phóng đĩa",
            "the disk is full: 2 events are only in memory; free disk space",
        )),
        outbox: None,
    }
}
