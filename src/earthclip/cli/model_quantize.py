"""``earthclip model quantize MODEL --pictures DIR``: an image encoder in int8, tested before it is used."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earthclip.cli import options
from earthclip.cli.status import StatusLine, note, say

if TYPE_CHECKING:
    from earthclip.models.config import ModelConfig
    from earthclip.pictures.prepare import Failure


@options.command(
    examples="""
    earthclip model quantize geoclip --pictures photos/
    """,
    old={"--force": "--accept-loss"},
)
@click.argument("source", metavar="MODEL")
@options.option(
    "--pictures",
    type=options.path_type(),
    metavar="DIR",
    required=True,
    help="Folder of photos like those to be located.",
)
@options.option("--accept-loss", is_flag=True, help="Keep the int8 encoder even if it changes the embeddings too much.")
def quantize(source: str, pictures: Path, accept_loss: bool) -> None:
    """Add a faster int8 image encoder to MODEL, a quarter of the size.

    Calibrates on half of the pictures in DIR and tests on the other half; 100 pictures are enough. Keeps the float32
    encoder beside it. Needs the optional dependency `train`.
    """
    click.echo(measured(quantize_model(source, pictures, accept_loss)))


def measured(config: ModelConfig) -> str:
    """What the int8 encoder of a model was measured to change, and when it is used, in sentences."""
    from earthclip.models.fastest import LOWEST_COSINE

    found = config.int8
    same = f"same best guess in {100 * found['top_1_agreement']:.0f} %, " if "top_1_agreement" in found else ""
    lowest, layers = found["lowest_cosine"], f"{found['products']:.0f} layer{'s' if found['products'] != 1 else ''}"
    if lowest >= LOWEST_COSINE:
        use = "Used from now on where precision is auto; --precision float32 switches back."
    else:
        use = f"Used only with --precision int8, since the lowest cosine is below {LOWEST_COSINE}."
    return (
        f"Quantized {layers} to int8. On {found['pictures']:.0f} test pictures: {same}"
        f"cosine with float32 at least {math.floor(1e4 * lowest) / 1e4:.4f}. {use}"
    )


def quantize_model(source: str | Path, pictures: Path, accept_loss: bool) -> ModelConfig:
    """Quantize the model that ``source`` names, on the pictures of a folder."""
    from earthclip.configuration import usable_processors
    from earthclip.errors import InputError
    from earthclip.locating.locator import load
    from earthclip.models.config import GALLERY
    from earthclip.models.quantize import quantize_image_encoder, read_some
    from earthclip.pictures.finding import find_pictures

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
    return quantize_image_encoder(locator.folder, pixels, best, accept_loss=accept_loss, say=note)
