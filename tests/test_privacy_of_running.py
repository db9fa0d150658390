"""Nothing about the user's pictures or machine is written or sent anywhere by locating one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_no_library_leaves_traces(tiny_model: Path, picture: Path, tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("tmp", "user", "cache")}
    for folder in places.values():
        folder.mkdir()
    env = os.environ | {
        "TMPDIR": str(places["tmp"]),
        "HOME": str(places["user"]),
        "XDG_CACHE_HOME": str(places["cache"]),
    }
    env.pop("ORT_DISABLE_TELEMETRY", None)  # set by this very package in the tests' process
    command = [sys.executable, "-m", "earthclip", "locate", str(picture), "--model", str(tiny_model)]
    subprocess.run(command, env=env, check=True, capture_output=True)
    assert [path for folder in places.values() for path in folder.rglob("*")] == []
