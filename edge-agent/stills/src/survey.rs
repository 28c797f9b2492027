//! A survey: places seen in the picture whose place on the ground was measured.
//!
//! Checked before anything is computed, because a least-squares fit returns a
//! matrix for every input, also for one typed in pixels, with a point entered
//! twice, or with all points along one kerb. Each of those gives speeds that
//! look right near the points and are wrong elsewhere.

use protocol::Point;

/// One surveyed point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Survey {
    /// Where it is seen, as fractions of the picture's width and height.
    pub image: Point,
    /// Where it is on the ground, in metres; any flat frame will do (a tape
    /// along the kerb, UTM or VN-2000 coordinates), east before north.
    pub ground: [f64; 2],
}

/// Which half of a survey a fault is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The places in the picture.
    Picture,
    /// The places on the ground.
    Ground,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Picture => "in the picture",
            Self::Ground => "on the ground",
        })
    }
}

/// Why no homography follows from a survey. Points are counted from 0, as in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// Fewer than four points.
    #[error(
        "{has} surveyed points, at least 4 are needed; measure {} more, spread over the road", 4 - .has
    )]
    TooFew {
        /// How many there are.
        has: usize,
    },
    /// The picture's aspect is not one.
    #[error("aspect {aspect} is not that of a picture; give width divided by height, as displayed")]
    Aspect {
        /// What was given.
        aspect: f64,
    },
    /// Not in the picture: most often typed in pixels.
    #[error(
        "point[{point}] is at {x}, {y} {}; give fractions between 0 and 1 of the picture's width and height, not pixels",
        Side::Picture
    )]
    OutsidePicture {
        /// Which point.
        point: usize,
        /// Its horizontal place.
        x: f64,
        /// Its vertical place.
        y: f64,
    },
    /// Not a place on the earth in metres.
    #[error(
        "point[{point}] is at {x}, {y} {}; give metres in a flat frame (UTM, VN-2000 or a tape along the kerb)",
        Side::Ground
    )]
    OffTheEarth {
        /// Which point.
        point: usize,
        /// Its first coordinate.
        x: f64,
        /// Its second coordinate.
        y: f64,
    },
    /// Two points at one place.
    #[error(
        "point[{first}] and point[{second}] are the same place {side}; remove one, or correct the one that was mistyped"
    )]
    SamePlace {
        /// The earlier point.
        first: usize,
        /// The later point.
        second: usize,
        /// Where they coincide.
        side: Side,
    },
    /// All points, or all but one, lie along one line.
    #[error(
        "{} lie along one line {side}, which fixes no plane; survey points on both sides of the road", Points(.points)
    )]
    Collinear {
        /// The points on the line.
        points: Vec<usize>,
        /// Where they were found to be in line.
        side: Side,
    },
    /// The fitted ground plane puts some points behind the camera.
    #[error(
        "{} would be behind the camera: the horizon runs through the surveyed points; look for two points whose places on the ground are swapped or mistyped", Points(.points)
    )]
    AcrossHorizon {
        /// The points on the wrong side of the horizon, or on it.
        points: Vec<usize>,
    },
    /// OpenCV itself failed.
    #[error(
        "opencv found no plane through {points} points; check their places, then report this: {source}"
    )]
    OpenCv {
        /// How many points it was given.
        points: usize,
        /// What it said.
        source: opencv::Error,
    },
}

/// `point[0], point[2] and point[3]`.
struct Points<'a>(&'a [usize]);

impl std::fmt::Display for Points<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, point) in self.0.iter().enumerate() {
            let joint = match place {
                0 => "",
                n if n + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(f, "{joint}point[{point}]")?;
        }
        Ok(())
    }
}

/// Two clicks closer than this share of the picture's height are one place: under a pixel at 1080 lines.
const SAME_IN_PICTURE: f64 = 0.0008;
/// Two measurements closer than this are one place, in metres: a survey is not better than a centimetre.
const SAME_ON_GROUND_M: f64 = 0.01;
/// Points within this share of their extent from a line are on the line: what a
/// careful click in a picture is good for, and a tape over a kerb.
const ON_LINE: f64 = 0.01;
/// No flat frame on this planet has larger coordinates, in metres.
const EARTH_M: f64 = 1e8;

/// Refuses a survey from which no plane follows. The order is that in which a technician would look.
pub(crate) fn check(points: &[Survey], aspect: f64) -> Result<(), CalibrationError> {
    if !(aspect.is_finite() && (0.1..=10.0).contains(&aspect)) {
        return Err(CalibrationError::Aspect { aspect });
    }
    for (point, survey) in points.iter().enumerate() {
        let Point { x, y } = survey.image;
        if !((0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y)) {
            return Err(CalibrationError::OutsidePicture { point, x, y });
        }
        let [x, y] = survey.ground;
        if !(x.abs() <= EARTH_M && y.abs() <= EARTH_M) {
            return Err(CalibrationError::OffTheEarth { point, x, y });
        }
    }
    if points.len() < 4 {
        return Err(CalibrationError::TooFew { has: points.len() });
    }
    check_spread(points, aspect)
}

/// Refuses coinciding points, and points of which no four span a plane.
fn check_spread(points: &[Survey], aspect: f64) -> Result<(), CalibrationError> {
    let picture: Vec<[f64; 2]> = points.iter().map(|p| isotropic(p.image, aspect)).collect();
    let ground: Vec<[f64; 2]> = points.iter().map(|p| p.ground).collect();
    for (places, same, side) in [
        (&picture, SAME_IN_PICTURE, Side::Picture),
        (&ground, SAME_ON_GROUND_M, Side::Ground),
    ] {
        if let Some((first, second)) = coinciding(places, same) {
            return Err(CalibrationError::SamePlace {
                first,
                second,
                side,
            });
        }
        if let Some(points) = in_line(places) {
            return Err(CalibrationError::Collinear { points, side });
        }
    }
    Ok(())
}

/// Picture coordinates in which a distance means the same across and down.
pub(crate) fn isotropic(point: Point, aspect: f64) -> [f64; 2] {
    [point.x * aspect, point.y]
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

fn coinciding(places: &[[f64; 2]], same: f64) -> Option<(usize, usize)> {
    (1..places.len()).find_map(|second| {
        (0..second)
            .find(|&first| distance(places[first], places[second]) < same)
            .map(|first| (first, second))
    })
}

/// The points of a line that holds all points or all but one.
///
/// That is exactly when no four points are in general position: with two or
/// more off every line, two of them and two on the line always are.
fn in_line(places: &[[f64; 2]]) -> Option<Vec<usize>> {
    let all = 0..places.len();
    let without = |aside: Option<usize>| all.clone().filter(move |&p| Some(p) != aside).collect();
    std::iter::once(None)
        .chain(all.clone().map(Some))
        .map(without)
        .find(|points: &Vec<usize>| is_line(places, points))
}

/// Whether `points` are as good as on the line through the two of them that are farthest apart.
fn is_line(places: &[[f64; 2]], points: &[usize]) -> bool {
    let pairs = points
        .iter()
        .enumerate()
        .flat_map(|(nth, a)| points[..nth].iter().map(|b| (places[*a], places[*b])));
    let Some((a, b)) = pairs.max_by(|(a, b), (c, d)| distance(*a, *b).total_cmp(&distance(*c, *d)))
    else {
        return true;
    };
    let extent = distance(a, b);
    points.iter().all(|&point| {
        let [ux, uy] = [b[0] - a[0], b[1] - a[1]];
        let [vx, vy] = [places[point][0] - a[0], places[point][1] - a[1]];
        (ux * vy - uy * vx).abs() <= ON_LINE * extent * extent
    })
}
