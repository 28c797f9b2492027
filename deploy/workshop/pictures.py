"""Labelled pictures as a trainer wants them: one at a time, varied, and honest about gaps.

A place of the network is *unknown* where nobody said whether something is there: in a
picture that is not wholly labelled all of it but the boxes, else in the regions to be
ignored. Unknown places teach nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from labels import Coco, is_ignored
from manifest import Unusable
from words import class_of

# The trainer pads what the agent's letterbox pads.
PAD = 114
# Less than this part of a box in the picture is no example of its class.
_LEFT = 0.35
# Pixels of the network's input; smaller is not to be recognised.
_LEAST = 3.0


@dataclass(frozen=True)
class Picture:
    """A picture and what is known of it, in its own pixels."""

    file: Path
    # Left, top, right, bottom.
    boxes: np.ndarray
    classes: np.ndarray
    ignore: np.ndarray
    is_complete: bool
    # Of its bytes: two tasks of a labelling tool both begin with frame_000000.png.
    sha256: str = ""
    # Camera and day, as `aggregator labels` says.
    taken: tuple[str, str] | None = None


@dataclass
class Example:
    """What the network is shown."""

    # [3, height, width], blue green red, 0 to 255.
    pixels: np.ndarray
    # Class, centre x, centre y, width, height.
    labels: np.ndarray
    # Whether nobody knows what is at each place.
    unknown: np.ndarray


def gather(
    coco: Coco, folder: Path, numbers: dict[str, int], tell: Callable[[int, int], None] = lambda done, of: None
) -> tuple[list[Picture], Counter[str]]:
    """Pictures that something can be learnt from, and how many there are of what.

    Each is looked into once, so that a bad one is named now and not in the middle of a night.
    """
    words = {category["id"]: class_of(category["name"]) for category in coco["categories"]}
    by_image: dict[int, list[dict]] = {image["id"]: [] for image in coco["images"]}
    for annotation in coco["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    gone = [image["file_name"] for image in coco["images"] if not (folder / image["file_name"]).is_file()]
    if gone:
        raise Unusable(
            f"{len(gone)} of {len(coco['images'])} pictures are not there, {folder / min(gone)} for one; name their"
            " folder with --pictures. Where the centre has deleted them, make the labels anew: labels.py complete"
        )
    pictures = []
    counts = Counter(dict.fromkeys(("complete", "boxes only", "passed over", "boxes", "boxes to ignore"), 0))
    for done, image in enumerate(sorted(coco["images"], key=lambda image: image["file_name"])):
        tell(done, len(coco["images"]))
        file = folder / image["file_name"]
        boxes, classes, ignore = [], [], []
        for annotation in by_image[image["id"]]:
            left, top, width, height = annotation["bbox"]
            box = [left, top, left + width, top + height]
            word = words[annotation["category_id"]]
            # What nobody looked at, or somebody disputed, is no label.
            is_open = annotation.get("status") in ("proposed", "disputed")
            if is_ignored(annotation) or is_open or word not in numbers:
                ignore.append(box)
            else:
                boxes.append(box)
                classes.append(numbers[word])
        is_complete = bool(image.get("complete", True))
        if not is_complete and not boxes:
            counts["passed over"] += 1
            continue
        counts["complete" if is_complete else "boxes only"] += 1
        counts["complete without a box"] += is_complete and not boxes
        counts["boxes"] += len(boxes)
        counts["boxes to ignore"] += len(ignore)
        scale, digest = _looked_into(file, image)
        taken = (image.get("camera"), image.get("day"))
        pictures.append(
            Picture(
                file,
                np.array(boxes, np.float32).reshape(-1, 4) * scale,
                np.array(classes, np.float32),
                np.array(ignore, np.float32).reshape(-1, 4) * scale,
                is_complete,
                digest,
                taken if all(isinstance(word, str) for word in taken) else None,
            )
        )
    return pictures, counts


def _looked_into(file: Path, image: dict) -> tuple[np.ndarray, str]:
    """What a box of the labels is multiplied with to be one of the file's pixels, and the file's SHA-256."""
    data = file.read_bytes()
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if pixels is None:
        raise Unusable(f"picture {file} cannot be decoded; put it right, or take it out of the labels")
    height, width = pixels.shape[:2]
    across, down = width / (image.get("width") or width), height / (image.get("height") or height)
    # A picture that was made smaller as a whole is the same picture; one that lies on its side is not.
    if abs(across / down - 1) > 0.02:
        raise Unusable(
            f"picture {file} is {width}x{height} and its labels are for {image['width']}x{image['height']};"
            " give the picture that was labelled"
        )
    return np.array([across, down, across, down], np.float32), hashlib.sha256(data).hexdigest()


def apart(learnt: list[Picture], watched: list[Picture]) -> int:
    """Refuses sides that share a picture or a camera's day; of how many pictures nobody knows the day."""
    known = {picture.sha256 for picture in learnt}
    shared = [picture.file.name for picture in watched if picture.sha256 in known]
    if shared:
        raise Unusable(
            f"{len(shared)} pictures are trained with and watched, {min(shared)} among them;"
            " what is watched must be kept apart, or it says how well pictures are remembered"
        )
    days = {picture.taken for picture in learnt} & {picture.taken for picture in watched} - {None}
    if days:
        camera, day = min(days)
        raise Unusable(
            f"{day} of camera {camera} is trained with and watched: two pictures of one queue would measure memory;"
            " keep whole days of a camera on one side, as `aggregator labels` does"
        )
    return sum(picture.taken is None for picture in learnt + watched)


class Canvas:
    """An example in the making: one picture, or four beside each other."""

    def __init__(self, width: int, height: int, centres: np.ndarray) -> None:
        self.pixels = np.full((height, width, 3), PAD, np.uint8)
        self.centres = centres
        self.unknown = np.zeros(len(centres), bool)
        self.labels: list[np.ndarray] = []

    def paste(self, picture: Picture, frame: tuple[int, int, int, int], vary: random.Random | None) -> None:
        """Puts a picture into a frame (left, top, right, bottom), varied or as the agent's letterbox does."""
        image = cv2.imread(str(picture.file), cv2.IMREAD_COLOR)
        if image is None:
            raise Unusable(f"picture {picture.file} cannot be decoded; take it out of the labels")
        left, top, right, bottom = frame
        scale = min((right - left) / image.shape[1], (bottom - top) / image.shape[0])
        shift = (float(left), float(top))
        is_mirrored = False
        if vary:
            scale *= vary.uniform(0.7, 1.6)
            free = (right - left - image.shape[1] * scale, bottom - top - image.shape[0] * scale)
            shift = (left + vary.uniform(0, 1) * free[0], top + vary.uniform(0, 1) * free[1])
            is_mirrored = vary.random() < 0.5
            image = _coloured(image, vary)
        if is_mirrored:
            image = image[:, ::-1]
        # warpAffine counts pixels by their middles, boxes are measured from the picture's edge: without the
        # half pixels all that is shown stands up to .4 of a pixel right of and below its label.
        half = 0.5 * scale - 0.5
        move = np.array([[scale, 0, shift[0] + half], [0, scale, shift[1] + half]], np.float32)
        # Not averaged where it is made smaller: nor is the agent's letterbox.
        warped = cv2.warpAffine(image, move, (right, bottom), flags=cv2.INTER_LINEAR, borderValue=(PAD, PAD, PAD))
        self.pixels[top:bottom, left:right] = warped[top:bottom, left:right]

        def placed(boxes: np.ndarray) -> np.ndarray:
            boxes = boxes.copy()
            if is_mirrored:
                boxes[:, [0, 2]] = image.shape[1] - boxes[:, [2, 0]]
            return boxes * scale + np.array([*shift, *shift], np.float32)

        bounds = np.array([frame[0], frame[1], frame[2], frame[3]], np.float32)
        shown = placed(np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32))
        if not picture.is_complete:
            self._mark(_cut(shown, bounds))
        self._mark(_cut(placed(picture.ignore), bounds))
        whole = placed(picture.boxes)
        cut = _cut(whole, bounds)
        part = _area(cut) / np.maximum(_area(whole), 1e-6)
        is_seen = (part >= _LEFT) & ((cut[:, 2:] - cut[:, :2]).min(axis=1, initial=np.inf) >= _LEAST)
        self._mark(cut[~is_seen])
        cut = cut[is_seen]
        centre, side = (cut[:, :2] + cut[:, 2:]) / 2, cut[:, 2:] - cut[:, :2]
        self.labels.append(np.concatenate([picture.classes[is_seen, None], centre, side], axis=1))

    def _mark(self, boxes: np.ndarray) -> None:
        for left, top, right, bottom in boxes:
            x, y = self.centres[:, 0], self.centres[:, 1]
            self.unknown |= (x >= left) & (x <= right) & (y >= top) & (y <= bottom)

    def example(self) -> Example:
        """As the network wants it."""
        pixels = self.pixels.transpose(2, 0, 1).astype(np.float32)
        return Example(np.ascontiguousarray(pixels), np.concatenate(self.labels).astype(np.float32), self.unknown)


def _coloured(image: np.ndarray, vary: random.Random) -> np.ndarray:
    """Another light: hue, saturation and value as in YOLOX (5, 30, 30)."""
    change = np.array([vary.uniform(-1, 1) * most for most in (5, 30, 30)], np.float32)
    hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2HSV).astype(np.float32) + change
    hsv[..., 0] %= 180
    return cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR)


def _cut(boxes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    low, high = np.tile(bounds[:2], 2), np.tile(bounds[2:], 2)
    return np.clip(boxes, low, high)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def varied(
    pictures: list[Picture], index: int, size: tuple[int, int], centres: np.ndarray, vary: random.Random, mosaic: float
) -> Example:
    """A picture in another light and place, or in the part `mosaic` four in one, so that things are small."""
    width, height = size
    canvas = Canvas(width, height, centres)
    if vary.random() >= mosaic:
        canvas.paste(pictures[index], (0, 0, width, height), vary)
        return canvas.example()
    x, y = int(width * vary.uniform(0.35, 0.65)), int(height * vary.uniform(0.35, 0.65))
    frames = [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
    chosen = [index, *(vary.randrange(len(pictures)) for _ in range(3))]
    for number, frame in zip(chosen, frames, strict=True):
        canvas.paste(pictures[number], frame, vary)
    return canvas.example()


def plain(picture: Picture, size: tuple[int, int], centres: np.ndarray) -> Example:
    """A picture as the agent shows it to the network."""
    canvas = Canvas(*size, centres)
    canvas.paste(picture, (0, 0, *size), None)
    return canvas.example()
