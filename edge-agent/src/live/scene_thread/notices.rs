//! What the stream and the watch over the picture say, told to the scene and to
//! the camera's status.

use std::time::Instant;

use edge_core::{Condition, Gap, GapReason, Health, Input};
use edge_video::{Frame, LossReason, Notice};
use protocol::EventTime;
use protocol::event::Words;

use super::{Link, Room};
use crate::picture_watch;

impl Room {
    /// True when the camera's status changed. The stream has logged the notice.
    pub(super) fn heed(&mut self, notice: Notice) -> bool {
        match notice {
            Notice::Connected { .. } => {
                self.connected = self.now.steady;
                self.standing.set_link(Link::Connected);
            }
            Notice::Thawed => {
                self.standing.frozen = None;
                if self.standing.garbage.is_some() {
                    // The freeze was told in its place.
                    self.lose_sight(true);
                }
            }
            Notice::GarbageOver => {
                self.standing.garbage = None;
                if self.standing.frozen.is_some() {
                    // The garbage was told in its place.
                    let since = self.last.map_or(self.now.time, |(last, _)| last);
                    self.interrupt(since, GapReason::Frozen);
                    self.tell_stream(Condition::Frozen, since);
                }
            }
            Notice::Lost {
                reason, message, ..
            } => {
                self.lose_sight(reason == LossReason::Decode && self.comes_damaged());
                self.arrived = self.setup.state.arrived();
                let words = Words::new(loss_in_vietnamese(reason), message);
                self.standing.set_link(Link::Lost(words));
                self.lost = self.epoch.map(|epoch| epoch.connection);
            }
            Notice::Frozen { since } => self.freeze(since),
            // The reason of the last loss stays readable while we try again; each frame
            // says by itself on which side of a step or a change it is.
            Notice::Connecting { .. }
            | Notice::ClockStep { .. }
            | Notice::PictureChanged { .. }
            | Notice::TimeQualityChanged(_) => {}
            // Who decodes now is part of the status.
            Notice::DecoderRejected { .. } => return true,
            Notice::Garbage { what } => {
                self.lose_sight(true);
                self.standing.garbage = Some(Words::new(
                    "Luồng hình bị hỏng (xanh, xám hoặc vỡ hình) với mọi bộ giải mã; kiểm tra máy ảnh và mạng",
                    format!(
                        "the stream itself gives {what}; check the camera's encoder and the network"
                    ),
                ));
            }
        }
        self.tell_health()
    }

    /// The picture's condition changed. True when the camera's status changed.
    pub(super) fn heed_picture(&mut self, health: Health, frame: &Frame) -> bool {
        let camera = &self.setup.config.id;
        if let Some(words) = picture_watch::words(health.condition) {
            tracing::warn!(%camera, value = health.value, "{}", words.en);
        } else {
            tracing::info!(%camera, "the picture is well again");
        }
        self.picture = health;
        self.standing.picture = picture_watch::words(health.condition);
        // Told when places in the picture are known again.
        if self.misfit.is_none() {
            self.handle(Input::Health(health), Some(frame));
        }
        self.tell_health()
    }

    /// Whether what comes of the stream since the last picture that was seen is damaged: then whoever
    /// mends it looks at the line and at the encoder, not at power and address.
    fn comes_damaged(&self) -> bool {
        let arrived = self.setup.state.arrived();
        arrived.is_damaged_since(self.arrived) || arrived.has_gaps_since(self.arrived)
    }

    /// Nothing is seen any more since the last picture, because what comes is damaged, or because
    /// nothing comes.
    pub(super) fn lose_sight(&mut self, is_damaged: bool) {
        let (reason, condition) = if is_damaged {
            (GapReason::Corrupt, Condition::Corrupt)
        } else {
            (GapReason::StreamLost, Condition::Lost)
        };
        let since = self.last.map_or(self.now.time, |(last, _)| last);
        self.interrupt(since, reason);
        let told = self.stream.map(|(health, _)| health.condition);
        let is_turn = match condition {
            Condition::Lost => told == Some(Condition::Corrupt),
            _ => told == Some(Condition::Lost),
        };
        // It was the other of the two until now.
        let since = if is_turn { self.now_of_frames() } else { since };
        self.tell_stream(condition, since);
    }

    /// Tells the scene that the stream shows nothing new, on the clock of its frames.
    pub(super) fn tell_stream(&mut self, condition: Condition, since: EventTime) {
        let health = Health {
            time: self.now_of_frames().max(since),
            since,
            condition,
            ..Health::default()
        };
        let is_told = |told: &(Health, Instant)| told.0.condition == condition;
        // Every failed attempt is a notice of its own.
        if !self.stream.as_ref().is_some_and(is_told) {
            self.stream = Some((health, self.now.steady));
            self.handle(Input::Health(health), None);
        }
    }

    /// What was "seen" since `since` was one picture shown again and again: the
    /// scene is told at once, so that no dwell is made of it, and sees no more.
    pub(super) fn freeze(&mut self, since: EventTime) {
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
        self.tell_stream(Condition::Frozen, since);
        self.standing.frozen = picture_watch::words(Condition::Frozen);
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
        LossReason::Garbage => "Bộ giải mã cho hình hỏng; đang đổi bộ giải mã khác",
        LossReason::TimesRestarted => {
            "Máy ảnh đếm lại thời gian RTP giữa chừng; đang kết nối lại. Nếu lặp lại, cập nhật phần mềm máy ảnh"
        }
        LossReason::CodecChanged => "Chuẩn nén của máy ảnh vừa được đổi; đang kết nối lại",
        LossReason::BadAddress => "Địa chỉ RTSP không hợp lệ; sửa trong cấu hình",
        LossReason::Failed => "Mất luồng hình; đang kết nối lại",
    }
}
