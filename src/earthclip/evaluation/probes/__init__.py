"""Probes of location features: how much a linear or small model reads out of an embedding of coordinates.

Needs the extra ``probe``: scikit-learn, and the packages that carry the data.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from typing import Any

from earthclip.errors import MissingExtraError


def need(module: str, package: str) -> Any:
    """Import a module of the extra; raises MissingExtraError naming the package when it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:  # the package is there, and lacks something of its own
            raise
        raise MissingExtraError("probing location features", "probe", package) from error


def single_thread() -> AbstractContextManager[object]:
    """Inside, linear algebra keeps to one thread.

    The matrices are too small to share: beside other work, threads that wait for each other took ten times longer.
    """
    limits: AbstractContextManager[object] = need("threadpoolctl", "scikit-learn").threadpool_limits(limits=1)
    return limits
