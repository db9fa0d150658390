"""``earthclip model pull``: a published model, made into a folder that runs without torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earthclip.cli import options
from earthclip.cli.status import StatusLine, note

if TYPE_CHECKING:
    from earthclip.models.config import ModelConfig


@options.command(
    examples="""
    earthclip model pull geoclip
    earthclip model pull geoclip --clip clip-vit-large-patch14/
    earthclip model pull geoclip --location-only
    earthclip model pull geoclip --quantize int8 --pictures photos/
    """
)
@click.argument("name", metavar="NAME", type=click.Choice(["geoclip"]))
@options.option(
    "--from",
    "source",
    type=options.path_type(),
    metavar="DIR",
    help="Folder with GeoCLIP's published weights: a release, the installed package geoclip 1.3.0 or its wheel.",
)
@options.option(
    "--clip", type=options.path_type(), metavar="DIR", help="Folder with CLIP ViT-L/14 in Hugging Face's format."
)
@options.option("--location-only", is_flag=True, help="Leave CLIP out. The model then embeds coordinates only.")
@options.out_folder(
    required=False, help="Folder to write the model to. The default is models/NAME in the cache folder."
)
@options.option(
    "--quantize", type=click.Choice(["int8"]), help="Add a faster int8 image encoder, tested on --pictures."
)
@options.option(
    "--pictures", type=options.path_type(), metavar="DIR", help="Folder of photos to calibrate and test int8 on."
)
@options.option("--accept-loss", is_flag=True, help="Keep the int8 encoder even if it changes the embeddings too much.")
@options.force(help="Rebuild the model if it exists.")
def pull(
    name: str,
    source: Path | None,
    clip: Path | None,
    location_only: bool,
    out: Path | None,
    quantize: str | None,
    pictures: Path | None,
    accept_loss: bool,
    force: bool,
) -> None:
    """Download the published model NAME (geoclip) and make it ready to run.

    Takes GeoCLIP's trained weights from --from DIR, otherwise from the Hugging Face Hub or the published wheel. Takes
    CLIP from --clip DIR, otherwise from the Hub. Without the optional dependency `train`, downloads a ready-made
    export from the Hub instead.
    """
    from earthclip.errors import InputError
    from earthclip.models.config import IMAGE_ENCODER
    from earthclip.models.folder import open_folder
    from earthclip.models.sources import place_of

    folder = out or place_of(name)
    if quantize and (pictures is None or location_only):
        raise InputError("--quantize int8 is tested on photos; give --pictures DIR, without --location-only")
    here = open_folder(folder) if not force and (folder / "config.json").is_file() else None
    if here and (location_only or here.has(IMAGE_ENCODER)):
        note(f"{folder}: {name} is already on this machine; --force rebuilds it")
        if not quantize:
            return
        config = here.config
    else:
        config = _build(folder, source, clip, location_only)
    if quantize and pictures:
        from earthclip.cli.model_quantize import measured, quantize_model

        config = quantize_model(folder, pictures, accept_loss)
        click.echo(measured(config))
    _warm_up(folder)
    click.echo(f"{folder}: {config.name}, {sum(config.files.values()) / 1e6:,.0f} MB to run")


def _build(folder: Path, source: Path | None, clip: Path | None, location_only: bool) -> ModelConfig:
    from earthclip.errors import ModelError

    if importlib.util.find_spec("torch"):
        from earthclip.nn.pull import pull_geoclip

        return pull_geoclip(folder, source=source, clip=clip, location_only=location_only, say=note)
    if source or clip:
        raise ModelError("--from and --clip need torch, which is not installed; pip install 'earthclip[train]'")
    from earthclip.models.ready import pull_ready

    return pull_ready(folder, location_only=location_only, say=note)


def _warm_up(folder: Path) -> None:
    """Do now what is done once for each machine, so that the first picture does not wait for it."""
    from earthclip.cli.model_speed import measure_speed
    from earthclip.locating.locator import load

    status = StatusLine()
    note("Preparing the model for this machine, once (two or three minutes for ViT-L/14)")
    locator = load(folder, lambda done, n: status.show(f"encoding {n:,} places: {100 * done // n} %"))
    measure_speed(locator)
    locator.warm_up()
    status.clear()
