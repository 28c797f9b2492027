use super::*;
use proptest::prelude::*;
use protocol::ZoneId;
use protocol::event::FrameTime;

/// The line x = 0.5 from y = 0.2 to 0.8; forwards is to the right.
fn gate() -> Gate {
    let line = Line {
        id: ZoneId::new("stop").unwrap(),
        name: None,
        from: [0.5, 0.2].into(),
        to: [0.5, 0.8].into(),
        towards: [0.6, 0.5].into(),
    };
    Gate::new(&line, 1.0)
}

fn spot(t: f64, x: f64, y: f64) -> Spot {
    Spot {
        at: FrameTime {
            frame: 0,
            time: EventTime::EPOCH + Seconds(t),
        },
        foot: Point { x, y },
        iso: Vector::new(x, y),
        ground: None,
        height: 0.1,
    }
}

/// All crossings of a way seen ten times a second.
fn crossings(xs: &[f64]) -> Vec<Crossed> {
    let (gate, mut crossing) = (gate(), Crossing::default());
    xs.iter()
        .enumerate()
        .filter_map(|(tick, x)| crossing.observe(&gate, &spot(tick as f64 / 10.0, *x, 0.5)))
        .collect()
}

#[test]
fn the_instant_is_interpolated_between_close_sightings() {
    let crossed = crossings(&[0.40, 0.44, 0.48, 0.52, 0.56]);
    assert_eq!(crossed.len(), 1);
    assert_eq!(crossed[0].direction, Direction::Forward);
    assert_eq!(crossed[0].at, EventTime::EPOCH + Seconds(0.25));
    assert!((crossed[0].foot.x - 0.5).abs() < 1e-12);
}

#[test]
fn far_apart_sightings_give_the_earliest_instant() {
    let (gate, mut crossing) = (gate(), Crossing::default());
    assert_eq!(crossing.observe(&gate, &spot(1.0, 0.4, 0.5)), None);
    let crossed = crossing.observe(&gate, &spot(2.0, 0.6, 0.5)).unwrap();
    assert_eq!(crossed.at, EventTime::EPOCH + Seconds(1.0));
}

#[test]
fn a_crossing_that_nobody_saw_is_none() {
    let (gate, mut crossing) = (gate(), Crossing::default());
    assert_eq!(crossing.observe(&gate, &spot(1.0, 0.4, 0.5)), None);
    assert_eq!(crossing.observe(&gate, &spot(2.6, 0.6, 0.5)), None);
}

#[test]
fn there_and_back_is_one_crossing_each_way() {
    let directions: Vec<Direction> = crossings(&[0.4, 0.45, 0.55, 0.6, 0.55, 0.45, 0.4])
        .iter()
        .map(|crossed| crossed.direction)
        .collect();
    assert_eq!(directions, [Direction::Forward, Direction::Backward]);
}

#[test]
fn a_track_born_beyond_or_on_the_line_has_crossed_nothing() {
    assert_eq!(crossings(&[0.55, 0.6, 0.65]), []);
    assert_eq!(crossings(&[0.5, 0.505, 0.55, 0.6]), []);
}

#[test]
fn one_flickered_frame_within_the_band_is_nothing() {
    assert_eq!(crossings(&[0.47, 0.48, 0.505, 0.48, 0.47]), []);
}

#[test]
fn an_id_that_leaps_over_the_line_has_not_crossed_it() {
    // Three of its own heights within a tenth of a second.
    assert_eq!(crossings(&[0.44, 0.44, 0.74, 0.76]), []);
}

#[test]
fn a_body_of_another_size_is_another_body() {
    let (gate, mut crossing) = (gate(), Crossing::default());
    let mut truck = spot(0.1, 0.53, 0.5);
    truck.height = 0.2;
    assert_eq!(crossing.observe(&gate, &spot(0.0, 0.47, 0.5)), None);
    assert_eq!(crossing.observe(&gate, &truck), None);
}

#[test]
fn the_way_round_the_end_of_the_line_is_not_over_it() {
    let (gate, mut crossing) = (gate(), Crossing::default());
    for (tick, x) in [0.44, 0.48, 0.52, 0.56].iter().enumerate() {
        let sighting = spot(tick as f64 / 10.0, *x, 0.9);
        assert_eq!(crossing.observe(&gate, &sighting), None);
    }
}

proptest! {
    /// Forward and backward alternate, so their numbers differ by one at most:
    /// no jitter, flicker or standing on the line can count twice.
    #[test]
    fn crossings_alternate(xs in prop::collection::vec(0.42..0.58_f64, 2..200)) {
        let crossed = crossings(&xs);
        for pair in crossed.windows(2) {
            prop_assert_ne!(pair[0].direction, pair[1].direction);
            prop_assert!(pair[0].at <= pair[1].at);
        }
    }

    /// Jitter within the band around a standing place crosses nothing.
    #[test]
    fn standing_anywhere_crosses_nothing(
        place in 0.45..0.55_f64,
        jitter in prop::collection::vec(-0.0099..0.0099_f64, 2..200),
    ) {
        let xs: Vec<f64> = jitter.iter().map(|offset| place + offset).collect();
        prop_assert_eq!(crossings(&xs), []);
    }

    /// Whatever jitters on the way, driving through is exactly one crossing,
    /// and its instant is that of the true one give or take the jitter.
    #[test]
    fn driving_through_is_one_crossing(
        speed in 0.05..0.5_f64,
        jitter in prop::collection::vec(-0.009..0.009_f64, 80),
    ) {
        let xs: Vec<f64> = jitter
            .iter()
            .enumerate()
            .map(|(tick, offset)| 0.4 + speed * tick as f64 / 10.0 + offset)
            .collect();
        prop_assume!(xs.last().is_some_and(|x| *x > 0.52));
        let crossed = crossings(&xs);
        prop_assert_eq!(crossed.len(), 1);
        let truth = 0.1 / speed;
        let found = crossed[0].at.since(EventTime::EPOCH).0;
        prop_assert!((found - truth).abs() <= 0.1 + 0.02 / speed, "{} {}", found, truth);
    }
}
