"""The simulated junction: what stands in the repository is what the script makes, and it is fit to be judged by."""

import gzip
import json
import subprocess
import sys
import unittest
from pathlib import Path

DEMO = Path(__file__).resolve().parents[1] / "demo"


class SimulationTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with gzip.open(DEMO / "junction.inputs.jsonl.gz", "rt") as lines:
            cls.inputs = [json.loads(line) for line in lines]
        cls.acts = json.loads((DEMO / "junction.truth.json").read_text())["acts"]

    def test_the_script_makes_the_files_that_are_here(self):
        made = subprocess.run([sys.executable, "-B", DEMO / "simulate_junction.py", "--check"], capture_output=True, text=True, timeout=60)
        self.assertEqual(made.returncode, 0, made.stderr)

    def test_frames_come_ten_times_a_second_without_a_hole(self):
        frames = [line["detections"] for line in self.inputs if "detections" in line]
        self.assertEqual([frame["frame"] for frame in frames], list(range(1200)))
        times = [60 * int(f["time"][14:16]) + float(f["time"][17:26]) for f in frames]
        self.assertTrue(all(abs(b - a - 0.1) < 1e-9 for a, b in zip(times, times[1:])))

    def test_every_kind_shows_itself_within_the_first_minute(self):
        kinds = {act["kind"] for act in self.acts if act["from_s"] < 60}
        self.assertEqual(kinds, {"red_light", "wrong_way", "stopped_vehicle", "pedestrian_on_carriageway"})

    def test_red_light_runners_cross_while_the_recorded_signal_is_red(self):
        readings = [line["signal"] for line in self.inputs if line.get("signal", {}).get("group") == "northbound"]
        for act in (act for act in self.acts if act["kind"] == "red_light"):
            at = f"1970-01-01T00:{int(act['from_s'] // 60):02d}:{act['from_s'] % 60:09.6f}Z"
            before = [reading["state"] for reading in readings if reading["time"] <= at]
            self.assertEqual(before[-1], "red", act)


if __name__ == "__main__":
    unittest.main()
