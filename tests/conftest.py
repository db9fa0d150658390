"""Fixtures for all tests: a cache folder of their own, and a tiny model folder of the true format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# Shapes and types in signatures are checked in tests only; the command line is left out, its decorators are click's.
_ROOMS = ("cluster", "datasets", "evaluation", "geo", "locating", "metrics", "models", "pictures", "server")
_OUTPUTS = ("outputs.journal", "outputs.privacy")  # the others are also given stand-ins for answers
install_import_hook([*(f"earthclip.{room}" for room in (*_ROOMS, *_OUTPUTS)), "recipes"], "beartype.beartype")

# How long an example takes depends on what else the machine does.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With pytest-xdist a file's tests run in one process, and all that start a Ray cluster in the same one."""
    for item in items:
        file = item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group("ray" if "cluster" in file else file))


@pytest.fixture(autouse=True)
def earthclip_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh EARTHCLIP_HOME for every test, an empty configuration folder, and as many threads as processors.

    A cluster's worker sets EARTHCLIP_THREADS for its process, which in some tests is this one.
    """
    monkeypatch.delenv("EARTHCLIP_THREADS", raising=False)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("EARTHCLIP_HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    return home


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model folder of 8 numbers an embedding and 50 places; read only, copy it to change it."""
    from tests.tiny import write_tiny_model

    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny_model(folder)
    yield folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A small, valid PNG."""
    from tests.tiny import write_picture

    return write_picture(tmp_path / "picture.png")
