//! A scenario's scene as a technician would have written it.
//!
//! The result is the product's own configuration, read by the product's own
//! reader: the rules that are scored are the rules that are sold.

use std::collections::BTreeMap;

use edge_core::{RuleEntry, rule_catalogue};
use toml::{Table, Value};

use crate::polygon::{P, hull};
use crate::scenario::{SceneFile, Zone};
use crate::words;
use crate::world::World;

/// What was made of `scene.json`.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    /// Zones, lines, signals, rules.
    pub(crate) table: Table,
    /// What each rule watches, in the scenario's words.
    pub(crate) subjects: BTreeMap<String, Subject>,
    /// What could not be set up, and why.
    pub(crate) notes: Vec<String>,
}

/// What a rule watches, in the scenario's words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) zone: Option<String>,
    pub(crate) leg: Option<String>,
}

/// Who may be on a carriageway, one way only.
const WHEELS: [&str; 5] = ["bicycle", "motorcycle", "car", "bus", "truck"];
/// How far before and beyond the stop line a U-turn is looked for, m.
const TURNING_SPACE_M: f64 = 30.0;
/// Shorter lines are not drawn, in parts of the picture.
const LEAST_DRAWN: f64 = 0.03;
/// The scenarios know no grace after the beginning of red; this is what the
/// instant of a crossing may be wrong by, s.
const GRACE_S: f64 = 0.1;
/// Where a stop line's forward side is, m beyond it.
const BEYOND_M: f64 = 3.0;

pub(crate) fn setup(scene: &SceneFile, world: &World) -> Setup {
    let mut setup = Setup::default();
    let zebras: Vec<String> = scene
        .crossings
        .iter()
        .enumerate()
        .flat_map(|(index, area)| setup.zone(&format!("crossing-{}", index + 1), area, world))
        .collect();
    for leg in &scene.watch_approaches {
        watch_approach(&mut setup, scene, leg, world);
    }
    for leg in scene.approaches.keys() {
        describe_approach(&mut setup, scene, leg, world);
    }
    for leg in &scene.no_uturn {
        watch_turns(&mut setup, scene, leg, world);
    }
    let (exempt, zones): (Vec<&Zone>, Vec<&Zone>) = scene
        .zones
        .iter()
        .partition(|zone| zone.kind == "stop_allowed");
    let exempt: Vec<(Vec<String>, &Zone)> = exempt
        .into_iter()
        .map(|zone| (setup.zone(&zone.id, &zone.poly, world), zone))
        .collect();
    for zone in zones {
        let pieces = setup.zone(&zone.id, &zone.poly, world);
        if pieces.is_empty() && zone.kind != "speed" {
            setup.note(format!("zone {} is not in the picture", zone.id));
        }
        for piece in pieces {
            watch_zone(&mut setup, scene, zone, &piece, &zebras, &exempt, world);
        }
        if zone.kind == "speed" {
            watch_speed(&mut setup, scene, zone, world);
        }
    }
    setup
}

/// Red light and stop line of an approach.
fn watch_approach(setup: &mut Setup, scene: &SceneFile, leg: &str, world: &World) {
    let Some(approach) = scene.approaches.get(leg) else {
        setup.note(format!("approach {leg} is watched but not described"));
        return;
    };
    let name = words::id(leg);
    let line = format!("stop-line-{name}");
    if !setup.line(&line, approach.stop_line, approach.heading, world) {
        setup.note(format!("the stop line of {leg} is not in the picture"));
        return;
    }
    let group = words::id(&approach.signal);
    setup.signal(&group);
    let subject = Subject {
        zone: None,
        leg: Some(leg.to_owned()),
    };
    let place = [("line", text(&line)), ("signal", text(&group))];
    let red = [
        ("min_travel_m", scene.threshold("red_light", "enter_m")),
        (
            "grace_s",
            scene.threshold("red_light", "grace_s").or(Some(GRACE_S)),
        ),
    ];
    setup.rule("red_light", &name, &subject, &place, &red);
    let hold = [
        ("min_dwell_s", scene.threshold("stop_line", "hold_s")),
        (
            "grace_s",
            scene.threshold("stop_line", "grace_s").or(Some(GRACE_S)),
        ),
    ];
    setup.rule("stop_line", &name, &subject, &place, &hold);
}

/// The stop line of an approach at which no rule watches, so that who waits there is known to wait.
fn describe_approach(setup: &mut Setup, scene: &SceneFile, leg: &str, world: &World) {
    let is_watched = scene.watch_approaches.iter().any(|watched| watched == leg);
    let Some(approach) = scene.approaches.get(leg).filter(|_| !is_watched) else {
        return;
    };
    let line = format!("stop-line-{}", words::id(leg));
    // Far off, a line is a speck that no technician would draw.
    let [a, b] = approach.stop_line;
    let (sin, cos) = approach.heading.sin_cos();
    let middle = centre(&[a, b]);
    let beyond = world.project([middle[0] + BEYOND_M * cos, middle[1] + BEYOND_M * sin]);
    let is_drawn = world.line(a, b).zip(beyond).is_some_and(|((a, b), p)| {
        let along = [b[0] - a[0], b[1] - a[1]];
        let length = along[0].hypot(along[1]).max(1e-9);
        let away = (along[0] * (p[1] - a[1]) - along[1] * (p[0] - a[0])).abs() / length;
        length > LEAST_DRAWN && away > LEAST_DRAWN / 4.0
    });
    if is_drawn && setup.line(&line, approach.stop_line, approach.heading, world) {
        let group = words::id(&approach.signal);
        setup.signal(&group);
        let entry = [("line", text(&line)), ("signal", text(&group))];
        setup.push("approach", table(entry));
    }
}

/// U-turns of who comes from an approach.
fn watch_turns(setup: &mut Setup, scene: &SceneFile, leg: &str, world: &World) {
    let Some(approach) = scene.approaches.get(leg) else {
        setup.note(format!("no U-turn from {leg}, but {leg} is not described"));
        return;
    };
    let [a, b] = approach.stop_line;
    let middle = [f64::midpoint(a[0], b[0]), f64::midpoint(a[1], b[1])];
    let (sin, cos) = approach.heading.sin_cos();
    // Along and across the approach, seen from the middle of its stop line.
    let local = |p: &P| {
        let d = [p[0] - middle[0], p[1] - middle[1]];
        [d[0] * cos + d[1] * sin, d[1] * cos - d[0] * sin]
    };
    let mut corners: Vec<P> = scene.junction.clone();
    let (mut left, mut right) = (f64::MIN, f64::MAX);
    for lane in scene
        .lanes
        .iter()
        .filter(|l| l.leg == leg && l.dir != "side")
    {
        for across in lane.poly.iter().map(|p| local(p)[1]) {
            (left, right) = (left.max(across), right.min(across));
        }
    }
    if left <= right {
        let half = (b[0] - a[0]).hypot(b[1] - a[1]);
        (left, right) = (1.5 * half, -half / 2.0);
    }
    for (along, across) in [
        (-TURNING_SPACE_M, left),
        (-TURNING_SPACE_M, right),
        (TURNING_SPACE_M / 2.0, left),
        (TURNING_SPACE_M / 2.0, right),
    ] {
        corners.push([
            middle[0] + along * cos - across * sin,
            middle[1] + along * sin + across * cos,
        ]);
    }
    let name = format!("turning-{}", words::id(leg));
    for piece in setup.zone(&name, &hull(&corners), world) {
        let subject = Subject {
            zone: None,
            leg: Some(leg.to_owned()),
        };
        let mut place = vec![("zone", text(&piece))];
        place.extend(
            direction(world, middle, approach.heading).map(|direction| ("from", direction)),
        );
        let limits = [("min_turn_deg", scene.threshold("illegal_uturn", "min_deg"))];
        setup.rule("illegal_uturn", &piece, &subject, &place, &limits);
    }
}

/// The rules of one zone.
#[allow(clippy::too_many_arguments)] // each is another part of the scene
fn watch_zone(
    setup: &mut Setup,
    scene: &SceneFile,
    zone: &Zone,
    piece: &str,
    zebras: &[String],
    exempt: &[(Vec<String>, &Zone)],
    world: &World,
) {
    let limit = |kind: &str, key: &str| scene.threshold(kind, key);
    let subject = Subject {
        zone: Some(zone.id.clone()),
        leg: None,
    };
    let place = ("zone", text(piece));
    match zone.kind.as_str() {
        "wrong_way" => {
            let along = zone
                .heading
                .and_then(|heading| direction(world, centre(&zone.poly), heading));
            let Some(along) = along else {
                setup.note(format!("zone {} has no direction in the picture", zone.id));
                return;
            };
            let limits = [
                ("min_duration_s", limit("wrong_way", "min_s")),
                ("min_distance_m", limit("wrong_way", "min_m")),
            ];
            let place = [
                place,
                ("direction", along),
                ("classes", texts(WHEELS.into_iter())),
            ];
            setup.rule("wrong_way", piece, &subject, &place, &limits);
        }
        "lane_use" => {
            let forbidden = zone.forbid.iter().map(|name| words::class(name).as_str());
            let place = [place, ("classes", texts(forbidden))];
            let limits = [
                ("min_duration_s", limit("lane_use", "min_s")),
                ("min_travel_m", limit("lane_use", "min_m").or(Some(0.0))),
            ];
            setup.rule("wrong_lane", piece, &subject, &place, &limits);
        }
        "no_stop" => watch_stopping(setup, scene, zone, piece, exempt),
        "live_lane" => {
            let limits = [("min_dwell_s", limit("stopped_vehicle", "hold_s"))];
            setup.rule(
                "stopped_vehicle",
                piece,
                &subject,
                std::slice::from_ref(&place),
                &limits,
            );
            setup.rule("crash", piece, &subject, &[place], &[]);
        }
        "congestion" => {
            let limits = [
                ("min_vehicles", limit("congestion", "min_veh")),
                ("min_count", limit("congestion", "min_veh")),
                ("max_speed_kmh", limit("congestion", "v_kmh")),
                // A scenario counts slow vehicles, whatever the others do.
                ("max_mean_speed_kmh", Some(300.0)),
                (
                    "min_occupancy",
                    limit("congestion", "occupancy").or(Some(0.0)),
                ),
                ("min_duration_s", limit("congestion", "hold_s")),
            ];
            setup.rule("congestion", piece, &subject, &[place], &limits);
        }
        "crowd" => {
            let limits = [
                ("min_count", limit("crowding", "count")),
                ("min_duration_s", limit("crowding", "hold_s")),
            ];
            setup.rule("crowd", piece, &subject, &[place], &limits);
        }
        "loiter" => {
            let limits = [("min_dwell_s", limit("loitering", "hold_s"))];
            setup.rule("loitering", piece, &subject, &[place], &limits);
        }
        "carriageway" => {
            let zebras = texts(zebras.iter().map(String::as_str));
            let limits = [(
                "min_duration_s",
                limit("pedestrian_on_carriageway", "hold_s"),
            )];
            let place = [place, ("except_zones", zebras)];
            setup.rule(
                "pedestrian_on_carriageway",
                piece,
                &subject,
                &place,
                &limits,
            );
        }
        "speed" | "stop_allowed" => {}
        other => setup.note(format!("zone {}: type `{other}` is not known", zone.id)),
    }
}

/// Stopping and parking, with those who may stop somewhere.
fn watch_stopping(
    setup: &mut Setup,
    scene: &SceneFile,
    zone: &Zone,
    piece: &str,
    exempt: &[(Vec<String>, &Zone)],
) {
    let subject = Subject {
        zone: Some(zone.id.clone()),
        leg: None,
    };
    let may_stop: Vec<&str> = exempt
        .first()
        .map(|(_, zone)| zone.cls.iter().map(|name| words::class(name).as_str()))
        .into_iter()
        .flatten()
        .collect();
    if exempt.iter().any(|(_, other)| other.cls != exempt[0].1.cls) {
        setup.note("places where different classes may stop are taken for one".to_owned());
    }
    let zones = exempt.iter().flat_map(|(ids, _)| ids);
    let zones: Vec<&str> = zones.map(String::as_str).collect();
    let mut place = vec![("zone", text(piece))];
    if !zones.is_empty() && !may_stop.is_empty() {
        place.push(("exempt_zones", texts(zones.into_iter())));
        place.push(("exempt_classes", texts(may_stop.into_iter())));
    }
    for kind in ["illegal_stop", "illegal_parking"] {
        let limits = [("min_dwell_s", scene.threshold(kind, "hold_s"))];
        setup.rule(kind, piece, &subject, &place, &limits);
    }
}

/// The speed gate of a zone.
fn watch_speed(setup: &mut Setup, scene: &SceneFile, zone: &Zone, world: &World) {
    let Some([entry, exit]) = zone.lines else {
        setup.note(format!("zone {} has no lines to measure between", zone.id));
        return;
    };
    let middle = |line: [P; 2]| centre(&line);
    let (from, to) = (middle(entry), middle(exit));
    let way = [to[0] - from[0], to[1] - from[1]];
    let heading = way[1].atan2(way[0]);
    let name = words::id(&zone.id);
    let lines = [
        (format!("{name}-entry"), entry),
        (format!("{name}-exit"), exit),
    ];
    for (id, line) in &lines {
        if !setup.line(id, *line, heading, world) {
            setup.note(format!(
                "the gate of zone {} is not in the picture",
                zone.id
            ));
            return;
        }
    }
    let subject = Subject {
        zone: Some(zone.id.clone()),
        leg: None,
    };
    let place = [
        ("entry_line", text(&lines[0].0)),
        ("exit_line", text(&lines[1].0)),
        ("report_all", Value::Boolean(true)),
    ];
    let limits = [
        ("length_m", zone.length_m.or(Some(way[0].hypot(way[1])))),
        ("limit_kmh", zone.limit_kmh),
        ("tolerance_kmh", scene.threshold("speeding", "tol_kmh")),
    ];
    setup.rule("speeding", &name, &subject, &place, &limits);
}

impl Setup {
    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn push(&mut self, list: &str, entry: Table) {
        let list = self
            .table
            .entry(list)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(entries) = list {
            entries.push(Value::Table(entry));
        }
    }

    /// Adds what the picture shows of an area; the names of its pieces, the largest first.
    fn zone(&mut self, id: &str, ground: &[P], world: &World) -> Vec<String> {
        let mut names = Vec::new();
        for (index, piece) in world.area(ground).iter().enumerate() {
            let name = match index {
                0 => words::id(id),
                _ => format!("{}-{}", words::id(id), index + 1),
            };
            let points = piece.iter().map(point).collect();
            let entry = [("id", text(&name)), ("points", Value::Array(points))];
            self.push("zone", table(entry));
            names.push(name);
        }
        names
    }

    /// Adds a line whose forward side is where `heading` leads. `false`: out of the picture.
    fn line(&mut self, id: &str, [a, b]: [P; 2], heading: f64, world: &World) -> bool {
        let (sin, cos) = heading.sin_cos();
        let middle = centre(&[a, b]);
        let Some((from, to)) = world.line(a, b) else {
            return false;
        };
        // The point beyond must be in the picture too, so it may be nearer.
        let towards = (0..6).find_map(|halvings| {
            let beyond = BEYOND_M / f64::from(1 << halvings);
            let towards = world.project([middle[0] + beyond * cos, middle[1] + beyond * sin])?;
            towards
                .iter()
                .all(|v| (0.0..=1.0).contains(v))
                .then_some(towards)
        });
        let towards = towards.unwrap_or_else(|| beside(from, to, middle, heading, world));
        let entry = [
            ("id", text(id)),
            ("from", point(&from)),
            ("to", point(&to)),
            ("towards", point(&towards)),
        ];
        self.push("line", table(entry));
        true
    }

    fn signal(&mut self, group: &str) {
        let known = self.table.get("signal").and_then(Value::as_array);
        let is_known = known
            .into_iter()
            .flatten()
            .any(|entry| entry.get("group").and_then(Value::as_str) == Some(group));
        if !is_known {
            let entry = [("group", text(group)), ("recorded", Value::Boolean(true))];
            self.push("signal", table(entry));
        }
    }

    /// Adds a rule with those of the keys that its kind knows.
    #[allow(clippy::too_many_arguments)] // a rule has a kind, a name, a subject, places and limits
    fn rule(
        &mut self,
        kind: &str,
        name: &str,
        subject: &Subject,
        place: &[(&str, Value)],
        limits: &[(&str, Option<f64>)],
    ) {
        let Some(entry) = rule_catalogue().iter().find(|entry| entry.kind == kind) else {
            self.note(format!("there is no rule `{kind}` yet"));
            return;
        };
        let knows = |entry: &RuleEntry, key: &str| entry.params.iter().any(|p| p.key == key);
        let id = format!("{}-{name}", kind.replace('_', "-"));
        let mut rule = table([("id", text(&id)), ("kind", text(kind))]);
        let limits = limits
            .iter()
            .filter_map(|(key, value)| Some((*key, Value::Float((*value)?))));
        for (key, value) in place.iter().cloned().chain(limits) {
            if knows(entry, key) {
                rule.insert(key.to_owned(), value);
            }
        }
        self.push("rule", rule);
        self.subjects.insert(id, subject.clone());
    }
}

/// A point of the picture on the forward side of a line of the picture.
fn beside(from: P, to: P, middle: P, heading: f64, world: &World) -> P {
    let (sin, cos) = heading.sin_cos();
    let near = world.project([middle[0] + 0.05 * cos, middle[1] + 0.05 * sin]);
    let along = [to[0] - from[0], to[1] - from[1]];
    let across = |p: P| along[0] * (p[1] - from[1]) - along[1] * (p[0] - from[0]);
    let forward = near.map_or(1.0, |p| across(p).signum());
    let length = along[0].hypot(along[1]).max(1e-9);
    let (nx, ny) = (-along[1] / length * forward, along[0] / length * forward);
    let centre = centre(&[from, to]);
    [
        (centre[0] + 0.02 * nx).clamp(0.0, 1.0),
        (centre[1] + 0.02 * ny).clamp(0.0, 1.0),
    ]
}

/// A direction on the ground as two points of the picture, as long as fits.
fn direction(world: &World, at: P, heading: f64) -> Option<Value> {
    let (sin, cos) = heading.sin_cos();
    [40.0, 20.0, 10.0, 5.0].iter().find_map(|reach| {
        let end = |r: f64| [at[0] + r * cos, at[1] + r * sin];
        let (from, to) = world.line(end(-reach), end(*reach))?;
        let is_long = (from[0] - to[0]).abs() + (from[1] - to[1]).abs() > 0.02;
        is_long.then(|| Value::Array(vec![point(&from), point(&to)]))
    })
}

fn centre(points: &[P]) -> P {
    #[allow(clippy::cast_precision_loss)] // a few corners
    let n = points.len().max(1) as f64;
    let sum = points
        .iter()
        .fold([0.0, 0.0], |s, p| [s[0] + p[0], s[1] + p[1]]);
    [sum[0] / n, sum[1] / n]
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn texts<'t>(texts: impl Iterator<Item = &'t str>) -> Value {
    Value::Array(texts.map(text).collect())
}

fn point(p: &P) -> Value {
    Value::Array(p.iter().map(|v| Value::Float(*v)).collect())
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
