use super::*;
use protocol::EventTime;

fn id(rank: u16) -> TrackId {
    TrackId {
        born: EventTime::EPOCH,
        rank,
    }
}

/// By the middle of the lower edge, in picture heights.
fn at(x: f64, bottom: f64, width: f64, height: f64) -> IsoBox {
    IsoBox {
        centre: Vector::new(x, bottom - height / 2.0),
        width,
        height,
    }
}

fn bearer(rank: u16, group: Group, bounds: IsoBox) -> Bearer {
    Bearer {
        id: id(rank),
        group,
        mount: None,
        bounds,
        seen: bounds,
    }
}

fn on(mount: u16, mut rider: Bearer) -> Bearer {
    rider.mount = Some(id(mount));
    rider
}

/// Machine 1 with driver 2, seen from the front.
fn motorcycle_and_driver(x: f64) -> [Bearer; 2] {
    [
        bearer(1, Group::TwoWheeler, at(x, 0.80, 0.06, 0.10)),
        on(1, bearer(2, Group::Person, at(x, 0.78, 0.05, 0.16))),
    ]
}

#[test]
fn a_head_is_the_riders_at_whose_upper_end_it_is() {
    let all = motorcycle_and_driver(0.5);
    let whose = |mark| owner(ObjectClass::NoHelmet, &mark, &all);
    let driver = Some((id(1), Some(id(2))));
    assert_eq!(whose(at(0.50, 0.66, 0.03, 0.04)), driver);
    // At the knee there is no head, and beside somebody is somebody else's.
    assert_eq!(whose(at(0.50, 0.78, 0.03, 0.04)), None);
    assert_eq!(whose(at(0.56, 0.66, 0.03, 0.04)), None);
    // As large as a body is no head.
    assert_eq!(whose(at(0.50, 0.72, 0.06, 0.10)), None);
}

#[test]
fn a_head_of_driver_or_passenger_is_their_motorcycles() {
    let [machine, driver] = motorcycle_and_driver(0.5);
    let passenger = on(1, bearer(3, Group::Person, at(0.505, 0.77, 0.05, 0.16)));
    let head = at(0.50, 0.66, 0.03, 0.04);
    let whose = owner(ObjectClass::Helmet, &head, &[machine, driver, passenger]);
    assert_eq!(whose, Some((id(1), None)));
}

#[test]
fn a_head_that_may_be_a_passer_bys_is_nobodys() {
    let [machine, driver] = motorcycle_and_driver(0.5);
    let walker = bearer(3, Group::Person, at(0.51, 0.77, 0.05, 0.16));
    let head = at(0.50, 0.66, 0.03, 0.04);
    let whose = owner(ObjectClass::NoHelmet, &head, &[machine, driver, walker]);
    assert_eq!(whose, None);
}

#[test]
fn a_rider_who_was_not_seen_as_a_person_has_a_head_above_the_machine() {
    let [machine, _] = motorcycle_and_driver(0.5);
    let head = at(0.50, 0.66, 0.03, 0.04);
    let whose = |all: &[Bearer]| owner(ObjectClass::NoHelmet, &head, all);
    assert_eq!(whose(&[machine]), Some((id(1), None)));
    let beside = bearer(4, Group::TwoWheeler, at(0.51, 0.80, 0.06, 0.10));
    assert_eq!(whose(&[machine, beside]), None);
}

#[test]
fn a_plate_is_that_of_the_only_vehicle_in_which_it_lies() {
    let car = bearer(1, Group::FourWheeler, at(0.50, 0.80, 0.20, 0.18));
    let next = bearer(2, Group::FourWheeler, at(0.75, 0.80, 0.20, 0.18));
    let whose = |all: &[Bearer], mark| owner(ObjectClass::Plate, &mark, all);
    let plate = at(0.50, 0.77, 0.05, 0.012);
    assert_eq!(whose(&[car, next], plate), Some((id(1), None)));
    // Between two cars, on a roof, or as wide as the car: nobody's.
    for mark in [
        at(0.62, 0.77, 0.05, 0.012),
        at(0.50, 0.64, 0.05, 0.012),
        at(0.50, 0.77, 0.18, 0.012),
    ] {
        assert_eq!(whose(&[car, next], mark), None, "{mark:?}");
    }
    // A motorcycle in front of the car: whose plate it is cannot be told.
    let machine = bearer(3, Group::TwoWheeler, at(0.50, 0.82, 0.07, 0.10));
    let small = at(0.50, 0.77, 0.03, 0.012);
    assert_eq!(whose(&[car, machine], small), None);
    // One as wide as that is no motorcycle's.
    assert_eq!(whose(&[car, machine], plate), Some((id(1), None)));
}

#[test]
fn a_drivers_phone_is_the_cars_and_a_walkers_in_front_of_it_is_nobodys() {
    let car = bearer(1, Group::FourWheeler, at(0.50, 0.80, 0.20, 0.18));
    let driver = bearer(2, Group::Person, at(0.54, 0.72, 0.04, 0.06));
    let walker = bearer(3, Group::Person, at(0.54, 0.80, 0.05, 0.17));
    let phone = at(0.54, 0.69, 0.01, 0.012);
    let whose = |all: &[Bearer]| owner(ObjectClass::Phone, &phone, all);
    assert_eq!(whose(&[car]), Some((id(1), None)));
    assert_eq!(whose(&[car, driver]), Some((id(1), Some(id(2)))));
    assert_eq!(whose(&[car, walker]), None);
    assert_eq!(whose(&[walker]), Some((id(3), Some(id(3)))));
}

/// A detector that knows phones takes a dark car for one now and then, and a rider's back.
#[test]
fn what_is_as_large_as_a_vehicle_or_a_rider_is_no_phone_of_theirs() {
    let car = bearer(1, Group::FourWheeler, at(0.50, 0.80, 0.20, 0.18));
    let whose = |all: &[Bearer], mark| owner(ObjectClass::Phone, &mark, all);
    let half = at(0.54, 0.74, 0.09, 0.05);
    for mark in [car.bounds, half, at(0.54, 0.74, 0.03, 0.06)] {
        assert_eq!(whose(&[car], mark), None, "{mark:?}");
    }
    assert_eq!(
        whose(&[car], at(0.54, 0.72, 0.03, 0.03)),
        Some((id(1), None))
    );
    let [machine, driver] = motorcycle_and_driver(0.5);
    for mark in [driver.bounds, at(0.50, 0.70, 0.03, 0.06)] {
        assert_eq!(whose(&[machine, driver], mark), None, "{mark:?}");
    }
    let hand = at(0.51, 0.68, 0.012, 0.02);
    assert_eq!(whose(&[machine, driver], hand), Some((id(1), Some(id(2)))));
}

#[test]
fn fire_is_nobodys() {
    let car = bearer(1, Group::FourWheeler, at(0.50, 0.80, 0.20, 0.18));
    let flame = at(0.50, 0.75, 0.05, 0.05);
    assert_eq!(owner(ObjectClass::Fire, &flame, &[car]), None);
}
