"""The workshop: labels that say what they know, manifests, and a small training run.

What needs PyTorch runs in the workshop's own Python where `deploy/workshop/setup` has made
one, and is skipped, with a word, where it has not.
"""

import argparse
import contextlib
import copy
import io
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKSHOP = ROOT / "deploy" / "workshop"
PYTHON = ROOT / ".local" / "workshop" / "bin" / "python"
sys.path.insert(0, str(WORKSHOP))

import crops  # noqa: E402
import labels  # noqa: E402
import manifest  # noqa: E402
import words  # noqa: E402

CATEGORIES = [{"id": 1, "name": "person"}, {"id": 4, "name": "motorcycle"}]


def exported() -> labels.Coco:
    """Two pictures as `aggregator labels` writes them: a confirmed box and a disputed one, a night."""
    image = {"width": 640, "height": 480, "complete": False, "camera": "a/b/c"}
    box = {"category_id": 4, "area": 400, "score": 0.5}
    return {
        "info": {"side": "train"},
        "images": [
            {**image, "id": 7, "file_name": "aa.jpg", "night": False, "day": "2026-01-02"},
            {**image, "id": 9, "file_name": "bb.jpg", "night": True, "day": "2026-01-03"},
        ],
        "annotations": [
            {**box, "id": 1, "image_id": 7, "bbox": [10, 10, 20, 20], "iscrowd": 0, "status": "confirmed"},
            {**box, "id": 2, "image_id": 7, "bbox": [90, 10, 20, 20], "iscrowd": 1, "status": "disputed"},
        ],
        "categories": copy.deepcopy(CATEGORIES),
    }


def seen(image: int, bbox: list[float], score: float, category: int = 1) -> dict:
    return {"image_id": image, "category_id": category, "bbox": bbox, "score": score}


def corrected(boxes: list[dict]) -> labels.Coco:
    """A labelling tool's export of one picture, `aa.jpg`, with these motorcycles in it."""
    plain = {"image_id": 1, "category_id": 2, "bbox": [10, 10, 20, 20], "iscrowd": 0}
    return {
        "images": [{"id": 1, "file_name": "aa.jpg", "width": 640, "height": 480}],
        "annotations": [{"id": number, **plain, **box} for number, box in enumerate(boxes, 1)],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "motorcycle"}],
    }


class Labels(unittest.TestCase):
    def test_a_draft_adds_what_is_new_and_sure_enough_as_proposals(self) -> None:
        boxes = [
            seen(7, [11, 10, 20, 20], 0.9, 4),  # there already
            seen(7, [300, 10, 20, 20], 0.9),
            seen(7, [302, 10, 20, 20], 0.5),  # the same again
            seen(9, [5, 5, 10, 10], 0.2),  # unsure
            seen(9, [5, 5, 10, 10], 0.9, 77),  # nobody looks for it
        ]
        before = exported()
        draft, added = labels.draft(before, boxes, 0.3, 0.6)
        self.assertEqual(added, 1)
        self.assertEqual([a["status"] for a in draft["annotations"]], ["confirmed", "disputed", "proposed"])
        # A person must see the disputed box as a box, or could not judge it.
        self.assertEqual([a["iscrowd"] for a in draft["annotations"]], [0, 0, 0])
        self.assertEqual(before, exported(), "what went in stays as it was")

    def test_what_a_person_corrected_replaces_everything_in_those_pictures_alone(self) -> None:
        corrected = {
            # Labelling tools number anew and keep none of our words.
            "images": [
                {"id": 1, "file_name": "folder/bb.jpg", "width": 640, "height": 480},
                {"id": 2, "file_name": "x.jpg"},
            ],
            "annotations": [
                {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 30.004, 40]},
                {"id": 2, "image_id": 1, "category_id": 3, "bbox": [1, 2, 0.5, 40]},
            ],
            "categories": [{"id": 3, "name": "Motorbike"}],
        }
        made, counts = labels.complete(exported(), corrected)
        self.assertEqual([image["complete"] for image in made["images"]], [False, True])
        self.assertTrue(made["images"][1]["night"], "what we know of the picture stays")
        of_person = [a for a in made["annotations"] if a["status"] == "labelled"]
        self.assertEqual(
            [(a["image_id"], a["category_id"], a["bbox"]) for a in of_person], [(9, 4, [1.0, 2.0, 30.0, 40.0])]
        )
        self.assertEqual(sum(a["image_id"] == 7 for a in made["annotations"]), 2)
        self.assertEqual(counts["boxes of less than a pixel, or outside of their picture, left out"], 1)
        self.assertEqual(counts["pictures of the corrected file that are not among the labels"], 1)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "train.json"
            labels.write(file, made)
            self.assertEqual(labels.read(file), made, "there and back")
            self.assertIn("2 pictures, 1 wholly labelled, 1 by night", labels.show(labels.read(file)))

    def test_files_that_cannot_be_used_are_named_with_the_reason(self) -> None:
        scaled = {
            "images": [{"id": 1, "file_name": "aa.jpg", "width": 320}],
            "annotations": [],
            "categories": CATEGORIES,
        }
        unknown = {**scaled, "categories": [{"id": 1, "name": "cyclo"}]}
        unseen, _ = labels.draft(exported(), [], 0.3, 0.6)
        for corrected, reason in (
            (scaled, "was it scaled?"),
            (unknown, "category `cyclo` is none of person"),
            (unseen, "the corrected file is a draft"),
        ):
            with self.assertRaisesRegex(labels.Unusable, re.escape(reason)):
                labels.complete(exported(), corrected)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "broken.json"
            lost = {**exported(), "images": []}
            for text, reason in (
                ("{", "no COCO label file"),
                ("{}", "it has no 'images'"),
                (json.dumps(lost), "is of no image"),
            ):
                file.write_text(text)
                with self.assertRaisesRegex(labels.Unusable, reason):
                    labels.read(file)
            with self.assertRaisesRegex(labels.Unusable, "is the name right"):
                labels.read(Path(folder) / "none.json")

    def test_a_file_that_was_put_together_of_two_is_refused(self) -> None:
        for part, reason in (
            ("images", "number of images 7 is in it 2 times"),
            ("categories", "number of categories 1 is in it 2 times"),
        ):
            coco = exported()
            coco[part].append(dict(coco[part][0]))
            self.assertIn(reason, self.refused(coco))
        coco = exported()
        coco["images"].append({**coco["images"][0], "id": 8})
        self.assertIn("picture aa.jpg is in it 2 times", self.refused(coco))
        for bbox in ([1, 2, -3, 4], [float("nan"), 2, 3, 4], [1, 2, 3, float("inf")]):
            coco = exported()
            coco["annotations"][0]["bbox"] = bbox
            self.assertIn("annotation 1 of aa.jpg: bbox", self.refused(coco))

    def refused(self, coco: labels.Coco) -> str:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "labels.json"
            file.write_text(json.dumps(coco))
            with self.assertRaises(labels.Unusable) as refused:
                labels.read(file)
            return str(refused.exception)

    def test_what_a_person_ticked_is_to_be_ignored_however_the_tool_says_it(self) -> None:
        for said, is_ignored in (
            ({"iscrowd": 1}, True),
            # A rectangle of CVAT: `iscrowd` is 0 whatever was ticked.
            ({"iscrowd": 0, "attributes": {"ignore": True, "occluded": False, "rotation": 0.0}}, True),
            ({"iscrowd": 0, "attributes": {"ignore": "true"}}, True),
            ({"iscrowd": 0, "attributes": {"ignore": False}}, False),
            ({"attributes": {"ignore": "false"}}, False),
            ({"attributes": None}, False),
            ({}, False),
        ):
            self.assertEqual(labels.is_ignored(said), is_ignored, said)
        boxes = [{"attributes": {"ignore": True}}, {"bbox": [50, 10, 20, 20]}]
        made, counts = labels.complete(exported(), corrected(boxes))
        self.assertEqual(sorted(a["iscrowd"] for a in made["annotations"] if a["image_id"] == 7), [0, 1])
        self.assertEqual(counts["of these to be ignored"], 1)

    def test_boxes_are_taken_as_they_lie_in_the_picture(self) -> None:
        for said, expected in (
            ({"bbox": [600, 440, 100, 100]}, [600, 440, 40, 40]),
            ({"bbox": [-10, -10, 30, 30]}, [0, 0, 20, 20]),
            # CVAT: the rectangle before it was turned, and by how many degrees.
            ({"bbox": [100, 100, 60, 20], "attributes": {"rotation": 90.0}}, [120, 80, 20, 60]),
            ({"bbox": [100, 100, 60, 20], "attributes": {"rotation": 0.0}}, [100, 100, 60, 20]),
        ):
            made, _ = labels.complete(exported(), corrected([said]))
            self.assertEqual([a["bbox"] for a in made["annotations"] if a["image_id"] == 7], [expected])
        made, counts = labels.complete(exported(), corrected([{}, {}, {"bbox": [700, 10, 20, 20]}]))
        self.assertEqual(sum(a["image_id"] == 7 for a in made["annotations"]), 1)
        self.assertEqual(counts["boxes that were there twice, left out"], 1)
        self.assertEqual(counts["boxes of less than a pixel, or outside of their picture, left out"], 1)

    def test_a_picture_is_known_again_whatever_a_tool_put_before_its_name(self) -> None:
        digest = "0123456789abcdef" * 4
        ours = exported()
        ours["images"][0]["file_name"] = f"{digest}.jpg"
        for name in (
            f"{digest}.jpg",
            f"default/{digest}.jpg",
            f"images\\\\1a2b3c4d-{digest}.jpg",
            f"/data/local-files/?d=labels/pictures/{digest}.jpg",
        ):
            export = corrected([{}])
            export["images"][0]["file_name"] = name
            made, _ = labels.complete(ours, export)
            self.assertTrue(made["images"][0]["complete"], name)
        twice = corrected([{}])
        twice["images"] = [{"id": 1, "file_name": f"a/{digest}.jpg"}, {"id": 2, "file_name": f"b/{digest}.jpg"}]
        with self.assertRaisesRegex(labels.Unusable, "under two names"):
            labels.complete(ours, twice)

    def test_a_draft_says_all_that_cvat_asks_of_a_coco_file(self) -> None:
        # Its reader (datumaro) refuses the whole file where one of these is missing or of another kind.
        draft, _ = labels.draft(exported(), [seen(9, [300, 10, 20, 20], 0.9)], 0.3, 0.6)
        wanted = {
            "images": {"id": int, "file_name": str, "width": int, "height": int},
            "categories": {"id": int, "name": str},
            "annotations": dict.fromkeys(("id", "image_id", "category_id", "iscrowd"), int)
            | {"bbox": list, "segmentation": list},
        }
        for part, fields in wanted.items():
            for one in draft[part]:
                for field, kind in fields.items():
                    self.assertIsInstance(one.get(field), kind, f"{part}: {field}")
        self.assertTrue(all(annotation["segmentation"] == [] for annotation in draft["annotations"]), "boxes")
        made, _ = labels.complete(exported(), corrected([{}]))
        of_person = [annotation for annotation in made["annotations"] if annotation["status"] == "labelled"]
        self.assertEqual([annotation["segmentation"] for annotation in of_person], [[]], "for a second round")

    def test_label_studio_knows_no_size_of_a_picture_without_a_box(self) -> None:
        export = corrected([{}])
        export["images"].append({"id": 2, "file_name": "bb.jpg", "width": None, "height": None})
        made, _ = labels.complete(exported(), export)
        self.assertTrue(made["images"][1]["complete"])

    def test_a_second_round_is_of_the_new_pictures_alone(self) -> None:
        first, _ = labels.complete(exported(), corrected([{}]))
        draft, added = labels.draft(first, [seen(7, [300, 10, 20, 20], 0.9), seen(9, [300, 10, 20, 20], 0.9)], 0.3, 0.6)
        self.assertEqual([image["file_name"] for image in draft["images"]], ["bb.jpg"])
        self.assertEqual(([a["image_id"] for a in draft["annotations"]], added), ([9], 1))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            second = corrected([{}, {"bbox": [50, 10, 20, 20]}])
            second["images"][0]["file_name"] = "bb.jpg"
            for file, coco in (("labels", exported()), ("jan", corrected([{}])), ("feb", second)):
                (folder / f"{file}.json").write_text(json.dumps(coco))
            words = ["complete", "--labels", "labels", "--corrected", "jan", "--corrected", "feb", "--out", "train"]
            words = [str(folder / f"{word}.json") if word in "labels jan feb train".split() else word for word in words]
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                self.assertEqual(labels.main(words), 0)
            for line in ("3 boxes of a person", "2 pictures, 2 wholly labelled"):
                self.assertIn(line, said.getvalue())
            made = labels.read(folder / "train.json")
        with self.assertRaisesRegex(labels.Unusable, "every picture of these labels is complete"):
            labels.draft(made, [], 0.3, 0.6)

    def test_an_export_of_the_wrong_task_is_refused(self) -> None:
        other = corrected([{}])
        other["images"][0]["file_name"] = "frame_000000.png"
        with self.assertRaisesRegex(labels.Unusable, "none of the 1 pictures .*frame_000000.png for one.*train or val"):
            labels.complete(exported(), other)

    def test_pictures_that_have_lost_their_boxes_are_no_empty_streets(self) -> None:
        with self.assertRaisesRegex(labels.Unusable, "has no box, and officers confirmed road users in 1 of its"):
            labels.complete(exported(), corrected([]))
        # One that was emptied among others is named; one in which nobody was confirmed may be empty.
        ours = exported()
        ours["images"].append({**ours["images"][0], "id": 11, "file_name": "cc.jpg"})
        ours["annotations"].append({**ours["annotations"][0], "id": 3, "image_id": 11})
        export = corrected([{}])
        export["images"] += [{"id": 2, "file_name": "bb.jpg"}, {"id": 3, "file_name": "cc.jpg"}]
        made, counts = labels.complete(ours, export)
        self.assertTrue(all(image["complete"] for image in made["images"]))
        self.assertEqual(
            counts["pictures without a box now, where an officer had confirmed somebody: look at them again"], 1
        )
        self.assertEqual(counts["pictures without a box, which teach what no road user is"], 2)

    def test_what_was_looked_for_and_not_found_is_told(self) -> None:
        self.assertIn("person               0 looked for, and not one found", labels.show(exported()))

    def test_a_task_of_one_side_is_packed_whole_and_read_back(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "pictures").mkdir()
            (folder / "labels.json").write_text(json.dumps(exported()))
            (folder / "seen.json").write_text(json.dumps([seen(7, [300, 10, 20, 20], 0.9)]))
            words = ["draft", "--labels", "labels.json", "--seen", "seen.json", "--out", "draft.json"]
            words += ["--task", "task", "--pictures", "pictures"]
            words = [word if word.startswith("--") or word == "draft" else str(folder / word) for word in words]
            # Of the other side, and not to be in this task.
            for picture in ("aa.jpg", "zz.jpg"):
                (folder / "pictures" / picture).write_bytes(picture.encode())
            self.assertEqual(labels.main(words), 1, "bb.jpg is not there")
            (folder / "pictures" / "bb.jpg").write_bytes(b"bb")
            self.assertEqual(labels.main(words), 0)
            task = folder / "task"
            self.assertEqual(zipfile.ZipFile(task / "pictures.zip").namelist(), ["aa.jpg", "bb.jpg"])
            self.assertEqual(task.stat().st_mode & 0o7, 0, "pictures of people are not for everybody")
            known = json.loads((task / "labels.json").read_text())
            self.assertEqual([one["name"] for one in known], ["person", "motorcycle"])
            self.assertEqual(known[0]["attributes"][0]["name"], "ignore")
            self.assertEqual(labels.read(task / "draft.json"), labels.read(folder / "draft.json"))
            # What CVAT gives back is an archive.
            back = folder / "task_1.zip"
            with zipfile.ZipFile(back, "w") as pack:
                pack.writestr("annotations/instances_default.json", json.dumps(corrected([{}])))
            made, _ = labels.complete(exported(), labels.read(back))
            self.assertTrue(made["images"][0]["complete"])
            with zipfile.ZipFile(back, "w") as pack:
                pack.writestr("annotations.xml", "<annotations/>")
            with self.assertRaisesRegex(labels.Unusable, "in it is none; export the task as COCO 1.0"):
                labels.read(back)
            for other, reason in (([seen(1, [1, 2, 3, 4], 0.9)], "of other pictures"), ([1], "not what look.py")):
                (folder / "seen.json").write_text(json.dumps(other))
                with self.assertRaisesRegex(labels.Unusable, reason):
                    labels._seen(folder / "seen.json", exported())

    def test_every_step_explains_itself(self) -> None:
        for step in ("labels.py", "setup"):
            done = subprocess.run([str(WORKSHOP / step), "--help"], capture_output=True, text=True, check=True)
            self.assertGreater(len(done.stdout.splitlines()), 5, step)


class Words(unittest.TestCase):
    def test_classes_and_their_numbers_are_those_of_the_program(self) -> None:
        source = (ROOT / "protocol/src/detections.rs").read_text()
        word = dict(re.findall(r'Self::(\w+) => "(\w+)"', source))
        number = dict(re.findall(r"Self::(\w+) => (\d+),", source))
        theirs = {word[name]: int(number[name]) for name in word if name != "Other"}
        self.assertEqual(words.CATEGORIES, theirs)

    def test_words_of_labelling_tools_mean_here_what_they_mean_where_it_is_measured(self) -> None:
        classes = (ROOT / "protocol/src/detections.rs").read_text()
        word = dict(re.findall(r'Self::(\w+) => "(\w+)"', classes))
        measured = (ROOT / "edge-agent/inference/src/evaluate/labels.rs").read_text()
        theirs = {name: word[of] for name, of in re.findall(r'\("(\w+)", ObjectClass::(\w+)\)', measured)}
        self.assertGreater(len(theirs), 20)
        self.assertEqual(words._OTHER_WORDS, theirs)


class Manifests(unittest.TestCase):
    def test_a_changed_manifest_keeps_what_was_not_changed(self) -> None:
        found = manifest.Manifest.read(ROOT / "models/catalog/yolox-nano")
        top = {"id": "mine", "file": "mine.onnx", "size_bytes": 5, "origin": 'a "word"\nand more', "obtain": "ask"}
        text = manifest.changed(
            found, top, {"input": {"width": 640}, "classes": {"count": 81, "person": [0], "helmet": [80]}}
        )
        table = tomllib.loads(text)
        expected = {**found.table, **top}
        expected["input"] = {**found.table["input"], "width": 640}
        expected["classes"] = {"count": 81, "person": [0], "helmet": [80]}
        self.assertEqual(table, expected)

    def test_a_network_that_is_not_the_manifests_is_refused(self) -> None:
        found = manifest.Manifest.read(ROOT / "models/catalog/yolox-nano")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "yolox_nano.onnx"
            with self.assertRaisesRegex(manifest.Unusable, "is not there"):
                found.weights(file)
            file.write_bytes(b"other")
            with self.assertRaisesRegex(manifest.Unusable, "another SHA-256"):
                found.weights(file)

    def test_a_name_that_no_program_takes_is_refused_before_the_work(self) -> None:
        for name in ("hanoi", "hanoi-2_night", "7"):
            self.assertEqual(manifest.model_id(name), name)
        for name in ("Hanoi", "ha noi", "../hanoi", "-x", "", "down", "a" * 65, "hanoi\n"):
            with self.assertRaises(argparse.ArgumentTypeError, msg=name):
                manifest.model_id(name)

    def test_a_manifest_that_is_written_anew_is_read_as_it_was_meant(self) -> None:
        head = {"kind": "classifier", "several": True}
        table = {"id": "x", "size_bytes": 5, "head": head, "origin": 'a "word"', "classes": {"count": 2, "helmet": [0]}}
        self.assertEqual(tomllib.loads(manifest.text_of(table)), table)


def cut(folder: Path, crop: str, entries: list[tuple[str, str, str | None]]) -> crops.Folder:
    """A folder as `edge-agent models crops` writes it: answer, picture and day of each."""
    index = {"crop": crop, "margin": 0.05, "on": [], "crops": []}
    for number, (answer, picture, day) in enumerate(entries):
        file = folder / answer / "day" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        entry = {"file": str(file.relative_to(folder)), "class": answer, "picture": picture}
        index["crops"].append({**entry, **({"camera": "a/b/c", "day": day} if day else {})})
    (folder / "crops.json").write_text(json.dumps(index))
    return crops.Folder.read(folder)


class Crops(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def cut(self, name: str, entries: list[tuple[str, str, str | None]], crop: str = "riders") -> crops.Folder:
        return cut(self.folder / name, crop, entries)

    def test_rare_answers_weigh_as_much_as_frequent_ones(self) -> None:
        entries = [("no_helmet", "a", None)] + [("cannot_tell", "b", None)] * 2 + [("helmet", "c", None)] * 6
        folder = self.cut("train", entries)
        # The program's words have the first numbers, whatever came first.
        self.assertEqual(crops.answers(folder), ["helmet", "no_helmet", "cannot_tell"])
        weights = crops.weights(folder)
        together = [weight * folder.counts[answer] for weight, answer in zip(weights, crops.answers(folder))]
        self.assertEqual([round(weight, 6) for weight in together], [3.0, 3.0, 3.0])

    def test_a_drivers_mirror_image_is_another_seat(self) -> None:
        for crop, may_be in (("riders", True), ("upper", True), ("driver", False), ("windscreen", False)):
            self.assertEqual(self.cut(crop, [("phone", "a", None)], crop).may_be_mirrored, may_be, crop)

    def test_two_sides_that_do_not_fit_are_refused_with_the_reason(self) -> None:
        both = [("helmet", "a.jpg", "2026-01-02"), ("no_helmet", "b.jpg", "2026-01-02")]
        learnt = self.cut("train", both)
        other = [(answer, f"val-{picture}", "2026-01-03") for answer, picture, _ in both]
        self.assertEqual(crops.check(learnt, self.cut("fits", other)), 0)
        undated = [(answer, picture, None) for answer, picture, _ in other]
        self.assertEqual(crops.check(learnt, self.cut("undated", undated)), 2)
        for name, entries, crop, reason in (
            ("same", [("helmet", "in/a.jpg", None), other[1]], "riders", "1 pictures are in"),
            ("day", [("helmet", "c.jpg", "2026-01-02"), other[1]], "riders", "2026-01-02 of camera a/b/c is in"),
            ("cut", other, "upper", "was cut with `crop` riders"),
            ("new", [*other, ("cannot_tell", "c.jpg", None)], "riders", "has cannot_tell, which"),
            ("few", other[:1], "riders", "has no no_helmet"),
        ):
            with self.assertRaisesRegex(manifest.Unusable, re.escape(reason)):
                crops.check(learnt, self.cut(name, entries, crop))
        with self.assertRaisesRegex(manifest.Unusable, "a classifier needs two answers"):
            crops.check(self.cut("one", both[:1]), learnt)

    def written_anew(self, folder: crops.Folder, hashes: str = "", **keys: object) -> crops.Folder:
        """A folder with other keys in its index, and one letter for the hash of each picture."""
        index = {**folder.index, **keys}
        for entry, letter in zip(index["crops"], hashes, strict=False):
            entry["picture_sha256"] = letter * 64
        (folder.path / "crops.json").write_text(json.dumps(index))
        return crops.Folder.read(folder.path)

    def test_crops_of_another_least_height_are_refused(self) -> None:
        # They are as far away as no crop was that was learnt from, or the other way round.
        learnt = self.cut("train", [("helmet", "a", None), ("no_helmet", "b", None)])
        watched = self.cut("val", [("helmet", "c", None), ("no_helmet", "d", None)])
        learnt = self.written_anew(learnt, min_height_px=20.0)
        with self.assertRaisesRegex(manifest.Unusable, "`min_height_px` 20.0 and .* with 48.0"):
            crops.check(learnt, self.written_anew(watched, min_height_px=48.0))
        self.assertEqual(crops.check(learnt, self.written_anew(watched, min_height_px=20.0)), 4)

    def test_pictures_are_told_apart_by_what_they_show_and_not_by_their_names(self) -> None:
        tasks = [("helmet", "frame_000000.png", None), ("no_helmet", "frame_000001.png", None)]
        learnt, watched = self.cut("train", tasks), self.cut("val", tasks)
        with self.assertRaisesRegex(manifest.Unusable, "2 pictures are in .*cut both anew"):
            crops.check(learnt, watched)
        learnt = self.written_anew(learnt, "ab")
        self.assertEqual(crops.check(learnt, self.written_anew(watched, "cd")), 4)
        with self.assertRaisesRegex(manifest.Unusable, "1 pictures are in .*keep what is watched apart$"):
            crops.check(learnt, self.written_anew(watched, "cb"))
        # Where one side does not say it, names are all that there is.
        with self.assertRaisesRegex(manifest.Unusable, "2 pictures are in .*cut both anew"):
            crops.check(learnt, self.cut("old", tasks))

    def test_folders_that_cannot_be_used_are_named_with_the_reason(self) -> None:
        with self.assertRaisesRegex(manifest.Unusable, "write it with edge-agent models crops"):
            crops.Folder.read(self.folder)
        folder = self.cut("train", [("helmet", "a", None)])
        folder.crops[0].file.unlink()
        with self.assertRaisesRegex(manifest.Unusable, "0.png is not there, though"):
            crops.Folder.read(folder.path)
        for text, reason in (("{", "no index"), ('{"crops": []}', "no index"), ("[]", "no index")):
            (folder.path / "crops.json").write_text(text)
            with self.assertRaisesRegex(manifest.Unusable, reason):
                crops.Folder.read(folder.path)
        (folder.path / "crops.json").write_text('{"crop": "riders", "margin": 0, "on": [], "crops": []}')
        with self.assertRaisesRegex(manifest.Unusable, "has no crop in it"):
            crops.Folder.read(folder.path)


@unittest.skipUnless(PYTHON.exists(), "deploy/workshop/setup has not been run: no PyTorch to train with")
class Training(unittest.TestCase):
    def run_there(self, name: str) -> None:
        script = Path(__file__).with_name(name)
        done = subprocess.run([str(PYTHON), "-B", str(script)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_small_run_goes_on_where_it_stopped_and_becomes_a_model(self) -> None:
        self.run_there("workshop_training.py")

    def test_crops_become_a_classifier(self) -> None:
        self.run_there("workshop_classifier.py")

    def test_every_step_that_needs_pytorch_explains_itself(self) -> None:
        for step in ("look.py", "train.py", "train_classifier.py", "export.py", "quantise.py"):
            words = [str(PYTHON), "-B", str(WORKSHOP / step), "--help"]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            self.assertGreater(len(done.stdout.splitlines()), 10, step)


if __name__ == "__main__":
    unittest.main()
