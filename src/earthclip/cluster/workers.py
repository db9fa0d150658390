"""What runs on the workers of a cluster: one model each, loaded once, and block after block answered and written.

Faults of the whole run (a model that is not there, a full disk) are returned and not raised: Ray would try them again,
and tell of them in a hundred lines.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from earthclip.cluster.blocks import Subject, pictures_of, read_rows, subject_name
from earthclip.cluster.output import OutputFolder, answer_row, answers_table, embeddings_table
from earthclip.cluster.storage import below
from earthclip.datasets.columns import coordinate_columns, degrees_of, feature_names
from earthclip.errors import EarthCLIPError, InputError, ModelError
from earthclip.geo.sphere import are_places, degrees_fault, wrapped
from earthclip.locating.locator import Locator, load
from earthclip.locating.question import Question
from earthclip.models import Precision, Runtime
from earthclip.models.fastest import candidates, read_choice
from earthclip.models.sources import ChosenModel
from earthclip.outputs.geoparquet import import_pyarrow
from earthclip.outputs.journal import header
from earthclip.pictures.prepare import Failure, Prepared, batches
from earthclip.pictures.reader import Reader

_DOWNLOADS = 8  # pictures fetched beside those that are read
_MOST_LOST = 5  # workers that one block may end
_TOLD = 20  # faults of pictures that a block hands back in words; all are in its file


@dataclass(frozen=True)
class Job:
    """What every worker receives once.

    ``base`` is the folder that relative paths are relative to. ``fingerprint`` is that of the model, and ``encoder``
    what runs its image or location encoder: each worker must have the same. ``first`` is a model asked before it;
    then these are of both. ``run`` is the output folder's.
    """

    source: str
    output: str
    fingerprint: str
    encoder: str | None = None
    first: str | None = None
    run: str = ""
    base: str = ""
    runtime: Runtime = "auto"
    precision: Precision = "auto"
    processors: int = 1
    column: str | None = None
    question: Question = field(default_factory=Question)
    draft: bool = True
    batch_size: int = 16


class Attempts:
    """How many workers have begun each block. Ray would lose one after the other to a block that needs too much memory.

    It is an actor of its own, since a worker that is lost cannot tell.
    """

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, block: int) -> int:
        """Count one more; returns how many there were before, all of which were lost."""
        self._begun[block] += 1
        return self._begun[block] - 1


class BlockWorker:
    """Makes blocks and writes them; called by Ray Data with a block's pieces, gives one row of what came of it."""

    def __init__(self, processors: int, attempts: Any = None) -> None:
        """``attempts`` is an ``Attempts``, as an actor of Ray's."""
        self._attempts = attempts
        self._fault: str | None = None
        # As many threads as Ray counts for this worker, not one for each processor of the machine.
        os.environ["EARTHCLIP_THREADS"] = str(processors)
        try:
            self.open()
        except (EarthCLIPError, OSError) as error:
            self._fault = f"{type(error).__name__}: {error}"

    def __call__(self, pieces: Any) -> Any:
        """Make the block; the row is a run.BlockDone and, when the run cannot go on, its fault."""
        pyarrow = import_pyarrow()
        block, fault = int(pieces.column("block")[0].as_py()), self._fault
        errors: list[str] = []
        rows = lost = 0
        if self._attempts is not None:
            import ray

            lost = ray.get(self._attempts.begin.remote(block))
        if lost >= _MOST_LOST:
            fault = (
                f"EarthCLIPError: {lost} workers died while processing block {block}, most likely because memory ran "
                "out; continue with --resume and fewer --workers, or with --worker-cpus set to all CPUs of a machine"
            )
        if fault is None:
            try:
                rows, errors = self.make(block, pieces)
            except (EarthCLIPError, OSError) as error:
                fault = f"{type(error).__name__}: {error}"
        told = pyarrow.array([errors[:_TOLD]], pyarrow.list_(pyarrow.string()))
        counts = {"block": [block], "answered": [rows - len(errors)], "failed": [len(errors)], "lost": [lost]}
        return pyarrow.table(counts | {"errors": told, "fault": pyarrow.array([fault], pyarrow.string())})

    def open(self) -> None:
        """Make what blocks need. Raises EarthCLIPError."""

    @abstractmethod
    def make(self, block: int, pieces: Any) -> tuple[int, list[str]]:
        """Write the block, whole; returns how many rows it has and what was wrong with some."""


class ModelWorker(BlockWorker):
    """A worker with a model, which its blocks are answered by."""

    task: ClassVar[str]  # as _earthclip/run.json calls it
    block_size: ClassVar[int]  # where nobody says how many: a minute's work or less, which a lost worker repeats

    def __init__(self, job: Job, attempts: Any = None) -> None:
        self.job = job
        super().__init__(job.processors, attempts)

    @cached_property
    def locator(self) -> Locator:
        """The model."""
        chosen = ChosenModel(self.job.source, first=self.job.first)
        return load(chosen, runtime=self.job.runtime, precision=self.job.precision)

    def open(self) -> None:
        """Raises ModelError unless the model, and what runs it, is that which the run was started with."""
        job, models = self.job, self.locator.models
        where = f"worker {os.uname().nodename}: {' and '.join(str(model.folder.path) for model in models)}"
        if header([model.config for model in models], {})["fingerprint"] != job.fingerprint:
            raise ModelError(
                f"{where}: not the model that the run was started with; copy the same model to all machines"
            )
        if job.encoder:
            self.take_encoder(job.encoder, where)

    def take_encoder(self, wanted: str, where: str) -> None:
        """Run what the run was started with. Raises ModelError, which begins with ``where``, if that is not here."""
        for model, one in zip(self.locator.models, wanted.split("; "), strict=False):
            choice = read_choice(one, model.folder)
            if choice is None:
                raise _another_encoder(where, "; ".join(map(str, candidates(model.folder, "image"))), one)
            model.pin(choice)

    def make(self, block: int, pieces: Any) -> tuple[int, list[str]]:
        """Answer the block and write its file."""
        table = self.answer(pieces)
        OutputFolder(self.job.output, self.job.run).write_block(block, table)
        return len(table), [error for error in table.column("error").to_pylist() if error is not None]

    @abstractmethod
    def answer(self, pieces: Any) -> Any:
        """A pyarrow table with a row for each picture or row of the block, and a column ``error``."""


class _PictureWorker(ModelWorker):
    block_size = 256

    def open(self) -> None:
        super().open()
        job, preprocessing = self.job, self.locator.folder.preprocessing
        also = self.locator.also(self.locator.models)
        self._reader = Reader(preprocessing, job.question.views, workers=job.processors, draft=job.draft, also=also)

    def close(self) -> None:
        """End the processes that read; on Ray they end with the worker's own."""
        self._reader.close()

    def pictures(self, pieces: Any) -> Iterator[tuple[Subject, Prepared | Failure]]:
        """Each picture of the block, in order.

        None is read in this process, so that a picture that ends its reader is a Failure and not a lost worker of Ray.
        """
        subjects, sources = itertools.tee(pictures_of(pieces, self.job.base, self.job.column))
        ahead = 2 * self.job.batch_size + _DOWNLOADS
        with contextlib.closing(self._reader.read_ahead((source for _, source in sources), ahead, few=0)) as pictures:
            for picture, (subject, source) in zip(pictures, subjects, strict=True):
                if isinstance(picture, Failure) and isinstance(source, str):
                    name = subject_name(*subject)  # the path as it was given, or the row of a table that has it
                    yield subject, Failure(name, picture.error.replace(source, name))
                else:
                    yield subject, picture


class LocateWorker(_PictureWorker):
    """Rows of ``output.COLUMNS``, the very answers of ``Locator.locate`` in batches of the same size."""

    task = "locate"

    def answer(self, pieces: Any) -> Any:
        """The block's places."""
        subjects: list[Subject] = []

        def noted() -> Iterator[Prepared | Failure]:
            for subject, picture in self.pictures(pieces):
                subjects.append(subject)
                yield picture

        answers = list(self.locator.answers(noted(), self.job.question, batch_size=self.job.batch_size))
        return answers_table([answer_row(*subject, answer) for subject, answer in zip(subjects, answers, strict=True)])


class ImageEmbeddingWorker(_PictureWorker):
    """Rows of path, row, embedding (float32 [d]) and error; what ``Locator.encode_image`` gives."""

    task = "embeddings"

    def answer(self, pieces: Any) -> Any:
        """The block's embeddings."""
        rows: list[tuple[Subject, np.ndarray | str]] = []
        for batch in batches(self.pictures(pieces), self.job.batch_size):
            readable = [picture for _, picture in batch if isinstance(picture, Prepared)]
            embeddings = iter(self.locator.encode_image(readable, self.job.batch_size, self.job.question.views))
            for subject, picture in batch:
                rows.append((subject, picture.error if isinstance(picture, Failure) else next(embeddings)))
        return embeddings_table(rows, self.locator.config.embedding_size)


class LocationEmbeddingWorker(ModelWorker):
    """The rows of tables of coordinates, with a float32 column for each feature and ``error`` for what is no place."""

    task = "embed"
    block_size = 8192

    def take_encoder(self, wanted: str, where: str) -> None:
        """As for pictures; a location encoder is not chosen for a worker, but must be the one that is chosen here."""
        if (here := str(self.locator.open_location_encoder())) != wanted:
            raise _another_encoder(where, here, wanted)

    def answer(self, pieces: Any) -> Any:
        """The block's rows; raises InputError for a table that cannot be read, since its columns are not known then."""
        pyarrow = import_pyarrow()
        tables = [self._embed(below(self.job.base, piece["path"]), piece) for piece in pieces.to_pylist()]
        try:
            return pyarrow.concat_tables(tables, promote_options="permissive")
        except pyarrow.ArrowException as error:
            names = ", ".join(dict.fromkeys(pieces.column("path").to_pylist()))
            raise InputError(f"{names}: columns of different types ({error}); embed the tables one by one") from error

    def _embed(self, where: str, piece: Any) -> Any:
        pyarrow = import_pyarrow()
        table = read_rows(where, piece["row"], piece["rows"])
        latitude, longitude = coordinate_columns(table.schema.names, where)
        if latitude is None or longitude is None:
            raise InputError(
                f"{where}: no columns called latitude and longitude; rename the columns that hold the coordinates"
            )
        degrees = np.stack([_degrees(table.column(latitude), where), _degrees(table.column(longitude), where)], 1)
        places = are_places(degrees)
        names = feature_names(self.locator.config.embedding_size)
        if taken := set(names) & set(table.schema.names):
            raise InputError(f"{where}: already has a column called {min(taken)}; rename or drop it")
        features = np.full((len(degrees), len(names)), np.nan, np.float32)
        if places.any():
            features[places] = self.locator.encode_location(wrapped(degrees[places]))
        for name, values in zip(names, features.T, strict=True):
            table = table.append_column(name, pyarrow.array(np.ascontiguousarray(values), mask=~places))
        faults = [None if ok else degrees_fault(*pair) for ok, pair in zip(places, degrees.tolist(), strict=True)]
        if "error" in table.schema.names:  # what an earlier command said of a row stays
            earlier = table.column("error").to_pylist()
            if any(error is not None and not isinstance(error, str) for error in earlier):
                raise InputError(f"{where}: has a column called error that does not hold text; rename or drop it")
            faults = [before or fault for before, fault in zip(earlier, faults, strict=True)]
            table = table.drop_columns(["error"])
        return table.append_column("error", pyarrow.array(faults, pyarrow.string()))


def _another_encoder(where: str, here: str, wanted: str) -> ModelError:
    advice = "give --runtime and --precision, which then hold for all machines"
    return ModelError(f"{where}: has {here}; the run was started with {wanted}; {advice}")


def _degrees(column: Any, where: str) -> np.ndarray:
    try:
        return degrees_of(column.combine_chunks())
    except import_pyarrow().ArrowException as error:
        raise InputError(f"{where}: coordinates of type {column.type}; expected numbers of degrees") from error
