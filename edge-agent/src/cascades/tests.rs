use edge_cascade::{Crop, Facing, Looks};
use edge_inference::Answered;
use models::heads::{self, Answers};
use protocol::{Detection, EventTime};

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

/// A network that overflowed showed no plate, and whoever it was shown had been searched in vain: after
/// three such looks he was told of as one who hides his plate.
#[test]
fn a_look_of_which_numbers_are_none_and_that_shows_nothing_is_no_search_in_vain() {
    let seen = |class| Detection {
        class,
        score: 0.9,
        bounds: NormBox::from([0.4, 0.4, 0.1, 0.1]),
    };
    let (plate, person) = (seen(ObjectClass::Plate), seen(ObjectClass::Person));
    let detections = |found: &[Detection], broken| {
        let found = found.to_vec();
        Answer::Network(Ok(Answered::Detections(Answers { found, broken })))
    };
    let label = heads::Label {
        number: 0,
        class: Some(ObjectClass::Plate),
        score: 0.9,
    };
    let labels = |found: &[heads::Label], broken| {
        let found = found.to_vec();
        Answer::Network(Ok(Answered::Labels(Answers { found, broken })))
    };
    let plates = |broken| {
        let found = Vec::new();
        Answer::Plates(Ok(Answers { found, broken }))
    };
    for (name, answer, is_heard) in [
        ("none", detections(&[], 0), true),
        ("one", detections(&[plate], 0), true),
        ("one beside rubbish", detections(&[plate], 3), true),
        ("rubbish", detections(&[], 3), false),
        // Which says nothing of plates.
        ("another beside rubbish", detections(&[person], 3), false),
        ("no label", labels(&[], 0), true),
        ("a label beside rubbish", labels(&[label], 1), true),
        ("rubbish of labels", labels(&[], 1), false),
        ("no plates", plates(0), true),
        ("rubbish of plates", plates(1), false),
    ] {
        let (given_up, told) = bounded(1);
        let at = EventTime::EPOCH;
        let failed = Arc::new(AtomicU64::new(0));
        let question = Question {
            at: FrameTime { frame: 1, time: at },
            track: None,
            cascade: CascadeId::new("plates").unwrap(),
            by: Arc::new([]),
            main: None,
            bounds: NormBox::from([0.0, 0.0, 1.0, 1.0]),
            heard: vec![ObjectClass::Plate],
            believed_from: 0.5,
            failed: Arc::clone(&failed),
            pledge: Pledge {
                promise: Some((0, None, at)),
                given_up,
                dropped: GivenUp::NoTime,
            },
            _under_way: Arc::default(),
        };
        let learnt = question.learnt(answer);
        assert_eq!(learnt.is_some(), is_heard, "{name}");
        if let Some(learnt) = learnt {
            learnt.pledge.keep();
        }
        // Not taken, then, and the model's fault.
        let why = told.try_recv().ok().map(|(_, why)| why);
        assert_eq!(why, (!is_heard).then_some(GivenUp::NoTime), "{name}");
        assert_eq!(
            failed.load(Ordering::Relaxed),
            u64::from(!is_heard),
            "{name}"
        );
    }
}
