#!/usr/bin/env python3
"""Make a model of a training run: the network as ONNX, and its manifest.

  export.py --run run --model MODEL.toml --id hanoi --out .local/models/hanoi
  export.py … --best             of the epoch that was best on train.py's --watch, instead of the last one

--model is the manifest that the run started from; layout, colours and thresholds are taken
over. The classes are those that the labels looked for, and no others: what nobody labelled
was trained as background, so the old network's words for it do not hold any more.

The folder may be one of the models' folders; then `edge-agent models evaluate ID` measures
it and `edge-agent models bundle ID` signs it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from manifest import Manifest, Unusable, changed, model_id, of_file, tell

try:
    import torch

    import network
except ImportError as missing:
    sys.exit(f"export: {missing}; install what it needs first: {Path(__file__).with_name('setup')}")


def state_of(run: Path, is_best: bool) -> dict[str, Any]:
    """The state of a run after its best epoch, or its last one."""
    file = run / ("best.pt" if is_best else "last.pt")
    if is_best and not file.exists() and (run / "last.pt").exists():
        raise Unusable(f"{run} has no best.pt: it was trained without --watch; leave --best out")
    try:
        return torch.load(file, map_location="cpu")
    except FileNotFoundError:
        raise
    except network.NO_STATE as error:
        raise Unusable(f"{file} is no state of a run of train.py ({error}); train anew") from error


def export(args: argparse.Namespace) -> Path:
    """Writes `--out`/model.toml and the network beside it."""
    run, name, out, manifest = args.run, args.id, args.out, Manifest.read(args.model)
    try:
        settings = json.loads((run / "settings.json").read_text())
        state = state_of(run, args.best)
    except OSError as error:
        raise Unusable(f"{error.filename}: {error.strerror}; name the folder of a run of train.py") from error
    except ValueError as error:
        raise Unusable(f"{run / 'settings.json'} is not what train.py wrote ({error}); train anew") from error
    if settings["model_sha256"] != manifest.table["sha256"]:
        raise Unusable(f"{run} started from another model than {manifest.path}; name that one with --model")
    model = network.build(settings["variant"], settings["classes"])
    model.load_state_dict(state["average"])
    out.mkdir(parents=True, exist_ok=True)
    width, height = settings["size"]
    file = out / f"{name}.onnx"
    network.to_onnx(model, file, width, height, args.dynamic)
    classes: dict[str, int | list[int]] = {"count": settings["classes"]}
    for word, number in settings["numbers"].items():
        classes[word] = manifest.words.get(word, [number])
    origin = (
        f"{args.note or name}: trained on from {settings['model']} ({settings['model_sha256'][:12]})"
        f" with {settings['pictures']} pictures of its own streets (labels {settings['labels_sha256'][:12]}),"
        f" {state['epoch']} epochs; weights under the licence of the model that it started from"
    )
    top: dict[str, str | int] = {
        "id": name,
        "title": f"{settings['model']}, trained on with local pictures, {width}×{height}",
        "rank": 1000,
        **of_file(file),
        "origin": origin,
        "obtain": "From whoever trained it, as a signed bundle.",
    }
    entry = {"width": width, "height": height, "dynamic": args.dynamic}
    text = changed(manifest, top, {"input": entry, "classes": classes})
    (out / "model.toml").write_text(text, encoding="utf-8")
    return file


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of a run of train.py")
    parser.add_argument("--model", type=Path, required=True, help="manifest of the model that it started from")
    parser.add_argument("--id", type=model_id, required=True, help="name of the new model: small letters, digits, -")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--dynamic", action="store_true", help="leave height and width open (multiples of 32)")
    parser.add_argument(
        "--best", action="store_true", help="the epoch with the lowest loss on train.py's --watch, not the last one"
    )
    parser.add_argument("--note", default="", help="a word for `origin`: whose streets, which season")
    args = parser.parse_args(arguments)
    try:
        file = export(args)
    except (Unusable, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    tell(file, f"{args.id} --labels val.json --pictures …")
    return 0


if __name__ == "__main__":
    sys.exit(main())
