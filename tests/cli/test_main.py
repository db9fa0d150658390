"""The command as a user's shell sees it: exit codes, one line for each fault, quiet ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import earthclip
from earthclip import __main__ as entry
from earthclip import cli
from earthclip.cli import main
from earthclip.cli.tree import TREE
from earthclip.errors import InputError
from tests.tiny import write_picture


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "earthclip", *arguments], capture_output=True, text=True)


def test_help_and_version() -> None:
    for arguments in (["--help"], ["-h"]):
        done = run(*arguments)
        assert done.returncode == 0 and done.stderr == ""
        assert all(f"  {name} " in done.stdout for name in TREE)
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"earthclip {earthclip.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lokate"], "no such command 'lokate'; did you mean 'locate'? See 'earthclip --help'."),
        (["xyz"], "no such command 'xyz'; expected one of locate, apply, privacy, embed"),
        (["model", "lst"], "no such command 'lst'; did you mean 'list'? See 'earthclip model --help'."),
        (["cluster", "embed", "image"], "no such command 'image'; did you mean 'images'?"),
        (["locate"], "give a PICTURE, or --text WORDS. See 'earthclip locate --help'."),
        (["locate", "a", "--top-k", "x"], "'x' is not a valid integer"),
        (["locate", "a", "--format", "xml"], "'xml' is not one of"),
        (["locate", "a", "--modl", "x"], "no such option '--modl'; did you mean '--model'?"),
        (["locate", "a", "--top-k", "0", "--min-confidence", "7"], "--min-confidence is 7.0; expected 0"),
        (["locate", "a", "--text-weight", "0.2"], "--text-weight weighs --text against a picture; give both."),
        (["locate", "--text-weight", "0.2", "--text", "sea"], "--text-weight weighs --text against a picture"),
        (["locate", "a", "--map", "a.png", "--map", "./a.png"], "a.png: two maps have this name"),
        (["locate", "a", "--map", "no/such/a.html"], "no/such/a.html: cannot be written (No such file or directory)"),
        (["locate", "a", "--model", "obrit"], "unknown model 'obrit'; did you mean 'orbit'?"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("error: ") and says in captured.err


def test_bare_command_shows_help() -> None:
    done = run()
    assert done.returncode == 2 and "Commands:" in done.stderr


def failing(fault: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise fault

    return command


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (InputError("x: expected\na, found b"), 2, "error: x: expected a, found b\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 2, "pip install 'earthclip[train]'\n"),
        (BrokenPipeError(), 141, ""),
        (SystemExit(3), 3, ""),
        (SystemExit("no"), 2, "error: no\n"),
        (click.ClickException("no"), 2, "error: no\n"),
    ],
)
def test_faults_of_commands(
    fault: BaseException, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = click.Command("train", callback=failing(fault))
    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: command)
    monkeypatch.setattr(cli, "_reader_went_away", lambda: cli.BROKEN_PIPE)
    assert main(["train"]) == code
    captured = capsys.readouterr()
    assert captured.err.endswith(says) and captured.err.count("\n") <= 1 and captured.out == ""


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for fault in (ZeroDivisionError(), ModuleNotFoundError("No module named 'earthclip.x'", name="earthclip.x")):
        command = click.Command("train", callback=failing(fault))
        monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_, command=command: command)
        with pytest.raises(type(fault)):
            main(["train"])


def test_a_reader_that_goes_away_is_no_fault(tiny_model: Path, tmp_path: Path) -> None:
    for i in range(3):
        write_picture(tmp_path / f"{i}.png", seed=i)
    # 300 pictures fill more than a pipe's buffer, so that writing must fail once head is gone.
    names = " ".join(f"'{tmp_path / f'{i % 3}.png'}'" for i in range(300))
    command = f"'{sys.executable}' -m earthclip locate {names} --model '{tiny_model}' --top-k 50 --format jsonl"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    first, code = done.stdout.splitlines()
    assert first.startswith('{"path": ') and code == "141"
    assert done.stderr == "model: tiny\n"


def test_closed_stderr_leaves_stdout_clean(tiny_model: Path, picture: Path) -> None:
    command = f"'{sys.executable}' -m earthclip locate '{picture}' nope.jpg --model '{tiny_model}' --format json 2>&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 1
    assert [answer["path"] for answer in json.loads(done.stdout)] == [str(picture), "nope.jpg"]


def test_help_into_a_closed_pipe() -> None:
    command = f"'{sys.executable}' -m earthclip --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.strip() in ("0", "141")  # 0: the pipe took it all before it was closed


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="signals of POSIX")
def test_interrupt_is_quiet(tiny_model: Path, tmp_path: Path) -> None:
    # No path comes on stdin, so there is no answer to keep; test_locate_many.py has a run that was further.
    arguments = ["-", "--model", str(tiny_model), "-o", str(tmp_path / "out.csv"), "--format", "csv"]
    process = subprocess.Popen(
        [sys.executable, "-m", "earthclip", "locate", *arguments],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None and process.stderr.readline() == "model: tiny\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    out, err = process.communicate()
    assert out == "" and err.strip() == ""
    assert list(tmp_path.iterdir()) == []  # no half file either


def test_a_closed_stdout_is_no_fault() -> None:
    command = f"{sys.executable} -m earthclip --help >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_empty_path_is_not_the_current_folder(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["locate", ""], ["privacy", "strip", "", "--out", "clean"]):
        assert main(arguments) == 2
        assert "expected a path, found nothing between the quotes" in capsys.readouterr().err


@pytest.mark.parametrize("fault", [None, ImportError("numpy")])
def test_an_interrupt_while_modules_are_imported(fault: ImportError | None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Importing:
        @property
        def main(self) -> object:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt as error:
                raise fault or error from None
            raise AssertionError

    monkeypatch.setitem(sys.modules, "earthclip.cli", Importing())
    before = signal.getsignal(signal.SIGINT)
    try:
        assert entry.main() == 130
    finally:
        signal.signal(signal.SIGINT, before)
