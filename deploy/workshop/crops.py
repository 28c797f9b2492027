"""Crops as `edge-agent models crops` writes them: a picture each, and an index of where each is from."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifest import Unusable
from words import CATEGORIES

# Parts of which a mirror image is another thing: the driver sits on the left, and the belt crosses one shoulder.
_HANDED = ("driver", "windscreen")


@dataclass(frozen=True)
class Crop:
    """A crop, the right answer to it, and what it is of."""

    file: Path
    answer: str
    picture: str
    # Of the picture, which is the same under any name. Who cut with an older edge-agent has none.
    sha256: str | None
    # The camera and the day, where the labels said so.
    taken: tuple[str, str] | None


@dataclass(frozen=True)
class Folder:
    """All crops of one side."""

    path: Path
    index: dict[str, Any]
    crops: list[Crop]

    @staticmethod
    def read(path: Path) -> Folder:
        """What `edge-agent models crops --out` has written."""
        file = path / "crops.json"
        try:
            index = json.loads(file.read_text(encoding="utf-8"))
            crops = [
                Crop(
                    path / entry["file"],
                    entry["class"],
                    Path(entry["picture"]).name,
                    entry.get("picture_sha256"),
                    (entry["camera"], entry["day"]) if "day" in entry and "camera" in entry else None,
                )
                for entry in index["crops"]
            ]
            cut_as = [index[key] for key in ("crop", "margin", "on")]
        except OSError as error:
            raise Unusable(f"{file}: {error.strerror}; write it with edge-agent models crops --out {path}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise Unusable(f"{file} is no index of edge-agent models crops: {error}") from error
        if not crops or not cut_as[0]:
            raise Unusable(f"{path} has no crop in it; see edge-agent models crops --help")
        for crop in crops:
            if not crop.file.is_file():
                raise Unusable(f"{crop.file} is not there, though {file} names it; cut the crops anew")
        return Folder(path, index, crops)

    @property
    def counts(self) -> Counter[str]:
        """How many crops of each answer."""
        return Counter(crop.answer for crop in self.crops)

    @property
    def may_be_mirrored(self) -> bool:
        """Whether a mirror image shows the same thing."""
        return self.index["crop"] not in _HANDED


def answers(folder: Folder) -> list[str]:
    """What a classifier of these crops may say, in the order of its numbers: words of the program first."""
    found = folder.counts
    known = [word for word in CATEGORIES if word in found]
    return known + sorted(word for word in found if word not in CATEGORIES)


def weights(folder: Folder) -> list[float]:
    """What a crop of each answer is to weigh, so that all answers weigh alike together."""
    found, all_of_them = folder.counts, answers(folder)
    return [len(folder.crops) / (len(all_of_them) * found[answer]) for answer in all_of_them]


def check(learnt: Folder, watched: Folder) -> int:
    """Refuses two sides that cannot be used together; of how many crops nobody knows the day."""
    if len(learnt.counts) < 2:
        raise Unusable(f"{learnt.path} has nothing but {', '.join(learnt.counts)}; a classifier needs two answers")
    for key in ("crop", "margin", "min_height_px", "on"):
        one, other = learnt.index.get(key), watched.index.get(key)
        if one != other:
            raise Unusable(
                f"{learnt.path} was cut with `{key}` {one} and {watched.path} with {other};"
                " cut both as the cascade does"
            )
    new = sorted(set(watched.counts) - set(learnt.counts))
    if new:
        raise Unusable(f"{watched.path} has {', '.join(new)}, which {learnt.path} has not; label some on both sides")
    missing = sorted(set(learnt.counts) - set(watched.counts))
    if missing:
        raise Unusable(
            f"{watched.path} has no {', '.join(missing)}, so nothing would say how well that is told;"
            " label some on both sides"
        )
    _refuse_shared_pictures(learnt, watched)
    days = {crop.taken for crop in learnt.crops} & {crop.taken for crop in watched.crops} - {None}
    if days:
        camera, day = min(days)
        raise Unusable(
            f"{day} of camera {camera} is in {learnt.path} and in {watched.path}: two pictures of one queue would"
            " measure memory; keep whole days of a camera on one side"
        )
    return sum(crop.taken is None for crop in learnt.crops + watched.crops)


def _refuse_shared_pictures(learnt: Folder, watched: Folder) -> None:
    # Two tasks of a labelling tool both begin with frame_000000.png: a name is no proof where there is a better one.
    is_by_name = any(crop.sha256 is None for crop in learnt.crops + watched.crops)

    def pictures(folder: Folder) -> dict[str | None, str]:
        return {crop.picture if is_by_name else crop.sha256: crop.picture for crop in folder.crops}

    one, other = pictures(learnt), pictures(watched)
    shared = [name for picture, name in other.items() if picture in one]
    if shared:
        then = "; where they are others under one name, cut both anew" if is_by_name else ""
        raise Unusable(
            f"{len(shared)} pictures are in {learnt.path} and in {watched.path}, {min(shared)} among them;"
            f" keep what is watched apart{then}"
        )
