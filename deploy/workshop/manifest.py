"""A model's manifest (`model.toml`), as far as the workshop reads and writes it.

The program's own reading is `models/src/manifest.rs`; what is not understood here is
copied as it stands.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Unusable(Exception):
    """A model that cannot be used; the text says which, why, and what to do."""


@dataclass(frozen=True)
class Manifest:
    """A manifest and where it lies."""

    path: Path
    table: dict[str, Any]

    @staticmethod
    def read(path: Path) -> Manifest:
        """`path` is the file, or the folder that it is in."""
        file = path / "model.toml" if path.is_dir() else path
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
            for key in ("id", "file", "sha256", "input", "head", "classes", "thresholds"):
                table[key]
        except OSError as error:
            raise Unusable(f"{file}: {error.strerror}; name the model.toml of a model") from error
        except tomllib.TOMLDecodeError as error:
            raise Unusable(f"{file} is not TOML: {error}") from error
        except KeyError as error:
            raise Unusable(f"{file} has no {error}; is it a model's manifest?") from error
        return Manifest(file, table)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the input."""
        return self.table["input"]["width"], self.table["input"]["height"]

    @property
    def words(self) -> dict[str, list[int]]:
        """Numbers of the network by the program's word, in the manifest's order."""
        return {word: numbers for word, numbers in self.table["classes"].items() if word != "count"}

    @property
    def count(self) -> int:
        """Classes of the network."""
        return int(self.table["classes"]["count"])

    def weights(self, file: Path | None) -> Path:
        """The network's file, beside the manifest unless named, with the hash it should have."""
        file = file or self.path.parent / self.table["file"]
        if not file.is_file():
            raise Unusable(f"{file} is not there; name the network of {self.path} with --network")
        if sha256(file) != self.table["sha256"]:
            raise Unusable(f"{file} has another SHA-256 than {self.path} says; it is not that network")
        return file


def model_id(text: str) -> str:
    """A name that the program takes for a model (`protocol/src/id.rs`), before a night is spent on it."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", text) or text == "down":
        raise argparse.ArgumentTypeError("a model's name is of small letters, digits, - and _, 64 at most")
    return text


def sha256(file: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def of_file(file: Path) -> dict[str, str | int]:
    """What a manifest says of its network's file."""
    return {"file": file.name, "size_bytes": file.stat().st_size, "sha256": sha256(file)}


def tell(file: Path, evaluate: str) -> None:
    """Says which network was made, and how it is measured."""
    print(f"{file}: {file.stat().st_size} bytes, sha256 {sha256(file)}")
    print(f"now: edge-agent models evaluate {evaluate}")


def changed(manifest: Manifest, top: dict[str, str | int], sections: dict[str, dict[str, Any]]) -> str:
    """The manifest's text with other values: of top-level keys, and of whole keys in sections.

    Comments stay. `classes` is written anew, because its keys are its content.
    """
    head, *rest = re.split(r"(?m)^(?=\[)", manifest.path.read_text(encoding="utf-8"))
    # What it was made from and how to obtain it are said anew.
    head = re.sub(r'(?ms)^obtain = """.*?"""\n|^obtain = "[^"\n]*"\n', "", head)
    for key, value in top.items():
        line = f"{key} = {toml(value)}"
        head, found = re.subn(rf"(?m)^{key} = .*$", lambda _, line=line: line, head)
        if not found:
            head = head.rstrip("\n") + f"\n{line}\n"
    texts = [head.rstrip("\n") + "\n\n"]
    for section in rest:
        name = section[1 : section.index("]")]
        if name == "classes" and "classes" in sections:
            section = "[classes]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in sections["classes"].items()) + "\n"
        for key, value in sections.get(name, {}).items():
            if name != "classes":
                section = re.sub(rf"(?m)^{key} = .*$", f"{key} = {toml(value)}", section)
        texts.append(section)
    return "".join(texts).rstrip("\n") + "\n"


def text_of(table: dict[str, Any]) -> str:
    """A manifest's text: keys, then a section for each value that is a table itself, of keys alone."""

    def keys(of: dict[str, Any]) -> str:
        return "".join(f"{key} = {toml(value)}\n" for key, value in of.items() if not isinstance(value, dict))

    sections = (f"\n[{name}]\n{keys(inner)}" for name, inner in table.items() if isinstance(inner, dict))
    return keys(table) + "".join(sections)


def toml(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return str(value)
