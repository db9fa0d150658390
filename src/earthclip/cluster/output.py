"""What a cluster writes: a folder with one Parquet file for each block, and in it one row for each picture.

Ray Data's own writer names its files by task and leaves a file cut short where a worker is killed. Here a block's file
has the block's number and appears whole, so that a run ends in the same files whatever was killed, and a later run
leaves out what is there.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from earthclip.cluster.blocks import Subject
from earthclip.cluster.storage import FAULTS, below, is_address, local_path, open_storage, read_bytes, write_bytes
from earthclip.datasets.shards import reason
from earthclip.errors import InputError, OutputError
from earthclip.locating.prediction import Prediction
from earthclip.outputs.geoparquet import import_pyarrow
from earthclip.outputs.journal import open_locked, refuse_another_run, value_in
from earthclip.outputs.structured import area90_km2, digits, dumps, rounded
from earthclip.outputs.table import level_word, printable, warning_text
from earthclip.pictures.prepare import Failure

_PART = re.compile(r"part-(\d{6,})\.parquet")
_LEFT = re.compile(r"\.?part-\d+\.parquet.*\.part")  # by a worker that was killed while it wrote
_NOTES, _SUCCESS = "_earthclip/", "_SUCCESS"
_HEADER, _BLOCKS, _LOCK = f"{_NOTES}run.json", f"{_NOTES}blocks.parquet", f"{_NOTES}lock"

_PLACE = {
    "latitude": "float64",
    "longitude": "float64",
    "probability": "float64",
    "place": "string",
    "country_code": "string",
}
# Null where a row has no such value; docs/clusters.md explains each.
COLUMNS = {
    "path": "string",
    "row": "int64",  # in the table at path, from 0; null for a picture file
    "model": "string",
    **_PLACE,  # the best one
    "warning": "string",
    "verdict": "string",
    "radius_km": "float64",
    "mass": "float64",
    "area90_km2": "float64",
    "region_share": "float64",
    "scope": "float64",
    "candidates": "places",
    "error": "string",
}


def answers_table(rows: list[dict[str, Any]]) -> Any:
    """Rows of ``answer_row`` as a pyarrow table of ``COLUMNS``."""
    pyarrow = import_pyarrow()
    place = pyarrow.struct([(name, getattr(pyarrow, kind)()) for name, kind in _PLACE.items()])
    kinds = {"places": pyarrow.list_(place)}
    fields = [(name, kinds.get(kind) or getattr(pyarrow, kind)()) for name, kind in COLUMNS.items()]
    return pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(fields))


def answer_row(path: str, row: int | None, answer: Prediction | Failure) -> dict[str, Any]:
    """One answer's row; digits and names are those of ``earthclip locate``'s other formats.

    Of an answer that abstained, the best place is null and ``candidates`` remain.
    """
    subject: dict[str, Any] = {"path": printable(path), "row": row}
    if isinstance(answer, Failure):
        return subject | {"error": printable(answer.error)}
    places = [
        dict(zip(_PLACE, (*numbers, place.text, place.country_code), strict=True))
        for numbers, place in zip(rounded(answer), answer.places, strict=True)
    ]
    verdict = answer.verdict
    return (
        subject
        | ({} if answer.abstained or not places else places[0])
        | {
            "model": answer.model,
            "warning": warning_text(answer) or None,
            "verdict": level_word(answer) or None,
            "radius_km": None if verdict is None else verdict.radius_km,
            "mass": None if verdict is None else digits(verdict.mass),
            "area90_km2": area90_km2(answer),
            "region_share": None if answer.region_share is None else digits(answer.region_share),
            "scope": None if answer.scope is None else digits(answer.scope),
            "candidates": places,
        }
    )


def embeddings_table(rows: list[tuple[Subject, np.ndarray | str]], width: int) -> Any:
    """Rows of path, row, embedding (float32 [width]) and error, one of which is null; ``rows`` have either."""
    pyarrow = import_pyarrow()
    errors = [printable(value) if isinstance(value, str) else None for _, value in rows]
    vectors = np.array([np.zeros(width) if isinstance(value, str) else value for _, value in rows], np.float32)
    failed = pyarrow.array([error is not None for error in errors], pyarrow.bool_())
    return pyarrow.table(
        {
            "path": pyarrow.array([printable(path) for (path, _), _ in rows], pyarrow.string()),
            "row": pyarrow.array([row for (_, row), _ in rows], pyarrow.int64()),
            "embedding": pyarrow.FixedSizeListArray.from_arrays(vectors.reshape(-1), width, mask=failed),
            "error": pyarrow.array(errors, pyarrow.string()),
        }
    )


class OutputFolder:
    """The folder or address that a cluster writes; made on the driver and on each worker.

    ``part-000000.parquet``, ... hold the answers; ``_earthclip/run.json`` says what was asked of which model, and
    ``_earthclip/blocks.parquet`` what each block is made of. ``_SUCCESS`` appears when all are there.

    ``_earthclip/lock`` holds ``run`` of the run that writes: on disks no other can begin, and at addresses, where
    nobody can tell a run that goes on from one that was killed, the later one takes the folder over.
    """

    def __init__(self, where: str, run: str = "") -> None:
        """``run`` is for a worker to write blocks for it alone; a driver's ``begin`` makes one up."""
        self.where = where if is_address(where) else str(Path(local_path(where)).absolute())
        self.run = run
        self._lock: IO[bytes] | None = None

    def begin(self, header: Mapping[str, object], plan: Callable[[], Any], *, resume: bool, force: bool) -> Any:
        """The blocks of the run: of the one to continue, by ``resume``, or else ``plan()``, which is kept.

        The folder is then this run's, until ``release``. Raises OutputError when the folder has a run and neither
        ``resume`` nor ``force`` is given, when the run to continue was asked something else, when another one is
        writing, and when nothing can be written.
        """
        names = self._names()
        parts = [name for name in names if _PART.fullmatch(name)]
        if resume and _HEADER in names:
            self._compare(header)
            self._take()
            return self._read_blocks()
        if (_HEADER in names or parts) and not force:
            interrupted = _HEADER in names and _SUCCESS not in names
            start_over = "add --resume to continue it, or --force to start over"
            advice = start_over if interrupted else "choose another folder, or add --force to replace it"
            raise OutputError(f"{self.where}: already holds the output of a run; {advice}")
        blocks = plan()
        if not is_address(self.where):
            try:
                Path(self.where, _NOTES).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"{self.where}: cannot be created ({error.strerror}); choose another") from error
        self._take()
        former = [name for name in names if name in (_SUCCESS, *parts) or name.startswith(_NOTES)]
        self._remove([name for name in former if name != _LOCK])
        self._write_table(_BLOCKS, blocks)
        write_bytes(below(self.where, _HEADER), dumps(dict(header)).encode() + b"\n")  # last: with it, a run has begun
        return blocks

    def before(self, name: str) -> str | None:
        """What the header of the run in the folder says of ``name``; None where there is no run, or it says nothing."""
        return value_in(read_bytes(below(self.where, _HEADER)), name) if _HEADER in self._names() else None

    def withdraw(self) -> None:
        """Forget a run that has written nothing, so that another may be asked for."""
        if self._is_ours() and not self.done():
            self._remove([name for name in self._names() if name.startswith(_NOTES)])
        self.release()

    def done(self) -> set[int]:
        """The numbers of the blocks that are written."""
        return {int(match[1]) for name in self._names() if (match := _PART.fullmatch(name))}

    def write_block(self, number: int, table: Any) -> None:
        """Put a block's answers in their place, whole or not at all.

        Raises OutputError, also when another run has taken the folder over.
        """
        if self.run and not self._is_ours():
            raise OutputError(f"{self.where}: another run has begun to write there; this one ends, what it wrote stays")
        self._write_table(f"part-{number:06}.parquet", table)

    def finish(self) -> None:
        """Mark the run as complete, and remove what killed workers left."""
        self._remove([name for name in self._names() if _LEFT.fullmatch(name)])
        write_bytes(below(self.where, _SUCCESS), b"")

    def release(self) -> None:
        """Let other runs have the folder."""
        if self.run and self._is_ours():
            self._remove([_LOCK])
        if self._lock:
            self._lock.close()
        self.run, self._lock = "", None

    def _take(self) -> None:
        if self.run:
            return
        run = secrets.token_hex(8)
        if is_address(self.where):
            write_bytes(below(self.where, _LOCK), run.encode())
        else:
            self._lock = open_locked(Path(self.where, _LOCK), Path(self.where))
            self._lock.truncate(0)
            self._lock.write(run.encode())
            os.fsync(self._lock.fileno())  # other machines read it, which may see no more than what is on the drive
        self.run = run

    def _is_ours(self) -> bool:
        try:
            return read_bytes(below(self.where, _LOCK)) == self.run.encode()
        except InputError:
            return False

    def _compare(self, header: Mapping[str, object]) -> None:
        try:
            before = dict(json.loads(read_bytes(below(self.where, _HEADER))))
        except (ValueError, TypeError, InputError) as error:
            raise OutputError(
                f"{below(self.where, _HEADER)}: not the header of a run; add --force to start over"
            ) from error
        refuse_another_run(self.where, before, header)

    def _names(self) -> list[str]:
        """Of the files in the folder and in ``_earthclip``, as they are called from here."""
        system, path = open_storage(self.where)
        fs = import_pyarrow().fs
        found = []
        try:
            if system.get_file_info(path).type == fs.FileType.File:
                raise OutputError(f"{self.where}: expected a folder for a file of each block, found a file")
            for prefix in ("", _NOTES):
                selector = fs.FileSelector(f"{path}/{prefix}".rstrip("/"), allow_not_found=True)
                found += [prefix + item.base_name for item in system.get_file_info(selector) if item.is_file]
        except FAULTS as error:
            raise OutputError(f"{self.where}: cannot be listed ({reason(error)}); check the permissions") from error
        return found

    def _remove(self, names: list[str]) -> None:
        system, path = open_storage(self.where)
        # The run's own description goes first, its answers last, or half of them could be taken for all.
        for name in sorted(names, key=lambda name: (name != _HEADER, _PART.fullmatch(name) is not None, name)):
            try:
                system.delete_file(f"{path}/{name}")
            except FileNotFoundError:
                continue
            except FAULTS as error:
                raise OutputError(f"{below(self.where, name)}: cannot be replaced ({reason(error)})") from error

    def _write_table(self, name: str, table: Any) -> None:
        buffer = io.BytesIO()
        import_pyarrow().parquet.write_table(table, buffer, compression="zstd")
        write_bytes(below(self.where, name), buffer.getvalue())

    def _read_blocks(self) -> Any:
        pyarrow = import_pyarrow()
        where = below(self.where, _BLOCKS)
        try:
            return pyarrow.parquet.read_table(io.BytesIO(read_bytes(where, most=1 << 33)))
        except (pyarrow.ArrowException, InputError) as error:
            raise OutputError(f"{where}: cannot be read ({reason(error)}); add --force to start over") from error
