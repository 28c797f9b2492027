//! An accusation in numbers and words.

use protocol::Predicate;
use protocol::event::Comparison;
use protocol::units::rounded;

use super::Speeding;
use super::site::Site;
use crate::calibration::Ground;
use crate::observation::FrameView;
use crate::rules::explain::{self, Span};
use crate::speed::Speed;
use crate::speed::passage::Passage;

/// A vehicle that went through the gate, and how fast.
pub(super) struct Measured<'a> {
    pub(super) site: &'a Site,
    pub(super) passage: &'a Passage,
    pub(super) speed: &'a Speed,
}

impl Speeding {
    /// Everything about the measurement that had to be true.
    pub(super) fn explain(
        &self,
        measured: &Measured<'_>,
        certain: f64,
        limit: f64,
        frame: &FrameView<'_>,
    ) -> Vec<Predicate> {
        let Measured {
            site,
            passage,
            speed,
        } = *measured;
        let span = Span::new(passage.first, passage.last);
        let quality = &self.quality;
        let residual = frame.sight.ground.map_or(f64::MAX, Ground::residual_m);
        let number = |name: (&str, &str, &str), value: (f64, Comparison, f64), unit| {
            let (value, comparison, threshold) = value;
            let value = (rounded(value, 3), comparison, threshold);
            explain::number(explain::name(name.0, name.1, name.2), value, unit, span)
        };
        vec![
            number(
                (
                    "certain_speed",
                    "Tốc độ chắc chắn đã đạt (cận dưới của khoảng 95 %)",
                    "Speed driven beyond doubt (lower end of the 95 % interval)",
                ),
                (certain, Comparison::MoreThan, limit + self.tolerance_kmh),
                "km/h",
            ),
            number(
                (
                    "looks",
                    "Số lần đo trong đoạn đường",
                    "Looks within the gate",
                ),
                (speed.looks as f64, Comparison::AtLeast, quality.min_looks),
                "",
            ),
            number(
                (
                    "way_followed",
                    "Quãng đường theo dõi được trong đoạn đo",
                    "Way over which the vehicle was followed in the gate",
                ),
                (
                    passage.way_m(),
                    Comparison::AtLeast,
                    rounded(quality.min_way * site.stretch.length_m, 2),
                ),
                "m",
            ),
            number(
                (
                    "misfit",
                    "Sai lệch của khung so với xe chạy đều (phần của khung)",
                    "Deviation of the boxes from those of an evenly driven vehicle (part of the box)",
                ),
                (speed.misfit, Comparison::AtMost, quality.max_misfit),
                "",
            ),
            number(
                (
                    "calibration_residual",
                    "Sai số hiệu chuẩn camera",
                    "Residual of the camera's calibration",
                ),
                (residual, Comparison::AtMost, quality.max_residual_m),
                "m",
            ),
        ]
    }
}
