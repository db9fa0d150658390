from __future__ import annotations

import shutil
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data" / "0.1.0"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files that 0.1.0 wrote, which is also the working folder."""
    folder = Path(shutil.copytree(DATA, tmp_path / "old"))
    monkeypatch.chdir(folder)
    return folder
