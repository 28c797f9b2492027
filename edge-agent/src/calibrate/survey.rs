//! The survey file, as a technician writes it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use edge_core::calibration::{KnownDistance, Lens, Sigmas, SurveyedPoint};
use protocol::Point;
use serde::Deserialize;

use super::Faulty;

/// Most points, or distances: the fit's cost grows with them, its use does not.
const MOST_MEASURED: usize = 200;
/// Longest text of a survey, bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// A survey that was read and checked.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Which file.
    pub file: PathBuf,
    /// Width and height of the picture that was clicked in, in pixels.
    pub picture: [u32; 2],
    /// Distortion, where known; fractions of the picture.
    pub lens: Option<Lens>,
    /// Standard deviation of a click, in pixels.
    pub click_sigma_px: f64,
    /// Standard deviation of a place on the ground, m.
    pub ground_sigma_m: f64,
    /// Height of the camera above the road, where somebody has measured it, m.
    pub camera_height_m: Option<f64>,
    /// What was measured.
    pub geometry: Geometry,
}

/// What was measured.
#[derive(Clone, Debug)]
pub enum Geometry {
    /// Places.
    Points(Vec<NamedPoint>),
    /// Distances between places.
    Distances(Vec<NamedDistance>),
}

/// A surveyed point with its name.
#[derive(Clone, Debug)]
pub struct NamedPoint {
    /// For people.
    pub name: String,
    /// Where it is.
    pub place: SurveyedPoint,
}

/// A known distance with its name.
#[derive(Clone, Debug)]
pub struct NamedDistance {
    /// For people.
    pub name: String,
    /// Where and how long.
    pub known: KnownDistance,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    picture: [u32; 2],
    #[serde(default = "two")]
    click_sigma_px: f64,
    #[serde(default = "five_centimetres")]
    ground_sigma_m: f64,
    camera_height_m: Option<f64>,
    lens: Option<LensKeys>,
    #[serde(default)]
    point: Vec<PointKeys>,
    #[serde(default)]
    distance: Vec<DistanceKeys>,
}

fn two() -> f64 {
    2.0
}

fn five_centimetres() -> f64 {
    0.05
}

/// As OpenCV and makers' sheets print them: pixels of the surveyed picture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LensKeys {
    fx: f64,
    fy: Option<f64>,
    cx: Option<f64>,
    cy: Option<f64>,
    #[serde(default)]
    k1: f64,
    #[serde(default)]
    k2: f64,
    #[serde(default)]
    p1: f64,
    #[serde(default)]
    p2: f64,
    #[serde(default)]
    k3: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PointKeys {
    name: Option<String>,
    image: [f64; 2],
    ground: Option<[f64; 2]>,
    latlon: Option<[f64; 2]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DistanceKeys {
    name: Option<String>,
    from: [f64; 2],
    to: [f64; 2],
    metres: f64,
    sigma_m: Option<f64>,
}

impl LensKeys {
    /// The calibration file has fractions, the survey pixels; who mixes them up is told in pixels.
    fn check_pixels(&self, [width, height]: [f64; 2]) -> anyhow::Result<()> {
        for (key, value, size) in [("fx", Some(self.fx), width), ("fy", self.fy, height)] {
            if let Some(value) = value
                && !(0.1 * size..=20.0 * size).contains(&value)
            {
                bail!(
                    "lens.{key}: {value} is a focal length that no lens has; a survey has it in pixels of the still, \
                     as OpenCV prints it: for {width} by {height} most are between {:.0} and {:.0}",
                    0.4 * width,
                    2.0 * width
                );
            }
        }
        for (key, value, size) in [("cx", self.cx, width), ("cy", self.cy, height)] {
            if let Some(value) = value
                && !(value > 1.0 && value <= size)
            {
                bail!(
                    "lens.{key}: {value} is no principal point; a survey has it in pixels of the still, near the middle: \
                     for {width} by {height} about {:.0}",
                    size / 2.0
                );
            }
        }
        Ok(())
    }
}

impl Survey {
    /// Reads a survey; every error says where and what to write.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
        if bytes > MOST_BYTES {
            bail!(Faulty(format!(
                "{}: is no survey: it has {bytes} bytes, and a survey has at most {MOST_BYTES}",
                path.display()
            )));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| Faulty(format!("{}: cannot be read: {error}", path.display())))?;
        Self::read(path, text.trim_start_matches('\u{feff}'))
            .map_err(|error| Faulty(format!("{}: is no survey: {error:#}", path.display())).into())
    }

    fn read(path: &Path, text: &str) -> anyhow::Result<Self> {
        let keys: Keys = toml::from_str(text)?;
        let [width, height] = keys.picture;
        if !(16..=16_384).contains(&width) || !(16..=16_384).contains(&height) {
            bail!(
                "picture: write the width and height in pixels of the still that was clicked in, for example [1920, 1080]"
            );
        }
        if !(keys.click_sigma_px > 0.0 && keys.click_sigma_px < 100.0) {
            bail!("click_sigma_px: write what a click is good for in pixels, for example 2");
        }
        if !(keys.ground_sigma_m >= 0.0 && keys.ground_sigma_m < 10.0) {
            bail!(
                "ground_sigma_m: write what a place on the ground is good for in metres: 0.03 for a tape, 1.5 for a map"
            );
        }
        if let Some(height_m) = keys.camera_height_m
            && !(0.5..=300.0).contains(&height_m)
        {
            bail!(
                "camera_height_m: {height_m} m is no height of a camera above the road; measure it in metres, or leave it out"
            );
        }
        for (kind, count) in [
            ("point", keys.point.len()),
            ("distance", keys.distance.len()),
        ] {
            if count > MOST_MEASURED {
                bail!(
                    "has {count} [[{kind}]], and {MOST_MEASURED} are the most; a dozen good ones, spread over the stretch, say as much"
                );
            }
        }
        let scale = [f64::from(width), f64::from(height)];
        let image = |at: String, [x, y]: [f64; 2]| {
            if !(0.0..=scale[0]).contains(&x) || !(0.0..=scale[1]).contains(&y) {
                bail!(
                    "{at}: {x}, {y} is outside the picture of {width} by {height}; give pixels from the top left corner"
                );
            }
            if x <= 1.0 && y <= 1.0 {
                bail!(
                    "{at}: {x}, {y} looks like fractions; a survey has pixels from the top left corner"
                );
            }
            Ok(Point {
                x: x / scale[0],
                y: y / scale[1],
            })
        };
        if let Some(lens) = &keys.lens {
            lens.check_pixels(scale)?;
        }
        let lens = keys.lens.map(|l| Lens {
            fx: l.fx / scale[0],
            fy: l.fy.unwrap_or(l.fx) / scale[1],
            cx: l.cx.map_or(0.5, |cx| cx / scale[0]),
            cy: l.cy.map_or(0.5, |cy| cy / scale[1]),
            k1: l.k1,
            k2: l.k2,
            p1: l.p1,
            p2: l.p2,
            k3: l.k3,
        });
        if let Some(fault) = lens.and_then(|lens| lens.fault()) {
            bail!("lens: {fault}");
        }
        let geometry = match (keys.point.is_empty(), keys.distance.is_empty()) {
            (false, true) => Geometry::Points(points(&keys.point, image)?),
            (true, false) => Geometry::Distances(distances(&keys.distance, image)?),
            (true, true) => {
                bail!("holds neither [[point]] nor [[distance]]; give at least four of one kind")
            }
            (false, false) => bail!(
                "holds [[point]] and [[distance]]; give one kind, and keep the other for comparing"
            ),
        };
        Ok(Self {
            file: path.to_owned(),
            picture: keys.picture,
            lens,
            click_sigma_px: keys.click_sigma_px,
            ground_sigma_m: keys.ground_sigma_m,
            camera_height_m: keys.camera_height_m,
            geometry,
        })
    }

    /// Width over height of the picture.
    pub fn aspect(&self) -> f64 {
        f64::from(self.picture[0]) / f64::from(self.picture[1])
    }

    /// What the measurements are good for.
    pub fn sigmas(&self) -> Sigmas {
        Sigmas {
            click: self.click_sigma_px / f64::from(self.picture[1]),
            ground_m: self.ground_sigma_m,
        }
    }

    /// What was measured, in a word.
    pub fn what(&self) -> &'static str {
        match self.geometry {
            Geometry::Points(_) => "points",
            Geometry::Distances(_) => "distances",
        }
    }

    /// Names, in order.
    pub fn names(&self) -> Vec<String> {
        match &self.geometry {
            Geometry::Points(points) => points.iter().map(|p| p.name.clone()).collect(),
            Geometry::Distances(distances) => distances.iter().map(|d| d.name.clone()).collect(),
        }
    }

    /// What people call every click of [`Survey::clicks`].
    pub fn click_names(&self) -> Vec<String> {
        match &self.geometry {
            Geometry::Points(_) => self.names(),
            Geometry::Distances(distances) => distances
                .iter()
                .flat_map(|d| [format!("{}, from", d.name), format!("{}, to", d.name)])
                .collect(),
        }
    }

    /// Every place in the picture that was clicked.
    pub fn clicks(&self) -> Vec<Point> {
        match &self.geometry {
            Geometry::Points(points) => points.iter().map(|p| p.place.image).collect(),
            Geometry::Distances(distances) => distances
                .iter()
                .flat_map(|d| [d.known.from, d.known.to])
                .collect(),
        }
    }
}

fn points(
    keys: &[PointKeys],
    image: impl Fn(String, [f64; 2]) -> anyhow::Result<Point>,
) -> anyhow::Result<Vec<NamedPoint>> {
    let origin = keys.iter().find_map(|p| p.latlon);
    keys.iter()
        .enumerate()
        .map(|(index, point)| {
            let name = point.name.clone().unwrap_or_else(|| format!("point {}", index + 1));
            let ground = match (point.ground, point.latlon, origin) {
                (Some(ground), None, None) => ground,
                (None, Some(latlon), Some(origin)) => local_metres(latlon, origin)
                    .with_context(|| format!("{name}: latlon"))?,
                (Some(_), None, Some(_)) => bail!("{name}: has `ground` where another point has `latlon`; use one kind"),
                (Some(_), Some(_), _) => bail!("{name}: has `ground` and `latlon`; give one of them"),
                _ => bail!("{name}: has no place on the ground; give `ground = [east, north]` in metres or `latlon = [21.0285, 105.8542]`"),
            };
            if !ground.iter().all(|v| v.is_finite() && v.abs() < 1e8) {
                bail!("{name}: `ground` is no place on this planet; give metres in a flat frame");
            }
            Ok(NamedPoint {
                place: SurveyedPoint {
                    image: image(name.clone(), point.image)?,
                    ground,
                },
                name,
            })
        })
        .collect()
}

fn distances(
    keys: &[DistanceKeys],
    image: impl Fn(String, [f64; 2]) -> anyhow::Result<Point>,
) -> anyhow::Result<Vec<NamedDistance>> {
    keys.iter()
        .enumerate()
        .map(|(index, distance)| {
            let name = distance.name.clone().unwrap_or_else(|| format!("distance {}", index + 1));
            if !(distance.metres > 0.05 && distance.metres < 1_000.0) {
                bail!("{name}: {} m is no distance on a road", distance.metres);
            }
            let (from, to) = (
                image(format!("{name}: from"), distance.from)?,
                image(format!("{name}: to"), distance.to)?,
            );
            if (from.x - to.x).abs() + (from.y - to.y).abs() < 0.005 {
                bail!("{name}: its ends are at one place in the picture; choose a longer or nearer one");
            }
            Ok(NamedDistance {
                known: KnownDistance {
                    from,
                    to,
                    metres: distance.metres,
                    sigma_m: distance.sigma_m.unwrap_or(0.02 * distance.metres).max(0.005),
                },
                name,
            })
        })
        .collect()
}

/// East and north of `origin` in metres on the ellipsoid (WGS 84), flat: exact
/// to a millimetre over what a camera sees.
fn local_metres([latitude, longitude]: [f64; 2], origin: [f64; 2]) -> anyhow::Result<[f64; 2]> {
    const EQUATOR_M: f64 = 6_378_137.0;
    const ECCENTRICITY_SQUARED: f64 = 0.006_694_379_990_14;
    if !(-80.0..=80.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
        bail!("is latitude, then longitude, in degrees: [21.0285, 105.8542]");
    }
    let middle = f64::midpoint(latitude, origin[0]).to_radians();
    let bend = 1.0 - ECCENTRICITY_SQUARED * middle.sin().powi(2);
    let meridian = EQUATOR_M * (1.0 - ECCENTRICITY_SQUARED) / bend.powf(1.5);
    let east = EQUATOR_M / bend.sqrt() * middle.cos() * (longitude - origin[1]).to_radians();
    let north = meridian * (latitude - origin[0]).to_radians();
    if east.abs().max(north.abs()) > 5_000.0 {
        bail!(
            "is {:.0} km from the first point; look for a mistyped digit",
            east.hypot(north) / 1e3
        );
    }
    Ok([east, north])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", Survey::read(Path::new("s.toml"), text).unwrap_err())
    }

    #[test]
    fn a_second_of_latitude_in_hanoi_is_thirty_one_metres() {
        let [east, north] =
            local_metres([21.0 + 1.0 / 3600.0, 105.8 + 1.0 / 3600.0], [21.0, 105.8]).unwrap();
        assert!((north - 30.755).abs() < 0.01, "{north}");
        assert!((east - 28.88).abs() < 0.01, "{east}");
    }

    #[test]
    fn every_mistake_in_a_survey_says_what_to_write() {
        const POINT: &str = "picture = [1920, 1080]\n[[point]]\n";
        for (text, word) in [
            ("", "missing field `picture`"),
            ("picture = [0, 0]", "[1920, 1080]"),
            ("picture = [1920, 1080]", "at least four"),
            (
                &format!("{POINT}image = [0.5, 0.4]\nground = [0, 0]"),
                "looks like fractions",
            ),
            (
                &format!("{POINT}image = [2000, 4]\nground = [0, 0]"),
                "outside the picture",
            ),
            (
                &format!("{POINT}image = [200, 400]"),
                "latlon = [21.0285, 105.8542]",
            ),
            (
                &format!("{POINT}image = [200, 400]\nlatlon = [105.8, 21.0]"),
                "latitude, then longitude",
            ),
            (
                &format!("{POINT}image = [200, 400]\ngrund = [0, 0]"),
                "grund",
            ),
            (
                "picture = [1920, 1080]\nlens = { fx = 0.8 }\n[[point]]\nimage = [5, 5]\nground = [0, 0]",
                "no lens has",
            ),
            (
                "picture = [1920, 1080]\nlens = { fx = 0 }\n[[point]]\nimage = [5, 5]\nground = [0, 0]",
                "pixels of the still",
            ),
            (
                &format!(
                    "picture = [1920, 1080]\n{}",
                    "[[point]]\nimage = [200, 400]\nground = [0, 0]\n".repeat(201)
                ),
                "200 are the most",
            ),
            (
                "picture = [1920, 1080]\ncamera_height_m = -6\n[[point]]\nimage = [5, 5]\nground = [0, 0]",
                "camera_height_m",
            ),
            (
                "picture = [1920, 1080]\n[[distance]]\nfrom = [5, 5]\nto = [5, 6]\nmetres = 3.5",
                "one place",
            ),
        ] {
            let told = refused(text);
            assert!(told.contains(word), "{text}: {told}");
        }
    }
}
