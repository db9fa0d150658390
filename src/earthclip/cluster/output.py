"""The folder that a cluster writes into: a file of answers for each block, and what a later run needs to go on.

``part-000000.parquet``, ... hold the answers; ``_earthclip/run.json`` says what was asked of which model,
``_earthclip/blocks.parquet`` what each block is made of; ``_SUCCESS`` appears when all are there.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from earthclip.cluster.storage import below, is_address, local_path, open_storage, read_bytes, write_bytes
from earthclip.datasets.shards import reason
from earthclip.errors import InputError, OutputError
from earthclip.outputs.geoparquet import import_pyarrow
from earthclip.outputs.structured import dumps

_PART = re.compile(r"part-(\d{6,})\.parquet")
_LEFT = re.compile(
    r"\.part-\d+\.parquet\..*\.part|part-\d+\.parquet\.part"
)  # of a worker that was killed while it wrote
_TRY = re.compile(r"_earthclip/try-(\d+)-\d+")
_MOST_TRIES = 5  # of a block: one that has taken so many workers with it will take the next
_HEADER, _BLOCKS, _SUCCESS = "_earthclip/run.json", "_earthclip/blocks.parquet", "_SUCCESS"


class OutputFolder:
    """Where answers go, a folder or an address that all workers reach; made on the driver and on each worker."""

    def __init__(self, where: str) -> None:
        self.where = where if is_address(where) else str(Path(local_path(where)).absolute())

    def begin(self, header: Mapping[str, object], plan: Callable[[], Any], *, resume: bool, force: bool) -> Any:
        """The blocks of the run: of the one to go on with, by ``resume``, or else ``plan()``, which is kept.

        Raises OutputError when there is something already and neither ``resume`` nor ``force``, when the run to go
        on with was asked something else, and when nothing can be written.
        """
        names = self._names()
        begun = any(name == _HEADER for name in names)
        parts = [name for name in names if _PART.fullmatch(name)]
        if resume and begun:
            self._compare(header)
            self._remove([name for name in names if _TRY.fullmatch(name)])
            return self._read_table(_BLOCKS)
        if (begun or parts) and not force:
            done = _SUCCESS in names
            goes_on = begun and not done
            advice = "--resume goes on, --force starts anew" if goes_on else "choose another, or --force to replace it"
            raise OutputError(f"{self.where}: holds the answers of a run already; {advice}")
        blocks = plan()
        known = (_SUCCESS, _HEADER, _BLOCKS, *parts)
        self._remove([name for name in names if name in known or _TRY.fullmatch(name)])
        if not is_address(self.where):
            try:
                Path(self.where, "_earthclip").mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"{self.where}: cannot make the folder ({error.strerror}); choose another") from error
        self._write_table(_BLOCKS, blocks)
        write_bytes(self._at(_HEADER), dumps(dict(header)).encode() + b"\n")  # last: with it, a run has begun
        return blocks

    def withdraw(self) -> None:
        """Forget a run that has written nothing, so that another may be asked for."""
        if not self.done():
            self._remove([name for name in self._names() if name in (_HEADER, _BLOCKS) or _TRY.fullmatch(name)])

    def done(self) -> set[int]:
        """The numbers of the blocks that are written."""
        return {int(match[1]) for name in self._names() if (match := _PART.fullmatch(name))}

    def begin_block(self, number: int) -> int:
        """Note that a worker tries the block, and return how many of this run did before and were lost.

        Ray would lose one worker after the other to a block that needs too much memory.
        Raises OutputError when too many workers have begun it, and none has written it.
        """
        tried = self._tries(number)
        if len(tried) >= _MOST_TRIES:
            raise OutputError(
                f"{self.where}: block {number} ended {len(tried)} workers, most likely for want of memory; --resume "
                "with fewer --workers, or with --worker-cpus as many as a machine has"
            )
        write_bytes(self._at(f"_earthclip/try-{number}-{len(tried)}"), b"")
        return len(tried)

    def write_block(self, number: int, table: Any) -> None:
        """Put a block's answers in their place, whole or not at all. Raises OutputError."""
        self._write_table(f"part-{number:06}.parquet", table)

    def end_block(self, number: int) -> None:
        """Forget who tried the block: it is written."""
        self._remove(self._tries(number))

    def finish(self) -> None:
        """Say that all blocks are written, and remove what killed workers left."""
        self._remove([name for name in self._names() if _LEFT.fullmatch(name) or _TRY.fullmatch(name)])
        write_bytes(self._at(_SUCCESS), b"")

    def _compare(self, header: Mapping[str, object]) -> None:
        try:
            before = dict(json.loads(read_bytes(self._at(_HEADER))))
        except (ValueError, TypeError, InputError) as error:
            raise OutputError(f"{self._at(_HEADER)}: cannot be read as a run's; --force starts anew") from error
        for name in dict.fromkeys((*header, *before)):
            was, asked = before.get(name), json.loads(dumps(header.get(name)))
            if was != asked:
                raise OutputError(
                    f"{self.where}: of a run with {name} {was}, found {asked}; ask as that run did, or --force without "
                    "--resume to start anew"
                )

    def _tries(self, number: int) -> list[str]:
        return [
            name
            for name in self._names(("_earthclip/",))
            if (match := _TRY.fullmatch(name)) and int(match[1]) == number
        ]

    def _names(self, prefixes: tuple[str, ...] = ("", "_earthclip/")) -> list[str]:
        """Of files in the folder and in ``_earthclip``, as they are called from here."""
        system, path = open_storage(self.where)
        import pyarrow.fs as fs  # it is there, or the line above has said that it is not

        found = []
        try:
            info = system.get_file_info(path)
            if info.type == fs.FileType.File:
                raise OutputError(f"{self.where}: expected a folder for a file of each block, found a file")
            for prefix in prefixes:
                selector = fs.FileSelector(f"{path}/{prefix}".rstrip("/"), allow_not_found=True)
                found += [prefix + item.base_name for item in system.get_file_info(selector) if item.is_file]
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.where}: cannot be listed ({reason(error)}); check the rights") from error
        return found

    def _remove(self, names: list[str]) -> None:
        system, path = open_storage(self.where)
        # The run's own description goes first, its answers last, or half of them could be taken for all.
        for name in sorted(names, key=lambda name: (name != _HEADER, _PART.fullmatch(name) is not None, name)):
            try:
                system.delete_file(f"{path}/{name}")
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                raise OutputError(f"{self._at(name)}: cannot be replaced ({reason(error)})") from error

    def _at(self, name: str) -> str:
        return below(self.where, name)

    def _write_table(self, name: str, table: Any) -> None:
        pyarrow = import_pyarrow()
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(table, buffer, compression="zstd")
        write_bytes(self._at(name), buffer.getvalue())

    def _read_table(self, name: str) -> Any:
        pyarrow = import_pyarrow()
        try:
            return pyarrow.parquet.read_table(io.BytesIO(read_bytes(self._at(name), most=1 << 33)))
        except (pyarrow.ArrowException, InputError) as error:
            raise OutputError(f"{self._at(name)}: cannot be read ({reason(error)}); --force starts anew") from error
