"""The help of every command: complete, in plain words, short on its first screen, with examples that parse."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from earthclip.cli import cli, main
from earthclip.cli.layout import Command
from earthclip.cli.tree import TREE, Entry

PREPOSITIONS = {
    *(
        "about",
        "above",
        "after",
        "against",
        "along",
        "also",
        "among",
        "around",
        "as",
        "at",
        "before",
        "below",
        "beside",
    ),
    *("besides", "between", "beyond", "but", "by", "during", "except", "for", "from", "in", "inside", "into", "near"),
    *("of", "off", "on", "onto", "outside", "over", "per", "since", "through", "to", "toward", "towards", "under"),
    *("until", "upon", "via", "with", "within", "without"),
}


def paths(entries: Mapping[str, Entry] = TREE, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group, by the words that call it."""
    for name, entry in entries.items():
        yield (*above, name)
        yield from paths(entry.below, (*above, name))


def found(words: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for word in words:
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), word)
        assert inner is not None
        command = inner
    return command


GROUPS = [words for words in paths() if isinstance(found(words), click.Group)]
COMMANDS = [words for words in paths() if words not in GROUPS]


def entry_of(words: tuple[str, ...]) -> Entry:
    entry = Entry("", below=TREE)
    for word in words:
        entry = entry.below[word]
    return entry


def called(words: tuple[str, ...]) -> str:
    return " ".join(words)


@pytest.mark.parametrize("words", [(), *GROUPS, *COMMANDS], ids=called)
def test_help_fits_80_columns_and_breaks_no_word(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: {called(('earthclip', *words))} ")
    assert [line for line in text.splitlines() if len(line) > 80] == []
    # A line that ends in a hyphen has broken a word in two.
    assert [line for line in text.splitlines() if re.search(r"\w-$", line)] == []
    assert main([*words, "-h"]) == 0 and capsys.readouterr().out == text


@pytest.mark.parametrize("words", COMMANDS, ids=called)
def test_every_option_is_explained_in_plain_words(words: tuple[str, ...]) -> None:
    for option in found(words).get_params(click.Context(found(words))):
        if isinstance(option, click.Option):
            name, text = option.opts[-1], re.sub(r"^\([\w ]+\) ", "", option.help or "")
            assert text and text[0].isupper() and text.endswith("."), f"{name}: {text}"
            for sentence in re.split(r"(?<=\.) ", text):
                first = re.split(r"\W", sentence)[0].lower()
                assert first not in PREPOSITIONS, f"{name}: {sentence}"


@pytest.mark.parametrize("words", COMMANDS, ids=called)
def test_the_first_screen_is_short(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    first = capsys.readouterr().out.partition("\nOptions:\n")[2].partition("\n\n")[0]
    options = [line for line in first.splitlines() if line.startswith("  -")]
    assert 3 <= len(options) <= 14 and options[-1].startswith("  -h, --help")


@pytest.mark.parametrize("words", COMMANDS, ids=called)
def test_examples_parse(words: tuple[str, ...]) -> None:
    command = found(words)
    assert isinstance(command, Command) and command.examples
    lines = "\n".join(command.examples).replace("\\\n", "").splitlines()
    of_this = 0
    for line in lines:
        for part in line.split(" | "):
            program, *arguments = shlex.split(part)
            if program != "earthclip":
                continue
            called = next(w for w in COMMANDS if w == tuple(arguments[: len(w)]))
            other = found(called)
            other.make_context(called[-1], arguments[len(called) :], parent=click.Context(cli))
            of_this += called == words
    assert of_this, "no example of this very command"


def test_the_line_of_a_command_opens_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in GROUPS:
        assert main([*words, "--help"]) == 0
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        entry = entry_of(words)
        assert entry.line in lines
        assert [name for name in entry.below if any(line.startswith(f"{name} ") for line in lines)] == list(entry.below)


@pytest.mark.parametrize("words", [(), *GROUPS], ids=called)
def test_help_of_groups_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    heavy = ["numpy", "PIL", "onnxruntime", "jaxtyping", "torch", "shapely", "platformdirs", "tabulate"]
    program = (
        f"import sys; from earthclip.cli import main; main({[*words, '--help']}); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_of_commands_loads_nothing_heavy_either() -> None:
    heavy = ["numpy", "onnxruntime", "torch"]
    program = (
        f"import sys; from earthclip.cli import main; [main([*words, '--help']) for words in {COMMANDS}]; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_page_of_the_command_line_has_every_command() -> None:
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `earthclip ([a-z ]+)` \| (.*) \|$", page, re.MULTILINE)
    assert listed == [(called(words), entry_of(words).line) for words in COMMANDS]
    assert set(re.findall(r"`(EARTHCLIP_\w+)`", page)) == {"EARTHCLIP_HOME", "EARTHCLIP_THREADS", "EARTHCLIP_API_KEY"}
