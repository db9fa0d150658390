"""``earthclip locate`` of many pictures: killed and resumed, interrupted, read from lists, told about."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from earthclip.cli import main
from earthclip.models.fastest import choose, files_of
from earthclip.models.folder import open_folder
from earthclip.models.measured import Record, Row, this_machine, weights_of, write_record
from tests.pictures.processes import alive, children, wait_until
from tests.tiny import write_picture

posix = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="signals, and looks processes up in /proc")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 pictures, one of them damaged."""
    folder = tmp_path_factory.mktemp("many")
    for i in range(20):
        write_picture(folder / f"{i:02}.png", seed=i, size=(300, 200))
    (folder / "07.png").write_bytes((folder / "07.png").read_bytes()[:900])
    return folder


def locate(*arguments: str | Path) -> int:
    return main(["locate", *map(str, arguments)])


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "earthclip", "locate", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def count(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") - 1 if journal.exists() else -1


@posix
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_killed_run_is_resumed_to_the_very_same_file(
    tiny_model: Path, pictures: Path, tmp_path: Path, workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*[pictures] * 15, "--model", tiny_model]
    killed = tmp_path / "killed.partial"
    process = start(*arguments, "-o", tmp_path / "killed", "--workers", workers)
    wait_until(lambda: count(killed) >= 48)
    process.kill()
    process.communicate()
    kept = count(killed) // 16 * 16
    assert 48 <= kept < 300 and not (tmp_path / "killed").exists()
    with killed.open("ab") as file:
        file.write(b'{"path": "cut in the mid')
    for format_ in ["csv", "kml"] if workers == "0" else ["csv"]:  # every format: tests/batch/test_journal.py
        whole, resumed = tmp_path / f"whole.{format_}", tmp_path / f"resumed.{format_}"
        shutil.copy(killed, f"{resumed}.partial")
        assert locate(*arguments, "--format", format_, "-o", resumed, "--resume", "--workers", "0") == 1
        err = capsys.readouterr().err
        assert f"285 located, 15 failed ({kept} of them by the interrupted run), " in err
        assert err.count("error: ") == 15 - kept // 20 - (kept % 20 > 7)
        assert locate(*arguments, "--format", format_, "-o", whole, "--workers", "0") == 1
        assert resumed.read_bytes() == whole.read_bytes()
        capsys.readouterr()
    assert not list(tmp_path.glob("[rw]*.partial"))


@posix
def test_an_interrupted_run_says_what_it_kept_and_leaves_no_process(
    tiny_model: Path, pictures: Path, tmp_path: Path
) -> None:
    process = start(*[pictures] * 100, "--model", tiny_model, "--workers", "2", "-o", tmp_path / "out", "--top-k", "1")
    journal = tmp_path / "out.partial"
    wait_until(lambda: count(journal) >= 16)
    workers = children(process.pid)
    assert workers
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    told = [line for line in err.splitlines() if not line.startswith(("error: ", "model: "))]
    assert told == [f"interrupted: {count(journal):,} answers are kept in {journal}; continue with --resume"]
    wait_until(lambda: not any(map(alive, workers)), 5)


@posix
def test_a_killed_run_leaves_no_process_and_no_lock(tiny_model: Path, pictures: Path, tmp_path: Path) -> None:
    arguments = [*[pictures] * 100, "--model", tiny_model, "--workers", "2", "-o", tmp_path / "out"]
    process = start(*arguments)
    wait_until(lambda: count(tmp_path / "out.partial") >= 16)
    workers = children(process.pid)
    second = start(*arguments, "--resume")
    _, err = second.communicate(timeout=20)
    assert second.returncode == 2 and "another run is writing there; wait for that run to end" in err
    process.kill()
    process.communicate()
    assert workers
    wait_until(lambda: not any(map(alive, workers)), 5)
    assert locate(pictures, "--model", tiny_model, "-o", tmp_path / "out", "--resume") == 2  # fewer than were answered


def test_what_stands_in_the_way_is_told(
    tiny_model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [pictures, "--model", tiny_model, "-o", tmp_path / "out", "--workers", "0"]
    journal = tmp_path / "out.partial"
    assert locate(*given, "--resume") == 1  # nothing to resume: it starts
    assert locate(*given, "--resume") == 0
    assert capsys.readouterr().err.endswith("out is complete; nothing is left to do\n")  # a table says no more
    assert locate(*given) == 2
    assert "already exists" in capsys.readouterr().err
    (tmp_path / "out").rename(tmp_path / "whole")
    model = json.loads((tiny_model / "config.json").read_text())["name"]
    journal.write_text(f'{{"format": 1, "model": "{model}", "top_k": 5}}\n')
    assert locate(*given) == 2
    assert f"{journal}: holds the answers of an interrupted run; add --resume to continue it" in capsys.readouterr().err
    assert locate(*given, "--resume") == 2
    assert f"{journal}: holds a run with fingerprint None, but this run has " in capsys.readouterr().err
    assert locate(*given, "--force") == 1
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes() and not journal.exists()
    for arguments in ([pictures, "--resume"], ["--text", "x", "-o", tmp_path / "x", "--resume"]):
        assert locate(*arguments, "--model", tiny_model) == 2
        assert "--resume needs -o FILE" in capsys.readouterr().err


@pytest.mark.parametrize("different", [["--top-k", "3"], ["--full-size"], ["--precision", "float32"]])
def test_other_options_are_not_mixed(
    tiny_model: Path, pictures: Path, tmp_path: Path, different: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert locate(pictures, "--model", tiny_model, "-o", out, "--workers", "0") == 1
    # As if it had been killed before the last step.
    script = (
        "import sys; from earthclip.outputs.journal import Journal; "
        "Journal.finish = lambda *_, **__: Journal._flush(_[0])"
    )
    command = [sys.executable, "-c", f"{script}; from earthclip.cli import main; main(sys.argv[1:])", "locate"]
    given = [pictures, "--model", tiny_model, "--workers", "0", "-o"]
    subprocess.run([*command, *map(str, [*given, tmp_path / "other"])], capture_output=True, check=True)
    assert locate(*given, tmp_path / "other", "--resume", *different) == 2
    name = {"--top-k": "top_k 5", "--full-size": "draft True", "--precision": "precision auto"}[different[0]]
    assert f"other.partial: holds a run with {name}, but this run has " in capsys.readouterr().err
    assert locate(*given, tmp_path / "other", "--resume") == 1
    assert (tmp_path / "other").read_bytes() == out.read_bytes()


def test_relative_paths_are_resumed_in_their_folder_only(
    tiny_model: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["00.png", "01.png", "--model", tiny_model, "--workers", "0", "-o", tmp_path / "out.csv"]
    monkeypatch.chdir(pictures)
    with monkeypatch.context() as killed:
        killed.setattr("earthclip.outputs.journal.Journal.finish", lambda journal, _, **__: journal._flush())
        assert locate(*given) == 0
    assert count(tmp_path / "out.csv.partial") == 2
    monkeypatch.chdir(tmp_path)
    assert locate(*given, "--resume") == 2
    assert f"holds a run with folder {pictures}, but this run has {tmp_path}; use" in capsys.readouterr().err
    monkeypatch.chdir(pictures)
    assert locate(*given, "--resume") == 0
    assert locate(*given, "--resume") == 0
    assert capsys.readouterr().err.endswith("out.csv is complete: 2 answers; nothing is left to do\n")
    assert locate(*given, "--resume", "--top-k", "3") == 2
    assert "out.csv: is complete, and holds a run with top_k 5, but this run has 3; choose" in capsys.readouterr().err


def test_nothing_is_left_when_every_picture_failed(tiny_model: Path, tmp_path: Path) -> None:
    missing = [tmp_path / f"{i}.jpg" for i in range(40)]
    assert locate(*missing, "--model", tiny_model, "-o", tmp_path / "out") == 2
    assert list(tmp_path.iterdir()) == []


def test_lists_and_stdin(tiny_model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(str(pictures / f"{i:02}.png") for i in range(12)))
    assert locate("--list", listed, "--model", tiny_model, "--format", "jsonl", "--top-k", "1") == 1
    captured = capsys.readouterr()
    assert [Path(json.loads(line)["path"]).name for line in captured.out.splitlines()] == [
        f"{i:02}.png" for i in range(12)
    ]
    assert captured.err.splitlines()[-1].startswith("11 located, 1 failed, ")
    command = [
        sys.executable,
        "-m",
        "earthclip",
        "locate",
        "-",
        "--model",
        tiny_model,
        "--format",
        "jsonl",
        "--top-k=1",
    ]
    content = listed.read_bytes().replace(b"\n", b"\0")
    done = subprocess.run(command, input=content, capture_output=True)
    assert done.returncode == 1 and done.stdout.decode() == captured.out
    assert locate("--list", tmp_path / "nope", "--model", tiny_model) == 2
    assert "nope: expected a file of paths, found nothing" in capsys.readouterr().err


@posix
def test_a_reader_that_goes_away_ends_the_workers(tiny_model: Path, pictures: Path) -> None:
    process = start(*[pictures] * 100, "--model", tiny_model, "--format", "jsonl", "--workers", "2")
    assert process.stdout is not None and process.stderr is not None
    assert json.loads(process.stdout.readline())["path"]
    workers = children(process.pid)
    process.stdout.close()
    process.stdout = None
    process.communicate(timeout=20)
    assert process.returncode == 141 and workers
    wait_until(lambda: not any(map(alive, workers)), 5)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tiny_model: Path, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    assert locate(picture, "--model", tiny_model, "-o", tmp_path / "closed" / "out") == 2


def test_a_resumed_run_keeps_what_it_was_begun_with(
    tiny_model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earthclip.models.openvino.SMALL", 1)
    monkeypatch.setattr("earthclip.models.openvino.HEAVY", 1)
    given: list[str | Path] = [pictures, "--model", tiny_model, "--workers", "0", "-o"]
    with monkeypatch.context() as killed:  # before the last step
        killed.setattr("earthclip.outputs.journal.Journal.finish", lambda journal, _, **__: journal._flush())
        assert locate(*given, tmp_path / "out") == 1
    before = (tmp_path / "out.partial").read_text()
    assert "image_encoder.onnx, run by openvino in float32" in before
    folder = open_folder(tiny_model)
    files = files_of(folder, "image")
    row = Row("image_encoder.onnx", "onnxruntime", "float32", alone_ms=1.0, lowest_cosine=1.0)
    write_record(Record("tiny", "image", weights_of(files), this_machine(), (row,), 0))
    assert choose(folder).runtime == "onnxruntime"
    assert locate(*given, tmp_path / "out", "--resume") == 1
    assert (tmp_path / "out").is_file()
