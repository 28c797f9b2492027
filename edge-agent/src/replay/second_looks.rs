//! Second looks at a clip's pictures, by the camera's cascades. A clip waits for them, so that none
//! comes too late.

use edge_core::{Input, Scene};
use edge_video::Frame;

use super::sink::Sink;
use crate::cascades::{Cascades, Lookers};
use crate::config::{AgentConfig, CameraConfig};

/// The camera's cascades, and the models that look for them.
pub(super) struct SecondLooks {
    lookers: Lookers,
    cascades: Option<Cascades>,
}

impl SecondLooks {
    pub(super) fn load(config: &AgentConfig, camera: &CameraConfig) -> anyhow::Result<Self> {
        let lookers = Lookers::load(&config.detector, &camera.cascades)?;
        Ok(Self {
            cascades: Cascades::new(&camera.cascades, &lookers.index()),
            lookers,
        })
    }

    /// Looks again at what is worth it in a frame that the scene has seen, and tells the scene of
    /// which time looks were not answered, as a box at work does.
    pub(super) fn take(
        &mut self,
        frame: &Frame,
        scene: &mut Scene,
        sink: &mut Sink,
    ) -> anyhow::Result<()> {
        let Some(cascades) = &mut self.cascades else {
            return Ok(());
        };
        let wishes = cascades.choose(frame, scene, None);
        for stretch in cascades.take_unanswered() {
            sink.handle(scene, Input::Unanswered(stretch), None)?;
        }
        for input in self.lookers.look(frame, wishes) {
            if let Input::SecondLook(look) = &input {
                cascades.answered(&look.cascade);
            }
            sink.handle(scene, input, Some(frame))?;
        }
        Ok(())
    }
    /// What speaks against what was seen.
    pub(super) fn doubts(&self) -> Vec<String> {
        self.lookers.doubts()
    }
}
