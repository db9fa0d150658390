"""Fixtures of the trainer's tests: cached features in memory, and a configuration that trains on them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.cached_features import module

CONFIG = """
name = "heads"
steps = 12
batch_size = 8
threads = 1
precision = "float32"
log_every_steps = 3
checkpoint_every_steps = 1
ema_decay = 0.9

[features]
folder = "features"
held_out = 0.1

[model]
embedding_size = 16
[model.location]
sigmas = [1.0, 8.0]
frequencies = 8
width = 16
depth = 1

[queue]
size = 20
[optimizer]
learning_rate = 1e-2
kind = "adam"
[validation]
spacing_km = 30.0
every_steps = 6
"""


@pytest.fixture
def features(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer finds features in memory, wherever its configuration says they are."""
    monkeypatch.setitem(sys.modules, "earthclip.datasets.feature_store", module())


@pytest.fixture
def feature_config(tmp_path: Path) -> Callable[..., Path]:
    """Writes the configuration, with replacements; a file for each name."""

    def write(*replacements: tuple[str, str], name: str = "heads") -> Path:
        text = CONFIG
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / f"{name}.toml"
        path.write_text(text)
        return path

    return write
