//! What follows where a device is lost for good, by the loop that looks itself. The models here compute
//! all the while; that they do not is said by the test.

use std::cell::Cell;

use super::*;
use crate::live::scene_thread::{OnPanic, Whose};
use crate::live::{Ending, Job};

/// So often it comes round in a life of the program, unless something ends that.
const ROUNDS: usize = 100;

/// Nothing computes the model any more when it is asked for the `round`th time.
fn from_round<M>(round: usize) -> impl Fn(&M) -> Option<String> {
    let asked = Cell::new(0);
    move |_| {
        asked.set(asked.get() + 1);
        (asked.get() >= round).then(|| "an illegal memory access".to_owned())
    }
}

/// A model for second looks.
fn second(room: &Room) -> Second {
    let small = Small::default();
    let settings = DetectorSettings::default();
    let network = small::load(
        &room.runtime,
        small.manifest(),
        &small.file(),
        &settings,
        Network::load,
    );
    let network = network.unwrap();
    let name = "small".to_owned();
    Second {
        state: Arc::new(ModelState::of_network(name, Job::Cascade, &network)),
        taker: Taker::Network(Box::new(network)),
        mark: AtWorkMark::looking([]),
        forlorn: Forlorn::default(),
    }
}

/// A life of the program: how often it came round, and whether it ended for want of a device.
fn life(room: &Room, lost: Lost<'_>, is_forlorn: impl Fn(&StopFlag, String)) -> (usize, bool) {
    let (wake, woken) = bounded(ROUNDS);
    for _ in 0..ROUNDS {
        wake.send(()).unwrap();
    }
    // Then it ends as where all streams are gone.
    drop(wake);
    let (_scene, asked) = bounded(1);
    let (rounds, stop) = (Cell::new(0), StopFlag::default());
    let calls = Calls {
        woken: &woken,
        asked: &asked,
        goes_on: &|| rounds.set(rounds.get() + 1),
        is_forlorn: &|why| is_forlorn(&stop, why),
        lost,
    };
    let (feed, _heard) = room.feed(1);
    let models = room.models(vec![second(room)]);
    run(models, &[feed], &room.config.inference, &calls, &stop);
    let has_given_way = matches!(stop.fault(), Some(Ending::Forlorn(_)));
    (rounds.get(), has_given_way)
}

#[test]
fn a_detector_that_nothing_computes_any_more_ends_the_program_at_once() {
    let room = Room::new();
    let lives = [3, ROUNDS + 1].map(|round| {
        let lost = Lost {
            detector: &from_round::<Network>(round),
            second: &|_| None,
        };
        life(&room, lost, |_, why| panic!("{why}"))
    });
    assert_eq!(lives, [(3, true), (ROUNDS, false)]);
}

#[test]
fn a_device_that_never_comes_back_ends_three_lives_and_the_fourth_goes_on_without() {
    let (room, dir) = (Room::new(), tempfile::tempdir().unwrap());
    let live = |round| {
        let lost = Lost {
            detector: &|_| None,
            second: &from_round::<Taker>(round),
        };
        life(&room, lost, |stop, why| {
            assert!(why.starts_with("model small for second looks: "), "{why}");
            OnPanic::new(Whose::SecondModel, None, dir.path(), stop).give_way(why);
        })
    };
    let (ends, goes_on) = ((3, true), (ROUNDS, false));
    assert_eq!([3; 5].map(live), [ends, ends, ends, goes_on, goes_on]);
    assert_eq!(live(ROUNDS + 1), goes_on);
}
