"""Probes of location features: how much a linear or small model reads out of an embedding of coordinates.

Needs the dependency group ``recipes``: scikit-learn, and the packages that carry the data.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from typing import Any

from earthclip.errors import EarthCLIPError


class MissingPackageError(EarthCLIPError):
    """A package of the dependency group ``recipes`` is not installed."""

    def __init__(self, what: str, package: str) -> None:
        super().__init__(
            f"{what} needs {package}, which is not installed; pip install --group recipes (pip 25.1 or newer)"
        )


def need(module: str, package: str) -> Any:
    """Import a module of the dependency group.

    Raises MissingPackageError with the name of the package when it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:  # the package is there, and lacks something of its own
            raise
        raise MissingPackageError("probing location features", package) from error


def single_thread() -> AbstractContextManager[object]:
    """Inside, linear algebra keeps to one thread.

    The matrices are too small to share: beside other work, threads that wait for each other took ten times longer.
    """
    limits: AbstractContextManager[object] = need("threadpoolctl", "scikit-learn").threadpool_limits(limits=1)
    return limits
