"""EarthCLIP: where on Earth is this? Pictures and coordinates in one embedding space.

``earthclip.load(source)`` gives a ``Locator``; heavy modules are imported when a name below is first used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# From 1.29 on, ONNX Runtime reports models and machine to its maker from its import on, unless it finds this then.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from earthclip.errors import EarthCLIPError
    from earthclip.locating.locator import Locator, load
    from earthclip.locating.posterior import Posterior
    from earthclip.locating.prediction import Prediction
    from earthclip.outputs.dataframe import to_dataframe
    from earthclip.pictures.prepare import Failure

__version__ = "0.1.0"

__all__ = ["EarthCLIPError", "Failure", "Locator", "Posterior", "Prediction", "__version__", "load", "to_dataframe"]

_HOME_OF = {
    "EarthCLIPError": "earthclip.errors",
    "Failure": "earthclip.pictures.prepare",
    "Locator": "earthclip.locating.locator",
    "Posterior": "earthclip.locating.posterior",
    "Prediction": "earthclip.locating.prediction",
    "load": "earthclip.locating.locator",
    "to_dataframe": "earthclip.outputs.dataframe",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'earthclip' has no attribute '{name}'")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
