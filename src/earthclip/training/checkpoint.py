"""What survives a kill: tensors in safetensors beside readable JSON, renamed into place when complete."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from earthclip.configuration import from_mapping, to_mapping
from earthclip.errors import ConfigError, InputError
from earthclip.files import atomic_write
from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.config import TrainingConfig
from earthclip.training.queue import CoordinateQueue

CHECKPOINT = "checkpoint.safetensors"
CONFIG = "training.json"


@dataclass
class TrainingState:
    """Everything a step changes; batches and noise follow from the seed and the step alone."""

    model: GeoCLIP
    optimizer: torch.optim.Optimizer
    queue: CoordinateQueue
    step: int = 0  # steps done


def save_checkpoint(folder: Path, state: TrainingState) -> None:
    """Write the state; the previous checkpoint stands until the new one is complete."""
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    tensors |= {f"queue.{name}": tensor for name, tensor in state.queue.state().items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in moments.items()}
    dense = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    with atomic_write(folder / CHECKPOINT, overwrite=True) as file:
        file.write(safetensors.torch.save(dense, metadata={"step": str(state.step)}))


def restore_checkpoint(folder: Path, state: TrainingState) -> None:
    """Take back what ``save_checkpoint`` wrote; InputError when there is none or it does not fit the model."""
    path = folder / CHECKPOINT
    tensors, state.step = _read(path)
    parts = {prefix: _under(tensors, prefix) for prefix in ("model", "queue", "optimizer")}
    try:
        state.model.load_state_dict(parts["model"])
        state.queue.restore(parts["queue"])
    except (RuntimeError, KeyError) as error:
        raise InputError(f"{path}: does not fit this configuration; resume with the one it was made with") from error
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in parts["optimizer"].items():
        index, name = key.split(".", 1)
        moments.setdefault(int(index), {})[name] = tensor
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    for parameter, kept in state.optimizer.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            # In the parameter's own memory layout, as an uninterrupted run has them: the same kernels, the same bits.
            kept[name] = torch.empty_like(parameter).copy_(kept[name])


def load_trained(folder: Path) -> tuple[TrainingConfig, dict[str, Tensor], int]:
    """The configuration, the model's weights and the steps done of a run's folder."""
    config = read_run_config(folder)
    tensors, step = _read(folder / CHECKPOINT)
    return config, _under(tensors, "model"), step


def start_from(folder: Path, model: GeoCLIP) -> None:
    """Give ``model`` the weights of another run's folder; InputError when there are none or they do not fit."""
    _, weights, _ = load_trained(folder)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"{folder}: its weights do not fit this model; start from a run with the same [model]"
        ) from error


def write_run_config(folder: Path, config: TrainingConfig) -> None:
    """Keep the run's configuration beside its checkpoint."""
    with atomic_write(folder / CONFIG, overwrite=True) as file:
        file.write(json.dumps(to_mapping(config), indent=2).encode() + b"\n")


def read_run_config(folder: Path) -> TrainingConfig:
    """The configuration that ``write_run_config`` kept; InputError when the folder is not a run's."""
    path = folder / CONFIG
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{folder}: not the folder of a training run ({CONFIG} is missing)") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not readable as JSON ({error})") from error
    return from_mapping(TrainingConfig, mapping, str(path))


def _read(path: Path) -> tuple[dict[str, Tensor], int]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return tensors, int((file.metadata() or {})["step"])
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such checkpoint; train first, or name the run's folder") from error
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: damaged checkpoint ({error})") from error


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")}
