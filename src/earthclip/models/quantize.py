"""A model's image encoder in int8, measured on real pictures before it takes the place of the one it was made from."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from earthclip.errors import MissingExtraError, ModelError
from earthclip.models.config import IMAGE_ENCODER, ModelConfig, write_config
from earthclip.models.folder import ModelFolder

LOWEST_COSINE = 0.999  # mean over the pictures, of int8 embeddings with those of the graph it was made from

Embed = Callable[[Path], np.ndarray]


def quantize_image_encoder(
    folder: ModelFolder,
    embed: Embed,
    best_places: Callable[[np.ndarray], Sequence[int]] | None,
    *,
    force: bool,
    say: Callable[[str], None],
) -> ModelConfig:
    """Store the matrix products of the image encoder in int8, if that leaves its embeddings what they were.

    ``embed`` gives the pictures' unit embeddings [n,d] by the graph at a path, ``best_places`` the index of each
    one's best place. Raises ModelError below a mean cosine of 0.999, unless ``force``; what was measured is kept in
    ``config.json``.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ModuleNotFoundError as error:
        raise MissingExtraError("quantising", "train", str(error.name)) from error
    path = folder.file(IMAGE_ENCODER)
    with tempfile.TemporaryDirectory(dir=folder.path.parent, prefix=".int8.") as staging:
        small = Path(staging) / IMAGE_ENCODER
        logging.disable(logging.WARNING)  # it advises to preprocess the graph, which changes nothing here
        try:
            quantize_dynamic(
                path, small, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"]
            )
        finally:
            logging.disable(logging.NOTSET)
        before, after = embed(path), embed(small)
        cosines = (before * after).sum(axis=1)
        measured: dict[str, float] = {
            "pictures": len(cosines),
            "mean_cosine": round(float(cosines.mean()), 6),
            "lowest_cosine": round(float(cosines.min()), 6),
        }
        if best_places is not None:
            same = np.equal(best_places(before), best_places(after))
            measured["top_1_agreement"] = round(float(same.mean()), 4)
        say(f"int8: {', '.join(f'{name} {value}' for name, value in measured.items())}")
        if measured["mean_cosine"] < LOWEST_COSINE and not force:
            raise ModelError(
                f"int8 would move the embeddings: mean cosine {measured['mean_cosine']} on {len(cosines)} pictures, "
                f"expected {LOWEST_COSINE} or more; keep the model as it is, or --force"
            )
        small.replace(path)
        return write_config(folder.path, dataclasses.replace(
            folder.config, provenance=folder.config.provenance | {"int8": measured}
        ))  # fmt: skip
