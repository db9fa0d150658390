"""A Ray cluster in the process of the tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny import write_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Ray cluster of two processors in this process, and the model folder that its workers find."""
    from earthclip.cluster.run import import_ray

    tiny = write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")
    folder = tempfile.mkdtemp(prefix="earthclip-test-")  # a short path, for Ray's sockets
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EARTHCLIP_HOME", str(tmp_path_factory.mktemp("home")))
        environment.setenv("RAY_AUTH_TOKEN", "t" * 64)  # or Ray keeps one in the user's home
        ray = import_ray()
        ray.init(
            "local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100_000_000,
            _temp_dir=folder,
        )
        yield tiny
        ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
