"""One server of the tiny model for all tests that do it no harm."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.server.running import Running, running


@pytest.fixture(scope="session")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tiny_model, tmp_path_factory.mktemp("server"), "--max-body-mb", "20") as server:
        yield server


@pytest.fixture(scope="session")
def photo() -> bytes:
    return photo_of(0)


def photo_of(seed: int, kind: str = "JPEG", size: tuple[int, int] = (160, 120)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()
