//! The watch over a camera's picture, and what people are told of it.

use std::fmt;

use edge_core::{Condition, Health};
use edge_video::Frame;
use picture_health::{Memory, Thumbnail, Watch};
use protocol::event::Words;

use crate::config::PictureHealthConfig;

/// Looks at frames now and then; says when the picture's condition changes.
pub struct PictureWatch {
    /// `None`: switched off.
    watch: Option<Watch>,
}

impl fmt::Debug for PictureWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let condition = self.watch.as_ref().map(Watch::condition);
        f.debug_struct("PictureWatch")
            .field("condition", &condition)
            .finish_non_exhaustive()
    }
}

impl PictureWatch {
    /// As configured. It knows nothing of its camera yet.
    pub fn new(config: &PictureHealthConfig) -> Self {
        Self {
            watch: config.watch.then(|| Watch::new(config.settings)),
        }
    }

    /// As configured, with what an earlier run has learnt of the camera.
    ///
    /// # Errors
    ///
    /// What is wrong with the memory, if it was damaged.
    pub fn remembering(config: &PictureHealthConfig, memory: &Memory) -> Result<Self, String> {
        let watch = config
            .watch
            .then(|| Watch::remembering(config.settings, memory));
        Ok(Self {
            watch: watch.transpose()?,
        })
    }

    /// What is to be kept for the next run, once it is of use.
    pub fn memory(&self) -> Option<Memory> {
        self.watch.as_ref()?.memory().filter(Memory::is_of_use)
    }

    /// Takes a look, if it is time for one.
    pub fn look(&mut self, frame: &Frame) -> Option<Health> {
        let watch = self.watch.as_mut()?;
        if !watch.wants(frame.time) {
            return None;
        }
        let (width, height) = (frame.width as usize, frame.height as usize);
        let thumbnail = Thumbnail::of(frame.y(), frame.y_stride(), width, height)?;
        watch.look(&thumbnail, frame.time)
    }
}

/// What is wrong with a picture, and what to do about it; nothing for one that is well.
pub fn words(condition: Condition) -> Option<Words> {
    let (vi, en) = match condition {
        Condition::Well => return None,
        Condition::Blocked => (
            "Hình ảnh bị che; kiểm tra vật che trước máy ảnh",
            "something covers the picture; look for what is in front of the camera",
        ),
        Condition::Defocused => (
            "Hình ảnh bị mờ; lau kính và chỉnh tiêu cự",
            "the picture is not sharp; clean the glass and adjust the focus",
        ),
        Condition::Moved => (
            "Máy ảnh đã bị xoay; xoay lại, hoặc vẽ lại vùng rồi khởi động lại hộp",
            "the camera looks elsewhere; turn it back, or draw its zones anew and restart the agent",
        ),
        Condition::Frozen => (
            "Hình ảnh đứng yên; kiểm tra máy ảnh và đầu ghi",
            "the picture does not change; check the camera and its recorder",
        ),
        Condition::Dark => (
            "Hình ảnh quá tối; kiểm tra đèn hồng ngoại và đèn đường",
            "the picture is too dark; check the infrared light and the street lamps",
        ),
        Condition::Lost => ("Không có hình ảnh", "there is no picture"),
        Condition::Corrupt => (
            "Hình ảnh bị hỏng; kiểm tra đường truyền và bộ mã hoá của máy ảnh",
            "the pictures are damaged; check the line and the camera's encoder",
        ),
        Condition::Unknown => (
            "Hình ảnh không dùng được; xem nhật ký",
            "the picture cannot be used; see the log",
        ),
    };
    Some(Words::new(vi, en))
}
