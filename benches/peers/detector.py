"""The same network that the agent runs, called as a Python program would call it.

Two heads are known, because the bench has to run where only one of the models is to be had:
YOLOX (one output of rows) and CenterNet (a heat map and four distances). COCO class 0 is a person.
"""

import cv2
import numpy as np
import onnxruntime


class Detector:
    """ONNX Runtime on pictures in BGR; `threads` 0 leaves the runtime's own choice."""

    def __init__(self, path, threads=0, least_score=0.1):
        options = onnxruntime.SessionOptions()
        if threads:
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        entry = self.session.get_inputs()[0]
        self.entry = entry.name
        self.height, self.width = entry.shape[2:]
        self.is_yolox = len(self.session.get_outputs()) == 1
        self.least_score = least_score
        if self.is_yolox:
            self.grid = _yolox_grid(self.height, self.width)

    def detect(self, picture):
        """Boxes (x0, y0, x1, y1 in pixels of `picture`), scores and classes, after suppression."""
        tensor, scale = self._letterbox(picture)
        outputs = self.session.run(None, {self.entry: tensor})
        boxes, scores, classes = self._yolox(outputs[0][0]) if self.is_yolox else self._centernet(*outputs)
        if len(boxes) == 0:
            return boxes, scores, classes
        extents = boxes.copy()
        extents[:, 2:] -= extents[:, :2]
        # Class by class: boxes of different classes are moved apart.
        apart = extents.copy()
        apart[:, :2] += classes[:, None] * 10_000.0
        kept = np.array(cv2.dnn.NMSBoxes(apart.tolist(), scores.tolist(), self.least_score, 0.45), dtype=int)
        return boxes[kept] / scale, scores[kept], classes[kept]

    def _letterbox(self, picture):
        scale = min(self.height / picture.shape[0], self.width / picture.shape[1])
        width, height = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
        canvas = np.full((self.height, self.width, 3), 114 if self.is_yolox else 0, np.uint8)
        canvas[:height, :width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        if not self.is_yolox:
            canvas = canvas[:, :, ::-1]
        return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None], dtype=np.float32), scale

    def _yolox(self, rows):
        scores = rows[:, 4:5] * rows[:, 5:]
        classes = scores.argmax(1)
        scores = scores[np.arange(len(scores)), classes]
        kept = scores > self.least_score
        rows, grid, scores, classes = rows[kept], self.grid[kept], scores[kept], classes[kept]
        centres = (rows[:, :2] + grid[:, :2]) * grid[:, 2:]
        halves = np.exp(rows[:, 2:4]) * grid[:, 2:] / 2
        return np.hstack([centres - halves, centres + halves]), scores, classes

    def _centernet(self, heat, distances):
        heat, distances = heat[0], distances[0]
        peaks = heat == np.stack([cv2.dilate(plane, np.ones((3, 3))) for plane in heat])
        classes, rows, columns = np.nonzero(peaks & (heat > self.least_score))
        left, top, right, bottom = distances[:, rows, columns]
        boxes = np.stack([columns - left, rows - top, columns + right, rows + bottom], 1) * 4.0
        return boxes.astype(np.float32), heat[classes, rows, columns], classes


def _yolox_grid(height, width):
    parts = []
    for stride in (8, 16, 32):
        ys, xs = np.mgrid[: height // stride, : width // stride]
        parts.append(np.stack([xs.ravel(), ys.ravel(), np.full(xs.size, stride)], 1))
    return np.concatenate(parts).astype(np.float32)
