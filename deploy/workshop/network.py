"""YOLOX as its authors wrote it (PyPI `yolox`, Apache-2.0), with weights out of ONNX and back.

The published ONNX file is the deployed form: batch normalisation is folded into the
convolutions, and such a network cannot be trained on: its weights are of very different
sizes, and the first step throws it apart. So it is *unfolded* (`unfold`): each channel's
weights get length 1, and its normalisation the mean and variance that your own pictures
give. The network answers as before (`check` proves it), and learns as its authors' did.
On 16 pictures of vtest this takes the first gradient's norm from 2441 to 14.
"""

from __future__ import annotations

import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from yolox.models import YOLOPAFPN, YOLOX, YOLOXHead
from yolox.models.network_blocks import BaseConv

from manifest import Unusable

# Depth, width, depth-wise: the authors' exps/default.
VARIANTS: dict[str, tuple[float, float, bool]] = {
    "nano": (0.33, 0.25, True),
    "tiny": (0.33, 0.375, False),
    "s": (0.33, 0.5, False),
    "m": (0.67, 0.75, False),
}
STRIDES = (8, 16, 32)
# What torch raises of a file that is no state, or half of one, or of another network.
NO_STATE = (AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError, pickle.PickleError)
# What a class that was never seen starts from (Lin et al., focal loss).
_PRIOR = 0.01


class Objectness(nn.BCEWithLogitsLoss):
    """Binary cross-entropy that leaves places out of which nobody said what is there.

    YOLOX calls it for objectness with a row per place, and for classes with a row per
    match. `unknown` (pictures × places) is heeded for the former alone, and never where
    something is known to be.
    """

    def __init__(self) -> None:
        super().__init__(reduction="none")
        self.unknown: torch.Tensor | None = None

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = super().forward(input, target)
        if self.unknown is not None and loss.shape == (self.unknown.numel(), 1):
            loss = loss * ~(self.unknown.reshape(-1, 1) & (target == 0))
        return loss


def build(variant: str, classes: int) -> YOLOX:
    """A network with weights of no meaning."""
    depth, width, depthwise = VARIANTS[variant]
    channels = [256, 512, 1024]
    backbone = YOLOPAFPN(depth, width, in_channels=channels, depthwise=depthwise)
    head = YOLOXHead(classes, width, in_channels=channels, depthwise=depthwise)
    head.bcewithlog_loss = Objectness()
    head.decode_in_inference = False
    model = YOLOX(backbone, head)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
            module.momentum = 0.03
    return model


def learning(model: YOLOX, keep: str) -> None:
    """Training mode; with `backbone` the first half of the network stays as it is."""
    model.train()
    if keep == "backbone":
        model.backbone.backbone.eval()
        for parameter in model.backbone.backbone.parameters():
            parameter.requires_grad_(False)


def measuring(model: YOLOX) -> None:
    """Losses are computed as in training, and nothing is learnt, statistics included."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def from_onnx(file: Path, classes: int) -> tuple[YOLOX, str]:
    """The network of an ONNX file, and which variant it is."""
    graph = onnx.load(str(file)).graph
    values = {value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer}
    # An exporter writes equal values once and refers to them.
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
    weights = [[values[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    for variant in VARIANTS:
        model = build(variant, classes).eval()
        convolutions = _in_order(model)
        shapes = [tuple(convolution.weight.shape) for convolution, _ in convolutions]
        if shapes == [pair[0].shape for pair in weights] and all(len(pair) == 2 for pair in weights):
            for (convolution, block), (weight, bias) in zip(convolutions, weights, strict=True):
                _fill(convolution, block, torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy()))
            check(model, file, 1e-2)
            return model, variant
    raise Unusable(
        f"{file} is no YOLOX {', '.join(VARIANTS)} of {classes} classes with its normalisations folded;"
        " start from the ONNX file of the YOLOX release"
    )


def _in_order(model: YOLOX) -> list[tuple[nn.Conv2d, BaseConv | None]]:
    """Convolutions as they are run, which is the order of an exported graph."""
    blocks = {module.conv: module for module in model.modules() if isinstance(module, BaseConv)}
    order: list[tuple[nn.Conv2d, BaseConv | None]] = []
    hooks = [
        module.register_forward_hook(lambda module, *_: order.append((module, blocks.get(module))))
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    return order


@torch.no_grad()
def _fill(convolution: nn.Conv2d, block: BaseConv | None, weight: torch.Tensor, bias: torch.Tensor) -> None:
    convolution.weight.copy_(weight)
    if block is None:
        convolution.bias.copy_(bias)
    else:
        block.bn.running_mean.zero_()
        block.bn.running_var.fill_(1.0)
        block.bn.weight.fill_(math.sqrt(1.0 + block.bn.eps))
        block.bn.bias.copy_(bias)


@torch.no_grad()
def unfold(model: YOLOX, pixels: torch.Tensor) -> None:
    """Gives the normalisations back their work, by what `pixels` (a batch) make of the network."""
    model.eval()
    blocks = [module for module in model.modules() if isinstance(module, BaseConv)]
    seen: dict[BaseConv, tuple[torch.Tensor, torch.Tensor]] = {}

    def watch(block: BaseConv) -> torch.utils.hooks.RemovableHandle:
        def keep(_: nn.Module, __: tuple, out: torch.Tensor) -> None:
            seen[block] = (out.mean((0, 2, 3)), out.var((0, 2, 3), unbiased=False))

        return block.conv.register_forward_hook(keep)

    hooks = [watch(block) for block in blocks]
    before = model(pixels)
    for hook in hooks:
        hook.remove()
    for block in blocks:
        mean, variance = seen[block]
        length = block.conv.weight.flatten(1).norm(dim=1).clamp_min(1e-6)
        block.conv.weight.div_(length.view(-1, 1, 1, 1))
        # A channel that never moves would be blown up to a variance of one.
        variance = (variance / length**2).clamp_min(1e-6)
        block.bn.running_mean.copy_(mean / length)
        block.bn.running_var.copy_(variance)
        block.bn.weight.copy_(torch.sqrt(variance + block.bn.eps) * length)
        block.bn.bias.add_(mean)
    apart = float((model(pixels) - before).abs().max())
    if apart > 1e-2:
        raise Unusable(f"the unfolded network answers differently ({apart:.4f} apart); report it")


@torch.no_grad()
def widen(model: YOLOX, more: int) -> None:
    """Adds classes that the network does not know; what it knows stays."""
    head = model.head
    for level, old in enumerate(head.cls_preds):
        new = nn.Conv2d(old.in_channels, old.out_channels + more, 1)
        nn.init.normal_(new.weight, std=0.01)
        new.bias.fill_(-math.log((1 - _PRIOR) / _PRIOR))
        new.weight[: old.out_channels].copy_(old.weight)
        new.bias[: old.out_channels].copy_(old.bias)
        head.cls_preds[level] = new
    head.num_classes += more


def places(width: int, height: int) -> np.ndarray:
    """Centres (x, y) of all places that the network answers for, in its own order."""
    centres = []
    for stride in STRIDES:
        rows, columns = np.mgrid[0 : height // stride, 0 : width // stride]
        centres.append((np.stack([columns, rows], -1).reshape(-1, 2) + 0.5) * stride)
    return np.concatenate(centres).astype(np.float32)


def to_onnx(model: YOLOX, file: Path, width: int, height: int, dynamic: bool) -> None:
    """Writes the deployed form: `images` [1, 3, H, W] to `output` [1, places, 5 + classes]."""
    model.eval()
    axes = {"images": {2: "height", 3: "width"}, "output": {1: "places"}} if dynamic else None
    # It warns of shapes that it infers wrongly; `check` finds out whether it did.
    warnings.filterwarnings("ignore", module="torch.onnx")
    torch.onnx.export(
        model,
        torch.zeros(1, 3, height, width),
        str(file),
        input_names=["images"],
        output_names=["output"],
        dynamic_axes=axes,
        opset_version=13,
    )
    check(model, file, 1e-2)


def check(model: YOLOX, file: Path, tolerance: float) -> None:
    """Refuses a pair of network and file that do not answer alike."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    height, width = (side if isinstance(side, int) else 128 for side in entry.shape[2:])
    picture = np.random.default_rng(0).uniform(0, 255, (1, 3, height, width)).astype(np.float32)
    with torch.no_grad():
        ours = model(torch.from_numpy(picture)).numpy()
    theirs = session.run(None, {entry.name: picture})[0]
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, atol=tolerance, rtol=1e-3):
        apart = "shapes differ" if ours.shape != theirs.shape else f"{np.abs(ours - theirs).max():.4f} apart"
        raise Unusable(f"{file} and the network answer differently ({apart}); report it with the file's origin")
