"""docs/metrics.md and the rules of deploy/prometheus against the metrics that the programs have.

Of the centre a running one is asked (`make build`). A box has most metrics only while it watches cameras and a
second model is at work; its names are read where it writes them.
"""

import json
import os
import re
import subprocess
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ.get("NGATU_PROGRAMS", ROOT / "target" / "debug"))
PROMETHEUS = ROOT / "deploy" / "prometheus"
BOX = ROOT / "edge-agent" / "src" / "live"
DEADLINE_S = 120
# Of other programs: Prometheus itself and its node exporter.
FOREIGN = {"up", "node_filesystem_avail_bytes", "node_filesystem_size_bytes", "node_timex_sync_status"}


def of_the_page():
    """Names of the first column of every table."""
    return set(re.findall(r"(?m)^\| `([a-z_]+)` \|", (ROOT / "docs" / "metrics.md").read_text()))


def bare(names):
    """Without the ending that a counter gets where it is written to the page."""
    return {name.removesuffix("_total") for name in names}


def of_the_box():
    """Every name in the code that writes the box's page."""
    sources = [BOX / "metrics.rs", *sorted((BOX / "metrics").glob("*.rs"))]
    text = "".join(source.read_text() for source in sources)
    return set(re.findall(r'"(edge_[a-z_]+)"', text))


def of_the_centre():
    """What a running centre says it has, as Prometheus sees it."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder, "ready")
        arguments = ["run", "--data-dir", Path(folder, "data"), "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-file", ready]
        centre = subprocess.Popen([PROGRAMS / "aggregator", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + DEADLINE_S
            while not (ready.exists() and ready.read_text()):
                assert centre.poll() is None and time.monotonic() < until, "the centre did not start"
                time.sleep(0.05)
            with urllib.request.urlopen(f"http://{json.loads(ready.read_text())['http']}/metrics", timeout=DEADLINE_S) as answer:
                page = answer.read().decode()
        finally:
            centre.terminate()
            centre.wait(DEADLINE_S)
    types = re.findall(r"(?m)^# TYPE (\S+) (\S+)$", page)
    return {f"{name}_total" if kind == "counter" else name for name, kind in types}


class PageTest(unittest.TestCase):
    def test_every_metric_of_the_box_has_a_row_and_every_row_a_metric(self):
        box = of_the_box()
        self.assertGreater(len(box), 50)
        self.assertEqual(bare(name for name in of_the_page() if name.startswith("edge_")), box)

    def test_every_metric_of_the_centre_has_a_row_and_every_row_a_metric(self):
        # No alert, no refused connection: what has no sample is on no page.
        empty = {"aggregator_alerts", "aggregator_frontdoor_refused_total"}
        page = {name for name in of_the_page() if name.startswith("aggregator_")}
        self.assertEqual(page, of_the_centre() | empty)


class RulesTest(unittest.TestCase):
    text = (PROMETHEUS / "alerts.yml").read_text()

    def test_every_rule_has_what_prometheus_and_a_person_need(self):
        # No reader of YAML is among what set-up brings; this is the shape that the file keeps.
        self.assertNotIn("\t", self.text)
        rules = re.findall(r"(?ms)^      - alert: (\w+)\n(.*?)(?=^      - alert: |^  - name: |\Z)", self.text)
        self.assertGreaterEqual(len(rules), 10)
        self.assertEqual(len(rules), self.text.count("alert:"))
        self.assertEqual(len({name for name, _ in rules}), len(rules))
        for name, body in rules:
            with self.subTest(name):
                keys = re.findall(r"(?m)^        (\w+):", body)
                self.assertEqual([key for key in keys if key != "for"], ["expr", "labels", "annotations"])
                self.assertRegex(body, r"(?m)^        labels: \{ severity: (critical|warning) \}$")
                self.assertRegex(body, r'(?m)^          summary: "[^"]+"$')
                for wait in re.findall(r"(?m)^        for: (.*)$", body):
                    self.assertRegex(wait, r"^\d+[smh]$")

    def test_what_the_rules_rest_on_is_collected(self):
        collection = (PROMETHEUS / "prometheus.yml").read_text()
        for file in re.findall(r"(?ms)^rule_files:\n  - (\S+)$", collection):
            self.assertTrue((PROMETHEUS / file).is_file(), file)
        jobs = set(re.findall(r"(?m)^  - job_name: (\S+)$", collection))
        self.assertLessEqual(set(re.findall(r'job="([^"]+)"', self.text)), jobs)
        self.assertIn("node", jobs)

    def test_rules_name_metrics_that_there_are(self):
        known = of_the_page() | FOREIGN
        known |= {f"{name}_bucket" for name in known if name.endswith("_seconds")}
        named = set()
        for expression in re.findall(r"(?m)^ +expr: (.+)$", self.text):
            self.assertEqual(expression.count("("), expression.count(")"), expression)
            said = re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)", "", expression)
            words = set(re.findall(r"\b[a-z_]{2,}\b", said))
            named |= words - {"sum", "by", "rate", "increase", "histogram_quantile", "min_over_time", "resets", "and", "or"}
        self.assertGreater(len(named), 10)
        self.assertLessEqual(named, known)


if __name__ == "__main__":
    unittest.main()
