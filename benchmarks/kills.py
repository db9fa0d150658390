"""Kills `earthclip locate FOLDER -o FILE --resume` at random moments until it has been killed often enough.

    python benchmarks/kills.py --kills 300

Each time a run ends by itself, its output is compared byte for byte with that of a run that was never killed. A kill is
SIGKILL to the command; its reading processes end by themselves.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageOps

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.jpg"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = write_pictures(folder / "photos", arguments.pictures)
        whole, output = folder / "whole.jsonl", folder / "killed.jsonl"
        began = time.monotonic()
        run(photos, whole).wait()
        seconds = time.monotonic() - began
        expected = whole.read_bytes()
        kills = finished = 0
        while kills < arguments.kills:
            process = run(photos, output)
            try:
                process.wait(timeout=rng.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
                continue
            if process.returncode or output.read_bytes() != expected:
                print(f"after {kills} kills: exit code {process.returncode}, the output differs", file=sys.stderr)
                return 1
            output.unlink()
            finished += 1
        process = run(photos, output)
        same = process.wait() == 0 and output.read_bytes() == expected
        print(f"{kills} kills, {finished + 1} finished runs, output {'byte-equal' if same else 'different'}")
        left = sorted(path.name for path in folder.iterdir() if path.name not in ("photos", "whole.jsonl", output.name))
        print(f"left beside the output: {', '.join(left) or 'nothing'}")
        return 0 if same and not left else 1


def write_pictures(folder: Path, count: int) -> Path:
    """The examples, over and over, each turned and cropped so that no two answers are alike."""
    folder.mkdir()
    for index in range(count):
        with Image.open(EXAMPLES[index % len(EXAMPLES)]) as image:
            cropped = ImageOps.crop(image.rotate(index), 10 + index % 40)
            cropped.save(folder / f"{index:04}.jpg", quality=90)
    return folder


def run(photos: Path, output: Path) -> subprocess.Popen[bytes]:
    """The command, quiet, continued where an earlier run was interrupted."""
    command = [sys.executable, "-m", "earthclip", "locate", str(photos), "--model", "orbit", "-o", str(output)]
    return subprocess.Popen([*command, "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
