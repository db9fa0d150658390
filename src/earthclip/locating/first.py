"""Whether a model can be asked first about pictures, before the one that answers all others."""

from __future__ import annotations

from collections.abc import Callable

from earthclip.errors import EarthCLIPError
from earthclip.locating.question import Question
from earthclip.models import Precision
from earthclip.models.config import IMAGE_ENCODER_INT8, TEXT_ENCODER
from earthclip.models.folder import ModelFolder


def why_not_first(
    folder: ModelFolder, check: Callable[[Question], None], question: Question, precision: Precision
) -> str | None:
    """Why the model cannot be asked a question at a precision, in one line; None where it can.

    ``check`` raises what locating with it would raise.
    """
    if folder.config.scope is None:
        return f"model '{folder.config.name}' cannot tell which pictures are of its kind"
    try:
        check(question)
        if question.text is not None:
            folder.file(TEXT_ENCODER)
        if precision == "int8":
            folder.file(IMAGE_ENCODER_INT8)
    except EarthCLIPError as error:
        return str(error)
    return None
