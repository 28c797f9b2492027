use super::super::camera::testing::camera;
use super::*;

const SOURCE: &str = "source = { rtsp = 'rtsp://h/x' }\n";

fn cascades(text: &str) -> Result<Vec<CascadeConfig>, String> {
    camera(&format!("{SOURCE}{text}")).map(|camera| camera.cascades)
}

const HELMETS: &str = "[[camera.cascade]]
    id = 'helmets'
    model = 'my-helmets'
    gives = ['helmet', 'no_helmet']
    on = 'motorcycle'
    crop = 'riders'
    ";

/// Five looks of ten were at a helmet, and the five at none were all that counted.
#[test]
fn what_speaks_for_a_road_user_is_heard_whatever_a_cascade_is_to_give() {
    use ObjectClass as C;
    for (gives, heard) in [
        ("'no_helmet'", vec![C::NoHelmet, C::Helmet]),
        (
            "['no_seat_belt', 'phone']",
            vec![C::NoSeatBelt, C::Phone, C::SeatBelt],
        ),
        ("['helmet', 'no_helmet']", vec![C::Helmet, C::NoHelmet]),
        ("'helmet'", vec![C::Helmet]),
    ] {
        let text = HELMETS.replace("['helmet', 'no_helmet']", gives);
        assert_eq!(cascades(&text).unwrap()[0].heard(), heard, "{gives}");
    }
}

#[test]
fn the_four_cascades_of_the_guide_are_read() {
    let guide = include_str!("../../../../docs/cascades.md");
    let examples: String = guide
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .filter(|text| text.starts_with("[[camera.cascade]]"))
        .collect();
    let read = cascades(&examples).unwrap();
    let told: Vec<_> = read
        .iter()
        .map(|c| (c.id.as_str(), c.gives.len(), c.looks.crop))
        .collect();
    assert_eq!(
        told,
        [
            ("plates", 1, Crop::Whole),
            ("helmets", 2, Crop::Riders),
            ("drivers", 3, Crop::Driver),
            ("flames", 2, Crop::Whole),
        ]
    );
    assert_eq!(read[0].looker, Looker::Plates);
    assert_eq!(read[2].looks.facing, Facing::Towards);
    assert!(read[3].looks.on.is_empty());
}

#[test]
fn every_fault_is_told_with_what_to_write() {
    for (text, part) in [
        ("id = 'a'", "missing field `gives`"),
        (
            "id = 'a'\ngives = 'helmt'\nmodel = 'm'",
            "gives: `helmt` is no mark; write",
        ),
        (
            "id = 'a'\ngives = 'plate_text'",
            "on: is missing: whose plates",
        ),
        (
            "id = 'a'\ngives = 'plate_text'\non = 'person'",
            "on: `person` has no plate",
        ),
        (
            "id = 'a'\ngives = 'plate_text'\non = 'car'\nmodel = 'm'",
            "model: plates are read by",
        ),
        (
            "id = 'a'\ngives = 'fire'\non = 'car'\nmodel = 'm'",
            "on: fire and smoke are nobody's",
        ),
        (
            "id = 'a'\ngives = 'fire'\nmodel = 'm'\nlooks = 3",
            "looks: is for cascades that look at somebody",
        ),
        (
            "id = 'a'\ngives = 'fire'\nmodel = 'm'\nevery_s = 9.0",
            "every_s: is between 0.2 and 1.5; 1 is usual",
        ),
        (
            "id = 'a'\ngives = 'phone'\non = 'tram'\nmodel = 'm'",
            "on: `tram` is no road user",
        ),
        ("id = 'a'\ngives = 'phone'\non = 'car'", "model: is missing"),
        (
            "id = 'a'\ngives = 'phone'\non = 'car'\nmodel = 'm'\ncrop = 'riders'",
            "crop: `car` has no riders",
        ),
        (
            "id = 'a'\ngives = 'phone'\non = 'motorcycle'\nmodel = 'm'\ncrop = 'driver'",
            "crop: `motorcycle` has no windscreen",
        ),
        (
            "id = 'a'\ngives = 'phone'\non = 'car'\nmodel = 'm'\ncrop = 'glass'",
            "crop: `glass` is none of whole, upper",
        ),
        (
            "id = 'a'\ngives = 'phone'\non = 'car'\nmodel = 'm'\ncrop = 'driver'\nfacing = 'away'",
            "facing: a windscreen is seen",
        ),
        (
            "id = 'a'\ngives = 'phone'\non = 'car'\nmodel = 'm'\nlooks = 4\nmost_looks = 3",
            "most_looks: is at least `looks`, 4",
        ),
        (
            "id = 'a'\ngives = 'phone'\non = 'car'\nmodel = 'm'\napart_s = 0.1",
            "apart_s: is between 0.2 and 10",
        ),
        (
            "id = 'a'\ngives = 'phone'\non = 'car'\nmodel = 'm'\naparts = 1",
            "aparts: no such key",
        ),
    ] {
        let faults = cascades(&format!("[[camera.cascade]]\n{text}\n")).unwrap_err();
        assert!(faults.contains(part), "{text}\n{faults}");
    }
}

#[test]
fn names_are_given_once_and_a_plate_is_read_by_one() {
    let faults = cascades(&format!("{HELMETS}\n{HELMETS}")).unwrap_err();
    assert!(
        faults.contains("cascade[1].id: `helmets` is taken by camera[0].cascade[0]"),
        "{faults}"
    );
    let plates = |id: &str| {
        format!("[[camera.cascade]]\nid = '{id}'\ngives = 'plate_text'\non = ['car', 'bus']\n")
    };
    let faults = cascades(&format!("{}{}", plates("a"), plates("b"))).unwrap_err();
    assert!(
        faults.contains("reads the plates of `car` already"),
        "{faults}"
    );
}

#[test]
fn a_rule_that_wants_more_looks_than_there_are_is_doubted() {
    let doubt = |more: &str, rule: &str| {
        let text = format!(
            "{SOURCE}{HELMETS}{more}\n[[camera.rule]]\nid = 'r'\nkind = 'no_helmet'\n{rule}"
        );
        camera(&text).unwrap().cascade_doubts
    };
    assert_eq!(doubt("", ""), Vec::<String>::new());
    let told = doubt("looks = 3\nmost_looks = 4", "");
    assert!(
        told[0].contains("wants 5 looks") && told[0].contains("at most 4"),
        "{told:?}"
    );
    assert_eq!(
        doubt("looks = 3\nmost_looks = 4", "min_looks = 4"),
        Vec::<String>::new()
    );
}
