"""``earthclip models``: the models with names of their own, which of them are here, and what each is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from earthclip.cli.status import say

if TYPE_CHECKING:
    from earthclip.models.sources import KnownModel


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def models() -> None:
    """List the models and what each is for.

    Any other model folder is used by giving its path as --model.
    """
    from earthclip.geo.places import ATTRIBUTION
    from earthclip.models.sources import default_source, list_models

    default = default_source()
    rows = [("model", "on this machine", "licence", "for")]
    for model in list_models():
        name = f"{model.name} *" if model.name == default else model.name
        rows.append((name, _state(model), model.licence, model.purpose))
        if model.fault:
            say(f"warning: {model.fault}")
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]))
    click.echo("\n* answers unless --model SOURCE says otherwise; SOURCE may also be the path of a model folder")
    click.echo(ATTRIBUTION)


def _state(model: KnownModel) -> str:
    if model.fault:
        return "damaged"
    if model.size_bytes is None:
        return "no"
    return f"{'built in' if model.built_in else 'yes'}, {model.size_bytes / 1e6:.1f} MB"
