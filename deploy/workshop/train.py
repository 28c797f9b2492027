#!/usr/bin/env python3
"""Go on training a YOLOX detector with labelled pictures of your own streets.

  train.py --model MODEL.toml --labels train.json --pictures labels/pictures --out run
  train.py … --watch val.json        say the loss on pictures that are not trained with, too

Starts from the network of a catalogued model (an ONNX file of the YOLOX release), goes on
from where it stopped if it is run again with the same words, and gives the same network
for the same pictures, words and torch. Classes of the labels that the network does not
know are added to it. What is not labelled is not taken for empty: see pictures.py.

Writes into --out:
  settings.json   what it was run with, hashes of model and labels among it
  log.jsonl       a line per epoch
  last.pt         the state after the last whole epoch; `export.py` makes a model of it
  best.pt         with --watch: the state after the epoch with the lowest loss there; `export.py --best`

A processor will do; with CUDA give --device cuda.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import labels as label_files
from manifest import Manifest, Unusable, sha256
from words import class_of

try:
    import torch
    from yolox.utils import LRScheduler, ModelEMA

    import network
    import pictures
except ImportError as missing:
    sys.exit(f"train: {missing}; install what it needs first: {Path(__file__).with_name('setup')}")


def numbers_of(manifest: Manifest, coco: label_files.Coco) -> dict[str, int]:
    """Number of the network by word, for the words that the labels look for; new ones come last."""
    numbers: dict[str, int] = {}
    new = manifest.count
    for category in sorted(coco["categories"], key=lambda category: category["id"]):
        word = class_of(category["name"])
        if word is None:
            raise Unusable(f"category `{category['name']}` is no word of this program; rename it: labels.py complete")
        if word in manifest.words:
            numbers[word] = manifest.words[word][0]
        elif word not in numbers:
            numbers[word] = new
            new += 1
    return numbers


# How often a run says how far it is, within an epoch as well.
SAY_S = 30.0


class Progress:
    """How far a long piece of work is, and about how long it will take, now and then."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.what, self.clock = what, clock
        self.began = self.said = clock()
        self.first: int | None = None

    def __call__(self, done: int, of: int, where: str = "") -> None:
        """`done` of `of` parts are done; says so if it has been silent for long enough."""
        now = self.clock()
        if self.first is None:
            self.first, self.began = done, now
        if now - self.said < SAY_S or done <= self.first:
            return
        self.said = now
        left = (now - self.began) / (done - self.first) * (of - done)
        print(f"{self.what}{where}: {done} of {of}, {in_words(left)} to go", file=sys.stderr, flush=True)


def in_words(seconds: float) -> str:
    """About how long that is."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes} min" if minutes < 120 else f"about {minutes / 60:.1f} h"


class Run:
    """A training run and all of its state."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        manifest = Manifest.read(args.model)
        kind = manifest.table["head"]["kind"]
        if kind != "yolox":
            raise Unusable(f"{manifest.path} has a head of kind `{kind}`; start from a `yolox` model")
        weights = manifest.weights(args.network)
        coco = label_files.read(args.labels)
        self.size = args.size or manifest.size
        self.numbers = numbers_of(manifest, coco)
        looking = Progress("pictures looked into")
        self.pictures, counts = pictures.gather(coco, args.pictures, self.numbers, looking)
        print(f"{args.labels}: {', '.join(f'{count} {what}' for what, count in counts.items())}")
        self._say_classes(args.labels)
        if counts["complete"] == 0:
            raise Unusable(
                f"{args.labels} has no picture that is wholly labelled, so nothing in it says what is no"
                " road user; complete some by hand first: labels.py complete"
            )
        self.watched = self._gather_watched()
        model, variant = network.from_onnx(weights, manifest.count)
        more = max([manifest.count - 1, *self.numbers.values()]) + 1 - manifest.count
        if more:
            network.widen(model, more)
        self.settings: dict[str, Any] = {
            "model": manifest.table["id"],
            "model_sha256": manifest.table["sha256"],
            "variant": variant,
            "classes": manifest.count + more,
            "numbers": self.numbers,
            "labels_sha256": sha256(args.labels),
            "pictures": len(self.pictures),
            "size": list(self.size),
            **{key: getattr(args, key) for key in ("epochs", "batch", "rate", "seed", "keep", "mosaic")},
            "torch": torch.__version__,
        }
        self.centres = network.places(*self.size)
        shown = [picture for picture in self.pictures if picture.is_complete][:: max(1, counts["complete"] // 16)]
        plain = [pictures.plain(picture, self.size, self.centres).pixels for picture in shown[:16]]
        network.unfold(model, torch.stack([torch.from_numpy(pixels) for pixels in plain]))
        try:
            self.model = model.to(args.device)
        except (AssertionError, RuntimeError) as error:
            raise Unusable(f"--device {args.device}: {error}; leave it out to train on the processor") from error
        network.learning(self.model, args.keep)
        self.average = ModelEMA(self.model, 0.998)
        self.steps = -(-len(self.pictures) // args.batch)
        self.rate = LRScheduler(
            "yoloxwarmcos",
            args.rate,
            self.steps,
            args.epochs,
            warmup_epochs=min(1, args.epochs - 1),
            warmup_lr_start=0.0,
            no_aug_epochs=0,
            min_lr_ratio=0.05,
        )
        self.optimizer = self._optimizer()
        self.epoch = 0
        self.progress = Progress("steps")
        # Of the epoch that is best on what is watched: its number, its loss, and which labels those are.
        self.best: dict[str, Any] | None = None
        self._resume()

    def _say_classes(self, file: Path) -> None:
        """How many boxes there are of what, and what a class without any comes to."""
        drawn = [number for picture in self.pictures for number in picture.classes.tolist()]
        found = {word: drawn.count(number) for word, number in self.numbers.items()}
        print("boxes to learn from: " + ", ".join(f"{word} {count}" for word, count in found.items()))
        bare = [word for word, count in found.items() if count == 0]
        if bare:
            print(
                f"note: {file} has the categories {', '.join(bare)} and no box of them. Where there is one on a picture"
                " it is learnt as empty street. If nobody looked for them, take the categories out: the model will"
                " then not claim to know them",
                file=sys.stderr,
            )

    def _gather_watched(self) -> list[pictures.Picture]:
        """Pictures to watch with: wholly labelled, since a loss on gaps says nothing, and others than are learnt."""
        if not self.args.watch:
            return []
        folder = self.args.watch_pictures or self.args.pictures
        found, _ = pictures.gather(label_files.read(self.args.watch), folder, self.numbers)
        whole = [picture for picture in found if picture.is_complete]
        if not whole:
            raise Unusable(
                f"{self.args.watch} has no picture that is wholly labelled, so nothing can be watched with it; complete"
                " some by hand first (labels.py complete), as for training, or leave --watch out"
            )
        undated = pictures.apart(self.pictures, whole)
        if undated:
            print(
                f"note: of {undated} pictures the labels say no camera and day, so nobody knows whether what is"
                " watched shows the same minutes as what is trained with",
                file=sys.stderr,
            )
        return whole

    def _optimizer(self) -> torch.optim.Optimizer:
        """As in YOLOX: weights decay, biases and normalisations do not."""
        decaying, others = [], []
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                (decaying if parameter.ndim > 1 else others).append(parameter)
        groups = [{"params": decaying, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.SGD(groups, lr=self.args.rate, momentum=0.9, nesterov=True)

    @property
    def _checkpoint(self) -> Path:
        return self.args.out / "last.pt"

    def _resume(self) -> None:
        self.args.out.mkdir(parents=True, exist_ok=True)
        file = self.args.out / "settings.json"
        text = json.dumps(self.settings, indent=2, sort_keys=True) + "\n"
        if file.exists() and file.read_text() != text:
            try:
                before, now = json.loads(file.read_text()), json.loads(text)
            except ValueError as error:
                raise Unusable(f"{file} is not what this wrote ({error}); name another --out") from error
            other = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
            raise Unusable(f"{self.args.out} is of a run with other {', '.join(other)}; name another --out")
        file.write_text(text)
        if self._checkpoint.exists():
            try:
                state = torch.load(self._checkpoint, map_location=self.args.device)
                self.model.load_state_dict(state["model"])
                self.average.ema.load_state_dict(state["average"])
                self.average.updates = state["updates"]
                self.optimizer.load_state_dict(state["optimizer"])
                self.epoch = state["epoch"]
            except network.NO_STATE as error:
                raise Unusable(
                    f"{self._checkpoint} is no state of such a run ({error}); delete {self.args.out} and begin anew"
                ) from error
            best = state.get("best")
            # Losses on other labels cannot be compared.
            if best and (not self.args.watch or best["labels_sha256"] == sha256(self.args.watch)):
                self.best = best
            print(f"{self._checkpoint}: going on after epoch {self.epoch}")

    def _keep(self, watched: float | None) -> None:
        """Keeps the state; as the best one as well, if it is. That one first: `last.pt` says that it is there."""
        is_best = watched is not None and (self.best is None or watched < self.best["watched"])
        if is_best:
            digest = sha256(self.args.watch)
            self.best = {"epoch": self.epoch, "watched": watched, "labels_sha256": digest}
        state = {
            "epoch": self.epoch,
            "best": self.best,
            "model": self.model.state_dict(),
            "average": self.average.ema.state_dict(),
            "updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
        }
        for file in (self.args.out / "best.pt", self._checkpoint) if is_best else (self._checkpoint,):
            part = file.with_suffix(".part")
            try:
                torch.save(state, part)
            except RuntimeError as error:  # what torch makes of a full disk
                raise Unusable(f"{part} cannot be written ({error}); look at the room on the disk") from error
            os.replace(part, file)

    def _shown(self, examples: list[pictures.Example]) -> tuple[torch.Tensor, ...]:
        """The losses of a batch: all, box, objectness, class."""
        most = max(1, *(len(example.labels) for example in examples))
        targets = torch.zeros(len(examples), most, 5)
        for row, example in zip(targets, examples, strict=True):
            row[: len(example.labels)] = torch.from_numpy(example.labels)
        pixels = torch.stack([torch.from_numpy(example.pixels) for example in examples])
        unknown = torch.stack([torch.from_numpy(example.unknown) for example in examples])
        self.model.head.bcewithlog_loss.unknown = unknown.to(self.args.device)
        losses = self.model(pixels.to(self.args.device), targets.to(self.args.device))
        return losses["total_loss"], losses["iou_loss"], losses["conf_loss"], losses["cls_loss"]

    def _one_epoch(self) -> dict[str, float]:
        order = list(range(len(self.pictures)))
        # Of the epoch alone, so that a run that was cut short goes on as if it had not been.
        random.Random(f"{self.args.seed} {self.epoch}").shuffle(order)
        # The last epochs show whole pictures only, as the agent will.
        mosaic = self.args.mosaic if self.epoch < self.args.epochs * 0.8 else 0.0
        sums = [0.0] * 4
        for step in range(self.steps):
            done, of = self.epoch * self.steps + step, self.args.epochs * self.steps
            self.progress(done, of, f", in epoch {self.epoch + 1} of {self.args.epochs}")
            rate = self.rate.update_lr(done + 1)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            batch = order[step * self.args.batch :][: self.args.batch]
            examples = [
                pictures.varied(
                    self.pictures,
                    index,
                    self.size,
                    self.centres,
                    random.Random(f"{self.args.seed} {self.epoch} {index}"),
                    mosaic,
                )
                for index in batch
            ]
            losses = self._shown(examples)
            if not torch.isfinite(losses[0]):
                raise Unusable(f"the loss is no number in epoch {self.epoch + 1}; begin anew with a smaller --rate")
            self.optimizer.zero_grad()
            losses[0].backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 35.0)
            self.optimizer.step()
            self.average.update(self.model)
            sums = [old + float(new) for old, new in zip(sums, losses, strict=True)]
        names = ("loss", "box", "objectness", "class")
        return {name: round(value / self.steps, 4) for name, value in zip(names, sums, strict=True)} | {"rate": rate}

    @torch.no_grad()
    def _watch(self) -> dict[str, float]:
        """Loss on pictures that are not trained with. Of the network itself, not of its average."""
        total = 0.0
        network.measuring(self.model)
        for picture in self.watched:
            total += float(self._shown([pictures.plain(picture, self.size, self.centres)])[0])
        network.learning(self.model, self.args.keep)
        return {"watched": round(total / len(self.watched), 4)} if self.watched else {}

    def go(self) -> None:
        """Trains until it is done."""
        while self.epoch < self.args.epochs:
            began = time.monotonic()
            line = self._one_epoch()
            self.epoch += 1
            watched = self._watch()
            line = {"epoch": self.epoch, **line, **watched, "seconds": round(time.monotonic() - began, 1)}
            self._keep(watched.get("watched"))
            with (self.args.out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            print(" ".join(f"{key} {value:.5g}" for key, value in line.items()), flush=True)
        digest = hashlib.sha256(self._checkpoint.read_bytes()).hexdigest()
        print(f"{self._checkpoint}: done, {self.epoch} epochs, sha256 {digest[:16]}…; now export.py")
        if self.best and self.best["epoch"] < self.epoch:
            epoch, watched = self.best["epoch"], self.best["watched"]
            print(f"epoch {epoch} was better on what is watched ({watched}): export.py --best")


def size(text: str) -> tuple[int, int]:
    """`WIDTHxHEIGHT`, multiples of 32."""
    width, _, height = text.partition("x")
    sides = (int(width), int(height))
    if any(side < 64 or side % 32 for side in sides):
        raise argparse.ArgumentTypeError("width and height are multiples of 32, at least 64")
    return sides


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model.toml of the model to start from")
    parser.add_argument("--network", type=Path, help="its ONNX file, if it does not lie beside")
    parser.add_argument("--labels", type=Path, required=True, help="COCO, of labels.py complete")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--watch", type=Path, help="labels of pictures that are not trained with")
    parser.add_argument("--watch-pictures", type=Path, help="their folder [--pictures]")
    parser.add_argument("--size", type=size, metavar="WxH", help="input of the network [the model's]")
    parser.add_argument("--epochs", type=int, default=20, help="[20]")
    parser.add_argument("--batch", type=int, default=8, help="pictures per step [8]")
    parser.add_argument("--rate", type=float, default=0.001, help="highest rate of learning [0.001]")
    parser.add_argument("--mosaic", type=float, default=0.3, help="part of examples of four pictures [0.3]")
    parser.add_argument(
        "--keep", choices=("nothing", "backbone"), default="nothing", help="what is not trained [nothing]"
    )
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    parser.add_argument("--threads", type=int, default=1, help="of the processor [1]")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 … [cpu]")
    args = parser.parse_args(arguments)
    if args.epochs < 1 or args.batch < 1 or args.rate <= 0 or not 0 <= args.mosaic <= 1:
        parser.error("--epochs and --batch are at least 1, --rate above 0, --mosaic between 0 and 1")
    try:
        Run(args).go()
    except KeyboardInterrupt:
        print("train: broken off; the same command goes on after the last whole epoch", file=sys.stderr)
        return 130
    except (Unusable, label_files.Unusable, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
