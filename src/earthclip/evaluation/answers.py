"""Tables of answers of any system, or what ``earthclip locate`` wrote, matched with the pictures they are about.

Names are the same when they differ only in a picture's suffix or in composed and decomposed letters. ``locate`` names
pictures by the path it was given, so a path also answers for its ends: ``photos/more/c.jpg`` for ``c``, ``c.jpg`` and
``more/c``.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from earthclip.datasets.columns import degrees, quoted
from earthclip.datasets.photos import PhotoSet, nfc, stem_of
from earthclip.datasets.rows import Places, name_of
from earthclip.datasets.tables import SUFFIXES as TABLE_SUFFIXES
from earthclip.datasets.tables import open_table
from earthclip.errors import InputError
from earthclip.geo.sphere import EARTH_RADIUS_KM, degrees_fault, wrap_longitude

SUFFIXES = (*TABLE_SUFFIXES, ".jsonl")
FARTHEST_KM = np.pi * EARTH_RADIUS_KM  # two places cannot be farther apart

Missing: TypeAlias = Literal["error", "wrong", "skip"]


@dataclass(frozen=True, eq=False)
class Answers:
    """Where a system put the pictures: ``places`` [n, 2] degrees; those that are not ``kept`` have none.

    ``note`` says how many had no answer and what became of them; nothing when all had one.
    """

    places: Float[np.ndarray, "n 2"]
    kept: Bool[np.ndarray, " n"]
    note: str = ""


class _Answer(NamedTuple):
    """The first place of one picture, None where it failed or has no confident answer."""

    name: str
    place: tuple[float, float] | None


def answers_for(truth: Places | PhotoSet, path: Path, missing: Missing = "error") -> Answers:
    """The place each picture of ``truth`` was put at, in its order.

    ``path`` is a table with a place for each picture, or the output of ``earthclip locate`` as CSV or JSON Lines, of
    which the first places count. Every answer must have a picture, and every picture an answer: figures over a subset
    cannot be compared. A picture without one is an ``"error"``, or counts as ``"wrong"``: as far off as can be, beyond
    every threshold; or it is left out (``"skip"``). Raises InputError, in one line, with counts and an example, when
    the two do not match, and for a table that cannot be read.
    """
    answers = list(_of_lines(path) if path.suffix.lower() == ".jsonl" else _of_table(path))
    found = _matched(truth, answers, path.name)
    used = {index for index in found if index is not None}
    foreign = [answer.name for index, answer in enumerate(answers) if index not in used]
    unanswered = [name for name, index in zip(truth.ids, found, strict=True) if index is None]
    places, open_ = np.full((len(truth), 2), np.nan), []
    for position, index in enumerate(found):
        if index is not None and (place := answers[index].place) is not None:
            places[position] = place
        elif index is not None:
            open_.append(truth.ids[position])
    faults = [
        (foreign, f"{len(foreign)} of {len(answers)} names of {path.name} match no picture of {truth.name}"),
        (unanswered, f"{len(unanswered)} of {len(truth)} ids of {truth.name} have no prediction in {path.name}"),
        (open_, f"{len(open_)} of {len(truth)} pictures failed or have no confident answer in {path.name}"),
    ]
    told = [f"{text}, e.g. {quoted(names[0])}" for names, text in faults if names]
    if foreign or (missing == "error" and told):
        raise InputError("; ".join(told) + "; both tables must name the same pictures")
    places[:, 1] = wrap_longitude(places[:, 1])
    answered = ~np.isnan(places[:, 0])
    if answered.all():
        return Answers(places, answered)
    if missing == "skip":
        return Answers(places, answered, "; ".join(told) + ": left out")
    # The other side of the Earth
    opposite = np.stack([-truth.coordinates[:, 0], wrap_longitude(truth.coordinates[:, 1] + 180.0)], axis=1)
    note = "; ".join(told) + f": counted as wrong at every distance, {FARTHEST_KM:,.0f} km off"
    return Answers(np.where(answered[:, None], places, opposite), np.ones(len(truth), bool), note)


def _matched(truth: Places | PhotoSet, answers: list[_Answer], source: str) -> list[int | None]:
    """For each picture the number of its answer: of the same name, else of a path that ends in it."""
    same = {nfc(answer.name): index for index, answer in enumerate(answers)}
    found = [same.get(nfc(name)) for name in truth.ids]
    taken = {index: name for name, index in zip(truth.ids, found, strict=True) if index is not None}
    ends, stems = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for index, answer in enumerate(answers):
        if index not in taken:
            for end in _ends(nfc(answer.name)):
                ends[end].append(index)
                if (stem := re.sub(r"\.[^./]+$", "", end)) != end:
                    stems[stem].append(index)
    for position, name in enumerate(truth.ids):
        if found[position] is not None:
            continue
        wanted = nfc(name)
        candidates = [*ends.get(wanted, []), *stems.get(wanted, [])] or ends.get(stem_of(wanted), [])
        if len(candidates) > 1:
            first, second = (quoted(answers[index].name) for index in candidates[:2])
            both = f"{first} and {second} both answer for {quoted(name)} of {truth.name}"
            raise InputError(f"{source}: {both}; keep one answer for each picture")
        if candidates and (other := taken.setdefault(candidates[0], name)) is not name:
            both = f"{quoted(answers[candidates[0]].name)} answers for {quoted(other)} and {quoted(name)}"
            raise InputError(f"{source}: {both} of {truth.name}; name the pictures as there")
        found[position] = next(iter(candidates), None)
    return found


def _ends(path: str) -> set[str]:
    """What a picture may be called whose path ends so."""
    parts = [part for part in re.split(r"[\\/]", path) if part not in ("", ".")]
    return {"/".join(parts[start:]) for start in range(len(parts))}


def _of_table(path: Path) -> Iterator[_Answer]:
    seen: dict[str, str] = {}
    with open_table(path, named=True) as table:
        rank = table.position("rank")  # of what locate wrote: empty for a picture without an answer
        for where, cells in table.rows(more=[] if rank is None else [rank]):
            if table.text(cells, rank) not in ("", "1"):
                continue
            name = name_of(table, where, cells, seen)
            blank = not any(table.text(cells, side) for side in (table.latitude, table.longitude))
            yield _Answer(name, None if blank and not table.text(cells, rank) else table.place(where, cells))


def _of_lines(path: Path) -> Iterator[_Answer]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _of_object(json.loads(line), f"{path}, line {number}")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path of the table") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path}: not JSON Lines ({error}); expected a file that earthclip locate --format jsonl wrote"
        ) from error


def _of_object(values: Any, where: str) -> _Answer:
    try:
        name, predictions = values["path"], values.get("predictions", [])
        if not isinstance(name, str):
            raise TypeError
        if not predictions or values.get("abstained"):
            return _Answer(name, None)
        given = {side: predictions[0][side] for side in ("latitude", "longitude")}
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"{where}: not written by earthclip locate; expected path, and predictions or error"
        ) from error
    latitude, longitude = map(degrees, given.values())
    for side, number in zip(given, (latitude, longitude), strict=True):
        if not np.isfinite(number):
            raise InputError(f"{where}: {side} must be a number of degrees, found {quoted(given[side])}; correct it")
    if fault := degrees_fault(latitude, longitude):
        raise InputError(f"{where}: {fault}")
    return _Answer(name, (latitude, longitude))
