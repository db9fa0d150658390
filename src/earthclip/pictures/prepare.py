"""A picture read and preprocessed, ready for an encoder, or the reason why it could not be."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from typing import TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float32
from PIL import Image

from earthclip.errors import InputError
from earthclip.pictures.decode import MAX_PIXELS, as_rgb, decode_reduced
from earthclip.pictures.preprocess import Preprocessing, shortest_side, view_pixels

_MARGIN = 2  # drafts have at least that many times the pixels a side that they are resized to

Picture: TypeAlias = str | os.PathLike[str] | Image.Image


@dataclass(frozen=True, eq=False)
class Prepared:
    """The pixels ``[v, 3, h, w]`` of a picture's views, and the path it was read from."""

    pixels: Float32[np.ndarray, "v 3 h w"]
    path: str | None


@dataclass(frozen=True)
class Failure:
    """A picture that could not be answered, and why, in one line that names it."""

    path: str | None
    error: str


def prepare(
    picture: object, preprocessing: Preprocessing, views: str = "none", where: str = "picture", *, draft: bool = True
) -> Prepared:
    """Read a ``Picture``; ``where`` names an image without a path in messages. Raises InputError.

    With ``draft``, large JPEGs are decoded at a fraction of their size, in a fraction of the time and memory; the
    embedding keeps a cosine above 0.999 with that of the picture decoded whole (docs/performance.md).
    """
    if isinstance(picture, Image.Image):
        return Prepared(view_pixels(as_rgb(picture, where), preprocessing, views), None)
    if isinstance(picture, str | os.PathLike):
        reduced = decode_reduced(picture, _smallest(preprocessing, views) if draft else None)
        return Prepared(view_pixels(reduced, preprocessing, views), os.fspath(picture))
    found = type(picture).__name__
    raise InputError(f"{where}: expected a path or a PIL image, found {found}; see PIL.Image.fromarray")


def prepare_file(
    file: BufferedIOBase, preprocessing: Preprocessing, where: str, max_pixels: int = MAX_PIXELS
) -> Prepared:
    """The picture in a file opened in binary, as ``prepare`` reads it from a path; ``where`` names it in messages.

    Raises InputError, of which TooManyPixelsError says that it has more than ``max_pixels``.
    """
    reduced = decode_reduced(file, _smallest(preprocessing, "none"), max_pixels, where)
    return Prepared(view_pixels(reduced, preprocessing, "none"), None)


def _smallest(preprocessing: Preprocessing, views: str) -> int:
    return _MARGIN * shortest_side(preprocessing, views)


_Item = TypeVar("_Item")


def check_list(values: object, what: str = "picture") -> None:
    """Raise InputError for one bare picture or text, which Python would take for a list of letters."""
    if isinstance(values, str | os.PathLike | Image.Image):
        raise InputError(f"expected a list of {what}s, found one ({str(values)[:80]}); write [{what}]")


def batches(items: Iterator[_Item], size: int) -> Iterator[tuple[_Item, ...]]:
    """``size`` items at a time, the last batch with what is left; none is taken before its batch is asked for."""
    while batch := tuple(itertools.islice(items, size)):
        yield batch


def read(picture: object, index: int, preprocessing: Preprocessing, views: str) -> Prepared:
    """A picture as pixels, itself where it is that already. Raises InputError, also for a Failure."""
    if isinstance(picture, Failure):
        raise InputError(picture.error)
    return picture if isinstance(picture, Prepared) else prepare(picture, preprocessing, views, f"picture {index}")


def path_of(picture: object) -> str | None:
    """The path of a picture that was given by it."""
    return os.fspath(picture) if isinstance(picture, str | os.PathLike) else None
