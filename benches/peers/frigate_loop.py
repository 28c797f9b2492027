"""A reconstruction of Frigate's detection loop, for comparison of cost. It is not Frigate.

    frigate_loop.py CLIP MODEL.onnx EVENTS.jsonl --zone X,Y,X,Y,… --looks 5 [--tuned]

Frigate (MIT) is no package and ships as a container, so it cannot be run from package registries. Written anew after
reading its sources (blakeblackshear/frigate: camera/capture.py and camera/tracker.py at 09256a4, motion/improved_motion.py
at 001a0ce, util/object.py at 0013555, track/norfair_tracker.py at 03222bf) are, with its default settings:

- an ffmpeg process that scales to 1280×720 (the default size of `detect`), takes 5 pictures a second and writes raw
  yuv420p into a pipe; a thread that reads it into shared memory; a bounded queue of pictures to the tracker's process;
- motion on luma of 100 lines: contrast from percentiles 4 and 96 over 50 pictures, blur, difference to a running mean
  (alpha 0.01; 0.2 while it calibrates), threshold 30, dilation, contours of more than 10 pixels. It begins calibrated,
  with the median of the clip's key pictures: Frigate looks at no motion until it has once seen a calm scene, and on a
  busy clip that moment never comes;
- regions, square, at least 320 pixels: around clusters of tracked objects (boxes × 1.35) and of motion that lies outside
  of them; objects that stood still for 50 pictures are looked at every 50th picture only, unless something moves there;
- each region is cut from the YUV planes, converted, resized to the model's input, handed through shared memory to a
  detector process, one inference for each region;
- suppression per label and consolidation of boxes within others, then Norfair on the boxes' corners with Frigate's
  distance (movement of the foot point by size, change of size; threshold 2.5).

Left out, all of it cost that Frigate has on top: configuration updates over ZeroMQ, the database's region grid (empty on
a new installation, which falls back to the plain region), snapshots, recording, birdseye, MQTT, the web server. The
model is the bench's own (Frigate takes YOLOX in ONNX) instead of its default SSD of 300 pixels. The rules are
`rules.py`'s, because Frigate's zones know no dwell by track time.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import threading
from multiprocessing import shared_memory

WIDTH, HEIGHT = 1280, 720
LEAST_REGION = 320
MOTION_HEIGHT = 100
STATIONARY_AFTER = STATIONARY_EVERY = 50
POOL = 10


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip")
    parser.add_argument("model")
    parser.add_argument("events")
    parser.add_argument("--zone", required=True, help="corners as fractions of the picture")
    parser.add_argument("--looks", type=float, required=True, help="a second")
    parser.add_argument("--tuned", action="store_true", help="one thread everywhere")
    return parser.parse_args()


# --- capture -------------------------------------------------------------------------------


def capture(asked, memory, free, pictures):
    """Raw pictures from ffmpeg into slots of shared memory. A file waits where a camera would skip."""
    command = ["ffmpeg", "-hide_banner", "-loglevel", "warning", "-nostdin"]
    command += ["-threads", "1" if asked.tuned else "2", "-i", asked.clip]
    command += ["-r", str(asked.looks), "-vf", f"fps={asked.looks},scale={WIDTH}:{HEIGHT}"]
    command += ["-threads", "1" if asked.tuned else "2", "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:"]
    size = WIDTH * HEIGHT * 3 // 2
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=size * 10) as ffmpeg:
        number = 0
        while len(raw := ffmpeg.stdout.read(size)) == size:
            slot = free.get()
            memory.buf[slot * size : (slot + 1) * size] = raw
            pictures.put((number / asked.looks, slot))
            number += 1
    pictures.put(None)


def key_pictures(clip, np):
    """Luma of the key pictures of the clip."""
    command = ["ffmpeg", "-loglevel", "error", "-nostdin", "-skip_frame", "nokey", "-i", clip, "-fps_mode", "passthrough"]
    command += ["-vf", f"scale={WIDTH}:{HEIGHT}", "-f", "rawvideo", "-pix_fmt", "gray", "pipe:"]
    raw = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT, WIDTH)


def cpu_s():
    """Of this process and of its children that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


# --- the detector's process ----------------------------------------------------------------


def detect_forever(asked, name, size, requests, results):
    """One inference at a time for all cameras, as Frigate's detector process does."""
    import cv2
    import numpy as np

    from detector import Detector

    if asked.tuned:
        cv2.setNumThreads(1)
    # Frigate gives an ONNX detector the runtime's own choice of threads.
    detector = Detector(asked.model, threads=1 if asked.tuned else 0, least_score=0.4)
    memory = shared_memory.SharedMemory(name=name)
    picture = np.ndarray((size, size, 3), np.uint8, buffer=memory.buf)
    detector.detect(picture)
    results.put(cpu_s())
    while requests.get() is not None:
        boxes, scores, classes = detector.detect(picture)
        people = classes == 0
        # At most 20 detections of a region come back, as fractions of it.
        results.put((boxes[people][:20] / size, scores[people][:20]))
    del picture
    memory.close()


# --- motion --------------------------------------------------------------------------------


class Motion:
    """Boxes of what differs from the running mean."""

    def __init__(self, np):
        self.size = (MOTION_HEIGHT * WIDTH // HEIGHT, MOTION_HEIGHT)
        self.factor = HEIGHT / MOTION_HEIGHT
        self.mean = np.zeros(self.size[::-1], np.float32)
        self.contrast = np.zeros((50, 2), np.uint8)
        self.contrast[:, 1] = 255
        self.looks = self.moving_for = 0
        self.is_calibrating = True

    def learn(self, lumas, cv2, np, gaussian_filter):
        """What it knows after days of running: the scene without those who walk through it."""
        self.mean = np.median([self._small(luma, cv2, np, gaussian_filter) for luma in lumas], axis=0)
        self.mean = self.mean.astype(np.float32)
        self.is_calibrating = False

    def _small(self, luma, cv2, np, gaussian_filter):
        small = cv2.resize(luma, self.size, interpolation=cv2.INTER_NEAREST)
        low, high = (np.percentile(small, share).astype(np.uint8) for share in (4, 96))
        if low < high:
            self.contrast[self.looks % len(self.contrast)] = low, high
            self.looks += 1
            low, high = self.contrast.mean(axis=0)
            small = ((np.clip(small, low, high) - low) / (high - low) * 255).astype(np.uint8)
        return gaussian_filter(small, sigma=1, radius=1)

    def boxes(self, luma, cv2, np, gaussian_filter):
        small = self._small(luma, cv2, np, gaussian_filter)
        different = cv2.absdiff(small, cv2.convertScaleAbs(self.mean))
        mask = cv2.dilate(cv2.threshold(different, 30, 255, cv2.THRESH_BINARY)[1], None, iterations=1)
        contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[-2]
        areas = [cv2.contourArea(contour) for contour in contours]
        found = []
        for contour, area in zip(contours, areas):
            if area > 10:
                x, y, w, h = cv2.boundingRect(contour)
                found.append(tuple(int(v * self.factor) for v in (x, y, x + w, y + h)))
        share = sum(areas) / small.size
        if share < 0.05 and len(found) <= 4:
            self.is_calibrating = False
        if share > 0.8:
            self.is_calibrating = True
        self.moving_for = self.moving_for + 1 if found else 0
        if not found or self.moving_for >= 10:
            cv2.accumulateWeighted(small, self.mean, 0.2 if self.is_calibrating else 0.01)
        return found


# --- boxes and regions ---------------------------------------------------------------------


def area(box):
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)


def is_inside(outer, inner):
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def overlap(a, b):
    return (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))


def touches(a, b):
    return not (a[2] < b[0] or a[0] > b[2] or a[3] < b[1] or a[1] > b[3])


def shared_part(a, b):
    if not touches(a, b):
        return 0.0
    common = area(overlap(a, b))
    return common / (area(a) + area(b) - common)


def region_around(boxes, by):
    """A square of a multiple of four pixels around all, within the picture where it fits."""
    x0, y0 = (min(box[i] for box in boxes) for i in (0, 1))
    x1, y1 = (max(box[i] for box in boxes) for i in (2, 3))
    size = max(LEAST_REGION, int(max(x1 - x0, y1 - y0) * by) // 4 * 4)
    left = int((x0 + x1) / 2 - size / 2)
    top = int((y0 + y1) / 2 - size / 2)
    left = max(0, min(left, WIDTH - size))
    top = max(0, min(top, HEIGHT - size))
    return (left, top, left + size, top + size)


def reach(box):
    """Within which others may share a region: the box is to be a tenth of it or more."""
    width, height = box[2] - box[0], box[3] - box[1]
    size = max(LEAST_REGION, int(abs(width * height / 0.1) ** 0.5))
    x, y = box[0] + width / 2, box[1] + height / 2
    across, down = int(size - width / 2 * 1.1), int(size - height / 2 * 1.1)
    return (x - across, y - down, x + across, y + down)


def clusters(boxes):
    """Boxes that one region can hold without any of them becoming too small in it."""
    left, found = list(range(len(boxes))), []
    while left:
        cluster = [left.pop(0)]
        within = reach(boxes[cluster[0]])
        for other in list(left):
            if not is_inside(within, boxes[other]):
                continue
            joined = [boxes[index] for index in [*cluster, other]]
            region = region_around(joined, 1.35)
            is_large = region[2] - region[0] > LEAST_REGION
            if is_large and any(area(box) / area(region) < 0.05 for box in joined):
                continue
            cluster.append(other)
            left.remove(other)
        found.append([boxes[index] for index in cluster])
    return found


def is_clipped(box, region):
    """At an edge of its region that is no edge of the picture."""
    return (
        (box[0] - region[0] < 5 and region[0] > 0)
        or (box[1] - region[1] < 5 and region[1] > 0)
        or (region[2] - box[2] < 5 and WIDTH - region[2] > 5)
        or (region[3] - box[3] < 5 and HEIGHT - region[3] > 5)
    )


def consolidated(detections, cv2):
    """Suppression, then without boxes of which most lies within a larger one."""
    if not detections:
        return []
    extents = [(b[0], b[1], b[2] - b[0], b[3] - b[1]) for b, _, _ in detections]
    scores = [0.6 if is_clipped(box, region) else score for box, score, region in detections]
    kept = [detections[int(i)] for i in cv2.dnn.NMSBoxes(extents, scores, 0.5, 0.4)]
    kept.sort(key=lambda detection: area(detection[0]))
    result = []
    for index, (box, score, region) in enumerate(kept):
        is_part = False
        for other, _, _ in kept[index + 1 :]:
            if area(box) / area(other) < 0.05 or not touches(box, other):
                continue
            if area(overlap(box, other)) / area(box) > 0.9:
                is_part = True
                break
        if not is_part:
            result.append((box, score, region))
    return result


# --- tracking ------------------------------------------------------------------------------


def distance_of(np):
    def distance(detection, tracked):
        was, now = tracked.estimate, detection.points
        size, size_now = was[1] - was[0], now[1] - now[0]
        foot = np.array([was[:, 0].mean(), was[:, 1].max()])
        foot_now = np.array([now[:, 0].mean(), now[:, 1].max()])
        move = (foot_now - foot) / np.maximum(size, 1e-6)
        pair = np.sort(np.stack([size, size_now]), axis=0)
        growth = pair[1] / np.maximum(pair[0], 1e-6) - 1.0
        return float(np.linalg.norm(np.concatenate([move, growth])))

    return distance


class Tracks:
    """Norfair, and for each object how long it has not moved."""

    def __init__(self, rate, np):
        import norfair

        self.norfair, self.np = norfair, np
        self.tracker = norfair.Tracker(
            distance_function=distance_of(np),
            distance_threshold=2.5,
            initialization_delay=int(rate / 2),
            hit_counter_max=int(rate * 5),
        )
        self.objects = {}

    def update(self, detections):
        np = self.np
        given = [
            self.norfair.Detection(points=np.array([box[:2], box[2:]], float), label="person", data=box)
            for box, _, _ in detections
        ]
        active = self.tracker.update(detections=given)
        for tracked in active:
            known = self.objects.get(tracked.global_id)
            box = tracked.last_detection.data
            estimate = tuple(int(v) for v in tracked.estimate.ravel())
            is_seen = any(box is detection.data for detection in given)
            if known is None:
                known = {"motionless": 0, "at": [], "place": box}
                self.objects[tracked.global_id] = known
            elif is_seen:
                self._move(known, box)
            known.update(box=box, estimate=estimate, is_seen=is_seen)
        gone = self.objects.keys() - {tracked.global_id for tracked in active}
        for who in gone:
            del self.objects[who]

    def _move(self, known, box):
        if shared_part(known["place"], box) < 0.6:
            known.update(at=[box], place=box, motionless=0)
            return
        known["motionless"] += 1
        if len(known["at"]) < 10:
            known["at"].append(box)
            low = self.np.percentile(known["at"], 15, axis=0)
            high = self.np.percentile(known["at"], 85, axis=0)
            known["place"] = (low[0], low[1], high[2], high[3])

    def stand_still(self):
        """Nothing was looked at: what was there still is."""
        self.update([(known["box"], 1.0, None) for known in self.objects.values() if known["is_seen"]])


# --- the tracker's process -----------------------------------------------------------------


def cut(frame, region, size, cv2, np):
    """A region of planar YUV, in BGR and of the model's size."""
    left, top, right, bottom = region
    side = right - left
    planes = np.full((side * 3 // 2, side), 128, np.uint8)
    planes[:side] = 16
    w, h = min(right, WIDTH) - left, min(bottom, HEIGHT) - top
    planes[:h, :w] = frame[top : top + h, left : left + w]
    chroma = frame[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    target = planes[side:].reshape(2, side // 2, side // 2)
    target[:, : h // 2, : w // 2] = chroma[:, top // 2 : top // 2 + h // 2, left // 2 : left // 2 + w // 2]
    picture = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420)
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR)


def main():
    asked = arguments()
    if asked.tuned:
        os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import cv2
    import numpy as np
    import onnxruntime
    from scipy.ndimage import gaussian_filter

    from rules import Rules

    if asked.tuned:
        cv2.setNumThreads(1)
    shape = onnxruntime.InferenceSession(asked.model, providers=["CPUExecutionProvider"]).get_inputs()[0].shape
    size = shape[3]
    picture_bytes = WIDTH * HEIGHT * 3 // 2
    memory = shared_memory.SharedMemory(create=True, size=picture_bytes * POOL)
    region_memory = shared_memory.SharedMemory(create=True, size=size * size * 3)
    free, pictures = multiprocessing.Queue(), multiprocessing.Queue()
    requests, results = multiprocessing.Queue(), multiprocessing.Queue()
    for slot in range(POOL):
        free.put(slot)
    detector = multiprocessing.Process(
        target=detect_forever, args=(asked, region_memory.name, size, requests, results), daemon=True
    )
    detector.start()
    reader = threading.Thread(target=capture, args=(asked, memory, free, pictures), daemon=True)
    into = np.ndarray((size, size, 3), np.uint8, buffer=region_memory.buf)
    corners = np.array([float(v) for v in asked.zone.split(",")]).reshape(-1, 2) * (WIDTH, HEIGHT)
    zone = corners.astype(np.float32)
    motion, tracks, rules = Motion(np), Tracks(asked.looks, np), Rules(asked.events)
    motion.learn(key_pictures(asked.clip, np), cv2, np, gaussian_filter)
    setup_cpu_s = results.get() + cpu_s()
    reader.start()
    looked_at = inferences = since_all = 0
    while (item := pictures.get()) is not None:
        time, slot = item
        frame = np.ndarray((HEIGHT * 3 // 2, WIDTH), np.uint8, memory.buf, slot * picture_bytes)
        moved = motion.boxes(frame[:HEIGHT], cv2, np, gaussian_filter)
        since_all += 1
        known = tracks.objects.values()
        if since_all > STATIONARY_EVERY:
            since_all, still = 0, []
        else:
            watched = [] if motion.is_calibrating else moved
            still = [
                it
                for it in known
                if it["motionless"] >= STATIONARY_AFTER
                and it["is_seen"]
                and not any(touches(it["box"], box) for box in watched)
            ]
        lively = [
            it["estimate"] if it["motionless"] < STATIONARY_AFTER else it["box"] for it in known if it not in still
        ]
        regions = [region_around(cluster, 1.35) for cluster in clusters(lively)]
        if not motion.is_calibrating:
            alone = [box for box in moved if not any(is_inside(region, box) for region in regions)]
            regions += [region_around(cluster, 2) for cluster in clusters(alone)]
        detections = [(it["box"], 1.0, (0, 0, WIDTH, HEIGHT)) for it in still]
        for region in regions:
            np.copyto(into, cut(frame, region, size, cv2, np))
            requests.put(1)
            inferences += 1
            side = region[2] - region[0]
            for box, score in zip(*results.get()):
                x0, y0 = max(0, int(box[0] * side) + region[0]), max(0, int(box[1] * side) + region[1])
                x1 = min(WIDTH - 1, int(box[2] * side) + region[0])
                y1 = min(HEIGHT - 1, int(box[3] * side) + region[1])
                # Frigate's filter of objects: a score of 0.5 or more.
                if score >= 0.5 and x0 < x1 and y0 < y1:
                    detections.append(((x0, y0, x1, y1), float(score), region))
        del frame
        free.put(slot)
        if regions:
            tracks.update(consolidated(detections, cv2))
        else:
            tracks.stand_still()
        seen = [(who, it["box"]) for who, it in tracks.objects.items() if it["is_seen"]]
        feet = [((box[0] + box[2]) / 2, float(box[3])) for _, box in seen]
        inside = [cv2.pointPolygonTest(zone, foot, False) >= 0 for foot in feet]
        rules.look(time, [who for who, _ in seen], [box for _, box in seen], inside)
        looked_at += 1
    requests.put(None)
    reader.join()
    detector.join()
    rules.finish()
    del into
    for block in (memory, region_memory):
        block.close()
        block.unlink()
    print(json.dumps({"pictures": looked_at, "inferences": inferences, "setup_cpu_s": setup_cpu_s}))


if __name__ == "__main__":
    main()
