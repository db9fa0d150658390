"""``earthclip quantize MODEL --pictures DIR``: an image encoder in int8, measured before it is believed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from earthclip.cli.status import StatusLine, say

if TYPE_CHECKING:
    from earthclip.models.config import ModelConfig
    from earthclip.pictures.prepare import Failure


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="MODEL")
@click.option(
    "--pictures", type=click.Path(path_type=Path), metavar="DIR", required=True, help="Photos like those to be located."
)
@click.option("--force", is_flag=True, help="Accept what it costs.")
def quantize(source: str, pictures: Path, force: bool) -> None:
    """Make a model's image encoder faster in int8, a quarter of its size.

    Half of the pictures in DIR, of which 100 are enough, are calibrated on; on the others the embeddings are compared
    with those in float32. The model keeps both, and config.json says what was measured; --precision says which one
    runs. Needs the extra train.

    \b
    earthclip quantize geoclip --pictures photos/
    """
    config = quantize_model(source, pictures, force)
    click.echo(f"{config.name}: --precision int8 runs it; {config.int8['lowest_cosine']} is its lowest cosine")


def quantize_model(source: str | Path, pictures: Path, force: bool) -> ModelConfig:
    """Quantise the model that ``source`` names on the pictures of a folder."""
    from earthclip.cli.pictures import find_pictures
    from earthclip.configuration import usable_processors
    from earthclip.errors import InputError
    from earthclip.locating.locator import load
    from earthclip.models.config import GALLERY
    from earthclip.models.quantize import quantize_image_encoder, read_some

    files, failures = find_pictures([pictures])
    if failures:
        raise InputError(failures[0].error)
    locator = load(source, runtime="onnxruntime", precision="float32")
    scale = locator.config.logit_scale
    status = StatusLine()

    def failed(picture: Failure) -> None:
        status.clear()
        say(f"error: {picture.error}")

    pixels = read_some(
        files,
        locator.folder.preprocessing,
        workers=usable_processors(),
        progress=lambda done: status.show(f"{done} pictures read"),
        failed=failed,
    )
    status.clear()
    best = (lambda rows: locator.gallery.logits(rows, scale).argmax(axis=1)) if locator.folder.has(GALLERY) else None
    return quantize_image_encoder(locator.folder, pixels, best, force=force, say=say)
