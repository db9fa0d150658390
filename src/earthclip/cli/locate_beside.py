"""What ``earthclip locate`` makes beside its answers: maps, XMP sidecars, privacy reports, copies without metadata."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from earthclip.cli.status import say
from earthclip.errors import EarthCLIPError
from earthclip.locating.prediction import Prediction
from earthclip.pictures.prepare import Failure

if TYPE_CHECKING:
    from earthclip.models.config import ModelConfig

_Maker: TypeAlias = Callable[[Prediction | Failure], None]


@dataclass(frozen=True)
class Beside:
    """What is asked for beside the answers; ``reports`` is the form of privacy reports, "table" or "jsonl"."""

    maps: tuple[Path, ...] = ()
    sidecars: bool = False
    reports: str | None = None
    strip_to: Path | None = None
    force: bool = False

    @property
    def wants_one_picture(self) -> bool:
        """Whether it can be made of a single picture only."""
        return any(path.suffix.lower() == ".png" for path in self.maps)

    def check(self, pictures: int | None) -> None:
        """Raise UsageError or EarthCLIPError for what cannot be made of so many answers (None: not known)."""
        if self.wants_one_picture and pictures != 1:
            raise click.UsageError("--map FILE.png shows one picture; --map FILE.html shows many.")
        for path in self.maps:
            if path.suffix.lower() == ".png":
                from earthclip.outputs.map_png import check_map_png

                check_map_png(path, overwrite=self.force)
            else:
                from earthclip.outputs.html_map import check_html_map

                check_html_map(path, overwrite=self.force)
        if self.strip_to is not None:
            from earthclip.outputs.privacy import check_strip_folder

            check_strip_folder(self.strip_to)

    @contextlib.contextmanager
    def open(self, config: ModelConfig) -> Iterator[Making]:
        """What takes each answer; files of many answers appear when the block ends well."""
        makers: list[_Maker] = []
        if self.reports:
            makers.append(self._report)
        if self.strip_to is not None:
            makers.append(self._copy)
        if self.sidecars:
            makers.append(self._sidecar)
        with contextlib.ExitStack() as files:
            for path in self.maps:
                if path.suffix.lower() == ".png":
                    makers.append(partial(self._map, path))
                else:
                    from earthclip.outputs.html_map import open_html_map

                    page = open_html_map(path, caution=config.caution, overwrite=self.force)
                    makers.append(files.enter_context(page).write)
            yield Making(makers)

    def _report(self, answer: Prediction | Failure) -> None:
        if answer.path is None:
            return
        from earthclip.outputs.privacy import examine
        from earthclip.outputs.structured import dumps

        report = examine(answer.path, answer)
        text = dumps(report.to_object()) if self.reports == "jsonl" else "\n".join(report.lines())
        encoding = sys.stdout.encoding or "utf-8"
        print(text.encode(encoding, "replace").decode(encoding), flush=True)

    def _copy(self, answer: Prediction | Failure) -> None:
        if self.strip_to is not None and answer.path is not None:
            from earthclip.outputs.privacy import strip_to

            say(f"without metadata: {strip_to(Path(answer.path), self.strip_to, overwrite=self.force)}")

    def _sidecar(self, answer: Prediction | Failure) -> None:
        if isinstance(answer, Prediction):
            from earthclip.outputs.sidecar import write_sidecar

            write_sidecar(answer, overwrite=self.force)

    def _map(self, path: Path, answer: Prediction | Failure) -> None:
        if isinstance(answer, Prediction):
            from earthclip.outputs.map_png import write_map_png

            write_map_png(answer, path, overwrite=self.force)


class Making:
    """Makers that are handed each answer; what one of them cannot make is said, and remembered in ``spoiled``."""

    def __init__(self, makers: list[_Maker]) -> None:
        self.spoiled = False
        self._makers = makers

    def take(self, answer: Prediction | Failure) -> None:
        """Make what is asked for of one answer."""
        for maker in self._makers:
            try:
                maker(answer)
            except EarthCLIPError as error:
                say(f"error: {error}")
                self.spoiled = True
