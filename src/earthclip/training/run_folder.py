"""A run's folder: what it was begun with, one trainer at a time, and Ctrl-C that keeps a checkpoint first."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from jaxtyping import Float

from earthclip.errors import InputError
from earthclip.files import atomic_write
from earthclip.training.checkpoint import has_checkpoint, read_run_config, write_run_config
from earthclip.training.config import TrainingConfig
from earthclip.training.source import Source

DATA = "data.json"
PLACES = "coordinates.npy"  # where the training photos were taken: what a model's candidates are made of


def check_folder(folder: Path, resume: bool, kind: type[TrainingConfig], say: Callable[[str], None]) -> None:
    """Raise InputError when ``folder`` holds a run and not ``resume``, or something that is no run of this kind."""
    started = has_checkpoint(folder)
    if started and not resume:
        raise InputError(
            f"{folder}: already holds a training run; add --resume to continue it, or choose another folder"
        )
    if started:
        read_run_config(folder, kind)
    elif resume:
        say("no checkpoint yet; starting at step 0")


def keep_run(folder: Path, config: TrainingConfig, source: Source, *, resume: bool) -> None:
    """Write down what the run is; with ``resume``, raise InputError where the folder's run is another."""
    if resume:
        kept = read_run_config(folder, type(config))
        names = [f.name for f in fields(config) if f.name != "licence"]  # of its model, whatever the run was
        if changed := [name for name in names if getattr(kept, name) != getattr(config, name)]:
            raise InputError(
                f"{folder}: was trained with another {', '.join(changed)}; resume with the same, or start a new run"
            )
    about = source.about()
    if about and resume:
        _check_same(folder, about)
    elif about:
        _write(folder / DATA, json.dumps(about, indent=2).encode() + b"\n")
        if source.coordinates is not None:
            places = io.BytesIO()
            np.save(places, np.asarray(source.coordinates, np.float64))
            _write(folder / PLACES, places.getvalue())
    write_run_config(folder, config)


def read_data(folder: Path) -> tuple[Float[np.ndarray, "n 2"], dict[str, Any]]:
    """Where the photos of the run in ``folder`` were taken, degrees, and what else it was trained on."""
    try:
        return np.load(folder / PLACES), json.loads((folder / DATA).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: {PLACES} and {DATA} of the run cannot be read ({error}); train it again"
        ) from error


def _check_same(folder: Path, about: dict[str, Any]) -> None:
    path = folder / DATA
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); start a new run in another folder") from error
    if changed := [key for key, value in about.items() if kept.get(key) != value]:
        was = ", ".join(f"{key} was {kept.get(key)}, is {about[key]}" for key in changed)
        raise InputError(f"{folder}: its photos have changed since ({was}); restore them, or start a new run")


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path, overwrite=True) as file:
        file.write(content)


@dataclass
class Stop:
    """Whether somebody asked the run to end."""

    asked: bool = False


@contextlib.contextmanager
def stop_asked() -> Iterator[Stop]:
    """Take SIGINT and SIGTERM as a wish to end after the step at hand; the second one ends at once."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
