"""Times every runtime and precision of a model's encoders that this machine has; records the fastest exact one.

Each is timed on one picture after the other, which also tells what it does to their embeddings. The best are then timed
in turns with what was chosen before, since others use the machine too, and only a gain above 5 % changes the choice.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from earthclip.configuration import encoder_threads, usable_processors
from earthclip.errors import EarthCLIPError, OutputError
from earthclip.files import home
from earthclip.models.config import IMAGE_ENCODER, LOCATION_ENCODER, LOCATION_PHASES
from earthclip.models.encoders import open_graph, unit
from earthclip.models.fastest import (
    LOWEST_COSINES,
    Choice,
    by_processor,
    candidates,
    choice_of,
    choose,
    files_of,
    int8_allowed,
    may_be_chosen,
)
from earthclip.models.folder import ModelFolder
from earthclip.models.measured import (
    Attempts,
    EncoderKind,
    Record,
    Row,
    can_keep,
    is_busy,
    read_record,
    this_machine,
    weights_of,
    write_record,
)
from earthclip.models.trial import Trial, pictures, places

GAIN = 1.05  # how many times as fast a way must be to replace the one chosen before
SECONDS = 120.0  # from which on no more ways are compared; those begun are ended
ENCODERS: tuple[EncoderKind, ...] = ("image", "places")
_TURNS = 3
_FINALISTS = 2
_SLOWER = 1.3  # times as slow as the best, alone, from which a way cannot win

Encode = Callable[[np.ndarray], np.ndarray]
Told = Callable[[str], None]
Clock = Callable[[], float]

_FAULTS = (EarthCLIPError, RuntimeError, MemoryError, OSError)  # for which a way is left out, and named

_logger = logging.getLogger(__name__)


def measure(folder: ModelFolder, encoder: EncoderKind, told: Told = lambda text: None) -> Record:
    """Time the candidates for an encoder on this machine, and store the result; a minute or two for ViT-L/14.

    ``told`` is called with the candidate being timed. Where the result cannot be stored, a warning says so. Raises
    ModelError when the model cannot be run at all.
    """
    ways, busy = candidates(folder, encoder), is_busy()
    trial = (pictures if encoder == "image" else places)(folder)
    size = folder.config.embedding_size

    def opened(way: Choice) -> Encode:
        if encoder == "image":
            return way.open(size, graphs).encode
        takes = "features" if folder.has(LOCATION_PHASES) else "coordinates"
        graph = open_graph(
            way.path, takes, runtime=way.runtime, precision=way.precision, threads=way.threads, gpu=way.gpu, spins=True
        )
        return lambda values: unit(graph.run(values))

    before = read_record(encoder, files_of(folder, encoder), told=True)
    kept = choice_of(before.rows[before.chosen], folder) if before else None
    if kept is None or replace(kept, threads=None) not in ways:
        kept = by_processor(folder, ways, encoder)
    with tempfile.TemporaryDirectory() as name:  # what OpenVINO makes of large graphs is gigabytes, mostly not needed
        graphs = Path(name)
        attempts = Attempts(encoder, files_of(folder, encoder))
        race = Race(trial, opened, LOWEST_COSINES[encoder], int8=int8_allowed(folder), told=told, attempts=attempts)
        rows, chosen = race.run(ways, kept)
    weights = weights_of(files_of(folder, encoder))
    record = Record(folder.config.name, encoder, weights, this_machine(), tuple(rows), chosen, busy)
    try:
        write_record(record)
    except (OSError, OutputError) as error:
        _logger.warning("warning: %s; the speed of the model is measured again next time", error)
    return record


def missing_from(folder: ModelFolder, encoders: Sequence[EncoderKind] = ENCODERS) -> list[EncoderKind]:
    """The ``encoders`` to measure: never measured on this machine, or while it was busy and now it is not."""
    names = {"image": IMAGE_ENCODER, "places": LOCATION_ENCODER}
    has = [kind for kind in encoders if folder.has(names[kind])]
    records = {kind: read_record(kind, files_of(folder, kind)) for kind in has}
    return [kind for kind, record in records.items() if record is None or (record.busy and not is_busy())]


def measure_missing(
    folder: ModelFolder, told: Told = lambda text: None, encoders: Sequence[EncoderKind] = ENCODERS
) -> None:
    """``measure`` those of ``encoders`` that were not measured on this machine.

    Where the cache folder cannot be written, nothing is, since it would be in every run: a warning says which way the
    rule by processor has chosen instead.
    """
    missing = missing_from(folder, encoders)
    if missing and not can_keep():
        chosen = ", ".join(str(choose(folder, encoder=kind)) for kind in missing)
        _logger.warning(
            "warning: %s cannot be written, so the speed of %s is not measured; a rule by processor chose %s",
            home(),
            folder.config.name,
            chosen,
        )
        return
    for kind in missing:
        measure(folder, kind, told)


class Race:
    """Ways to run one encoder against each other, by ``clock`` in seconds."""

    def __init__(
        self,
        trial: Trial,
        opened: Callable[[Choice], Encode],
        lowest_cosine: float,
        *,
        int8: bool = False,
        told: Told = lambda text: None,
        clock: Clock = time.perf_counter,
        attempts: Attempts | None = None,
    ) -> None:
        """``opened`` gives what encodes, ``int8`` says if it may be chosen, ``attempts`` what ended a process."""
        self._trial, self._opened, self._lowest, self._int8 = trial, opened, lowest_cosine, int8
        self._told, self._clock, self._attempts = told, clock, attempts
        self._rows: dict[Choice, Row] = {}
        self._exact: np.ndarray | None = None

    def run(self, ways: Sequence[Choice], kept: Choice) -> tuple[list[Row], int]:
        """A row for each way, and the index of the fastest; ``kept`` stays where no other is more than 5 % faster.

        Raises EarthCLIPError when the float32 of ONNX Runtime, which the others are compared with, cannot be run.
        """
        ends = self._clock() + SECONDS
        # Float32 on the processor first, as the others are compared with it.
        for way in sorted(ways, key=lambda way: way.gpu or (way.runtime, way.precision) != ("onnxruntime", "float32")):
            self._screen(way)
        for way in [few for best in self._best()[:_FINALISTS] for few in _fewer_threads(best)]:
            if self._clock() < ends:
                self._screen(way)
        if kept not in self._rows:  # with threads that are not among those tried
            self._screen(kept)
        contenders = self._best()
        if not self._takes(kept):
            kept = contenders[0]
        fastest = self._rows[contenders[0]].ms
        rivals = [way for way in contenders if way != kept and self._rows[way].ms < _SLOWER * fastest]
        if not rivals:
            self._time_in_turns([kept])
        for rival in rivals[:_FINALISTS]:
            if self._clock() < ends:  # else what each took alone must do
                self._time_in_turns([kept, rival])
            if not self._takes(kept) or (self._takes(rival) and _gains(self._rows[kept], self._rows[rival])):
                kept = rival
        return list(self._rows.values()), list(self._rows).index(kept)

    def _screen(self, way: Choice) -> None:
        """Time one way on inputs one after the other, and compare its embeddings with those of float32."""
        row = Row(way.path.name, way.runtime, way.precision, way.gpu, way.threads)  # type: ignore[arg-type]
        if self._exact is None or self._attempts is None:
            self._time_alone(way, row)
        elif _named(way) in self._attempts.deadly:
            fault = f"it ended an earlier process; delete {self._attempts.path} to try it again"
            self._rows[way] = replace(row, fault=fault)
        else:
            self._attempts.begin(_named(way))
            try:
                self._time_alone(way, row)
            finally:
                self._attempts.end(_named(way))

    def _time_alone(self, way: Choice, row: Row) -> None:
        self._told(_named(way))
        try:
            encode = self._opened(way)
            encode(self._trial.alone[0])  # what is done once
            times, found = [], []
            for values in self._trial.alone:
                began = self._clock()
                found.append(encode(values))
                times.append(self._clock() - began)
        except _FAULTS as error:
            if self._exact is None:
                raise
            self._rows[way] = replace(row, fault=_reason(error))
            return
        rows = np.concatenate(found)
        if not np.isfinite(rows).all():
            self._rows[way] = replace(row, fault="its embeddings are not finite numbers")
            return
        self._exact = rows if self._exact is None else self._exact
        cosine = float(np.vecdot(rows, self._exact).min())
        self._rows[way] = replace(row, alone_ms=1000 * statistics.median(times), lowest_cosine=cosine)

    def _time_in_turns(self, ways: Sequence[Choice]) -> None:
        """Time ways alone and together, one after the other and again, so that a busy moment meets all of them."""
        self._told(" against ".join(map(_named, ways)))
        together = self._trial.together
        inputs = [self._trial.alone[0]] if together is None else [self._trial.alone[0], together]
        times: dict[Choice, list[list[float]]] = {way: [[] for _ in inputs] for way in ways}
        encodes: dict[Choice, Encode] = {}
        for turn in range(_TURNS + 1):
            for way, taken in times.items():
                if self._rows[way].fault:
                    continue
                try:
                    encode = encodes[way] = encodes.get(way) or self._opened(way)
                    for values, each in zip(inputs, taken, strict=True):
                        began = self._clock()
                        encode(values)
                        if turn:  # the first is not counted
                            each.append(1000 * (self._clock() - began))
                except _FAULTS as error:
                    self._rows[way] = replace(self._rows[way], fault=_reason(error))
        for way, taken in times.items():
            if self._rows[way].fault is None:
                alone, *rest = map(statistics.median, taken)
                each_ms = None if together is None else rest[0] / len(together)
                self._rows[way] = replace(self._rows[way], alone_ms=alone, together_ms=each_ms)

    def _best(self) -> list[Choice]:
        """Ways that may be chosen, the fastest first."""
        return sorted(filter(self._takes, self._rows), key=lambda way: self._rows[way].ms)

    def _takes(self, way: Choice) -> bool:
        return may_be_chosen(self._rows[way], self._lowest, int8=self._int8)


def _gains(kept: Row, rival: Row) -> bool:
    """Whether ``rival`` is more than ``GAIN`` times as fast as ``kept``: alone and together if only threads differ."""
    same = (rival.file, rival.runtime, rival.precision, rival.gpu) == (
        kept.file,
        kept.runtime,
        kept.precision,
        kept.gpu,
    )
    if not (rival.together_ms and kept.together_ms):
        return (rival.alone_ms or 0) * GAIN < (kept.alone_ms or 0)
    if same:
        return rival.together_ms * GAIN < kept.together_ms and (rival.alone_ms or 0) * GAIN < (kept.alone_ms or 0)
    return rival.ms * GAIN < kept.ms


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _fewer_threads(way: Choice) -> Iterator[Choice]:
    """The same with half of the threads, and with one: where processors share a core, or little is computed."""
    most = usable_processors()
    if encoder_threads() is None and not way.gpu:
        for threads in sorted({most // 2, 1} - {0, most}):
            yield replace(way, threads=threads)


def _named(way: Choice) -> str:
    threads = "" if way.threads is None else f" with {way.threads} thread{'s' if way.threads != 1 else ''}"
    return f"{way.runtime} {way.precision}{' on CUDA' if way.gpu else ''}{threads}"
