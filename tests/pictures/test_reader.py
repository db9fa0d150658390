"""Pictures read in other processes come in order, a bounded number ahead, whatever becomes of the processes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from earthclip.errors import InputError
from earthclip.pictures.prepare import Failure, Prepared, prepare
from earthclip.pictures.reader import FEW, Limits, Named, Reader, Source
from tests.pictures.processes import alive, children, wait_until, workers
from tests.tiny import PREPROCESSING, write_picture

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
GENEROUS = Limits(seconds=60.0, memory_mb=1000)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return [write_picture(tmp_path / f"{i:02}.png", seed=i) for i in range(24)]


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture whose codec ends its process, as one with a bug in C may."""
    return heic(tmp_path, "deadly.heic", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", monkeypatch)


def heic(folder: Path, name: str, codec: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture that makes workers import ``codec``."""
    (folder / "codecs").mkdir()
    (folder / "codecs" / "pillow_heif.py").write_text(codec)
    monkeypatch.syspath_prepend(folder / "codecs")
    (folder / name).write_bytes(HEIC)
    return folder / name


def read_all(
    sources: Sequence[Source], *, views: str = "none", workers: int, limits: Limits | None = None, ahead: int = 32
) -> list[Prepared | Failure]:
    with Reader(PREPROCESSING, views, workers=workers, limits=limits) as reader:
        return list(reader.read_ahead(sources, ahead))


def outcome(item: Prepared | Failure) -> tuple[str | None, object]:
    return item.path, item.error if isinstance(item, Failure) else item.pixels.tobytes()


def pixels_of(item: Prepared | Failure) -> bytes:
    assert isinstance(item, Prepared), item
    return item.pixels.tobytes()


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
        Named("in memory", pictures[0].read_bytes()),
        tmp_path / "text.jpg",
        Named("odd", partial(str, odd)),
        Named("text", b"hello"),
        odd,
    ]
    given = [extra[0], *pictures[:5], *extra, *pictures[5:]]
    here = [outcome(item) for item in read_all(given, views=views, workers=0)]
    there = [outcome(item) for item in read_all(given, views=views, workers=3, ahead=7)]
    assert there == here and len(here) == len(given)
    assert sum(isinstance(result, str) for _, result in here) == 4
    assert there[9] == (None, there[1][1]) and there[11] == there[13] == (str(odd), there[13][1])
    assert there[12][0] == "text" and str(there[12][1]).startswith("text: not a picture")


@pytest.mark.parametrize(("workers", "ahead"), [(2, 4), (2, 12), (0, 12)])
def test_no_more_than_asked_are_in_flight(pictures: list[Path], workers: int, ahead: int) -> None:
    taken = 0

    def counted() -> Iterator[Path]:
        nonlocal taken
        for picture in pictures * 2:
            taken += 1
            yield picture

    with Reader(PREPROCESSING, workers=workers) as reader:
        for given, _ in enumerate(reader.read_ahead(counted(), ahead)):
            assert taken - given <= ahead
    assert taken == 2 * len(pictures)


def test_few_are_read_in_this_process(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def popen(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", popen)
    assert len(read_all(pictures[:FEW], workers=2)) == FEW
    assert len(read_all(pictures, workers=0)) == len(pictures)
    with Reader(PREPROCESSING, workers=2) as reader, pytest.raises(AssertionError, match="a process was started"):
        list(reader.read_ahead(pictures[:1], few=0))


def test_without_processes_to_be_had_it_reads_here(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for no_python in ("/nonexistent/python", "/bin/false"):  # that starts, and ends before it is ready
        monkeypatch.setattr(sys, "executable", no_python)
        assert all(isinstance(item, Prepared) for item in read_all(pictures, workers=2))
        (item,) = read_all(pictures[:1], workers=2, limits=GENEROUS)  # but not what a stranger sent
        assert isinstance(item, Failure) and "no process to read it could be started" in item.error


@linux
def test_a_picture_that_ends_its_process_is_a_failure(pictures: list[Path], deadly: Path) -> None:
    given = [*pictures[:10], deadly, *pictures[10:], deadly]
    items = read_all(given, workers=2)
    assert [Path(str(item.path)) for item in items] == given
    failures = [item for item in items if isinstance(item, Failure)]
    assert len(failures) == 2 and "ended the reading process (SIGSEGV)" in failures[0].error
    assert failures[0].error.startswith(f"{deadly}: ") and not workers()


@linux
def test_a_strangers_picture_ends_one_process(deadly: Path, tmp_path: Path) -> None:
    codec = tmp_path / "codecs" / "pillow_heif.py"
    codec.write_text(f"open({str(tmp_path / 'tries')!r}, 'a').write('.')\n" + codec.read_text())
    given = [Named("photo 1", HEIC), Named("photo 2", write_picture(tmp_path / "a.png").read_bytes())]
    first, second = read_all(given, workers=1, limits=GENEROUS)
    assert isinstance(first, Failure) and isinstance(second, Prepared)
    assert first.error.startswith("photo 1: reading it ended the reading process (SIGSEGV)")
    assert first.path == "photo 1" and "--workers" not in first.error and not first.too_large
    assert (tmp_path / "tries").read_text() == "."
    with Reader(PREPROCESSING, workers=1) as reader:
        assert isinstance(reader.read(deadly), Failure)
    assert (tmp_path / "tries").read_text() == "..."  # one's own picture is tried once more


@linux
def test_killed_workers_cost_no_picture(pictures: list[Path]) -> None:
    with Reader(PREPROCESSING, workers=2) as reader:
        reading = reader.read_ahead(pictures * 4, ahead=4)
        items = [next(reading)]
        for pid in workers():
            os.kill(pid, signal.SIGKILL)
        items += reading
    assert len(items) == 4 * len(pictures) and all(isinstance(item, Prepared) for item in items)


@linux
def test_ending_early_ends_the_workers(pictures: list[Path]) -> None:
    threads = threading.active_count()
    with Reader(PREPROCESSING, workers=2) as reader:
        reading = reader.read_ahead(pictures * 4)
        next(reading)
        assert workers()
        began = time.monotonic()
    assert not workers() and threading.active_count() == threads and time.monotonic() - began < 2
    after = reader.read(pictures[0])
    assert isinstance(after, Failure) and after.error.endswith("not read, since the run was ended")


@linux
def test_ending_ends_also_what_is_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeping = heic(tmp_path, "sleeping.heic", "import time; time.sleep(60)", monkeypatch)
    with Reader(PREPROCESSING, workers=1) as reader, ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(reader.read, sleeping) for _ in range(4)]
        wait_until(workers)
        began = time.monotonic()
        reader.close()
        outcomes = [future.result() for future in waiting]
    assert all(isinstance(item, Failure) and "the run was ended" in item.error for item in outcomes)
    assert not workers() and time.monotonic() - began < 2


@linux
def test_workers_end_with_a_process_that_is_killed(pictures: list[Path], tmp_path: Path) -> None:
    slow = write_picture(tmp_path / "slow.png", size=(4000, 3000))
    program = f"""if 1:
        from earthclip.pictures.reader import Reader
        from tests.tiny import PREPROCESSING
        reading = Reader(PREPROCESSING, workers=2).read_ahead({list(map(str, pictures))!r} + [{str(slow)!r}] * 99)
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
        "import sys, earthclip.pictures.worker\n"
        "print([name for name in ('onnxruntime', 'torch', 'shapely', 'click') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
    (tmp_path / "PIL.py").write_text("raise SystemExit")
    program = (
        "import sys; sys.path.remove('')\n"
        "from earthclip.pictures.reader import Reader; from tests.tiny import PREPROCESSING\n"
        "import earthclip.pictures.worker as w; del w.prepare\n"
        "with Reader(PREPROCESSING, workers=1) as reader: print(len(list(reader.read_ahead(sys.argv[1:]))))"
    )
    root = str(Path(__file__).parents[2])
    # Not with an empty part before it, which would be the current folder.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root]))}
    command = [sys.executable, "-c", program, *map(str, pictures)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "24\n", done.stderr


@pytest.mark.parametrize("limits", [None, GENEROUS])
def test_many_threads_share_a_few_workers(pictures: list[Path], limits: Limits | None) -> None:
    contents = [picture.read_bytes() for picture in pictures]
    expected = [pixels_of(item) for item in read_all(pictures, workers=0)]
    with Reader(PREPROCESSING, workers=2, limits=limits) as reader, ThreadPoolExecutor(200) as threads:
        several = threading.Barrier(200)

        def read(number: int) -> Prepared | Failure:
            several.wait(60)
            index = number % len(pictures)
            return reader.read(Named(f"photo {number}", contents[index]) if number % 2 else pictures[index])

        items = list(threads.map(read, range(200)))
        assert len(workers()) == 2
    assert [pixels_of(item) for item in items] == [expected[number % len(pictures)] for number in range(200)]


def test_bytes_of_every_size_reach_the_worker_whole(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.bmp")  # 9 MB, far more than a pipe holds
    large = (tmp_path / "large.bmp").read_bytes()
    fetched = [Named("f", lambda: io.BytesIO(large)), Named("g", lambda: large)]
    given: list[Source] = [Named("a", large), Named("b", b""), Named("c\n\udcff", large[:1000]), *fetched]
    first, empty, cut, *more = read_all(given, workers=1, limits=GENEROUS)
    assert pixels_of(first) == prepare(large, PREPROCESSING).pixels.tobytes() and first.path is None
    assert empty == Failure("b", "b: the file is empty (0 bytes); copy or download it again")
    assert isinstance(cut, Failure) and cut.error.startswith("c\n\udcff: the picture is damaged or cut short")
    assert [pixels_of(item) for item in more] == [pixels_of(first)] * 2


def test_what_cannot_be_fetched_is_a_failure(pictures: list[Path]) -> None:
    def gone() -> bytes:
        raise InputError("shard.tar: gone")

    given: list[Source] = [*pictures[:9], Named("photo 9", gone), pictures[9]]
    for count in (0, 1):
        items = read_all(given, workers=count)
        assert items[9] == Failure("photo 9", "shard.tar: gone") and isinstance(items[10], Prepared)


def test_pictures_are_fetched_side_by_side(pictures: list[Path]) -> None:
    together = threading.Barrier(9)  # one worker and eight that wait for their pictures

    def fetch(picture: Path) -> bytes:
        together.wait(60)
        return picture.read_bytes()

    items = read_all([Named(str(p), partial(fetch, p)) for p in pictures[:18]], workers=1)
    assert [pixels_of(item) for item in items] == [pixels_of(item) for item in read_all(pictures[:18], workers=0)]


@linux
def test_a_picture_that_takes_too_long_is_a_failure(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping = heic(tmp_path, "sleeping.heic", "import time; time.sleep(60)", monkeypatch)
    began = time.monotonic()
    items = read_all([pictures[0], sleeping, pictures[1]], workers=1, limits=Limits(seconds=0.5, memory_mb=1000))
    assert [isinstance(item, Prepared) for item in items] == [True, False, True]
    assert items[1] == Failure(
        str(sleeping), f"{sleeping}: reading it took more than 0.5 s, the limit; make it smaller"
    )
    assert time.monotonic() - began < 20 and not workers()


@linux
def test_a_worker_that_was_stopped_is_ended(pictures: list[Path]) -> None:
    with Reader(PREPROCESSING, workers=1, limits=Limits(seconds=0.5, memory_mb=1000)) as reader:
        assert isinstance(reader.read(pictures[0]), Prepared)
        (stopped,) = workers()
        os.kill(stopped, signal.SIGSTOP)
        late = reader.read(Named("photo 1", pictures[0].read_bytes() + bytes(1_000_000)))  # more than the pipe takes
        assert isinstance(late, Failure) and late.error.startswith("photo 1: reading it took more than 0.5 s")
        assert isinstance(reader.read(pictures[0]), Prepared) and stopped not in workers()
        for pid in workers():
            os.kill(pid, signal.SIGSTOP)
    assert not workers()


@linux
def test_a_picture_that_takes_too_much_memory_is_a_failure(pictures: list[Path], tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.new("RGB", (8000, 6000), (1, 2, 3)).save(large, compress_level=1)  # 144 MB of pixels
    with Reader(PREPROCESSING, workers=1, limits=Limits(seconds=60.0, memory_mb=150)) as reader:
        assert isinstance(reader.read(pictures[0]), Prepared)
        (pid,) = workers()
        for source in (large, Named(str(large), large.read_bytes())):
            expected = Failure(str(large), f"{large}: reading the picture takes too much memory; make it smaller first")
            assert reader.read(source) == expected
            assert isinstance(reader.read(pictures[0]), Prepared)
        assert workers() == [pid]
        too_long = reader.read(Named("photo", bytes(200_000_000)))  # not even its file has room
        assert isinstance(too_long, Failure) and "ended the reading process" in too_long.error
        assert isinstance(reader.read(pictures[0]), Prepared)
    assert isinstance(read_all([large], workers=1, limits=GENEROUS)[0], Prepared)


def test_too_many_pixels_are_told_from_other_faults(tmp_path: Path) -> None:
    large = write_picture(tmp_path / "a.png", size=(40, 30))
    items = read_all([large, tmp_path / "nope.png"], workers=1, limits=Limits(60.0, 1000, max_pixels=1199))
    assert items[0] == Failure(
        str(large), f"{large}: 1,200 pixels, the limit is 1,199; make it smaller first", too_large=True
    )
    assert isinstance(items[1], Failure) and not items[1].too_large


@linux
@pytest.mark.parametrize("limits", [None, GENEROUS])
def test_a_worker_that_is_killed_while_it_waits_costs_no_picture(pictures: list[Path], limits: Limits | None) -> None:
    with Reader(PREPROCESSING, workers=1, limits=limits) as reader:
        for _ in range(3):
            assert isinstance(reader.read(pictures[0]), Prepared)
            (pid,) = workers()
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # all its threads are gone, and it is not forgotten yet


@linux
def test_a_worker_that_is_killed_while_it_reads_costs_one_picture_at_most(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = tmp_path / "once"
    codec = f"import os, time\nif not os.path.exists({str(once)!r}): open({str(once)!r}, 'w'); time.sleep(60)"
    first_time = heic(tmp_path, "a.heic", codec, monkeypatch)
    for limits, error in ((None, "damaged"), (GENEROUS, "ended the reading process (SIGKILL)")):
        once.unlink(missing_ok=True)
        with Reader(PREPROCESSING, workers=1, limits=limits) as reader, ThreadPoolExecutor(1) as threads:
            outcome = threads.submit(reader.read, first_time)
            wait_until(once.exists)
            os.kill(workers()[0], signal.SIGKILL)
            failure = outcome.result()  # tried again, and no HEIC picture; not tried again under limits
            assert isinstance(failure, Failure) and error in failure.error
            assert isinstance(reader.read(pictures[0]), Prepared)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"workers": -1}, "workers is -1; expected 0 or more, and with limits 1 or more"),
        ({"workers": 0, "limits": GENEROUS}, "workers is 0; expected 0 or more, and with limits 1 or more"),
    ],
)
def test_impossible_readers(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Reader(PREPROCESSING, **wrong)


def test_impossible_numbers() -> None:
    with Reader(PREPROCESSING, workers=1) as reader, pytest.raises(InputError, match="ahead is 0; expected at least 1"):
        reader.read_ahead([], ahead=0)
    for seconds, memory_mb, max_pixels in ((0.0, 1000, 9), (1.0, 99, 9), (1.0, 1000, 0)):
        with pytest.raises(InputError, match="let no picture through; expected at least 100 MB"):
            Limits(seconds, memory_mb, max_pixels)


def test_nothing_in_nothing_out() -> None:
    assert read_all([], workers=2) == []
