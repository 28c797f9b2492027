#!/usr/bin/env python3
"""Turn the CenterNet object detector of the npm package @vladmandic/human into ONNX.

The package (MIT) carries a MobileNetV3 CenterNet trained on COCO as a TensorFlow.js graph model:
`centernet.json` is the graph, `centernet.bin` the weights in half precision. It is the one permissively
licensed COCO detector that comes from a package registry by name, so a fresh machine always has a detector.

TensorFlow is not needed: the graph uses some fifteen plain operators, translated one to one below. Its tail
(peak picking, top 100, boxes) is left out; `models/src/heads/centernet.rs` does that, for any picture size.

    input   image    [1, 3, 512, 512]   RGB, 0 to 255
    output  heatmap  [1, 80, 128, 128]  score of a class's object centre, 0 to 1
            ltrb     [1, 4, 128, 128]   distances centre to left, top, right, bottom edge, input pixels

The bytes that come out depend only on the bytes that go in, so the model's manifest names one SHA-256 and
this script refuses to leave any other file behind.
"""

import argparse
import base64
import hashlib
import json
import os
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    sys.exit(
        f"convert_centernet: {missing}; install what it needs first:"
        f" python3 -m venv VENV && VENV/bin/pip install --require-hashes -r {Path(__file__).with_name('requirements.txt')}"
    )

PACKAGE = "@vladmandic/human"
PACKAGE_VERSION = "3.3.6"
PACKAGE_SHA256 = "425e9c51dbbca0c8934362b170cb0d54c2529c11c654b3c03092b16e9d6ad3f7"
GRAPH_IN_PACKAGE = "package/models/centernet.json"
WEIGHTS_IN_PACKAGE = "package/models/centernet.bin"
MANIFEST = Path(__file__).resolve().parents[2] / "models/catalog/centernet-mb3-512/model.toml"

OPSET = 13
IR_VERSION = 8  # what opset 13 came with; any runtime since 2021 reads it
INPUT, HEATMAP, LTRB = "image", "heatmap", "ltrb"
SIZE = 512


class Refused(Exception):
    """Something that the user can mend; its text says how."""


def read_package(path):
    """The graph and the weights out of the npm tarball, after checking that it is the known one."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Refused(
            f"cannot read {path}: {error.strerror}; get it with: npm pack {PACKAGE}@{PACKAGE_VERSION}"
        ) from error
    found = hashlib.sha256(raw).hexdigest()
    if found != PACKAGE_SHA256:
        raise Refused(
            f"{path} is not {PACKAGE} {PACKAGE_VERSION}: its sha256 is {found}, expected {PACKAGE_SHA256};"
            f" fetch it again with: npm pack {PACKAGE}@{PACKAGE_VERSION}"
        )
    with tarfile.open(path) as tarball:
        graph = json.load(tarball.extractfile(GRAPH_IN_PACKAGE))
        weights = tarball.extractfile(WEIGHTS_IN_PACKAGE).read()
    return graph, weights


def read_constants(graph, raw):
    """Every constant by name. Half-precision weights become single precision, which loses nothing."""
    constants, offset = {}, 0
    for group in graph["weightsManifest"]:
        for entry in group["weights"]:
            quantised = entry.get("quantization", {}).get("dtype")
            stored = {"float16": np.float16, None: np.dtype(entry["dtype"])}.get(quantised)
            if stored is None:
                raise Refused(f"weight {entry['name']} is quantised as {quantised}, which is not known here")
            count = int(np.prod(entry["shape"], dtype=np.int64))
            values = np.frombuffer(raw, stored, count, offset).reshape(entry["shape"])
            constants[entry["name"]] = values.astype(entry["dtype"])
            offset += values.nbytes
    if offset != len(raw):
        raise Refused(f"the weights have {len(raw)} bytes but the graph describes {offset}")
    return constants


class Translation:
    """Translates TensorFlow nodes, which are NHWC, into ONNX nodes, which are NCHW.

    `shapes` follows channels, height and width of every tensor, because TensorFlow's SAME padding depends
    on the size of the picture and ONNX wants it in numbers.
    """

    def __init__(self, graph, constants):
        self.source = {node["name"]: node for node in graph["modelTopology"]["node"]}
        self.constants = constants
        self.nodes, self.initializers, self.stored = [], [], set()
        self.shapes = {}
        self.names = {}

    def translate(self, wanted):
        """Translates what `wanted` (TensorFlow name → ONNX name) needs, in an order fixed by the graph."""
        self.names.update(wanted)
        for name in self.in_order(wanted):
            node = self.source[name]
            if node["op"] == "Const":
                continue
            rule = getattr(self, f"op_{node['op'].lstrip('_').lower()}", None)
            if rule is None:
                raise Refused(f"the graph has a {node['op']} at {name}, which this script cannot translate")
            rule(node)

    def in_order(self, roots):
        """Depth first, inputs before users. A stack of our own: the graph is deeper than Python's."""
        done, order, stack = set(), [], [(root, False) for root in reversed(list(roots))]
        while stack:
            name, inputs_done = stack.pop()
            if name in done:
                continue
            if inputs_done:
                done.add(name)
                order.append(name)
                continue
            stack.append((name, True))
            stack.extend((i, False) for i in reversed(self.source[name].get("input", [])) if i not in done)
        return order

    # Bookkeeping.

    def name(self, tensor):
        return self.names.get(tensor, tensor)

    def store(self, name, array):
        if name not in self.stored:
            self.stored.add(name)
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def emit(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))

    def operand(self, tensor):
        """A tensor's name; a constant is stored on the way, its channels where NCHW has them."""
        if tensor not in self.constants:
            return self.name(tensor)
        value = self.constants[tensor].astype(np.float32)
        if value.size > 1:
            if value.shape[-1] != value.size:
                raise Refused(f"constant {tensor} of shape {value.shape} is not one value per channel")
            value = value.reshape(1, -1, 1, 1)
        return self.store(tensor, value)

    # Operators.

    def op_placeholder(self, node):
        self.names[node["name"]] = INPUT
        self.shapes[node["name"]] = (3, SIZE, SIZE)

    def op_identity(self, node):
        self.shapes[node["name"]] = self.shapes[node["input"][0]]
        self.emit("Identity", [self.operand(node["input"][0])], self.name(node["name"]))

    def convolution(self, node, weights, group):
        source = node["input"][0]
        channels, height, width = self.shapes[source]
        attributes = node["attr"]
        strides = [int(i) for i in attributes["strides"]["list"]["i"]][1:3]
        dilations = [int(i) for i in attributes["dilations"]["list"]["i"]]
        padding = base64.b64decode(attributes["padding"]["s"]).decode()
        if padding not in ("SAME", "VALID") or any(d != 1 for d in dilations):
            raise Refused(f"{node['name']}: padding {padding}, dilations {dilations} are not known here")
        kernel = list(weights.shape[2:])
        lost = [0, 0] if padding == "SAME" else [k - 1 for k in kernel]
        size = [-(-(extent - l) // stride) for extent, l, stride in zip((height, width), lost, strides)]
        total = [
            max((out - 1) * stride + k - extent, 0)
            for out, stride, k, extent in zip(size, strides, kernel, (height, width))
        ]
        # TensorFlow puts the odd pixel of padding at the end.
        begin = [t // 2 for t in total]
        end = [t - b for t, b in zip(total, begin)]

        inputs = [self.operand(source), self.store(f"{node['input'][1]}:nchw", weights)]
        fused = [base64.b64decode(s).decode() for s in attributes.get("fused_ops", {}).get("list", {}).get("s", [])]
        activation = None
        for operation in fused:
            if operation == "BiasAdd":
                bias = node["input"][2]
                inputs.append(self.store(bias, self.constants[bias].astype(np.float32)))
            elif operation in ("Relu", "Relu6"):
                activation = operation
            else:
                raise Refused(f"{node['name']}: fused {operation} is not known here")
        output = self.name(node["name"])
        convolved = f"{output}:conv" if activation else output
        self.emit(
            "Conv", inputs, convolved,
            kernel_shape=kernel, strides=strides, pads=begin + end, group=group,
        )
        if activation:
            self.activate(activation, convolved, output)
        self.shapes[node["name"]] = (weights.shape[0], *size)

    def op_conv2d(self, node):
        weights = self.constants[node["input"][1]]  # height, width, in, out
        self.convolution(node, weights.transpose(3, 2, 0, 1), group=1)

    op_fusedconv2d = op_conv2d

    def op_depthwiseconv2dnative(self, node):
        weights = self.constants[node["input"][1]]  # height, width, channel, multiplier
        height, width, channels, multiplier = weights.shape
        weights = weights.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
        self.convolution(node, weights, group=channels)

    op_fuseddepthwiseconv2dnative = op_depthwiseconv2dnative

    def activate(self, kind, source, output):
        if kind == "Relu6":
            bounds = [self.store(f"clip:{v}", np.array(v, np.float32)) for v in (0.0, 6.0)]
            self.emit("Clip", [source, *bounds], output)
        else:
            self.emit(kind, [source], output)

    def activation(self, node):
        self.shapes[node["name"]] = self.shapes[node["input"][0]]
        self.activate(node["op"], self.operand(node["input"][0]), self.name(node["name"]))

    op_relu = op_relu6 = op_sigmoid = activation

    def elementwise(self, node):
        known = [self.shapes[i] for i in node["input"] if i in self.shapes]
        self.shapes[node["name"]] = max(known, key=lambda shape: shape[1] * shape[2])
        self.emit(node["op"], [self.operand(i) for i in node["input"]], self.name(node["name"]))

    op_add = op_mul = elementwise

    def op_mean(self, node):
        source, axes = node["input"]
        if sorted(self.constants[axes].tolist()) != [1, 2] or not node["attr"]["keep_dims"]["b"]:
            raise Refused(f"{node['name']}: a mean over other axes than height and width is not known here")
        self.shapes[node["name"]] = (self.shapes[source][0], 1, 1)
        self.emit("GlobalAveragePool", [self.operand(source)], self.name(node["name"]))

    def op_concatv2(self, node):
        *sources, axis = node["input"]
        if int(self.constants[axis]) != 3:
            raise Refused(f"{node['name']}: concatenation along another axis than channels is not known here")
        channels = sum(self.shapes[s][0] for s in sources)
        self.shapes[node["name"]] = (channels, *self.shapes[sources[0]][1:])
        self.emit("Concat", [self.operand(s) for s in sources], self.name(node["name"]), axis=1)

    def op_resizebilinear(self, node):
        source, wanted = node["input"]
        attributes = node["attr"]
        if attributes["align_corners"]["b"] or attributes["half_pixel_centers"]["b"]:
            raise Refused(f"{node['name']}: only the corner-anchored resize of TensorFlow 1 is known here")
        channels, height, width = self.shapes[source]
        new_height, new_width = (int(v) for v in self.constants[wanted])
        scales = np.array([1, 1, new_height / height, new_width / width], np.float32)
        scales = self.store("scales:" + "x".join(f"{s:g}" for s in scales), scales)
        self.shapes[node["name"]] = (channels, new_height, new_width)
        self.emit(
            "Resize", [self.operand(source), "", scales], self.name(node["name"]),
            mode="linear", coordinate_transformation_mode="asymmetric",
        )


def convert(graph, raw_weights):
    """The ONNX model's bytes."""
    translation = Translation(graph, read_constants(graph, raw_weights))
    translation.translate({"tower_0/keypoints": HEATMAP, "tower_0/wh": LTRB})
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *translation.shapes[tensor]])
        for tensor, name in (("tower_0/keypoints", HEATMAP), ("tower_0/wh", LTRB))
    ]
    image = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 3, SIZE, SIZE])
    model = helper.make_model(
        helper.make_graph(translation.nodes, "centernet-mb3-512", [image], outputs, translation.initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="ngatu-convert-centernet",
        producer_version="1",
        doc_string=f"CenterNet on MobileNetV3, COCO; from {PACKAGE} {PACKAGE_VERSION} (MIT)",
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def read_manifest(path):
    """What the result must be called and must hash to."""
    try:
        manifest = tomllib.loads(path.read_text(encoding="utf-8"))
        return manifest["file"], manifest["sha256"]
    except OSError as error:
        raise Refused(f"cannot read the manifest {path}: {error.strerror}; name it with --manifest") from error
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise Refused(f"{path} is not a model manifest: {error}") from error


def write(folder, name, content):
    """All of it or nothing: a killed run leaves no half a model under the model's name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(partial, 0o644)
            os.replace(partial, folder / name)
        except BaseException:
            os.unlink(partial)
            raise
    except OSError as error:
        raise Refused(f"cannot write {folder / name}: {error.strerror}; free space or choose another --out") from error


def main():
    summary, _, details = __doc__.partition("\n\n")
    options = argparse.ArgumentParser(
        prog="convert_centernet.py", description=summary, epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument(
        "--package", type=Path, required=True, metavar="TGZ",
        help=f"the package's tarball, as `npm pack {PACKAGE}@{PACKAGE_VERSION}` leaves it",
    )
    options.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to put the model; made if missing")
    options.add_argument(
        "--manifest", type=Path, default=MANIFEST, metavar="TOML",
        help="names the file and its sha256 (default: the one in models/catalog)",
    )
    arguments = options.parse_args()
    try:
        name, expected = read_manifest(arguments.manifest)
        content = convert(*read_package(arguments.package))
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise Refused(
                f"the result has sha256 {found} but {arguments.manifest} says {expected}; nothing was written;"
                f" use the versions in requirements.txt (here: onnx {onnx.__version__}, numpy {np.__version__})"
            )
        write(arguments.out, name, content)
    except Refused as refusal:
        sys.exit(f"convert_centernet: {refusal}")
    print(f"{arguments.out / name}: {len(content)} bytes, sha256 {found}")


if __name__ == "__main__":
    main()
