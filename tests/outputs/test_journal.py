"""What is answered is on disk, whole or not at all, for one run at a time, and never asked for again."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earthclip.errors import OutputError
from earthclip.locating.prediction import Prediction
from earthclip.models.config import ModelConfig
from earthclip.outputs import FORMATS
from earthclip.outputs.journal import Journal, header, open_journal
from earthclip.outputs.structured import from_object, to_object
from earthclip.pictures.prepare import Failure
from tests.tiny import PREPROCESSING

CONFIG = ModelConfig("tiny", 8, 2.0, PREPROCESSING, "uniform", "MIT")
HEADER = header([CONFIG], {"top_k": 2})
BATCH = 4


def answer(name: str) -> Prediction | Failure:
    if name.startswith("bad"):
        return Failure(name, f"{name}: damaged")
    rng = np.random.default_rng(len(name))
    return Prediction(name, "tiny", rng.uniform(-90, 90, (2, 2)), rng.uniform(0, 1, 2), text="a \u2028 b")


def run(output: Path, names: list[str], *, resume: bool = False, stop: int | None = None, format: str = "csv") -> int:
    """Answer the pictures ``names``, ending before the one with index ``stop``; returns how many were asked for."""
    asked = 0
    with open_journal(output, BATCH, resume=resume) as journal:
        journal.begin(HEADER)
        for path in journal.unanswered(map(Path, names)):
            if asked == stop:
                return asked
            journal.write(answer(str(path)))
            asked += 1
        journal.finish(format)
    return asked


def lines(output: Path) -> list[str]:
    return [json.loads(line).get("path") for line in partial(output).read_bytes().split(b"\n")[1:-1]]


def partial(output: Path) -> Path:
    return output.with_name(output.name + ".partial")


NAMES = [f"{'bad' if i % 5 == 3 else 'p'}{i}" for i in range(18)] + ["p1", "p1"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_resumed_run_ends_as_one_that_was_not(tmp_path: Path, format: str) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(whole, NAMES, format=format) == 20
    assert run(parts, NAMES, stop=9) == 9
    assert lines(parts) == NAMES[:8] and not parts.exists()  # two batches of four
    assert run(parts, NAMES, resume=True, stop=5) == 5
    assert lines(parts) == NAMES[:12]
    assert run(parts, NAMES, resume=True, format=format) == 8
    assert parts.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts", "whole"]


@pytest.mark.parametrize("torn", [b'{"path": "p8", "mod', b'{"path": "p8"}\n{"pa', b"\0" * 40 + b"\n", b"\xff\n"])
def test_a_torn_line_is_cut_off_with_its_batch(tmp_path: Path, torn: bytes) -> None:
    output = tmp_path / "out"
    run(output, NAMES, stop=8)
    with partial(output).open("ab") as file:
        file.write(torn)
    assert run(output, NAMES, resume=True, stop=0) == 0
    assert lines(output) == NAMES[:8]


def test_a_torn_header_is_a_new_run(tmp_path: Path) -> None:
    partial(tmp_path / "out").write_bytes(b'{"format": 1, "mo')
    assert run(tmp_path / "out", NAMES, resume=True) == 20


def test_files_that_came_meanwhile(tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(output, NAMES, stop=8)
    names = ["new", *reversed(NAMES), "newer"]
    assert run(output, names, resume=True, format="jsonl") == 14
    paths = [json.loads(line)["path"] for line in output.read_bytes().split(b"\n")[:-1]]
    assert paths[:9] == [*NAMES[:8], "new"] and paths[-1] == "newer"
    assert sorted(paths) == sorted(names)


@pytest.mark.parametrize(
    ("names", "gone"), [(NAMES[:3], 5), ([*NAMES[:2], *NAMES[3:]], 1), (["new", *NAMES[:5]], 3), ([], 8)]
)
def test_answers_about_other_pictures_are_not_mixed_in(tmp_path: Path, names: list[str], gone: int) -> None:
    output = tmp_path / "out"
    run(output, NAMES, stop=8)
    before = partial(output).read_bytes()
    with pytest.raises(OutputError, match=rf"out.partial: {gone} of its answers are about pictures .* such as (p|bad)"):
        run(output, names, resume=True)
    assert partial(output).read_bytes() == before and not output.exists()


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (header([CONFIG], {"top_k": 3}), "holds a run with top_k 2, but this run has 3"),
        (header([CONFIG], {"top_k": 2, "text": "x"}), "holds a run with text None, but this run has x"),
        (header([CONFIG], {}), "holds a run with top_k 2, but this run has None"),
        (
            header([ModelConfig("other", 8, 2.0, PREPROCESSING, "uniform", "MIT")], {"top_k": 2}),
            "model tiny, but this run has other",
        ),
        (header([ModelConfig("tiny", 8, 2.1, PREPROCESSING, "uniform", "MIT")], {"top_k": 2}), "with fingerprint"),
    ],
)
def test_another_run_is_not_continued(tmp_path: Path, other: dict[str, object], says: str) -> None:
    output = tmp_path / "out"
    run(output, NAMES, stop=8)
    before = partial(output).read_bytes()
    with pytest.raises(OutputError, match=says), open_journal(output, BATCH, resume=True) as journal:
        journal.begin(other)
    assert partial(output).read_bytes() == before


def test_a_file_of_the_users_is_not_taken_for_a_journal(tmp_path: Path) -> None:
    partial(tmp_path / "out").write_text("my notes\n")
    with pytest.raises(OutputError, match="not a journal"):
        run(tmp_path / "out", NAMES, resume=True)
    with pytest.raises(OutputError, match="add --resume to continue it, or --force to start over"):
        run(tmp_path / "out", NAMES)
    assert partial(tmp_path / "out").read_text() == "my notes\n"


def test_force_starts_anew_once_the_work_begins(tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(output, NAMES, stop=8)
    with open_journal(output, BATCH, force=True):
        pass  # the model was not found, say
    assert lines(output) == NAMES[:8]
    with open_journal(output, BATCH, force=True) as journal:
        journal.begin(HEADER)
        assert [str(path) for path in journal.unanswered(map(Path, NAMES))] == NAMES
    assert not partial(output).exists()


def test_two_runs_cannot_share_a_file(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with open_journal(output, BATCH) as journal:
        journal.begin(HEADER)
        for options in ({}, {"resume": True}, {"force": True}):
            with (
                pytest.raises(OutputError, match="another run is writing there"),
                open_journal(output, BATCH, **options),
            ):
                pass
        journal.write(answer("p"))
        journal.finish("csv")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_keeps_what_is_whole(tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(output, NAMES, stop=8)
    size = partial(output).stat().st_size
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, unlimited[1]))
    try:
        with pytest.raises(
            OutputError, match=r"writing failed \(File too large\); 8 answers are kept, free some disk space"
        ):
            run(output, NAMES, resume=True)
        with open_journal(output, BATCH, resume=True) as journal:
            journal.begin(HEADER)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, unlimited[1]))
            with pytest.raises(OutputError, match=r"out: writing failed .*; the answers are kept in .*out.partial"):
                journal.finish("csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert lines(output) == NAMES[:8] and not output.exists()
    assert run(output, NAMES, resume=True) == 12


@pytest.mark.parametrize("do", [lambda journal: None, lambda journal: journal.discard()])
def test_what_cannot_be_resumed_is_not_left_behind(tmp_path: Path, do: Callable[[Journal], None]) -> None:
    with open_journal(tmp_path / "out", BATCH) as journal:
        journal.begin(HEADER)
        journal.write(answer("bad"))
        do(journal)
    assert list(tmp_path.iterdir()) == []


def test_answers_come_back_as_they_were_written() -> None:
    for one in (answer("p\udcff"), answer("bad")):
        assert to_object(from_object(json.loads(json.dumps(to_object(one))))) == to_object(one)


def test_what_ran_the_model_is_compared_unless_the_journal_is_older(tmp_path: Path) -> None:
    def begin(output: Path, resume: bool, **more: str) -> None:
        with open_journal(output, BATCH, resume=resume) as journal:
            journal.begin(HEADER | more)
            for name in NAMES[:4] if not resume else ():
                journal.write(answer(name))

    begin(tmp_path / "older.csv", False)
    begin(tmp_path / "older.csv", True, image_encoder="openvino in bfloat16")
    begin(tmp_path / "new.csv", False, image_encoder="onnxruntime in float32")
    with pytest.raises(OutputError, match="onnxruntime in float32, but this run has openvino in bfloat16"):
        begin(tmp_path / "new.csv", True, image_encoder="openvino in bfloat16")


def test_a_run_killed_between_its_last_two_steps_is_resumed(tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    run(output, NAMES, stop=len(NAMES) - 1)
    output.write_text("whole, but its journal is still there")
    assert run(output, NAMES, resume=True) < len(NAMES)
    assert not partial(output).exists() and output.read_text().startswith("path,")


def test_the_longest_name_and_a_private_file(tmp_path: Path) -> None:
    for output in (tmp_path / ("x" * 251 + ".csv"), tmp_path / "private.csv"):
        output.touch(mode=0o600)
        with open_journal(output, BATCH, force=True) as journal:
            journal.begin(HEADER)
            journal.write(answer("p"))
            assert journal.path.stat().st_mode & 0o777 == 0o600  # the output's own, not what a new file has
            journal.finish("csv")
        assert list(tmp_path.iterdir()) == [output] and output.read_text().count("\n") == 3
        assert output.stat().st_mode & 0o777 == 0o600
        output.unlink()
