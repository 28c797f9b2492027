#!/usr/bin/env python3
"""Simulate a small signal-controlled junction in Hanoi as a roadside camera's detector would see it.

    python3 deploy/demo/simulate_junction.py            write the files below, beside this script
    python3 deploy/demo/simulate_junction.py --check    say whether they are what this script writes

It writes
    junction.inputs.jsonl.gz   what a scene is given: detections at 10 frames/s and signal states, one JSON
                               object per line, 120 s; the traffic repeats with that period, so a player
                               may loop it and nothing jumps
    junction.truth.json        what really happens, with times: who runs the red light, who rides against
                               the traffic, who stops, who walks on the carriageway
    agent.toml                 only the marked part of it: zones, stop line and survey points of this camera

It is a simulation and says so wherever it is shown: nobody is accused by it. It is here so that a newcomer
sees red lights and wrong ways without a junction, and so that a test can hold events against exact truth.

The world: traffic keeps right; x is east, y north, metres; the main road runs along y and is watched on its
southern leg from a pole south-east of the junction. Vehicles follow the intelligent driver model (Treiber,
Hennecke, Helbing 2000) in files, motorbikes in files of their own as they do in Hanoi. Those who misbehave
are scripted. Standard library only; one seed; no clock.
"""

import argparse
import gzip
import json
import math
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pole_camera import Cuboid, Detector, PoleCamera

HERE = Path(__file__).resolve().parent
SEED = 2026
STEP = 0.1  # seconds, also the period of the frames
PERIOD = 120.0  # seconds: three signal cycles, after which the traffic repeats
CYCLE = 40.0
ASPECT = 16 / 9

CAMERA = PoleCamera(position=(11.0, -53.0, 10.0), target=(1.0, -17.0, 0.0), horizontal_fov_degrees=52.0, aspect=ASPECT)

# Along a path through the junction: where the stop line is, by approach.
STOP_LINE_Y = -13.0
HALF_ROAD = 7.5

# What each signal group shows from which second of the cycle on.
SIGNALS = {
    "northbound": [(0.0, "green"), (16.0, "amber"), (19.0, "red")],
    "crossing": [(0.0, "red"), (21.0, "green"), (36.0, "amber"), (39.0, "red")],
}

SIZES = {  # length, width, height in metres; a motorbike with its rider
    "car": (4.4, 1.8, 1.5),
    "truck": (6.8, 2.2, 2.6),
    "bus": (10.5, 2.5, 3.1),
    "motorcycle": (1.9, 0.75, 1.65),
    "person": (0.5, 0.55, 1.68),
}


def signal(group, t):
    """What a group shows at a time."""
    phase = t % CYCLE
    return [state for start, state in SIGNALS[group] if start <= phase][-1]


class Course:
    """A polyline that vehicles follow, by distance along it."""

    def __init__(self, points):
        self.points = points
        self.lengths = [math.dist(a, b) for a, b in zip(points, points[1:])]
        self.length = sum(self.lengths)

    def at(self, s):
        for (a, b), length in zip(zip(self.points, self.points[1:]), self.lengths):
            if s <= length or (a, b) == (self.points[-2], self.points[-1]):
                share = s / length
                return (
                    a[0] + (b[0] - a[0]) * share,
                    a[1] + (b[1] - a[1]) * share,
                    math.atan2(b[1] - a[1], b[0] - a[0]),
                )
            s -= length
        raise AssertionError("a path has at least two points")


@dataclass
class Vehicle:
    """One road user on its path. `obeys` is the signal group it minds; a misbehaver has none."""

    name: str
    kind: str
    path: Course
    desired: float  # m/s
    stop_at: float | None = None  # distance of the stop line along the path
    obeys: str | None = None
    pause: tuple[float, float] | None = None  # stands at this distance for so long (metres, seconds)
    s: float = 0.0
    v: float = field(default=0.0)
    paused: float = 0.0

    def cuboid(self):
        x, y, heading = self.path.at(self.s)
        return Cuboid(self.name, self.kind, x, y, heading, *SIZES[self.kind])


def follow(vehicle, gap, leader_speed):
    """Acceleration by the intelligent driver model, m/s²."""
    strongest, comfortable, headway, standstill = (2.2, 2.6, 0.8, 1.0) if vehicle.kind == "motorcycle" else (1.8, 2.4, 1.2, 1.8)
    free = 1.0 - (vehicle.v / vehicle.desired) ** 4
    if gap is None:
        return strongest * free
    wanted = standstill + max(0.0, vehicle.v * headway + vehicle.v * (vehicle.v - leader_speed) / (2 * math.sqrt(strongest * comfortable)))
    return max(-7.0, strongest * (free - (wanted / max(gap, 0.1)) ** 2))


def obstacle(vehicle, leader, t):
    """The nearest thing that a driver minds: the vehicle ahead, the stop line, the place where it stops."""
    found = []
    half = SIZES[vehicle.kind][0] / 2
    if leader is not None:
        found.append((leader.s - SIZES[leader.kind][0] / 2 - vehicle.s - half, leader.v))
    if vehicle.obeys and signal(vehicle.obeys, t) != "green":
        room = vehicle.stop_at - vehicle.s - half
        # Those who cannot stop comfortably any more go on, as the law allows on amber.
        if room > 0 and (signal(vehicle.obeys, t) == "red" or room > vehicle.v**2 / (2 * 3.0)):
            found.append((room + 0.6, 0.0))
    if vehicle.pause and vehicle.paused < vehicle.pause[1] and vehicle.s < vehicle.pause[0] + 0.5:
        found.append((vehicle.pause[0] - vehicle.s + 1.8, 0.0))
    return min(found, default=(None, 0.0))


class File:
    """Vehicles that follow each other on one path and never pass each other."""

    def __init__(self, path, stop_at=None, obeys=None):
        self.path, self.stop_at, self.obeys = path, stop_at, obeys
        self.queue = []  # first = furthest along

    def enter(self, vehicle):
        vehicle.path, vehicle.stop_at, vehicle.obeys = self.path, self.stop_at, vehicle.obeys and self.obeys
        room = self.queue[-1].s - SIZES[self.queue[-1].kind][0] if self.queue else 99.0
        vehicle.v = vehicle.desired if room > 25.0 else min(vehicle.desired, self.queue[-1].v)
        self.queue.append(vehicle)

    def step(self, t):
        leader = None
        for vehicle in self.queue:
            gap, leader_speed = obstacle(vehicle, leader, t)
            vehicle.v = max(0.0, vehicle.v + STEP * follow(vehicle, gap, leader_speed))
            vehicle.s += vehicle.v * STEP
            if vehicle.pause and vehicle.v < 0.3 and abs(vehicle.s - vehicle.pause[0]) < 2.5:
                vehicle.paused += STEP
            leader = vehicle
        self.queue = [v for v in self.queue if v.s < v.path.length]


def straight(start, end):
    return Course([start, end])


def build_files():
    """The files of all approaches. Northbound and southbound start out of the camera's sight."""
    files = {}
    for name, x in {"car": 1.8, "bike-a": 3.55, "bike-b": 4.5, "free": 6.0}.items():
        files[f"north-{name}"] = File(straight((x, -75.0), (x, 70.0)), 75.0 + STOP_LINE_Y, "northbound")
    for name, x in {"car": -2.0, "bike-a": -3.8, "bike-b": -4.6, "kerb": -6.3}.items():
        files[f"south-{name}"] = File(straight((x, 75.0), (x, -75.0)), 75.0 + STOP_LINE_Y, "northbound")
    for name, y in {"car": -2.0, "bike-a": -4.2, "bike-b": -5.4}.items():
        files[f"east-{name}"] = File(straight((-80.0, y), (80.0, y)), 80.0 - 12.0, "crossing")
        files[f"west-{name}"] = File(straight((80.0, -y), (-80.0, -y)), 80.0 - 12.0, "crossing")
    # Against the traffic: out of the side road, round the corner, down the kerb of the northbound side into a gate.
    corner = [(9.0 - 2.2 * math.sin(a), -9.0 + 2.2 * math.cos(a)) for a in (i * math.pi / 16 for i in range(9))]
    files["wrong-way"] = File(Course([(45.0, -6.8), *corner, (6.8, -46.0)]))
    # Pedestrians: on the crossing, and one who walks where he should not.
    files["crossing-east"] = File(straight((-12.0, -10.6), (12.0, -10.6)))
    files["crossing-west"] = File(straight((12.0, -11.6), (-12.0, -11.6)))
    files["jaywalk"] = File(straight((10.5, -27.0), (-10.5, -24.5)))
    files["footway-east"] = File(straight((9.6, -40.0), (9.6, -8.0)))
    files["footway-west"] = File(straight((-9.6, -8.0), (-9.6, -40.0)))
    return files


@dataclass
class Arrival:
    """Who enters which file, at which second of the period."""

    at: float
    file: str
    vehicle: Vehicle


def law_abiding(rng):
    """The ordinary traffic: two motorbikes for each car, as counted on Hanoi's roads or more."""
    arrivals = []
    number = 0

    def add(at, file, kind, speed):
        nonlocal number
        number += 1
        arrivals.append(Arrival(at % PERIOD, file, Vehicle(f"{kind}-{number}", kind, None, speed, obeys="signal")))

    flows = [  # approach, files of motorbikes, mean seconds between cars, between motorbikes of one file
        ("north", ("bike-a", "bike-b"), 9.0, 4.6),
        ("south", ("bike-a", "bike-b"), 10.0, 6.0),
        ("east", ("bike-a", "bike-b"), 13.0, 8.0),
        ("west", ("bike-a", "bike-b"), 13.0, 8.0),
    ]
    for approach, bikes, car_every, bike_every in flows:
        for file, every in (("car", car_every), *((bike, bike_every) for bike in bikes)):
            at = rng.random() * every
            while at < PERIOD - 2.0:
                if file == "car":
                    kind = rng.choices(("car", "truck", "bus"), (8, 1, 1))[0]
                    add(at, f"{approach}-{file}", kind, 9.5 + 2.5 * rng.random())
                else:
                    add(at, f"{approach}-{file}", "motorcycle", 8.0 + 2.5 * rng.random())
                at += every * (0.5 + rng.random())
    for start in (22.0, 62.0, 102.0):  # walkers cross while the main road has red
        for i in range(3):
            add(start + 1.3 * i, "crossing-east" if i % 2 else "crossing-west", "person", 1.35 + 0.2 * rng.random())
    for at in (3.0, 31.0, 58.0, 84.0, 109.0):
        add(at, "footway-east", "person", 1.2 + 0.3 * rng.random())
        add(at + 7.0, "footway-west", "person", 1.2 + 0.3 * rng.random())
    return arrivals


def misbehaving():
    """Those whom the rules should find. Times are of entering the file; what they did when is measured."""

    def add(at, file, name, kind, speed, pause=None):
        return Arrival(at % PERIOD, file, Vehicle(name, kind, None, speed, obeys=None, pause=pause))

    approach = 75.0 + STOP_LINE_Y  # metres from where they enter to the stop line
    return [
        # Over the stop line on red, in the file beside the queue: just after the onset, through a gap, just before green.
        add(20.6 - approach / 10.5, "north-free", "runner-1", "motorcycle", 10.5),
        add(29.8 - approach / 9.5, "north-free", "runner-2", "motorcycle", 9.5),
        add(38.2 - approach / 9.0, "north-free", "runner-3", "motorcycle", 9.0),
        add(60.9 - approach / 11.0, "north-free", "runner-4", "car", 11.0),
        add(78.0 - approach / 9.0, "north-free", "runner-5", "motorcycle", 9.0),
        add(101.2 - approach / 10.0, "north-free", "runner-6", "motorcycle", 10.0),
        add(5.0, "wrong-way", "wrong-way-1", "motorcycle", 5.6),
        add(40.0, "wrong-way", "wrong-way-2", "motorcycle", 5.0),
        # A taxi that lets passengers out on the carriageway: kerb file of the southbound side.
        add(2.0, "south-kerb", "stopper", "car", 9.0, pause=(75.0 + 23.0, 34.0)),
        add(26.0, "jaywalk", "jaywalker", "person", 1.3),
    ]


def frames():
    """Time, cuboids and signal states of each frame of one period, after a period of running in."""
    rng = random.Random(SEED)
    arrivals = law_abiding(rng) + misbehaving()
    files = build_files()
    periods = 2
    pending = sorted(
        ((a.at + k * PERIOD, index, a) for k in range(periods) for index, a in enumerate(arrivals)), key=lambda e: e[:2]
    )
    for number in range(round(periods * PERIOD / STEP)):
        t = number * STEP
        while pending and pending[0][0] <= t + 1e-9:
            _, _, arrival = pending.pop(0)
            v = arrival.vehicle
            files[arrival.file].enter(Vehicle(v.name, v.kind, None, v.desired, obeys=v.obeys, pause=v.pause))
        if t >= (periods - 1) * PERIOD - 1e-9:
            yield round(t - (periods - 1) * PERIOD, 3), [v.cuboid() for file in files.values() for v in file.queue]
        for file in files.values():
            file.step(t)


# --- what is written -----------------------------------------------------------------------------------


def instant(t):
    micros = round(t * 1e6)
    minutes, micros = divmod(micros, 60_000_000)
    return f"1970-01-01T00:{minutes:02d}:{micros // 1_000_000:02d}.{micros % 1_000_000:06d}Z"


def recording(world):
    """The lines of the recording."""
    detector = Detector(CAMERA, random.Random(SEED + 1))
    for number, (t, cuboids) in enumerate(world):
        if number % 5 == 0 or any(signal(g, t) != signal(g, t - STEP) for g in SIGNALS):
            for group in sorted(SIGNALS):
                reading = {"group": group, "state": signal(group, t), "time": instant(t), "confidence": 1.0, "source": "recording"}
                yield {"signal": reading}
        yield {
            "detections": {
                "frame": number,
                "time": instant(t),
                "time_quality": "media",
                "aspect": round(ASPECT, 5),
                "items": detector.look(cuboids),
            }
        }


def is_in_sight(cuboid):
    x, y = CAMERA.image((cuboid.x, cuboid.y, 0.0)) if CAMERA.depth((cuboid.x, cuboid.y, 0.0)) > 1.0 else (-1.0, -1.0)
    return 0.0 < x < 1.0 and 0.0 < y < 1.0


def truth(world):
    """Each planted act: kind, who, when it began and ended, as the trajectories have it."""
    tracks = {}
    for t, cuboids in world:
        for cuboid in cuboids:
            if not cuboid.name.startswith(("car-", "truck-", "bus-", "motorcycle-", "person-")) and is_in_sight(cuboid):
                tracks.setdefault(cuboid.name, []).append((t, cuboid))
    acts = []
    for name, track in sorted(tracks.items()):
        if name.startswith("runner"):
            # The rear, since that is what the bottom of its box shows to a camera behind it.
            rear = [(t, c.y - c.length / 2) for t, c in track]
            crossing = next(b for a, b in zip(rear, rear[1:]) if a[1] < STOP_LINE_Y <= b[1])
            acts.append(act("red_light", name, crossing[0], crossing[0]))
        elif name.startswith("wrong-way"):
            inside = [t for t, c in track if c.y < STOP_LINE_Y]
            acts.append(act("wrong_way", name, inside[0], inside[-1]))
        elif name == "stopper":
            still = [t for (t, a), (_, b) in zip(track, track[1:]) if math.dist((a.x, a.y), (b.x, b.y)) < 0.03]
            acts.append(act("stopped_vehicle", name, still[0], still[-1]))
        else:
            inside = [t for t, c in track if abs(c.x) < HALF_ROAD]
            acts.append(act("pedestrian_on_carriageway", name, inside[0], inside[-1]))
    acts.sort(key=lambda a: (a["from_s"], a["who"]))
    return {"period_s": PERIOD, "seed": SEED, "acts": acts}


def act(kind, who, start, end):
    return {"kind": kind, "who": who, "from_s": round(start, 1), "to_s": round(end, 1)}


def check_plausible(world):
    """No two vehicles in the same place: a simulation in which they pass through each other proves nothing."""
    for t, cuboids in world:
        vehicles = [c for c in cuboids if c.kind != "person" and abs(c.x) < 25 and abs(c.y) < 50]
        for i, a in enumerate(vehicles):
            for b in vehicles[:i]:
                if math.dist((a.x, a.y), (b.x, b.y)) < 7.0 and _overlap(a, b):
                    yield f"{t:6.1f} s: {a.name} and {b.name} meet at {a.x:.1f}, {a.y:.1f}"


def _overlap(a, b):
    """Whether two footprints meet, by the separating axis of two rectangles."""
    for c in (a, b):
        for axis in ((math.cos(c.heading), math.sin(c.heading)), (-math.sin(c.heading), math.cos(c.heading))):
            spans = []
            for d in (a, b):
                along = [x * axis[0] + y * axis[1] for x, y, z in d.corners() if z == 0.0]
                spans.append((min(along), max(along)))
            if spans[0][1] <= spans[1][0] or spans[1][1] <= spans[0][0]:
                return False
    return True


def places():
    """What the technician of this camera would draw, in metres."""
    return {
        "northbound": [(0.0, -34.0), (HALF_ROAD, -34.0), (HALF_ROAD, -14.5), (0.0, -14.5)],
        "southbound-kerb": [(-HALF_ROAD, -33.0), (-4.9, -33.0), (-4.9, -14.5), (-HALF_ROAD, -14.5)],
        "carriageway": [(-HALF_ROAD, -34.0), (HALF_ROAD, -34.0), (HALF_ROAD, -14.5), (-HALF_ROAD, -14.5)],
    }


SURVEYED = [(0.0, -13.0), (7.5, -13.0), (7.5, -30.0), (0.0, -30.0), (-7.5, -13.0), (7.5, 7.5), (-7.5, 7.5), (-4.0, -24.0)]


def in_picture(polygon):
    """A polygon of image points cut to the picture (Sutherland and Hodgman)."""
    for axis, limit, sign in ((0, 0.0, 1), (0, 1.0, -1), (1, 0.0, 1), (1, 1.0, -1)):
        kept = []
        for a, b in zip(polygon, polygon[1:] + polygon[:1]):
            inside_a, inside_b = ((p[axis] - limit) * sign >= 0 for p in (a, b))
            if inside_a:
                kept.append(a)
            if inside_a != inside_b:
                share = (limit - a[axis]) / (b[axis] - a[axis])
                kept.append(tuple(p + share * (q - p) for p, q in zip(a, b)))
        polygon = kept
    return polygon


def pair(point):
    """A point as TOML; + 0.0 keeps a minus zero out."""
    return "[" + ", ".join(f"{round(v, 4) + 0.0:g}" for v in point) + "]"


def scene():
    """The geometry of this camera as the tables of its configuration."""
    out = []
    for name, ground in places().items():
        corners = in_picture([CAMERA.image((x, y, 0.0)) for x, y in ground])
        out += ["[[camera.zone]]", f'id = "{name}"', f"points = [{', '.join(map(pair, corners))}]", ""]
    start, end, beyond = (CAMERA.image((x, y, 0.0)) for x, y in ((0.0, STOP_LINE_Y), (HALF_ROAD, STOP_LINE_Y), (3.7, -5.0)))
    out += ["[[camera.line]]", 'id = "stop-line"', f"from = {pair(start)}", f"to = {pair(end)}", f"towards = {pair(beyond)}", ""]
    out += ["[camera.calibration]", "points = ["]
    out += [f"  {{ image = {pair(CAMERA.image((x, y, 0.0)))}, ground = {pair((x, y))} }}," for x, y in SURVEYED]
    return "\n".join(out + ["]"])


GENERATED = ("# --- written by simulate_junction.py: the geometry of the simulated camera", "# --- end of what simulate_junction.py writes")


def with_scene(configuration):
    """The demo's configuration with the generated part renewed."""
    head, rest = configuration.split(GENERATED[0] + "\n", 1)
    tail = rest.split(GENERATED[1], 1)[1]
    return head + GENERATED[0] + "\n" + scene() + "\n" + GENERATED[1] + tail


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the files that are there; write nothing")
    check = parser.parse_args().check

    world = list(frames())
    implausible = list(check_plausible(world))
    if implausible:
        sys.exit("simulate_junction: vehicles meet; move their arrivals apart:\n" + "\n".join(implausible))
    lines = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in recording(world))
    acts = json.dumps(truth(world), indent=2) + "\n"

    different = []
    for name, text in (("junction.inputs.jsonl.gz", lines), ("junction.truth.json", acts), ("agent.toml", None)):
        path = HERE / name
        if text is None:
            text = with_scene(path.read_text())
        if path.exists() and read(path) == text:
            continue
        different.append(name)
        if not check:
            path.write_bytes(gzip.compress(text.encode(), 9, mtime=0) if name.endswith(".gz") else text.encode())
    if check and different:
        sys.exit(f"simulate_junction: {', '.join(different)}: not what this script writes; run it without --check")
    print(f"simulate_junction: {', '.join(different) or 'nothing'} {'written' if not check else 'differs'}")


def read(path):
    # Compared unpacked: another zlib packs the same text into other bytes.
    return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()


if __name__ == "__main__":
    main()
