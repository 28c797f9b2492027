"""Run by test_workshop.py in the workshop's Python: a classifier of painted crops, from cutting to measuring.

Needs the programs (`make build`).
"""

import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "workshop"))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402
import train_classifier  # noqa: E402
from manifest import sha256  # noqa: E402

AGENT = Path(os.environ.get("NGATU_PROGRAMS", ROOT / "target" / "debug")) / "edge-agent"
# Blue, green, red of a head: helmets are red here, hair is dark, and of dazzling ones nobody can tell.
HEADS = {"helmet": (20, 20, 220), "no_helmet": (10, 10, 20), "cannot_tell": (250, 250, 250)}


def agent(*words: str) -> subprocess.CompletedProcess[str]:
    runtime = ROOT / ".local" / "onnxruntime" / "libonnxruntime.so"
    known = {"NGATU_ONNXRUNTIME": str(runtime), **os.environ}
    return subprocess.run([str(AGENT), *words], capture_output=True, text=True, check=False, env=known)


class Classifier(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for side, seed, counts in (("train", 1, (40, 14, 10)), ("val", 2, (6, 6, 4))):
            self.paint(side, random.Random(seed), dict(zip(HEADS, counts, strict=True)))

    def paint(self, side: str, chance: random.Random, counts: dict[str, int]) -> None:
        """Riders on a street of noise, one in each picture, and labels that say what is on their heads."""
        pictures = self.folder / f"{side}-pictures"
        pictures.mkdir()
        coco: dict[str, list] = {"images": [], "annotations": [], "categories": []}
        for category, word in enumerate(HEADS, 1):
            coco["categories"].append({"id": category, "name": word})
            for _ in range(counts[word]):
                number = len(coco["images"]) + 1
                noise = np.random.default_rng(chance.randrange(1 << 30)).integers(110, 140, (240, 320, 3), np.uint8)
                x, y = chance.randrange(10, 200), chance.randrange(10, 90)
                noise[y + 28 : y + 140, x : x + 60] = chance.randrange(90, 160)
                cv2.circle(noise, (x + 30, y + 16), 15, HEADS[word], -1)
                cv2.imwrite(str(pictures / f"{side}{number}.png"), noise)
                day = {"camera": "a/b/c", "day": f"2026-01-0{1 if side == 'train' else 2}"}
                image = {"id": number, "file_name": f"{side}{number}.png", "width": 320, "height": 240}
                coco["images"].append({**image, **day})
                box = {"image_id": number, "category_id": category, "bbox": [x, y, 60, 140]}
                coco["annotations"].append({"id": number, **box})
        (self.folder / f"{side}.json").write_text(json.dumps(coco))

    def cut(self, side: str) -> subprocess.CompletedProcess[str]:
        labels, pictures = self.folder / f"{side}.json", self.folder / f"{side}-pictures"
        where = ("--labels", str(labels), "--pictures", str(pictures), "--out", str(self.folder / side))
        return agent("models", "crops", "--crop", "riders", *where)

    def train(self, out: str, *more: str) -> tuple[int, str]:
        words = ["--crops", str(self.folder / "train"), "--watch", str(self.folder / "val"), "--id", "heads"]
        words += ["--out", str(self.folder / out), "--licence", "MIT", "--size", "48", "--batch", "8", "--high", "0.5", *more]
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = train_classifier.main(words)
        return code, said.getvalue()

    def test_crops_become_a_classifier_that_the_agent_reads(self) -> None:
        for side in ("train", "val"):
            done = self.cut(side)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        code, said = self.train("models/heads", "--epochs", "9")
        self.assertEqual(code, 0, said)
        folder = self.folder / "models" / "heads"
        table = tomllib.loads((folder / "model.toml").read_text())
        # A rare answer is no reason to say it never; of what has no word the program hears nothing.
        self.assertEqual(table["classes"], {"count": 3, "helmet": [0], "no_helmet": [1]})
        self.assertEqual(table["sha256"], sha256(folder / "heads.onnx"))
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        best = max(log, key=lambda line: (line["right"], -line["watched"]))
        self.assertIn(f"epoch {best['epoch']} of 9", table["origin"], "the best epoch is kept, not the last one")
        self.assertGreater(min(best[f"recall {word}"] for word in HEADS), 0.9, said)

        # The network's answers are probabilities, of one crop as of many.
        session = onnxruntime.InferenceSession(str(folder / "heads.onnx"), providers=["CPUExecutionProvider"])
        scores = session.run(None, {"crops": np.random.default_rng(0).normal(size=(2, 3, 48, 48)).astype("f4")})[0]
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)

        # What Python measured the agent measures as well: it decodes, scales and reads alike.
        words = ["models", "--models-dir", str(self.folder / "models"), "evaluate", "heads", "--json"]
        for of in (
            ["--pictures", str(self.folder / "val")],
            ["--labels", str(self.folder / "val.json"), "--pictures", str(self.folder / "val-pictures")]
            + ["--crop", "riders"],
        ):
            done = agent(*words, *of)
            self.assertEqual(done.returncode, 0, done.stderr)
            classes = {figures["class"]: figures for figures in json.loads(done.stdout)[0]["classes"]}
            self.assertEqual([classes[word]["crops"] for word in ("helmet", "no_helmet")], [6, 6])
            self.assertGreater(min(figures["precision"] for figures in classes.values()), 0.9, done.stdout)
            self.assertGreater(min(figures["recall"] for figures in classes.values()), 0.9, done.stdout)

        for again in ("one", "other"):
            code, said = self.train(again, "--epochs", "2")
            self.assertEqual(code, 0, said)
        one, other = (sha256(self.folder / again / "heads.onnx") for again in ("one", "other"))
        self.assertEqual(one, other, "the same crops and words give the same bytes")

    def test_a_start_that_is_no_state_of_the_network_is_refused_with_the_reason(self) -> None:
        for side in ("train", "val"):
            done = self.cut(side)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        start = self.folder / "start.pth"
        network = torchvision.models.get_model("shufflenet_v2_x0_5", weights=None, num_classes=1000)
        for what, write in (
            ("a text", lambda: start.write_text("not a state")),
            ("nothing", lambda: start.write_bytes(b"")),
            ("half a file", lambda: (torch.save(network.state_dict(), start), os.truncate(start, 9000))),
            ("a network and not its state", lambda: torch.save(network, start)),
            ("a list", lambda: torch.save([1, 2], start)),
            ("a state within something", lambda: torch.save({"model": network.state_dict()}, start)),
            ("numbers under the names", lambda: torch.save(dict.fromkeys(network.state_dict(), 1), start)),
        ):
            write()
            code, said = self.train("none", "--epochs", "1", "--start", str(start))
            self.assertEqual(code, 1, f"{what}: {said}")
            self.assertIn(f"{start} is no state of shufflenet_v2_x0_5: ", said, what)
            self.assertNotIn("Traceback", said, what)
        # The last layer alone may be of other answers.
        torch.save(network.state_dict(), start)
        code, said = self.train("begun", "--epochs", "1", "--start", str(start))
        self.assertEqual(code, 0, said)


if __name__ == "__main__":
    unittest.main()
