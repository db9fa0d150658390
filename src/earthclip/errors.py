"""Every error this package raises on purpose: one line that says what was wrong, what was expected, what to do."""

from __future__ import annotations


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
