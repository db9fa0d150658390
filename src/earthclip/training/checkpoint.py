"""What survives a kill: tensors in safetensors beside readable JSON, renamed into place when complete.

Each checkpoint carries the SHA-256 of its own tensors, and the one before it is kept: a drive that lost or changed
some of the newest costs the steps between the two, not the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from earthclip.configuration import to_mapping
from earthclip.errors import ConfigError, InputError
from earthclip.files import atomic_write
from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.config import Config, TrainingConfig, from_kept
from earthclip.training.losses import CoordinateQueue
from earthclip.training.optimization import WeightAverage

CHECKPOINT = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"
DAMAGED = "checkpoint.damaged.safetensors"  # put aside, for whoever wants to know what became of it
CONFIG = "training.json"

Say = Callable[[str], None]


@dataclass
class TrainingState:
    """Everything a step changes; batches and noise follow from the seed and the step alone."""

    model: GeoCLIP
    optimizer: torch.optim.Optimizer
    queue: CoordinateQueue
    step: int = 0  # steps done
    average: WeightAverage | None = None


def has_checkpoint(folder: Path) -> bool:
    """Whether there is something to go on from."""
    return (folder / CHECKPOINT).exists() or (folder / PREVIOUS).exists()


def save_checkpoint(folder: Path, state: TrainingState) -> None:
    """Write the state; the checkpoint before it stays until the new one is complete, and beside it afterwards."""
    tensors = {f"model.{name}": tensor for name, tensor in state.model.own_weights().items()}
    tensors |= {f"queue.{name}": tensor for name, tensor in state.queue.state().items()}
    if state.average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in state.average.weights.items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in moments.items()}
    dense = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    about = {"step": str(state.step), "sha256": _sha256(dense, state.step)}
    newest = folder / CHECKPOINT
    with atomic_write(newest, overwrite=True) as file:
        file.write(safetensors.torch.save(dense, metadata=about))
        file.flush()
        os.fsync(file.fileno())
        if newest.exists():
            _keep(newest, folder / PREVIOUS)


def restore_checkpoint(folder: Path, state: TrainingState, say: Say = print, *, put_aside: bool = True) -> None:
    """Take back what ``save_checkpoint`` wrote; a damaged newest one is reported, and the one before it is read.

    The damaged one is put aside, unless another process of the run does it.

    InputError when there is none that is whole, or when it does not fit the model.
    """
    path, tensors, state.step = _newest(folder, say)
    if put_aside and path.name == PREVIOUS and (folder / CHECKPOINT).exists():
        (folder / CHECKPOINT).replace(folder / DAMAGED)
    parts = {prefix: _under(tensors, prefix) for prefix in ("model", "queue", "optimizer", "average")}
    fault = f"{path}: does not fit this configuration; resume with the one it was made with"
    state.model.load_own_weights(parts["model"], fault)
    try:
        state.queue.restore(parts["queue"])
        if state.average is not None:
            state.average.restore(parts["average"])
    except (RuntimeError, KeyError) as error:
        raise InputError(fault) from error
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


def load_trained(folder: Path, kind: type[Config], say: Say = print) -> tuple[Config, dict[str, Tensor], int]:
    """The configuration, the model's weights and the steps done of a run's folder.

    The weights are the running mean where the run kept one.
    """
    config = read_run_config(folder, kind)
    _, tensors, step = _newest(folder, say)
    return config, _under(tensors, "model") | _under(tensors, "average"), step


def read_trained(folder: Path) -> tuple[dict[str, Tensor], tuple[float, ...]]:
    """The model's weights and sigmas of a run on anything, by a recipe or by this library."""
    mapping = _read_mapping(folder)
    _, tensors, _ = _newest(folder, print)
    try:
        sigmas = tuple(float(sigma) for sigma in mapping["model"]["location"]["sigmas"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{folder / CONFIG}: has no model.location.sigmas; train the run again") from error
    return _under(tensors, "model") | _under(tensors, "average"), sigmas


def write_run_config(folder: Path, config: TrainingConfig) -> None:
    """Keep the run's configuration beside its checkpoint."""
    with atomic_write(folder / CONFIG, overwrite=True) as file:
        file.write(json.dumps(to_mapping(config), indent=2).encode() + b"\n")


def read_run_config(folder: Path, kind: type[Config]) -> Config:
    """The configuration that ``write_run_config`` kept; InputError when the folder is not a run's."""
    return from_kept(kind, _read_mapping(folder), str(folder / CONFIG))


def _read_mapping(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        mapping: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{folder}: not the folder of a training run ({CONFIG} is missing)") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not readable as JSON ({error})") from error
    return mapping


def _newest(folder: Path, say: Say) -> tuple[Path, dict[str, Tensor], int]:
    if not has_checkpoint(folder):
        raise InputError(f"{folder / CHECKPOINT}: no such checkpoint; train first, or name the run's folder")
    try:
        return folder / CHECKPOINT, *_read(folder / CHECKPOINT)
    except _DamagedError as error:
        try:
            found = _read(folder / PREVIOUS)
        except _DamagedError as older:
            raise InputError(f"{error}; {older}; start a new run, or restore the folder from a copy") from error
        say(f"warning: {error}; using the previous checkpoint, of step {found[1]}")
        return folder / PREVIOUS, *found


class _DamagedError(Exception):
    pass


def _read(path: Path) -> tuple[dict[str, Tensor], int]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            about = file.metadata() or {}
        step, expected = int(about["step"]), about.get("sha256")  # runs of before had no sum
    except FileNotFoundError as error:
        raise _DamagedError(f"{path}: missing") from error
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise _DamagedError(f"{path}: damaged checkpoint ({' '.join(str(error).split())[:120]})") from error
    if expected is not None and _sha256(tensors, step) != expected:
        raise _DamagedError(f"{path}: damaged checkpoint (its SHA-256 has changed since it was written)")
    return tensors, step


def _sha256(tensors: dict[str, Tensor], step: int) -> str:
    total = hashlib.sha256(str(step).encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _keep(newest: Path, previous: Path) -> None:
    """A second name for the newest, so that there is never a moment without one."""
    link = previous.with_name(f".{previous.name}.part")
    with contextlib.suppress(OSError):
        link.unlink(missing_ok=True)
        os.link(newest, link)
        link.replace(previous)
        return
    newest.replace(previous)  # a drive without links


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")}
