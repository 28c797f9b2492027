#!/usr/bin/env python3
"""What a detector sees in labelled pictures, for a person to correct.

  look.py --model MODEL.toml --labels labels/train.json --pictures labels/pictures --out seen.json
  labels.py draft --labels labels/train.json --seen seen.json --out draft.json

Take the best detector you have, large and slow if need be: nobody waits for it, and what
it misses a person must find. Any catalogued model with a YOLOX, NanoDet-Plus, PicoDet,
CenterNet or FastestDet head will do.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import labels as label_files
from manifest import Manifest, Unusable

try:
    import cv2

    import reference
except ImportError as missing:
    sys.exit(f"look: {missing}; install what it needs first: {Path(__file__).with_name('setup')}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model.toml of a detector")
    parser.add_argument("--network", type=Path, help="its ONNX file, if it does not lie beside")
    parser.add_argument("--labels", type=Path, required=True, help="COCO, as of `aggregator labels`")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--out", type=Path, required=True, help="what was seen, in COCO's result format")
    parser.add_argument("--low", type=float, default=0.2, help="from this score on [0.2]")
    args = parser.parse_args(arguments)
    try:
        manifest = Manifest.read(args.model)
        detector = reference.Detector(manifest, manifest.weights(args.network), args.low)
        seen = []
        for image in label_files.read(args.labels)["images"]:
            picture = cv2.imread(str(args.pictures / image["file_name"]), cv2.IMREAD_COLOR)
            if picture is None:
                raise Unusable(f"picture {args.pictures / image['file_name']} is not there or cannot be decoded")
            seen += reference.results(detector.see(picture), image["id"])
        args.out.write_text(json.dumps(seen) + "\n", encoding="utf-8")
    except (Unusable, label_files.Unusable, OSError) as error:
        print(f"look: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: {len(seen)} boxes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
