"""Pictures read in other processes come in order, a bounded number ahead, whatever becomes of the processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from earthclip.errors import InputError
from earthclip.pictures.ahead import FEW, read_ahead
from earthclip.pictures.prepare import Failure, Prepared
from tests.pictures.processes import alive, children, wait_until, workers
from tests.tiny import PREPROCESSING, write_picture

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return [write_picture(tmp_path / f"{i:02}.png", seed=i) for i in range(24)]


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture whose codec ends its process, as one with a bug in C may."""
    (tmp_path / "codecs").mkdir()
    (tmp_path / "codecs" / "pillow_heif.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.syspath_prepend(tmp_path / "codecs")
    (tmp_path / "deadly.heic").write_bytes(HEIC)
    return tmp_path / "deadly.heic"


def outcome(item: Prepared | Failure) -> tuple[str | None, object]:
    return item.path, item.error if isinstance(item, Failure) else item.pixels.tobytes()


@pytest.mark.parametrize("views", ["none", "ten-crop"])
def test_the_same_in_the_same_order_as_in_this_process(pictures: list[Path], tmp_path: Path, views: str) -> None:
    write_picture(tmp_path / "large.png", size=(900, 700))  # is read long after those behind it
    (tmp_path / "text.jpg").write_text("hello")
    odd = tmp_path / os.fsdecode(b"\xff\n .png")
    write_picture(odd)
    extra = [
        tmp_path / "large.png",
        tmp_path / "nope.jpg",
        Failure("a", "a: cannot be read"),
        tmp_path / "text.jpg",
        odd,
    ]
    given = [extra[0], *pictures[:5], *extra, *pictures[5:]]
    here = [outcome(item) for item in read_ahead(given, PREPROCESSING, views, workers=0)]
    there = [outcome(item) for item in read_ahead(given, PREPROCESSING, views, workers=3, ahead=7)]
    assert there == here and len(here) == len(given)
    assert sum(isinstance(result, str) for _, result in here) == 3


@pytest.mark.parametrize(("workers", "ahead"), [(2, 4), (2, 12), (0, 12)])
def test_no_more_than_asked_are_in_flight(pictures: list[Path], workers: int, ahead: int) -> None:
    taken = 0

    def counted() -> Iterator[Path]:
        nonlocal taken
        for picture in pictures * 2:
            taken += 1
            yield picture

    for given, _ in enumerate(read_ahead(counted(), PREPROCESSING, workers=workers, ahead=ahead)):
        assert taken - given <= ahead
    assert taken == 2 * len(pictures)


def test_few_are_read_in_this_process(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def popen(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", popen)
    assert len(list(read_ahead(pictures[:FEW], PREPROCESSING, workers=2))) == FEW
    assert len(list(read_ahead(pictures, PREPROCESSING, workers=0))) == len(pictures)


def test_without_processes_to_be_had_it_reads_here(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for no_python in ("/nonexistent/python", "/bin/false"):  # that starts, and ends before it is ready
        monkeypatch.setattr(sys, "executable", no_python)
        assert all(isinstance(item, Prepared) for item in read_ahead(pictures, PREPROCESSING, workers=2))


@linux
def test_a_picture_that_ends_its_process_is_a_failure(pictures: list[Path], deadly: Path) -> None:
    given = [*pictures[:10], deadly, *pictures[10:], deadly]
    items = list(read_ahead(given, PREPROCESSING, workers=2))
    assert [Path(str(item.path)) for item in items] == given
    failures = [item for item in items if isinstance(item, Failure)]
    assert len(failures) == 2 and "ended the reading process (SIGSEGV)" in failures[0].error
    assert failures[0].error.startswith(f"{deadly}: ") and not workers()


@linux
def test_killed_workers_cost_no_picture(pictures: list[Path]) -> None:
    reading = read_ahead(pictures * 4, PREPROCESSING, workers=2, ahead=4)
    items = [next(reading)]
    for pid in workers():
        os.kill(pid, signal.SIGKILL)
    items += reading
    assert len(items) == 4 * len(pictures) and all(isinstance(item, Prepared) for item in items)


@linux
def test_ending_early_ends_the_workers(pictures: list[Path]) -> None:
    threads = threading.active_count()
    reading = read_ahead(pictures * 4, PREPROCESSING, workers=2)
    next(reading)
    assert workers()
    began = time.monotonic()
    reading.close()
    assert not workers() and threading.active_count() == threads and time.monotonic() - began < 2


@linux
def test_workers_end_with_a_process_that_is_killed(pictures: list[Path], tmp_path: Path) -> None:
    slow = write_picture(tmp_path / "slow.png", size=(4000, 3000))
    program = f"""if 1:
        from pathlib import Path
        from earthclip.pictures.ahead import read_ahead
        from tests.tiny import PREPROCESSING
        pictures = [Path(path) for path in {list(map(str, pictures))!r}]
        reading = read_ahead(pictures + [Path({str(slow)!r})] * 99, PREPROCESSING, workers=2)
        print(next(reading).path, flush=True)
        for _ in reading: pass
    """
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == f"{pictures[0]}\n"
    pids = children(process.pid)
    assert pids
    assert not any(os.getpgid(pid) == os.getpgid(0) for pid in pids)  # Ctrl-C in the terminal does not reach them
    process.kill()
    process.communicate()
    wait_until(lambda: not any(map(alive, pids)), 5)


def test_workers_know_neither_the_runtime_nor_the_current_folder(tmp_path: Path, pictures: list[Path]) -> None:
    program = (
        "import sys, earthclip.pictures.processes\n"
        "print([name for name in ('onnxruntime', 'torch', 'shapely', 'click') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
    (tmp_path / "PIL.py").write_text("raise SystemExit")
    program = (
        "import sys; sys.path.remove(''); from pathlib import Path\n"
        "from earthclip.pictures.ahead import read_ahead; from tests.tiny import PREPROCESSING\n"
        "import earthclip.pictures.processes as w; del w.prepare\n"
        "print(len(list(read_ahead(map(Path, sys.argv[1:]), PREPROCESSING, workers=1))))"
    )
    root = str(Path(__file__).parents[2])
    # Not with an empty part before it, which would be the current folder.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root]))}
    command = [sys.executable, "-c", program, *map(str, pictures)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "24\n", done.stderr


@pytest.mark.parametrize("wrong", [{"workers": -1}, {"workers": 1, "ahead": 0}])
def test_impossible_numbers(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected 0 or more, and at least 1"):
        read_ahead([], PREPROCESSING, **wrong)


def test_nothing_in_nothing_out() -> None:
    assert list(read_ahead([], PREPROCESSING, workers=2)) == []
