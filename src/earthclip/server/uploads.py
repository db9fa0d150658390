"""Photos out of a request's body: read from memory, decoded within limits, under no name but their number."""

from __future__ import annotations

import io

from earthclip.errors import InputError
from earthclip.runtime.decode import TooManyPixelsError
from earthclip.runtime.prepared import Prepared, prepare_file
from earthclip.runtime.preprocess import Preprocessing
from earthclip.server.refusal import Refusal


def decode_bytes(content: bytes, preprocessing: Preprocessing, where: str, max_pixels: int) -> Prepared:
    """The picture whose file is ``content``, prepared as ``earthclip locate`` prepares it; ``where`` names it.

    Raises Refusal: 413 for one of more than ``max_pixels``, 422 for what is not a picture or damaged.
    """
    if not content:
        raise Refusal(422, f"{where}: the file is empty (0 bytes); send a picture")
    try:
        return prepare_file(io.BytesIO(content), preprocessing, where, max_pixels)
    except TooManyPixelsError as error:
        raise Refusal(413, str(error)) from None
    except InputError as error:
        raise Refusal(422, str(error)) from None
