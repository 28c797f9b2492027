"""Examples and systemd units as an operator meets them: the programs take them, and the steps that they name can be followed.

Needs the programs (`make build`).
"""

import os
import re
import shlex
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "deploy" / "example"
PROGRAMS = Path(os.environ.get("NGATU_PROGRAMS", ROOT / "target" / "debug"))
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


def run(program, *arguments, **environment):
    return subprocess.run([PROGRAMS / program, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)


def uncommented(text):
    """The file with its suggested settings in force: a comment that is a setting or a section, not a sentence."""
    return re.sub(r"(?m)^# (?=\[\[?[a-z.]+\]\]?|\"?[a-z/0-9_-]+\"? = )", "", text)


class ExampleTest(unittest.TestCase):
    def test_the_agent_takes_every_configuration_of_a_box(self):
        boxes = [file for file in EXAMPLES.glob("*.toml") if file.name != "aggregator.toml"]
        self.assertGreaterEqual(len(boxes), 3)
        for file in boxes:
            with self.subTest(file.name):
                checked = run("edge-agent", "check", "--offline", file, NORTH_PASSWORD="secret")
                self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_the_centre_takes_its_configuration(self):
        checked = run("aggregator", "check", "--config", EXAMPLES / "aggregator.toml")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertIn("http on 127.0.0.1:8800, front door on 127.0.0.1:1883", checked.stdout)

    def test_the_centre_knows_every_setting_that_its_configuration_suggests(self):
        text = uncommented((EXAMPLES / "aggregator.toml").read_text())
        text = text.replace("…64 hexadecimal digits…", "ab" * 32)
        self.assertIn("client_ca_file", tomllib.loads(text)["mqtt"]["tls"])
        self.assertIn("hosts", tomllib.loads(text)["http"])
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "aggregator.toml")
            file.write_text(text.replace("/etc/ngatu/", f"{folder}/"))
            Path(folder, "evidence-token").write_text("ab" * 32)
            made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=centre.example"]
            subprocess.run([*made, "-keyout", "centre.key", "-out", "centre.pem"], cwd=folder, check=True, capture_output=True, timeout=120)
            Path(folder, "boxes-ca.pem").write_text(Path(folder, "centre.pem").read_text())
            self.revoke_nothing(Path(folder))
            checked = run("aggregator", "check", "--config", file)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_a_box_knows_every_setting_that_its_configuration_suggests(self):
        suggested = uncommented((EXAMPLES / "box.toml").read_text())
        for section in ("[detector.shadow]", "[detector.plates]", "[camera.detect]", "[record]"):
            self.assertIn(f"\n{section}", suggested)
        for key in ("provider", "device", "engine_cache", "trusted_keys"):
            self.assertRegex(suggested, f"(?m)^{key} = ")
        self.assertEqual(suggested.count("\n[[camera.cascade]]\n"), 3)

        def checked(*without):
            """What the agent says of all of them but these, which others of them exclude."""
            text = re.sub(rf"(?m)^({'|'.join(without)}) = .*\n", "", suggested)
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "uplink.password").write_text("secret")
                Path(folder, "evidence-token").write_text("ab" * 32)
                file = Path(folder, "box.toml")
                file.write_text(text)
                return run("edge-agent", "check", "--offline", file, NORTH_PASSWORD="secret")

        faulty = 2
        # Models of one's own are not here, which is no fault of the file.
        for without in (("tiles", "idle", "empty_heartbeat_s"), ("look_every", "idle", "empty_heartbeat_s")):
            with self.subTest(f"without {without}"):
                said = checked(*without)
                self.assertNotEqual(said.returncode, faulty, said.stdout + said.stderr)
                self.assertIn("configuration: 1 camera(s)", said.stdout)
        # Known, and not for a camera whose pictures show the lamps, or where fire is looked for.
        for key, other, why in (("idle", "empty_heartbeat_s", "lamp"), ("empty_heartbeat_s", "idle", "cascades")):
            said = checked("tiles", other)
            self.assertEqual(said.returncode, faulty, said.stdout)
            self.assertRegex(said.stderr, rf"box\.toml:\d+: camera\[0\]\.detect\.{key}: [^\n]*{why}")
            self.assertEqual(len(said.stderr.strip().splitlines()), 1, said.stderr)

    @staticmethod
    def revoke_nothing(folder):
        """Writes an empty list of revoked certificates, as the authority of the boxes would."""
        (folder / "index.txt").touch()
        (folder / "crlnumber").write_text("01\n")
        (folder / "ca.cnf").write_text("[ca]\ndefault_ca = boxes\n[boxes]\ndatabase = index.txt\ncrlnumber = crlnumber\ndefault_md = sha256\ndefault_crl_days = 30\n")
        made = ["openssl", "ca", "-gencrl", "-config", "ca.cnf", "-keyfile", "centre.key", "-cert", "centre.pem", "-out", "boxes.crl"]
        subprocess.run(made, cwd=folder, check=True, capture_output=True, timeout=120)

    def test_a_live_box_needs_nothing_but_its_camera(self):
        live = tomllib.loads((EXAMPLES / "live.toml").read_text())
        self.assertEqual(len(live["camera"]), 1)
        self.assertNotIn("password_env", live["camera"][0]["source"])
        self.assertFalse(Path(live["store"]["dir"]).is_absolute())
        centre = tomllib.loads((EXAMPLES / "aggregator.toml").read_text())
        self.assertEqual(live["uplink"]["url"], f"mqtt://{centre['mqtt']['listen']}")
        self.assertEqual(live["uplink"]["evidence_url"], f"http://{centre['http']['listen']}")


class PageTest(unittest.TestCase):
    """docs/install.md, as far as it can be followed without being root on a machine of its own."""

    page = (ROOT / "docs" / "install.md").read_text()

    def blocks(self, language):
        return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", self.page)

    def test_its_certificates_are_what_the_centre_takes(self):
        commands = [block for block in self.blocks("sh") if re.match("openssl (req|ca)", block)]
        self.assertEqual(len(commands), 4, "authority, centre, box, revocation")
        settings = next(block for block in self.blocks("toml") if "[uploads.tls]" in block)
        with tempfile.TemporaryDirectory() as folder:
            for block in commands:
                made = subprocess.run(["bash", "-euc", block], cwd=folder, capture_output=True, text=True, timeout=120)
                self.assertEqual(made.returncode, 0, f"{block}\n{made.stderr}")
            revoked = subprocess.run(["openssl", "crl", "-in", "boxes.crl", "-noout", "-text"], cwd=folder, check=True, capture_output=True, text=True, timeout=60)
            self.assertIn("Serial Number", revoked.stdout)
            file = Path(folder, "aggregator.toml")
            file.write_text(settings.replace("/etc/ngatu/", f"{folder}/"))
            checked = run("aggregator", "check", "--config", file, "--data-dir", Path(folder, "centre"))
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
            self.assertIn("with certificates of boxes", checked.stdout)

    def test_it_installs_what_the_units_say(self):
        for unit in UNITS:
            for step in re.findall(r"(?m)^#   ((?:install|useradd) .*)$", unit.read_text()):
                self.assertIn(f"\n{step}\n", self.page, f"{unit.name} has another step than docs/install.md")

    def test_its_box_is_one_that_the_agent_takes(self):
        box, camera = (next(block for block in self.blocks("toml") if block.startswith(start)) for start in ("[box]", "[[camera]]"))
        with tempfile.TemporaryDirectory() as folder:
            for name in ("boxes-ca.pem", "box-01.pem", "box-01.key", "north.password"):
                Path(folder, name).write_text("x")
            file = Path(folder, "agent.toml")
            file.write_text((box + camera).replace("/etc/ngatu/", f"{folder}/"))
            checked = run("edge-agent", "check", "--offline", file)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


class UnitTest(unittest.TestCase):
    def test_the_steps_of_a_unit_bring_all_that_it_names(self):
        self.assertEqual(len(UNITS), 2)
        for unit in UNITS:
            with self.subTest(unit.name), tempfile.TemporaryDirectory() as folder:
                machine = Path(folder)
                for existing in ("usr/bin", "etc/systemd/system", "var/lib"):
                    (machine / existing).mkdir(parents=True)
                text = unit.read_text()
                steps = re.findall(r"(?m)^#   (install .*)$", text)
                self.assertGreaterEqual(len(steps), 5)
                for step in steps:
                    self.follow(step, machine)
                for place in re.findall(r"(?:^Documentation=| )file://(\S+)|(?:=| )(/(?:usr|etc|opt)/\S+)", text[text.index("[Unit]") :]):
                    named = machine / (place[0] or place[1]).lstrip("/")
                    self.assertTrue(named.is_file(), f"{unit.name} names {named.relative_to(machine)}, which no step installs")

    def test_what_decodes_and_computes_has_its_nodes_in_the_page_and_in_the_unit(self):
        page = (ROOT / "docs" / "install.md").read_text()
        table = page[page.index("### Device nodes") :]
        rows = re.findall(r"(?m)^\| [^|]+\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|[^|]*\|$", table)
        named = {word for row in rows for word in re.findall(r"`([a-z0-9_]+)`", row[0] + row[1])}
        agent = ROOT / "edge-agent"
        words = {
            "family.rs": (agent / "video" / "src" / "decoder" / "family.rs", r'Self::\w+ => "(\w+)",'),
            "provider.rs": (agent / "inference" / "src" / "provider.rs", r'Self::\w+ => "(\w+)",'),
        }
        # Not on Linux, or with the graphics' own nodes.
        elsewhere = {"d3d", "vt", "amf"}
        for name, (source, word) in words.items():
            of_code = set(re.findall(word, source.read_text())) - elsewhere
            self.assertGreaterEqual(len(of_code), 7, name)
            self.assertLessEqual(of_code, named, f"docs/install.md has no row for some of {name}")
        unit = (ROOT / "deploy" / "systemd" / "ngatu-edge-agent.service").read_text()
        allowed = set(re.findall(r"(?m)^DeviceAllow=(\S+) rw$", unit))
        self.assertEqual({name for row in rows for name in re.findall(r"`(char-[^`]+)`", row[3])}, allowed)
        for node in re.findall(r"(?m)^#DeviceAllow=(\S+) rw$", unit):
            self.assertTrue(any(node.startswith(told.rstrip("*")) for row in rows for told in re.findall(r"`(/dev/[^`]+)`", row[2])), node)

    def follow(self, step, machine):
        words, given = shlex.split(step), []
        while words:
            word = words.pop(0)
            if word in ("-o", "-g"):
                words.pop(0)  # the user of the machine is not made here
            elif word.startswith("target/release/"):
                given.append(PROGRAMS / Path(word).name)
            elif word.startswith(".local/") and not (ROOT / word).exists():
                # Set-up left it where it was: NGATU_ONNXRUNTIME, NGATU_MODELS.
                stand_in = machine / Path(word).name
                stand_in.touch()
                given.append(str(stand_in))
            else:
                given.append(f"{machine}{word}" if word.startswith("/") else word)
        followed = subprocess.run(given, cwd=ROOT, capture_output=True, text=True, timeout=120)
        self.assertEqual(followed.returncode, 0, f"{step}: {followed.stderr}")


if __name__ == "__main__":
    unittest.main()
