#!/usr/bin/env python3
"""Whether the agent's detectors see as well as their authors' own code: person AP50, side by side.

  accuracy.py --agent target/debug/edge-agent --models yolox-nano,picodet-s-416

For each model and each set of labelled pictures the agent looks (`models evaluate
--detections`), the authors' preparation and decoding look (reference.py: numpy, OpenCV's
resize), and one scorer, pycocotools, judges both. They may differ by --bar (0.005): the
agent's pictures go through a camera's planes (I420) and its own letterbox.

Sets, of which those whose files are there are used:
  vtest      OpenCV's vtest.avi (795 pictures) and the MOTChallenge truth of PETS09-S2L1;
             every 5th picture unless --every says otherwise
  MOT17-mini twelve pictures of 1920×1080 of two sequences

Data are not part of the repository (MOTChallenge: CC BY-NC-SA 3.0, for tests only): --labels
names the folder with PETS09-S2L1_gt.txt and mot17mini, --clip the film. Without them, or
without a model, this says so and ends with 1: what was not measured is not within the bar.

Exit codes: 0 all that was measured is within the bar, 1 beyond it, nothing measured, or failed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifest import Manifest, Unusable

try:
    import cv2
    import numpy as np
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    import reference
except ImportError as missing:
    sys.exit(f"accuracy: {missing}; install what it needs first: {Path(__file__).with_name('setup')}")

_ROOT = Path(__file__).resolve().parents[2]
# Who MOTChallenge says need not be found, but may be: on a vehicle, standing, in a mirror, behind glass.
_MAY = {2, 7, 8, 12}


@dataclass(frozen=True)
class Part:
    """Pictures of one scene and their labels in MOTChallenge's text."""

    name: str
    labels: Path
    # A film, or a folder of numbered pictures.
    pictures: Path
    every: int

    def look(self) -> list[tuple[int, Any]]:
        """Number and pixels of each picture that is measured with."""
        if self.pictures.is_dir():
            files = sorted(self.pictures.glob("*.jpg"))[:: self.every]
            return [(int(file.stem), cv2.imread(str(file))) for file in files]
        pictures = enumerate(film(self.pictures), start=1)
        return [(number, picture) for number, picture in pictures if (number - 1) % self.every == 0]


def film(file: Path) -> Iterator[Any]:
    """Pictures of a film as blue, green and red bytes, in the colours that its standard says.

    Not by cv2.VideoCapture: it converts by libswscale's quick tables, which are 0.9 to 1.3 of 255
    too dark (measured on vtest; exact to 0.01 with these flags). FastestDet's AP50 moved by .0013
    with that, and the agent, whose colours are exact, looked worse than it is.
    """
    about = cv2.VideoCapture(str(file))
    width, height = (int(about.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    about.release()
    if width * height == 0:
        raise Unusable(f"{file}: is no film that OpenCV can read")
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(file), "-sws_flags", "accurate_rnd+full_chroma_int"]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as decoder:
        assert decoder.stdout is not None
        while len(picture := decoder.stdout.read(3 * width * height)) == 3 * width * height:
            yield np.frombuffer(picture, np.uint8).reshape(height, width, 3)
    if decoder.returncode != 0:
        raise Unusable(f"{file}: ffmpeg ended with {decoder.returncode}")


def truth(part: Part, numbers: list[int]) -> dict[str, Any]:
    """The labels in COCO's form, as the agent reads them (`edge_inference::evaluate::labels`)."""
    rows = [[float(field) for field in line.split(",")] for line in part.labels.read_text().split()]
    has_classes = all(len(row) >= 9 and row[7] in range(1, 14) for row in rows)
    annotations = []
    for row in rows:
        may = row[6] == 0
        if has_classes and row[7] != 1:
            if row[7] not in _MAY:
                continue
            may = True
        if int(row[0]) in numbers:
            box = [row[2] - 1, row[3] - 1, row[4], row[5]]
            area = box[2] * box[3]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": int(row[0]), "category_id": 1, "bbox": box, "area": area}
                | {"iscrowd": int(may)}
            )
    return {
        "images": [{"id": number} for number in numbers],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }


def ap50(labels: dict[str, Any], seen: list[dict[str, Any]]) -> float:
    """Average precision of people at an overlap of one half, by COCO's own program."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = labels
        coco.createIndex()
        people = [box for box in seen if box["category_id"] == 1]
        if not people:
            return 0.0
        judge = COCOeval(coco, coco.loadRes(people), "bbox")
        judge.params.imgIds = [image["id"] for image in labels["images"]]
        judge.params.catIds = [1]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[1])


def merged(parts: list[tuple[dict[str, Any], list[dict[str, Any]]]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Several scenes as one set: their pictures are numbered anew."""
    labels: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    seen = []
    for scene, (of_scene, boxes) in enumerate(parts):
        offset = scene * 1_000_000
        labels["images"] += [{"id": image["id"] + offset} for image in of_scene["images"]]
        for annotation in of_scene["annotations"]:
            number = len(labels["annotations"]) + 1
            labels["annotations"].append({**annotation, "id": number, "image_id": annotation["image_id"] + offset})
        seen += [{**box, "image_id": box["image_id"] + offset} for box in boxes]
    return labels, seen


def by_agent(agent: Path, model: str, folders: list[Path], part: Part, low: float) -> list[dict[str, Any]]:
    """What the agent sees."""
    places = os.environ | {"NGATU_MODELS": ":".join(map(str, folders))}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "seen.json"
        command = [str(agent), "models", "evaluate", model, "--alone", "--low", str(low)]
        command += ["--labels", str(part.labels), "--pictures", str(part.pictures)]
        command += ["--every", str(part.every), "--detections", str(out), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=places)
        if done.returncode != 0:
            raise Unusable(f"{' '.join(command)} failed: {done.stderr.strip()[-400:]}")
        return json.loads(out.read_text())


def by_authors(manifest: Manifest, file: Path, part: Part, low: float) -> list[dict[str, Any]]:
    """What the authors' code sees."""
    detector = reference.Detector(manifest, file, low)
    return [box for number, picture in part.look() for box in reference.results(detector.see(picture), number)]


def sets(labels: Path, clip: Path, every: int) -> dict[str, list[Part]]:
    """Those whose files are there."""
    found: dict[str, list[Part]] = {}
    pets = labels / "PETS09-S2L1_gt.txt"
    if pets.is_file() and clip.is_file():
        found["vtest"] = [Part("vtest", pets, clip, every)]
    mini = sorted((labels / "mot17mini").glob("*/gt/gt.txt"))
    if mini:
        found["MOT17-mini"] = [Part(file.parts[-3], file, file.parents[1] / "img1", 1) for file in mini]
    return found


def installed(model: str, folders: list[Path]) -> tuple[Manifest, Path] | None:
    """Manifest and network of a model in the models' folders; the catalogue's manifest where it has none of its own."""
    for folder in folders:
        own = folder / model / "model.toml"
        manifest = Manifest.read(own if own.is_file() else _ROOT / "models" / "catalog" / model / "model.toml")
        file = folder / model / manifest.table["file"]
        if file.is_file():
            return manifest, manifest.weights(file)
    return None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--agent", type=Path, default=_ROOT / "target/debug/edge-agent", help="[target/debug/edge-agent]"
    )
    parser.add_argument(
        "--models", default="", help="separated by commas [all that are installed and have a reference]"
    )
    parser.add_argument("--folder", type=Path, action="append", help="of models, may be repeated [.local/models]")
    parser.add_argument(
        "--labels", type=Path, default=_ROOT.parent / "shared/data/labels", help="[../shared/data/labels]"
    )
    parser.add_argument("--clip", type=Path, default=_ROOT / ".local/clips/vtest.mp4", help="[.local/clips/vtest.mp4]")
    parser.add_argument("--every", type=int, default=5, help="look at every so many'th picture of vtest [5]")
    parser.add_argument("--low", type=float, default=0.01, help="scores below are not looked at [0.01]")
    parser.add_argument("--bar", type=float, default=0.005, help="largest difference [0.005]")
    args = parser.parse_args(arguments)
    folders = args.folder or [_ROOT / ".local/models"]
    measured = sets(args.labels, args.clip, args.every)
    if not measured:
        print(
            f"nothing was measured: neither {args.clip} with {args.labels}/PETS09-S2L1_gt.txt nor "
            f"{args.labels}/mot17mini is there; name them with --clip and --labels",
            file=sys.stderr,
        )
        return 1
    # What reads text has no classes.
    catalogued = sorted(
        file.parent.name
        for file in (_ROOT / "models/catalog").glob("*/model.toml")
        if "classes" in tomllib.loads(file.read_text(encoding="utf-8"))
    )
    names = args.models.split(",") if args.models else catalogued
    worst = None
    try:
        print(f"{'model':24} {'set':11} {'pictures':>8} {'agent':>7} {'authors':>8} {'apart':>7}")
        for name in names:
            found = installed(name, folders)
            if found is None:
                if args.models:
                    raise Unusable(f"model {name} is in none of {', '.join(map(str, folders))}; name one with --folder")
                continue
            manifest = found[0]
            kind = manifest.table["head"]["kind"]
            if kind not in reference.HEADS or "person" not in manifest.words:
                if args.models:
                    raise Unusable(
                        f"model {name} cannot be compared: its head is `{kind}` and its classes {', '.join(manifest.words)}; "
                        f"there is a reference for {', '.join(sorted(reference.HEADS))}, and `person` is what is labelled"
                    )
                continue
            for title, parts in measured.items():
                numbers = {part: [number for number, _ in part.look()] for part in parts}
                truths = {part: truth(part, numbers[part]) for part in parts}
                scores = []
                for look in (
                    lambda part, name=name: by_agent(args.agent, name, folders, part, args.low),
                    lambda part, found=found: by_authors(*found, part, args.low),
                ):
                    scores.append(ap50(*merged([(truths[part], look(part)) for part in parts])))
                apart = scores[0] - scores[1]
                worst = max(worst or 0.0, abs(apart))
                count = sum(len(found) for found in numbers.values())
                verdict = "" if abs(apart) <= args.bar else "  beyond the bar"
                print(
                    f"{name:24} {title:11} {count:8} {scores[0]:7.4f} {scores[1]:8.4f} {apart:+7.4f}{verdict}",
                    flush=True,
                )
    except (Unusable, OSError, tomllib.TOMLDecodeError) as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 1
    if worst is None:
        print(
            f"nothing was measured: no model with a reference is in {', '.join(map(str, folders))}; install one "
            "(`make setup`, `edge-agent models list`) or name its folder with --folder",
            file=sys.stderr,
        )
        return 1
    print(f"largest difference {worst:.4f}, bar {args.bar}")
    return 0 if worst <= args.bar else 1


if __name__ == "__main__":
    sys.exit(main())
