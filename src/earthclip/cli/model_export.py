"""``earthclip model export RUN -o DIR``: the model folder of a finished training run."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli import options
from earthclip.cli.status import note


@options.command(
    examples="""
    earthclip model export runs/geoclip -o my-model --licence MIT
    earthclip model export runs/geoclip -o my-model --clip clip/ --spacing-km 5
    """
)
@click.argument("run", type=options.path_type(), metavar="RUN")
@options.out_folder(help="Folder to write the model to.")
@options.option(
    "--spacing-km",
    default=1.0,
    show_default=True,
    metavar="KM",
    help="Distance between neighbouring candidate places.",
)
@options.option(
    "--licence",
    "--license",
    metavar="SPDX",
    help="Licence of the model, such as MIT. Required unless the training config names one.",
)
@options.option(
    "--clip",
    type=options.path_type(),
    metavar="DIR",
    help="The CLIP model that `earthclip features` used for this run.",
)
@options.option(
    "--location-only", is_flag=True, help="Leave the image encoder out. The model then embeds coordinates only."
)
@options.force(help="Replace an existing model folder.")
def export(
    run: Path,
    out: Path,
    spacing_km: float,
    licence: str | None,
    clip: Path | None,
    location_only: bool,
    force: bool,
) -> None:
    """Export a training run as a model folder that runs without torch.

    RUN is the folder that `earthclip train` wrote. Use the model with earthclip locate --model DIR. The candidate
    places are the places of its training photos, at least --spacing-km apart. A run on rendered views is exported by
    python -m recipes.orbit export.
    """
    from earthclip.errors import InputError
    from earthclip.files import refuse_existing
    from earthclip.training.release import export_run

    if not 0.01 <= spacing_km <= 2000:
        raise InputError(f"--spacing-km must be 0.01 to 2000 km, found {spacing_km:g}")
    if not force:
        refuse_existing(out / "config.json")
    config = export_run(
        run, out, licence=licence, spacing_km=spacing_km, backbone=clip, location_only=location_only, say=note
    )
    size = sum(config.files.values()) / 1e6
    click.echo(f"{out}: {config.name}, {size:.1f} MB to run")
