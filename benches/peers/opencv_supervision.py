"""What one would write in an afternoon: OpenCV reads, ONNX Runtime detects, supervision's ByteTrack follows.

    opencv_supervision.py CLIP MODEL.onnx EVENTS.jsonl --zone X,Y,X,Y,… --looks 5 [--tuned]

`--tuned`: one thread everywhere, and pictures that are not looked at are decoded but not converted (`grab`).
Without it everything is as the libraries come, and each picture is read (`read`), as the tutorials do.
"""

import argparse
import json
import os
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip")
    parser.add_argument("model")
    parser.add_argument("events")
    parser.add_argument("--zone", required=True, help="corners as fractions of the picture")
    parser.add_argument("--looks", type=float, required=True, help="a second; 0 looks at every picture")
    parser.add_argument("--tuned", action="store_true")
    return parser.parse_args()


def main():
    asked = arguments()
    if asked.tuned:
        # Before the libraries are loaded: they read it once.
        os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "threads;1"
    import cv2
    import numpy as np
    import supervision

    from detector import Detector
    from rules import Rules

    if asked.tuned:
        cv2.setNumThreads(1)
    capture = cv2.VideoCapture(asked.clip, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise SystemExit(f"{asked.clip} cannot be read")
    rate = capture.get(cv2.CAP_PROP_FPS)
    size = np.array([capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)])
    every = max(1, round(rate / asked.looks)) if asked.looks else 1
    detector = Detector(asked.model, threads=1 if asked.tuned else 0)
    tracker = supervision.ByteTrack(frame_rate=round(rate / every))
    corners = np.array([float(v) for v in asked.zone.split(",")]).reshape(-1, 2)
    zone = supervision.PolygonZone((corners * size).astype(int))
    rules = Rules(asked.events)
    # The runtime's first run is part of the start.
    detector.detect(np.zeros((720, 1280, 3), np.uint8))
    setup_cpu_s = time.process_time()
    number = looked_at = 0
    while True:
        is_wanted = number % every == 0
        if is_wanted or not asked.tuned:
            there, picture = capture.read()
        else:
            there = capture.grab()
        if not there:
            break
        if is_wanted:
            boxes, scores, classes = detector.detect(picture)
            people = classes == 0
            seen = supervision.Detections(
                xyxy=boxes[people].reshape(-1, 4), confidence=scores[people], class_id=classes[people]
            )
            tracks = tracker.update_with_detections(seen)
            rules.look(number / rate, tracks.tracker_id, tracks.xyxy, zone.trigger(tracks))
            looked_at += 1
        number += 1
    rules.finish()
    print(json.dumps({"pictures": number, "inferences": looked_at, "setup_cpu_s": setup_cpu_s}))


main()
