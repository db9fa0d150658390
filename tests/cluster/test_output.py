"""The folder of answers: begun, gone on with, replaced."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from earthclip.cluster.blocks import plan
from earthclip.cluster.output import OutputFolder
from earthclip.cluster.storage import is_address, read_bytes
from earthclip.errors import EarthCLIPError, OutputError
from earthclip.pictures.prepare import Failure


@pytest.mark.parametrize("where", ["folder", "memory://answers/run"])
def test_the_output_is_begun_resumed_and_replaced(tmp_path: Path, where: str) -> None:
    output = OutputFolder(where if is_address(where) else str(tmp_path / where))
    made = plan([Failure(str(i), "gone") for i in range(5)], 2)
    asked = {"model": "tiny", "top_k": 5}
    assert output.begin(asked, lambda: made, resume=True, force=False).equals(made)  # nothing to resume: it starts
    output.write_block(1, made)
    with pytest.raises(OutputError, match="add --resume to continue it, or --force to start over"):
        output.begin(asked, lambda: made, resume=False, force=False)
    with pytest.raises(OutputError, match="holds a run with top_k 5, but this run has 3"):
        output.begin(asked | {"top_k": 3}, lambda: made, resume=True, force=False)
    assert output.begin(asked, lambda: pytest.fail("planned again"), resume=True, force=False).equals(made)
    assert output.done() == {1}
    output.finish()
    with pytest.raises(OutputError, match="choose another folder, or add --force"):
        output.begin(asked, lambda: made, resume=False, force=False)
    output.begin(asked | {"top_k": 3}, lambda: made, resume=False, force=True)
    assert output.done() == set() and json.loads(read_bytes(f"{output.where}/_earthclip/run.json"))["top_k"] == 3
    with pytest.raises(EarthCLIPError):
        read_bytes(f"{output.where}/_SUCCESS")
    output.release()


@pytest.mark.parametrize("where", ["folder", "memory://answers/withdrawn"])
def test_a_run_that_wrote_nothing_is_withdrawn(tmp_path: Path, where: str) -> None:
    output = OutputFolder(where if is_address(where) else str(tmp_path / where))
    made = plan([Failure(str(i), "gone") for i in range(5)], 2)
    output.begin({"top_k": 0}, lambda: made, resume=False, force=False)
    output.withdraw()
    output.begin({"top_k": 5}, lambda: made, resume=False, force=False)
    output.write_block(1, made)
    output.withdraw()
    with pytest.raises(OutputError, match="add --resume to continue"):
        output.begin({"top_k": 5}, lambda: made, resume=False, force=False)


def test_a_kill_while_answers_are_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = OutputFolder(str(tmp_path / "folder"))
    made = plan([Failure(str(i), "gone") for i in range(5)], 2)
    output.begin({}, lambda: made, resume=False, force=False)
    output.write_block(0, made)
    (tmp_path / "folder" / "_earthclip" / "run.json").unlink()  # what goes first
    for resume in (True, False):
        with pytest.raises(OutputError, match="choose another folder, or add --force to replace it"):
            output.begin({}, lambda: made, resume=resume, force=False)
    output.begin({}, lambda: made, resume=False, force=True)
    assert output.done() == set()
    output.release()


def test_a_second_run_into_a_folder_is_refused(tmp_path: Path) -> None:
    where = str(tmp_path / "folder")
    first, second = OutputFolder(where), OutputFolder(where)
    made = plan([Failure(str(i), "gone") for i in range(5)], 2)
    first.begin({}, lambda: made, resume=False, force=False)
    for resume, force in ((True, False), (False, True)):
        with pytest.raises(OutputError, match=r"folder: another run is writing there; wait for that run to end"):
            second.begin({}, lambda: made, resume=resume, force=force)
        second.release()
    OutputFolder(where, first.run).write_block(0, made)
    first.finish()
    first.release()
    second.begin({}, lambda: made, resume=True, force=False)
    second.release()
    assert sorted(path.name for path in (tmp_path / "folder" / "_earthclip").iterdir()) == [
        "blocks.parquet",
        "run.json",
    ]


@pytest.mark.parametrize("where", ["folder", "memory://answers/taken"])
def test_a_run_whose_folder_was_taken_over_writes_no_more(tmp_path: Path, where: str) -> None:
    first, second = (OutputFolder(where if is_address(where) else str(tmp_path / where)) for _ in range(2))
    made = plan([Failure(str(i), "gone") for i in range(5)], 2)
    first.begin({}, lambda: made, resume=False, force=False)
    if where == "folder":  # as on a drive without locks
        fcntl.flock(first._lock, fcntl.LOCK_UN)
    second.begin({}, lambda: made, resume=True, force=False)
    with pytest.raises(OutputError, match="another run has begun to write there; this one ends, what it wrote stays"):
        OutputFolder(first.where, first.run).write_block(0, made)
    first.withdraw()
    OutputFolder(second.where, second.run).write_block(1, made)
    assert second.done() == {1}
    second.release()
