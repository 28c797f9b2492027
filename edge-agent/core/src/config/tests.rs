use std::fmt::Write;

use super::*;
use expect_test::{Expect, expect};

fn faults(toml: &str) -> String {
    let table: toml::Table = toml.parse().unwrap();
    let (_, faults) = SceneConfig::from_table(&table);
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn check(toml: &str, expected: &Expect) {
    expected.assert_eq(&faults(toml));
}

const GOOD: &str = r#"
    [[zone]]
    id = "lane"
    name = "Làn ngoài"
    points = [[0.1, 0.5], [0.9, 0.5], [0.9, 0.9], [0, 1]]

    [[line]]
    id = "stop"
    from = [0.1, 0.6]
    to = [0.9, 0.6]
    towards = [0.5, 0.4]

    [[signal]]
    group = "north"
    lamp = { region = [0.62, 0.1, 0.02, 0.08], layout = "vertical" }

    [[signal]]
    group = "east"
    mqtt = { topic = "junction/12/east" }
    stale_after_s = 2

    # Numbered by a SPaT controller that publishes only on change, with lamps
    # of two colours, and each source with its own limit.
    [[signal]]
    group = "east-right"
    lamp = { region = [0.7, 0.1, 0.04, 0.02], layout = "horizontal", lamps = ["red", "green"], stale_after_s = 0.8 }
    mqtt = { topic = "junction/12", signal_group = 3, intersection = 1209, stale_after_s = 90 }

    [[signal]]
    group = "north-right"
    lamp = { region = [0.8, 0.1, 0.02, 0.03], layout = "arrow" }

    [tracker]
    keep_lost_s = 3.0

    [[rule]]
    id = "red"
    kind = "red_light"
    line = "stop"
    signal = "north"
    title = { vi = "Vượt đèn", en = "Ran the light" }
    severity = "critical"

    [[rule]]
    id = "parked"
    kind = "stopped_vehicle"
    zone = "lane"
    min_dwell_s = 30
    classes = ["car", "truck"]
    title = "Chỗ cấm đỗ"
"#;

#[test]
fn a_good_scene_has_no_faults_and_its_defaults() {
    let (config, faults) = SceneConfig::from_table(&GOOD.parse().unwrap());
    assert_eq!(faults, []);
    assert_eq!(config.zones[0].points[3], Point { x: 0.0, y: 1.0 });
    assert_eq!(config.signals[0].stale_after.lamp, Seconds(1.5));
    assert_eq!(config.signals[1].stale_after.controller, Seconds(2.0));
    assert_eq!(config.tracker.keep_lost_s, 3.0);
    assert_eq!(config.tracker.high_score, None);
    let [red, parked] = config.rules.as_slice() else {
        panic!("two rules");
    };
    assert_eq!(red.severity, Severity::Critical);
    assert_eq!(red.title.en, "Ran the light");
    assert_eq!(red.place.as_ref().unwrap().as_str(), "stop");
    assert_eq!(parked.severity, Severity::Major);
    assert_eq!(parked.title.vi, parked.title.en);
}

#[test]
fn an_empty_scene_is_a_scene() {
    let (config, faults) = SceneConfig::from_table(&toml::Table::new());
    assert_eq!(faults, []);
    assert!(config.rules.is_empty());
}

#[test]
fn every_fault_is_found_at_once() {
    check(
        r#"
        [[zone]]
        id = "lane"
        points = [[0.1, 0.5], [0.9, 0.5]]
        [[zone]]
        id = "bow-tie"
        points = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]
        [[zone]]
        id = "pixels"
        points = [[0.1, 0.5], [640, 360], [0.9, 0.9]]
        [[zone]]
        id = "lane"
        points = [[0.1, 0.5], [0.9, 0.5], [0.9, 0.9]]
        colour = "red"
        [[zone]]
        id = "Làn"
        points = "everywhere"
        [[line]]
        id = "lane"
        from = [0.1, 0.6]
        to = [0.9, 0.6]
        towards = [0.5, 0.6]
        [[signal]]
        group = "north"
        [[signal]]
        group = "south"
        lamp = { region = [0.9, 0.9, 0.2, 0.2], layout = "round" }
        mqtt = { topic = "a/#", signal_group = 1.5 }
        [[signal]]
        group = "west"
        lamp = { region = [0.1, 0.1, 0.02, 0.02], layout = "arrow", lamps = ["red", "green"] }
        [tracker]
        high_score = 0.3
        low_score = 0.5
        keep_lost = 2
        [[rule]]
        id = "r1"
        kind = "stoped_vehicle"
        anything = 1
        [[rule]]
        id = "r2"
        kind = "stopped_vehicle"
        zone = "lame"
        min_dwell_ms = 5000
        [[rule]]
        id = "r2"
        kind = "wrong_way"
        zone = "lane"
        direction = [[0.5, 0.5], [0.5, 0.5]]
        min_distance_m = -3
        min_duration_s = "2 s"
        classes = ["lorry"]
        severity = "high"
        [[rule]]
        id = "r3"
        kind = "red_light"
        line = "stop"
        signal = "north"
        [[rule]]
        kind = "loitering"
        "#,
        &expect![[r#"
            zone[0].points: has 2; a zone needs at least 3 points (for a line use [[line]])
            zone[1].points: the edge after point 0 crosses the edge after point 2 (counted from 0); list the corners in order around the zone
            zone[2].points[1]: [640, 360] is outside the picture; write fractions of its width and height from 0 to 1, not pixels
            zone[3].colour: is not a key here; known are `id`, `name`, `points`
            zone[4].id: `Làn` cannot be an id; use 1 to 64 of a-z, 0-9, `-` and `_`, starting with a letter or digit
            zone[4].points: is the text "everywhere"; write a list of [x, y]
            line[0].towards: is on the line; give a point beyond it, on the side where a forward crossing ends up
            signal[0]: has no source; give `lamp = { region = [x, y, width, height], layout = "vertical" }` or `mqtt = { topic = "..." }`, or `recorded = true` when its readings come with recorded inputs
            signal[1].lamp.layout: `round` is not known; write "vertical", "horizontal" or, for a green arrow of its own, "arrow"
            signal[1].lamp.region: is empty or reaches outside the picture; write [left, top, width, height] as fractions of the picture, for example [0.62, 0.10, 0.02, 0.08]
            signal[1].mqtt.signal_group: is 1.5; write a whole number
            signal[1].mqtt.topic: must be one topic without wildcards, for example junction/12/signal/north
            signal[2].lamp.lamps: must be the colours of the lamps from the top or the left, each once, for example ["red", "amber", "green"] or ["red", "green"]; an "arrow" has one
            tracker.low_score: is above high_score (0.3); write a smaller number
            tracker.keep_lost: is not a key here; did you mean `keep_lost_s`?
            rule[0].kind: there is no kind of rule `stoped_vehicle`; did you mean `stopped_vehicle`? known are `blocking_junction`, `congestion`, `crash`, `crowd`, `debris`, `illegal_parking`, `illegal_stop`, `illegal_turn`, `illegal_uturn`, `intrusion`, `loitering`, `pedestrian_on_carriageway`, `queue`, `red_light`, `speeding`, `stop_line`, `stopped_vehicle`, `wrong_lane`, `wrong_way`
            rule[1].zone: there is no zone `lame`; did you mean `lane`? known are `lane`
            rule[1].min_dwell_ms: is not a key here; did you mean `min_dwell_s`?
            rule[2].severity: there is no severity `high`; known are `info`, `minor`, `major`, `critical`
            rule[2].direction: leads nowhere; move its two points apart
            rule[2].classes: there is no class of road user `lorry`; known are `person`, `bicycle`, `motorcycle`, `car`, `bus`, `truck`, `train`, `animal`
            rule[2].min_duration_s: is the text "2 s"; write a number in s without its unit, for example 2
            rule[2].min_distance_m: is -3; write a number in m from 0.5 to 1000
            rule[3].line: there is no line `stop`, and no other; add one
            rule[4].id: is missing; write for example `id = "no-stopping"`
            rule[4].zone: is missing; write for example `zone = "carriageway"`
            zone[3].id: `lane` is taken by zone[0]; choose another
            rule[2].id: `r2` is taken by rule[1]; choose another
            line[0].id: `lane` is a zone already; zones and lines share their names, choose another"#]],
    );
}

#[test]
fn a_rule_that_names_a_faulty_zone_is_not_at_fault_itself() {
    check(
        r#"
        [[zone]]
        id = "lane"
        points = [[0.1, 0.5], [0.9, 0.5]]
        [[rule]]
        id = "r"
        kind = "loitering"
        zone = "lane"
        "#,
        &expect!["zone[0].points: has 2; a zone needs at least 3 points (for a line use [[line]])"],
    );
}

#[test]
fn values_of_the_wrong_form_are_named() {
    check(
        r#"
        zone = "lane"
        tracker = 3
        line = [1]
        [[rule]]
        id = 7
        kind = true
        "#,
        &expect![[r#"
            zone: is the text "lane"; write one [[zone]] for each
            line[0]: is the number 1; write one [[line]] for each
            tracker: is the number 3; write a table
            rule[0].id: is the number 7; write text in quotes
            rule[0].kind: is true; write text in quotes"#]],
    );
}

#[test]
fn the_catalogue_says_what_every_key_means() {
    let mut text = String::new();
    for entry in crate::rule_catalogue() {
        let (kind, severity, summary) = (entry.kind, entry.severity, entry.summary.1);
        writeln!(text, "{kind} ({severity:?}): {summary}").unwrap();
        assert!(!entry.title.0.is_empty() && !entry.summary.0.is_empty());
        for param in entry.params {
            let form = match param.form {
                crate::rules::Form::Number(n) => {
                    // A number carries its unit in its key.
                    assert!(param.key.contains('_'), "{} has no unit", param.key);
                    assert!((n.min..=n.max).contains(&n.default));
                    format!("{} {} ({} to {})", n.default, n.unit, n.min, n.max)
                }
                crate::rules::Form::Classes(default) => {
                    let names: Vec<&str> = default.iter().map(|c| c.as_str()).collect();
                    names.join(", ")
                }
                other => format!("{other:?}").to_lowercase(),
            };
            writeln!(text, "    {}: {form}; {}", param.key, param.meaning).unwrap();
        }
    }
    expect![[r#"
        blocking_junction (Minor): A vehicle stands in the junction while cross traffic has green
            zone: zone; the box of the junction
            signal: signal; signal of the cross traffic
            min_dwell_s: 5 s (1 to 3600); how long it must have been seen to stand during the cross traffic's green
            edge_m: 5 m (0 to 50); so far beyond the edge of the box who was in it is still in the way (calibrated cameras)
            edge_heights: 1 box heights (0 to 10); the same without calibration
            radius_m: 2 m (0.2 to 20); it stands while it stays within this (calibrated cameras)
            radius_heights: 0.35 box heights (0.05 to 3); it stands while it stays within this (without calibration)
            keep_s: 60 s (0 to 3600); for how long its place is remembered while it is hidden
            update_every_s: 60 s (0 to 86400); how often a running event is brought up to date; 0 for never
            classes: motorcycle, car, bus, truck; which vehicles
        congestion (Minor): Traffic in a zone is slow and dense for a while
            zone: zone; where
            min_count: 4 vehicles (1 to 500); at least so many are slow
            max_speed_kmh: 15 km/h (0.5 to 120); who is slower than this is slow (calibrated cameras)
            max_mean_speed_kmh: 15 km/h (0.5 to 300); the mean speed of all vehicles in the zone is lower (calibrated cameras)
            max_speed_heights_per_s: 0.8 box heights per s (0.05 to 20); both of these without calibration
            min_occupancy: 0.6  (0 to 1); vehicles cover at least this part of the zone in the picture; 0: any
            min_duration_s: 60 s (1 to 3600); for how long
            clear_after_s: 30 s (1 to 3600); it is over when it has been better for this long
            update_every_s: 60 s (0 to 86400); how often a running event is brought up to date; 0 for never
            classes: motorcycle, car, bus, truck; which vehicles
        crash (Critical): Two vehicles come to rest suddenly against each other, or a rider lies down; a score for review
            zone: zone; where
            min_score: 0.6  (0 to 1); at least this score, see the guide
            min_standing_s: 1.5 s (0.5 to 60); both must have stood for this long
            clear_after_s: 10 s (1 to 3600); it is over when neither has been seen to stand for this long
        crowd (Minor): Many people are in a zone for a while
            zone: zone; where
            min_count: 20 people (2 to 1000); at least so many
            min_density_per_m2: 0 1/m² (0 to 10); or at least so many per square metre of the zone (calibrated cameras); 0: never
            min_duration_s: 30 s (1 to 3600); for how long
            clear_after_s: 30 s (1 to 3600); it is over when there have been fewer for this long
            update_every_s: 60 s (0 to 86400); how often a running event is brought up to date; 0 for never
        debris (Major): An unknown thing that is no person or vehicle lies on the road
            zone: zone; where
            min_dwell_s: 20 s (1 to 86400); how long it must have been seen to lie there
            radius_m: 2 m (0.2 to 20); it stands while it stays within this (calibrated cameras)
            radius_heights: 0.35 box heights (0.05 to 3); it stands while it stays within this (without calibration)
            keep_s: 60 s (0 to 3600); for how long its place is remembered while it is hidden
            update_every_s: 60 s (0 to 86400); how often a running event is brought up to date; 0 for never
        illegal_parking (Minor): A vehicle is parked where parking is forbidden
            zone: zone; where it is forbidden
            min_dwell_s: 300 s (1 to 86400); how long it must have been seen to stand
            exempt_zones: zones; where `exempt_classes` (or all, if none are written) may stand, for example a bus stop
            exempt_classes: ; who may stand in `exempt_zones` (or everywhere, if none are written)
            radius_m: 2 m (0.2 to 20); it stands while it stays within this (calibrated cameras)
            radius_heights: 0.35 box heights (0.05 to 3); it stands while it stays within this (without calibration)
            keep_s: 60 s (0 to 3600); for how long its place is remembered while it is hidden
            update_every_s: 60 s (0 to 86400); how often a running event is brought up to date; 0 for never
            queue_excuses_s: 300 s (0 to 86400); for at most this long a queue or a red light explains that it stands; 0: never
            classes: motorcycle, car, bus, truck; which vehicles
        illegal_stop (Minor): A vehicle stops where stopping is forbidden
            zone: zone; where it is forbidden
            min_dwell_s: 60 s (1 to 86400); how long it must have been seen to stand
            exempt_zones: zones; where `exempt_classes` (or all, if none are written) may stand, for example a bus stop
            exempt_classes: ; who may stand in `exempt_zones` (or everywhere, if none are written)
            radius_m: 2 m (0.2 to 20); it stands while it stays within this (calibrated cameras)
            radius_heights: 0.35 box heights (0.05 to 3); it stands while it stays within this (without calibration)
            keep_s: 60 s (0 to 3600); for how long its place is remembered while it is hidden
            update_every_s: 60 s (0 to 86400); how often a running event is brought up to date; 0 for never
            queue_excuses_s: 300 s (0 to 86400); for at most this long a queue or a red light explains that it stands; 0: never
            classes: motorcycle, car, bus, truck; which vehicles
        illegal_turn (Major): A vehicle comes in by one arm and leaves by another that is forbidden from there
            entry_line: line; where it comes in
            exit_line: line; where it may not leave
            max_turn_s: 30 s (1 to 600); within what time from the one to the other
            classes: motorcycle, car, bus, truck; which vehicles
        illegal_uturn (Major): A vehicle turns back where that is forbidden
            zone: zone; where turning back is forbidden
            from: direction; the way that those concerned come, from one point to another; may be left out, and then all are concerned
            min_turn_deg: 150 ° (90 to 270); by how much the heading must have changed
            max_turn_s: 30 s (1 to 600); within what time from the beginning of the turn
            min_back_m: 3 m (0 to 100); how far it must have gone back since it was half-way (calibrated cameras)
            min_back_heights: 0.7 box heights (0 to 20); how far it must have gone back since it was half-way (without calibration)
            classes: motorcycle, car, bus, truck; which vehicles
        intrusion (Major): Somebody is where nobody may be, at the hours of the rule
            zone: zone; where nobody may be
            except_zones: zones; parts of it where anybody may be all the same
            min_duration_s: 1 s (0 to 3600); how long somebody must have been there
            max_exit_s: 5 s (0 to 600); an absence of up to this pauses the duration; a longer one ends the event
            classes: person, bicycle, motorcycle, car, bus, truck; who may not be there
        loitering (Minor): Somebody stays in a zone for longer than allowed, short exits included
            zone: zone; where
            min_dwell_s: 60 s (1 to 86400); how long somebody must have been in the zone
            max_exit_s: 5 s (0 to 600); an absence of the same track of up to this pauses the dwell; a longer one ends it
            classes: person; who is concerned; people on two-wheelers never are
        pedestrian_on_carriageway (Major): A person on foot, not a rider, stands or walks where only vehicles belong
            zone: zone; the carriageway
            except_zones: zones; where people may be all the same, for example a zebra
            min_duration_s: 2 s (0 to 3600); how long somebody must have been there
            max_exit_s: 1 s (0 to 60); an absence of up to this pauses the duration; a longer one ends it
            max_speed_kmh: 12 km/h (1 to 60); who is faster is no pedestrian (calibrated cameras)
            max_speed_heights_per_s: 2 box heights per s (0.1 to 20); who is faster is no pedestrian (without calibration)
        queue (Info): Many vehicles stand one behind the other in a zone for a while
            zone: zone; where
            min_count: 5 vehicles (2 to 500); at least so many stand in it
            min_length_m: 0 m (0 to 2000); it is at least this long (calibrated cameras); 0: any
            min_duration_s: 60 s (1 to 3600); for how long
            clear_after_s: 30 s (1 to 3600); it is over when it has been shorter for this long
            update_every_s: 60 s (0 to 86400); how often a running event is brought up to date; 0 for never
        red_light (Major): A vehicle crosses the stop line on red and drives on into the junction
            line: line; the stop line; forward is into the junction
            signal: signal; the signal group that governs this movement
            grace_s: 0.5 s (0 to 10); for how long it must have been red at the crossing
            min_travel_m: 5 m (0.5 to 100); how far beyond the line it must drive (calibrated cameras)
            min_travel_heights: 1.5 box heights (0.2 to 20); how far beyond the line it must drive (without calibration)
            max_travel_s: 10 s (1 to 120); within what time it must have driven so far
            clock_margin_s: 1 s (0 to 10); how far the clocks of controller and camera may differ; unless written, 0 where the signal is read from the lamps or recorded, and no accusation where a controller's word meets pictures that are not timed by RTCP
            classes: motorcycle, car, bus, truck; which vehicles
        speeding (Major): A vehicle's mean speed between two lines is above the limit beyond doubt
            entry_line: line; where the gate begins, across the road
            exit_line: line; where it ends; traffic from entry to exit is measured
            limit_kmh: 50 km/h (5 to 150); the speed that is allowed
            limit_motorcycle_kmh: 50 km/h (5 to 150); the same for motorcycles; unless written, limit_kmh
            limit_bus_kmh: 50 km/h (5 to 150); the same for buses; unless written, limit_kmh
            limit_truck_kmh: 50 km/h (5 to 150); the same for trucks; unless written, limit_kmh
            tolerance_kmh: 5 km/h (0 to 50); by how much the lower end of the interval must be over the limit
            length_m: 0 m (0 to 1000); the gate's length by a tape along the road; 0: by the calibration
            length_sigma_m: 0.05 m (0.001 to 5); what the tape is good for (standard deviation)
            contact_height_m: 0.15 m (0 to 1); up to how high above the road the lower edge of a box may hang (a bumper)
            min_looks: 6  (3 to 1000); fewer looks are no measurement
            min_way: 0.6  (0.2 to 1); part of the gate in which the vehicle must have been followed
            max_misfit: 0.15  (0.01 to 1); most that boxes may deviate from an evenly driven vehicle's, as a part of the box
            max_residual_m: 0.5 m (0.01 to 5); with a larger residual of the calibration nothing is measured
            max_length_error: 0.05  (0.001 to 0.5); most that the gate's length may be in doubt (two standard deviations), and that tape and calibration may differ, as a part of it
            report_all: flag; whether every measured speed is put out, for statistics
            classes: motorcycle, car, bus, truck; which vehicles
        stop_line (Minor): A vehicle crosses the stop line on red and stands beyond it
            line: line; the stop line; forward is into the junction
            signal: signal; the signal group that governs this movement
            grace_s: 0.5 s (0 to 10); for how long it must have been red at the crossing
            min_dwell_s: 2 s (0.2 to 600); for how long it must have stood beyond the line
            radius_m: 1 m (0.2 to 5); it stands while it stays within this (calibrated cameras)
            radius_heights: 0.15 box heights (0.05 to 1); it stands while it stays within this (without calibration)
            min_beyond_m: 0.7 m (0 to 10); who stands less far beyond the line may be a shorter vehicle that stands before it (calibrated cameras)
            min_beyond_heights: 0.1 box heights (0 to 5); who stands less far beyond the line may not be beyond it (without calibration)
            max_beyond_m: 5 m (0.5 to 30); who stands farther beyond the line is in the junction (calibrated cameras)
            max_beyond_heights: 1.5 box heights (0.2 to 10); who stands farther beyond the line is in the junction (without calibration)
            clock_margin_s: 1 s (0 to 10); how far the clocks of controller and camera may differ; unless written, 0 where the signal is read from the lamps or recorded, and no accusation where a controller's word meets pictures that are not timed by RTCP
            classes: motorcycle, car, bus, truck; which vehicles
        stopped_vehicle (Major): A vehicle stands still in a zone for longer than allowed, through occlusion
            zone: zone; where
            min_dwell_s: 60 s (1 to 86400); how long it must have been seen to stand; 10 suits an expressway, 60 a city lane
            radius_m: 2 m (0.2 to 20); it stands while it stays within this (calibrated cameras)
            radius_heights: 0.35 box heights (0.05 to 3); it stands while it stays within this (without calibration)
            keep_s: 60 s (0 to 3600); for how long its place is remembered while it is hidden
            update_every_s: 60 s (0 to 86400); how often a running event is brought up to date; 0 for never
            queue_excuses_s: 3600 s (0 to 86400); for at most this long a queue or a red light explains that it stands; 0: never
            classes: motorcycle, car, bus, truck; which vehicles
        wrong_lane (Minor): A vehicle drives in a lane that its class may not use
            zone: zone; the lane
            classes: motorcycle; who may not use it
            min_duration_s: 1.5 s (0.2 to 600); for how long it must have been in the lane
            min_travel_m: 15 m (0 to 1000); how far it must have gone in the lane (calibrated cameras)
            min_travel_heights: 4 box heights (0 to 100); how far it must have gone in the lane (without calibration)
        wrong_way (Critical): A vehicle drives against its lane for long enough and far enough
            zone: zone; the lane or carriageway
            direction: direction; the way that traffic goes there, from one point to another
            min_angle_deg: 120 ° (90 to 179); how far off the direction a course must be
            min_duration_s: 2 s (0 to 600); how long it must have gone against the direction
            min_distance_m: 10 m (0.5 to 1000); how far it must have gone against the direction (calibrated cameras)
            min_distance_heights: 3 box heights (0.2 to 100); how far it must have gone against the direction (without calibration)
            min_speed_kmh: 5 km/h (0 to 100); slower is reversing, not driving (calibrated cameras)
            min_speed_heights_per_s: 0.4 box heights per s (0 to 50); slower is reversing, not driving (without calibration)
            classes: bicycle, motorcycle, car, bus, truck; which vehicles
    "#]].assert_eq(&text);
}

#[test]
fn a_signal_group_says_where_its_lamps_are_and_how_its_controller_calls_it() {
    let (config, _) = SceneConfig::from_table(&GOOD.parse().unwrap());
    let [north, _, east_right, arrow] = config.signals.as_slice() else {
        panic!("four groups");
    };
    let lamps = |group: &SignalGroup| group.lamp.clone().unwrap().lamps;
    assert_eq!(
        lamps(north),
        [LampColour::Red, LampColour::Amber, LampColour::Green]
    );
    assert_eq!(lamps(east_right), [LampColour::Red, LampColour::Green]);
    assert_eq!(lamps(arrow), [LampColour::Green]);
    let uses = SignalUse {
        rule: "red".to_owned(),
        group: "north".to_owned(),
        has_clock_margin: false,
    };
    assert_eq!(config.signal_uses, [uses]);
    let mqtt = east_right.mqtt.as_ref().unwrap();
    assert_eq!(
        (mqtt.signal_group, mqtt.intersection),
        (Some(3), Some(1209))
    );
    assert_eq!(
        east_right.stale_after,
        StaleAfter {
            lamp: Seconds(0.8),
            controller: Seconds(90.0)
        }
    );
}
