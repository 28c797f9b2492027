//! The gate on the ground: whether anything can be measured there, and how well.

use super::Speeding;
use crate::calibration::Camera;
use crate::config::Line;
use crate::observation::Sight;
use crate::speed::Stretch;

/// The gate on the ground and the camera over it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) stretch: Stretch,
    pub(super) camera: Option<Camera>,
}

/// Why nothing can be measured here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Doubt {
    Uncalibrated,
    Residual(f64),
    NoStretch,
    Length { part: f64 },
    Tape { metres: f64 },
}

impl Speeding {
    /// The gate on the ground, or why it is not usable.
    pub(super) fn survey(&self, sight: &Sight<'_>) -> Result<Site, Doubt> {
        let ground = sight.ground.ok_or(Doubt::Uncalibrated)?;
        if ground.residual_m() > self.quality.max_residual_m {
            return Err(Doubt::Residual(ground.residual_m()));
        }
        let ends = |line: &Line| (line.from, line.to);
        let stretch =
            Stretch::new(ground, ends(&self.entry), ends(&self.exit)).ok_or(Doubt::NoStretch)?;
        let sigma = self.surveyed.map_or(stretch.length_sigma_m, |(_, tape)| {
            tape.min(stretch.length_sigma_m)
        });
        let part = 2.0 * sigma / stretch.length_m;
        if part > self.quality.max_length_error {
            return Err(Doubt::Length { part });
        }
        if let Some((metres, _)) = self.surveyed
            && (metres / stretch.length_m - 1.0).abs()
                > self.quality.max_length_error + 2.0 * stretch.length_sigma_m / stretch.length_m
        {
            return Err(Doubt::Tape {
                metres: stretch.length_m,
            });
        }
        Ok(Site {
            stretch,
            camera: Camera::of(ground, sight.aspect),
        })
    }

    /// What the gate is good for.
    pub(super) fn prospect(&self, site: &Site) -> String {
        let stretch = &site.stretch;
        let by_calibration = (stretch.length_m, stretch.length_sigma_m);
        let (length, sigma) = match self.surveyed {
            Some(tape) if tape.1 < by_calibration.1 => tape,
            _ => by_calibration,
        };
        let limit = self.limits.others;
        let off = limit * 2.0 * sigma / length;
        let camera = site.camera.map_or_else(
            || "of unknown height, so intervals are wider".to_owned(),
            |camera| format!("{:.1} m above the road", camera.height_m),
        );
        format!(
            "gate of {length:.1} m, known within {:.1} %: a true {limit:.0} km/h reads {:.1} to \
             {:.1}, besides the jitter of boxes; camera {camera}",
            200.0 * sigma / length,
            limit - off,
            limit + off,
        )
    }

    /// Why nothing is measured, and what to do.
    pub(super) fn reason(&self, doubt: Doubt) -> String {
        let most = self.quality.max_length_error * 100.0;
        match doubt {
            Doubt::Uncalibrated => {
                "measures nothing, because the camera is not calibrated; run `edge-agent calibrate`"
                    .to_owned()
            }
            Doubt::Residual(residual) => format!(
                "measures nothing, because the calibration's residual is {residual:.2} m and \
                 max_residual_m is {:.2}; survey again, or look for a mistyped point",
                self.quality.max_residual_m
            ),
            Doubt::NoStretch => "measures nothing, because its lines bound no stretch of road: \
                 they reach above the horizon, are not parallel, or are less than a metre apart; \
                 draw both across the road, 15 m apart or more"
                .to_owned(),
            Doubt::Length { part } => format!(
                "measures nothing, because the length of its gate is in doubt by {:.1} % and \
                 max_length_error is {most:.1} %; survey points near both lines, move the lines \
                 apart, or measure the gate with a tape and write `length_m`",
                part * 100.0
            ),
            Doubt::Tape { metres } => format!(
                "measures nothing, because its length_m and the calibration, which says \
                 {metres:.2} m, differ by more than {most:.1} %; measure both again"
            ),
        }
    }
}
