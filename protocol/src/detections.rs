//! What a detector saw in one picture.

use serde::{Deserialize, Serialize};

use crate::geometry::NormBox;
use crate::time::{EventTime, TimeQuality};

/// What a thing is, in the program's own words; a model's class map leads here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the words are their own meaning
pub enum ObjectClass {
    Person,
    Bicycle,
    Motorcycle,
    Car,
    Bus,
    Truck,
    Train,
    Animal,
    TrafficLight,
    Helmet,
    NoHelmet,
    Plate,
    Face,
    Phone,
    SeatBelt,
    NoSeatBelt,
    Fire,
    Smoke,
    /// A thing for which there is no word here yet.
    #[serde(other)]
    Other,
}

impl ObjectClass {
    /// All of them, for whoever has to list the words.
    pub const ALL: [Self; 19] = [
        Self::Person,
        Self::Bicycle,
        Self::Motorcycle,
        Self::Car,
        Self::Bus,
        Self::Truck,
        Self::Train,
        Self::Animal,
        Self::TrafficLight,
        Self::Helmet,
        Self::NoHelmet,
        Self::Plate,
        Self::Face,
        Self::Phone,
        Self::SeatBelt,
        Self::NoSeatBelt,
        Self::Fire,
        Self::Smoke,
        Self::Other,
    ];

    /// The word as written in configuration and on events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Bicycle => "bicycle",
            Self::Motorcycle => "motorcycle",
            Self::Car => "car",
            Self::Bus => "bus",
            Self::Truck => "truck",
            Self::Train => "train",
            Self::Animal => "animal",
            Self::TrafficLight => "traffic_light",
            Self::Helmet => "helmet",
            Self::NoHelmet => "no_helmet",
            Self::Plate => "plate",
            Self::Face => "face",
            Self::Phone => "phone",
            Self::SeatBelt => "seat_belt",
            Self::NoSeatBelt => "no_seat_belt",
            Self::Fire => "fire",
            Self::Smoke => "smoke",
            Self::Other => "other",
        }
    }

    /// Its number in label files of COCO's form: COCO's own where it has one,
    /// from 101 on where it has not.
    pub const fn coco_category(self) -> u32 {
        match self {
            Self::Person => 1,
            Self::Bicycle => 2,
            Self::Car => 3,
            Self::Motorcycle => 4,
            Self::Bus => 6,
            Self::Train => 7,
            Self::Truck => 8,
            Self::TrafficLight => 10,
            Self::Phone => 77,
            Self::Animal => 108,
            Self::Helmet => 110,
            Self::NoHelmet => 111,
            Self::Plate => 112,
            Self::Face => 113,
            Self::SeatBelt => 115,
            Self::NoSeatBelt => 116,
            Self::Fire => 117,
            Self::Smoke => 118,
            Self::Other => 119,
        }
    }

    /// Whether it is something that drives on a carriageway.
    pub const fn is_vehicle(self) -> bool {
        matches!(
            self,
            Self::Bicycle | Self::Motorcycle | Self::Car | Self::Bus | Self::Truck
        )
    }
}

impl core::fmt::Display for ObjectClass {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing in one picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// What it is.
    pub class: ObjectClass,
    /// The model's confidence, 0 to 1.
    pub score: f64,
    /// Where it is.
    #[serde(rename = "box")]
    pub bounds: NormBox,
}

/// Everything the detector saw in one picture of one camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detections {
    /// Number of the frame since the stream or clip began, counting dropped ones.
    pub frame: u64,
    /// When the picture was taken.
    pub time: EventTime,
    /// Which clock said so.
    pub time_quality: TimeQuality,
    /// Picture width over height as displayed, so that directions and
    /// distances in normalised coordinates can be made true.
    pub aspect: f64,
    /// From this score on the detector's word alone is believed: the model
    /// manifest's `thresholds.high`. Detectors mean different things by 0.4, so
    /// it travels with what they saw, and a replay believes what live believed.
    #[serde(default = "believed_from_by_default")]
    pub believed_from: f64,
    /// How the camera itself moved since the last picture whose detections were
    /// handed over, where the shell measures that; `None`: it stood still, or
    /// nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera_motion: Option<CameraMotion>,
    /// Nobody looked at this picture: who was seen in the last look was followed into it by the
    /// motion of the pixels, or nobody was seen, and the motion gate vouches that nobody came.
    #[serde(
        rename = "followed",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub is_followed: bool,
    /// What was seen, in any order.
    pub items: Vec<Detection>,
}

/// Where the points of the previous picture are in this one: a turned, scaled
/// and shifted picture (a similarity), as a pole in the wind or a truck that
/// shakes the bridge makes it.
///
/// In picture heights on both axes, from the upper left corner:
/// `x' = a·x − b·y + shift_x` and `y' = b·x + a·y + shift_y`, where `a` and `b`
/// are scale times cosine and sine of the turn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraMotion {
    /// Scale times cosine of the turn; 1 for none.
    pub a: f64,
    /// Scale times sine of the turn, clockwise positive; 0 for none.
    pub b: f64,
    /// Rightwards, in picture heights.
    pub shift_x: f64,
    /// Downwards, in picture heights.
    pub shift_y: f64,
}

/// No picture of the same place is magnified more than this by the next.
const MOST_SCALE: f64 = 2.0;
/// Farther than this, in picture heights, the next picture shows another place.
const MOST_SHIFT: f64 = 2.0;

impl CameraMotion {
    /// A camera that stood still.
    pub const NONE: Self = Self {
        a: 1.0,
        b: 0.0,
        shift_x: 0.0,
        shift_y: 0.0,
    };

    /// Rounded to 10⁻⁷; `None` for what is no motion between two pictures.
    #[must_use]
    pub fn canonical(self) -> Option<Self> {
        let scale = self.scale();
        let is_credible = (1.0 / MOST_SCALE..=MOST_SCALE).contains(&scale)
            && self.shift_x.abs() <= MOST_SHIFT
            && self.shift_y.abs() <= MOST_SHIFT;
        let round = |value: f64| crate::units::rounded(value, 7);
        is_credible.then(|| Self {
            a: round(self.a),
            b: round(self.b),
            shift_x: round(self.shift_x),
            shift_y: round(self.shift_y),
        })
    }

    /// How much larger everything is than in the previous picture.
    pub fn scale(&self) -> f64 {
        (self.a * self.a + self.b * self.b).sqrt()
    }
}

/// What recordings without [`Detections::believed_from`] were judged by.
const BELIEVED_FROM: f64 = 0.45;

const fn believed_from_by_default() -> f64 {
    BELIEVED_FROM
}

impl Detections {
    /// Rounds scores and edges to what is recorded (10⁻⁵ of the picture, a
    /// fiftieth of a pixel at 1080p) and puts them in canonical order. A
    /// `believed_from` that is no number becomes the default, one outside 0 to
    /// 1 the nearest bound; a camera motion that is none is left out.
    ///
    /// The detector's shell calls this once, so that a live scene and a replay
    /// of its recording start from the same bytes.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        let round = |value: f64| crate::units::rounded(value, 5);
        self.aspect = round(self.aspect);
        self.believed_from = if self.believed_from.is_nan() {
            BELIEVED_FROM
        } else {
            round(self.believed_from.clamp(0.0, 1.0))
        };
        self.camera_motion = self.camera_motion.and_then(CameraMotion::canonical);
        self.items.retain(|d| {
            let b = d.bounds;
            [d.score, b.x, b.y, b.width, b.height]
                .iter()
                .all(|v| v.is_finite())
                && b.width > 0.0
                && b.height > 0.0
        });
        for item in &mut self.items {
            item.score = round(item.score);
            let edges: [f64; 4] = item.bounds.into();
            item.bounds = edges.map(round).into();
        }
        // What compares equal is equal; a stable sort would allocate every time.
        self.items.sort_unstable_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then_with(|| a.class.cmp(&b.class))
                .then_with(|| a.bounds.x.total_cmp(&b.bounds.x))
                .then_with(|| a.bounds.y.total_cmp(&b.bounds.y))
                .then_with(|| a.bounds.width.total_cmp(&b.bounds.width))
                .then_with(|| a.bounds.height.total_cmp(&b.bounds.height))
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_of_the_future_reads_as_other() {
        let class: ObjectClass = serde_json::from_str("\"hoverboard\"").unwrap();
        assert_eq!(class, ObjectClass::Other);
        for (place, class) in ObjectClass::ALL.into_iter().enumerate() {
            // None is twice in the list, and none is left out: they stand as they are declared.
            assert_eq!(class as usize, place);
            let word = format!("\"{class}\"");
            assert_eq!(serde_json::to_string(&class).unwrap(), word);
            assert_eq!(serde_json::from_str::<ObjectClass>(&word).unwrap(), class);
        }
    }

    #[test]
    fn canonical_form_drops_nonsense_and_forgets_the_order() {
        let seen = |score, x| Detection {
            class: ObjectClass::Car,
            score,
            bounds: [x, 0.1, 0.1, 0.1].into(),
        };
        let frame = |items| Detections {
            frame: 1,
            time: EventTime::EPOCH,
            time_quality: TimeQuality::Media,
            aspect: 16.0 / 9.0,
            believed_from: 0.3,
            camera_motion: None,
            is_followed: false,
            items,
        };
        let one = frame(vec![
            seen(0.5, 0.123_456_789),
            seen(f64::NAN, 0.2),
            seen(0.9, 0.3),
        ]);
        let two = frame(vec![seen(0.9, 0.3), seen(0.5, 0.123_456_789)]);
        assert_eq!(one.canonical(), two.clone().canonical());
        assert_eq!(two.canonical().items[1].bounds.x, 0.12346);
    }

    #[test]
    fn what_a_detector_is_believed_from_is_a_score_in_canonical_form() {
        for (said, canonical) in [
            (0.35, 0.35),
            (0.333_333_333, 0.33333),
            (-1.0, 0.0),
            (f64::INFINITY, 1.0),
            (f64::NAN, 0.45),
        ] {
            let frame = Detections {
                frame: 1,
                time: EventTime::EPOCH,
                time_quality: TimeQuality::Media,
                aspect: 1.5,
                believed_from: said,
                camera_motion: None,
                is_followed: false,
                items: Vec::new(),
            };
            assert_eq!(frame.canonical().believed_from, canonical, "{said}");
        }
    }

    #[test]
    fn a_camera_motion_is_rounded_and_one_of_no_camera_is_left_out() {
        let motion = |a, b, shift_x, shift_y| {
            CameraMotion {
                a,
                b,
                shift_x,
                shift_y,
            }
            .canonical()
        };
        assert_eq!(motion(1.0, 0.0, 0.0, -0.0), Some(CameraMotion::NONE));
        let small = motion(1.000_000_04, 0.01, 0.012_345_678, 0.0).unwrap();
        assert_eq!((small.a, small.shift_x), (1.0, 0.012_345_7));
        for nonsense in [
            motion(0.0, 0.0, 0.0, 0.0),
            motion(f64::NAN, 0.0, 0.0, 0.0),
            motion(1.0, f64::INFINITY, 0.0, 0.0),
            motion(1e300, 1e300, 0.0, 0.0),
            motion(1.0, 0.0, 3.0, 0.0),
            motion(1.0, 0.0, 0.0, f64::NEG_INFINITY),
        ] {
            assert_eq!(nonsense, None);
        }
    }

    #[test]
    fn a_recording_from_before_detectors_said_so_reads_as_it_was_judged() {
        let line = r#"{"frame":0,"time":"1970-01-01T00:00:00Z","time_quality":"media","aspect":1.5,"items":[]}"#;
        let frame: Detections = serde_json::from_str(line).unwrap();
        assert_eq!(frame.believed_from, 0.45);
        let text = serde_json::to_string(&frame).unwrap();
        assert!(text.contains(r#""believed_from":0.45"#), "{text}");
    }
}
