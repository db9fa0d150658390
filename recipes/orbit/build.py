"""A run and all the runs it starts from, trained in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from earthclip.training.checkpoint import CONFIG, has_checkpoint
from earthclip.training.config import read_training_config
from earthclip.training.loop import train


def train_to_the_end(path: Path, run: Path, say: Callable[[str], None]) -> None:
    """Train the configuration at ``path`` in the folder ``run``, or continue an interrupted run there.

    Where ``init`` is a run that does not exist or is not finished, that run is trained first. Its configuration is the
    file of its name beside ``path``.
    """
    config = read_training_config(path)
    begun = has_checkpoint(run)
    if config.init and not begun:
        before = Path(config.init)
        beside = path.with_name(f"{before.name}.toml")
        is_name = len(before.parts) == 1 and not before.exists()  # of a model
        is_run = not before.exists() or (before / CONFIG).is_file()
        if is_run and not is_name and before != run and beside.is_file():
            train_to_the_end(beside, before, say)
    # Any other init (a model, a release, a run made elsewhere) has to exist; train names the one that does not.
    train(config, run, resume=begun, say=say)
