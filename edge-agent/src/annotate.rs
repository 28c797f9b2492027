//! `replay --annotate OUT.mp4`: the clip with tracks, zones, lamps and a
//! coordinate grid drawn in, for setting up zones and for showing why.

use std::path::Path;

use edge_core::Scene;
use edge_video::{ClipInfo, Frame};

#[cfg(feature = "cv")]
pub(crate) use with_opencv::Annotator;
#[cfg(not(feature = "cv"))]
pub(crate) use without_opencv::Annotator;

#[cfg(feature = "cv")]
mod with_opencv {
    use super::{ClipInfo, Frame, Path, Scene};
    use anyhow::Context as _;
    use edge_stills::{Emphasis, Overlay, OverlayBox};
    use edge_video::ClipWriter;
    use protocol::Point;

    use crate::stills::drawing;

    /// Tenths of the picture at which the grid has lines.
    const GRID: [f64; 4] = [0.2, 0.4, 0.6, 0.8];

    /// Frame rate of a clip that does not tell its own; times are the frames' own anyway.
    const USUAL_FPS: f64 = 25.0;

    /// Draws and writes, frame by frame.
    pub(crate) struct Annotator {
        writer: ClipWriter,
        /// Of all its pictures, whatever size the clip's become.
        size: (u32, u32),
    }

    impl Annotator {
        pub(crate) fn create(path: &Path, info: &ClipInfo) -> anyhow::Result<Self> {
            let writer =
                ClipWriter::create(path, info.width, info.height, info.fps.unwrap_or(USUAL_FPS))
                    .with_context(|| format!("cannot write {}", path.display()))?;
            let size = (info.width, info.height);
            Ok(Self { writer, size })
        }

        pub(crate) fn frame(&mut self, frame: &Frame, scene: &Scene) -> anyhow::Result<()> {
            let (width, height) = self.size;
            let mut picture = drawing::picture(frame)?.resized(width, height)?;
            picture.draw(&overlay(frame, scene))?;
            self.writer.push_bgr(picture.bgr(), frame.time)?;
            Ok(())
        }

        pub(crate) fn finish(self) -> anyhow::Result<()> {
            self.writer.finish()?;
            Ok(())
        }
    }

    fn overlay(frame: &Frame, scene: &Scene) -> Overlay {
        let mut overlay = drawing::geometry(scene.config(), None);
        for at in GRID {
            let (top, bottom) = (Point { x: at, y: 0.0 }, Point { x: at, y: 1.0 });
            let (left, right) = (Point { x: 0.0, y: at }, Point { x: 1.0, y: at });
            overlay.paths.push((vec![top, bottom], Emphasis::Context));
            overlay.paths.push((vec![left, right], Emphasis::Context));
        }
        for track in scene.tracks().filter(|track| track.is_seen) {
            let speed = track
                .ground_speed
                .map(|speed| format!(" {:.0} km/h", speed.0))
                .unwrap_or_default();
            let still = if track.is_stationary { " still" } else { "" };
            overlay.boxes.push(OverlayBox {
                bounds: track.bounds,
                label: format!("{} {:.0} %{speed}{still}", track.class, track.score * 100.0),
                emphasis: Emphasis::Accused,
            });
            overlay
                .paths
                .push((track.path().collect(), Emphasis::Accused));
        }
        let lamps: Vec<String> = scene
            .signals()
            .map(|(group, state)| format!("{group}: {}", state.as_str()))
            .collect();
        overlay
            .caption
            .push(format!("frame {} · {}", frame.number, frame.time));
        if !lamps.is_empty() {
            overlay.caption.push(lamps.join(" · "));
        }
        overlay
    }
}

#[cfg(not(feature = "cv"))]
mod without_opencv {
    use super::{ClipInfo, Frame, Path, Scene};
    use anyhow::bail;

    /// Cannot draw: built without OpenCV.
    pub(crate) struct Annotator;

    impl Annotator {
        pub(crate) fn create(_: &Path, _: &ClipInfo) -> anyhow::Result<Self> {
            bail!("--annotate needs OpenCV; this agent was built without the feature `cv`")
        }

        #[allow(clippy::unused_self, clippy::unnecessary_wraps)] // the other one's face
        pub(crate) fn frame(&mut self, _: &Frame, _: &Scene) -> anyhow::Result<()> {
            Ok(())
        }

        #[allow(clippy::unused_self, clippy::unnecessary_wraps)] // the other one's face
        pub(crate) fn finish(self) -> anyhow::Result<()> {
            Ok(())
        }
    }
}
