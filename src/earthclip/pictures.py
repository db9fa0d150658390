"""The pictures somebody asks about: a list and not a lone one, in batches, each read or known to have failed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import TypeVar

from PIL import Image

from earthclip.errors import InputError
from earthclip.prediction import Failure
from earthclip.runtime.prepared import Prepared, prepare
from earthclip.runtime.preprocess import Preprocessing

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
