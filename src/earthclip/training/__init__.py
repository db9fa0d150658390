"""Training GeoCLIP [extra ``train``]: from a configuration and a source of samples to a checkpoint.

``train(config, source, objective=None)`` is the whole run; read it in ``loop.py``. ``open_source`` opens the photos or
cached features that a configuration names. A source of your own is a class, see ``source.py``.
"""

from earthclip.errors import MissingExtraError

try:
    import torch as _torch  # noqa: F401  - importing this package without its extra is one clear error
except ModuleNotFoundError as error:
    raise MissingExtraError("training models", "train", "torch") from error

from earthclip.training.config import TrainingConfig, read_training_config
from earthclip.training.data import open_source
from earthclip.training.loop import train
from earthclip.training.losses import Objective, contrastive_loss
from earthclip.training.source import Batch, Source

__all__ = [
    "Batch",
    "Objective",
    "Source",
    "TrainingConfig",
    "contrastive_loss",
    "open_source",
    "read_training_config",
    "train",
]
