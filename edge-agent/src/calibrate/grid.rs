//! A metre grid on a still: the eye finds in a second what numbers hide.

use std::path::Path;

use edge_core::Calibration;

use super::Survey;

/// A still that was read and belongs to the survey.
pub(super) struct Still {
    #[cfg(feature = "cv")]
    picture: edge_stills::Picture,
}

#[cfg(feature = "cv")]
impl Still {
    /// Reads a picture.
    pub(super) fn read(still: &Path, survey: &Survey) -> anyhow::Result<Self> {
        use anyhow::Context as _;

        let bytes =
            std::fs::read(still).with_context(|| format!("{}: cannot be read", still.display()))?;
        let picture = edge_stills::Picture::from_encoded(&bytes)
            .ok()
            .with_context(|| format!("{}: is no picture; give a JPEG or PNG", still.display()))?;
        let aspect = f64::from(picture.width()) / f64::from(picture.height());
        if (aspect / survey.aspect() - 1.0).abs() > 0.01 {
            anyhow::bail!(
                "{}: is {} by {}, and the survey was made in {} by {}; give a still of the same camera and stream",
                still.display(),
                picture.width(),
                picture.height(),
                survey.picture[0],
                survey.picture[1]
            );
        }
        Ok(Self { picture })
    }

    /// Draws the grid and the clicks and writes `out`, whole or not at all.
    pub(super) fn draw(
        self,
        out: &Path,
        survey: &Survey,
        calibration: &Calibration,
    ) -> anyhow::Result<()> {
        use anyhow::Context as _;
        use std::io::Write as _;

        let jpeg = drawn(self.picture, survey, calibration)?;
        let failed = || format!("cannot write {}", out.display());
        let (draft, mut file) = crate::draft::Draft::create(out).with_context(failed)?;
        file.write_all(&jpeg).with_context(failed)?;
        draft.keep().with_context(failed)
    }
}

#[cfg(not(feature = "cv"))]
impl Still {
    pub(super) fn read(still: &Path, _: &Survey) -> anyhow::Result<Self> {
        anyhow::bail!(
            "{}: this agent was built without OpenCV (feature `cv`) and cannot draw; install the full build",
            still.display()
        )
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps)] // the same as with OpenCV
    pub(super) fn draw(self, _: &Path, _: &Survey, _: &Calibration) -> anyhow::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "cv")]
fn drawn(
    mut picture: edge_stills::Picture,
    survey: &Survey,
    calibration: &Calibration,
) -> anyhow::Result<Vec<u8>> {
    use edge_stills::{Emphasis, Overlay, OverlayBox};
    use protocol::NormBox;

    let aspect = f64::from(picture.width()) / f64::from(picture.height());
    let mark = |(point, name): (protocol::Point, String)| OverlayBox {
        bounds: NormBox {
            x: point.x - 0.004 / aspect,
            y: point.y - 0.004,
            width: 0.008 / aspect,
            height: 0.008,
        },
        label: name,
        emphasis: Emphasis::Accused,
    };
    let names = match &survey.geometry {
        super::Geometry::Points(_) => survey.names(),
        super::Geometry::Distances(_) => Vec::new(),
    };
    let names = names.into_iter().chain(std::iter::repeat(String::new()));
    let grid = lines(survey, calibration)?;
    let overlay = Overlay {
        grid: grid.lines,
        boxes: survey.clicks().into_iter().zip(names).map(mark).collect(),
        caption: vec![
            format!("{} m", grid.step_m),
            format!("residual {:.2} m", calibration.residual_m.0),
        ],
        ..Overlay::default()
    };
    picture.draw(&overlay)?;
    Ok(picture.jpeg(92)?)
}

#[cfg(feature = "cv")]
struct Grid {
    lines: Vec<(Vec<protocol::Point>, String)>,
    step_m: f64,
}

/// Lines at whole metres over what was surveyed and half as much around it.
#[cfg(feature = "cv")]
fn lines(survey: &Survey, calibration: &Calibration) -> anyhow::Result<Grid> {
    use edge_core::calibration::Ground;
    use edge_core::geometry::Vector;

    let ground = Ground::new(calibration)?;
    let places: Vec<Vector> = survey
        .clicks()
        .into_iter()
        .filter_map(|point| ground.to_ground(point))
        .collect();
    let range = |of: fn(&Vector) -> f64| {
        let (low, high) = places
            .iter()
            .map(of)
            .fold((f64::MAX, f64::MIN), |(low, high), v| {
                (low.min(v), high.max(v))
            });
        let more = (high - low) / 2.0;
        (low - more, high + more)
    };
    let (x, y) = (range(|place| place.x), range(|place| place.y));
    let extent = (x.1 - x.0).max(y.1 - y.0).max(1.0);
    // At most forty lines each way.
    let step_m = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
        .into_iter()
        .find(|step| extent / step <= 40.0)
        .unwrap_or(100.0);
    let multiples = |(low, high): (f64, f64)| {
        #[allow(clippy::cast_possible_truncation)] // at most forty
        let (first, last) = ((low / step_m).ceil() as i64, (high / step_m).floor() as i64);
        (first..=last).map(move |n| n as f64 * step_m)
    };
    // In pieces, because a lens bends straight lines.
    let along = |from: Vector, to: Vector, label: String| {
        let points: Vec<protocol::Point> = (0..=60)
            .filter_map(|n| ground.to_image(from + (to - from) * (f64::from(n) / 60.0)))
            .collect();
        (points, label)
    };
    let mut lines = Vec::new();
    for at in multiples(x) {
        lines.push(along(
            Vector::new(at, y.0),
            Vector::new(at, y.1),
            format!("x {at}"),
        ));
    }
    for at in multiples(y) {
        lines.push(along(
            Vector::new(x.0, at),
            Vector::new(x.1, at),
            format!("y {at}"),
        ));
    }
    Ok(Grid { lines, step_m })
}
