"""``earthclip model quantize MODEL --pictures DIR``: an image encoder in int8, tested before it is used."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earthclip.cli import options
from earthclip.cli.status import StatusLine, note, say

if TYPE_CHECKING:
    import numpy as np

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
    from earthclip.models.fastest import LEAST_PICTURES, LOWEST_COSINE, MOST_MOVED, MOVED_KM

    found = config.int8
    same = f"same best guess in {100 * found['top_1_agreement']:.0f} %, " if "top_1_agreement" in found else ""
    lowest, layers = found["lowest_cosine"], f"{found['products']:.0f} layer{'s' if found['products'] != 1 else ''}"
    if lowest < LOWEST_COSINE:
        use = f"Used only with --precision int8, since the lowest cosine is below {LOWEST_COSINE}."
    elif found.get("moved_of", 0) < LEAST_PICTURES:
        use = f"Used only with --precision int8, since the best guess was not compared on {LEAST_PICTURES} pictures."
    elif found["moved"] > MOST_MOVED:
        use = (
            f"Used only with --precision int8, since the best guess moves by more than {MOVED_KM:.0f} km in "
            f"{100 * found['moved']:.0f} % of {found['moved_of']:.0f} pictures."
        )
    else:
        use = "Used where it is the fastest and precision is auto; --precision float32 switches back."
    return (
        f"Quantized {layers} to int8. On {found['pictures']:.0f} test pictures: {same}"
        f"cosine with float32 at least {math.floor(1e4 * lowest) / 1e4:.4f}. {use}"
    )


def quantize_model(source: str | Path, pictures: Path, accept_loss: bool) -> ModelConfig:
    """Quantize the model that ``source`` names, on the pictures of a folder."""
    from earthclip.cli.model_speed import measure_speed
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

    def best_places(rows: np.ndarray) -> np.ndarray:
        # One after the other: scores of a hundred pictures at all places would take too much memory.
        best = [int(locator.gallery.logits(row[None], scale)[0].argmax()) for row in rows]
        return locator.gallery.coordinates[best]

    best = best_places if locator.folder.has(GALLERY) else None
    config = quantize_image_encoder(locator.folder, pixels, best, accept_loss=accept_loss, say=note)
    measure_speed(load(source))
    return config
