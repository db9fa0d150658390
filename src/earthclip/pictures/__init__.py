"""Pictures: a file or an image to upright pixels and an encoder's input; worker processes that read ahead; metadata.

Only names are defined here, so that ``--help`` loads nothing.
"""

from __future__ import annotations

from typing import Literal, get_args

Views = Literal["none", "flip", "ten-crop"]

VIEWS: tuple[str, ...] = get_args(Views)

Reencoding = Literal["png", "jpeg"]
REENCODINGS: tuple[str, ...] = get_args(Reencoding)
"""What a copy of a picture without metadata can be written as, where it is not as it was."""
