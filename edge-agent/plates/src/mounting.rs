//! Whose plate it is: the vehicle on which it is mounted, never the nearest.
//!
//! A vehicle may carry a plate that lies within its box, in the lower part, not
//! at its edge, and is as large beside it as plates are. Of several the smallest,
//! if it stands wholly before the larger one, as a motorcycle does before a car;
//! otherwise it is nobody's, and the case waits for another look. So is one that may
//! be that of a vehicle of which it is not certain that it is there, or where: a
//! detector misses some in every second frame, and their plates are still seen. Riders carry no
//! plates: the plate in a rider's box is the machine's.
//!
//! Sizes: plates of cars are 520 mm × 110 mm and 330 mm × 165 mm, before 2020
//! 470 mm × 110 mm and 280 mm × 200 mm; of motorcycles 190 mm × 140 mm (Circulars
//! 24/2023/TT-BCA and 15/2014/TT-BCA).

use protocol::{NormBox, ObjectClass, TrackId};

/// A road user that may carry a plate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Carrier {
    /// Its track.
    pub id: TrackId,
    /// What it is.
    pub class: ObjectClass,
    /// Where it is in this frame; where it may be, if that is not certain.
    pub bounds: NormBox,
    /// Whether it was seen there in this frame and is believed.
    pub is_certain: bool,
}

/// Why a plate is nobody's in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nobody {
    /// The plate's own box is no box.
    #[error("the plate's box has no size or is no number")]
    NoBox,
    /// No vehicle in whose box it lies as plates do.
    #[error("no vehicle has it where and as large as plates are")]
    NoVehicle,
    /// Several vehicles, none of which stands wholly before the others.
    #[error("it may be that of {0} vehicles")]
    Ambiguous(usize),
}

/// Where and how large plates are on a sort of vehicles.
#[derive(Clone, Copy, Debug)]
struct Mount {
    /// Middle of the plate below the top of the vehicle's box, part of its height.
    least_depth: f64,
    /// Middle of the plate from the middle of the box, part of its width.
    most_aside: f64,
    /// Width of the plate, part of the box's width.
    width: (f64, f64),
    /// Width over height of the plate, as seen.
    shape: (f64, f64),
}

/// From 330 mm on a bus of 12 m seen askew to 520 mm on a small car of 1.5 m, a
/// quarter more for boxes that are not tight. Seen askew a plate gets narrower and
/// moves to the edge of the box.
const FOUR_WHEELERS: Mount = Mount {
    least_depth: 0.5,
    most_aside: 0.45,
    width: (0.025, 0.45),
    shape: (0.7, 7.0),
};

/// From 190 mm on a machine of 2 m from the side to 190 mm on a box of half a metre
/// around a wheel and mudguard. A box may end at the rider's head or at the
/// seat, so the plate may be in the upper half; but on the line of the wheels. The
/// shape is 1.36, a third more where the box is not tight: the short plate of a
/// car that is seen past a motorcycle is 2.0.
const TWO_WHEELERS: Mount = Mount {
    least_depth: 0.3,
    most_aside: 0.25,
    width: (0.07, 0.5),
    shape: (0.6, 1.8),
};

/// Part of the plate that must lie in the vehicle's box.
const WHOLLY: f64 = 0.9;
/// Part of a smaller vehicle that must lie in the larger one's box to stand before it.
const BEFORE: f64 = 0.8;
/// How many times larger the other must be; boxes of one vehicle are nearly equal.
const LARGER: f64 = 2.0;

/// The vehicle that carries a plate in one frame. `aspect` is the picture's width over height.
pub fn carrier(plate: &NormBox, vehicles: &[Carrier], aspect: f64) -> Result<TrackId, Nobody> {
    let shape = plate.width * aspect / plate.height;
    if !is_box(plate) || !shape.is_finite() || shape <= 0.0 {
        return Err(Nobody::NoBox);
    }
    let mut able: Vec<&Carrier> = vehicles
        .iter()
        .filter(|vehicle| is_box(&vehicle.bounds) && may_carry(vehicle, plate, shape))
        .collect();
    able.sort_by(|a, b| {
        a.bounds
            .area()
            .total_cmp(&b.bounds.area())
            .then(a.id.cmp(&b.id))
    });
    let (first, others) = able.split_first().ok_or(Nobody::NoVehicle)?;
    if !first.is_certain {
        return Err(Nobody::Ambiguous(able.len()));
    }
    let is_before = |other: &&Carrier| {
        inside(&first.bounds, &other.bounds) >= BEFORE
            && other.bounds.area() >= LARGER * first.bounds.area()
    };
    if others.iter().all(is_before) {
        Ok(first.id)
    } else {
        Err(Nobody::Ambiguous(able.len()))
    }
}

fn may_carry(vehicle: &Carrier, plate: &NormBox, shape: f64) -> bool {
    use ObjectClass as C;
    let mount = match vehicle.class {
        C::Car | C::Bus | C::Truck => FOUR_WHEELERS,
        C::Motorcycle | C::Bicycle => TWO_WHEELERS,
        _ => return false,
    };
    let body = &vehicle.bounds;
    if !vehicle.is_certain {
        // Where in it a plate would be is as uncertain as the box.
        return inside(plate, body) >= WHOLLY;
    }
    let (middle, centre) = (plate.centre(), body.centre());
    let within = |(least, most): (f64, f64), value: f64| value >= least && value <= most;
    inside(plate, body) >= WHOLLY
        && (middle.y - body.y) / body.height >= mount.least_depth
        && (middle.x - centre.x).abs() <= mount.most_aside * body.width
        && within(mount.width, plate.width / body.width)
        && within(mount.shape, shape)
}

fn is_box(bounds: &NormBox) -> bool {
    let edges: [f64; 4] = (*bounds).into();
    edges.iter().all(|edge| edge.is_finite()) && bounds.area() > 0.0
}

/// Part of a box that lies in another.
fn inside(small: &NormBox, large: &NormBox) -> f64 {
    let width = small.right().min(large.right()) - small.x.max(large.x);
    let height = small.bottom().min(large.bottom()) - small.y.max(large.y);
    width.max(0.0) * height.max(0.0) / small.area()
}

#[cfg(test)]
mod tests;
