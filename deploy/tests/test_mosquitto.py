"""The broker's configuration, as Debian reads it: its own main file first, then ours, by a real mosquitto."""

import os
import pwd
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

MOSQUITTO = Path(__file__).resolve().parents[1] / "mosquitto"
DEADLINE_S = 10

# /etc/mosquitto/mosquitto.conf of Debian 12, used where that machine's own is not there.
DEBIAN = """
pid_file /run/mosquitto/mosquitto.pid
persistence true
persistence_location /var/lib/mosquitto/
log_dest file /var/log/mosquitto/mosquitto.log
include_dir /etc/mosquitto/conf.d
"""
PROGRAM = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")


def text(value):
    return struct.pack(">H", len(value)) + value.encode()


def packet(kind, body):
    assert len(body) < 128, "one byte of length"
    return bytes([kind, len(body)]) + body


class MosquittoTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="ngatu-mosquitto-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.certificates()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            cls.port = free.getsockname()[1]
        cls.configure()
        cls.broker = subprocess.Popen(
            [PROGRAM, "-c", cls.folder / "mosquitto.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        cls.addClassCleanup(cls.end)
        cls.wait_until_it_listens()

    @classmethod
    def end(cls):
        cls.broker.terminate()
        cls.broker.communicate(timeout=DEADLINE_S)

    @classmethod
    def openssl(cls, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], cwd=cls.folder, check=True, capture_output=True, timeout=DEADLINE_S)

    @classmethod
    def certificates(cls):
        def new(name, common_name):
            return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-subj", common_name]

        cls.openssl("req", "-x509", "-days", 2, *new("ca", "/CN=test authority"), "-out", "ca.pem")
        for name, common_name in {"server": "/CN=127.0.0.1", "box": r"/CN=hanoi\/box-12", "centre": "/CN=centre"}.items():
            cls.openssl("req", *new(name, common_name), "-out", f"{name}.csr")
            cls.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 2, "-out", f"{name}.pem")

    @classmethod
    def configure(cls):
        """Debian's main file and ours in its conf.d, with this test's places and port instead of the system's."""
        main = Path("/etc/mosquitto/mosquitto.conf")
        main = main.read_text() if main.is_file() else DEBIAN
        places = {
            "/run/mosquitto/": cls.folder,
            "/var/lib/mosquitto/": cls.folder / "state",
            "/var/log/mosquitto/": cls.folder,
            "/etc/mosquitto/conf.d": cls.folder / "conf.d",
        }
        for system, ours in places.items():
            main = main.replace(system, f"{ours}/")
        # Started by root, mosquitto would become a user that may not read this folder.
        main += f"\nuser {pwd.getpwuid(os.getuid()).pw_name}\n"
        added = (MOSQUITTO / "mosquitto.conf").read_text()
        for system, ours in {
            "listener 8883\n": f"listener {cls.port} 127.0.0.1\n",
            "/etc/mosquitto/certs/": f"{cls.folder}/",
            "/etc/mosquitto/ngatu.acl": str(MOSQUITTO / "acl"),
        }.items():
            assert system in added, system
            added = added.replace(system, ours)
        (cls.folder / "state").mkdir()
        (cls.folder / "conf.d").mkdir()
        (cls.folder / "conf.d" / "ngatu.conf").write_text(added)
        (cls.folder / "mosquitto.conf").write_text(main)

    @classmethod
    def wait_until_it_listens(cls):
        until = time.monotonic() + DEADLINE_S
        while True:
            if cls.broker.poll() is not None:
                raise AssertionError(f"mosquitto did not start: {cls.broker.stdout.read()}{cls.log()}")
            try:
                socket.create_connection(("127.0.0.1", cls.port), 1).close()
                return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    @classmethod
    def log(cls):
        log = cls.folder / "mosquitto.log"
        return log.read_text() if log.is_file() else ""

    def connect(self, who):
        """A TLS connection with the certificate of `who`, on which MQTT was accepted."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.check_hostname = False  # the certificate names no address in the form that Python wants
        if who:
            context.load_cert_chain(self.folder / f"{who}.pem", self.folder / f"{who}.key")
        connection = context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), DEADLINE_S))
        self.addCleanup(connection.close)
        # CONNECT, MQTT 3.1.1, a clean session, keep-alive 30 s.
        connection.sendall(packet(0x10, text("MQTT") + b"\x04\x02\x00\x1e" + text(f"test-{who}-{os.urandom(4).hex()}")))
        self.assertEqual(self.answer(connection), bytes([0x20, 2, 0, 0]), self.log())
        return connection

    def answer(self, connection):
        head = connection.recv(2)
        if len(head) < 2:
            raise ConnectionError("closed by the broker")
        body = b""
        while len(body) < head[1]:
            body += connection.recv(head[1] - len(body))
        return head + body

    def subscribe(self, connection, topic):
        """The code with which the broker answers: a granted quality of service, or 0x80."""
        connection.sendall(packet(0x82, b"\x00\x01" + text(topic) + b"\x01"))
        return self.answer(connection)[-1]

    def publish(self, connection, number, topic, payload):
        connection.sendall(packet(0x32, text(topic) + bytes([0, number]) + payload))
        self.assertEqual(self.answer(connection), bytes([0x40, 2, 0, number]))

    def test_it_starts_with_debians_own_file_and_says_nothing_of_a_fault(self):
        self.assertIsNone(self.broker.poll())
        # Before anybody came: whoever only looks whether it listens leaves an error of TLS behind.
        said, *_ = self.log().partition("New connection")
        self.assertNotIn("Error", said)

    def test_nobody_comes_in_without_a_certificate(self):
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.connect(None)

    def test_what_a_box_says_reaches_the_centre_and_a_box_cannot_speak_for_another(self):
        centre = self.connect("centre")
        self.assertEqual(self.subscribe(centre, "ngatu/v1/+/+/+/event"), 1)
        # What the access list drops is acknowledged, too (and the connection closed): the first to arrive tells.
        self.publish(self.connect("box"), 2, "ngatu/v1/hanoi/box-13/gate/event", b"forged")
        self.publish(self.connect("box"), 2, "ngatu/v1/hanoi/box-12/gate/event", b"own")
        self.assertTrue(self.answer(centre).endswith(b"own"), "the forged event was let through")

    def test_what_the_centre_tells_a_box_reaches_that_box_only(self):
        box = self.connect("box")
        self.assertEqual(self.subscribe(box, "ngatu/v1/hanoi/box-12/down/#"), 1)
        self.subscribe(box, "ngatu/v1/hanoi/box-13/down/#")
        centre = self.connect("centre")
        self.publish(centre, 2, "ngatu/v1/hanoi/box-13/down/receipt", b"for another")
        self.publish(centre, 3, "ngatu/v1/hanoi/box-12/down/receipt", b"for it")
        self.assertTrue(self.answer(box).endswith(b"for it"), "a receipt for another box was overheard")


if __name__ == "__main__":
    unittest.main()
