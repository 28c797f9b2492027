"""The workshop: labels that say what they know, manifests, and a small training run.

What needs PyTorch runs in the workshop's own Python where `deploy/workshop/setup` has made
one, and is skipped, with a word, where it has not.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest
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
        "categories": CATEGORIES,
    }


def seen(image: int, bbox: list[float], score: float, category: int = 1) -> dict:
    return {"image_id": image, "category_id": category, "bbox": bbox, "score": score}


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
        self.assertEqual(counts["boxes of less than a pixel, left out"], 1)
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
