"""Words into the token ids a text encoder takes [extra ``text``]."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from earthclip.errors import InputError, MissingExtraError, ModelError


class Tokenizer:
    """A model folder's ``tokenizer.json``; every text becomes ``length`` ids, padded with ``pad_id``."""

    def __init__(self, path: Path, length: int, pad_id: int) -> None:
        """Raises MissingExtraError without the library ``tokenizers``, ModelError for a file it cannot read."""
        try:
            import tokenizers
        except ModuleNotFoundError as error:
            raise MissingExtraError("locating words", "text", "tokenizers") from error
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises bare Exception
            reason = " ".join(str(error).split())[:160]
            raise ModelError(f"{path}: not a tokenizer ({reason}); copy the model again") from error
        self._tokenizer.enable_truncation(length)
        pad = self._tokenizer.id_to_token(pad_id)
        if pad is None:
            raise ModelError(f"{path}: has no token {pad_id}, with which config.json says to pad; copy the model again")
        self._tokenizer.enable_padding(length=length, pad_id=pad_id, pad_token=pad)

    def __call__(self, texts: Sequence[str]) -> Int64[np.ndarray, "n t"]:
        """Token ids; a longer text is cut, its end mark kept. Raises InputError for a text without a word."""
        for index, text in enumerate(texts):
            if not isinstance(text, str) or not text.strip():
                raise InputError(f"text {index}: expected words that describe a place, found {text!r}")
        return np.array([encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))], np.int64)
