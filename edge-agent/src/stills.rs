//! The two stills of an event: as the camera gave it, and with the proof drawn in.

use edge_core::SceneConfig;
use edge_video::Frame;
use protocol::event::Actor;
use protocol::evidence::EvidenceRole;
use protocol::{Event, EventTime, SignalState};

use crate::explain::sentences::Teller;

/// What a still is drawn on.
pub enum Canvas<'a> {
    /// The picture of the camera.
    Frame(&'a Frame),
    /// There is no picture (a recording of detections): a schematic of this
    /// aspect ratio with every box that the scene knew of.
    Schematic {
        /// Width over height.
        aspect: f64,
        /// All road users at that moment: place, and words to write beside it.
        road_users: Vec<(protocol::NormBox, String)>,
    },
}

/// One instant of an event, for a still that shows it.
#[derive(Clone, Debug)]
pub struct Moment {
    /// When the picture was taken.
    pub captured: EventTime,
    /// Who did it, where they were then.
    pub actors: Vec<Actor>,
    /// What each signal group showed then.
    pub signals: Vec<(String, SignalState)>,
}

/// One JPEG.
pub struct Still {
    /// Which of the two.
    pub role: EvidenceRole,
    /// `image/jpeg` bytes.
    pub jpeg: Vec<u8>,
}

/// A part of a picture.
pub struct Part {
    /// `image/png` bytes: what is to be judged by a few pixels loses none.
    pub png: Vec<u8>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Why there is no still.
#[derive(Debug, thiserror::Error)]
pub enum StillError {
    /// Built without the feature `cv`.
    #[error("this agent was built without OpenCV (feature `cv`) and draws no stills")]
    #[cfg_attr(feature = "cv", allow(dead_code))]
    NotBuilt,
    /// OpenCV refused.
    #[error("cannot make a still: {0}")]
    Drawing(String),
}

/// Draws the stills of `event`, at `moment` or as it was decided, with the words and local times of `teller`. The
/// annotated one is higher than the picture: its legend stands below.
#[cfg(feature = "cv")]
pub fn draw(
    event: &Event,
    moment: Option<&Moment>,
    scene: &SceneConfig,
    canvas: &Canvas<'_>,
    teller: &Teller,
) -> Result<Vec<Still>, StillError> {
    drawing::draw(event, moment, scene, canvas, teller)
        .map_err(|error| StillError::Drawing(error.to_string()))
}

/// Cuts a plate out of a frame, with some of what is around it.
#[cfg(feature = "cv")]
pub fn crop(frame: &Frame, bounds: &protocol::NormBox) -> Result<Vec<u8>, StillError> {
    drawing::crop(frame, bounds).map_err(|error| StillError::Drawing(error.to_string()))
}

/// What a part of a frame shows, as it is: no pixel is changed or drawn upon.
#[cfg(feature = "cv")]
pub fn part(frame: &Frame, bounds: &protocol::NormBox) -> Result<Part, StillError> {
    drawing::part(frame, bounds).map_err(|error| StillError::Drawing(error.to_string()))
}

/// Says that there is none.
#[cfg(not(feature = "cv"))]
pub fn part(_: &Frame, _: &protocol::NormBox) -> Result<Part, StillError> {
    Err(StillError::NotBuilt)
}

/// Says that there is none.
#[cfg(not(feature = "cv"))]
pub fn crop(_: &Frame, _: &protocol::NormBox) -> Result<Vec<u8>, StillError> {
    Err(StillError::NotBuilt)
}

/// Says that there are none.
#[cfg(not(feature = "cv"))]
pub fn draw(
    _: &Event,
    _: Option<&Moment>,
    _: &SceneConfig,
    _: &Canvas<'_>,
    _: &Teller,
) -> Result<Vec<Still>, StillError> {
    Err(StillError::NotBuilt)
}

#[cfg(feature = "cv")]
pub(crate) mod drawing {
    use edge_core::SceneConfig;
    use edge_stills::{Emphasis, Overlay, OverlayBox, Picture, StillError, YuvPlanes};
    use edge_video::Frame;
    use protocol::Event;
    use protocol::evidence::EvidenceRole;

    use super::{Canvas, Moment, Part, Still, Teller};

    /// Quality of evidence JPEGs: plates stay legible, a 1080p still is about 400 kB.
    const JPEG_QUALITY: u8 = 90;
    /// Height of a schematic still, pixels.
    const SCHEMATIC_HEIGHT: f64 = 720.0;

    /// The frame's pixels.
    pub(crate) fn picture(frame: &Frame) -> Result<Picture, StillError> {
        Picture::from_yuv(&planes(frame))
    }

    fn planes(frame: &Frame) -> YuvPlanes<'_> {
        let [u, v] = frame.chroma();
        YuvPlanes {
            width: frame.width,
            height: frame.height,
            y: frame.y(),
            y_stride: frame.y_stride(),
            u: u.bytes,
            u_stride: u.stride,
            v: v.bytes,
            v_stride: v.stride,
            chroma_step: u.step,
            bt709: frame.is_bt709(),
            full_range: frame.is_full_range(),
        }
    }

    pub(super) fn draw(
        event: &Event,
        moment: Option<&Moment>,
        scene: &SceneConfig,
        canvas: &Canvas<'_>,
        teller: &Teller,
    ) -> Result<Vec<Still>, StillError> {
        let mut picture = match canvas {
            Canvas::Frame(frame) => picture(frame)?,
            Canvas::Schematic { aspect, road_users } => schematic(*aspect, road_users, scene)?,
        };
        let clean = picture.jpeg(JPEG_QUALITY)?;
        picture.draw(&overlay(event, moment, scene, teller))?;
        picture.add_legend(&teller.legend(event, moment))?;
        let annotated = picture.jpeg(JPEG_QUALITY)?;
        Ok(vec![
            Still {
                role: EvidenceRole::StillClean,
                jpeg: clean,
            },
            Still {
                role: EvidenceRole::StillAnnotated,
                jpeg: annotated,
            },
        ])
    }

    /// The part of a frame around `bounds`, with a margin of half its size.
    pub(super) fn crop(frame: &Frame, bounds: &protocol::NormBox) -> Result<Vec<u8>, StillError> {
        let wide = protocol::NormBox {
            x: bounds.x - bounds.width / 2.0,
            y: bounds.y - bounds.height / 2.0,
            width: 2.0 * bounds.width,
            height: 2.0 * bounds.height,
        };
        Picture::part_of_yuv(&planes(frame), wide.x, wide.y, wide.right(), wide.bottom())?
            .jpeg(JPEG_QUALITY)
    }

    pub(super) fn part(frame: &Frame, bounds: &protocol::NormBox) -> Result<Part, StillError> {
        let (right, bottom) = (bounds.right(), bounds.bottom());
        let part = Picture::part_of_yuv(&planes(frame), bounds.x, bounds.y, right, bottom)?;
        Ok(Part {
            png: part.png()?,
            width: part.width(),
            height: part.height(),
        })
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // aspect is checked
    fn schematic(
        aspect: f64,
        road_users: &[(protocol::NormBox, String)],
        scene: &SceneConfig,
    ) -> Result<Picture, StillError> {
        let width = (SCHEMATIC_HEIGHT * aspect).clamp(64.0, 4096.0) as u32;
        let mut picture = Picture::blank(width, SCHEMATIC_HEIGHT as u32, edge_stills::BACKDROP)?;
        let mut overlay = geometry(scene, None);
        overlay.boxes = road_users
            .iter()
            .map(|(bounds, label)| OverlayBox {
                bounds: *bounds,
                label: label.clone(),
                emphasis: Emphasis::Context,
            })
            .collect();
        picture.draw(&overlay)?;
        Ok(picture)
    }

    /// Zones and lines; the one that `event` concerns stands out.
    pub(crate) fn geometry(scene: &SceneConfig, event: Option<&Event>) -> Overlay {
        let concerned = event.and_then(|event| event.zone.as_ref());
        let emphasis = |id| {
            if concerned == Some(id) {
                Emphasis::Accused
            } else {
                Emphasis::Zone
            }
        };
        let shown = |id| event.is_none() || concerned == Some(id);
        let mut overlay = Overlay {
            zones: scene
                .zones
                .iter()
                .filter(|zone| shown(&zone.id))
                .map(|zone| (zone.points.clone(), zone.id.to_string(), emphasis(&zone.id)))
                .collect(),
            ..Overlay::default()
        };
        for line in scene.lines.iter().filter(|line| shown(&line.id)) {
            let label = line.id.to_string();
            overlay.add_line(
                [line.from, line.to],
                line.towards,
                label,
                emphasis(&line.id),
            );
        }
        overlay
    }

    fn overlay(
        event: &Event,
        moment: Option<&Moment>,
        scene: &SceneConfig,
        teller: &Teller,
    ) -> Overlay {
        let mut overlay = geometry(scene, Some(event));
        for actor in moment.map_or(&event.actors, |moment| &moment.actors) {
            overlay.boxes.push(OverlayBox {
                bounds: actor.bounds,
                label: teller.beside(actor),
                emphasis: Emphasis::Accused,
            });
            overlay.paths.push((actor.path.clone(), Emphasis::Accused));
        }
        overlay.banner = event.simulated.then(|| "MÔ PHỎNG · SIMULATION".to_owned());
        overlay
    }
}
