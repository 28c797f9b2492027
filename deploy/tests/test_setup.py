"""`deploy/setup` and its steps: what they say and refuse. What they install is proven by using it."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[1]


def setup(*arguments, **environment):
    return subprocess.run([DEPLOY / "setup", *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)


class SetupTest(unittest.TestCase):
    def test_a_look_at_a_machine_that_has_everything_finds_nothing_missing(self):
        # The suite is run after `deploy/setup test`.
        looked = setup("--check", "test")
        self.assertEqual(looked.returncode, 0, looked.stderr)
        self.assertNotIn("\x1b", looked.stderr, "colours belong on a terminal")

    def test_a_runtime_named_by_the_environment_must_be_there(self):
        refused = setup("run", NGATU_ONNXRUNTIME="/nowhere/libonnxruntime.so")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("NGATU_ONNXRUNTIME names /nowhere/libonnxruntime.so, which is not a file", refused.stderr)

    def test_models_named_by_the_environment_must_be_there(self):
        refused = setup("run", NGATU_MODELS="/nowhere")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("NGATU_MODELS=/nowhere names a folder that is not there", refused.stderr)

    def test_models_and_runtime_elsewhere_are_taken_as_they_are(self):
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder, "libonnxruntime.so")
            library.touch()
            looked = setup("--check", NGATU_ONNXRUNTIME=str(library), NGATU_MODELS=folder)
            self.assertEqual(looked.returncode, 0, looked.stderr)
            self.assertIn(f"models in {folder} (NGATU_MODELS)", looked.stderr)

    def test_an_unknown_word_is_refused_with_the_usage(self):
        refused = setup("everything")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("unknown argument: everything", refused.stderr)
        self.assertIn("Usage: deploy/setup", refused.stderr)

    def test_a_long_command_that_fails_shows_the_end_of_its_log(self):
        with tempfile.TemporaryDirectory() as folder:
            script = f'set -Eeuo pipefail; source {DEPLOY}/say.sh; logged "trying" {folder}/log sh -c "echo first; echo second; exit 7" || echo "status $?"'
            told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
            self.assertEqual(told.stdout, "status 7\n")
            self.assertIn("    | second", told.stderr)


if __name__ == "__main__":
    unittest.main()
