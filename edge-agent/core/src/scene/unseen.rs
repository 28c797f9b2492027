//! Parts of the picture that nobody looked at closely for a while, though they looked at the
//! whole: what is small and far away is seen there only. Rules that watch a place in them did
//! not watch; what they had seen before goes on, because what is large was seen.

use protocol::{NormBox, Point, ZoneId};

use super::Scene;
use crate::config::{RuleConfig, SceneConfig};
use crate::health::Condition;
use crate::input::Unseen;

impl Scene {
    pub(super) fn hear_unseen(&mut self, unseen: &Unseen) {
        let only = &self.second_looks.only;
        for (index, rule) in self.config.rules.iter().enumerate() {
            // Who judges the picture itself needs no look, and goes on when it is frozen; what
            // only a cascade gives is looked at elsewhere.
            let is_of_looks = rule.rule.is_suspended_by(Condition::Frozen);
            let is_a_cascades =
                !rule.needs.is_empty() && rule.needs.iter().all(|class| only.contains(class));
            if is_of_looks && !is_a_cascades && self.config.is_in(rule, &unseen.part) {
                let stretch = (unseen.from, unseen.to);
                (self.account).take_back_stretch(index, stretch, unseen.reason.into());
            }
        }
    }
}

impl SceneConfig {
    /// Whether a part of the place that a rule watches lies in this part of the picture. One
    /// without a place watches all.
    fn is_in(&self, rule: &RuleConfig, part: &NormBox) -> bool {
        let place = rule.place.as_ref().map(|place| self.points_of(place));
        let Some(points) = place.filter(|points| !points.is_empty()) else {
            return true;
        };
        let span = |of: fn(&Point) -> f64| {
            let all = points.iter().map(of);
            all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| {
                (low.min(at), high.max(at))
            })
        };
        let ((left, right), (top, bottom)) = (span(|point| point.x), span(|point| point.y));
        left < part.right() && right > part.x && top < part.bottom() && bottom > part.y
    }

    fn points_of(&self, place: &ZoneId) -> Vec<Point> {
        let zone = self.zones.iter().find(|zone| zone.id == *place);
        let line = self.lines.iter().find(|line| line.id == *place);
        zone.map(|zone| zone.points.clone())
            .or(line.map(|line| vec![line.from, line.to]))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

    use protocol::units::Seconds;
    use protocol::{Detections, EventTime, ObjectClass, TimeQuality};

    use super::*;
    use crate::coverage::Unwatched;
    use crate::input::{GapReason, Input};
    use crate::rules::testing::{cascades, scene};

    fn at(second: f64) -> EventTime {
        EventTime::EPOCH + Seconds(second)
    }

    /// Seconds of ten that are `overload` for a rule, when parts were told as unseen: x, width,
    /// from, to.
    fn overloaded(scene: &mut Scene, told: &[(f64, f64, f64, f64)]) -> Option<f64> {
        for tenth in 0..=100_u32 {
            let detections = Detections {
                frame: u64::from(tenth),
                time: at(f64::from(tenth) / 10.0),
                time_quality: TimeQuality::Media,
                aspect: 2.0,
                believed_from: 0.45,
                camera_motion: None,
                is_followed: false,
                items: Vec::new(),
            };
            scene.handle(Input::Detections(detections), &mut Vec::new());
        }
        for (x, width, from, to) in told {
            let unseen = Unseen {
                part: NormBox::from([*x, 0.0, *width, 1.0]),
                from: at(*from),
                to: at(*to),
                reason: GapReason::Overload,
            };
            scene.handle(Input::Unseen(unseen), &mut Vec::new());
        }
        let hour = scene.coverage_now().next().unwrap();
        let all = hour.watched_s + hour.unwatched_s.values().sum::<f64>();
        assert!((all - 10.0).abs() < 1e-9, "{hour:?}");
        hour.unwatched_s.get(&Unwatched::Overload).copied()
    }

    const ZEBRA: &str = "kind = 'loitering'\nzone = 'zebra'\nmin_dwell_s = 2.0";

    /// Somebody small who stood there in a tile without a look was nobody, and the rule watched.
    #[test]
    fn a_rule_does_not_watch_while_nobody_looks_closely_at_its_place() {
        let half = |x: f64| [(x, 0.5, 1.0, 4.5)];
        assert_eq!(overloaded(&mut scene(ZEBRA, true), &half(0.0)), Some(3.5));
        assert_eq!(overloaded(&mut scene(ZEBRA, true), &half(0.5)), None);
        // One that watches all of the picture.
        let riders = "kind = 'riders_three_plus'";
        assert_eq!(overloaded(&mut scene(riders, true), &half(0.5)), Some(3.5));
    }

    #[test]
    fn a_time_in_which_several_parts_were_unseen_counts_once() {
        let told = [
            (0.0, 0.4, 1.0, 4.0),
            (0.3, 0.4, 2.0, 4.0),
            (0.3, 0.4, 2.5, 5.0),
            (0.0, 0.4, 5.0, 6.0),
        ];
        assert_eq!(overloaded(&mut scene(ZEBRA, true), &told), Some(5.0));
    }

    #[test]
    fn rules_about_the_picture_and_what_only_a_cascade_gives_need_no_such_look() {
        let all = [(0.0, 1.0, 1.0, 4.5)];
        let blocked = "kind = 'camera_blocked'";
        assert_eq!(overloaded(&mut scene(blocked, true), &all), None);
        let fire = |has_cascade: bool| {
            let mut scene = scene("kind = 'fire'", true);
            scene.expect_classes([ObjectClass::Fire].into_iter().filter(|_| !has_cascade));
            if has_cascade {
                scene.expect_second_looks(cascades());
            }
            overloaded(&mut scene, &all)
        };
        assert_eq!((fire(true), fire(false)), (None, Some(3.5)));
    }
}
