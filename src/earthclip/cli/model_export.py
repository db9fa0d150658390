"""``earthclip model export RUN -o DIR``: the model folder of a finished training run."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli import options
from earthclip.cli.status import note


@options.command(
    examples="""
    earthclip model export runs/geoclip -o my-model
    earthclip model export runs/geoclip -o my-model --clip clip/ --spacing-km 5
    """
)
@click.argument("run", type=options.path_type(), metavar="RUN")
@options.out_folder(help="Folder to write the model to.")
@options.option(
    "--spacing-km",
    type=float,
    metavar="KM",
    help="Distance between neighbouring candidate places. The default is 1 for photos, 60 for views.",
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
@options.option(
    "--turns/--no-turns",
    default=True,
    show_default=True,
    advanced=True,
    help="(view models) Average over the four quarter turns of a picture.",
)
@options.option(
    "--zoom",
    default=0.8,
    show_default=True,
    metavar="SHARE",
    advanced=True,
    help="(view models) Average over a centre crop of this width as well. 1 turns it off.",
)
@options.option(
    "--half/--float32",
    default=True,
    show_default=True,
    advanced=True,
    help="(view models) Number format to store the weights in.",
)
@options.force(help="Replace an existing model folder.")
def export(
    run: Path,
    out: Path,
    spacing_km: float | None = None,
    clip: Path | None = None,
    location_only: bool = False,
    turns: bool = True,
    zoom: float = 0.8,
    half: bool = True,
    force: bool = False,
) -> None:
    """Export a training run as a model folder that runs without torch.

    RUN is the folder that `earthclip train` wrote. Use the model with earthclip locate --model DIR. The candidate
    places of a run on photos or features are the places of its training photos, at least --spacing-km apart.
    """
    from earthclip.errors import InputError
    from earthclip.files import refuse_existing
    from earthclip.training.release import export_run

    if spacing_km is not None and not 0.01 <= spacing_km <= 2000:
        raise InputError(f"--spacing-km must be 0.01 to 2000 km, found {spacing_km:g}")
    if not 0.25 <= zoom <= 1:
        raise InputError(f"--zoom must be 0.25 to 1, found {zoom:g}")
    if not force:
        refuse_existing(out / "config.json")
    config = export_run(
        run, out, spacing_km=spacing_km, turns=turns, zoom=zoom, half=half,
        backbone=clip, location_only=location_only, say=note,
    )  # fmt: skip
    size = sum(config.files.values()) / 1e6
    click.echo(f"{out}: {config.name}, {size:.1f} MB to run")
