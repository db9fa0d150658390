"""Any address that fsspec knows, opened; the one place that says what is missing when it cannot be."""

from __future__ import annotations

from typing import Any

from earthclip.errors import InputError, MissingExtraError


def open_with_fsspec(address: str, extra: str = "remote") -> tuple[Any, str]:
    """fsspec's filesystem of ``address``, and its path there.

    Raises MissingExtraError, naming ``extra``, without fsspec; InputError, in fsspec's words, where it needs another
    package for this protocol or knows none of that name.
    """
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError(address, extra, "fsspec") from error
    try:
        system, path = fsspec.core.url_to_fs(address)
    except ImportError as error:  # of the package for this protocol, which fsspec names
        raise InputError(f"{address}: {reason(error)}, by pip") from error
    except ValueError as error:
        raise InputError(f"{address}: {reason(error)}; expected a path or an address as s3://bucket/photos") from error
    return system, path


def reason(error: BaseException) -> str:
    """The fault alone, in one line: libraries' messages may have many, and a path that the reader knows."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:160] or type(error).__name__
