"""Fine-tuning: the weights a run starts from, and scales added to the location encoder with the others kept.

The author's advice on finer accuracy (VicenteVivan/geo-clip issue 7): one more sigma, the other capsules warm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from earthclip.errors import InputError, ModelError
from earthclip.models.config import WEIGHTS
from earthclip.models.sources import resolve
from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.published import PublishedWeights, read_published
from earthclip.training.checkpoint import CONFIG, load_trained
from earthclip.training.config import TrainingConfig
from earthclip.training.networks import own_weights

_FREQUENCIES = "location_encoder.position.frequencies"
_CAPSULES = "location_encoder.network.capsules."


@dataclass(frozen=True, eq=False)
class InitialWeights:
    """Weights under our names, and the sigmas of their location encoder where they are known."""

    weights: dict[str, Tensor]
    sigmas: tuple[float, ...] | None


def start_from(source: str, model: GeoCLIP, config: TrainingConfig) -> str:
    """Give ``model`` the weights of a run's folder, a model or a published release; returns what to say of it.

    Where the model has more sigmas, the first are the source's and the others start with an output of zero, so that
    every place's embedding is at first what it was. Without ``config.init_location`` the source gives all but its
    location encoder, so the model's may be of any size. What the source lacks (a head, cells) keeps its fresh weights
    and is named. Raises InputError when the sizes or sigmas do not fit, ModelError when ``source`` is not here.
    """
    initial = read_initial(source)
    wanted, own = config.model.location.sigmas, own_weights(model)
    known = initial.sigmas if config.init_location else None
    if known is not None and wanted[: len(known)] != known:
        raise InputError(
            f"init '{source}' has the sigmas {_list(known)}, model.location.sigmas are {_list(wanted)}; "
            f"list those first, then the finer ones"
        )
    if config.init_location:
        weights, added = _with_new_scales(initial.weights, own, len(wanted), source, config)
    else:
        weights, added = _without_location(initial.weights, source), 0
    for name, tensor in weights.items():
        if name not in own or own[name].shape != tensor.shape:
            expected = list(own[name].shape) if name in own else "nothing of that name"
            raise InputError(
                f"init '{source}': its {name} is {list(tensor.shape)}, this model has {expected}; "
                "start from a run with the same [model], or from its sizes"
            )
    model.load_state_dict(weights, strict=False)
    fresh = sorted({name.split(".")[0] for name in own.keys() - weights.keys()})
    said = f"starting from the weights of {source}"
    if not config.init_location:
        said += ", without its location encoder"
        fresh.remove("location_encoder")
    if added:
        said += f"; sigmas {_list(wanted[len(wanted) - added :])} are new and start at zero"
    return said + (f"; {', '.join(fresh)} not in it, so fresh" if fresh else "")


def read_initial(source: str) -> InitialWeights:
    """The weights to start from. Raises InputError or ModelError, in one line, when there are none."""
    path = Path(source).expanduser()
    if (path / CONFIG).is_file():
        config, weights, _ = load_trained(path)
        return InitialWeights(weights, config.model.location.sigmas)
    if path.suffix == ".whl" or _is_release(path):
        return _of_release(read_published(path))
    if path.is_dir() and not (path / "config.json").is_file():
        raise InputError(f"{path}: not the folder of a training run ({CONFIG} is missing), nor a model folder")
    folder = resolve(source)
    file = folder.path / WEIGHTS
    try:
        weights = safetensors.torch.load_file(file)
    except FileNotFoundError as error:
        raise ModelError(
            f"{file}: model '{folder.config.name}' was shipped without the weights to train on; start from a run's "
            "folder, or from a model that was exported or pulled here"
        ) from error
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{file}: damaged or cut short ({error}); make the model again") from error
    weights.setdefault("logit_scale", torch.tensor(folder.config.logit_scale))
    sigmas = folder.config.provenance.get("sigmas")
    return InitialWeights(weights, tuple(float(sigma) for sigma in sigmas) if sigmas else None)


def _without_location(weights: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("location_encoder.")}
    if not any(name.startswith("image_encoder.") for name in kept):
        raise InputError(
            f"init '{source}' has no image encoder, and init_location is false; nothing of it would be used"
        )
    return kept


def _of_release(published: PublishedWeights) -> InitialWeights:
    weights = {f"location_encoder.{name}": tensor for name, tensor in published.location.items()}
    if published.head is not None:
        weights |= {f"image_encoder.head.{name}": tensor for name, tensor in published.head.items()}
        weights["logit_scale"] = torch.tensor(published.logit_scale)
    return InitialWeights(weights, published.sigmas)


def _with_new_scales(
    weights: dict[str, Tensor], own: dict[str, Tensor], scales: int, source: str, config: TrainingConfig
) -> tuple[dict[str, Tensor], int]:
    """``weights`` with this model's own frequencies and silent capsules for the scales they lack, and how many."""
    if _FREQUENCIES not in weights:
        raise InputError(f"init '{source}' has no location encoder; start from a GeoCLIP")
    known = len(weights[_FREQUENCIES])
    if known > scales:
        raise InputError(
            f"init '{source}' has {known} sigmas, model.location.sigmas {scales}; name all of its own, then new ones"
        )
    if known == scales:
        return dict(weights), 0
    if getattr(config.model.location, "mixing", "sum") != "sum":
        raise InputError("new sigmas can be added where the scales are summed; set model.location.mixing to 'sum'")
    added = dict(weights)
    if own[_FREQUENCIES].shape[1:] == weights[_FREQUENCIES].shape[1:]:  # or the caller finds them of another size
        added[_FREQUENCIES] = torch.cat([weights[_FREQUENCIES], own[_FREQUENCIES][known:]])
    last = max(int(name.split(".")[4]) for name in own if name.startswith(f"{_CAPSULES}{known}."))
    for scale in range(known, scales):
        prefix = f"{_CAPSULES}{scale}."
        for name, tensor in own.items():
            if name.startswith(prefix):
                silent = int(name.split(".")[4]) == last
                added[name] = torch.zeros_like(tensor) if silent else tensor.clone()
    return added, scales - known


def _is_release(path: Path) -> bool:
    try:
        return "model_type" in json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _list(sigmas: tuple[float, ...]) -> str:
    return ", ".join(f"{sigma:g}" for sigma in sigmas)
