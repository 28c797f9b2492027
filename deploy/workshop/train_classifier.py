#!/usr/bin/env python3
"""Train a small classifier for a cascade, on crops that are cut as the cascade cuts them.

  edge-agent models crops --labels train.json --pictures labels/pictures --crop riders --out crops/train
  edge-agent models crops --labels val.json --pictures labels/pictures --crop riders --out crops/val
  train_classifier.py --crops crops/train --watch crops/val --id helmets --licence MIT --out .local/models/helmets

A network of torchvision (BSD-3-Clause) begins with weights of no meaning, or with a state of
the same network in --start, if you have one whose licence lets you: nothing is fetched. Rare
answers weigh more, so that all weigh alike. The epoch is kept that tells most of --watch rightly, each
answer weighing alike. The same crops, words and torch give the same bytes.

Writes into --out, which may be one of the models' folders:
  ID.onnx      crops in, what each is with what probability out
  model.toml   its manifest. An answer without a word here (cannot_tell, nothing) is known, and said of nobody
  log.jsonl    a line per epoch

Then `edge-agent models evaluate ID --pictures crops/test` measures it: on a third side if you can, since
--watch has chosen the epoch.
"""

from __future__ import annotations

import argparse
import copy
import json
import pickle
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import crops
from manifest import Unusable, model_id, of_file, sha256, tell, text_of
from words import CATEGORIES

try:
    import cv2
    import numpy as np
    import onnxruntime
    import torch
    import torch.optim.swa_utils
    import torchvision
    from torch import nn
except ImportError as missing:
    sys.exit(f"train_classifier: {missing}; install what it needs first: {Path(__file__).with_name('setup')}")

NETWORKS = ("shufflenet_v2_x0_5", "mobilenet_v3_small", "resnet18")
# Red, green, blue, of 255: what torchvision's own weights were trained with.
MEAN = [123.675, 116.28, 103.53]
STD = [58.395, 57.12, 57.375]
# What torch.load raises of a file that is not one of its own, or half of one.
NO_STATE = (AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError, pickle.PickleError)


def shown(crop: crops.Crop, side: int, vary: np.random.Generator | None, may_be_mirrored: bool) -> np.ndarray:
    """A crop as the network sees it, [3, side, side]: stretched, as the agent does; or varied."""
    image = cv2.imread(str(crop.file), cv2.IMREAD_COLOR)
    if image is None:
        raise Unusable(f"{crop.file} cannot be decoded; cut the crops anew")
    light = (1.0, 0.0)
    if vary is not None:
        # A detector's boxes are a little too large or too small, and never in the same place.
        height, width = image.shape[:2]
        left, right = (int(width * part) for part in vary.uniform(0, 0.1, 2))
        top, bottom = (int(height * part) for part in vary.uniform(0, 0.1, 2))
        image = image[top : height - bottom, left : width - right]
        if may_be_mirrored and vary.random() < 0.5:
            image = image[:, ::-1]
        light = (vary.uniform(0.7, 1.3), vary.uniform(-20, 20))
    # Not averaged where it is made smaller: nor is the agent's.
    image = cv2.resize(np.ascontiguousarray(image), (side, side), interpolation=cv2.INTER_LINEAR)
    pixels = np.clip(image[:, :, ::-1].astype(np.float32) * light[0] + light[1], 0, 255)
    return np.ascontiguousarray(((pixels - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1))


class Run:
    """A training run."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.learnt, self.watched = crops.Folder.read(args.crops), crops.Folder.read(args.watch)
        undated = crops.check(self.learnt, self.watched)
        if undated:
            print(f"note: of {undated} crops nobody knows camera and day; see yourself that no day is on both sides")
        self.answers = crops.answers(self.learnt)
        if not set(self.answers) & set(CATEGORIES):
            raise Unusable(f"this program has no word for any of {', '.join(self.answers)}; rename them when labelling")
        for folder in (self.learnt, self.watched):
            print(f"{folder.path}: {', '.join(f'{folder.counts[answer]} {answer}' for answer in self.answers)}")
        torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        torch.use_deterministic_algorithms(True)
        self.model: nn.Module = torchvision.models.get_model(args.network, weights=None, num_classes=len(self.answers))
        if args.start:
            self._start(args.start)
        # Smoothed, since a network that knows a few hundred crops by heart is sure of everything.
        self.loss = nn.CrossEntropyLoss(torch.tensor(crops.weights(self.learnt)), label_smoothing=0.1)
        self.steps = -(-len(self.learnt.crops) // args.batch)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=args.rate, weight_decay=0.01)
        self.rate = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, args.rate, total_steps=self.steps * args.epochs)

    def _start(self, file: Path) -> None:
        """Takes over a state of the same network, but for its last layer."""
        refused = f"{file} is no state of {self.args.network}"
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except NO_STATE as error:
            # The rest of what torch says is advice to load it without looking.
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise Unusable(f"{refused}: {why}; give what torch.save made of a network's state_dict()") from error
        if not isinstance(state, dict):
            raise Unusable(f"{refused}: it holds a {type(state).__name__}; save the network's state_dict() alone")
        own = self.model.state_dict()
        shapes = {name: getattr(value, "shape", None) for name, value in state.items()}
        fitting = {name: state[name] for name in own if name in state and own[name].shape == shapes[name]}
        other = [name for name in own if name not in fitting]
        if len(other) > 2:
            raise Unusable(f"{refused}: {len(other)} parts do not fit, {other[0]} first")
        self.model.load_state_dict(fitting, strict=False)

    def _batches(self, folder: crops.Folder, epoch: int, is_varied: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All crops in an order of the epoch's own."""
        order = np.random.default_rng([self.args.seed, epoch]).permutation(len(folder.crops))
        for part in np.array_split(order, -(-len(folder.crops) // self.args.batch)):
            yield self._batch(folder, part.tolist(), epoch if is_varied else None)

    def _batch(self, folder: crops.Folder, chosen: list[int], epoch: int | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Of an epoch varied; without one as they are."""

        def one(index: int) -> np.ndarray:
            # Of the epoch and the crop alone, whatever is shown beside it.
            vary = None if epoch is None else np.random.default_rng([self.args.seed, epoch, index])
            return shown(folder.crops[index], self.args.size, vary, folder.may_be_mirrored)

        numbers = [self.answers.index(folder.crops[index].answer) for index in chosen]
        return torch.from_numpy(np.stack([one(index) for index in chosen])), torch.tensor(numbers)

    def _one_epoch(self, epoch: int) -> float:
        self.model.train()
        total = 0.0
        for pixels, numbers in self._batches(self.learnt, epoch, True):
            loss = self.loss(self.model(pixels), numbers)
            if not torch.isfinite(loss):
                raise Unusable(f"the loss is no number in epoch {epoch}; begin anew with a smaller --rate")
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.rate.step()
            total += float(loss.detach())
        return total / self.steps

    @torch.no_grad()
    def _watch(self, epoch: int) -> dict[str, float]:
        """Of what is watched the loss, how much of each answer is told rightly, and their mean."""
        # Statistics that are carried along lag behind after a few steps, and the network would say one thing of all.
        torch.optim.swa_utils.update_bn(self._batches(self.learnt, epoch, False), self.model)
        self.model.eval()
        batches = list(self._batches(self.watched, epoch, False))
        said = torch.cat([self.model(pixels) for pixels, _ in batches])
        numbers = torch.cat([numbers for _, numbers in batches])
        right = said.argmax(1) == numbers
        recall = {f"recall {word}": float(right[numbers == n].float().mean()) for n, word in enumerate(self.answers)}
        return {"watched": float(self.loss(said, numbers)), "right": sum(recall.values()) / len(recall), **recall}

    def go(self) -> None:
        """Trains, and leaves the best epoch in `model`."""
        # Not the loss, which is lowest before the network dares to say anything.
        best, kept, number = (-1.0, 0.0), self.model.state_dict(), 0
        self.args.out.mkdir(parents=True, exist_ok=True)
        with (self.args.out / "log.jsonl").open("w") as log:
            for epoch in range(1, self.args.epochs + 1):
                began = time.monotonic()
                line = {"epoch": epoch, "loss": self._one_epoch(epoch), **self._watch(epoch)}
                line = {key: round(value, 4) for key, value in line.items()}
                if (line["right"], -line["watched"]) > best:
                    best, kept, number = (line["right"], -line["watched"]), copy.deepcopy(self.model.state_dict()), epoch
                log.write(json.dumps(line) + "\n")
                words = " ".join(f"{key} {value:.5g}" for key, value in line.items())
                print(f"{words} seconds {time.monotonic() - began:.1f}", flush=True)
        self.model.load_state_dict(kept)
        print(f"epoch {number} is kept: {best[0]:.1%} of each answer is told rightly on {self.watched.path}, in the mean")
        self.epoch = number

    def export(self) -> Path:
        """Writes the network with its softmax, and the manifest; proves that the file answers alike."""
        file, side = self.args.out / f"{self.args.id}.onnx", self.args.size
        whole = nn.Sequential(self.model, nn.Softmax(1)).eval()
        pixels, _ = self._batch(self.watched, list(range(min(3, len(self.watched.crops)))), None)
        warnings.filterwarnings("ignore", module="torch.onnx")
        axes = {"crops": {0: "batch"}, "scores": {0: "batch"}}
        names = {"input_names": ["crops"], "output_names": ["scores"]}
        torch.onnx.export(whole, pixels[:1], str(file), **names, dynamic_axes=axes, opset_version=13)
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        with torch.no_grad():
            apart = np.abs(session.run(None, {"crops": pixels.numpy()})[0] - whole(pixels).numpy()).max()
        if apart > 1e-3:
            raise Unusable(f"{file} and the network answer differently ({apart:.4f} apart); report it")
        labels = [folder.index.get("labels_sha256", "?")[:12] for folder in (self.learnt, self.watched)]
        counts = ", ".join(f"{count} {answer}" for answer, count in sorted(self.learnt.counts.items()))
        start = f"from a state {sha256(self.args.start)[:12]}" if self.args.start else "from no weights"
        numbers = {word: [n] for n, word in enumerate(self.answers) if word in CATEGORIES}
        table = {
            "id": self.args.id,
            "title": f"{', '.join(self.answers)} on `{self.learnt.index['crop']}`, {self.args.network}, {side}×{side}",
            "task": "classification",
            "rank": 1000,
            **of_file(file),
            "licence": self.args.licence,
            "origin": f"{self.args.note or self.args.id}: {self.args.network} of torchvision (BSD-3-Clause), {start},"
            f" epoch {self.epoch} of {self.args.epochs}, crops {counts} (labels {labels[0]}, watched {labels[1]})",
            "obtain": "From whoever trained it, as a signed bundle.",
            "input": {"tensor": "crops", "width": side, "height": side, "layout": "nchw", "colour": "rgb"}
            | {"mean": MEAN, "std": STD, "fit": "stretch", "pad": [0.0, 0.0, 0.0]},
            "head": {"kind": "classifier", "tensor": "scores"},
            "classes": {"count": len(self.answers), **numbers},
            "thresholds": {"low": 0.5, "high": self.args.high, "nms": 1.0},
        }
        if self.args.licence_accepted_by:
            table["licence_accepted_by"] = self.args.licence_accepted_by
        (self.args.out / "model.toml").write_text(text_of(table), encoding="utf-8")
        return file


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=Path, required=True, help="folder of `edge-agent models crops` to learn from")
    parser.add_argument("--watch", type=Path, required=True, help="the same of other days, to choose the epoch by")
    parser.add_argument("--id", type=model_id, required=True, help="name of the model: small letters, digits, dashes")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--network", choices=NETWORKS, default=NETWORKS[0], help=f"[{NETWORKS[0]}]")
    parser.add_argument("--start", type=Path, help="a state of that network to begin with")
    parser.add_argument("--size", type=int, default=96, help="sides of the input, pixels [96]")
    parser.add_argument("--epochs", type=int, default=40, help="[40]")
    parser.add_argument("--batch", type=int, default=16, help="crops per step, at the most [16]")
    parser.add_argument("--rate", type=float, default=0.003, help="highest rate of learning [0.003]")
    parser.add_argument("--high", type=float, default=0.8, help="what the model says counts from this score on [0.8]")
    parser.add_argument("--licence", required=True, help="of the weights, which are yours to give: MIT, CC0-1.0 …")
    parser.add_argument("--licence-accepted-by", default="", help="who vouches for one that is not a listed SPDX word")
    parser.add_argument("--note", default="", help="a word for `origin`: whose streets, which season")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    parser.add_argument("--threads", type=int, default=1, help="of the processor [1]")
    args = parser.parse_args(arguments)
    if args.epochs < 1 or args.batch < 2 or args.rate <= 0 or args.size < 32 or not 0.5 <= args.high < 1:
        parser.error("--epochs at least 1, --batch 2, --size 32, --rate above 0, --high between 0.5 and 1")
    try:
        run = Run(args)
        run.go()
        file = run.export()
    except (Unusable, OSError) as error:
        print(f"train_classifier: {error}", file=sys.stderr)
        return 1
    tell(file, f"{args.id} --pictures …, on crops that neither --crops nor --watch has")
    return 0


if __name__ == "__main__":
    sys.exit(main())
