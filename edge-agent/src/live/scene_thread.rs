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
use protocol::units::Seconds;
use protocol::{Event, EventTime, NormBox, Phase, SignalReading};

use super::load::Load;
use super::publisher::Publisher;
use super::{CameraState, Work};
use crate::config::{BoxIdentity, CameraConfig, SourceConfig};
use crate::scene_setup::{self, DetectorIdentity, SceneSetupError};
use crate::stills::Canvas;

/// How often a camera's status is sent when nothing changes.
pub(super) const STATUS_EVERY: Duration = Duration::from_secs(10);
/// A tick is this far behind the true time.
const TICK_BEHIND_S: f64 = 5.0;
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
    /// Whether a scene can be made at all; its faults belong before the start.
    pub(super) fn check(&self) -> Result<(), SceneSetupError> {
        self.scene(self.first_aspect()).map(drop)
    }

    /// Makes the scene and starts the thread.
    pub(super) fn start(self) -> anyhow::Result<JoinHandle<()>> {
        let aspect = self.first_aspect();
        let scene = self.scene(aspect)?;
        let name = format!("scene-{}", self.config.id);
        let room = Room {
            scene,
            aspect,
            last: None,
            interruption: None,
            frozen: false,
            outputs: Vec::new(),
            load: Load::new(&self.state.status()),
            setup: self,
        };
        Ok(std::thread::Builder::new()
            .name(name)
            .spawn(move || room.live())?)
    }

    fn scene(&self, aspect: f64) -> Result<Scene, SceneSetupError> {
        scene_setup::scene(
            &self.box_identity,
            &self.config,
            self.detector.as_ref(),
            aspect,
        )
    }

    fn first_aspect(&self) -> f64 {
        match &self.config.source {
            SourceConfig::Recording(recording) => recording.aspect,
            SourceConfig::Rtsp(_) => USUAL_ASPECT,
        }
    }
}

/// The scene and what surrounds it.
struct Room {
    setup: SceneThread,
    scene: Scene,
    aspect: f64,
    /// The newest frame that the scene has seen, and when it saw it.
    last: Option<(EventTime, Instant)>,
    /// Since when the scene is not being shown the road, and why; announced as
    /// a gap when it is again.
    interruption: Option<(EventTime, GapReason)>,
    /// Between `Notice::Frozen` and `Thawed`: frames come, but show nothing new.
    frozen: bool,
    outputs: Vec<Output>,
    load: Load,
}

impl Room {
    fn live(mut self) {
        let notices = self.setup.notices.clone().unwrap_or_else(never);
        let work = self.setup.work.clone();
        let readings = self.setup.readings.clone();
        let second = tick(Duration::from_secs(1));
        let mut sent = Instant::now();
        self.send_status();
        loop {
            let changed = select! {
                recv(work) -> message => match message {
                    Ok(work) => self.catch_up(&notices) | self.take(work),
                    Err(_) => break,
                },
                recv(notices) -> notice => match notice {
                    Ok(notice) => self.heed(notice),
                    Err(_) => break,
                },
                recv(readings) -> reading => match reading {
                    Ok(reading) => {
                        self.handle(Input::Signal(reading), None);
                        false
                    }
                    Err(_) => break,
                },
                recv(second) -> _ => self.pass_time() | (sent.elapsed() >= STATUS_EVERY),
            };
            if changed {
                self.send_status();
                sent = Instant::now();
            }
        }
        // A sender is gone: the box stops. What was already seen comes first.
        for work in work.try_iter() {
            self.take(work);
        }
        if let Some((last, _)) = self.last {
            self.handle(Input::End(last), None);
        }
        self.setup.state.set_health(CameraHealth::Stopped, None);
        self.send_status();
    }

    /// Notices that were given before the frame at hand.
    fn catch_up(&mut self, notices: &Receiver<Notice>) -> bool {
        notices
            .try_iter()
            .fold(false, |changed, notice| changed | self.heed(notice))
    }

    fn send_status(&self) {
        self.setup.publisher.status(self.setup.state.status());
    }

    /// Once a second. True when the camera's status changed.
    fn pass_time(&mut self) -> bool {
        if let Some((last, seen)) = self.last {
            // Cases go on or end while nothing is seen, too. Behind the true
            // time, so that a late frame is never before its tick.
            let unseen = seen.elapsed().as_secs_f64() - TICK_BEHIND_S;
            if unseen > 0.0 {
                self.handle(Input::Tick(last + Seconds(unseen)), None);
            }
        }
        let status = self.setup.state.status();
        let verdict = self.load.judge(&status);
        match (verdict, status.health) {
            (Some(reason), CameraHealth::Watching) => {
                tracing::warn!(camera = %self.setup.config.id, "{}", reason.en);
                self.setup
                    .state
                    .set_health(CameraHealth::Degraded, Some(reason))
            }
            (None, CameraHealth::Degraded) if !self.frozen => {
                self.setup.state.set_health(CameraHealth::Watching, None)
            }
            _ => false,
        }
    }

    /// True when the camera's status changed.
    fn take(&mut self, work: Work) -> bool {
        let mut changed = false;
        for input in work.inputs {
            if let Input::Detections(detections) = &input {
                if self.frozen {
                    self.setup.state.count_dropped_frozen();
                    continue;
                }
                let (time, quality, aspect) =
                    (detections.time, detections.time_quality, detections.aspect);
                self.fit(aspect);
                let is_connected = self.setup.state.health() != CameraHealth::Lost;
                // A frame that was under way when the stream was lost ends nothing.
                if let Some((from, reason)) = self.interruption.take_if(|_| is_connected) {
                    let gap = Gap {
                        from: from.min(time),
                        to: time,
                        reason,
                    };
                    self.handle(Input::Gap(gap), None);
                }
                self.last = Some((time, Instant::now()));
                self.setup.state.count_analysed(quality);
                if self.setup.state.health() == CameraHealth::Connecting {
                    changed |= self.setup.state.set_health(CameraHealth::Watching, None);
                }
            }
            self.handle(input, work.frame.as_ref());
        }
        changed
    }

    fn interrupt(&mut self, since: EventTime, reason: GapReason) {
        self.interruption.get_or_insert((since, reason));
    }

    /// Makes the scene anew when the picture's proportions are not what the
    /// calibration was computed for. Happens once, at the first frame.
    fn fit(&mut self, aspect: f64) {
        let is_calibrated = self.setup.config.calibration.is_some();
        if !is_calibrated || self.last.is_some() || (aspect - self.aspect).abs() < 1e-3 {
            return;
        }
        match self.setup.scene(aspect) {
            Ok(scene) => (self.scene, self.aspect) = (scene, aspect),
            Err(error) => {
                tracing::error!(camera = %self.setup.config.id, %error, "keeping the first calibration");
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
                Output::Speed(measured) => tracing::debug!(
                    rule = %measured.rule,
                    class = measured.class.as_str(),
                    kmh = measured.speed_kmh,
                    low_kmh = measured.low_kmh,
                    high_kmh = measured.high_kmh,
                    "speed measured"
                ),
                Output::Evidence(request) => {
                    let Some(event) = recent.iter().find(|event| event.id == request.event) else {
                        tracing::error!(id = %request.event, "evidence asked for an event that was not published");
                        continue;
                    };
                    let captured = frame.map_or(event.decided.time, |frame| frame.time);
                    let canvas = frame.map_or_else(|| self.schematic(), Canvas::Frame);
                    self.setup.publisher.stills(event, &canvas, captured);
                }
                Output::NearMiss(_) | Output::Coverage(_) => {}
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

    /// True when the camera's status changed. The stream has logged the notice.
    fn heed(&mut self, notice: Notice) -> bool {
        let state = Arc::clone(&self.setup.state);
        match notice {
            // The reason of the last loss stays readable while we try again.
            Notice::Connecting { .. } => {
                state.health() != CameraHealth::Lost
                    && state.set_health(CameraHealth::Connecting, None)
            }
            Notice::Connected { .. } | Notice::Thawed => {
                self.frozen = false;
                state.set_health(CameraHealth::Watching, None)
            }
            Notice::Lost {
                reason, message, ..
            } => {
                let since = self.last.map_or_else(super::now, |(last, _)| last);
                self.interrupt(since, GapReason::StreamLost);
                self.frozen = false;
                let words = Words::new(loss_in_vietnamese(reason), message);
                state.set_health(CameraHealth::Lost, Some(words))
            }
            Notice::Frozen { since } => self.freeze(since),
            Notice::ClockStep { from, .. } => {
                self.interrupt(from, GapReason::ClockStep);
                false
            }
            Notice::PictureChanged { .. } => {
                let since = self.last.map_or_else(super::now, |(last, _)| last);
                self.interrupt(since, GapReason::PictureChanged);
                false
            }
            Notice::TimeQualityChanged(_) => false,
        }
    }

    /// What was "seen" since `since` was one picture shown again and again: the
    /// scene is told at once, so that no dwell is made of it, and sees no more.
    fn freeze(&mut self, since: EventTime) -> bool {
        if let Some((last, _)) = self.last {
            let from = since.min(last);
            self.handle(
                Input::Gap(Gap {
                    from,
                    to: last,
                    reason: GapReason::Frozen,
                }),
                None,
            );
            self.interrupt(last, GapReason::Frozen);
        }
        self.frozen = true;
        self.setup.state.set_health(
            CameraHealth::Degraded,
            Some(Words::new(
                "Hình ảnh đứng yên; kiểm tra máy ảnh và đầu ghi",
                "the picture does not change; check the camera and its recorder",
            )),
        )
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
