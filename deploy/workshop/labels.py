#!/usr/bin/env python3
"""From what `aggregator labels` writes to labels that a detector may be trained with.

  labels.py draft    --labels labels/train.json --seen seen.json --out draft.json
  labels.py complete --labels labels/train.json --corrected corrected.json --out train.json
  labels.py show     train.json

A detector's own boxes cannot teach it what it misses, and a picture of which only
the accused is labelled would teach it that everybody else is empty street. So:

draft     adds what a detector sees (`look.py`) as proposals for a person to correct in a
          labelling tool that reads and writes COCO (CVAT); with --task it makes a folder of
          all that a CVAT task is begun with: this side's pictures, labels, boxes
complete  takes what the person made of it: every picture in the corrected file counts
          as wholly labelled (`complete`: true), and its boxes are the person's
show      says what is in a label file

Nothing is installed for this; it is Python alone. The labels that went in stay as they were.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from words import CATEGORIES, class_of

Coco = dict[str, Any]
Box = list[float]


class Unusable(Exception):
    """A file that cannot be used; the text says which, why, and what to do."""


def read(path: Path) -> Coco:
    """A label file in COCO's form, as far as we rely on it; or the archive that CVAT makes of one."""
    try:
        coco = json.loads(_text(path))
        images = {image["id"]: image["file_name"] for image in coco["images"]}
        categories = {category["id"] for category in coco["categories"]}
        for key in ("images", "categories"):
            _once(f"number of {key}", [one["id"] for one in coco[key]])
        for name in images.values():
            if not isinstance(name, str):
                raise TypeError("a file_name is no text")
        # Each half would say of the other's road users that nobody is there.
        _once("picture", list(images.values()))
        for annotation in coco["annotations"]:
            if annotation["image_id"] not in images:
                raise ValueError(f"annotation {annotation.get('id')} is of no image in the file")
            if annotation["category_id"] not in categories:
                raise ValueError(f"annotation {annotation.get('id')} is of no category in the file")
            sides = [float(side) for side in annotation["bbox"]]
            if len(sides) != 4:
                raise ValueError(f"annotation {annotation.get('id')}: bbox has not four numbers")
            if not all(map(math.isfinite, sides)) or sides[2] < 0 or sides[3] < 0:
                raise ValueError(
                    f"annotation {annotation.get('id')} of {images[annotation['image_id']]}:"
                    f" bbox {annotation['bbox']} is not [left, top, width, height] in pixels"
                )
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}; is the name right?") from error
    except (KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else error
        raise Unusable(f"{path} is no COCO label file: {what}; export the task as COCO 1.0") from error
    return coco


def _text(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        return path.read_text(encoding="utf-8")
    with zipfile.ZipFile(path) as pack:
        inside = [name for name in pack.namelist() if re.fullmatch(r"annotations/instances_[^/]*\.json", name)]
        if len(inside) != 1:
            found = ", ".join(inside) or "none"
            raise ValueError(f"of an archive one annotations/instances_….json is read, and in it is {found}")
        return pack.read(inside[0]).decode("utf-8")


def _once(what: str, values: list[Any]) -> None:
    value, count = Counter(values).most_common(1)[0] if values else (None, 0)
    if count > 1:
        raise ValueError(f"{what} {value} is in it {count} times, as where two files were put together")


def is_ignored(annotation: dict[str, Any]) -> bool:
    """Whether what is there need not be found: COCO's `iscrowd`, or the box `ignore` that a person ticked.

    A CVAT rectangle comes out with `iscrowd` 0, whatever was said of it: that is kept for masks, and a tick at
    `is_crowd` is lost on the way. A tick of another name travels in `attributes`.
    """
    attributes = annotation.get("attributes")
    ticked = attributes.get("ignore") if isinstance(attributes, dict) else False
    return bool(annotation.get("iscrowd")) or ticked in (True, "true", "True", "1")


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


def _seen(path: Path, labels: Coco) -> list[dict[str, Any]]:
    """What `look.py` wrote, if it is of these labels."""
    try:
        seen = json.loads(path.read_text(encoding="utf-8"))
        of = {box["image_id"] for box in seen if (box["category_id"], box["bbox"], box["score"])}
    except (KeyError, TypeError, ValueError) as error:
        raise Unusable(f"{path} is not what look.py writes: {error!r}; run it for these labels") from error
    if of and not of & {image["id"] for image in labels["images"]}:
        raise Unusable(f"{path} is of other pictures; run look.py for these labels, train or val")
    return seen


def draft(labels: Coco, seen: list[dict[str, Any]], score: float, same: float) -> tuple[Coco, int]:
    """The pictures that nobody has completed, with what a detector saw besides, and how many boxes that is."""
    images = [image for image in labels["images"] if not image.get("complete", True)]
    if not images:
        raise Unusable("every picture of these labels is complete, so there is nothing to correct")
    incomplete = {image["id"] for image in images}
    annotations = [dict(annotation) for annotation in labels["annotations"] if annotation["image_id"] in incomplete]
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
        # CVAT refuses a file whose boxes do not say that they are no outlines.
        annotation["segmentation"] = []
    return {**labels, "images": images, "annotations": annotations}, added


def _name_of(file_name: str) -> str:
    """What a picture is known by, whatever folder or number a labelling tool put before it.

    Pictures of the centre are named by their hash, which is in the name still where
    Label Studio made `1a2b3c4d-HASH.jpg` of it.
    """
    name = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    found = re.search(r"[0-9a-f]{64}", name)
    return found.group() if found else name


def _upright(annotation: dict[str, Any], image: dict[str, Any]) -> Box:
    """A person's box as it lies in the picture: cut at the edge, and upright around one that was turned.

    CVAT gives a turned rectangle as it was before, and by how many degrees beside it.
    """
    left, top, width, height = (float(side) for side in annotation["bbox"])
    angle = math.radians(_turned(annotation))
    if angle:
        middle = (left + width / 2, top + height / 2)
        sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
        width, height = width * cosine + height * sine, width * sine + height * cosine
        left, top = middle[0] - width / 2, middle[1] - height / 2
    right, bottom = min(left + width, image["width"]), min(top + height, image["height"])
    left, top = max(left, 0.0), max(top, 0.0)
    return [round(side, 2) for side in (left, top, right - left, bottom - top)]


def _turned(annotation: dict[str, Any]) -> float:
    attributes = annotation.get("attributes")
    angle = attributes.get("rotation", 0.0) if isinstance(attributes, dict) else 0.0
    return float(angle) if isinstance(angle, (int, float)) and math.isfinite(angle) else 0.0


def complete(labels: Coco, corrected: Coco) -> tuple[Coco, Counter[str]]:
    """The labels with a person's boxes in the pictures of `corrected`; what became of them."""
    # No labelling tool gives our words back, so a file that has them is a draft.
    if any(annotation.get("status") in ("proposed", "disputed") for annotation in corrected["annotations"]):
        raise Unusable(
            "the corrected file is a draft: it still says what a detector proposed or somebody disputed;"
            " give what the labelling tool exported when a person had gone through it"
        )
    by_name = {_name_of(image["file_name"]): image for image in labels["images"]}
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
        ours = by_name.get(_name_of(image["file_name"]))
        if ours is None:
            counts["pictures of the corrected file that are not among the labels"] += 1
            continue
        for side in ("width", "height"):
            # Label Studio knows no size of a picture without a box.
            if (image.get(side) or ours[side]) != ours[side]:
                raise Unusable(f"{ours['file_name']} has another {side} in the corrected file; was it scaled?")
        done[image["id"]] = ours
    completed = {image["id"] for image in done.values()}
    if len(completed) < len(done):
        raise Unusable("a picture is in the corrected file under two names; export one task at a time")
    if corrected["images"] and not done:
        raise Unusable(
            f"none of the {len(corrected['images'])} pictures of the corrected file is among the labels"
            f" ({corrected['images'][0]['file_name']} for one); is it the export of this side, train or val?"
        )
    annotations = [a for a in labels["annotations"] if a["image_id"] not in completed]
    drawn: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in corrected["annotations"]:
        ours = done.get(one["image_id"])
        if ours is None:
            continue
        box = _upright(one, ours)
        if box[2] < 1 or box[3] < 1:
            counts["boxes of less than a pixel, or outside of their picture, left out"] += 1
            continue
        counts["boxes that were turned, taken upright"] += bool(_turned(one))
        new = {
            "image_id": ours["id"],
            "category_id": category[one["category_id"]],
            "bbox": box,
            "segmentation": [],
            "area": round(box[2] * box[3], 2),
            "iscrowd": int(is_ignored(one)),
            "status": "labelled",
        }
        if drawn.setdefault((ours["id"], new["category_id"], *box), new) is not new:
            counts["boxes that were there twice, left out"] += 1
            continue
        counts["boxes of a person"] += 1
        counts["of these to be ignored"] += new["iscrowd"]
    _refuse_lost_boxes(labels, completed, drawn, counts)
    annotations += drawn.values()
    annotations.sort(key=lambda a: (a["image_id"], a["category_id"], a["bbox"]))
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    images = [{**image, "complete": True} if image["id"] in completed else dict(image) for image in labels["images"]]
    names = {number: word for word, number in CATEGORIES.items()}
    used = {CATEGORIES[word] for word in looked_for} | {a["category_id"] for a in annotations}
    categories = [{"id": number, "name": names[number]} for number in sorted(used)]
    return {**labels, "images": images, "annotations": annotations, "categories": categories}, +counts


def _refuse_lost_boxes(
    labels: Coco, completed: set[int], drawn: dict[tuple[Any, ...], dict[str, Any]], counts: Counter[str]
) -> None:
    """A picture without a box says that nobody is there. Where an officer saw somebody, that is to be looked at."""
    confirmed = {
        annotation["image_id"]
        for annotation in labels["annotations"]
        if annotation["image_id"] in completed and not annotation.get("iscrowd")
    }
    with_box = {annotation["image_id"] for annotation in drawn.values()}
    lost = confirmed - with_box
    if lost and not with_box:
        raise Unusable(
            f"the corrected file has no box, and officers confirmed road users in {len(lost)} of its pictures;"
            " import the draft into the task, correct it, and export that"
        )
    if lost:
        counts["pictures without a box now, where an officer had confirmed somebody: look at them again"] += len(lost)
    counts["pictures without a box, which teach what no road user is"] += len(completed - with_box)


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
        (names[a["category_id"]], "to ignore" if is_ignored(a) else a.get("status", "labelled"))
        for a in coco["annotations"]
    )
    lines += [f"  {name:15} {count:6} {status}" for (name, status), count in sorted(kinds.items())]
    bare = [name for name in names.values() if not any(name == kind for kind, _ in kinds)]
    lines += [f"  {name:15}      0 looked for, and not one found" for name in sorted(bare)]
    return "\n".join(lines)


def task(draft: Coco, pictures: Path, out: Path) -> int:
    """All that a CVAT task of this side is begun with, in one folder; how many pictures that is.

    A task of more pictures than the draft has would export the others as if nobody were on them.
    """
    files = [pictures / image["file_name"] for image in draft["images"]]
    gone = [file for file in files if not file.is_file()]
    if gone:
        raise Unusable(f"{len(gone)} pictures are not there, {gone[0]} for one; name their folder with --pictures")
    out.mkdir(parents=True, exist_ok=True)
    # Pictures of people: for those alone who may see the labels' own folder.
    out.chmod(0o750)
    part = out / "pictures.zip.part"
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as pack:
        for file in sorted(files):
            pack.write(file, file.name)
    os.replace(part, out / "pictures.zip")
    tick = {"name": "ignore", "input_type": "checkbox", "mutable": False, "default_value": "false", "values": ["false"]}
    known = [
        {"name": category["name"], "type": "rectangle", "attributes": [tick]}
        for category in sorted(draft["categories"], key=lambda category: category["id"])
    ]
    (out / "labels.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    write(out / "draft.json", draft)
    return len(files)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("draft", help="add what a detector sees as proposals for a person")
    step.add_argument("--labels", type=Path, required=True, help="train.json or val.json of `aggregator labels`")
    step.add_argument("--seen", type=Path, required=True, help="what a detector saw, of `look.py`")
    step.add_argument("--out", type=Path, required=True)
    step.add_argument("--task", type=Path, metavar="DIR", help="also make what a CVAT task is begun with (--pictures)")
    step.add_argument("--pictures", type=Path, metavar="DIR", help="folder of the pictures, for --task")
    step.add_argument("--score", type=float, default=0.3, help="propose from this score on [0.3]")
    step.add_argument("--same", type=float, default=0.6, help="overlap from which a box is there already [0.6]")
    step = steps.add_parser("complete", help="take over what a person corrected")
    step.add_argument("--labels", type=Path, required=True, help="as for draft")
    step.add_argument(
        "--corrected",
        type=Path,
        required=True,
        action="append",
        help="COCO export of the tool, or CVAT's zip of it; again for each further task",
    )
    step.add_argument("--out", type=Path, required=True)
    step = steps.add_parser("show", help="say what is in a label file")
    step.add_argument("file", type=Path)
    args = parser.parse_args(arguments)
    if args.step == "draft" and args.task and not args.pictures:
        parser.error("--task packs the pictures: name their folder with --pictures")
    try:
        if args.step == "show":
            print(show(read(args.file)))
            return 0
        labels = read(args.labels)
        if args.step == "draft":
            made, added = draft(labels, _seen(args.seen, labels), args.score, args.same)
            said = f"{args.out}: {added} boxes proposed; a person must correct them before they are trained with"
            if args.task:
                count = task(made, args.pictures, args.task)
                said += f"\n{args.task}: {count} pictures, labels and boxes for one CVAT task; delete it afterwards"
        else:
            made, counts = labels, Counter()
            for corrected in args.corrected:
                made, found = complete(made, read(corrected))
                counts += found
            lines = [f"{args.out}:", *(f"  {count} {what}" for what, count in sorted(counts.items())), show(made)]
            said = "\n".join(lines)
        write(args.out, made)
        print(said)
    except (Unusable, OSError, json.JSONDecodeError) as error:
        print(f"labels: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
