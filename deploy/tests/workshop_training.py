"""Run by test_workshop.py in the workshop's Python: a run of minutes, on painted pictures."""

import contextlib
import dataclasses
import io
import json
import random
import shutil
import sys
import tempfile
import tomllib
import unittest
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "workshop"))

import cv2  # noqa: E402
import export  # noqa: E402
import network  # noqa: E402
import numpy as np  # noqa: E402
import pictures  # noqa: E402
import quantise  # noqa: E402
import torch  # noqa: E402
import train  # noqa: E402
from manifest import Manifest, changed, sha256  # noqa: E402

SIDE = 96


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        torch.manual_seed(1)
        torch.set_num_threads(1)
        cls.base = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        # A network of no meaning with the layout of the real one.
        file = cls.base / "base.onnx"
        network.to_onnx(network.build("nano", 80).eval(), file, SIDE, SIDE, False)
        catalogued = Manifest.read(ROOT / "models/catalog/yolox-nano")
        top = {"id": "base", "file": file.name, "size_bytes": file.stat().st_size, "sha256": sha256(file)}
        text = changed(catalogued, top, {"input": {"width": SIDE, "height": SIDE}})
        (cls.base / "model.toml").write_text(text)

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copytree(self.base, self.folder / "base")
        self.paint("labels.json", "pictures", 12, 3)
        self.paint("watch.json", "watch", 3, 4)
        self.watch = ("--watch", str(self.folder / "watch.json"), "--watch-pictures", str(self.folder / "watch"))

    def paint(self, labels: str, pictures: str, count: int, seed: int) -> None:
        chance = random.Random(seed)
        images, annotations = [], []
        (self.folder / pictures).mkdir()
        for number in range(1, count + 1):
            picture = np.full((SIDE, SIDE, 3), 120, np.uint8)
            x, y = chance.randrange(60), chance.randrange(60)
            picture[y : y + 30, x : x + 30] = (20, 20, 220)
            cv2.imwrite(str(self.folder / pictures / f"{number}.png"), picture)
            images.append(
                {"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE, "complete": number != 2}
            )
            annotations.append({"id": number, "image_id": number, "category_id": 110, "bbox": [x, y, 30, 30]})
        coco = {"images": images, "annotations": annotations, "categories": [{"id": 110, "name": "helmet"}]}
        (self.folder / labels).write_text(json.dumps(coco))

    def train(self, out: str, *more: str) -> int:
        words = ["--model", "base", "--labels", "labels.json", "--pictures", "pictures", "--out", out]
        paths = [str(self.folder / word) if not word.startswith("--") else word for word in words]
        return train.main([*paths, "--batch", "4", *more])

    def test_a_run_that_was_cut_short_goes_on_as_if_it_had_not_been(self) -> None:
        self.assertEqual(self.train("whole", "--epochs", "3", *self.watch), 0)
        # Killed after the second epoch: what is on the disk is of the first.
        real, kept = train.Run._keep, []

        def keep_then_die(run: train.Run, watched: float | None) -> None:
            if run.epoch == 2:
                raise KeyboardInterrupt
            kept.append(run.epoch)
            real(run, watched)

        train.Run._keep = keep_then_die
        try:
            self.assertEqual(self.train("broken", "--epochs", "3", *self.watch), 130, "as a shell says of Ctrl-C")
        finally:
            train.Run._keep = real
        self.assertEqual(self.train("broken", "--epochs", "3", *self.watch), 0)
        for state in ("last.pt", "best.pt"):
            one, other = (torch.load(self.folder / run / state) for run in ("whole", "broken"))
            self.assertEqual(one["best"], other["best"], state)
            one, other = one["average"], other["average"]
            self.assertTrue(all(torch.equal(one[name], other[name]) for name in one), state)
        self.assertEqual(self.train("broken", "--epochs", "4"), 1, "other words are another run")

        losses = [json.loads(line)["loss"] for line in (self.folder / "whole/log.jsonl").read_text().splitlines()]
        self.assertLess(losses[-1], losses[0])
        model = self.folder / "mine"
        made = export.main(
            [
                "--run",
                str(self.folder / "whole"),
                "--model",
                str(self.folder / "base"),
                "--id",
                "mine",
                "--out",
                str(model),
            ]
        )
        self.assertEqual(made, 0)
        table = tomllib.loads((model / "model.toml").read_text())
        self.assertEqual(table["classes"], {"count": 81, "helmet": [80]})
        self.assertEqual(table["sha256"], sha256(model / "mine.onnx"))
        small = quantise.main(
            [
                "--model",
                str(model),
                "--pictures",
                str(self.folder / "pictures"),
                "--labels",
                str(self.folder / "labels.json"),
                "--id",
                "int8",
                "--out",
                str(self.folder / "int8"),
            ]
        )
        self.assertEqual(small, 0)
        self.assertLess((self.folder / "int8/int8.onnx").stat().st_size, (model / "mine.onnx").stat().st_size / 2)

    def export(self, run: str, *more: str) -> tuple[int, str]:
        out = self.folder / f"{run}-model"
        words = ["--run", str(self.folder / run), "--model", str(self.folder / "base"), "--id", "mine"]
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            code = export.main([*words, "--out", str(out), *more])
        return code, said.getvalue() or tomllib.loads((out / "model.toml").read_text())["origin"]

    def test_the_epoch_that_is_best_on_what_is_watched_is_kept_beside_the_last(self) -> None:
        losses = iter([3.0, 1.0, 2.0])
        real = train.Run._watch
        train.Run._watch = lambda run: {"watched": next(losses)}
        try:
            self.assertEqual(self.train("run", "--epochs", "3", *self.watch), 0)
        finally:
            train.Run._watch = real
        best, last = (torch.load(self.folder / "run" / state) for state in ("best.pt", "last.pt"))
        self.assertEqual((best["epoch"], last["epoch"], last["best"]["epoch"]), (2, 3, 2))
        for words, epochs in ((["--best"], "2 epochs"), ([], "3 epochs")):
            code, said = self.export("run", *words)
            self.assertEqual(code, 0, said)
            self.assertIn(epochs, said)
        # As a run without --watch leaves it.
        (self.folder / "run" / "best.pt").unlink()
        code, said = self.export("run", "--best")
        self.assertEqual(code, 1)
        self.assertIn("it was trained without --watch; leave --best out", said)

    def refused(self, *more: str) -> str:
        """What a run that must not begin says."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(self.train("run", "--epochs", "1", *more), 1)
        self.assertFalse((self.folder / "run").exists(), "nothing was begun")
        return said.getvalue()

    def changed(self, file: str, change: Callable[[dict], None]) -> None:
        coco = json.loads((self.folder / file).read_text())
        change(coco)
        (self.folder / file).write_text(json.dumps(coco))

    def test_what_nobody_completed_cannot_be_watched(self) -> None:
        self.changed("watch.json", lambda coco: [image.update(complete=False) for image in coco["images"]])
        self.assertIn(
            "watch.json has no picture that is wholly labelled, so nothing can be watched", self.refused(*self.watch)
        )

    def test_what_is_trained_with_is_not_watched(self) -> None:
        # The same bytes under another name and in another folder.
        shutil.copy(self.folder / "pictures" / "5.png", self.folder / "watch" / "1.png")
        self.assertIn("1 pictures are trained with and watched, 1.png among them", self.refused(*self.watch))
        self.paint_day("labels.json", "2026-01-02")
        self.paint_day("watch.json", "2026-01-02")
        shutil.copy(self.folder / "watch" / "2.png", self.folder / "watch" / "1.png")
        self.assertIn("2026-01-02 of camera a/b/c is trained with and watched", self.refused(*self.watch))
        self.paint_day("watch.json", "2026-01-03")
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(self.train("run", "--epochs", "1", *self.watch), 0, said.getvalue())
        self.assertEqual(said.getvalue(), "", "days that are known and apart are nothing to speak of")

    def paint_day(self, file: str, day: str) -> None:
        self.changed(file, lambda coco: [image.update(camera="a/b/c", day=day) for image in coco["images"]])

    def test_a_picture_that_is_not_what_was_labelled_is_named_before_anything_is_learnt(self) -> None:
        picture = self.folder / "pictures" / "7.png"
        whole = picture.read_bytes()
        for bad in (b"", b"no picture"):
            picture.write_bytes(bad)
            self.assertIn("7.png cannot be decoded", self.refused())
        on_its_side = np.full((SIDE, SIDE // 2, 3), 120, np.uint8)
        cv2.imwrite(str(picture), on_its_side)
        self.assertIn(f"7.png is 48x96 and its labels are for {SIDE}x{SIDE}", self.refused())
        picture.unlink()
        self.assertIn("1 of 12 pictures are not there", self.refused())
        picture.write_bytes(whole)
        self.changed("labels.json", lambda coco: coco["annotations"][3].update(bbox=[1, 2, -3, 4]))
        self.assertIn("annotation 4 of 4.png: bbox [1, 2, -3, 4] is not", self.refused())

    def test_boxes_follow_a_picture_that_was_made_smaller_as_a_whole(self) -> None:
        coco = json.loads((self.folder / "labels.json").read_text())
        numbers = {"helmet": 80}
        as_labelled, _ = pictures.gather(coco, self.folder / "pictures", numbers)
        for file in (self.folder / "pictures").iterdir():
            cv2.imwrite(str(file), cv2.resize(cv2.imread(str(file)), (SIDE // 2, SIDE // 2)))
        halved, _ = pictures.gather(coco, self.folder / "pictures", numbers)
        for one, other in zip(as_labelled, halved, strict=True):
            np.testing.assert_allclose(other.boxes * 2, one.boxes)

    def test_what_a_person_ticked_or_disputed_is_neither_learnt_nor_empty(self) -> None:
        def tick(coco: dict) -> None:
            coco["annotations"][0]["attributes"] = {"ignore": True, "occluded": False}
            coco["annotations"][4]["status"] = "disputed"
            coco["annotations"].pop(6)

        self.changed("labels.json", tick)
        coco = json.loads((self.folder / "labels.json").read_text())
        found, counts = pictures.gather(coco, self.folder / "pictures", {"helmet": 80})
        by_name = {picture.file.name: picture for picture in found}
        for name in ("1.png", "5.png"):
            self.assertEqual((len(by_name[name].boxes), len(by_name[name].ignore)), (0, 1), name)
        # A picture of an empty street is learnt from as well.
        self.assertEqual((len(by_name["7.png"].boxes), by_name["7.png"].is_complete), (0, True))
        self.assertEqual((counts["boxes to ignore"], counts["complete without a box"]), (2, 3))

    def test_a_category_without_a_box_is_told_of(self) -> None:
        self.changed("labels.json", lambda coco: coco["categories"].append({"id": 6, "name": "bus"}))
        said, told = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(told):
            self.assertEqual(self.train("run", "--epochs", "1"), 0)
        self.assertIn("boxes to learn from: bus 0, helmet 12", told.getvalue())
        self.assertIn("has the categories bus and no box of them", said.getvalue())

    def test_half_a_state_is_named_with_the_way_out(self) -> None:
        self.assertEqual(self.train("run", "--epochs", "1"), 0)
        for bad in (b"", b"half", (self.folder / "run" / "last.pt").read_bytes()[:5000]):
            (self.folder / "run" / "last.pt").write_bytes(bad)
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                self.assertEqual(self.train("run", "--epochs", "1"), 1)
            self.assertIn("last.pt is no state of such a run", said.getvalue())
            code, said = self.export("run")
            self.assertEqual(code, 1)
            self.assertIn("last.pt is no state of a run of train.py", said)

    def test_a_long_run_says_how_long_it_will_be(self) -> None:
        now = 0.0
        said = io.StringIO()
        progress = train.Progress("steps", lambda: now)
        with contextlib.redirect_stderr(said):
            for step in range(100, 200):  # resumed in the middle: what others computed is no measure of this machine
                progress(step, 1100, f", in epoch {step // 100 + 1} of 11")
                now += 6.0
        lines = said.getvalue().splitlines()
        self.assertEqual(lines[0], "steps, in epoch 2 of 11: 105 of 1100, about 100 min to go")
        self.assertEqual(len(lines), 19)
        words = [train.in_words(seconds) for seconds in (20, 600, 9000)]
        self.assertEqual(words, ["less than a minute", "about 10 min", "about 2.5 h"])

    def test_what_is_shown_lies_under_its_label_in_pictures_of_any_size(self) -> None:
        for width, height, size in ((1920, 1080, 416), (640, 360, 416), (704, 576, 96)):
            # Soft edges: hard ones are jagged where pictures are made small, and their middle moves.
            box = [width // 3, height // 3, width // 3 + 200, height // 3 + 200]
            rows, columns = np.indices((height, width)) + 0.5
            away = (rows - (box[1] + box[3]) / 2) ** 2 + (columns - (box[0] + box[2]) / 2) ** 2
            light = 255 * np.exp(-away / (2 * 40**2))
            picture = np.repeat(light[:, :, None], 3, axis=2).round().astype(np.uint8)
            file = self.folder / "square.png"
            cv2.imwrite(str(file), picture)
            corners = np.array([box], np.float32)
            none = np.zeros((0, 4), np.float32)
            example = pictures.plain(
                pictures.Picture(file, corners, np.array([0], np.float32), none, True),
                (size, size),
                network.places(size, size),
            )
            weight = example.pixels[0].copy()
            weight[int(height * size / width) :] = 0  # what is not of the picture is grey
            rows, columns = np.indices(weight.shape) + 0.5
            middle = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
            np.testing.assert_allclose(middle, example.labels[0, 1:3], atol=0.06, err_msg=f"{width}x{height} to {size}")

    def test_what_nobody_labelled_teaches_nothing(self) -> None:
        centres = network.places(SIDE, SIDE)
        file = self.folder / "pictures" / "1.png"
        box = np.array([[10, 10, 40, 40]], np.float32)
        none = np.zeros((0, 4), np.float32)
        whole = pictures.Picture(file, box, np.array([0], np.float32), none, True)
        part = dataclasses.replace(whole, is_complete=False)
        disputed = pictures.Picture(file, none, np.zeros(0, np.float32), box, True)
        unknown = {
            name: int(pictures.plain(picture, (SIDE, SIDE), centres).unknown.sum())
            for name, picture in (("whole", whole), ("part", part), ("disputed", disputed))
        }
        self.assertEqual(unknown["whole"], 0)
        self.assertEqual(unknown["part"], len(centres))
        self.assertTrue(0 < unknown["disputed"] < len(centres) / 2)
        # The gradient at places that nobody knows is nought; where something is, it is not.
        loss = network.Objectness()
        logits = torch.zeros(6, 1, requires_grad=True)
        target = torch.tensor([[1.0], [0], [0], [1], [0], [0]])
        loss.unknown = torch.tensor([[True, True, False], [False, False, True]])
        loss(logits, target).sum().backward()
        self.assertEqual((logits.grad != 0).flatten().tolist(), [True, False, True, True, True, False])


if __name__ == "__main__":
    unittest.main()
