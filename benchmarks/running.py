"""How fast and how small running is: cold commands, peak memory, warm pictures a second, size of the install.

python benchmarks/running.py [--runs 7]   (in the environment to measure; nothing else should compute meanwhile)
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "examples" / "red-sea.jpg"
TOOLS = ("pip", "setuptools")  # of the environment, not of the install


def run(command: list[str], home: str) -> tuple[float, float]:
    """Seconds and peak megabytes of one command."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | {"EARTHCLIP_HOME": home}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def medians(command: list[str], home: str | None, runs: int) -> tuple[float, float]:
    """Medians over runs; without ``home``, each run has an empty one, so the gallery is encoded again."""
    found = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as empty:
            found.append(run(command, home or empty))
    return statistics.median(s for s, _ in found), statistics.median(mb for _, mb in found)


def warm(runs: int) -> tuple[float, float]:
    """Milliseconds for one picture already decoded, and pictures a second in batches of 16."""
    from PIL import Image

    import earthclip

    locator = earthclip.load("orbit")
    picture = Image.open(PICTURE).convert("RGB")
    list(locator.locate([picture] * 16))
    single, batch = [], []
    for _ in range(runs):
        started = time.perf_counter()
        list(locator.locate([picture]))
        single.append(time.perf_counter() - started)
        started = time.perf_counter()
        list(locator.locate([picture] * 64))
        batch.append(64 / (time.perf_counter() - started))
    return statistics.median(single) * 1000, statistics.median(batch)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    earthclip = [sys.executable, "-m", "earthclip"]
    locate = [*earthclip, "locate", str(PICTURE)]
    site = Path(sysconfig.get_paths()["purelib"])
    size = sum(
        f.stat().st_size for d in site.iterdir() if not d.name.startswith(TOOLS) for f in d.rglob("*") if f.is_file()
    )
    rows = [("`earthclip --help`", *medians([*earthclip, "--help"], None, runs))]
    rows.append(("one picture, the first time", *medians(locate, None, runs)))
    with tempfile.TemporaryDirectory() as home:
        run(locate, home)
        rows.append(("one picture, cold", *medians(locate, home, runs)))
    milliseconds, rate = warm(runs)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, medians of {runs}\n")
    print("| what | time | peak memory |\n|---|---:|---:|")
    for name, seconds, megabytes in rows:
        print(f"| {name} | {seconds:.2f} s | {megabytes:.0f} MB |")
    print(f"| one picture, warm, decoded | {milliseconds:.1f} ms | |")
    print(f"| many pictures, warm, decoded | {rate:.0f} a second | |")
    print(f"| packages of the running install | | {size / 1e6:.0f} MB on disk |")


if __name__ == "__main__":
    main()
