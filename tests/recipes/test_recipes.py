"""What holds for every recipe: its place in the packaging, what it imports, its help, and the docs that name it."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from recipes.orbit.commands import orbit
from recipes.probes.commands import probes

ROOT = Path(__file__).parents[2]
GROUPS = {"orbit": orbit, "probes": probes}
COMMANDS = [(recipe, name, command) for recipe, group in GROUPS.items() for name, command in group.commands.items()]
SOURCES = sorted((ROOT / "recipes").rglob("*.py"))
DOCS = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "recipes").rglob("*.md")]
PREPOSITIONS = re.compile(r"(of|with|for|before|after|also|from|in|on|at|to|by|without|until|beside)\b", re.IGNORECASE)


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def private(source: Path) -> Iterator[str]:
    """Names with a leading underscore that a file takes from the package, whether imported or as attributes."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            parts = [part for alias in node.names for part in alias.name.split(".")]
            modules |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            modules |= {alias.asname or alias.name for alias in node.names}
        else:
            continue
        yield from (part for part in parts if part.startswith("_") and part != "__future__")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield from [node.attr] if node.attr.startswith("_") else []


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_recipes_use_public_names_only(source: Path) -> None:
    assert list(private(source)) == []


def test_the_wheel_has_no_recipes_and_the_source_archive_has() -> None:
    targets = project()["tool"]["hatch"]["build"]["targets"]
    assert targets["wheel"]["packages"] == ["src/earthclip"]
    assert "recipes" in targets["sdist"]["include"]


def test_the_extra_dev_installs_the_group_recipes() -> None:
    found = project()
    assert set(found["dependency-groups"]["recipes"]) <= set(found["project"]["optional-dependencies"]["dev"])


@pytest.mark.parametrize(("recipe", "name", "command"), COMMANDS, ids=lambda value: str(value))
def test_help_is_plain_and_its_examples_parse(recipe: str, name: str, command: click.Command) -> None:
    text = inspect.cleandoc(command.help or "")
    assert text.splitlines()[0].endswith(".")
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            says = option.help.split("  [")[0]
            assert says.endswith(".") and not PREPOSITIONS.match(says), says
    examples = re.findall(rf"^python -m recipes\.{recipe} {name}\b(.*)$", text, re.MULTILINE)
    assert examples or not command.params
    for example in examples:
        command.make_context(name, example.split())


def test_every_command_the_docs_name_exists() -> None:
    named = {found for path in DOCS for found in re.findall(r"python -m recipes\.(\w+) ([\w-]+)", path.read_text())}
    assert named >= {(recipe, name) for recipe, name, _ in COMMANDS}
    for recipe, name in named:
        assert name in GROUPS[recipe].commands, (recipe, name)
