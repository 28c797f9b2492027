#!/usr/bin/env python3
"""From what `aggregator labels` writes to labels that a detector may be trained with.

  labels.py draft    --labels labels/train.json --seen seen.json --out draft.json
  labels.py complete --labels labels/train.json --corrected corrected.json --out train.json
  labels.py show     train.json

A detector's own boxes cannot teach it what it misses, and a picture of which only
the accused is labelled would teach it that everybody else is empty street. So:

draft     adds what a detector sees (`look.py`) as proposals for a person to correct in a
          labelling tool that reads and writes COCO (CVAT, Label Studio)
complete  takes what the person made of it: every picture in the corrected file counts
          as wholly labelled (`complete`: true), and its boxes are the person's
show      says what is in a label file

Nothing is installed for this; it is Python alone. The labels that went in stay as they were.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from words import CATEGORIES, class_of

Coco = dict[str, Any]
Box = list[float]


class Unusable(Exception):
    """A file that cannot be used; the text says which, why, and what to do."""


def read(path: Path) -> Coco:
    """A label file in COCO's form, as far as we rely on it."""
    try:
        coco = json.loads(path.read_text(encoding="utf-8"))
        images = {image["id"] for image in coco["images"]}
        categories = {category["id"] for category in coco["categories"]}
        for image in coco["images"]:
            if not isinstance(image["file_name"], str):
                raise TypeError("a file_name is no text")
        for annotation in coco["annotations"]:
            if annotation["image_id"] not in images:
                raise ValueError(f"annotation {annotation.get('id')} is of no image in the file")
            if annotation["category_id"] not in categories:
                raise ValueError(f"annotation {annotation.get('id')} is of no category in the file")
            if len([float(side) for side in annotation["bbox"]]) != 4:
                raise ValueError(f"annotation {annotation.get('id')}: bbox has not four numbers")
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}; is the name right?") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else error
        raise Unusable(f"{path} is no COCO label file: {what}; export the task as COCO 1.0") from error
    return coco


def write(path: Path, coco: Coco) -> None:
    """Whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(coco, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two [left, top, width, height]."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (one[2] * one[3] + other[2] * other[3] - width * height)


def draft(labels: Coco, seen: list[dict[str, Any]], score: float, same: float) -> tuple[Coco, int]:
    """The labels with what a detector saw besides, and how many boxes that is."""
    incomplete = {image["id"] for image in labels["images"] if not image.get("complete", True)}
    annotations = [dict(annotation) for annotation in labels["annotations"]]
    by_image: dict[int, list[dict[str, Any]]] = {}
    for annotation in annotations:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    known = {category["id"] for category in labels["categories"]}
    added = 0
    for box in sorted(seen, key=lambda box: (box["image_id"], -box["score"], box["bbox"])):
        there = by_image.setdefault(box["image_id"], [])
        is_new = all(overlap(box["bbox"], old["bbox"]) < same for old in there)
        if box["image_id"] in incomplete and box["category_id"] in known and box["score"] >= score and is_new:
            proposal = {
                "id": 0,
                "image_id": box["image_id"],
                "category_id": box["category_id"],
                "bbox": [round(side, 2) for side in box["bbox"]],
                "area": round(box["bbox"][2] * box["bbox"][3], 2),
                "iscrowd": 0,
                "score": round(box["score"], 3),
                "status": "proposed",
            }
            there.append(proposal)
            annotations.append(proposal)
            added += 1
    # What somebody disputed is shown as a box as well, for the person to judge.
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
        annotation["iscrowd"] = 0
    return {**labels, "annotations": annotations}, added


def complete(labels: Coco, corrected: Coco) -> tuple[Coco, Counter[str]]:
    """The labels with a person's boxes in the pictures of `corrected`; what became of them."""
    # No labelling tool gives our words back, so a file that has them is a draft.
    if any(annotation.get("status") in ("proposed", "disputed") for annotation in corrected["annotations"]):
        raise Unusable(
            "the corrected file is a draft: it still says what a detector proposed or somebody disputed;"
            " give what the labelling tool exported when a person had gone through it"
        )
    by_name = {Path(image["file_name"]).name: image for image in labels["images"]}
    category: dict[int, int] = {}
    looked_for: set[str] = set()
    for one in corrected["categories"]:
        word = class_of(one["name"])
        if word is None:
            raise Unusable(
                f"category `{one['name']}` is none of {', '.join(CATEGORIES)};"
                " rename it in the labelling tool, or delete it there"
            )
        category[one["id"]] = CATEGORIES[word]
        looked_for.add(word)
    counts: Counter[str] = Counter()
    done: dict[int, dict[str, Any]] = {}
    for image in corrected["images"]:
        ours = by_name.get(Path(image["file_name"]).name)
        if ours is None:
            counts["pictures of the corrected file that are not among the labels"] += 1
            continue
        for side in ("width", "height"):
            if image.get(side, ours[side]) != ours[side]:
                raise Unusable(f"{ours['file_name']} has another {side} in the corrected file; was it scaled?")
        done[image["id"]] = ours
    completed = {image["id"] for image in done.values()}
    annotations = [a for a in labels["annotations"] if a["image_id"] not in completed]
    for one in corrected["annotations"]:
        ours = done.get(one["image_id"])
        if ours is None:
            continue
        box = [round(float(side), 2) for side in one["bbox"]]
        if box[2] < 1 or box[3] < 1:
            counts["boxes of less than a pixel, left out"] += 1
            continue
        annotations.append(
            {
                "image_id": ours["id"],
                "category_id": category[one["category_id"]],
                "bbox": box,
                "area": round(box[2] * box[3], 2),
                "iscrowd": int(one.get("iscrowd", 0)),
                "status": "labelled",
            }
        )
        counts["boxes of a person"] += 1
    annotations.sort(key=lambda a: (a["image_id"], a["category_id"], a["bbox"]))
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    images = [{**image, "complete": True} if image["id"] in completed else dict(image) for image in labels["images"]]
    counts["pictures that are complete"] = sum(image.get("complete", True) for image in images)
    counts["pictures that are not"] = len(images) - counts["pictures that are complete"]
    names = {number: word for word, number in CATEGORIES.items()}
    used = {CATEGORIES[word] for word in looked_for} | {a["category_id"] for a in annotations}
    categories = [{"id": number, "name": names[number]} for number in sorted(used)]
    return {**labels, "images": images, "annotations": annotations, "categories": categories}, counts


def show(coco: Coco) -> str:
    """What is in a label file, in lines."""
    names = {category["id"]: category["name"] for category in coco["categories"]}
    images = coco["images"]
    whole = sum(image.get("complete", True) for image in images)
    lines = [
        f"{len(images)} pictures, {whole} wholly labelled, {sum(bool(i.get('night')) for i in images)} by night",
        f"{len({image.get('camera') for image in images})} cameras,"
        f" {len({(image.get('camera'), image.get('day')) for image in images})} days of cameras",
    ]
    kinds = Counter(
        (names[a["category_id"]], "to ignore" if a.get("iscrowd") else a.get("status", "labelled"))
        for a in coco["annotations"]
    )
    lines += [f"  {name:15} {count:6} {status}" for (name, status), count in sorted(kinds.items())]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("draft", help="add what a detector sees as proposals for a person")
    step.add_argument("--labels", type=Path, required=True, help="train.json or val.json of `aggregator labels`")
    step.add_argument("--seen", type=Path, required=True, help="what a detector saw, of `look.py`")
    step.add_argument("--out", type=Path, required=True)
    step.add_argument("--score", type=float, default=0.3, help="propose from this score on [0.3]")
    step.add_argument("--same", type=float, default=0.6, help="overlap from which a box is there already [0.6]")
    step = steps.add_parser("complete", help="take over what a person corrected")
    step.add_argument("--labels", type=Path, required=True, help="as for draft")
    step.add_argument("--corrected", type=Path, required=True, help="the labelling tool's COCO export")
    step.add_argument("--out", type=Path, required=True)
    step = steps.add_parser("show", help="say what is in a label file")
    step.add_argument("file", type=Path)
    args = parser.parse_args(arguments)
    try:
        if args.step == "show":
            print(show(read(args.file)))
            return 0
        labels = read(args.labels)
        if args.step == "draft":
            made, added = draft(labels, json.loads(args.seen.read_text()), args.score, args.same)
            print(f"{args.out}: {added} boxes proposed; a person must correct them before they are trained with")
        else:
            made, counts = complete(labels, read(args.corrected))
            print(f"{args.out}:")
            print("\n".join(f"  {count} {what}" for what, count in sorted(counts.items())))
        write(args.out, made)
    except (Unusable, OSError, json.JSONDecodeError) as error:
        print(f"labels: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
