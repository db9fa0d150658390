from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest

from earthclip.models.openvino import mapping_let_go

_MEGABYTES = 64


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[2]) * mmap.PAGESIZE / 1e6  # of files


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing is let go")
def test_pages_that_were_read_are_given_back(tmp_path: Path) -> None:
    path = tmp_path / "a name with spaces.bin"
    path.write_bytes(b"x" * (_MEGABYTES << 20))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        before = resident_megabytes()
        assert sum(mapped[i] for i in range(0, len(mapped), mmap.PAGESIZE)) > 0
        assert resident_megabytes() > before + 0.9 * _MEGABYTES
        with mapping_let_go(path):
            pass
        assert resident_megabytes() < before + 0.1 * _MEGABYTES
        assert mapped[-1] == mapped[0] == ord("x")  # and come back when they are asked for


def test_a_file_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    with mapping_let_go(tmp_path / "none"):
        pass
