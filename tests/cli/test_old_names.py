"""What the version before called otherwise: one line on stderr that says the new name, exit code 2."""

from __future__ import annotations

import pytest

from earthclip.cli import main
from earthclip.cli.layout import Command
from earthclip.cli.tree import OLD_NAMES
from tests.cli.test_help import COMMANDS, found


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["models"], "'earthclip models' is now 'earthclip model list'"),
        (["pull", "geoclip"], "'earthclip pull' is now 'earthclip model pull'"),
        (["calibrate", "geoclip", "t.csv"], "'earthclip calibrate' is now 'earthclip model calibrate'"),
        (["quantize", "geoclip", "--pictures", "x"], "'earthclip quantize' is now 'earthclip model quantize'"),
        (["export", "runs/x", "-o", "y"], "'earthclip export' is now 'earthclip model export'"),
        (
            ["orbit", "render", "--out", "x"],
            "'earthclip orbit render' is now 'python -m recipes.orbit render', run from a clone of the repository",
        ),
        (["orbit"], "'earthclip orbit' is now 'python -m recipes.orbit', run from a clone of the repository"),
        (
            ["probe", "nus-wide", "--data", "x"],
            "'earthclip probe nus-wide' is now 'python -m recipes.probes nus-wide', run from a clone of the repository",
        ),
        (["locate", "--privacy", "a.jpg"], "--privacy is now 'earthclip privacy check PICTURE...'"),
        (["locate", "a.jpg", "--strip-to", "x"], "--strip-to is now 'earthclip privacy strip PICTURE... --out DIR'"),
        (["locate", "a.jpg", "--strip-to=x"], "--strip-to is now 'earthclip privacy strip PICTURE... --out DIR'"),
        (["locate", "a.jpg", "--no-draft"], "--no-draft is now '--full-size'"),
        (["locate", "a.jpg", "--engine", "ray", "-o", "x"], "--engine is now 'earthclip cluster locate'"),
        (["locate", "a.jpg", "--embeddings"], "--embeddings is now 'earthclip cluster embed images'"),
        (["locate", "a.jpg", "--column", "x"], "--column is now 'earthclip cluster locate --column'"),
        (["locate", "a.jpg", "--block-size", "9"], "--block-size is now 'earthclip cluster locate --block-size'"),
        (["locate", "a.jpg", "--worker-cpus", "9"], "--worker-cpus is now 'earthclip cluster locate --worker-cpus'"),
        (["embed", "t.csv", "-o", "x.npy"], "'earthclip embed TABLE' is now 'earthclip embed places TABLE'"),
        (["embed", "-", "-o", "x.npy"], "'earthclip embed TABLE' is now 'earthclip embed places TABLE'"),
        (["embed", "-o", "x.npy", "t.csv"], "'earthclip embed TABLE' is now 'earthclip embed places TABLE'"),
        (["embed", "places", "t.parquet", "--engine", "ray"], "--engine is now 'earthclip cluster embed places'"),
        (["embed", "places", "t", "--block-size", "9"], "is now 'earthclip cluster embed places --block-size'"),
        (["features", "x", "--engine", "ray"], "--engine is now 'earthclip cluster features SOURCE -o DIR'"),
        (["evaluate", "geoclip", "t.csv"], "is now 'earthclip evaluate model MODEL DATASET'"),
    ],
)
def test_an_old_name_answers_with_the_new_one(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("error: ") and says in captured.err


def test_no_old_name_is_in_use() -> None:
    for words in COMMANDS:
        command = found(words)
        assert isinstance(command, Command)
        assert not {name for option in command.params for name in option.opts} & set(command.old)
        assert words[0] not in OLD_NAMES


def test_a_word_that_is_no_table_is_a_misspelt_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", "imags", "x.jpg", "-o", "x.npy"]) == 2
    assert "no such command 'imags'; did you mean 'images'?" in capsys.readouterr().err
