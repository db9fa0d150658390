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
    help="Distance between neighbouring candidate places.  [default: 60 on land for views, 1 of training photos]",
)
@click.option("--clip", type=click.Path(path_type=Path), metavar="DIR", help="The network its features are of.")
@click.option("--location-only", is_flag=True, help="Without the image encoder, of a run on photos or features.")
@click.option("--turns/--no-turns", default=True, show_default=True, help="Of views: average over quarter turns.")
@click.option("--zoom", default=0.8, show_default=True, help="Of views: average over the whole and this much; 1: not.")
@click.option("--half/--float32", default=True, show_default=True, help="Of views: how weights are stored.")
@click.option("--force", is_flag=True, help="Replace a model folder that stands there.")
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
    """Write the model of a training RUN as a folder that runs without torch: earthclip locate --model DIR.

    The candidate places of a run on photos or features are those of its training photos, thinned.
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
        backbone=clip, location_only=location_only, say=click.echo,
    )  # fmt: skip
    size = sum(config.files.values()) / 1e6
    click.echo(f"{out}: {config.name}, {size:.1f} MB to run")
