"""A camera on a pole and an imperfect detector behind it.

The camera is a pinhole over a flat world in metres (x east, y north, z up), so every place in the picture
has an exact homography to the ground. The detector sees the upright box around a road user's cuboid, as a
network would report it: displaced a little, scored by how large and how visible the thing is, sometimes not
at all, and now and then something that is not there.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Cuboid:
    """A road user in the world: where its footprint's centre is, which way it faces, how large it is."""

    name: str
    kind: str  # a class word of the protocol: car, bus, truck, motorcycle, person
    x: float
    y: float
    heading: float  # radians, counter-clockwise from east
    length: float
    width: float
    height: float

    def corners(self):
        forward = (math.cos(self.heading), math.sin(self.heading))
        for along in (-0.5, 0.5):
            for across in (-0.5, 0.5):
                x = self.x + along * self.length * forward[0] - across * self.width * forward[1]
                y = self.y + along * self.length * forward[1] + across * self.width * forward[0]
                yield x, y, 0.0
                yield x, y, self.height


class PoleCamera:
    """Projects the world into a picture whose sides are 0 to 1 wide."""

    def __init__(self, position, target, horizontal_fov_degrees, aspect):
        self.position = position
        self.aspect = aspect
        self.focal = 0.5 / math.tan(math.radians(horizontal_fov_degrees) / 2)
        forward = _normalised(tuple(t - p for t, p in zip(target, position)))
        right = _normalised((forward[1], -forward[0], 0.0))
        down = _cross(forward, right)
        self.axes = (right, down, forward)

    def depth(self, point):
        return _dot(self.axes[2], [c - p for c, p in zip(point, self.position)])

    def image(self, point):
        """Where a world point appears, as fractions of the picture's width and height."""
        offset = [c - p for c, p in zip(point, self.position)]
        right, down, forward = (_dot(axis, offset) for axis in self.axes)
        if forward <= 0.1:
            raise ValueError(f"{point} is not in front of the camera")
        return 0.5 + self.focal * right / forward, 0.5 + self.focal * self.aspect * down / forward

    def box(self, cuboid):
        """The upright box around a cuboid: left, top, right, bottom; None behind the camera."""
        corners = list(cuboid.corners())
        if min(self.depth(corner) for corner in corners) < 1.0:
            return None
        xs, ys = zip(*(self.image(corner) for corner in corners))
        return min(xs), min(ys), max(xs), max(ys)


class Detector:
    """Turns cuboids into detections with the faults of a small network."""

    MIN_VISIBLE = 0.35  # of the box, within the picture and not behind others
    MIN_HEIGHT = 0.012  # of the picture's height
    RIDER_SEEN = 0.6  # share of looks in which a rider is reported as a person of its own
    CONFUSED = {"car": "truck", "truck": "car", "bus": "truck"}

    def __init__(self, camera, random):
        self.camera = camera
        self.random = random

    def look(self, cuboids):
        """Detections of one frame, best first: dicts with class, score and box [left, top, width, height]."""
        near_first = sorted(cuboids, key=lambda c: self.camera.depth((c.x, c.y, 0.0)))
        seen, in_front = [], []
        for cuboid in near_first:
            box = self.camera.box(cuboid)
            clipped = box and _clip(box)
            if not clipped:
                continue
            visible = _area(clipped) / _area(box) * _uncovered(clipped, in_front)
            in_front.append(clipped)
            if visible >= self.MIN_VISIBLE and clipped[3] - clipped[1] >= self.MIN_HEIGHT:
                seen.extend(self._report(cuboid.kind, clipped, visible))
        if self.random.random() < 0.01:
            seen.append(self._phantom())
        return sorted(seen, key=lambda d: (-d["score"], d["box"]))

    def _report(self, kind, box, visible):
        height = box[3] - box[1]
        # Small and half-hidden things score low, as they do with real networks.
        certainty = min(1.0, 0.35 + 6.0 * height) * (0.4 + 0.6 * visible)
        score = certainty * 0.9 + self._noise(0.05)
        if self.random.random() > 0.55 + 0.45 * min(1.0, certainty * 1.6) or score < 0.1:
            return
        if self.random.random() < 0.01:
            kind = self.CONFUSED.get(kind, kind)
        yield self._detection(kind, score, box)
        if kind == "motorcycle" and height > 0.05 and self.random.random() < self.RIDER_SEEN:
            # The rider fills the upper part of the pair's box.
            left, top, right, bottom = box
            inset = 0.12 * (right - left)
            yield self._detection("person", score - 0.12, (left + inset, top, right - inset, top + 0.78 * height))

    def _detection(self, kind, score, box):
        left, top, right, bottom = box
        width, height = right - left, bottom - top
        left += self._noise(0.015) * width
        top += self._noise(0.012) * height
        width *= 1.0 + self._noise(0.02)
        height *= 1.0 + self._noise(0.015)
        return {
            "class": kind,
            "score": round(max(0.05, min(0.97, score)), 3),
            "box": [round(v, 4) for v in (left, top, width, height)],
        }

    def _phantom(self):
        x, y = self.random.random() * 0.9, 0.3 + self.random.random() * 0.6
        size = 0.03 + 0.05 * self.random.random()
        return self._detection("person", 0.15 + 0.2 * self.random.random(), (x, y, x + size / 2, y + size))

    def _noise(self, deviation):
        # A sum of uniforms instead of gauss(): no logarithms, the same bits on any libm.
        return deviation * (sum(self.random.random() for _ in range(6)) - 3.0) * math.sqrt(2.0)


def _dot(a, b):
    return sum(p * q for p, q in zip(a, b))


def _cross(a, b):
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _normalised(vector):
    length = math.sqrt(_dot(vector, vector))
    return tuple(v / length for v in vector)


def _area(box):
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _clip(box):
    clipped = (max(0.0, box[0]), max(0.0, box[1]), min(1.0, box[2]), min(1.0, box[3]))
    return clipped if clipped[2] > clipped[0] and clipped[3] > clipped[1] else None


def _uncovered(box, others):
    """Share of a box that no other covers, by a grid of looks: boxes overlap each other, too."""
    steps = 8
    free = 0
    for i in range(steps):
        for j in range(steps):
            x = box[0] + (i + 0.5) / steps * (box[2] - box[0])
            y = box[1] + (j + 0.5) / steps * (box[3] - box[1])
            free += not any(o[0] <= x <= o[2] and o[1] <= y <= o[3] for o in others)
    return free / (steps * steps)
