"""What runs on the workers of a cluster: one model each, made once, and block after block answered and written.

Faults that concern the whole run (a model that is not there, a full disk) are returned and not raised: Ray would try
them again, and tell of them in a hundred lines.
"""

from __future__ import annotations

import itertools
import os
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np

from earthclip.cluster.blocks import rows_of
from earthclip.cluster.output import OutputFolder
from earthclip.cluster.pictures import Subject, read_pieces
from earthclip.cluster.rows import answer_row, answers_table, embeddings_table
from earthclip.cluster.storage import below
from earthclip.datasets.coordinates import coordinate_columns, degrees_of, feature_names
from earthclip.errors import EarthCLIPError, InputError, ModelError
from earthclip.geo.sphere import are_places, degrees_fault, wrapped
from earthclip.locating.locator import Locator, load
from earthclip.locating.question import Question
from earthclip.models import Precision, Runtime
from earthclip.models.encoders import Encoder
from earthclip.models.fastest import choose
from earthclip.outputs.geoparquet import import_pyarrow
from earthclip.outputs.journal import header
from earthclip.pictures.prepare import Failure, Prepared
from earthclip.pictures.reader import Reader

_DOWNLOADS = 8  # pictures fetched beside those that are read
_TOLD = 20  # faults of pictures that a block hands back in words; all are in its file


@runtime_checkable
class WorkerJob(Protocol):
    """What any worker is told, whatever it makes."""

    @property
    def output(self) -> str:
        """The folder or address where blocks are written."""

    @property
    def processors(self) -> int:
        """How many are its own."""


@dataclass(frozen=True)
class Job:
    """What every worker is told once.

    ``base`` is the folder that relative paths are relative to; ``fingerprint`` is that of the model, which each worker
    must have too.
    """

    source: str
    output: str
    fingerprint: str
    base: str = ""
    runtime: Runtime = "auto"
    precision: Precision = "auto"
    processors: int = 1
    column: str | None = None
    question: Question = field(default_factory=Question)
    draft: bool = True
    batch_size: int = 16


class BlockWorker:
    """Makes blocks and writes them; called by Ray Data with a block's pieces, gives one row of what came of it."""

    def __init__(self, job: WorkerJob) -> None:
        self._fault = None
        # As many threads as Ray counts for this worker, not one for each processor of the machine.
        os.environ["EARTHCLIP_THREADS"] = str(job.processors)
        try:
            self._output = OutputFolder(job.output)
            self.open()
        except (EarthCLIPError, OSError) as error:
            self._fault = f"{type(error).__name__}: {error}"

    def __call__(self, pieces: Any) -> Any:
        """Make the block; the row is a run.BlockDone and, when the run cannot go on, its fault."""
        pyarrow = import_pyarrow()
        block, fault = int(pieces.column("block")[0].as_py()), self._fault
        errors: list[str] = []
        rows = lost = 0
        if fault is None:
            try:
                lost = self._output.begin_block(block)
                rows, errors = self.make(block, pieces)
                self._output.end_block(block)
            except (EarthCLIPError, OSError) as error:
                fault = f"{type(error).__name__}: {error}"
        told = pyarrow.array([errors[:_TOLD]], pyarrow.list_(pyarrow.string()))
        counts = {"block": [block], "answered": [rows - len(errors)], "failed": [len(errors)], "lost": [lost]}
        return pyarrow.table(counts | {"errors": told, "fault": pyarrow.array([fault], pyarrow.string())})

    def open(self) -> None:
        """Make what blocks need. Raises EarthCLIPError."""

    def close(self) -> None:
        """Let go of what ``open`` made; Ray ends the process, where this is not called."""

    @abstractmethod
    def make(self, block: int, pieces: Any) -> tuple[int, list[str]]:
        """Write the block, whole; returns how many rows it has and what was wrong with some."""


class _ModelWorker(BlockWorker):
    def __init__(self, job: Job) -> None:
        self.job = job
        super().__init__(job)

    @cached_property
    def locator(self) -> Locator:
        """The model."""
        return load(self.job.source, runtime=self.job.runtime, precision=self.job.precision)

    def open(self) -> None:
        if header(self.locator.config, {})["fingerprint"] != self.job.fingerprint:
            where = f"worker {os.uname().nodename}: {self.locator.folder.path}"
            raise ModelError(f"{where}: another model than where the run was started; copy the same to all machines")

    def make(self, block: int, pieces: Any) -> tuple[int, list[str]]:
        table = self.answer(pieces)
        self._output.write_block(block, table)
        return len(table), [error for error in table.column("error").to_pylist() if error is not None]

    @abstractmethod
    def answer(self, pieces: Any) -> Any:
        """A pyarrow table with a row for each picture or row of the block, and a column ``error``."""


class _PictureWorker(_ModelWorker):
    def open(self) -> None:
        super().open()
        preprocessing, job = self.locator.folder.preprocessing, self.job
        self._reader = Reader(preprocessing, job.question.views, workers=job.processors, draft=job.draft)

    def close(self) -> None:
        self._reader.close()

    def pictures(self, pieces: Any) -> Iterator[tuple[Subject, Prepared | Failure]]:
        ahead = 2 * self.job.batch_size + _DOWNLOADS
        return read_pieces(self._reader, pieces, self.job.base, self.job.column, ahead)


class LocateWorker(_PictureWorker):
    """Rows of ``cluster.rows.COLUMNS``, the very answers of ``Locator.locate`` in batches of the same size."""

    def answer(self, pieces: Any) -> Any:
        """The block's places."""
        subjects: deque[Subject] = deque()

        def noted() -> Iterator[Prepared | Failure]:
            for subject, picture in self.pictures(pieces):
                subjects.append(subject)
                yield picture

        job = self.job
        answers = self.locator.answers(noted(), job.question, batch_size=job.batch_size)
        return answers_table([answer_row(*subjects.popleft(), answer) for answer in answers])


class ImageEmbeddingWorker(_PictureWorker):
    """Rows of path, row, embedding (float32 [d]) and error; what ``Locator.encode_image`` gives."""

    def open(self) -> None:
        """Also the encoder, which may be had without a gallery."""
        super().open()
        self._width = self.locator.config.embedding_size
        if self.job.question.views not in self.locator.config.views:
            known = ", ".join(self.locator.config.views)
            raise InputError(f"model '{self.locator.name}' takes views {known}, found '{self.job.question.views}'")
        self._encoder: Encoder = choose(self.locator.folder, self.job.runtime, self.job.precision).open(self._width)

    def answer(self, pieces: Any) -> Any:
        """The block's embeddings."""
        subjects: list[Subject] = []
        errors: list[str | None] = []
        found: list[np.ndarray] = []
        pictures = self.pictures(pieces)
        while batch := list(itertools.islice(pictures, self.job.batch_size)):
            rows = np.zeros((len(batch), self._width), np.float32)
            read = [index for index, (_, picture) in enumerate(batch) if isinstance(picture, Prepared)]
            if read:
                pixels = [picture.pixels for _, picture in batch if isinstance(picture, Prepared)]
                rows[read] = self._encoder.encode_views(np.stack(pixels))
            found.append(rows)
            subjects += [subject for subject, _ in batch]
            errors += [picture.error if isinstance(picture, Failure) else None for _, picture in batch]
        return embeddings_table(subjects, np.concatenate(found), errors)


class LocationEmbeddingWorker(_ModelWorker):
    """The rows of tables of coordinates, with a float32 column for each feature and ``error`` for what is no place."""

    def answer(self, pieces: Any) -> Any:
        """The block's rows; raises InputError for a table that cannot be read, since its columns are not known then."""
        pyarrow = import_pyarrow()
        tables = []
        for piece in pieces.to_pylist():
            where = below(self.job.base, piece["path"])
            table = rows_of(where, piece["group"], piece["skip"], piece["rows"])
            latitude, longitude = coordinate_columns(table.schema.names, where)
            if latitude is None or longitude is None:
                raise InputError(f"{where}: has no columns called latitude and longitude; rename them")
            degrees = np.stack([_degrees(table.column(latitude), where), _degrees(table.column(longitude), where)], 1)
            places = are_places(degrees)
            width = self.locator.config.embedding_size
            if taken := set(feature_names(width)) & set(table.schema.names):
                raise InputError(f"{where}: has a column called {min(taken)} already; rename or drop it")
            features = np.full((len(degrees), width), np.nan, np.float32)
            if places.any():
                features[places] = self.locator.encode_location(wrapped(degrees[places]))
            for name, values in zip(feature_names(width), features.T, strict=True):
                table = table.append_column(name, pyarrow.array(np.ascontiguousarray(values), mask=~places))
            faults = [None if ok else degrees_fault(*pair) for ok, pair in zip(places, degrees.tolist(), strict=True)]
            tables.append(_with_errors(table, faults, where))
        try:
            return pyarrow.concat_tables(tables, promote_options="permissive")
        except pyarrow.ArrowException as error:
            names = ", ".join(dict.fromkeys(pieces.column("path").to_pylist()))
            raise InputError(f"{names}: columns of different types ({error}); embed the tables one by one") from error


def _with_errors(table: Any, faults: list[str | None], where: str) -> Any:
    """The table with what was wrong with each row: what an earlier command said of it, or else ``faults``."""
    pyarrow = import_pyarrow()
    if "error" in table.schema.names:
        earlier = table.column("error").to_pylist()
        if any(error is not None and not isinstance(error, str) for error in earlier):
            raise InputError(f"{where}: has a column called error that is not of text; rename or drop it")
        faults = [before or fault for before, fault in zip(earlier, faults, strict=True)]
        table = table.drop_columns(["error"])
    return table.append_column("error", pyarrow.array(faults, pyarrow.string()))


def _degrees(column: Any, where: str) -> np.ndarray:
    try:
        return degrees_of(column.combine_chunks())
    except import_pyarrow().ArrowException as error:
        raise InputError(f"{where}: coordinates of type {column.type}; expected numbers of degrees") from error


WORKERS: dict[str, type[BlockWorker]] = {
    "locate": LocateWorker,
    "embeddings": ImageEmbeddingWorker,
    "embed": LocationEmbeddingWorker,
}
