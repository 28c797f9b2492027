use edge_cascade::{Crop, Facing, Looks};
use protocol::EventTime;

use super::*;

fn heads() -> Cascades {
    let looks = Looks {
        on: vec![ObjectClass::Person],
        crop: Crop::Upper,
        margin: 0.0,
        wanted: 5,
        most: 10,
        apart_s: 0.3,
        min_height_px: 48.0,
        min_sharpness: 0.1,
        facing: Facing::Any,
        needs_ground: false,
        most_per_s: 5.0,
    };
    Cascades {
        list: vec![Cascade {
            id: CascadeId::new("heads").unwrap(),
            heard: vec![ObjectClass::Helmet],
            model: 0,
            believed_from: 0.5,
            made_of: Arc::new([]),
            chooser: Chooser::new(looks),
            failed: Arc::default(),
            row: Row::default(),
            refused: 0,
            unfit: 0,
        }],
        under_way: VecDeque::new(),
        pictures_under_way: VecDeque::new(),
        given_up: bounded(MOST_GIVEN_UP),
        held_up: 0,
        unanswered: Vec::new(),
    }
}

/// Of a main stream that is lost no rule may be said to have watched; what is too blurred
/// there is as if it had not been chosen.
#[test]
fn a_row_of_looks_without_a_picture_is_a_lost_stream_and_one_of_unfit_parts_is_nothing() {
    for (why, reasons, unclear) in [
        (GivenUp::NoPicture, vec![GapReason::StreamLost], 0),
        (GivenUp::NoTime, vec![GapReason::Overload], 0),
        (GivenUp::Unheard, vec![GapReason::Overload], 0),
        (GivenUp::Unfit, vec![], 4),
    ] {
        let mut heads = heads();
        for second in 0..4 {
            let at = EventTime::from_micros(second * 1_000_000);
            heads.given_up.0.send(((0, None, at), why)).unwrap();
        }
        heads.hear_given_up();
        let told = heads.take_unanswered();
        let told: Vec<GapReason> = told.iter().map(|stretch| stretch.reason).collect();
        assert_eq!(told, reasons, "{why:?}");
        let (passed, _) = heads.passed();
        assert!(passed.values().all(|it| it.unclear == unclear), "{why:?}");
        let busy = if why == GivenUp::Unheard { 4 } else { 0 };
        assert!(passed.values().all(|it| it.busy == busy), "{why:?}");
    }
}
