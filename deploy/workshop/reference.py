"""What the authors of each detector do with a picture and an answer, in numpy.

The agent has its own decoding (`models/src/heads`); this one is written from the authors'
code, shares nothing with it, and is what `accuracy.py` holds it against. It is also how
`look.py` proposes boxes. Layout and thresholds come from the model's manifest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from manifest import Manifest, Unusable
from words import CATEGORIES

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Seen:
    """What a detector saw in a picture, best first; boxes are left, top, width, height in its pixels."""

    words: list[str]
    scores: np.ndarray
    boxes: np.ndarray


class Detector:
    """A detector with the authors' preparation and decoding."""

    def __init__(self, manifest: Manifest, file: Path, low: float) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.manifest = manifest
        self.low = low
        kind = manifest.table["head"]["kind"]
        if kind not in HEADS:
            raise Unusable(f"{manifest.path}: no reference for heads of kind `{kind}`; there are {', '.join(HEADS)}")
        self.decode = HEADS[kind]
        self.number_to_word = {number: word for word, numbers in manifest.words.items() for number in numbers}

    def see(self, picture: np.ndarray) -> Seen:
        """What is in a picture of blue, green and red bytes."""
        entry, head = self.manifest.table["input"], self.manifest.table["head"]
        if head["kind"] in RESIZED_IN_FLOATS:
            picture = picture.astype(np.float32)
        tensor, scale, shift = prepare(picture, entry)
        names = [output.name for output in self.session.get_outputs()]
        answers = self.session.run(None, {entry["tensor"]: tensor})
        corners, scores = self.decode(dict(zip(names, answers, strict=True)), head, self.manifest.size)
        corners = (corners - np.tile(shift, 2)) / np.tile(scale, 2)
        return self._best(corners, scores, picture.shape[1::-1])

    def _best(self, corners: np.ndarray, scores: np.ndarray, size: tuple[int, int]) -> Seen:
        known = sorted(self.number_to_word)
        known_scores = scores[:, known]
        best = known_scores.argmax(1)
        score = known_scores[np.arange(len(best)), best]
        keep = score >= self.low
        corners, score = corners[keep], score[keep]
        words = [self.number_to_word[known[number]] for number in best[keep]]
        # What of a box is compared with another.
        parts = corners
        if self.manifest.table["head"]["kind"] in COMPARED_WITHIN:
            parts = corners.clip(0, np.tile(np.array(size), 2))
        kept: list[int] = []
        for word in sorted(set(words)):
            of_word = np.array([index for index, other in enumerate(words) if other == word])
            kept += list(of_word[suppress(parts[of_word], score[of_word], self.manifest.table["thresholds"]["nms"])])
        kept.sort(key=lambda index: (-score[index], index))
        boxes = np.concatenate([corners[kept, :2], corners[kept, 2:] - corners[kept, :2]], axis=1)
        return Seen([words[index] for index in kept], score[kept], boxes)


def prepare(picture: np.ndarray, entry: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The network's tensor, and scale and shift from the picture's pixels to its own."""
    width, height = entry["width"], entry["height"]
    if entry["colour"] == "rgb":
        picture = picture[:, :, ::-1]
    mean, std = (np.array(entry[key], np.float32) for key in ("mean", "std"))
    shift = np.zeros(2)
    if entry["fit"] == "stretch":
        scale = np.array([width / picture.shape[1], height / picture.shape[0]])
        canvas = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    else:
        ratio = min(width / picture.shape[1], height / picture.shape[0])
        scale = np.array([ratio, ratio])
        inner = (int(picture.shape[1] * ratio), int(picture.shape[0] * ratio))
        resized = cv2.resize(picture, inner, interpolation=cv2.INTER_LINEAR)
        left, top = 0, 0
        if entry["fit"] == "letterbox_centred":
            left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
            shift = np.array([left, top], float)
        canvas = np.empty((height, width, 3), np.float32)
        canvas[:] = np.array(entry["pad"], np.float32)
        canvas[top : top + inner[1], left : left + inner[0]] = resized
    tensor = ((canvas - mean) / std).transpose(2, 0, 1)[None]
    return np.ascontiguousarray(tensor, np.float32), scale, shift


def suppress(corners: np.ndarray, scores: np.ndarray, overlap: float) -> list[int]:
    """Greedy non-maximum suppression."""
    order = np.argsort(-scores, kind="stable")
    areas = np.prod(np.maximum(corners[:, 2:] - corners[:, :2], 0), axis=1)
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(int(first))
        low = np.maximum(corners[first, :2], corners[rest, :2])
        high = np.minimum(corners[first, 2:], corners[rest, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        order = rest[shared <= overlap * np.maximum(areas[first] + areas[rest] - shared, 1e-9)]
    return kept


def grid(size: tuple[int, int], strides: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of all cells, level by level, and the stride of each. Cells at the rim count whole."""
    cells, steps = [], []
    for stride in strides:
        rows, columns = np.mgrid[0 : -(-size[1] // stride), 0 : -(-size[0] // stride)]
        cells.append(np.stack([columns, rows], -1).reshape(-1, 2))
        steps.append(np.full((cells[-1].shape[0], 1), stride))
    return np.concatenate(cells).astype(np.float64), np.concatenate(steps).astype(np.float64)


def _yolox(answer: Tensors, head: dict[str, Any], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    out = answer[head["tensor"]][0]
    cells, steps = grid(size, head["strides"])
    centre, side = (out[:, :2] + cells) * steps, np.exp(out[:, 2:4]) * steps
    return np.concatenate([centre - side / 2, centre + side / 2], 1), out[:, 4:5] * out[:, 5:]


def _distances(bins: np.ndarray, centres: np.ndarray, steps: np.ndarray, count: int) -> np.ndarray:
    """Corners from the distribution of distances to the four edges (generalised focal loss)."""
    bins = bins.reshape(len(bins), 4, count)
    weights = np.exp(bins - bins.max(-1, keepdims=True))
    distance = (weights / weights.sum(-1, keepdims=True) @ np.arange(count)) * steps
    return np.concatenate([centres - distance[:, :2], centres + distance[:, 2:]], 1)


def _nanodet(answer: Tensors, head: dict[str, Any], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    out = answer[head["tensor"]][0]
    count = head["bins"]
    cells, steps = grid(size, head["strides"])
    return _distances(out[:, -4 * count :], cells * steps, steps, count), out[:, : -4 * count]


def _picodet(answer: Tensors, head: dict[str, Any], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    scores = np.concatenate([answer[name][0] for name in head["scores"]])
    edges = np.concatenate([answer[name][0] for name in head["edges"]])
    cells, steps = grid(size, head["strides"])
    return _distances(edges, (cells + 0.5) * steps, steps, head["bins"]), scores


def _centernet(answer: Tensors, head: dict[str, Any], _: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    heat, edges, stride = answer[head["heatmap"]][0], answer[head["ltrb"]][0], head["stride"]
    # The authors' maximum filter: a place that a neighbour exceeds is no peak.
    peaks = np.stack([np.where(plane >= cv2.dilate(plane, np.ones((3, 3))), plane, 0) for plane in heat])
    rows, columns = np.mgrid[0 : heat.shape[1], 0 : heat.shape[2]]
    centre = np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float64) * stride
    distance = edges.reshape(4, -1).T
    corners = np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], 1)
    return corners, peaks.reshape(len(heat), -1).T


def _fastestdet(answer: Tensors, head: dict[str, Any], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    out = answer[head["tensor"]][0].reshape(answer[head["tensor"]].shape[1], -1).T.astype(np.float64)
    cells, steps = grid(size, [head["stride"]])
    centre = (cells + np.tanh(out[:, 1:3])) * steps
    side = 1 / (1 + np.exp(-out[:, 3:5])) * np.array(size)
    return np.concatenate([centre - side / 2, centre + side / 2], 1), out[:, :1] ** 0.6 * out[:, 5:] ** 0.4


HEADS: dict[str, Callable[[Tensors, dict[str, Any], tuple[int, int]], tuple[np.ndarray, np.ndarray]]] = {
    "yolox": _yolox,
    "nanodet_plus": _nanodet,
    "picodet": _picodet,
    "centernet": _centernet,
    "fastestdet": _fastestdet,
}


# NanoDet's get_bboxes moves edges into the picture before it suppresses doubles; the others compare whole boxes.
COMPARED_WITHIN = {"nanodet_plus"}

# PaddleDetection's readers normalise before they resize (configs/picodet/_base_/picodet_416_reader.yml), so
# that no level is rounded between; the others resize bytes. Worth .0035 of AP50 on MOT17-mini.
RESIZED_IN_FLOATS = {"picodet"}


def results(seen: Seen, image_id: int) -> list[dict[str, Any]]:
    """In COCO's result format."""
    return [
        {
            "image_id": image_id,
            "category_id": CATEGORIES[word],
            "bbox": [round(float(side), 3) for side in box],
            "score": round(float(score), 5),
        }
        for word, score, box in zip(seen.words, seen.scores, seen.boxes, strict=True)
    ]
