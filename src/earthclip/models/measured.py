"""What was measured of a model's encoders on this machine, kept in the cache folder as one JSON file for each."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from earthclip.configuration import encoder_threads, from_mapping, to_mapping, usable_processors
from earthclip.errors import ConfigError
from earthclip.files import atomic_write, home
from earthclip.models.openvino import sum_of

EncoderKind = Literal["image", "places"]

_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "openvino")
_CPUINFO, _STAT = Path("/proc/cpuinfo"), Path("/proc/stat")
_LOOK_SECONDS = 0.3
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """What the speed of a graph depends on, beside the graph."""

    processor: str
    flags: str  # a hash of the processor's instruction sets
    cores: int
    versions: dict[str, str]

    def __str__(self) -> str:
        """Such as "AMD EPYC, 2 cores"."""
        return f"{self.processor}, {self.cores} core{'s' if self.cores != 1 else ''}"


@dataclass(frozen=True)
class Row:
    """One runtime and precision of an encoder, with its measurements; ``fault`` says why it was left out.

    Times are milliseconds: ``alone_ms`` for one picture, or 1,024 places; ``together_ms`` for a picture of eight.
    """

    file: str
    runtime: Literal["onnxruntime", "openvino"]
    precision: Literal["float32", "bfloat16", "float16", "int8"]
    gpu: bool = False
    threads: int | None = None  # None: one for each processor
    alone_ms: float | None = None
    together_ms: float | None = None
    lowest_cosine: float | None = None
    fault: str | None = None

    @property
    def ms(self) -> float:
        """What rows are compared by: the mean of a picture alone and one of eight."""
        if self.alone_ms is None or self.fault is not None:
            return float("inf")
        return self.alone_ms if self.together_ms is None else (self.alone_ms + self.together_ms) / 2


@dataclass(frozen=True)
class Record:
    """All rows of one encoder on one machine, and the index of the one that was chosen.

    ``busy``: other programs computed meanwhile, so it is measured again when they do not.
    """

    model: str
    encoder: EncoderKind
    weights: str
    machine: Machine
    rows: tuple[Row, ...]
    chosen: int
    busy: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.chosen < len(self.rows):
            raise ConfigError(f"chosen is {self.chosen}, of {len(self.rows)} rows")


def this_machine() -> Machine:
    """The processor, how many cores encoders may use, and the versions of what runs them."""
    name, flags = platform.processor() or platform.machine(), platform.machine()
    try:
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = (part.strip() for part in line.partition(":"))
            if key == "model name":
                name = value
            elif key in ("flags", "Features"):
                flags = " ".join(sorted(value.split()))
                break
    except OSError:
        pass  # not Linux
    versions = {}
    for package in _RUNTIMES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return Machine(name, _hash(flags), encoder_threads() or usable_processors(), versions)


def is_busy() -> bool:
    """Whether half of the processors or more are in use now; False where the system does not say.

    The load of the last minute would count what this process did a moment ago, such as writing the model.
    """
    before = _busy_and_all()
    time.sleep(_LOOK_SECONDS)
    after = _busy_and_all()
    if before is None or after is None:
        return False
    busy, spent = (late - early for late, early in zip(after, before, strict=True))
    return busy > spent / 2


def _busy_and_all() -> tuple[int, int] | None:
    """The processors' time since the system's start, in ticks: what was used, and all of it."""
    try:
        ticks = [int(word) for word in _STAT.read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return None  # not Linux
    return sum(ticks) - sum(ticks[3:5]), sum(ticks)  # the fourth is idle, the fifth waits for disks


def has_flag(*names: str) -> bool:
    """Whether the processor's instruction sets, as Linux names them, have one of ``names``."""
    try:
        words = set(_CPUINFO.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return False
    return not words.isdisjoint(names)


def weights_of(paths: Sequence[Path]) -> str:
    """What tells these files from others, wherever they lie: names, sizes, and checksums of parts of them."""
    return _hash(json.dumps([(path.name, sum_of(path)) for path in paths]))


def read_record(encoder: EncoderKind, paths: Sequence[Path], *, told: bool = False) -> Record | None:
    """What was measured of these files on this machine; None where nothing was, or where it cannot be used.

    With ``told``, a line says why a record cannot be used: it is damaged, or of another machine.
    """
    folder = _folder()
    if not folder.is_dir():
        return None
    weights, machine = weights_of(paths), this_machine()
    own = _path(encoder, weights, machine)
    record = _read(own)
    if record and record.machine == machine and record.weights == weights:
        return record
    if told:
        others = [found for path in folder.glob(f"{encoder}-{weights}-*.json") if (found := _read(path))]
        if own.exists():
            _logger.warning("warning: %s is damaged, so the speed of the model is measured again", own)
        elif others:
            there = others[0].machine
            _logger.warning("warning: the speed of the model was measured on %s; measuring it on %s", there, machine)
    return None


def known_cosine(encoder: EncoderKind, paths: Sequence[Path], precision: str) -> float:
    """The lowest cosine that ``precision`` was ever measured to give with these files, on any machine; 0 if never."""
    folder = _folder()
    if not folder.is_dir():
        return 0.0
    records = map(_read, folder.glob(f"{encoder}-{weights_of(paths)}-*.json"))
    rows = [row for record in records if record for row in record.rows if row.precision == precision]
    return min((row.lowest_cosine for row in rows if row.lowest_cosine is not None), default=0.0)


def write_record(record: Record) -> None:
    """Keep a record. Raises OSError or OutputError where the cache folder cannot be written."""
    path = _path(record.encoder, record.weights, record.machine)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, overwrite=True) as file:
        file.write(json.dumps(to_mapping(record), indent=2).encode() + b"\n")


class Attempts:
    """Ways that were begun and not ended, in a file: a process that a way has ended cannot say so itself."""

    def __init__(self, encoder: EncoderKind, paths: Sequence[Path]) -> None:
        self.path = _path(encoder, weights_of(paths), this_machine()).with_suffix(".begun")
        self.deadly = set(self._lines())  # of earlier processes

    def begin(self, way: str) -> None:
        """Note ``way``; where nothing can be written, nothing is noted."""
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write(f"{way}\n")

    def end(self, way: str) -> None:
        """``way`` has ended without harm."""
        left = [line for line in self._lines() if line != way]
        with contextlib.suppress(OSError):
            if left:
                self.path.write_text("".join(f"{line}\n" for line in left), encoding="utf-8")
            else:
                self.path.unlink(missing_ok=True)

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return []


def can_keep() -> bool:
    """Whether the cache folder can be written, so that what is measured is measured once."""
    try:
        _folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(_folder(), os.W_OK)


def _read(path: Path) -> Record | None:
    try:
        return from_mapping(Record, json.loads(path.read_text(encoding="utf-8")), path.name)
    except (OSError, ValueError, ConfigError):
        return None


def _folder() -> Path:
    return home() / "measured"


def _path(encoder: EncoderKind, weights: str, machine: Machine) -> Path:
    return _folder() / f"{encoder}-{weights}-{_hash(json.dumps(to_mapping(machine), sort_keys=True))}.json"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
