"""`earthclip export`: the model folder of a finished training run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="The model folder.")
@click.option("--spacing-km", default=60.0, show_default=True, help="Distance between neighbouring candidate places.")
@click.option("--turns/--no-turns", default=True, show_default=True, help="Average over quarter turns of a picture.")
@click.option("--zoom", default=0.8, show_default=True, help="Average over the whole and this much of it; 1: no zoom.")
@click.option("--half/--float32", default=True, show_default=True, help="How weights are stored.")
@click.option("--force", is_flag=True, help="Replace a model folder that stands there.")
def export(run: Path, out: Path, spacing_km: float, turns: bool, zoom: float, half: bool, force: bool) -> None:
    """Write the model of a training RUN as a folder that runs without torch: earthclip locate --model DIR."""
    from earthclip.errors import InputError
    from earthclip.files import refuse_existing
    from earthclip.training.release import export_run

    if not 5 <= spacing_km <= 2000:
        raise InputError(f"--spacing-km must be 5 to 2000 km, found {spacing_km:g}")
    if not 0.25 <= zoom <= 1:
        raise InputError(f"--zoom must be 0.25 to 1, found {zoom:g}")
    if not force:
        refuse_existing(out / "config.json")
    config = export_run(run, out, spacing_km=spacing_km, turns=turns, zoom=zoom, half=half)
    size = sum(config.files.values()) / 1e6
    click.echo(f"{out}: {config.name}, {size:.1f} MB to run")
