#!/usr/bin/env python3
"""An int8 variant of a detector, and a manifest for it.

  quantise.py --model MODEL.toml --pictures folder --id yolox-nano-int8 --out .local/models/yolox-nano-int8
  quantise.py … --plain     everything and per tensor, as a tutorial would: to see what that costs

Static quantisation in QDQ form by ONNX Runtime: weights per channel, activations by what
--pictures (a few dozen of the cameras that it is for) make of the network. Plain
quantisation of a small depth-wise network collapses: a depth-wise channel has nine weights
and a range of its own, the stem sees raw pixels, and the last convolutions answer in logits
whose range is made by the few places where something is. So these stay in float, and the
point-wise convolutions, which are most of the arithmetic, are quantised.

Whether it is faster depends on network and processor: it wants VNNI (or an accelerator), and
large products; a YOLOX-nano is slower in int8 even with VNNI (docs/finetune.md). Measure before it is used: `edge-agent models evaluate ID` for
what it sees beside the float model, `edge-agent models bench --model ID` for time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import labels
from manifest import Manifest, Unusable, changed, model_id, of_file, sha256

try:
    import cv2
    import onnx
    from onnx import version_converter
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    import reference
except ImportError as missing:
    sys.exit(f"quantise: {missing}; install what it needs first: {Path(__file__).with_name('setup')}")

# Per-channel quantisation needs QuantizeLinear with an axis.
_OPSET = 13


class Shown(CalibrationDataReader):
    """Pictures as the network gets them."""

    def __init__(self, manifest: Manifest, files: list[Path]) -> None:
        self.entry = manifest.table["input"]
        self.files = iter(files)

    def get_next(self) -> dict[str, Any] | None:
        file = next(self.files, None)
        if file is None:
            return None
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if picture is None:
            raise Unusable(f"picture {file} cannot be decoded; take it out of --pictures")
        return {self.entry["tensor"]: reference.prepare(picture, self.entry)[0]}


def stays_float(model: onnx.ModelProto, head: int) -> list[str]:
    """Names of the convolutions that are not quantised: stem, depth-wise, and `head` back from the answers."""
    weights = {value.name: list(value.dims) for value in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    makers = {name: node for node in model.graph.node for name in node.output}
    keep = {convolutions[0].name}
    for node in convolutions:
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        if groups > 1 and groups == weights[node.input[1]][0]:
            keep.add(node.name)
    waiting = [(output.name, head) for output in model.graph.output]
    seen: set[tuple[str, int]] = set()
    while waiting:
        name, left = waiting.pop()
        node = makers.get(name)
        if node is None or left == 0 or (name, left) in seen:
            continue
        seen.add((name, left))
        if node.op_type == "Conv":
            keep.add(node.name)
            left -= 1
        waiting += [(entry, left) for entry in node.input]
    return sorted(keep)


def quantise(manifest: Manifest, file: Path, pictures: list[Path], out: Path, head: int | None) -> tuple[int, int]:
    """Writes the int8 network; how many convolutions are quantised, and of how many. `None` is plain."""
    model = onnx.load(str(file))
    if head is not None and model.opset_import[0].version < _OPSET:
        model = version_converter.convert_version(model, _OPSET)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    with tempfile.TemporaryDirectory() as folder:
        raised, ready = Path(folder) / "raised.onnx", Path(folder) / "ready.onnx"
        onnx.save(model, str(raised))
        quant_pre_process(str(raised), str(ready), skip_symbolic_shape=True)
        model = onnx.load(str(ready))
        every = [node.name for node in model.graph.node if node.op_type == "Conv"]
        keep = [] if head is None else stays_float(model, head)
        quantize_static(
            str(ready),
            str(out),
            Shown(manifest, pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=None if head is None else ["Conv"],
            nodes_to_exclude=keep,
            per_channel=head is not None,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    return len(every) - len(keep), len(every)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model.toml of the float model")
    parser.add_argument("--network", type=Path, help="its ONNX file, if it does not lie beside")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of JPEG or PNG to calibrate with")
    parser.add_argument("--labels", type=Path, help="label file: only its pictures, so that those to measure with stay out")
    parser.add_argument("--most", type=int, default=64, help="at most so many of them, evenly chosen [64]")
    parser.add_argument("--id", type=model_id, required=True, help="name of the new model: small letters, digits, -")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--head", type=int, default=1, help="convolutions back from the answers that stay float [1]")
    parser.add_argument("--plain", action="store_true", help="quantise everything, per tensor")
    args = parser.parse_args(arguments)
    try:
        manifest = Manifest.read(args.model)
        weights = manifest.weights(args.network)
        files = sorted(file for file in args.pictures.glob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
        if args.labels is not None:
            named = {Path(image["file_name"]).name for image in labels.read(args.labels)["images"]}
            files = [file for file in files if file.name in named]
        if len(files) < 8:
            raise Unusable(f"{args.pictures} has {len(files)} pictures; calibrate with 8 at least, better 50")
        files = files[:: -(-len(files) // args.most)]
        args.out.mkdir(parents=True, exist_ok=True)
        file = args.out / f"{args.id}.onnx"
        done, of = quantise(manifest, weights, files, file, None if args.plain else args.head)
        top: dict[str, str | int] = {
            "id": args.id,
            "title": f"{manifest.table['title']}, int8",
            "rank": 1000,
            **of_file(file),
            "origin": f"{manifest.table['id']} ({manifest.table['sha256'][:12]}), {done} of {of} convolutions in int8,"
            f" calibrated with {len(files)} pictures; licence and weights are those of that model",
            "obtain": "Make it with deploy/workshop/quantise.py and pictures of your own cameras.",
        }
        (args.out / "model.toml").write_text(changed(manifest, top, {}), encoding="utf-8")
    except (Unusable, labels.Unusable, OSError) as error:
        print(f"quantise: {error}", file=sys.stderr)
        return 1
    print(f"{file}: {done} of {of} convolutions in int8, {file.stat().st_size} bytes, sha256 {sha256(file)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
