"""A picture read and preprocessed, ready for an encoder, or the reason why it could not be."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import Any, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float32
from PIL import Image

from earthclip.errors import InputError
from earthclip.pictures.decode import MAX_PIXELS, Reduced, as_rgb, decode_reduced, memory_fault
from earthclip.pictures.preprocess import Preprocessing, shortest_side, view_pixels

_MARGIN = 2  # drafts have at least that many times the pixels a side that they are resized to

Picture: TypeAlias = str | os.PathLike[str] | bytes | BufferedIOBase | Image.Image


@dataclass(frozen=True, eq=False)
class Prepared:
    """The pixels ``[v, 3, h, w]`` of a picture's views, and the path of a picture that was given by it.

    ``also`` has the pixels for other models, by what was done to them; ``own`` is what was done to ``pixels`` (None:
    whatever is asked for).
    """

    pixels: Float32[np.ndarray, "v 3 h w"]
    path: str | None
    also: Mapping[Preprocessing, Float32[np.ndarray, "_ 3 _ _"]] = field(default_factory=dict)
    own: Preprocessing | None = None

    def of(self, preprocessing: Preprocessing) -> Float32[np.ndarray, "_ 3 _ _"]:
        """The pixels for a model. Raises InputError where it was not prepared for that."""
        if preprocessing not in self.also and self.own not in (None, preprocessing):
            raise InputError(f"{self.path or 'picture'}: prepared for another model; give the picture itself")
        return self.also.get(preprocessing, self.pixels)


@dataclass(frozen=True)
class Failure:
    """A picture that could not be answered, and why, in one line that names it.

    ``too_large`` tells a picture of more pixels than may be decoded from all other faults.
    """

    path: str | None
    error: str
    too_large: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The failure as plain JSON values, the very object of the formats json and jsonl."""
        return {"path": self.path, "error": self.error}


def prepare(
    picture: object,
    preprocessing: Preprocessing,
    views: str = "none",
    where: str = "picture",
    *,
    also: Sequence[Preprocessing] = (),
    draft: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> Prepared:
    """Read a ``Picture``: a path, a file's bytes, a file opened in binary (which stays open), or a PIL image.

    ``where`` names a picture without a path in messages. Raises InputError, of which TooManyPixelsError says that the
    picture has more than ``max_pixels``. With ``draft``, large JPEGs are decoded at a fraction of their size, in a
    fraction of the time and memory; the embedding keeps a cosine above 0.999 with that of the picture decoded whole
    (docs/performance.md). It is decoded once, large enough for each of ``also`` too.
    """
    path = path_of(picture)
    where = where if path is None else path
    shortest = max(shortest_side(one, views) for one in (preprocessing, *also))
    try:
        upright = _upright(picture, where, _MARGIN * shortest if draft else None, max_pixels)
        others = {one: view_pixels(upright, one, views) for one in also}
        return Prepared(view_pixels(upright, preprocessing, views), path, others, preprocessing)
    except MemoryError as error:
        raise memory_fault(where) from error


def _upright(picture: object, where: str, smallest: int | None, max_pixels: int) -> Image.Image | Reduced:
    if isinstance(picture, Image.Image):
        return as_rgb(picture, where, max_pixels)
    if isinstance(picture, bytes):
        picture = io.BytesIO(picture)
    if isinstance(picture, str | os.PathLike | BufferedIOBase):
        return decode_reduced(picture, smallest, max_pixels, where)
    found = type(picture).__name__
    raise InputError(f"{where}: expected a path, bytes or a PIL image, found {found}; see PIL.Image.fromarray")


_Item = TypeVar("_Item")


def check_list(values: object, what: str = "picture") -> None:
    """Raise InputError for one bare picture or text, which Python would take for a list of letters."""
    if isinstance(values, str | os.PathLike | bytes | BufferedIOBase | Image.Image):
        shown = type(values).__name__ if isinstance(values, bytes) else str(values)[:80]
        raise InputError(f"expected a list of {what}s, found one ({shown}); write [{what}]")


def batches(items: Iterator[_Item], size: int) -> Iterator[tuple[_Item, ...]]:
    """``size`` items at a time, the last batch with what is left; none is taken before its batch is asked for."""
    while batch := tuple(itertools.islice(items, size)):
        yield batch


def read(
    picture: object, index: int, preprocessing: Preprocessing, views: str, also: Sequence[Preprocessing] = ()
) -> Prepared:
    """A picture as pixels, itself where it is that already. Raises InputError, also for a Failure."""
    where = f"picture {index}"
    if isinstance(picture, Failure):
        raise InputError(picture.error)
    if not isinstance(picture, Prepared):
        return prepare(picture, preprocessing, views, where, also=also)
    if any(one not in picture.also for one in also):
        raise InputError(f"{picture.path or where}: prepared for one model, but two are asked; name one of them")
    return picture


def outcome_of(
    picture: object, index: int, preprocessing: Preprocessing, views: str, also: Sequence[Preprocessing] = ()
) -> Prepared | Failure:
    """As ``read``, with a Failure for a picture that cannot be read."""
    try:
        return read(picture, index, preprocessing, views, also)
    except InputError as error:
        return picture if isinstance(picture, Failure) else Failure(path_of(picture), str(error))


def path_of(picture: object) -> str | None:
    """The path of a picture that was given by it."""
    return os.fspath(picture) if isinstance(picture, str | os.PathLike) else None
