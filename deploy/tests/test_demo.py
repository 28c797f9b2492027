"""`deploy/demo/run` with stand-ins for the three programs: whatever they do, nothing stays behind.

The real programs are started by the end-to-end tests; here it is their misbehaviour that matters, which real
ones cannot be asked for.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "deploy" / "demo" / "run"
DEADLINE_S = 30

# Each stand-in carries the test's data folder in its arguments, by which it is found in /proc.
AGGREGATOR = """
import http.server, json, pathlib, sys
arguments = dict(zip(sys.argv[2::2], sys.argv[3::2]))
ready = pathlib.Path(arguments["--ready-file"])
class Centre(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        watching = [{"health": "watching"}] * 2 if (ready.parent / "agent-is-up").exists() else []
        items = watching if self.path == "/api/v1/cameras" else [{"kind": "red_light"}]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"items": items}, separators=(",", ":")).encode())
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(arguments["--http"].split(":")[1])), Centre)
ready.write_text(json.dumps({"http": "127.0.0.1:%d" % server.server_port, "mqtt": "127.0.0.1:1"}))
server.serve_forever()
"""
CAMERA = """
import json, pathlib, signal, sys
ready = sys.argv[sys.argv.index("--ready-file") + 1]
pathlib.Path(ready).write_text(json.dumps({"listen": "127.0.0.1:2", "mounts": {}}))
signal.pause()
"""
# An agent says that it is up when it has become what it is.
UP = "; import pathlib, sys; (pathlib.Path(sys.argv[-1]).parent / 'agent-is-up').touch(); "
AGENTS = {
    "well-behaved": "import signal" + UP + "signal.pause()",
    "deaf": "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + UP + "signal.pause()",
    "dying": "import time" + UP + "time.sleep(1); print('the model file is cut in half'); sys.exit(3)",
    # With a child that does not go when it goes.
    "parent": "import signal, subprocess" + UP + "signal.signal(15, signal.SIG_IGN);"
    "subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()', sys.argv[-1]]);"
    "signal.signal(15, signal.SIG_DFL); signal.pause()",
}


class DemoTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ngatu-demo-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.data = self.folder / "data"
        self.addCleanup(self.kill_leftovers)

    def start(self, agent, *arguments):
        programs = self.folder / "programs"
        programs.mkdir()
        for name, text in {"aggregator": AGGREGATOR, "rtsp-camera": CAMERA, "edge-agent": AGENTS[agent]}.items():
            (programs / name).write_text(f"#!{sys.executable}\n{text}")
            (programs / name).chmod(0o755)
        demo = subprocess.Popen(
            [RUN, "--data", self.data, *arguments],
            env={**os.environ, "NGATU_PROGRAMS": str(programs), "NGATU_DEMO_PATIENCE_S": "2"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A background job of a shell without job control would have SIGINT ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.addCleanup(self.end, demo)
        return demo

    @staticmethod
    def end(demo):
        demo.kill()
        with demo:  # waits, and closes its pipes
            pass

    def started(self, agent, *arguments):
        """A demo that has printed its address, and the address."""
        demo = self.start(agent, *arguments)
        return demo, demo.stdout.readline().strip()

    def leftovers(self, word=b""):
        """Processes of this test with `word` in their arguments; the demo's own short-lived ones are among them."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (process / "cmdline").read_bytes()
            except OSError:
                continue  # it ended while we looked
            if str(self.folder).encode() in arguments and word in arguments:
                found.append(int(process.name))
        return found

    def signal_leftovers(self, number, word=b"", but=()):
        for pid in self.leftovers(word):
            if pid not in but:
                with contextlib.suppress(ProcessLookupError):  # it ended since we looked
                    os.kill(pid, number)

    def kill_leftovers(self):
        self.signal_leftovers(signal.SIGKILL)

    def assert_nothing_left(self):
        until = time.monotonic() + 5
        while self.leftovers() and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(self.leftovers(), [])

    def check_stops_cleanly_on(self, number):
        demo, address = self.started("well-behaved", "--port", "0")
        self.assertRegex(address, r"^http://127\.0\.0\.1:\d+$")
        demo.send_signal(number)
        _, said = demo.communicate(timeout=DEADLINE_S)
        self.assertEqual(demo.returncode, 0, said)
        self.assert_nothing_left()

    def test_an_interrupt_ends_it_cleanly(self):
        self.check_stops_cleanly_on(signal.SIGINT)

    def test_a_request_to_terminate_ends_it_cleanly(self):
        self.check_stops_cleanly_on(signal.SIGTERM)

    def test_it_ends_by_itself_and_counts_the_alerts(self):
        demo, _ = self.started("well-behaved", "--port", "0", "--for", "2")
        _, said = demo.communicate(timeout=DEADLINE_S)
        self.assertEqual(demo.returncode, 0, said)
        self.assertIn("1  red_light", said)
        self.assert_nothing_left()

    def test_a_part_that_dies_is_named_with_the_end_of_its_log(self):
        demo, _ = self.started("dying", "--port", "0")
        _, said = demo.communicate(timeout=DEADLINE_S)
        self.assertEqual(demo.returncode, 1)
        self.assertIn("edge-agent has ended by itself (status 3)", said)
        self.assertIn("the model file is cut in half", said)
        self.assert_nothing_left()

    def test_a_part_that_will_not_stop_is_killed(self):
        demo, _ = self.started("deaf", "--port", "0")
        demo.terminate()
        _, said = demo.communicate(timeout=DEADLINE_S)
        self.assertIn("edge-agent does not stop; killing it", said)
        self.assert_nothing_left()

    def test_a_stopped_part_and_its_children_are_ended_too(self):
        demo, _ = self.started("parent", "--port", "0")
        self.signal_leftovers(signal.SIGSTOP, b"edge-agent", but=[demo.pid])
        demo.terminate()
        demo.communicate(timeout=DEADLINE_S)
        self.assert_nothing_left()

    def test_nothing_outlives_a_demo_that_is_killed(self):
        demo, _ = self.started("well-behaved", "--port", "0")
        demo.kill()
        demo.communicate(timeout=DEADLINE_S)
        self.assert_nothing_left()

    def test_a_taken_port_is_stepped_around(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind(("127.0.0.1", 8800))
                taken.listen()
            except OSError:
                pass  # somebody else has it: just as well
            demo, address = self.started("well-behaved")
            self.assertRegex(address, r"^http://127\.0\.0\.1:\d+$")
            self.assertNotEqual(address, "http://127.0.0.1:8800")
            demo.terminate()
            demo.communicate(timeout=DEADLINE_S)

    def test_two_demos_in_one_folder_are_refused(self):
        demo, _ = self.started("well-behaved", "--port", "0")
        second = subprocess.run(
            [RUN, "--data", self.data],
            env={**os.environ, "NGATU_PROGRAMS": str(self.folder / "programs")},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        self.assertEqual(second.returncode, 1)
        self.assertIn("a demo is running with its data in", second.stderr)
        demo.terminate()
        demo.communicate(timeout=DEADLINE_S)

    def test_a_word_that_it_does_not_know_is_refused(self):
        for arguments in (["--prot", "1"], ["--port", "eighty"], ["--for"]):
            wrong = subprocess.run([RUN, *arguments], capture_output=True, text=True, timeout=DEADLINE_S)
            self.assertEqual(wrong.returncode, 1, arguments)
            self.assertIn("what to do:", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
