"""`deploy/setup` and its steps: what they say and refuse. What they install is proven by using it."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[1]


def setup(*arguments, **environment):
    """Set-up as a user starts it: what the suite exports for other tests is not passed on."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NGATU_")}
    return subprocess.run([DEPLOY / "setup", *arguments], env=clean | environment, capture_output=True, text=True, timeout=60)


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

    def test_what_is_missing_comes_with_its_own_advice(self):
        with tempfile.TemporaryDirectory() as folder:
            # A PATH without Rust; rustc and cargo lie beside neither bash nor git on every machine.
            for name in ("bash", "dirname", "mkdir", "mktemp", "flock", "rm", "sed", "sha256sum", "uname", "sort", "comm", "wc", "basename", "paste", "dpkg-query", "cat", "env", "apt-get"):
                if found := shutil.which(name):
                    Path(folder, name).symlink_to(found)
            looked = setup("--check", "test", PATH=folder)
            self.assertEqual(looked.returncode, 1)
            self.assertIn("missing: Rust 1.92 or newer\n      what to do: install Rust with rustup", looked.stderr)
            self.assertNotIn("what to do: deploy/setup test\n", looked.stderr.rpartition("parts are missing")[2])
        looked = setup("--check", NGATU_MODELS="/nowhere", NGATU_ONNXRUNTIME="/nowhere/libonnxruntime.so")
        self.assertEqual(looked.returncode, 1)
        self.assertIn("what to do: name folders as in .local/models", looked.stderr)
        self.assertIn("what to do: name the libonnxruntime.so itself", looked.stderr)

    def test_a_folder_of_model_files_must_be_there(self):
        refused = setup("run", NGATU_MODEL_FILES="/nowhere")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("NGATU_MODEL_FILES=/nowhere names a folder that is not there", refused.stderr)

    def test_downloaded_model_files_are_installed_when_their_manifest_knows_them(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "root")
            files = Path(folder, "files")
            for path in (root / ".local/models", root / ".local/scratch", files):
                path.mkdir(parents=True)
            for model in ("right", "altered", "absent"):
                manifest = root / "models/catalog" / model / "model.toml"
                manifest.parent.mkdir(parents=True)
                sha256 = hashlib.sha256(f"weights of {model}".encode()).hexdigest()
                manifest.write_text(f'file = "{model}.onnx"\nsha256 = "{sha256}"\n')
            (files / "right.onnx").write_text("weights of right")
            (files / "altered.onnx").write_text("something else")
            (files / "unknown.onnx").write_text("weights of nobody")
            script = f"""
                set -Eeuo pipefail
                here={DEPLOY} root={root} local_dir={root}/.local scratch={root}/.local/scratch target=run log=/dev/null
                source $here/say.sh
                source $here/steps/models.sh
                own_models_ready && echo "ready before"
                own_models_install
                own_models_ready && own_models_title
            """

            def install(**environment):
                environment = {name: value for name, value in os.environ.items() if not name.startswith("NGATU_")} | environment
                return subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=30)

            told = install(NGATU_MODEL_FILES=str(files))
            self.assertEqual(told.stderr, "")
            self.assertEqual(told.stdout, "detectors of your own: right; not used, since their SHA-256 is not that of the manifest: altered\n")
            installed = sorted(str(path.relative_to(root / ".local/models")) for path in (root / ".local/models").rglob("*") if path.is_file())
            self.assertEqual(installed, ["right/right.onnx"])
            self.assertEqual((root / ".local/models/right/right.onnx").read_text(), "weights of right")
            # The folder may go: what was taken over stays, and there is nothing left to do.
            self.assertIn("ready before", install(NGATU_MODEL_FILES=str(files)).stdout)
            shutil.rmtree(files)
            script = script.replace("own_models_install", "")
            self.assertIn("detectors of your own: right", install().stdout)

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
