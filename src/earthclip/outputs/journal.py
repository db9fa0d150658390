"""Answers stored beside the output file as they come, so that an interrupted run can be resumed.

``FILE.partial`` is JSON Lines: a header of what decides the answers, then one answer a line. FILE itself is written
from it at the end. Answers are written a batch at a time: the last digits of an answer depend on the batch it was
computed in, so that a run resumed in the middle of one would end in another file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Unpack

from earthclip.configuration import to_mapping
from earthclip.errors import OutputError, readable
from earthclip.files import mode_of, refuse_existing, with_ending
from earthclip.locating.prediction import Prediction
from earthclip.models.config import ModelConfig
from earthclip.models.sources import label_of
from earthclip.outputs import WriterOptions, open_writer
from earthclip.outputs.structured import dumps, from_object, to_object
from earthclip.pictures.prepare import Failure

FORMAT = 1
# What journals and clusters' folders of version 0.1.0 do not say.
_LATER = ("image_encoder", "location_encoder", "folder")


def header(configs: Sequence[ModelConfig], options: Mapping[str, object]) -> dict[str, object]:
    """What must be the same for two runs to share a journal: the models asked, by their configs, and ``options``."""
    names, fingerprints = label_of(config.name for config in configs), " ".join(map(_fingerprint, configs))
    return {"format": FORMAT, "model": names, "fingerprint": fingerprints, **options}


def _fingerprint(config: ModelConfig) -> str:
    config = dataclasses.replace(config, smallest_weight=None)  # of no effect on answers; runs begun before are resumed
    return hashlib.sha256(dumps(to_mapping(config)).encode()).hexdigest()[:16]


def partial_of(output: Path) -> Path:
    """Where the journal of ``output`` is."""
    return with_ending(output, ".partial")


def refuse_another_run(where: object, before: Mapping[str, object], header: Mapping[str, object]) -> None:
    """Raise OutputError naming what differs between the header of the run at ``where`` and that of this one."""
    asked = json.loads(dumps(dict(header)))
    for name in (*asked, *before):
        if name in _LATER and name not in before:
            continue
        if before.get(name) != asked.get(name):
            raise OutputError(
                f"{where}: holds a run with {name} {before.get(name)}, but this run has {asked.get(name)}; use the "
                "same options, or add --force and leave out --resume to start over"
            )


def value_in(header: bytes, name: str) -> str | None:
    """The text that a header has under ``name``, or None."""
    try:
        found = json.loads(header).get(name)
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


@contextlib.contextmanager
def open_journal(output: Path, batch_size: int, *, resume: bool = False, force: bool = False) -> Iterator[Journal]:
    """The journal of ``output``, locked against other runs; removed at the end when it holds no answers.

    With ``resume`` it continues an interrupted run of the same ``batch_size``. Raises OutputError when
    ``output``, or a journal that is not resumed, exists and not ``force``, when another run has it, or when it cannot
    be written.
    """
    path = partial_of(output)
    if not force and not (resume and path.exists()):  # killed between its last two steps, a run has left both
        refuse_existing(output)
    file = open_locked(path, output)
    journal = Journal(file, path, output, batch_size, resume)
    try:
        if file.seek(0, os.SEEK_END) and not (resume or force):
            raise OutputError(
                f"{path}: holds the answers of an interrupted run; add --resume to continue it, or --force to "
                "start over"
            )
        yield journal
    finally:
        journal.close()


class Journal:
    """Made by ``open_journal``; ``begin`` comes first, ``finish`` or ``discard`` last."""

    def __init__(self, file: IO[bytes], path: Path, output: Path, batch_size: int, resume: bool) -> None:
        self.path = path
        self.answered = 0  # pictures located, on disk
        self.failed = 0  # and those that could not be
        self._file, self._output, self._batch_size, self._resume = file, output, batch_size, resume
        self._waiting: list[Prediction | Failure] = []
        self._begun = self._useless = False

    @property
    def kept(self) -> int:
        """Answers on disk."""
        return self.answered + self.failed

    def before(self, name: str) -> str | None:
        """What the header of the run to resume says of ``name``; None where there is none, or it says nothing."""
        if not self._resume:
            return None
        with self.path.open("rb") as file:
            return value_in(file.readline(), name)

    def begin(self, header: Mapping[str, object]) -> None:
        """Write ``header``, or compare it with that of the run to resume; the answers of that run are then ``kept``.

        Raises OutputError naming what differs when that run was another model's or had other options.
        """
        with self.path.open("rb") as file:
            first = file.readline() if self._resume else b""
            if first.endswith(b"\n"):
                self._compare(first, header)
                self._count(file)
                self._begun = True
                return
        self._file.truncate(0)  # it is new, or to be replaced, or was killed before its first line was whole
        self._append(dumps(header).encode() + b"\n")
        self._begun = True

    def unanswered(self, pictures: Iterable[Path | Failure]) -> Iterator[Path | Failure]:
        """``pictures`` without those that were answered before ``begin``; pictures are identified by path.

        Raises OutputError when one that was answered is not among ``pictures``; there may be more of them than before.
        """
        pictures, before = iter(pictures), map(_path_of, self._answers())
        for path in before:
            picture = next(pictures, None)
            if picture is None or _path_of(picture) != path:
                # Files came or went: all that are left are looked up, whatever the order, before there is more work.
                rest = pictures if picture is None else itertools.chain([picture], pictures)
                yield from self._new_among(rest, Counter(itertools.chain([path], before)))
                return
        yield from pictures

    def _new_among(self, pictures: Iterable[Path | Failure], answered: Counter[str | None]) -> list[Path | Failure]:
        new = []
        for picture in pictures:
            if answered[path := _path_of(picture)] > 0:
                answered[path] -= 1
            else:
                new.append(picture)
        if gone := answered.total():
            raise OutputError(
                f"{self.path}: {gone:,} of its answers are about pictures that are not given now, such as "
                f"{next(answered.elements())}; give the same pictures, with others beside them if you like, or add "
                "--force and leave out --resume to start over"
            )
        return new

    def write(self, answer: Prediction | Failure) -> None:
        """Keep one answer; it is on disk when its batch is complete. Raises OutputError."""
        self._waiting.append(answer)
        if len(self._waiting) == self._batch_size:
            self._flush()

    def finish(self, format: str, **shown: Unpack[WriterOptions]) -> None:
        """Write the output in ``format`` atomically, and remove the journal. Raises OutputError.

        The journal itself always has paths, which say what is answered; ``shown`` is as for ``open_writer``.
        """
        self._flush()
        try:
            with open_writer(format, self._output, overwrite=True, **shown) as out:
                for answer in self._answers():
                    out.write(answer)
        except OutputError as error:
            raise OutputError(f"{error}; the answers are kept in {self.path}, continue with --resume") from error
        self._useless = True

    def discard(self) -> None:
        """Remove the journal with its answers."""
        self._useless = True

    def close(self) -> None:
        """Unlock it, and remove it when nothing in it can be resumed."""
        empty = self._file.seek(0, os.SEEK_END) == 0 or (self._begun and not self.kept)
        if self._useless or empty:
            if sys.platform == "win32":
                self._file.close()  # it removes no open file
            self.path.unlink(missing_ok=True)
        self._file.close()

    def _compare(self, first: bytes, header: Mapping[str, object]) -> None:
        try:
            before = dict(json.loads(first))
        except (ValueError, TypeError) as error:
            raise OutputError(f"{self.path}: not a journal written by earthclip; move or rename this file") from error
        refuse_another_run(self.path, before, header)

    def _count(self, file: IO[bytes]) -> None:
        """Count the answers; from a line that was not written whole, cut the journal back to its last whole batch."""
        batch = file.tell(), 0, 0
        for line in file:
            try:
                answer = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                answer = None
            if answer is None:
                end, self.answered, self.failed = batch
                self._file.truncate(end)
                return
            self.failed += "error" in answer
            self.answered += "error" not in answer
            if self.kept % self._batch_size == 0:
                batch = file.tell(), self.answered, self.failed

    def _answers(self) -> Iterator[Prediction | Failure]:
        """Those that are on disk when the first is asked for."""
        with self.path.open("rb") as file:
            file.readline()
            for line in itertools.islice(file, self.kept):
                yield from_object(json.loads(line))

    def _flush(self) -> None:
        self._append(b"".join(dumps(to_object(answer, cells=True)).encode() + b"\n" for answer in self._waiting))
        failed = sum(isinstance(answer, Failure) for answer in self._waiting)
        self.failed += failed
        self.answered += len(self._waiting) - failed
        self._waiting.clear()

    def _append(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            advice = (
                f"; {self.kept:,} answers are kept, free some disk space and continue with --resume"
                if self.kept
                else ""
            )
            raise OutputError(f"{self.path}: writing failed ({error.strerror}){advice}") from error


def _path_of(picture: Path | Failure | Prediction) -> str | None:
    path = os.fspath(picture) if isinstance(picture, Path) else picture.path
    return None if path is None else readable(path)  # as it is in the file


def open_locked(path: Path, output: Path) -> IO[bytes]:
    """The file at ``path``, made if need be, and locked until it is closed. Raises OutputError about ``output``.

    On Windows, and on a drive without locks, another run that has it is not found out.
    """
    mode = mode_of(output) if output.is_file() else 0o666
    # OpenVINO forks a process for a moment at its first use, which then holds what was open: ask again for a second.
    ends = time.monotonic() + 1.0

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, mode)

    while True:
        try:
            # What is written there is read by nobody who cannot read the output that it is going to replace.
            file = open(path, "a+b", buffering=0, opener=opener)  # noqa: SIM115
        except OSError as error:
            fault = f"{output}: cannot be written ({error.strerror}); choose a folder you can write to"
            raise OutputError(fault) from error
        if sys.platform == "win32":
            return file
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            if time.monotonic() < ends:
                time.sleep(0.05)
                continue
            raise OutputError(
                f"{output}: another run is writing there; wait for that run to end, or choose another name"
            ) from error
        except OSError:
            return file
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # the run that had it has removed it meanwhile
