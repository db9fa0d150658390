"""`earthclip export`: the model folder of a finished training run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="The model folder.")
@click.option(
    "--spacing-km",
    type=float,
    default=1.0,
    show_default=True,
    help="Distance between neighbouring candidate places.",
)
@click.option(
    "--licence", "--license", metavar="SPDX", help="Licence of the model, needed if the training config names none."
)
@click.option("--clip", type=click.Path(path_type=Path), metavar="DIR", help="The network its features are of.")
@click.option("--location-only", is_flag=True, help="Without the image encoder, of a run on photos or features.")
@click.option("--force", is_flag=True, help="Replace a model folder that stands there.")
def export(
    run: Path,
    out: Path,
    spacing_km: float,
    licence: str | None,
    clip: Path | None,
    location_only: bool,
    force: bool,
) -> None:
    """Write the model of a training RUN as a folder that runs without torch: earthclip locate --model DIR.

    The candidate places are those of the training photos, thinned. --licence is an SPDX identifier such as MIT.
    """
    from earthclip.errors import InputError
    from earthclip.files import refuse_existing
    from earthclip.training.release import export_run

    if not 0.01 <= spacing_km <= 2000:
        raise InputError(f"--spacing-km must be 0.01 to 2000 km, found {spacing_km:g}")
    if not force:
        refuse_existing(out / "config.json")
    config = export_run(
        run, out, licence=licence, spacing_km=spacing_km, backbone=clip, location_only=location_only, say=click.echo
    )
    size = sum(config.files.values()) / 1e6
    click.echo(f"{out}: {config.name}, {size:.1f} MB to run")
