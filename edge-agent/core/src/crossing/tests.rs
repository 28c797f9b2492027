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

    /// Jitter around a standing place crosses nothing. It is a detector's: 0.05
    /// box heights from look to look, and 0.03 where it is slow, a second and a
    /// half each time. (A box that stays farther off than that on one side for a
    /// second and then on the other has moved.)
    #[test]
    fn standing_anywhere_crosses_nothing(
        place in 0.45..0.55_f64,
        jitter in prop::collection::vec(-1.0..1.0_f64, 2..200),
        slow in any::<bool>(),
    ) {
        let (every, amplitude) = if slow { (15, 0.003) } else { (1, 0.005) };
        let xs: Vec<f64> = jitter
            .iter()
            .flat_map(|offset| std::iter::repeat_n(place + amplitude * offset, every))
            .collect();
        prop_assert_eq!(crossings(&xs), []);
    }

    /// Looks at which it had no id (id −1: the tracker did not know whose box it
    /// was) are not its sightings. What is left still is one crossing, if it
    /// was never lost for long, and never more than one.
    #[test]
    fn looks_without_an_id_neither_hide_a_crossing_nor_double_it(
        speed in 0.05..0.5_f64,
        looks in prop::collection::vec((-0.009..0.009_f64, prop::bool::weighted(0.4)), 100),
    ) {
        let (gate, mut crossing) = (gate(), Crossing::default());
        let (mut crossed, mut last, mut longest) = (Vec::new(), 0.0, 0.0_f64);
        let mut x = 0.0;
        for (tick, (offset, has_id)) in looks.iter().enumerate() {
            let t = tick as f64 / 10.0;
            x = 0.4 + speed * t + offset;
            // The first looks and the last are its own.
            if *has_id || !(3..=96).contains(&tick) {
                longest = longest.max(t - last);
                last = t;
                crossed.extend(crossing.observe(&gate, &spot(t, x, 0.5)));
            }
        }
        prop_assert!(crossed.len() <= 1);
        if longest < 1.4 && x > 0.52 {
            prop_assert_eq!(crossed.len(), 1);
        }
        prop_assert!(crossed.iter().all(|crossed| crossed.direction == Direction::Forward));
    }

    /// Two bodies on either side of the line whose ids are exchanged again and
    /// again: too far apart for one of them to have gone there, nobody crosses.
    #[test]
    fn ids_that_swap_over_the_line_cross_nothing(
        behind in 0.1..0.38_f64,
        beyond in 0.61..0.9_f64,
        looks in prop::collection::vec((any::<bool>(), -0.005..0.005_f64), 2..200),
    ) {
        for is_first in [true, false] {
            let xs: Vec<f64> = looks
                .iter()
                .map(|(swapped, jitter)| jitter + if *swapped == is_first { beyond } else { behind })
                .collect();
            prop_assert_eq!(crossings(&xs), []);
        }
    }

    /// Who crosses, stops and comes back has crossed once each way, however far
    /// beyond it turned; who turns before the line has not crossed at all.
    #[test]
    fn a_reversal_is_one_crossing_each_way_or_none(
        farthest in 0.42..0.6_f64,
        speed in 0.05..0.2_f64,
        stand in 0_u32..30,
        jitter in prop::collection::vec(-0.004..0.004_f64, 100),
    ) {
        let there = (farthest - 0.4) / speed;
        let path = |t: f64| {
            let back = t - there - f64::from(stand) / 10.0;
            if t < there { 0.4 + speed * t } else { farthest - speed * back.max(0.0) }
        };
        let xs: Vec<f64> = jitter
            .iter()
            .enumerate()
            .map(|(tick, offset)| path(tick as f64 / 10.0).max(0.38) + offset)
            .collect();
        prop_assume!(xs.last().is_some_and(|x| *x < 0.45));
        let directions: Vec<_> = crossings(&xs).iter().map(|c| c.direction).collect();
        match farthest {
            ..0.494 => prop_assert_eq!(directions, []),
            0.53.. => prop_assert_eq!(directions, [Direction::Forward, Direction::Backward]),
            _ => prop_assert!([0, 2].contains(&directions.len()), "{:?}", directions),
        }
    }

    /// A track that is born on the line or beyond has not crossed it, however
    /// it jitters and wherever it goes from there.
    #[test]
    fn a_track_that_is_born_late_has_crossed_nothing(
        place in 0.5..0.6_f64,
        speed in 0.0..0.5_f64,
        jitter in prop::collection::vec(0.0..0.009_f64, 2..80),
    ) {
        let xs: Vec<f64> = jitter
            .iter()
            .enumerate()
            .map(|(tick, offset)| place + speed * tick as f64 / 10.0 + offset)
            .collect();
        prop_assert_eq!(crossings(&xs), []);
    }

    /// Who waits just behind the line, nearer than jitter is from look to look
    /// but always on that side, is behind it; and crosses once when it goes.
    #[test]
    fn who_has_settled_just_behind_the_line_crosses_when_it_goes(
        gap in 0.0035..0.0095_f64,
        waits in 10_usize..100,
        jitter in prop::collection::vec(-0.0004..0.0004_f64, 130),
    ) {
        let xs: Vec<f64> = jitter
            .iter()
            .enumerate()
            .map(|(tick, offset)| {
                let way = 0.01 * tick.saturating_sub(waits) as f64;
                0.5 - gap + way + offset
            })
            .collect();
        let crossed = crossings(&xs);
        prop_assert_eq!(crossed.len(), 1);
        prop_assert_eq!(crossed[0].direction, Direction::Forward);
        prop_assert!(crossed[0].before_heights > crossed[0].least_before_heights);
        let left = waits as f64 / 10.0;
        let at = crossed[0].at.since(EventTime::EPOCH).0;
        prop_assert!(at > left - 1e-6, "{} before it left at {}", at, left);
    }

    /// Who came there only just now is not: nobody knows yet on which side it is.
    #[test]
    fn who_has_not_settled_near_the_line_is_on_neither_side(
        gap in -0.0095..0.0095_f64,
        looks in 2_usize..8,
        speed in 0.1..0.5_f64,
    ) {
        let xs: Vec<f64> = (0..60)
            .map(|tick: usize| 0.5 + gap + speed * tick.saturating_sub(looks) as f64 / 10.0)
            .collect();
        prop_assert_eq!(crossings(&xs), []);
    }

    /// Whatever one flickered look shows, the road user is where it was: it has
    /// crossed nothing, or there and back again.
    #[test]
    fn one_flickered_look_leaves_nobody_across(
        place in 0.3..0.48_f64,
        flicker in 0.0..1.0_f64,
        when in 1_usize..30,
        height in 0.02..0.4_f64,
    ) {
        let (gate, mut crossing) = (gate(), Crossing::default());
        let mut net = 0;
        for tick in 0..40 {
            let is_flicker = tick == when;
            let mut sighting =
                spot(tick as f64 / 10.0, if is_flicker { flicker } else { place }, 0.5);
            if is_flicker {
                sighting.height = height;
            }
            net += match crossing.observe(&gate, &sighting).map(|c| c.direction) {
                Some(Direction::Forward) => 1,
                Some(Direction::Backward) => -1,
                None => 0,
            };
        }
        prop_assert_eq!(net, 0);
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
