use proptest::prelude::*;
use protocol::EventTime;

use super::*;

const ASPECT: f64 = 16.0 / 9.0;

fn id(rank: u16) -> TrackId {
    TrackId {
        born: EventTime::EPOCH,
        rank,
    }
}

fn vehicle(rank: u16, class: ObjectClass, bounds: [f64; 4]) -> Carrier {
    Carrier {
        id: id(rank),
        class,
        bounds: bounds.into(),
        is_certain: true,
    }
}

/// A plate around a middle, in fractions of the picture; `shape` is its true width over height.
fn plate(x: f64, y: f64, width: f64, shape: f64) -> NormBox {
    let height = width * ASPECT / shape;
    [x - width / 2.0, y - height / 2.0, width, height].into()
}

/// What, the plate, the vehicles, whose it is.
type Case<'a> = (&'a str, NormBox, &'a [Carrier], Result<u16, Nobody>);

#[test]
fn a_plate_is_that_of_the_vehicle_on_which_it_is_mounted() {
    use ObjectClass as C;
    let car = vehicle(1, C::Car, [0.2, 0.2, 0.3, 0.4]);
    let bike = vehicle(2, C::Motorcycle, [0.3, 0.35, 0.08, 0.3]);
    let rider = vehicle(3, C::Person, [0.29, 0.3, 0.1, 0.3]);
    let beside = vehicle(4, C::Car, [0.45, 0.2, 0.3, 0.4]);
    let twin = vehicle(5, C::Truck, [0.2, 0.21, 0.3, 0.4]);
    let on_car = plate(0.45, 0.5, 0.06, 4.7);
    let on_bike = plate(0.34, 0.52, 0.025, 1.36);
    let cases: [Case<'_>; 15] = [
        ("car", on_car, &[car], Ok(1)),
        (
            "in the road",
            plate(0.8, 0.5, 0.06, 4.7),
            &[car, bike],
            Err(Nobody::NoVehicle),
        ),
        (
            "half outside",
            plate(0.5, 0.5, 0.06, 4.7),
            &[car],
            Err(Nobody::NoVehicle),
        ),
        (
            "on the windscreen",
            plate(0.35, 0.3, 0.06, 4.7),
            &[car],
            Err(Nobody::NoVehicle),
        ),
        (
            "as wide as the car",
            plate(0.35, 0.5, 0.2, 4.7),
            &[car],
            Err(Nobody::NoVehicle),
        ),
        (
            "too small",
            plate(0.35, 0.5, 0.005, 4.7),
            &[car],
            Err(Nobody::NoVehicle),
        ),
        ("motorcycle", on_bike, &[bike], Ok(2)),
        ("rider and machine", on_bike, &[rider, bike], Ok(2)),
        ("rider alone", on_bike, &[rider], Err(Nobody::NoVehicle)),
        (
            "motorcycle before a car",
            on_bike,
            &[car, rider, bike],
            Ok(2),
        ),
        (
            "the car's, with a motorcycle before it",
            on_car,
            &[car, rider, bike],
            Ok(1),
        ),
        (
            "a long plate behind a motorcycle",
            plate(0.34, 0.52, 0.06, 4.7),
            &[car, bike],
            Ok(1),
        ),
        (
            "a short plate behind a motorcycle",
            plate(0.34, 0.52, 0.03, 2.0),
            &[car, bike],
            Ok(1),
        ),
        (
            "two cars that overlap",
            plate(0.475, 0.5, 0.04, 2.0),
            &[car, beside],
            Err(Nobody::Ambiguous(2)),
        ),
        (
            "one vehicle as two",
            plate(0.35, 0.5, 0.06, 4.7),
            &[car, twin],
            Err(Nobody::Ambiguous(2)),
        ),
    ];
    for (what, plate, vehicles, expected) in cases {
        assert_eq!(
            carrier(&plate, vehicles, ASPECT),
            expected.map(id),
            "{what}"
        );
    }
}

#[test]
fn boxes_that_are_none_carry_nothing() {
    let car = vehicle(1, ObjectClass::Car, [0.2, 0.2, 0.3, 0.4]);
    let good = plate(0.35, 0.5, 0.06, 4.7);
    for strange in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut broken = car;
        broken.bounds.width = strange;
        assert_eq!(carrier(&good, &[broken], ASPECT), Err(Nobody::NoVehicle));
        assert_eq!(carrier(&good, &[broken, car], ASPECT), Ok(id(1)));
        assert_eq!(carrier(&broken.bounds, &[car], ASPECT), Err(Nobody::NoBox));
        assert_eq!(carrier(&good, &[car], strange), Err(Nobody::NoBox));
    }
    assert_eq!(
        carrier(&NormBox::default(), &[car], ASPECT),
        Err(Nobody::NoBox)
    );
}

/// The machine before the car was missed in this frame, or is new.
#[test]
fn a_plate_that_may_be_that_of_an_uncertain_vehicle_is_nobodys() {
    use ObjectClass as C;
    let car = vehicle(1, C::Car, [0.2, 0.2, 0.3, 0.4]);
    let doubtful = Carrier {
        is_certain: false,
        ..vehicle(2, C::Motorcycle, [0.3, 0.35, 0.08, 0.3])
    };
    let behind = Carrier {
        is_certain: false,
        ..vehicle(3, C::Truck, [0.1, 0.1, 0.7, 0.6])
    };
    let rider = Carrier {
        is_certain: false,
        ..vehicle(4, C::Person, [0.3, 0.3, 0.1, 0.4])
    };
    let on_bike = plate(0.34, 0.5, 0.03, 1.4);
    let on_car = plate(0.45, 0.5, 0.06, 4.7);
    let whose = |plate: &NormBox, all: &[Carrier]| carrier(plate, all, ASPECT);
    assert_eq!(whose(&on_bike, &[car]), Ok(id(1)), "what went wrong");
    assert_eq!(whose(&on_bike, &[car, doubtful]), Err(Nobody::Ambiguous(2)));
    assert_eq!(whose(&on_bike, &[doubtful]), Err(Nobody::Ambiguous(1)));
    assert_eq!(whose(&on_car, &[car, doubtful, rider]), Ok(id(1)));
    // It stands wholly before the larger one, certain or not.
    assert_eq!(whose(&on_car, &[car, behind]), Ok(id(1)));
}

proptest! {
    #[test]
    fn the_order_of_vehicles_changes_nothing_and_another_one_never_moves_a_plate_outwards(
        boxes in prop::collection::vec((0.0..0.6_f64, 0.0..0.6_f64, 0.05..0.4_f64, 0.05..0.4_f64, 0..6_usize), 1..6),
        place in (0.1..0.9_f64, 0.1..0.9_f64, 0.01..0.1_f64, 1.0..5.0_f64),
    ) {
        let classes = [ObjectClass::Car, ObjectClass::Bus, ObjectClass::Truck, ObjectClass::Motorcycle, ObjectClass::Bicycle, ObjectClass::Person];
        let all: Vec<Carrier> = (1_u16..).zip(&boxes)
            .map(|(rank, (x, y, w, h, class))| vehicle(rank, classes[*class], [*x, *y, *w, *h]))
            .collect();
        let plate = plate(place.0, place.1, place.2, place.3);
        let found = carrier(&plate, &all, ASPECT);
        let reversed: Vec<Carrier> = all.iter().rev().copied().collect();
        prop_assert_eq!(found, carrier(&plate, &reversed, ASPECT));
        if let Ok(owner) = found {
            let owner = all.iter().find(|v| v.id == owner).unwrap();
            prop_assert!(inside(&plate, &owner.bounds) >= WHOLLY && owner.class != ObjectClass::Person);
        }
    }
}
