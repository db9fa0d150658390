"""Ray's workers, found and killed; and what they wrote."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from earthclip.cli import main
from tests.pictures.processes import children

EXACT = ["--runtime", "onnxruntime"]
SLOW = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc"),
    # Ray's own: it reads its settings by names that it has replaced.
    pytest.mark.filterwarnings("ignore:`use_:DeprecationWarning:ray.data.context"),
]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def answers(folder: Path) -> list[dict[str, object]]:
    """Rows in the order of the blocks."""
    parts = sorted(folder.glob("part-*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def ray_workers(pid: int, name: bytes = b"LocateWorker") -> list[int]:
    """Descendants that hold a model and answer a block at this moment."""
    found = []
    for child in children(pid):
        with contextlib.suppress(OSError):
            title = Path(f"/proc/{child}/cmdline").read_bytes()
            found += [child] if b"MapBatches(%b)" % name in title and b"submit" in title else ray_workers(child, name)
    return found


class Killer(threading.Thread):
    """Ends one worker with SIGKILL when a few blocks are written."""

    def __init__(self, folder: Path, name: bytes = b"LocateWorker") -> None:
        super().__init__(daemon=True)
        self.folder, self.name_of_worker, self.killed = folder, name, 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            if (
                not self.killed
                and len(list(self.folder.glob("part-*"))) >= 2
                and (found := ray_workers(os.getpid(), self.name_of_worker))
            ):
                self.killed = found[0]
                os.kill(self.killed, signal.SIGKILL)
            time.sleep(0.005)
