"""Pages for people beside what they speak of: the operator's guide says the words that the screen shows."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCREEN = ROOT / "aggregator" / "web" / "src" / "i18n"
EXPLAINED = ("severities", "states", "machine", "timeQualities", "evidenceRoles", "reasons", "watches")
# Of no event that the box makes today, and explained by its own name.
PASSED_OVER = {"Other file", "Tệp khác"}


def words(language, group):
    """The words of one group of the screen's dictionary."""
    text = (SCREEN / f"{language}.ts").read_text()
    block = re.search(rf"(?ms)^  {group}: \{{(.*?)\}},$", text)
    return re.findall(r'\w+: "([^"]+)"', block[1])


class OperatorTest(unittest.TestCase):
    def test_the_guide_explains_every_state_reason_and_clock_in_the_words_of_the_screen(self):
        for language in ("en", "vi"):
            page = (ROOT / "docs" / f"operator.{language}.md").read_text()
            for group in EXPLAINED:
                said = words(language, group)
                self.assertGreaterEqual(len(said), 3, group)
                for word in set(said) - PASSED_OVER:
                    with self.subTest(f"{language} {group}"):
                        self.assertIn(f"**{word}**", page, f"docs/operator.{language}.md does not explain “{word}”")

    def test_both_languages_have_the_same_parts_and_tables(self):
        shapes = []
        for language in ("en", "vi"):
            lines = (ROOT / "docs" / f"operator.{language}.md").read_text().splitlines()
            shapes.append([line[:2] if line.startswith("#") else "|" for line in lines if re.match(r"#|\|", line)])
        self.assertEqual(*shapes)


if __name__ == "__main__":
    unittest.main()
