//! Where labels go: beside what they name, in the picture, on top of as little as possible.

use crate::clip::{Area, Spot};

/// Remembers what is taken while labels are placed one after the other.
pub(crate) struct Placer {
    room: Area,
    taken: Vec<Area>,
}

impl Placer {
    pub(crate) fn new(room: Area) -> Self {
        Self {
            room,
            taken: Vec::new(),
        }
    }

    /// Labels keep off `area` where they can.
    pub(crate) fn take(&mut self, area: Area) {
        self.taken.push(area);
    }

    /// The top left corner, of `wishes` in order of preference, that covers least.
    ///
    /// A wish that would leave the picture is moved inside; a label larger than
    /// the picture starts at its top left corner.
    pub(crate) fn place(&mut self, width: f64, height: f64, wishes: &[Spot]) -> Option<Area> {
        let inside = |wish: &Spot| {
            let left = wish.x.min(self.room.right - width).max(self.room.left);
            let top = wish.y.min(self.room.bottom - height).max(self.room.top);
            Area::new(left, top, width, height)
        };
        let cost = |wish: &Spot| {
            let area = inside(wish);
            let covers: f64 = self.taken.iter().map(|taken| taken.shared(&area)).sum();
            let moved = (area.left - wish.x).hypot(area.top - wish.y);
            covers + moved * height
        };
        let best = wishes
            .iter()
            .min_by(|a, b| cost(a).total_cmp(&cost(b)))
            .map(inside)?;
        self.taken.push(best);
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(x: f64, y: f64) -> Spot {
        Spot { x, y }
    }

    #[test]
    fn the_first_free_wish_wins_and_labels_avoid_each_other() {
        let mut placer = Placer::new(Area::new(0.0, 0.0, 100.0, 100.0));
        let wishes = [spot(10.0, 10.0), spot(10.0, 40.0)];
        assert_eq!(placer.place(30.0, 10.0, &wishes).unwrap().top, 10.0);
        assert_eq!(placer.place(30.0, 10.0, &wishes).unwrap().top, 40.0);
    }

    #[test]
    fn labels_stay_in_the_picture() {
        let room = Area::new(0.0, 0.0, 100.0, 50.0);
        let mut placer = Placer::new(room);
        for wish in [spot(-40.0, -40.0), spot(400.0, 400.0), spot(90.0, 45.0)] {
            let area = placer.place(30.0, 10.0, &[wish]).unwrap();
            assert_eq!(area.shared(&room), 300.0, "{wish:?}: {area:?}");
        }
        let large = placer.place(300.0, 100.0, &[spot(5.0, 5.0)]).unwrap();
        assert_eq!((large.left, large.top), (0.0, 0.0));
    }
}
