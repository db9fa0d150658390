"""Photos out of a request's body: read from memory, decoded within limits, under no name but their number."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from earthclip.errors import InputError
from earthclip.runtime.decode import decode_reduced
from earthclip.runtime.prepared import Prepared
from earthclip.runtime.preprocess import Preprocessing
from earthclip.runtime.views import shortest_side, view_pixels
from earthclip.server.refusal import Refusal

_MARGIN = 2  # as in runtime.prepared: drafts have at least that many times the pixels a side that are needed


def decode_bytes(content: bytes, preprocessing: Preprocessing, where: str, max_pixels: int) -> Prepared:
    """The picture whose file is ``content``, prepared as ``earthclip locate`` prepares it; ``where`` names it.

    Raises Refusal: 413 for one of more than ``max_pixels``, 422 for what is not a picture or damaged.
    """
    if not content:
        raise Refusal(422, f"{where}: the file is empty (0 bytes); send a picture")
    with _path_of(content) as path:
        try:
            reduced = decode_reduced(path, _MARGIN * shortest_side(preprocessing, "none"), max_pixels)
        except InputError as error:
            message = str(error).replace(str(path), where)
            raise Refusal(413 if "pixels, the limit is" in message else 422, message) from None
    return Prepared(view_pixels(reduced, preprocessing, "none"), None)


@contextlib.contextmanager
def _path_of(content: bytes) -> Iterator[Path]:
    """A path under which the decoder finds ``content``, on Linux in memory: even a kill leaves nothing behind."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryDirectory(prefix="earthclip-") as folder:
            path = Path(folder, "photo")
            path.write_bytes(content)
            yield path
        return
    with os.fdopen(os.memfd_create("photo"), "wb") as file:
        file.write(content)
        file.flush()
        yield Path(f"/proc/self/fd/{file.fileno()}")
