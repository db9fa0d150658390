"""``earthclip model list``: the models with names, whether each is on this machine, and what it is for."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Set
from typing import TYPE_CHECKING

import click

from earthclip.cli import options
from earthclip.cli.status import say

if TYPE_CHECKING:
    from earthclip.models.sources import KnownModel


@options.command(
    examples="""
    earthclip model list
    earthclip model list --format json
    earthclip model list --speed
    """
)
@options.option(
    "--speed",
    is_flag=True,
    help="Show how fast each runtime and precision is on this machine, and which is used. Measures what is missing.",
)
@options.output_format(type=click.Choice(["table", "json"]), default="table", show_default=True, help="Output format.")
def list_models(speed: bool, format_: str) -> None:
    """List the models, whether each is on this machine, and what it is for.

    Any other model folder is used by its path: --model DIR.
    """
    from earthclip.models.sources import choose_model
    from earthclip.models.sources import list_models as known
    from earthclip.outputs.structured import dumps

    models, chosen = known(), choose_model(resolved=False)
    default = {str(chosen.source), chosen.first}
    for model in models:
        if model.fault:
            say(f"warning: {model.fault}")
    if speed:
        from earthclip.cli.model_speed import print_speed, speed_objects
        from earthclip.models.sources import resolve

        here = [resolve(model.name) for model in models if model.path and not model.fault]
        if format_ == "json":
            click.echo(dumps(speed_objects(here)))
        else:
            print_speed(here)
        return
    if format_ == "json":
        click.echo(dumps([_as_object(model, default) for model in models]))
    else:
        _print_table(models, default)


def _print_table(models: list[KnownModel], default: Set[str | None]) -> None:
    from earthclip.geo.places import ATTRIBUTION

    rows = [("model", "on this machine", "licence")]
    rows += [(f"{m.name} *" if m.name in default else m.name, _state(m), m.licence) for m in models]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    terminal = shutil.get_terminal_size().columns
    for row, purpose in zip(rows, ["for", *(model.purpose for model in models)], strict=True):
        start = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + "  "
        click.echo(textwrap.fill(purpose, terminal, initial_indent=start, subsequent_indent=" " * len(start)))
    both = "* are the default, auto: each picture goes to the model whose kind it is; choose one with --model"
    one = "* is the default; choose another with --model or earthclip.toml"
    click.echo(f"\n{one if len(default - {None}) == 1 else both}")
    click.echo(textwrap.fill(ATTRIBUTION, terminal))


def _as_object(model: KnownModel, default: Set[str | None]) -> dict[str, object]:
    return {
        "name": model.name,
        "purpose": model.purpose,
        "licence": model.licence,
        "default": model.name in default,
        "built_in": model.built_in,
        "path": None if model.path is None else str(model.path),
        "size_bytes": model.size_bytes,
        "fault": model.fault,
    }


def _state(model: KnownModel) -> str:
    if model.fault:
        return "damaged"
    if model.size_bytes is None:
        return "no"
    return f"{'built in' if model.built_in else 'yes'}, {model.size_bytes / 1e6:.1f} MB"
