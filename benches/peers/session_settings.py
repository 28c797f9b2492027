#!/usr/bin/env python3
"""What settings of ONNX Runtime cost: the same network with one of them changed at a time.

Each setting and the usual ones (as the agent has them) take turns, picture by picture, so that
a restless machine disturbs both alike. Written are the processor's time of each over that of the
usual ones, and the memory that the process holds more after it.

    .local/bench-venv/bin/python benches/peers/session_settings.py .local/models/centernet-mb3-512/centernet_mb3_512.onnx
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort


def options(**changes: object) -> ort.SessionOptions:
    """As the agent has them (edge-agent/inference/src/session.rs), with these changed."""
    made = ort.SessionOptions()
    made.intra_op_num_threads = 1
    made.inter_op_num_threads = 1
    made.log_severity_level = 3
    spins = changes.pop("spinning", False)
    made.add_session_config_entry("session.intra_op.allow_spinning", str(int(bool(spins))))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


SETTINGS: list[tuple[str, dict[str, object], bool]] = [
    ("as usual, once more: the noise", {}, False),
    ("IoBinding, one output buffer used again", {}, True),
    ("no memory arena", {"enable_cpu_mem_arena": False}, False),
    ("no memory pattern", {"enable_mem_pattern": False}, False),
    ("neither arena nor pattern", {"enable_cpu_mem_arena": False, "enable_mem_pattern": False}, False),
    ("two threads", {"intra_op_num_threads": 2}, False),
    ("two threads that spin", {"intra_op_num_threads": 2, "spinning": True}, False),
    ("operators side by side", {"execution_mode": ort.ExecutionMode.ORT_PARALLEL, "inter_op_num_threads": 2}, False),
    ("basic optimisation only", {"graph_optimization_level": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC}, False),
]


def resident_mib() -> float:
    """Anonymous memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def looker(file: Path, changes: dict[str, object], is_bound: bool, picture: np.ndarray) -> Callable[[], None]:
    session = ort.InferenceSession(str(file), options(**changes), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    if not is_bound:
        return lambda: session.run(None, {name: picture})
    binding = session.io_binding()
    # Bound once: what is read next time lies in the same place, as in an agent's reused buffer.
    kept = ort.OrtValue.ortvalue_from_numpy(picture)
    binding.bind_ortvalue_input(name, kept)
    for meta, value in zip(session.get_outputs(), session.run(None, {name: picture})):
        binding.bind_ortvalue_output(meta.name, ort.OrtValue.ortvalue_from_numpy(value))
    return lambda: session.run_with_iobinding(binding)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="an ONNX file with one picture as its input")
    parser.add_argument("--looks", type=int, default=60, help="of each setting and of the usual ones [60]")
    args = parser.parse_args()
    first = ort.InferenceSession(str(args.model), options(), providers=["CPUExecutionProvider"]).get_inputs()[0]
    shape = [side if isinstance(side, int) else fallback for side, fallback in zip(first.shape, (1, 3, 416, 416))]
    kind = np.uint8 if "uint8" in first.type else np.float32
    picture = np.random.default_rng(1).integers(0, 255, shape).astype(kind)
    usual = looker(args.model, {}, False, picture)
    print("| setting | processor's time over the usual | least … most of five parts | elapsed time over the usual | MiB more |")
    print("|---|---|---|---|---|")
    for name, changes, is_bound in SETTINGS:
        before, spins = resident_mib(), bool(changes.get("spinning"))
        other = looker(args.model, changes, is_bound, picture)
        for look in (usual, other):
            for _ in range(5):
                look()
        # A thread that spins goes on into the other's turn, so those take turns of a fifth of all.
        row = args.looks // 5 if spins else 1
        cpu: list[float] = []
        elapsed: list[float] = []
        for _ in range(args.looks // row):
            spent = []
            for look in (usual, other):
                began, ticked = time.process_time(), time.perf_counter()
                for _ in range(row):
                    look()
                if spins:
                    time.sleep(0.05)
                spent.append((time.process_time() - began, time.perf_counter() - ticked))
            cpu.append(spent[1][0] / spent[0][0])
            elapsed.append(spent[1][1] / spent[0][1])
        more = resident_mib() - before
        part = max(1, len(cpu) // 5)
        parts = [statistics.median(cpu[at : at + part]) for at in range(0, part * 5, part)]
        print(
            f"| {name} | {statistics.median(cpu):.3f} | {min(parts):.3f} … {max(parts):.3f}"
            f" | {statistics.median(elapsed):.3f} | {more:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
