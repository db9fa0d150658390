"""What the parts of ``speed.py`` share: the models compared, the sides at hand, and how a thing is timed.

The sides take turns within each repetition, so that what slows the machine slows all of them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import peak
from photos import SIZE
from rows import Figure
from sides import KIB, Side, UnavailableError

PAUSE = 0.3  # seconds between turns, in which threads that wait by spinning fall asleep
COLD_PUBLISHED = (
    "import sys, pathlib, published; published.load_geoclip(pathlib.Path(sys.argv[1])).predict(sys.argv[2], top_k=5)"
)


@dataclass(frozen=True)
class Combination:
    """A model, what runs it and in which numbers, and what one photo is to reach."""

    model: str
    runtime: str
    precision: str
    floors: float | None = None  # at most this many times the floor (d) of its own precision

    def __str__(self) -> str:
        return f"`{self.model}`, {self.runtime} {self.precision}"

    @property
    def options(self) -> list[str]:
        return ["--model", self.model, "--runtime", self.runtime, "--precision", self.precision]


ORBIT = Combination("orbit", "auto", "auto")
GEOCLIP = (
    Combination("geoclip", "onnxruntime", "float32"),
    Combination("geoclip", "openvino", "float32", 1.25),
    Combination("geoclip", "openvino", "bfloat16", 1.25),
    Combination("geoclip", "openvino", "float16", 1.25),
    Combination("geoclip", "openvino", "int8", 2),
    Combination("geoclip", "onnxruntime", "int8", 2),
    Combination("geoclip", "auto", "auto"),
)
QUICK = (Combination("orbit", "onnxruntime", "float32"), ORBIT)


@dataclass(frozen=True)
class Commands:
    """Seconds and MB of each command by its name, and why others could not be run."""

    measured: dict[str, tuple[Figure, Figure]]
    refused: dict[str, str]


@dataclass
class Bench:
    """What the parts share. ``published`` is None where only our side is measured, as in a quick run."""

    runs: int
    work: Path
    quick: bool
    python: Path | None = None  # of the published package's environment
    clip: Path | None = None
    named: tuple[str, ...] = ()  # parts of the names of the combinations to measure; all where there are none

    @property
    def home(self) -> Path:
        return self.work / "home-large"

    @cached_property
    def combinations(self) -> tuple[Combination, ...]:
        every = QUICK if self.quick else (*GEOCLIP, ORBIT)
        return tuple(one for one in every if not self.named or any(name in str(one) for name in self.named))

    @cached_property
    def photos(self) -> list[Path]:
        size = (1000, 750) if self.quick else SIZE
        folder = self.work / f"photos-{size[0]}x{size[1]}"
        with self.arrays() as arrays:
            return [Path(path) for path in arrays.ask("photos", str(folder), 2 if self.quick else 8, size)]

    @property
    def photo(self) -> str:
        return "small JPEG" if self.quick else "12-megapixel JPEG"

    @cached_property
    def peaks(self) -> dict[str, peak.Peak]:
        say("peak matrix rate")
        return peak.peaks(1 if self.quick else 60)

    @property
    def floors(self) -> dict[str, float]:
        """Seconds that the products of one picture take at least, by precision."""
        return {precision: peak.VIT_L_14_FLOP / found.rate for precision, found in self.peaks.items()}

    @cached_property
    def commands(self) -> Commands:
        """Whole commands that locate one photo, each warmed up once."""
        photo = str(self.photos[0])
        ways: dict[str, Callable[[], tuple[float, float]]] = {}
        refused: dict[str, str] = {}
        for combination in self.combinations:
            line = earthclip("locate", photo, *combination.options)
            try:
                command(line, self.home)
                ways[str(combination)] = lambda line=line: command(line, self.home)
            except UnavailableError as error:
                refused[str(combination)] = str(error)
        ways["--help"] = lambda: command(earthclip("--help"), self.home)
        if self.python:
            line = [str(self.python), "-c", COLD_PUBLISHED, str(self.clip), photo]
            ways["published"] = lambda: command(line, self.home)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for n in range(self.runs):
            for name, way in ways.items():
                say(f"whole commands, {n + 1} of {self.runs}: {name}")
                found[name].append(way())
        measured = {
            name: (Figure(tuple(s for s, _ in runs)), Figure(tuple(mb for _, mb in runs), "MB"))
            for name, runs in found.items()
        }
        return Commands(measured, refused)

    def arrays(self) -> contextlib.closing[Side]:
        return contextlib.closing(Side(sys.executable, "Arrays", self.home))

    def ours(self, combination: Combination, model: str | None = None, home: Path | None = None) -> Side:
        chosen = {"runtime": combination.runtime, "precision": combination.precision}
        return Side(sys.executable, "Ours", home or self.home, model=model or combination.model, **chosen)

    def published(self, kept: bool) -> Side:
        assert self.python
        return Side(self.python, "Published", self.home, clip=str(self.clip), kept=kept)

    def in_turns(self, what: str, ways: Mapping[str, Callable[[], float]], unit: str = "s") -> dict[str, Figure]:
        found: dict[str, list[float]] = {name: [] for name in ways}
        for n in range(self.runs):
            for name, way in ways.items():
                say(f"{what}, {n + 1} of {self.runs}: {name}")
                time.sleep(PAUSE)
                found[name].append(way())
        return {name: Figure(tuple(values), unit) for name, values in found.items()}


def earthclip(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "earthclip", *arguments]


def command(line: list[str], home: Path) -> tuple[float, float]:
    """Seconds and peak MB of one command. Raises UnavailableError with its last words when it fails."""
    environment = os.environ | {"EARTHCLIP_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            line, cwd=Path(__file__).parent, env=environment, stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        taken = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            words = errors.read().decode(errors="replace").strip()
            if not words or "Traceback" in words:
                raise SystemExit(f"{' '.join(line)} failed with exit code {process.returncode}:\n{words}")
            raise UnavailableError(words.splitlines()[-1].removeprefix("error: "))
    return taken, usage.ru_maxrss * KIB / 1e6


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
