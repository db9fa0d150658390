"""Runs a document: its commands, its Python, the files it says to save; and compares what is shown with what is got.

``python -m tests.tutorials docs/tutorials/*.md`` writes what is got into the documents instead.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earthclip.cli import main

ROOT = Path(__file__).parent.parent
_FENCE = re.compile(r"^```(console|python|text|toml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SAVED = re.compile(r"as `([\w./-]+)`:\n+\Z")
_TOLERANCE = 0.05  # of numbers, as processors and runtimes differ in late digits


class Run:
    """One document, run from top to bottom in the current folder."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"__name__": "tutorial"}
        self._printed = ""

    def document(self, text: str) -> Iterator[tuple[slice, str]]:
        """Where each block with an output is, and the block as it should be."""
        for match in _FENCE.finditer(text):
            kind, body = match[1], match[2]
            if saved := _SAVED.search(text[: match.start()]):
                Path(saved[1]).write_text(body, encoding="utf-8")
            elif kind == "console":
                yield slice(*match.span(2)), "".join(f"$ {command}\n{_output(command)}" for command in _commands(body))
            elif kind == "python":
                with _captured() as printed:
                    exec(compile(body, "tutorial", "exec"), self._names)
                self._printed = printed.getvalue()
            elif kind == "text":
                yield slice(*match.span(2)), self._printed


def same(shown: str, got: str) -> bool:
    """Whether words are equal and numbers close; "..." at the end of a line stands for anything, bars for any bars."""
    parts = [re.escape(part) for part in (" ".join(_words(chunk)) for chunk in re.split(r"\.\.\.$", shown, flags=re.M))]
    numbers = re.compile(r"\d[\d,]*(?:\.\d+)?")
    pattern = " ?.*? ?".join(numbers.sub(r"(\\d[\\d,]*(?:\\.\\d+)?)", part.replace("\\.", ".")) for part in parts)
    found = re.fullmatch(pattern, " ".join(_words(got)), re.DOTALL)
    if found is None:
        return False
    expected = [_number(text) for text in numbers.findall(" ".join(_words(re.sub(r"\.\.\.$", "", shown, flags=re.M))))]
    return all(
        abs(one - _number(other)) <= _TOLERANCE * abs(one) + 0.02
        for one, other in zip(expected, found.groups(), strict=True)
    )


def _words(text: str) -> list[str]:
    return [word for word in text.split() if set(word) != {"█"}]


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _commands(body: str) -> list[str]:
    return [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]


def _output(command: str) -> str:
    words = shlex.split(command)
    if words[0] == "earthclip":
        with _captured() as printed:
            code = main(words[1:])
        assert code == 0, f"{command}: {printed.getvalue()}"
        return printed.getvalue()
    if words[0] == "python":
        words[0] = sys.executable
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@contextlib.contextmanager
def _captured() -> Iterator[io.StringIO]:
    """What is printed, stdout and stderr in the order of a terminal."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        yield printed


def in_a_folder(folder: Path, text: str) -> list[tuple[slice, str]]:
    """All blocks of ``text`` with an output, run in ``folder``, to which the examples are copied."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    with contextlib.chdir(folder):
        return list(Run().document(text))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        document = Path(name).read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            for where, got in reversed(in_a_folder(Path(folder), document)):
                if not same(document[where], got):
                    document = f"{document[: where.start]}{got.rstrip()}\n{document[where.stop :]}"
        Path(name).write_text(document, encoding="utf-8")
