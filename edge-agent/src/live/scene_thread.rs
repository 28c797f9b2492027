//! One thread per camera that owns its scene: everything the scene may see
//! comes in here, in order, and everything it says goes out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select, tick};
use edge_core::{Gap, GapReason, Input, Output, Scene};
use edge_video::{Frame, LossReason, Notice};
use protocol::event::Words;
use protocol::status::CameraHealth;
use protocol::{Event, EventTime, NormBox, Phase, SignalReading};

use super::publisher::Publisher;
use super::{CameraState, Work};
use crate::config::{BoxIdentity, CameraConfig, SourceConfig};
use crate::scene_setup::{self, DetectorIdentity};
use crate::stills::Canvas;

/// How often a camera's status is sent when nothing changes.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// Picture proportions until the first frame has told the true ones.
const USUAL_ASPECT: f64 = 16.0 / 9.0;

/// All that the thread needs.
pub(super) struct SceneThread {
    pub(super) config: CameraConfig,
    pub(super) box_identity: BoxIdentity,
    pub(super) detector: Option<DetectorIdentity>,
    pub(super) notices: Option<Receiver<Notice>>,
    pub(super) work: Receiver<Work>,
    pub(super) readings: Receiver<SignalReading>,
    pub(super) state: Arc<CameraState>,
    pub(super) publisher: Publisher,
}

impl SceneThread {
    /// Makes the scene, so that a faulty one stops the start, and starts the thread.
    pub(super) fn start(self) -> anyhow::Result<JoinHandle<()>> {
        let aspect = match &self.config.source {
            SourceConfig::Recording(recording) => recording.aspect,
            SourceConfig::Rtsp(_) => USUAL_ASPECT,
        };
        let detector = match &self.config.source {
            SourceConfig::Rtsp(_) => self.detector.as_ref(),
            SourceConfig::Recording(_) => None,
        };
        let scene = scene_setup::scene(&self.box_identity, &self.config, detector, aspect)?;
        let name = format!("scene-{}", self.config.id);
        let room = Room {
            scene,
            aspect,
            last: None,
            lost_since: None,
            outputs: Vec::new(),
            setup: self,
        };
        Ok(std::thread::Builder::new()
            .name(name)
            .spawn(move || room.live())?)
    }
}

/// The scene and what surrounds it.
struct Room {
    setup: SceneThread,
    scene: Scene,
    aspect: f64,
    /// Time of the newest frame that the scene has seen.
    last: Option<EventTime>,
    /// Set while nothing comes, so that the return is announced as a gap.
    lost_since: Option<(EventTime, GapReason)>,
    outputs: Vec<Output>,
}

impl Room {
    fn live(mut self) {
        let notices = self.setup.notices.clone().unwrap_or_else(never);
        let work = self.setup.work.clone();
        let readings = self.setup.readings.clone();
        let status = tick(Duration::from_secs(1));
        let mut sent = Instant::now();
        self.send_status();
        loop {
            let changed = select! {
                recv(work) -> message => match message {
                    Ok(work) => self.take(work),
                    Err(_) => break,
                },
                recv(notices) -> notice => {
                    if let Ok(notice) = notice {
                        self.heed(notice)
                    } else {
                        // The stream is gone; what is still in `work` comes first.
                        self.drain();
                        break;
                    }
                },
                recv(readings) -> reading => {
                    if let Ok(reading) = reading {
                        self.handle(Input::Signal(reading), None);
                        false
                    } else {
                        break
                    }
                },
                recv(status) -> _ => sent.elapsed() >= STATUS_EVERY,
            };
            if changed {
                self.send_status();
                sent = Instant::now();
            }
        }
        if let Some(last) = self.last {
            self.handle(Input::End(last), None);
        }
        self.setup.state.set_health(CameraHealth::Stopped, None);
        self.send_status();
    }

    fn drain(&mut self) {
        let work = self.setup.work.clone();
        for work in work.try_iter() {
            self.take(work);
        }
    }

    fn send_status(&self) {
        self.setup.publisher.status(self.setup.state.status());
    }

    /// True when the camera's status changed.
    fn take(&mut self, work: Work) -> bool {
        let mut changed = false;
        for input in work.inputs {
            if let Input::Detections(detections) = &input {
                let (time, quality, aspect) =
                    (detections.time, detections.time_quality, detections.aspect);
                self.fit(aspect);
                if let Some((since, reason)) = self.lost_since.take() {
                    let from = self.last.unwrap_or(since).min(time);
                    self.handle(
                        Input::Gap(Gap {
                            from,
                            to: time,
                            reason,
                        }),
                        None,
                    );
                }
                self.last = Some(time);
                self.setup.state.count_analysed(quality);
                // A frozen picture still brings frames; only `Thawed` clears that.
                if self.setup.state.health() != CameraHealth::Degraded {
                    changed |= self.setup.state.set_health(CameraHealth::Watching, None);
                }
            }
            self.handle(input, work.frame.as_ref());
        }
        changed
    }

    /// Makes the scene anew when the picture's proportions are not what the
    /// calibration was computed for. Happens once, at the first frame.
    fn fit(&mut self, aspect: f64) {
        let is_calibrated = self.setup.config.calibration.is_some();
        if !is_calibrated || self.last.is_some() || (aspect - self.aspect).abs() < 1e-3 {
            return;
        }
        let setup = &self.setup;
        match scene_setup::scene(
            &setup.box_identity,
            &setup.config,
            setup.detector.as_ref(),
            aspect,
        ) {
            Ok(scene) => (self.scene, self.aspect) = (scene, aspect),
            Err(error) => {
                tracing::error!(camera = %setup.config.id, %error, "keeping the first calibration");
            }
        }
    }

    fn handle(&mut self, input: Input, frame: Option<&Frame>) {
        self.scene.handle(input, &mut self.outputs);
        let mut recent: VecDeque<Event> = VecDeque::new();
        for output in std::mem::take(&mut self.outputs) {
            match output {
                Output::Event(event) => {
                    if event.phase == Phase::Start {
                        self.setup.state.count_event(&event.kind.0);
                    }
                    self.setup.publisher.event(&event);
                    recent.push_back(event);
                }
                Output::Evidence(request) => {
                    let Some(event) = recent.iter().find(|event| event.id == request.event) else {
                        tracing::error!(id = %request.event, "evidence asked for an event that was not published");
                        continue;
                    };
                    let captured = frame.map_or(event.decided.time, |frame| frame.time);
                    let canvas = frame.map_or_else(|| self.schematic(), Canvas::Frame);
                    self.setup.publisher.stills(event, &canvas, captured);
                }
            }
        }
    }

    fn schematic(&self) -> Canvas<'static> {
        let road_users: Vec<(NormBox, String)> = self
            .scene
            .tracks()
            .filter(|track| track.is_seen)
            .map(|track| (track.bounds, track.class.to_string()))
            .collect();
        Canvas::Schematic {
            aspect: self.aspect,
            road_users,
        }
    }

    /// True when the camera's status changed.
    fn heed(&mut self, notice: Notice) -> bool {
        let camera = &self.setup.config.id;
        let state = &self.setup.state;
        match notice {
            Notice::Connecting { attempt } => {
                tracing::debug!(%camera, attempt, "connecting");
                // The reason of the last loss stays readable while we try again.
                state.health() != CameraHealth::Lost
                    && state.set_health(CameraHealth::Connecting, None)
            }
            Notice::Connected {
                codec,
                width,
                height,
            } => {
                tracing::info!(%camera, codec, width, height, "connected");
                state.set_health(CameraHealth::Watching, None)
            }
            Notice::Lost {
                reason,
                message,
                retry_in,
            } => {
                tracing::warn!(%camera, ?reason, retry_in_ms = retry_in.as_millis(), "{message}");
                let at = self.last.unwrap_or_else(super::now);
                self.lost_since.get_or_insert((at, GapReason::StreamLost));
                let words = Words::new(loss_in_vietnamese(reason), message);
                state.set_health(CameraHealth::Lost, Some(words))
            }
            Notice::Frozen { since } => {
                tracing::warn!(%camera, %since, "the picture does not change");
                state.set_health(
                    CameraHealth::Degraded,
                    Some(Words::new(
                        "Hình ảnh đứng yên; kiểm tra máy ảnh và đầu ghi",
                        "the picture does not change; check the camera and its recorder",
                    )),
                )
            }
            Notice::Thawed => state.set_health(CameraHealth::Watching, None),
            Notice::ClockStep { from, to } => {
                tracing::warn!(%camera, %from, %to, "the clock stepped");
                self.lost_since.get_or_insert((from, GapReason::ClockStep));
                false
            }
            Notice::TimeQualityChanged(quality) => {
                tracing::info!(%camera, ?quality, "clock of the pictures");
                false
            }
            Notice::PictureChanged { width, height } => {
                tracing::info!(%camera, width, height, "picture size changed");
                false
            }
        }
    }
}

fn loss_in_vietnamese(reason: LossReason) -> &'static str {
    match reason {
        LossReason::Refused => "Máy ảnh từ chối kết nối; kiểm tra nguồn điện, địa chỉ và cổng",
        LossReason::NotFound => "Không tìm thấy luồng trên máy ảnh; kiểm tra đường dẫn RTSP",
        LossReason::Unauthorised => "Máy ảnh không nhận tên hoặc mật khẩu; sửa trong cấu hình",
        LossReason::TimedOut => "Máy ảnh không trả lời; kiểm tra mạng",
        LossReason::Silent => "Đã kết nối nhưng không có hình; khởi động lại máy ảnh",
        LossReason::Closed => "Máy ảnh đã đóng kết nối",
        LossReason::Decode => "Không giải mã được hình; kiểm tra chuẩn nén của máy ảnh",
        LossReason::Unsupported => "Chuẩn nén không được hỗ trợ; chọn H.264, H.265 hoặc MJPEG",
        LossReason::BadAddress => "Địa chỉ RTSP không hợp lệ; sửa trong cấu hình",
        LossReason::Failed => "Mất luồng hình; đang kết nối lại",
    }
}
