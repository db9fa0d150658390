"""``earthclip pull``: a published model, made into a folder that runs without torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from earthclip.cli.status import StatusLine, say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", type=click.Choice(["geoclip"]))
@click.option("--from", "source", type=click.Path(path_type=Path), metavar="DIR", help="GeoCLIP's published weights.")
@click.option("--clip", type=click.Path(path_type=Path), metavar="DIR", help="CLIP ViT-L/14, a Hugging Face folder.")
@click.option("--location-only", is_flag=True, help="Without CLIP: a model that embeds coordinates.")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="DIR", help="Another place for the model folder.")
@click.option("--quantize", type=click.Choice(["int8"]), help="Smaller and faster; measured on --pictures first.")
@click.option("--pictures", type=click.Path(path_type=Path), metavar="DIR", help="Photos to measure --quantize on.")
@click.option("--force", is_flag=True, help="Make it anew, or accept what --quantize costs.")
def pull(
    name: str,
    source: Path | None,
    clip: Path | None,
    location_only: bool,
    out: Path | None,
    quantize: str | None,
    pictures: Path | None,
    force: bool,
) -> None:
    """Get a published model and make it ready to run.

    GeoCLIP's trained weights come from --from DIR (a release folder, the installed package geoclip 1.3.0 or its
    wheel), else from the Hugging Face Hub, else from the published wheel; CLIP from --clip DIR, else from the Hub or
    its cache. Needs the extra train; without it, the ready export on the Hub is taken.

    \b
    earthclip pull geoclip
    earthclip pull geoclip --clip clip-vit-large-patch14/
    earthclip pull geoclip --location-only
    """
    from earthclip.errors import InputError, ModelError
    from earthclip.models.config import IMAGE_ENCODER
    from earthclip.models.folder import open_folder
    from earthclip.models.sources import place_of

    folder = out or place_of(name)
    if quantize and (pictures is None or location_only):
        raise InputError("--quantize int8 is measured on photos; give --pictures DIR, and no --location-only")
    if not force and (folder / "config.json").is_file():
        here = open_folder(folder)
        if location_only or here.has(IMAGE_ENCODER):
            say(f"{folder}: {name} is here already; --force makes it anew")
            return
    if importlib.util.find_spec("torch"):
        from earthclip.nn.pull import pull_geoclip

        config = pull_geoclip(folder, source=source, clip=clip, location_only=location_only, say=say)
    elif source or clip:
        raise ModelError("making a model of --from or --clip needs torch; pip install 'earthclip[train]'")
    else:
        from earthclip.models.ready import pull_ready

        config = pull_ready(folder, location_only=location_only, say=say)
    if quantize and pictures:
        from earthclip.cli.quantize import quantize_model

        config = quantize_model(folder, pictures, force)
    _warm_up(folder)
    click.echo(f"{folder}: {config.name}, {sum(config.files.values()) / 1e6:,.0f} MB to run")


def _warm_up(folder: Path) -> None:
    """Do now what is done once for each machine, so that the first picture does not wait for it."""
    from earthclip.locating.locator import load

    status = StatusLine()
    say("making it ready for this machine; once, half a minute for ViT-L/14")
    load(folder, lambda done, n: status.show(f"encoding {n:,} places: {100 * done // n} %")).warm_up()
    status.clear()
