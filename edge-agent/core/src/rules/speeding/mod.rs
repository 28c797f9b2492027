#![doc = include_str!("README.md")]

mod proof;
mod site;

use std::collections::BTreeMap;

use protocol::event::{Severity, Value};
use protocol::units::rounded;
use protocol::{ObjectClass, TimeQuality, TrackId, ZoneId};

use super::explain;
use super::params::MOTOR_VEHICLES;
use super::{EndReason, Form, Onset, Outlook, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Line;
use crate::input::{Gap, SpeedMeasured};
use crate::observation::{FrameView, Observation, Sight};
use crate::speed::passage::{GateView, Passage, Progress, VehicleView};
use crate::speed::{Instrument, Speed};
use proof::Measured;
use site::{Doubt, Site};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "speeding",
    title: ("Chạy quá tốc độ", "Speeding"),
    summary: (
        "Tốc độ trung bình của xe giữa hai vạch đo chắc chắn vượt quá mức cho phép",
        "A vehicle's mean speed between two lines is above the limit beyond doubt",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new(
            "entry_line",
            Form::Line,
            "where the gate begins, across the road",
        ),
        Param::new(
            "exit_line",
            Form::Line,
            "where it ends; traffic from entry to exit is measured",
        ),
        Param::number(
            "limit_kmh",
            (50.0, "km/h"),
            (5.0, 150.0),
            "the speed that is allowed",
        ),
        Param::number(
            "limit_motorcycle_kmh",
            (50.0, "km/h"),
            (5.0, 150.0),
            "the same for motorcycles; unless written, limit_kmh",
        ),
        Param::number(
            "limit_bus_kmh",
            (50.0, "km/h"),
            (5.0, 150.0),
            "the same for buses; unless written, limit_kmh",
        ),
        Param::number(
            "limit_truck_kmh",
            (50.0, "km/h"),
            (5.0, 150.0),
            "the same for trucks; unless written, limit_kmh",
        ),
        Param::number(
            "tolerance_kmh",
            (5.0, "km/h"),
            (0.0, 50.0),
            "by how much the lower end of the interval must be over the limit",
        ),
        Param::number(
            "length_m",
            (0.0, "m"),
            (0.0, 1_000.0),
            "the gate's length by a tape along the road; 0: by the calibration",
        ),
        Param::number(
            "length_sigma_m",
            (0.05, "m"),
            (0.001, 5.0),
            "what the tape is good for (standard deviation)",
        ),
        Param::number(
            "contact_height_m",
            (0.15, "m"),
            (0.0, 1.0),
            "up to how high above the road the lower edge of a box may hang (a bumper)",
        ),
        Param::number(
            "min_looks",
            (6.0, ""),
            (3.0, 1_000.0),
            "fewer looks are no measurement",
        ),
        Param::number(
            "min_way",
            (0.6, ""),
            (0.2, 1.0),
            "part of the gate in which the vehicle must have been followed",
        ),
        Param::number(
            "max_misfit",
            (0.15, ""),
            (0.01, 1.0),
            "most that boxes may deviate from an evenly driven vehicle's, as a part of the box",
        ),
        Param::number(
            "max_residual_m",
            (0.5, "m"),
            (0.01, 5.0),
            "with a larger residual of the calibration nothing is measured",
        ),
        Param::number(
            "max_length_error",
            (0.05, ""),
            (0.001, 0.5),
            "most that the gate's length may be in doubt (two standard deviations), and that tape \
             and calibration may differ, as a part of it",
        ),
        Param::new(
            "report_all",
            Form::Flag,
            "whether every measured speed is put out, for statistics",
        ),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

/// Whose speed is measured, accused or not.
const MEASURED: &[ObjectClass] = &[
    ObjectClass::Bicycle,
    ObjectClass::Motorcycle,
    ObjectClass::Car,
    ObjectClass::Bus,
    ObjectClass::Truck,
];

#[derive(Clone, Debug)]
struct Speeding {
    entry: Line,
    exit: Line,
    limits: Limits,
    tolerance_kmh: f64,
    /// By a tape, with its standard deviation, m.
    surveyed: Option<(f64, f64)>,
    contact_height_m: f64,
    quality: Quality,
    report_all: bool,
    classes: Vec<ObjectClass>,
    /// The gate on the ground, for the aspect of the picture it was made for.
    site: Option<(f64, Result<Site, Doubt>)>,
    passages: BTreeMap<TrackId, Passage>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    others: f64,
    motorcycle: f64,
    bus: f64,
    truck: f64,
}

impl Limits {
    fn of(&self, class: ObjectClass) -> f64 {
        match class {
            ObjectClass::Motorcycle => self.motorcycle,
            ObjectClass::Bus => self.bus,
            ObjectClass::Truck => self.truck,
            _ => self.others,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Quality {
    min_looks: f64,
    min_way: f64,
    max_misfit: f64,
    max_residual_m: f64,
    max_length_error: f64,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let entry = params.line("entry_line");
    let exit = params.line("exit_line");
    let classes = params.classes("classes");
    let others = params.number("limit_kmh");
    let mut limit = |key| {
        let written = params.number(key);
        if params.is_written(key) {
            written
        } else {
            others
        }
    };
    let limits = Limits {
        others,
        motorcycle: limit("limit_motorcycle_kmh"),
        bus: limit("limit_bus_kmh"),
        truck: limit("limit_truck_kmh"),
    };
    let tolerance_kmh = params.number("tolerance_kmh");
    let tape = (params.number("length_m"), params.number("length_sigma_m"));
    let contact_height_m = params.number("contact_height_m");
    let quality = Quality {
        min_looks: params.number("min_looks"),
        min_way: params.number("min_way"),
        max_misfit: params.number("max_misfit"),
        max_residual_m: params.number("max_residual_m"),
        max_length_error: params.number("max_length_error"),
    };
    let report_all = params.flag("report_all");
    let (entry, exit) = (entry?, exit?);
    if entry.id == exit.id {
        params.fault(
            "exit_line",
            "is the entry line; a gate needs two lines across the road",
        );
        return None;
    }
    Some(Box::new(Speeding {
        entry,
        exit,
        limits,
        tolerance_kmh,
        surveyed: (tape.0 > 0.0).then_some(tape),
        contact_height_m,
        quality,
        report_all,
        classes: classes?,
        site: None,
        passages: BTreeMap::new(),
    }))
}

impl Speeding {
    /// Measures a passage, if it is one.
    fn measure(
        &self,
        site: &Site,
        passage: &Passage,
        sight: &Sight<'_>,
        clock: TimeQuality,
    ) -> Option<Speed> {
        let instrument = Instrument {
            ground: sight.ground?,
            camera: site.camera.as_ref(),
            aspect: sight.aspect,
            stretch: &site.stretch,
            surveyed: self.surveyed,
            time_sigma_s: match clock {
                // RTP time stamps are those of the sensor; a clip's are its own.
                TimeQuality::Rtcp | TimeQuality::Media => 0.002,
                // Networks and buffers.
                TimeQuality::Arrival => 0.02,
                // How long it took is not known at all.
                TimeQuality::Unknown => return None,
            },
        };
        let quality = &self.quality;
        let followed = passage.way_m() / site.stretch.length_m;
        if (passage.looks.count() as f64) < quality.min_looks || followed < quality.min_way {
            return None;
        }
        let speed = instrument.measure(&passage.looks, passage.class)?;
        (speed.misfit <= quality.max_misfit && speed.speed.0 >= 0.0).then_some(speed)
    }

    /// What the lower end of the interval is beyond any doubt: a lower edge
    /// that hangs `contact_height_m` above the road moves faster over the
    /// ground plane than its vehicle, as a shadow does.
    fn certain_kmh(&self, speed: &Speed, site: &Site) -> f64 {
        let height = site.camera.map_or(LOW_CAMERA_M, |camera| camera.height_m);
        speed.low.0 * (1.0 - (self.contact_height_m / height).min(1.0))
    }

    fn report(&self, passage: &Passage, speed: &Speed, report: &mut Reporter<'_>) {
        if !self.report_all {
            return;
        }
        let [low, mean, high] = [speed.low, speed.speed, speed.high].map(|v| rounded(v.0, 2));
        report.speed(SpeedMeasured {
            rule: report.rule.id.clone(),
            track: passage.track,
            class: passage.class,
            at: passage.last,
            bounds: passage.bounds,
            speed_kmh: mean,
            low_kmh: low,
            high_kmh: high,
            looks: speed.looks,
        });
    }

    fn judge(
        &self,
        measured: &Measured<'_>,
        user: &Observation,
        frame: &FrameView<'_>,
    ) -> Option<Onset> {
        let Measured {
            site,
            passage,
            speed,
        } = *measured;
        let limit = self.limits.of(user.class);
        let certain = rounded(self.certain_kmh(speed, site), 1);
        let mut explanation = self.explain(measured, certain, limit, frame);
        explanation.extend(explain::of_class(user, &self.classes, frame));
        if !explain::all_hold(&explanation) {
            return None;
        }
        let kmh = |value: f64| Value::from(rounded(value, 1));
        let mut facts = explain::facts([
            ("class", user.class.as_str().into()),
            ("speed_kmh", kmh(speed.speed.0)),
            ("low_kmh", kmh(speed.low.0)),
            ("high_kmh", kmh(speed.high.0)),
            ("certain_kmh", kmh(certain)),
            ("limit_kmh", kmh(limit)),
            ("tolerance_kmh", kmh(self.tolerance_kmh)),
            ("over_kmh", kmh(certain - limit)),
            ("way_m", kmh(speed.way_m)),
            ("duration_s", Value::from(rounded(speed.duration_s, 2))),
        ]);
        if let Some(band) = band(user.class, certain - limit) {
            facts.insert("band".to_owned(), Value::from(band));
        }
        Some(Onset {
            subject: user.track,
            onset: passage.first.time,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: vec![frame.actor(user)],
            facts,
            explanation,
            evidence: vec![passage.first, passage.middle],
        })
    }
}

/// The height of a low camera, where the calibration does not tell it, m.
const LOW_CAMERA_M: f64 = 4.0;

/// The band of the law that a certain excess falls into, km/h.
fn band(class: ObjectClass, over: f64) -> Option<&'static str> {
    const CAR: &[(f64, &str)] = &[(35.0, "+35"), (20.0, "+20"), (10.0, "+10"), (5.0, "+5")];
    let bands = match class {
        ObjectClass::Motorcycle | ObjectClass::Bicycle => &CAR[1..],
        _ => CAR,
    };
    bands
        .iter()
        .find(|(from, _)| over >= *from)
        .map(|(_, word)| *word)
}

impl Rule for Speeding {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.entry.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let aspect = frame.sight.aspect;
        if self
            .site
            .as_ref()
            .is_none_or(|(made_for, _)| *made_for != aspect)
        {
            self.site = Some((aspect, self.survey(&frame.sight)));
            self.passages.clear();
        }
        let (Some((_, Ok(site))), Some(ground)) = (self.site, frame.sight.ground) else {
            return;
        };
        let mut passages = std::mem::take(&mut self.passages);
        for user in frame.users.iter().filter(|u| MEASURED.contains(&u.class)) {
            let bounds = frame.detected(user);
            let passage = passages
                .entry(user.track)
                .or_insert_with(|| Passage::new(user.track, frame.at));
            let gate = GateView {
                stretch: &site.stretch,
                ground,
                camera: site.camera.as_ref(),
            };
            let vehicle = VehicleView {
                at: frame.at,
                class: user.class,
                bounds,
                covered: frame.covered(user),
            };
            if passage.see(&gate, &vehicle) != Progress::Through {
                continue;
            }
            let measured = self.measure(&site, passage, &frame.sight, report.time_quality);
            let Some(speed) = measured else {
                continue;
            };
            self.report(passage, &speed, report);
            let measured = Measured {
                site: &site,
                passage,
                speed: &speed,
            };
            if self.classes.contains(&user.class)
                && let Some(onset) = self.judge(&measured, user, frame)
            {
                // Begun and ended at once: nothing will be added to it.
                let _over = report.raise(onset);
            }
        }
        self.passages = passages;
    }

    fn interrupt(&mut self, _gap: &Gap) {
        // Nobody knows how it drove meanwhile, or whether the clock was right.
        for passage in self.passages.values_mut() {
            passage.abandon();
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.passages.remove(&track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.passages.clear();
    }

    fn remembered(&self) -> usize {
        self.passages.len()
    }

    fn outlook(&self, sight: &Sight<'_>) -> Option<Outlook> {
        Some(match self.survey(sight) {
            Ok(site) => Ok(self.prospect(&site)),
            Err(doubt) => Err(self.reason(doubt)),
        })
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
