"""Every error this package raises on purpose: one line that says what was wrong, what was expected, what to do.

And how words of others, such as file names, are made fit to be shown."""

from __future__ import annotations

import re

# C0 and C1, line and paragraph separators, and what turns the direction of the text around it
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def readable(text: str) -> str:
    """``text`` with its UTF-8 read as such where Python, under an ASCII locale, stored the bytes as surrogates."""
    try:
        return text.encode("utf-8", "surrogateescape").decode()
    except UnicodeError:
        return text


def visible(text: str) -> str:
    """``text`` on one line, and without what would control a terminal: file names may hold that."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(message: str) -> str:
    """A message as it is shown: whatever line breaks it has become spaces."""
    return visible(" ".join(message.split()))


class EarthCLIPError(Exception):
    """Base of the family; the command line prints it without a traceback and exits 2."""


class InputError(EarthCLIPError):
    """A picture, table, value or path of the user's that cannot be used."""


class ConfigError(EarthCLIPError):
    """A configuration with an unknown, missing or ill-typed key."""


class ModelError(EarthCLIPError):
    """A model that is unknown, incomplete, inconsistent, or lacks the encoder asked for."""


class OutputError(EarthCLIPError):
    """A file or folder that cannot be written, or that exists and would be overwritten."""


class MissingExtraError(EarthCLIPError):
    """An optional dependency is needed that is not installed."""

    def __init__(self, what: str, extra: str, missing: str) -> None:
        super().__init__(f"{what} needs {missing}, which is not installed; pip install 'earthclip[{extra}]'")
