"""The networks [extra ``train``]: image and location encoders, GeoCLIP over both, and their export to ONNX.

Everything here imports torch; nothing that runs a model imports anything here. ``LocationEncoder.from_pretrained``
gives the trained encoder of places to other people's models.
"""

from earthclip.errors import MissingExtraError

try:
    import torch as _torch  # noqa: F401  - importing this package without its extra is one clear error
except ModuleNotFoundError as error:
    raise MissingExtraError("training and exporting models", "train", "torch") from error

from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.location_encoder import LocationEncoder

__all__ = ["GeoCLIP", "LocationEncoder"]
