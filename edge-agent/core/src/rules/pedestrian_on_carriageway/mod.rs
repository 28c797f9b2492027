#![doc = include_str!("README.md")]

use protocol::event::{Comparison, Severity, Value};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::explain::{self, Span};
use super::presence::{Stay, Stays};
use super::{Case, EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::geometry::polygon_contains;
use crate::observation::{Basis, FrameView, Observation};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "pedestrian_on_carriageway",
    title: (
        "Người đi bộ trên lòng đường",
        "Pedestrian on the carriageway",
    ),
    summary: (
        "Người đi bộ (không phải người đi xe) đứng hoặc đi trên phần đường dành cho xe",
        "A person on foot, not a rider, stands or walks where only vehicles belong",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "the carriageway"),
        Param::new(
            "except_zones",
            Form::Zones,
            "where people may be all the same, for example a zebra",
        ),
        Param::number(
            "min_duration_s",
            (2.0, "s"),
            (0.0, 3_600.0),
            "how long somebody must have been there",
        ),
        Param::number(
            "max_exit_s",
            (1.0, "s"),
            (0.0, 60.0),
            "an absence of up to this pauses the duration; a longer one ends it",
        ),
        Param::number(
            "max_speed_kmh",
            (12.0, "km/h"),
            (1.0, 60.0),
            "who is faster is no pedestrian (calibrated cameras)",
        ),
        Param::number(
            "max_speed_heights_per_s",
            (2.0, "box heights per s"),
            (0.1, 20.0),
            "who is faster is no pedestrian (without calibration)",
        ),
    ],
    read,
};

#[derive(Clone, Debug)]
struct PedestrianOnCarriageway {
    zone: Zone,
    except: Vec<Zone>,
    min_duration_s: f64,
    max_speed_kmh: f64,
    max_speed_heights_per_s: f64,
    stays: Stays,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let except = params.zones("except_zones");
    let min_duration_s = params.number("min_duration_s");
    let max_exit_s = params.number("max_exit_s");
    let max_speed_kmh = params.number("max_speed_kmh");
    let max_speed_heights_per_s = params.number("max_speed_heights_per_s");
    Some(Box::new(PedestrianOnCarriageway {
        zone: zone?,
        except: except?,
        min_duration_s,
        max_speed_kmh,
        max_speed_heights_per_s,
        stays: Stays::new(max_exit_s),
    }))
}

impl PedestrianOnCarriageway {
    /// Its speed in the best basis there is, and the limit in that basis.
    fn pace(&self, user: &Observation) -> Option<(Basis, f64, f64)> {
        let motion = user.motion?;
        Some(match motion.ground_speed() {
            Some(speed) => (Basis::Ground, speed.0, self.max_speed_kmh),
            None => (
                Basis::Picture,
                motion.picture.length(),
                self.max_speed_heights_per_s,
            ),
        })
    }

    fn is_on_carriageway(&self, user: &Observation) -> bool {
        let on_foot = !user.is_rider && self.pace(user).is_none_or(|(_, pace, most)| pace <= most);
        let foot = user.spot.foot;
        on_foot
            && polygon_contains(&self.zone.points, foot)
            && !self
                .except
                .iter()
                .any(|z| polygon_contains(&z.points, foot))
    }

    fn raise(
        &self,
        stay: &Stay,
        user: &Observation,
        frame: &FrameView<'_>,
        report: &mut Reporter<'_>,
    ) -> Option<Case> {
        // Somebody whose pace is still unknown may be riding.
        let (basis, pace, most) = self.pace(user)?;
        let unit = match basis {
            Basis::Ground => "km/h",
            Basis::Picture => "box heights per s",
        };
        let span = Span::new(stay.entered.at, frame.at);
        let explanation = vec![
            explain::number(
                explain::name(
                    "on_carriageway_for",
                    "Thời gian ở trên lòng đường",
                    "Time on the carriageway",
                ),
                (stay.dwell, Comparison::AtLeast, self.min_duration_s),
                "s",
                span,
            ),
            explain::is(
                explain::name("is_rider", "Đang đi xe hai bánh", "Rides a two-wheeler"),
                stay.is_rider(),
                false,
                span,
            ),
            explain::number(
                (
                    "pace",
                    format!("Tốc độ di chuyển ({})", basis.vi()),
                    format!("Pace ({})", basis.en()),
                ),
                (pace, Comparison::AtMost, most),
                unit,
                Span::at(frame.at),
            ),
        ];
        let mut facts = explain::facts([
            ("dwell_s", stay.dwell.into()),
            ("class", user.class.as_str().into()),
            ("basis", basis.as_str().into()),
        ]);
        if basis == Basis::Ground {
            facts.insert("speed_kmh".to_owned(), Value::from(pace));
        }
        report.decide(Onset {
            subject: stay.subject,
            onset: stay.entered.at.time,
            decided: frame.at,
            ended: None,
            actors: vec![frame.actor(user)],
            facts,
            explanation,
            evidence: vec![stay.entered.at],
        })
    }
}

impl Rule for PedestrianOnCarriageway {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn about(&self) -> &'static [ObjectClass] {
        &[ObjectClass::Person]
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let mut stays = std::mem::replace(&mut self.stays, Stays::new(0.0));
        stays.expire(frame, report);
        stays.update(frame, |user| {
            (user.class == ObjectClass::Person).then(|| self.is_on_carriageway(user))
        });
        let wants = report.wants_near_misses();
        stays.raise(frame, self.min_duration_s, wants, |stay, user| {
            self.raise(stay, user, frame, report)
        });
        self.stays = stays;
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.stays.forget(track);
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        self.stays.end(reason, report);
    }

    fn remembered(&self) -> usize {
        self.stays.remembered()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
