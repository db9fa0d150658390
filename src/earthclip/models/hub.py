"""Files of the Hugging Face Hub [extra ``hub``]: from its cache where they are whole, else downloaded and resumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from earthclip.errors import MissingExtraError, ModelError


def snapshot(repository: str, patterns: Sequence[str], needed: Sequence[str], *, revision: str | None = None) -> Path:
    """The folder of ``repository`` with at least the files ``needed``; the cache is asked before the network.

    Raises MissingExtraError without the library huggingface_hub, ModelError when the Hub cannot be reached or the
    repository lacks a file.
    """
    library = _library()
    cached = _snapshot(library, repository, patterns, revision, local_files_only=True)
    if isinstance(cached, Path) and not _missing(cached, needed):
        return cached
    found = _snapshot(library, repository, patterns, revision, local_files_only=False)
    if not isinstance(found, Path):
        raise ModelError(f"{repository} cannot be downloaded from the Hugging Face Hub ({found})")
    if missing := _missing(found, needed):
        # Offline, the library hands out whatever part of a snapshot its cache holds.
        raise ModelError(f"{repository} cannot be downloaded from the Hugging Face Hub (got no {missing})")
    return found


def _snapshot(
    library: Any, repository: str, patterns: Sequence[str], revision: str | None, *, local_files_only: bool
) -> Path | str:
    """The folder, or in one line why there is none."""
    try:
        return Path(
            library.snapshot_download(
                repository, revision=revision, allow_patterns=list(patterns), local_files_only=local_files_only
            )
        )
    except Exception as error:  # requests', httpx's and the library's own errors share no class
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        return " ".join(str(cause).split())[:160] or type(cause).__name__


def _missing(folder: Path, needed: Sequence[str]) -> str | None:
    return next((name for name in needed if not (folder / name).is_file()), None)


def _library() -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise MissingExtraError("downloading from the Hugging Face Hub", "hub", "huggingface_hub") from error
    return huggingface_hub
